/*
 * Forms as the library's own code sees them: what is sent, and what was received.
 *
 * Invariant: of `data`, `path` and `file` a part has exactly one; `data` is followed by a NUL.
 */
#ifndef BIDE_HTTP_FORM_INTERNAL_H
#define BIDE_HTTP_FORM_INTERNAL_H

#include "http/text.h"

#include <bide/file.h>
#include <bide/http_form.h>

struct bide__http_part {
    char *name;
    char *filename; /* NULL: a text, or data without one */
    char *type;     /* NULL: a text */
    char *data;
    char *path;      /* of a file that is read when it is sent */
    bide_file *file; /* received; it has no name in the file system */
    uint64_t size;   /* of data or file */
};

/* NULL: there are not so many. */
const struct bide__http_part *bide__http_form_part(const bide_http_form *form, size_t i);
/* A new part at the end, all NULL; NULL without memory. */
struct bide__http_part *bide__http_form_part_new(bide_http_form *form);
void bide__http_form_set_multipart(bide_http_form *form);
bool bide__http_form_is_multipart(const bide_http_form *form);
/* "a=b&c=d". */
void bide__http_form_encode(const bide_http_form *form, struct bide__http_text *text);
/* What stands before a part's content. */
void bide__http_part_head(const struct bide__http_part *part, const char *boundary,
                          struct bide__http_text *text);

#endif
