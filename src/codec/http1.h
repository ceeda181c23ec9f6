/*
 * HTTP/1.1 (RFC 9112), from bytes to what they say. Pure: no I/O, no memory of its own.
 *
 * There is one way to read every message. What two implementations could read differently is
 * refused, because that is how requests are smuggled past whoever checks them: lines end with CR LF
 * and nothing else; no space stands before a colon and no line is folded; the length of a body is
 * said once, in one way.
 *
 * Invariants
 *  - A head is parsed line by line as it comes; no byte is looked at more often than twice, however
 * it was split.
 *  - All places in a head are offsets from its first byte: the buffer may move between two calls.
 *  - After an error a parser says the same error again; nothing behind it can be trusted.
 */
#ifndef BIDE_CODEC_HTTP1_H
#define BIDE_CODEC_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where something stands in a head. */
struct bide__http1_span {
    uint32_t at;
    uint32_t size;
};

struct bide__http1_field {
    struct bide__http1_span name;
    struct bide__http1_span value; /* without white space around it */
};

/* How much a head may have; without zeroes. */
struct bide__http1_limits {
    uint32_t line_bytes; /* of the first line, and of each other; without their ends */
    uint32_t head_bytes; /* of all lines together */
    uint32_t n_fields;
};

enum bide__http1_kind {
    BIDE__HTTP1_REQUEST,
    BIDE__HTTP1_RESPONSE,
    BIDE__HTTP1_TRAILERS,
    BIDE__HTTP1_PART, /* of a multipart body: fields that mean nothing here */
};

/* What the request's target is. */
enum bide__http1_target {
    BIDE__HTTP1_ORIGIN,    /* "/path?query" */
    BIDE__HTTP1_ABSOLUTE,  /* "http://host/path" */
    BIDE__HTTP1_AUTHORITY, /* "host:port", of CONNECT */
    BIDE__HTTP1_ASTERISK,  /* "*", of OPTIONS */
};

/* How the end of the body is found. */
enum bide__http1_framing {
    BIDE__HTTP1_NO_BODY,
    BIDE__HTTP1_LENGTH,
    BIDE__HTTP1_CHUNKED,
    BIDE__HTTP1_UNTIL_END, /* of the connection; responses only */
};

/* What the fields say about the message itself. */
enum bide__http1_flags {
    BIDE__HTTP1_KEEP_ALIVE = 1, /* the connection goes on behind this message */
    BIDE__HTTP1_UPGRADE = 2,    /* Connection names Upgrade, and there is such a field */
    BIDE__HTTP1_EXPECT = 4,     /* a request that waits for 100 Continue */
};

/* What a Connection field may name. */
enum bide__http1_option {
    BIDE__HTTP1_OPTION_CLOSE = 1,
    BIDE__HTTP1_OPTION_KEEP_ALIVE = 2,
    BIDE__HTTP1_OPTION_UPGRADE = 4,
};

/*
 * Of one head. Set by bide__http1_head_init(); `fields` is memory of the caller's. Below `fields`,
 * everything is valid when the head is complete.
 */
struct bide__http1_head {
    enum bide__http1_kind kind;
    bool is_for_head;    /* a response to HEAD: no body, whatever the fields say */
    bool is_for_connect; /* a response to CONNECT: none either, if it succeeded */
    struct bide__http1_limits limits;
    struct bide__http1_field *fields;
    uint32_t n_fields;
    uint32_t size;    /* of the whole head; so far: where the next line begins */
    uint32_t scanned; /* of that line, what has no end in it */

    struct bide__http1_span method;
    struct bide__http1_span target;
    struct bide__http1_span authority; /* the Host field's, or the target's if it has one */
    struct bide__http1_span reason;
    enum bide__http1_target target_kind;
    int status;            /* of a response; of a request that is refused: what to answer */
    uint8_t minor_version; /* HTTP/1.0: 0; later ones: 1 */
    uint8_t flags;
    enum bide__http1_framing framing;
    uint64_t length; /* of the body, with BIDE__HTTP1_LENGTH */

    const char *why; /* in words, static: why it was refused; NULL if it was not */

    bool has_first_line; /* the parser's own, as all below */
    bool has_skipped_line;
    bool has_host;
    bool has_length;
    bool has_chunked;
    bool has_upgrade;
    uint8_t connection; /* what that field names: enum bide__http1_option */
};

void bide__http1_head_init(struct bide__http1_head *head, enum bide__http1_kind kind,
                           const struct bide__http1_limits *limits,
                           struct bide__http1_field *fields);

/*
 * Goes on parsing. data: all of the head that has come, from its first byte. Returns its size when
 * it is complete, 0 if more must come, or -EBADMSG with `status` and `why` set.
 */
int bide__http1_head_parse(struct bide__http1_head *head, const char *data, size_t size);

/* The value of the first field of that name (in small letters), or one without a size and at 0. */
struct bide__http1_span bide__http1_find(const struct bide__http1_head *head, const char *data,
                                         const char *name);

/* Whether the text is that name, whatever the case of its letters. `name` in small letters. */
bool bide__http1_is(const char *text, size_t size, const char *name);

enum bide__http1_body_state {
    BIDE__HTTP1_BODY_DATA,  /* so many bytes are left: of the body, or of a chunk */
    BIDE__HTTP1_CHUNK_LINE, /* the size of the next chunk is to come */
    BIDE__HTTP1_CHUNK_END,  /* the CR LF behind a chunk's data */
    BIDE__HTTP1_BODY_TRAILERS,
    BIDE__HTTP1_BODY_OVER,
    BIDE__HTTP1_BODY_REFUSED,
};

/* Of one body. Its trailers are checked, and not kept. */
struct bide__http1_body {
    enum bide__http1_framing framing;
    enum bide__http1_body_state state;
    uint64_t left;
    int64_t overhead; /* bytes of chunk lines and trailers, less the content between them */
    uint8_t step;     /* within a line */
    uint8_t n_digits;
    uint8_t n_name; /* of a trailer's name, as far as it is kept */
    char name[20];
    const char *why;
};

void bide__http1_body_init(struct bide__http1_body *body, enum bide__http1_framing framing,
                           uint64_t length);

/*
 * Takes what came. Returns how many bytes of `data` it used, at least 1 unless the body is over or
 * size is 0; or -EBADMSG with `why` set. ret_data, ret_size: the part of them that is the body's
 * content; size 0 if none is. To be called again with the rest.
 */
int64_t bide__http1_body_take(struct bide__http1_body *body, const char *data, size_t size,
                              const char **ret_data, size_t *ret_size);

static inline bool bide__http1_body_over(const struct bide__http1_body *body)
{
    return body->state == BIDE__HTTP1_BODY_OVER;
}

/* The connection has ended: 0 if that is the body's end, -EBADMSG if some of it is missing. */
int bide__http1_body_end(struct bide__http1_body *body);

#endif
