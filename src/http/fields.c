/* Header fields; the invariant stands in fields.h. */
#include "http/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "codec/http1_scan.h"

enum { FIELDS_BYTES_MAX = 65536, FIELDS_FIRST = 8, FIELD_EXTRA = sizeof ": \r\n" - 1 };

bool bide__http_is_name(const char *name)
{
    const char *at = name;
    while (bide__http1_is_token(*at))
        at++;
    return at > name && *at == '\0';
}

bool bide__http_is_value(const char *value)
{
    const char *end = value + strlen(value);
    return bide__http1_scan_value(value, end) == end;
}

int bide_http_fields_new(bide_http_fields **ret_fields)
{
    if (!ret_fields)
        return -EINVAL;
    bide_http_fields *fields = calloc(1, sizeof *fields);
    if (!fields)
        return -ENOMEM;
    *ret_fields = fields;
    return 0;
}

static void field_free(bide_http_fields *fields, size_t i)
{
    struct bide_http_field *field = &fields->all[i];
    fields->n_bytes -= strlen(field->name) + strlen(field->value) + FIELD_EXTRA;
    free((char *)(uintptr_t)field->name);
}

void bide__http_fields_clear(bide_http_fields *fields)
{
    while (fields->n > 0)
        field_free(fields, --fields->n);
}

void bide__http_fields_fini(bide_http_fields *fields)
{
    bide__http_fields_clear(fields);
    free(fields->all);
    *fields = (bide_http_fields){0};
}

void bide_http_fields_free(bide_http_fields *fields)
{
    if (!fields)
        return;
    bide__http_fields_fini(fields);
    free(fields);
}

static int make_room(bide_http_fields *fields)
{
    if (fields->n < fields->capacity)
        return 0;
    size_t capacity = fields->capacity > 0 ? 2 * fields->capacity : FIELDS_FIRST;
    struct bide_http_field *all = realloc(fields->all, capacity * sizeof *all);
    if (!all)
        return -ENOMEM;
    fields->all = all;
    fields->capacity = capacity;
    return 0;
}

/* White space around a value is no part of it. */
static const char *trim(const char *value, size_t *ret_size)
{
    value += strspn(value, " \t");
    size_t size = strlen(value);
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        size--;
    *ret_size = size;
    return value;
}

int bide_http_fields_add(bide_http_fields *fields, const char *name, const char *value)
{
    if (!fields || !name || !value || !bide__http_is_name(name) || !bide__http_is_value(value))
        return -EINVAL;
    size_t name_size = strlen(name), value_size;
    value = trim(value, &value_size);
    size_t n_bytes = name_size + value_size + FIELD_EXTRA;
    if (n_bytes > FIELDS_BYTES_MAX - fields->n_bytes)
        return -E2BIG;
    int rc = make_room(fields);
    char *copy = rc == 0 ? malloc(name_size + value_size + 2) : NULL;
    if (!copy)
        return -ENOMEM;
    memcpy(copy, name, name_size + 1);
    memcpy(copy + name_size + 1, value, value_size);
    copy[name_size + 1 + value_size] = '\0';
    fields->all[fields->n++] = (struct bide_http_field){copy, copy + name_size + 1};
    fields->n_bytes += n_bytes;
    return 0;
}

/* Takes out those of the first `n` that have the name. */
static int remove_of(bide_http_fields *fields, const char *name, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->n; i++) {
        if (i < n && strcasecmp(fields->all[i].name, name) == 0)
            field_free(fields, i);
        else
            fields->all[kept++] = fields->all[i];
    }
    int n_removed = (int)(fields->n - kept);
    fields->n = kept;
    return n_removed;
}

int bide_http_fields_set(bide_http_fields *fields, const char *name, const char *value)
{
    size_t n = fields ? fields->n : 0;
    int rc = bide_http_fields_add(fields, name, value);
    if (rc == 0)
        remove_of(fields, name, n);
    return rc;
}

int bide_http_fields_remove(bide_http_fields *fields, const char *name)
{
    return fields && name ? remove_of(fields, name, fields->n) : -EINVAL;
}

const char *bide_http_fields_get(const bide_http_fields *fields, const char *name)
{
    if (!fields || !name)
        return NULL;
    for (size_t i = 0; i < fields->n; i++)
        if (strcasecmp(fields->all[i].name, name) == 0)
            return fields->all[i].value;
    return NULL;
}

const struct bide_http_field *bide_http_fields_all(const bide_http_fields *fields, size_t *ret_n)
{
    if (ret_n)
        *ret_n = fields ? fields->n : 0;
    return fields && fields->n > 0 ? fields->all : NULL;
}

char *bide__http_fields_write(const bide_http_fields *fields, char *to)
{
    for (size_t i = 0; i < fields->n; i++) {
        to = stpcpy(to, fields->all[i].name);
        to = mempcpy(to, ": ", 2);
        to = stpcpy(to, fields->all[i].value);
        to = mempcpy(to, "\r\n", 2);
    }
    return to;
}

bool bide_http_list_has(const char *list, const char *token)
{
    if (!list || !token || !*token)
        return false;
    size_t size = strlen(token);
    while (*list) {
        list += strspn(list, " \t,");
        size_t length = strcspn(list, ",");
        size_t trimmed = length;
        while (trimmed > 0 && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed == size && strncasecmp(list, token, size) == 0)
            return true;
        list += length;
    }
    return false;
}
