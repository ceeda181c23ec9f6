/*
 * Header fields as the library's own code sees them.
 *
 * Invariant: all names are tokens and no value has a control character, so that a list can be
 * written as it is.
 */
#ifndef BIDE_HTTP_FIELDS_H
#define BIDE_HTTP_FIELDS_H

#include <bide/http.h>

struct bide_http_fields {
    struct bide_http_field *all; /* each name with its value behind it, in one block */
    size_t n;
    size_t capacity;
    size_t n_bytes; /* as they are written, with their ends */
};

/* Takes everything out, and keeps what memory there is for the table. */
void bide__http_fields_clear(bide_http_fields *fields);
/* As bide_http_fields_free() of one that lies in something else. */
void bide__http_fields_fini(bide_http_fields *fields);

/* Writes all of them, each with its CR LF: n_bytes, not terminated. Returns where the end is. */
char *bide__http_fields_write(const bide_http_fields *fields, char *to);

/* Whether it may be a field's name; its value. */
bool bide__http_is_name(const char *name);
bool bide__http_is_value(const char *value);

/* A status with its reason, "404 Not Found"; NULL if it has none. */
const char *bide__http_status(int status);

#endif
