/*
 * Forms, as browsers send them: names with values, and files.
 *
 * A form of texts alone is sent as application/x-www-form-urlencoded, one with files or data as
 * multipart/form-data. Servers read them with the calls of bide/http_form_read.h; what they have
 * read is such a form, too, and can be sent on.
 */
#ifndef BIDE_HTTP_FORM_H
#define BIDE_HTTP_FORM_H

#include <bide/file.h>

BIDE_BEGIN_DECLARATIONS

/* A form. It may be sent any number of times, also by several fetches at a time. One that was
 * received belongs to the loop that it was received in. */
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
 * Gives a form back; no fetch sends it any more. Received files that nobody saved are gone; large
 * ones are closed by a task of their own, so that the loop does not wait for the disk.
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

/* One field of a form. All is borrowed until the form is given back. */
struct bide_http_form_field {
    const char *name;
    const char *filename; /* as the client calls its file, without folders; it may be empty, and is
                             not to be trusted; NULL: not a file, but a text */
    const char *type;     /* the media type that was said; NULL: none was */
    const char *data;     /* size bytes, with a NUL behind them; NULL: it lies in a file */
    bide_file *file;      /* received, and too large for memory: open for reading and writing, and
                             without a name; NULL: there is none */
    uint64_t size;        /* bytes; of bide_http_form_add_file() 0 */
};

/*
 * How many fields there are, texts and files.
 *
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT size_t bide_http_form_count(const bide_http_form *form);

/*
 * The i-th field, from 0, in the order in which they were added or came.
 *
 * Returns 0, -ENOENT: there are not so many, -EINVAL. Suspends: no. Cancel: not affected. Thread:
 * any, one at a time.
 */
BIDE_EXPORT int bide_http_form_at(const bide_http_form *form, size_t i,
                                  struct bide_http_form_field *ret_field);

/*
 * The first field of that name.
 *
 * Returns 0, -ENOENT: there is none, -EINVAL. Suspends: no. Cancel: not affected. Thread: any, one
 * at a time.
 */
BIDE_EXPORT int bide_http_form_find(const bide_http_form *form, const char *name,
                                    struct bide_http_form_field *ret_field);

/*
 * The first text of that name; NULL if there is none. Files, and texts with a NUL within, are
 * passed over.
 *
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT const char *bide_http_form_get(const bide_http_form *form, const char *name);

/*
 * Makes what the i-th field has the whole content of a file: all of it, or the file is as it was.
 *
 * path: borrowed until return; never made of what a client says. Returns 0; -ENOENT: there is no
 * such field; -EINVAL, also of one that was added by its path; -BIDE_EINCOMPLETE: somebody has made
 * the received file shorter; or as bide_file_store() and bide_file_read_at(). Suspends: yes.
 * Cancel: as bide_file_store(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_form_save(const bide_http_form *form, size_t i, const char *path);

BIDE_END_DECLARATIONS

#endif
