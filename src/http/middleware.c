/*
 * Middleware: ids, limits, who a client says it is. Logs, CORS and compression have files of their
 * own.
 *
 * Invariant: a field of the answer is set when its head goes out, so that the answer to an error
 * has it as well.
 */
#include "http/exchange.h"

#include <bide/error.h>
#include <bide/http_middleware.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Request ids */

enum { ID_BYTES_MAX = 128, ID_SIZE = 33 };

struct id_filter {
    struct bide__http_filter filter;
    const char *id;
};

static bool is_sane(const char *id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "-_.~";
    size_t size = strspn(id, allowed);
    return size > 0 && size <= ID_BYTES_MAX && id[size] == '\0';
}

static int id_head(struct bide__http_filter *filter, bide_http_request *request, size_t size,
                   bool ends)
{
    (void)size;
    (void)ends;
    return bide_http_reply_header(request, "X-Request-Id", ((struct id_filter *)filter)->id);
}

static const char *id_new(bide_http_request *request)
{
    uint64_t random[2];
    char *id = bide_http_alloc(request, ID_SIZE);
    if (!id || bide__http_entropy(random, sizeof random) < 0)
        return NULL;
    snprintf(id, ID_SIZE, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    return id;
}

static int id_middleware(bide_http_request *request, bide_http_next *next, void *data)
{
    (void)data;
    struct id_filter *filter = bide_http_alloc(request, sizeof *filter);
    if (!filter)
        return -ENOMEM;
    const char *id = bide_http_header(request, "X-Request-Id");
    *filter = (struct id_filter){.filter = {.head = id_head}};
    filter->id = id && is_sane(id) ? id : id_new(request);
    if (!filter->id)
        return -ENOMEM;
    request->id = filter->id;
    bide__http_filter_add(request, &filter->filter);
    return bide_http_next_run(next);
}

int bide_http_use_request_id(bide_http_app *app)
{
    return bide_http_use(app, id_middleware, NULL, NULL);
}

const char *bide_http_request_id(const bide_http_request *request)
{
    return request ? request->id : NULL;
}

/* Limits */

static int body_middleware(bide_http_request *request, bide_http_next *next, void *data)
{
    uint64_t bytes_max = *(uint64_t *)data;
    if (request->content_length > 0 && (uint64_t)request->content_length > bytes_max)
        return bide_http_reply_text(request, 413, "Content Too Large\n");
    if (request->body_left > bytes_max)
        request->body_left = bytes_max;
    return bide_http_next_run(next);
}

static int use_copy(bide_http_app *app, bide_http_middleware *middleware, const void *data,
                    size_t size)
{
    void *copy = malloc(size);
    if (!copy)
        return -ENOMEM;
    int rc = bide_http_use(app, middleware, memcpy(copy, data, size), free);
    if (rc < 0)
        free(copy);
    return rc;
}

int bide_http_use_body_limit(bide_http_app *app, uint64_t bytes_max)
{
    return use_copy(app, body_middleware, &bytes_max, sizeof bytes_max);
}

static int time_middleware(bide_http_request *request, bide_http_next *next, void *data)
{
    struct bide__http_time_limit *limit = bide_http_alloc(request, sizeof *limit);
    if (!limit)
        return -ENOMEM;
    int rc = bide__http_time_limit_begin(request, limit, *(double *)data);
    return rc < 0 ? rc : bide__http_time_limit_end(request, limit, bide_http_next_run(next));
}

int bide_http_use_time_limit(bide_http_app *app, double seconds)
{
    return seconds > 0 ? use_copy(app, time_middleware, &seconds, sizeof seconds) : -EINVAL;
}

/* Basic authentication */

static int sextet(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

/* How many bytes, or -EINVAL. */
static int decode_base64(const char *text, char *to)
{
    int n = 0, n_bits = 0;
    unsigned bits = 0;
    for (; *text && *text != '='; text++) {
        int value = sextet(*text);
        if (value < 0)
            return -EINVAL;
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            to[n++] = (char)(bits >> n_bits);
        }
    }
    return text[strspn(text, "=")] == '\0' ? n : -EINVAL;
}

int bide_http_basic_credentials(bide_http_request *request, const char **ret_user,
                                const char **ret_password)
{
    if (!request || !ret_user || !ret_password)
        return -EINVAL;
    const char *field = bide_http_header(request, "Authorization");
    if (!field || strncasecmp(field, "basic ", 6) != 0)
        return -ENOENT;
    field += 6 + strspn(field + 6, " ");
    char *text = bide_http_alloc(request, strlen(field) + 1);
    if (!text)
        return -ENOMEM;
    int n = decode_base64(field, text);
    if (n < 0 || memchr(text, '\0', (size_t)n))
        return -ENOENT;
    text[n] = '\0';
    char *colon = strchr(text, ':');
    if (!colon)
        return -ENOENT;
    *colon = '\0';
    *ret_user = text;
    *ret_password = colon + 1;
    return 0;
}

int bide_http_ask_credentials(bide_http_request *request, const char *realm)
{
    if (!request || !realm || strpbrk(realm, "\"\\"))
        return -EINVAL;
    size_t size = strlen(realm) + sizeof "Basic realm=\"\", charset=\"UTF-8\"";
    char *value = bide_http_alloc(request, size);
    if (!value)
        return -ENOMEM;
    snprintf(value, size, "Basic realm=\"%s\", charset=\"UTF-8\"", realm);
    int rc = bide_http_reply_header(request, "WWW-Authenticate", value);
    return rc < 0 ? rc : bide_http_reply_text(request, 401, "Unauthorized\n");
}

bool bide_http_same_secret(const char *given, const char *secret)
{
    if (!given || !secret)
        return false;
    size_t size = strlen(secret), n = strlen(given);
    volatile unsigned char difference = size != n;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)given[i] ^ (unsigned char)(size > 0 ? secret[i % size] : 0);
    return difference == 0;
}
