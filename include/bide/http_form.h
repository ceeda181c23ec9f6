/*
 * Forms, as browsers send them: names with values, and files.
 *
 * A form of texts alone is sent as application/x-www-form-urlencoded, one with files or data as
 * multipart/form-data.
 */
#ifndef BIDE_HTTP_FORM_H
#define BIDE_HTTP_FORM_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* A form. It may be sent any number of times, also by several fetches at a time. */
typedef struct bide_http_form bide_http_form;

/*
 * Makes an empty form.
 *
 * ret_form: returns owned, to be given back with bide_http_form_free(). Returns 0, -EINVAL,
 * -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_form_new(bide_http_form **ret_form);

/*
 * Gives a form back; no fetch sends it any more.
 *
 * form: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT void bide_http_form_free(bide_http_form *form);

/*
 * Adds a text behind the others.
 *
 * name, value: copied. Returns 0, -EINVAL, -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_form_add(bide_http_form *form, const char *name, const char *value);

/*
 * Adds data as if it were a file.
 *
 * name: copied. filename: what the server is told; NULL: none. type: its media type; NULL: what the
 * filename suggests. data: size bytes, copied. Returns 0, -EINVAL (also for a control character in
 * filename or type), -ENOMEM. Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_form_add_data(bide_http_form *form, const char *name,
                                        const char *filename, const char *type, const void *data,
                                        size_t size);

/*
 * Adds a file. It is opened and read when the form is sent.
 *
 * path: copied. filename: NULL: the last part of the path. type: NULL: what the filename suggests.
 * Returns as bide_http_form_add_data(). Suspends: no. Cancel: not affected. Thread: any, one at a
 * time.
 */
BIDE_EXPORT int bide_http_form_add_file(bide_http_form *form, const char *name, const char *path,
                                        const char *filename, const char *type);

BIDE_END_DECLARATIONS

#endif
