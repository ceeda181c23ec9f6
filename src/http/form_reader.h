/* Forms that come, as reading them whole and part by part share it. */
#ifndef BIDE_HTTP_FORM_READER_H
#define BIDE_HTTP_FORM_READER_H

#include "codec/multipart.h"

#include <bide/http_form_read.h>

struct bide_http_form_reader {
    bide_http_request *request;
    struct bide_http_form_opts opts; /* without zeroes */
    bool is_multipart;
    int error;       /* that it ends with; 0: none so far */
    uint64_t n_body; /* bytes of it that came */

    char *buffer; /* what came of the body and was not looked at; a form in a line, whole */
    size_t begin, end, capacity;
    struct bide__multipart parser;
    bool is_all_there; /* the form in a line */
    size_t n_pairs;

    struct bide_http_form_part part;
    bool is_within; /* a part that has not ended */
    bool is_over;
    size_t n_files;
    uint64_t n_part;   /* bytes of it that came */
    const char *piece; /* what came of it and was not taken */
    size_t n_piece;
};

/* The next piece of the part, lent until the next call: 1; 0: it has ended; or an error. */
int bide__http_form_piece(bide_http_form_reader *reader, const char **ret_data, size_t *ret_size);
/* Over a limit: leaves words, and is the form's end. Returns -BIDE_ELIMIT. */
int bide__http_form_too_much(bide_http_form_reader *reader, const char *what, size_t limit);

#endif
