/*
 * Bodies that are sent: memory, a file, a form, or what a source gives.
 *
 * Invariant: a body whose size is known gives exactly that many bytes, or an error.
 */
#ifndef BIDE_HTTP_BODY_H
#define BIDE_HTTP_BODY_H

#include "http/form.h"

struct bide_http_fetch_opts;

struct bide__http_out {
    const struct bide_http_fetch_opts *opts;
    bool is_empty; /* there is no body */
    bool is_begun; /* bytes of it were asked for */
    bool is_sized; /* so that `size` is known */
    bool is_multipart;
    bool has_failed; /* it could not be read: not the connection's fault */
    uint64_t size;
    uint64_t given;
    const char *memory;             /* where it lies whole; NULL if it does not */
    bide_file *file;                /* open: the body's, or the part's */
    struct bide__http_text encoded; /* a form of texts; the head of a part */
    size_t encoded_given;
    const struct bide__http_part *part; /* the one that is being sent */
    size_t part_index;
    uint64_t *part_sizes;
    uint64_t content_left; /* of the file, or of the part's content */
    int step;
    char boundary[40];
    char type[80]; /* Content-Type; "": none */
};

/* Finds out the size. Suspends for files. */
int bide__http_out_open(struct bide__http_out *out, const struct bide_http_fetch_opts *opts);
/* The next piece: how many bytes, 0 at the end. May suspend. */
int bide__http_out_read(struct bide__http_out *out, char *buffer, size_t size);
/* To the front again: 0, or -EOPNOTSUPP if that is over. */
int bide__http_out_rewind(struct bide__http_out *out);
/* Does not suspend. */
void bide__http_out_close(struct bide__http_out *out);

#endif
