/*
 * What HTTP's servers and clients share: header fields, dates, media types, the names of statuses.
 * Part of the library `bide-http`.
 */
#ifndef BIDE_HTTP_H
#define BIDE_HTTP_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* Header fields, in the order in which they were added; a name may be there several times. */
typedef struct bide_http_fields bide_http_fields;

/* One header field. */
struct bide_http_field {
    const char *name;  /* compared without regard to case */
    const char *value; /* without white space around it */
};

/*
 * Makes an empty list of fields.
 *
 * ret_fields: returns owned, to be given back with bide_http_fields_free(). Returns 0, -EINVAL or
 * -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_fields_new(bide_http_fields **ret_fields);

/*
 * Gives a list back.
 *
 * fields: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT void bide_http_fields_free(bide_http_fields *fields);

/*
 * Adds a field behind the others.
 *
 * name, value: copied. Returns 0; -EINVAL: the name is no token, or the value has a control
 * character (a line end would begin a field that nobody meant); -E2BIG: more than 64 KiB of fields;
 * -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_fields_add(bide_http_fields *fields, const char *name, const char *value);

/*
 * Adds a field in the place of all others of its name.
 *
 * Otherwise as bide_http_fields_add().
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_fields_set(bide_http_fields *fields, const char *name, const char *value);

/*
 * Takes out all fields of a name.
 *
 * Returns how many there were, or -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_fields_remove(bide_http_fields *fields, const char *name);

/*
 * The value of the first field of a name, borrowed until the list changes; NULL if there is none.
 *
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT const char *bide_http_fields_get(const bide_http_fields *fields, const char *name);

/*
 * All fields, borrowed until the list changes.
 *
 * ret_n: how many. Returns NULL if there are none.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT const struct bide_http_field *bide_http_fields_all(const bide_http_fields *fields,
                                                               size_t *ret_n);

/*
 * Whether the comma-separated list in a field's value has this token, whatever the case.
 *
 * list: NULL is an empty one.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bool bide_http_list_has(const char *list, const char *token);

/*
 * The phrase that goes with a status, such as "Not Found"; "" if there is none. Static.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT const char *bide_http_reason(int status);

/* Room for a date and its terminator. */
enum {
    BIDE_HTTP_DATE_SIZE = 30, /* bytes */
};

/*
 * Writes a date as HTTP has it: Sun, 06 Nov 1994 08:49:37 GMT.
 *
 * seconds: since 1970-01-01 UTC, of the years 1970 to 9999; others become the nearest of these.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_http_date_print(int64_t seconds, char buffer[BIDE_HTTP_DATE_SIZE]);

/*
 * Reads a date in any of the three forms that RFC 9110 knows.
 *
 * ret_seconds: since 1970-01-01 UTC. A year of two digits is one that lies at most 50 years ahead
 * of `now_seconds`. Returns 0 or -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_http_date_parse(const char *text, int64_t now_seconds, int64_t *ret_seconds);

/*
 * The media type that files of this name usually have, by what stands behind the last dot;
 * "application/octet-stream" if that says nothing. Texts come with "; charset=utf-8". Static.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT const char *bide_http_media_type(const char *name);

BIDE_END_DECLARATIONS

#endif
