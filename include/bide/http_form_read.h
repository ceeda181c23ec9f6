/*
 * Forms that clients send to a server, of both kinds (see bide/http_form.h): read whole, or part by
 * part as they come.
 *
 *     bide_http_form *form;
 *     int rc = bide_http_form_read(request, NULL, &form);
 *     if (rc < 0)
 *         return rc;                                  400, 413 or 415
 *     const char *title = bide_http_form_get(form, "title");
 *     ...
 *     bide_http_form_free(form);
 *
 * There is one way to read every form: what two programs could read in two ways is refused
 * (-EBADMSG), what is over a limit as well (-BIDE_ELIMIT), and what is no form at all
 * (-EMEDIUMTYPE). bide_error_detail() has the words; a handler that returns these errors answers
 * with 400, 413 or 415. Nothing is read, and no client is told to go on, before type and length
 * were looked at.
 *
 * Texts are what the client sent, which is UTF-8 with browsers, and is not checked.
 */
#ifndef BIDE_HTTP_FORM_READ_H
#define BIDE_HTTP_FORM_READ_H

#include <bide/http_form.h>
#include <bide/http_request.h>

BIDE_BEGIN_DECLARATIONS

/* How much of a form is taken; zeroed fields mean defaults. */
struct bide_http_form_opts {
    uint64_t body_bytes; /* of the whole body; 0: 16 MiB */
    size_t text_bytes;   /* of all names and texts together, and of the body of a form without
                            files as it is sent; 0: 1 MiB */
    size_t field_bytes;  /* of one text; 0: 64 KiB */
    uint64_t file_bytes; /* of one file; 0: as much as the body may have */
    size_t fields_max;   /* texts and files; 0: 1,000 */
    size_t files_max;    /* files; 0: 100 */
    size_t memory_bytes; /* of all files together that stay in memory; what is beyond goes to disk.
                            0: 256 KiB; SIZE_MAX: nothing ever does */
    size_t head_bytes;   /* of the head of one part; 0: 4,096 */
    const char *folder;  /* for what goes to disk; borrowed until return; NULL: /tmp */
};

/*
 * Reads the form in the request's body whole.
 *
 * Texts and small files stay in memory. Larger ones are written to files without a name, so that
 * nothing is left of them whatever happens. opts: borrowed until return; NULL for defaults.
 * ret_form: returns owned, to be given back with bide_http_form_free(). Returns 0; -EMEDIUMTYPE:
 * the request's Content-Type is that of no form, or its body is packed; -EBADMSG: it is malformed;
 * -BIDE_ELIMIT: it is over a limit; -ENOSPC and the like: as bide_file_write() of what goes to
 * disk; -EINVAL, -ENOMEM; otherwise as bide_http_read(). Suspends: yes. Cancel: what came is lost.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_form_read(bide_http_request *request,
                                    const struct bide_http_form_opts *opts,
                                    bide_http_form **ret_form);

/* Reads a form as it comes; the request's. */
typedef struct bide_http_form_reader bide_http_form_reader;

/* One part of a form as it comes. Borrowed until the next part. */
struct bide_http_form_part {
    const char *name;
    const char *filename; /* as in struct bide_http_form_field */
    const char *type;     /* NULL: none was said */
};

/*
 * Begins to read the form in the request's body part by part. Nothing is kept of it, and no memory
 * is needed for what is in it.
 *
 * opts: borrowed until return; NULL for defaults; text_bytes limits forms without files alone, and
 * memory_bytes and folder do not matter. ret_reader: borrowed until the handler returns. Returns 0;
 * -EMEDIUMTYPE, -EBADMSG, -BIDE_ELIMIT: what the request's head says of its body is no form, or too
 * large; -EINVAL, -ENOMEM. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_form_open(bide_http_request *request,
                                    const struct bide_http_form_opts *opts,
                                    bide_http_form_reader **ret_reader);

/*
 * Goes on to the next part. What was not read of the one before is passed over.
 *
 * Returns 1; 0: there is none, and the body has ended; -EBADMSG, -BIDE_ELIMIT: from then on each
 * call says so; -EINVAL; otherwise as bide_http_read(). Suspends: yes. Cancel: nothing is lost but
 * what would have been passed over. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_form_next(bide_http_form_reader *reader,
                                    struct bide_http_form_part *ret_part);

/*
 * Reads of the part what is there, waiting until there is at least one byte.
 *
 * buffer: size bytes, borrowed until return. Returns how many bytes; 0 at the part's end, or if
 * there is none; otherwise as bide_http_form_next(). Suspends: yes. Cancel: nothing was read.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_form_part_read(bide_http_form_reader *reader, void *buffer, size_t size);

/*
 * Reads the rest of the part whole.
 *
 * limit: bytes; 0: the limit of a text. ret_data: terminated by a NUL behind it, borrowed until the
 * handler returns. Returns how many bytes; -BIDE_ELIMIT: it is longer; -ENOMEM; otherwise as
 * bide_http_form_part_read(). Suspends: yes. Cancel: what came of the part is lost. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_http_form_part_read_all(bide_http_form_reader *reader, size_t limit,
                                             char **ret_data);

/*
 * The value of the first field of that name in the part's head; NULL if there is none.
 *
 * Returns borrowed until the next part. Suspends: no. Cancel: not affected. Thread: loop thread
 * only.
 */
BIDE_EXPORT const char *bide_http_form_part_header(const bide_http_form_reader *reader,
                                                   const char *name);

BIDE_END_DECLARATIONS

#endif
