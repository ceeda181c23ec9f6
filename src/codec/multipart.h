/*
 * Forms as they are sent: multipart/form-data (RFC 7578 in RFC 2046), from bytes to parts, and
 * application/x-www-form-urlencoded. Pure: no I/O, no memory of its own.
 *
 * There is one way to read every form. What two implementations could read differently is refused:
 * a boundary is recognized wherever it begins a line, and then nothing may follow it but blanks;
 * lines of a part's head end with CR LF and are not folded; each part says its name once.
 *
 * Invariants
 *  - The same bytes give the same parts and the same data, however they were split.
 *  - Data is searched, not copied: what is told lies in what was given, or is a piece of the
 *    boundary that turned out to be none.
 *  - After an error a parser says the same error again.
 */
#ifndef BIDE_CODEC_MULTIPART_H
#define BIDE_CODEC_MULTIPART_H

#include "codec/http1.h"

enum { BIDE__MULTIPART_BOUNDARY_MAX = 70 };

enum bide__multipart_kind {
    BIDE__MULTIPART_MORE,     /* nothing to tell yet */
    BIDE__MULTIPART_PART,     /* a part begins: `name` and the rest say which */
    BIDE__MULTIPART_DATA,     /* some of it */
    BIDE__MULTIPART_PART_END, /* it is whole */
    BIDE__MULTIPART_END,      /* so is the form; whatever comes behind it means nothing */
};

struct bide__multipart_event {
    enum bide__multipart_kind kind;
    const char *data; /* valid as long as what was given, and the parser */
    size_t size;
};

/* Without zeroes. */
struct bide__multipart_limits {
    uint32_t head_bytes; /* of a part's head */
    uint32_t n_fields;   /* in it */
    uint32_t n_parts;
};

/* How many bytes of memory a parser needs. */
static inline size_t bide__multipart_memory(uint32_t head_bytes)
{
    return 2 * ((size_t)head_bytes + 4);
}

struct bide__multipart {
    struct bide__multipart_limits limits;
    uint32_t n_parts; /* that have begun */

    /* Of the part that began last, terminated; valid until its end. */
    const char *name;
    const char *filename;         /* NULL: it is no file */
    const char *type;             /* NULL: none was said */
    struct bide__http1_head head; /* its fields lie in `memory` */

    const char *why; /* in words, static: why it was refused; NULL if it was not */

    int error; /* the parser's own, as all below */
    int state;
    char *memory; /* the head; behind it the texts that were made of it */
    uint32_t n_head;
    uint8_t n_delimiter, n_matched;
    uint8_t n_hollow; /* bytes at the delimiter's beginning that count as if they were there */
    uint8_t n_padding;
    char delimiter[4 + BIDE__MULTIPART_BOUNDARY_MAX];
};

/* Takes the boundary out of a Content-Type. Returns its size; -EMEDIUMTYPE: another type; -EBADMSG,
 * with words: none, or none that can be. */
int bide__multipart_boundary(const char *type, char to[BIDE__MULTIPART_BOUNDARY_MAX],
                             const char **ret_why);

/* boundary: as bide__multipart_boundary() has it. memory: bide__multipart_memory() bytes. fields:
 * limits->n_fields of them. */
void bide__multipart_init(struct bide__multipart *parser, const char *boundary, size_t size,
                          const struct bide__multipart_limits *limits, char *memory,
                          struct bide__http1_field *fields);

/* Takes what came. Returns how many bytes it used, all of them or as many as lead to an event;
 * -EBADMSG or -BIDE_ELIMIT with `why` set. To be called again with the rest. */
int64_t bide__multipart_take(struct bide__multipart *parser, const char *data, size_t size,
                             struct bide__multipart_event *ret_event);

/* The body has ended: 0 if the form has, or -EBADMSG. */
int bide__multipart_end(struct bide__multipart *parser);

/* A pair of a form that is urlencoded; texts, terminated, that may have a NUL within. */
struct bide__form_pair {
    const char *name, *value;
    size_t name_size, value_size;
};

/* Takes the next pair out of a form, in place. at: where it begins, moves on; the byte at `end` is
 * written to. Returns 1, 0 at the end, -EBADMSG: an escape that is none. */
int bide__form_pair_next(char **at, char *end, struct bide__form_pair *ret_pair);

#endif
