/*
 * Preconditions, ranges and qualities (RFC 9110, 12.4.2, 13 and 14).
 *
 * Invariant: a field that is malformed is as if it were not there.
 */
#include "http/conditional.h"

#include "http/exchange.h"

#include <bide/http_files.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Entity tags */

static bool is_weak(const char *etag)
{
    return etag[0] == 'W' && etag[1] == '/';
}

/* The tag at the front, through its closing quote; NULL: there is none. */
static const char *tag_end(const char *tag)
{
    const char *quote = is_weak(tag) ? tag + 2 : tag;
    return *quote == '"' ? strchr(quote + 1, '"') : NULL;
}

bool bide__http_etag_listed(const char *list, const char *etag, bool is_strong)
{
    const char *opaque = is_weak(etag) ? etag + 2 : etag;
    size_t size = strlen(opaque);
    list += strspn(list, " \t");
    if (*list == '*')
        return list[1 + strspn(list + 1, " \t")] == '\0';
    for (;;) {
        list += strspn(list, " \t,");
        const char *end = tag_end(list);
        if (!end)
            return false;
        const char *other = is_weak(list) ? list + 2 : list;
        bool is_same = (size_t)(end + 1 - other) == size && memcmp(other, opaque, size) == 0;
        if (is_same && !(is_strong && (is_weak(list) || is_weak(etag))))
            return true;
        list = end + 1;
    }
}

/* One of the fields of that name, if there are several. ret_any: there is one. */
static bool any_lists(const bide_http_request *request, const char *name, const char *etag,
                      bool is_strong, bool *ret_any)
{
    bool is_listed = false;
    *ret_any = false;
    if (!bide_http_header(request, name))
        return false;
    for (size_t i = 0; i < request->ops->n_headers(request); i++) {
        struct bide_http_field field = request->ops->header_at(request, i);
        if (strcasecmp(field.name, name) != 0)
            continue;
        *ret_any = true;
        is_listed |= etag ? bide__http_etag_listed(field.value, etag, is_strong)
                          : strcmp(field.value, "*") == 0;
    }
    return is_listed;
}

/* Whether the field has a date, and which. */
static bool date_of(const bide_http_request *request, const char *name, int64_t *ret_seconds)
{
    const char *value = bide_http_header(request, name);
    return value && bide_http_date_parse(value, bide__http_wall_seconds(), ret_seconds) == 0;
}

int bide_http_preconditions(const bide_http_request *request, const char *etag,
                            int64_t modified_seconds)
{
    bool is_there;
    int64_t date;
    if (!request)
        return -EINVAL;
    bool is_get = request->is_head || strcmp(request->method, "GET") == 0;
    bool has_date = modified_seconds >= 0;
    bool fits = any_lists(request, "If-Match", etag, true, &is_there);
    if (is_there && !fits)
        return 412;
    if (!is_there && has_date && date_of(request, "If-Unmodified-Since", &date) &&
        modified_seconds > date)
        return 412;
    fits = any_lists(request, "If-None-Match", etag, false, &is_there);
    if (is_there)
        return fits ? is_get ? 304 : 412 : 0;
    if (is_get && has_date && date_of(request, "If-Modified-Since", &date) &&
        modified_seconds <= date)
        return 304;
    return 0;
}

/* Qualities */

/* ";q=0.5" and its like to 0 … 1000; what is malformed counts as nothing. */
static int quality_of(const char *parameters, size_t size)
{
    const char *end = parameters + size;
    const char *at = parameters;
    while ((at = memchr(at, ';', (size_t)(end - at)))) {
        at++;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (end - at < 3 || (at[0] | 0x20) != 'q' || at[1] != '=')
            continue;
        int quality = at[2] == '1' ? 1000 : 0;
        if (end - at > 3 && at[2] == '0' && at[3] == '.')
            for (int i = 0, unit = 100; i < 3 && at + 4 + i < end; i++, unit /= 10) {
                if (at[4 + i] < '0' || at[4 + i] > '9')
                    break;
                quality += (at[4 + i] - '0') * unit;
            }
        return quality;
    }
    return 1000;
}

int bide__http_quality(const char *list, const char *token)
{
    size_t token_size = strlen(token);
    int otherwise = -1;
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t size = strcspn(list, ",");
        size_t name_size = strcspn(list, " \t;,");
        int quality = quality_of(list + name_size, size - name_size);
        if (name_size == token_size && strncasecmp(list, token, token_size) == 0)
            return quality;
        if (name_size == 1 && *list == '*')
            otherwise = quality;
        list += size;
    }
    return otherwise;
}

/* Ranges */

/* -1: no number there. One that is too large is as good as the largest. */
static int64_t take_number(const char **at)
{
    int64_t number = 0;
    if (**at < '0' || **at > '9')
        return -1;
    for (; **at >= '0' && **at <= '9'; (*at)++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, **at - '0', &number))
            number = INT64_MAX / 10;
    return number;
}

/* 1; 0: nothing of it is there; -EINVAL: malformed. */
static int take_range(const char **at, int64_t size, struct bide__http_range *ret_range)
{
    int64_t first = take_number(at);
    if (*(*at)++ != '-')
        return -EINVAL;
    int64_t last = take_number(at);
    if (first < 0 && last < 0)
        return -EINVAL;
    if (first < 0) {
        first = last < size ? size - last : 0;
        last = last > 0 ? size - 1 : -1;
    } else if (last < 0) {
        last = INT64_MAX;
    } else if (last < first) {
        return -EINVAL;
    }
    if (last >= size)
        last = size - 1;
    if (first > last)
        return 0;
    *ret_range = (struct bide__http_range){.first = first, .size = last - first + 1};
    return 1;
}

int bide__http_ranges(const char *field, int64_t size,
                      struct bide__http_range ret_ranges[BIDE__HTTP_RANGES_MAX])
{
    int n = 0;
    int64_t total = 0;
    if (strncasecmp(field, "bytes=", 6) != 0)
        return 0;
    const char *at = field + 6;
    for (;;) {
        struct bide__http_range range;
        at += strspn(at, " \t,");
        int rc = take_range(&at, size, &range);
        if (rc < 0)
            return 0;
        if (rc > 0 && (n == BIDE__HTTP_RANGES_MAX || range.size > size - total))
            return 0;
        if (rc > 0) {
            total += range.size;
            ret_ranges[n++] = range;
        }
        at += strspn(at, " \t");
        if (*at == '\0')
            return n > 0 ? n : -ERANGE;
        if (*at != ',')
            return 0;
        at += strspn(at, " \t,");
        if (*at == '\0')
            return n > 0 ? n : -ERANGE;
    }
}
