/*
 * Bodies of HTTP/1.1 messages; see http1.h.
 *
 * What chunks cost beside their content is limited: each may have a line of a few bytes and twice
 * its content, and beyond that a body has a fixed allowance. So tiny chunks with long extensions
 * are refused, and long bodies with short ones are not.
 */
#include "codec/http1.h"

#include <errno.h>

#include "codec/http1_scan.h"

enum { OVERHEAD_BYTES_MAX = 16384, DIGITS_MAX = 15, CHUNK_ALLOWANCE = 16 };

/* Within a chunk's line, or a trailer's. */
enum step {
    BEGIN,
    DIGITS,
    BLANKS,    /* behind the digits: a semicolon has to follow */
    EXTENSION, /* or a trailer's value */
    NAME,
    AFTER_CR,
};

void bide__http1_body_init(struct bide__http1_body *body, enum bide__http1_framing framing,
                           uint64_t length)
{
    *body = (struct bide__http1_body){.framing = framing, .state = BIDE__HTTP1_BODY_OVER};
    if (framing == BIDE__HTTP1_LENGTH && length > 0) {
        body->state = BIDE__HTTP1_BODY_DATA;
        body->left = length;
    } else if (framing == BIDE__HTTP1_UNTIL_END) {
        body->state = BIDE__HTTP1_BODY_DATA;
        body->left = UINT64_MAX;
    } else if (framing == BIDE__HTTP1_CHUNKED) {
        body->state = BIDE__HTTP1_CHUNK_LINE;
    }
}

static int refuse(struct bide__http1_body *body, const char *why)
{
    body->state = BIDE__HTTP1_BODY_REFUSED;
    body->why = why;
    return -EBADMSG;
}

static bool is_value(char c)
{
    return bide__http1_scan_value_plain(&c, &c + 1) != &c;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int take_digit(struct bide__http1_body *body, int value)
{
    if (body->n_digits == DIGITS_MAX)
        return refuse(body, "a chunk beyond all measure");
    body->n_digits++;
    body->left = body->left * 16 + (uint64_t)value;
    body->step = DIGITS;
    return 0;
}

static int end_chunk_line(struct bide__http1_body *body)
{
    body->state = body->left > 0 ? BIDE__HTTP1_BODY_DATA : BIDE__HTTP1_BODY_TRAILERS;
    body->overhead -= CHUNK_ALLOWANCE + 2 * (int64_t)body->left;
    if (body->overhead < 0)
        body->overhead = 0;
    body->step = BEGIN;
    body->n_digits = 0;
    return 0;
}

/* "1a;name=value" CR LF */
static int chunk_line(struct bide__http1_body *body, char c)
{
    int value = digit_value(c);
    if (body->step == AFTER_CR)
        return c == '\n' ? end_chunk_line(body) : refuse(body, "a CR without its LF");
    if (value >= 0 && (body->step == BEGIN || body->step == DIGITS))
        return take_digit(body, value);
    if (body->step == BEGIN)
        return refuse(body, "no chunk size");
    if (c == '\r' && body->step != BLANKS) {
        body->step = AFTER_CR;
        return 0;
    }
    if (body->step == EXTENSION)
        return is_value(c) ? 0 : refuse(body, "a control character in a chunk's extension");
    if (c == ';')
        body->step = EXTENSION;
    else if (c == ' ' || c == '\t')
        body->step = BLANKS;
    else
        return refuse(body, "a malformed chunk size");
    return 0;
}

/* Fields that would have had a say in where the message ends. */
static bool is_forbidden(const struct bide__http1_body *body)
{
    return bide__http1_is(body->name, body->n_name, "content-length") ||
           bide__http1_is(body->name, body->n_name, "transfer-encoding") ||
           bide__http1_is(body->name, body->n_name, "host");
}

static int end_trailer_line(struct bide__http1_body *body)
{
    if (body->n_name == 0)
        body->state = BIDE__HTTP1_BODY_OVER;
    body->n_name = 0;
    body->step = BEGIN;
    return 0;
}

/* "Name: value" CR LF, or CR LF */
static int trailer_line(struct bide__http1_body *body, char c)
{
    switch (body->step) {
    case AFTER_CR:
        return c == '\n' ? end_trailer_line(body) : refuse(body, "a CR without its LF");
    case EXTENSION:
        if (c == '\r')
            body->step = AFTER_CR;
        else if (!is_value(c))
            return refuse(body, "a control character in a trailer");
        return 0;
    default:
        break;
    }
    if (c == '\r' && body->step == BEGIN) {
        body->step = AFTER_CR;
        return 0;
    }
    if (c == ':' && body->step == NAME) {
        body->step = EXTENSION;
        return is_forbidden(body) ? refuse(body, "a field that no trailer may have") : 0;
    }
    if (!bide__http1_is_token(c))
        return refuse(body, "a malformed trailer");
    body->step = NAME;
    if (body->n_name < sizeof body->name)
        body->name[body->n_name++] = c;
    return 0;
}

static int chunk_end(struct bide__http1_body *body, char c)
{
    if (c != (body->step == AFTER_CR ? '\n' : '\r'))
        return refuse(body, "a chunk that is longer than it says");
    if (body->step == AFTER_CR)
        body->state = BIDE__HTTP1_CHUNK_LINE;
    body->step = body->step == AFTER_CR ? BEGIN : AFTER_CR;
    return 0;
}

static int take_byte(struct bide__http1_body *body, char c)
{
    if (body->state == BIDE__HTTP1_CHUNK_END)
        return chunk_end(body, c);
    if (++body->overhead > OVERHEAD_BYTES_MAX)
        return refuse(body, "more chunk lines and trailers than content");
    return body->state == BIDE__HTTP1_CHUNK_LINE ? chunk_line(body, c) : trailer_line(body, c);
}

static size_t take_data(struct bide__http1_body *body, size_t size)
{
    size_t n = body->left < size ? (size_t)body->left : size;
    if (body->framing != BIDE__HTTP1_UNTIL_END)
        body->left -= n;
    if (body->left == 0)
        body->state = body->framing == BIDE__HTTP1_CHUNKED ? BIDE__HTTP1_CHUNK_END
                                                           : BIDE__HTTP1_BODY_OVER;
    return n;
}

int64_t bide__http1_body_take(struct bide__http1_body *body, const char *data, size_t size,
                              const char **ret_data, size_t *ret_size)
{
    size_t n = 0;
    *ret_data = data;
    *ret_size = 0;
    while (n < size) {
        switch (body->state) {
        case BIDE__HTTP1_BODY_OVER:
            return (int64_t)n;
        case BIDE__HTTP1_BODY_REFUSED:
            return -EBADMSG;
        case BIDE__HTTP1_BODY_DATA:
            *ret_data = data + n;
            *ret_size = take_data(body, size - n);
            return (int64_t)(n + *ret_size);
        default:
            if (take_byte(body, data[n]) < 0)
                return -EBADMSG;
            n++;
        }
    }
    return (int64_t)n;
}

int bide__http1_body_end(struct bide__http1_body *body)
{
    if (body->framing == BIDE__HTTP1_UNTIL_END)
        body->state = BIDE__HTTP1_BODY_OVER;
    if (body->state == BIDE__HTTP1_BODY_OVER)
        return 0;
    return body->why ? -EBADMSG : refuse(body, "the connection ended within the body");
}
