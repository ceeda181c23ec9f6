/* From bytes to parts; the rules and invariants stand in multipart.h. */
#include "codec/multipart.h"

#include "codec/http1_scan.h"
#include "codec/multipart_head.h"

#include <bide/error.h>
#include <bide/url.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { PADDING_MAX = 64 };

enum state {
    PREAMBLE,
    HEAD,
    DATA,
    BEHIND,   /* a boundary */
    ONE_DASH, /* behind it */
    PADDING,
    LINE_END, /* a CR was there */
    LAST_PADDING,
    LAST_LINE_END,
    EPILOGUE,
    REFUSED,
};

int bide__multipart_refuse(struct bide__multipart *parser, int error, const char *why)
{
    parser->state = REFUSED;
    parser->error = error;
    parser->why = why;
    return error;
}

/* What stands before the first line of the body counts as the end of a line. */
void bide__multipart_init(struct bide__multipart *parser, const char *boundary, size_t size,
                          const struct bide__multipart_limits *limits, char *memory,
                          struct bide__http1_field *fields)
{
    assert(size > 0 && size <= BIDE__MULTIPART_BOUNDARY_MAX);
    *parser = (struct bide__multipart){.limits = *limits,
                                       .state = PREAMBLE,
                                       .memory = memory,
                                       .head.fields = fields,
                                       .n_delimiter = (uint8_t)(4 + size),
                                       .n_matched = 2,
                                       .n_hollow = 2};
    memcpy(parser->delimiter, "\r\n--", 4);
    memcpy(parser->delimiter + 4, boundary, size);
}

/* Data */

static void tell(struct bide__multipart_event *event, enum bide__multipart_kind kind,
                 const char *data, size_t size)
{
    *event = (struct bide__multipart_event){.kind = kind, .data = data, .size = size};
}

/* A boundary that was begun, in what came before. -1: it is none, and what was kept back of it is
 * data; otherwise how many bytes belong to it. */
static int64_t match_more(struct bide__multipart *parser, const char *data, size_t size)
{
    size_t left = (size_t)(parser->n_delimiter - parser->n_matched);
    size_t n = size < left ? size : left;
    if (memcmp(data, parser->delimiter + parser->n_matched, n) != 0)
        return -1;
    parser->n_matched = (uint8_t)(parser->n_matched + n);
    return (int64_t)n;
}

/* Where the boundary is, or at the end of the data what may be the beginning of one. No other part
 * of it is like its first byte, so that nothing is looked at twice. */
static const char *find_delimiter(const struct bide__multipart *parser, const char *data,
                                  size_t size)
{
    const char *end = data + size;
    const char *at = memmem(data, size, parser->delimiter, parser->n_delimiter);
    if (at)
        return at;
    at = size < parser->n_delimiter ? data : end - parser->n_delimiter + 1;
    while ((at = memchr(at, '\r', (size_t)(end - at)))) {
        if (memcmp(at, parser->delimiter, (size_t)(end - at)) == 0)
            return at;
        at++;
    }
    return end;
}

static int64_t take_data(struct bide__multipart *parser, const char *data, size_t size,
                         struct bide__multipart_event *event)
{
    if (parser->n_matched > 0) {
        int64_t n = match_more(parser, data, size);
        if (n >= 0)
            return n;
        size_t kept = (size_t)(parser->n_matched - parser->n_hollow);
        if (kept > 0 && parser->state == DATA)
            tell(event, BIDE__MULTIPART_DATA, parser->delimiter + parser->n_hollow, kept);
        parser->n_matched = 0;
        parser->n_hollow = 0;
        return 0;
    }
    const char *at = find_delimiter(parser, data, size);
    if (at == data)
        return match_more(parser, data, size);
    if (parser->state == DATA)
        tell(event, BIDE__MULTIPART_DATA, data, (size_t)(at - data));
    return at - data;
}

static void delimiter_is_whole(struct bide__multipart *parser, struct bide__multipart_event *event)
{
    if (parser->state == DATA)
        tell(event, BIDE__MULTIPART_PART_END, NULL, 0);
    parser->state = BEHIND;
    parser->n_matched = 0;
    parser->n_hollow = 0;
    parser->n_padding = 0;
}

/* Heads */

static void head_begin(struct bide__multipart *parser)
{
    /* One limit is enough: with two, the way it was split would decide which is passed first. */
    struct bide__http1_limits limits = {.line_bytes = UINT32_MAX,
                                        .head_bytes = parser->limits.head_bytes,
                                        .n_fields = parser->limits.n_fields};
    bide__http1_head_init(&parser->head, BIDE__HTTP1_PART, &limits, parser->head.fields);
    parser->n_head = 0;
    parser->state = HEAD;
}

/* A head that is whole was followed by an empty line: it counts as the end of a line before a
 * boundary, so that a part may be empty. */
static int head_is_whole(struct bide__multipart *parser, struct bide__multipart_event *event)
{
    int rc = bide__multipart_describe(parser);
    if (rc < 0)
        return rc;
    parser->n_parts++;
    parser->state = DATA;
    parser->n_matched = 2;
    parser->n_hollow = 2;
    tell(event, BIDE__MULTIPART_PART, NULL, 0);
    return 0;
}

static int64_t take_head(struct bide__multipart *parser, const char *data, size_t size,
                         struct bide__multipart_event *event)
{
    enum { TOO_LARGE = 431 };
    uint32_t before = parser->n_head;
    size_t room = parser->limits.head_bytes + 2 - before;
    size_t n = size < room ? size : room;
    if (parser->n_parts == parser->limits.n_parts)
        return bide__multipart_refuse(parser, -BIDE_ELIMIT, "more parts than are allowed");
    memcpy(parser->memory + before, data, n);
    parser->n_head += (uint32_t)n;
    int rc = bide__http1_head_parse(&parser->head, parser->memory, parser->n_head);
    if (rc < 0)
        return bide__multipart_refuse(
            parser, parser->head.status == TOO_LARGE ? -BIDE_ELIMIT : -EBADMSG, parser->head.why);
    if (rc == 0)
        return (int64_t)n;
    int described = head_is_whole(parser, event);
    return described < 0 ? described : (int64_t)rc - before;
}

/* Boundaries */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int padding(struct bide__multipart *parser, enum state next)
{
    if (++parser->n_padding > PADDING_MAX)
        return bide__multipart_refuse(parser, -EBADMSG, "too many blanks behind a boundary");
    parser->state = (int)next;
    return 0;
}

static int behind_boundary(struct bide__multipart *parser)
{
    return bide__multipart_refuse(parser, -EBADMSG, "a boundary with something behind it");
}

/* One byte of the line behind a boundary. */
static int take_line(struct bide__multipart *parser, char c, struct bide__multipart_event *event)
{
    switch ((enum state)parser->state) {
    case BEHIND:
        if (c == '-') {
            parser->state = ONE_DASH;
            return 0;
        }
        __attribute__((fallthrough));
    case PADDING:
        if (is_blank(c))
            return padding(parser, PADDING);
        parser->state = LINE_END;
        return c == '\r' ? 0 : behind_boundary(parser);
    case LINE_END:
        head_begin(parser);
        return c == '\n' ? 0 : behind_boundary(parser);
    case ONE_DASH:
        parser->state = LAST_PADDING;
        return c == '-' ? 0 : behind_boundary(parser);
    case LAST_PADDING:
        if (is_blank(c))
            return padding(parser, LAST_PADDING);
        parser->state = LAST_LINE_END;
        return c == '\r' ? 0 : behind_boundary(parser);
    default:
        parser->state = EPILOGUE;
        tell(event, BIDE__MULTIPART_END, NULL, 0);
        return c == '\n' ? 0 : behind_boundary(parser);
    }
}

static int64_t step(struct bide__multipart *parser, const char *data, size_t size,
                    struct bide__multipart_event *event)
{
    switch ((enum state)parser->state) {
    case PREAMBLE:
    case DATA:
        if (parser->n_matched < parser->n_delimiter)
            return take_data(parser, data, size, event);
        delimiter_is_whole(parser, event);
        return 0;
    case HEAD:
        return take_head(parser, data, size, event);
    case EPILOGUE:
        return (int64_t)size;
    case REFUSED:
        return parser->error;
    default: {
        int rc = take_line(parser, *data, event);
        return rc < 0 ? rc : 1;
    }
    }
}

int64_t bide__multipart_take(struct bide__multipart *parser, const char *data, size_t size,
                             struct bide__multipart_event *ret_event)
{
    int64_t used = 0;
    tell(ret_event, BIDE__MULTIPART_MORE, NULL, 0);
    while ((size_t)used < size && ret_event->kind == BIDE__MULTIPART_MORE) {
        int64_t n = step(parser, data + used, size - (size_t)used, ret_event);
        if (n < 0) {
            tell(ret_event, BIDE__MULTIPART_MORE, NULL, 0);
            return n;
        }
        used += n;
    }
    return used;
}

int bide__multipart_end(struct bide__multipart *parser)
{
    bool is_preamble = parser->state == PREAMBLE && parser->n_matched < parser->n_delimiter;
    switch ((enum state)parser->state) {
    case EPILOGUE:
    case LAST_PADDING:
        parser->state = EPILOGUE;
        return 0;
    case REFUSED:
        return parser->error;
    case HEAD:
        return bide__multipart_refuse(parser, -EBADMSG, "it ends within a part's head");
    default:
        return bide__multipart_refuse(parser, -EBADMSG,
                                      is_preamble ? "no boundary in it"
                                                  : "it ends without its last boundary");
    }
}

/* Forms in a line */

/* Takes spaces and escapes out, in place. `end` is behind the text, and becomes a NUL. */
static int decode(char *text, char *end, size_t *ret_size)
{
    size_t size = (size_t)(end - text);
    for (char *plus = text; (plus = memchr(plus, '+', (size_t)(end - plus))); plus++)
        *plus = ' ';
    int n = memchr(text, '%', size) ? bide_url_decode(text, size, text, size + 1) : (int)size;
    if (n < 0)
        return -EBADMSG;
    text[n] = '\0';
    *ret_size = (size_t)n;
    return 0;
}

int bide__form_pair_next(char **at, char *end, struct bide__form_pair *ret_pair)
{
    while (*at < end && **at == '&')
        ++*at;
    if (*at >= end)
        return 0;
    char *name = *at;
    char *pair_end = memchr(name, '&', (size_t)(end - name));
    pair_end = pair_end ? pair_end : end;
    char *equals = memchr(name, '=', (size_t)(pair_end - name));
    char *value = equals ? equals + 1 : pair_end;
    *at = pair_end < end ? pair_end + 1 : end;
    ret_pair->name = name;
    ret_pair->value = value;
    int rc = decode(name, equals ? equals : pair_end, &ret_pair->name_size);
    if (rc == 0)
        rc = decode(value, pair_end, &ret_pair->value_size);
    return rc < 0 ? rc : 1;
}
