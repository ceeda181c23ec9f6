/* Heads of HTTP/1.1 messages, line by line; see http1.h. What the fields mean is in http1_fields.c.
 */
#include "codec/http1.h"

#include <errno.h>
#include <string.h>

#include "codec/http1_fields.h"
#include "codec/http1_scan.h"

enum { METHOD_BYTES_MAX = 32, VERSION_BYTES = 8 };

enum { BAD_REQUEST = 400, TARGET_TOO_LONG = 414, FIELDS_TOO_LARGE = 431, NOT_IMPLEMENTED = 501 };
enum { VERSION_UNKNOWN = 505 };

void bide__http1_head_init(struct bide__http1_head *head, enum bide__http1_kind kind,
                           const struct bide__http1_limits *limits,
                           struct bide__http1_field *fields)
{
    *head = (struct bide__http1_head){.kind = kind,
                                      .limits = *limits,
                                      .fields = fields,
                                      .has_first_line = kind == BIDE__HTTP1_TRAILERS ||
                                                        kind == BIDE__HTTP1_PART};
}

int bide__http1_refuse(struct bide__http1_head *head, int status, const char *why)
{
    head->status = status;
    head->why = why;
    return -EBADMSG;
}

static int refuse(struct bide__http1_head *head, const char *why)
{
    return bide__http1_refuse(head, BAD_REQUEST, why);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1" */
static int parse_version(struct bide__http1_head *head, const char *at, size_t size)
{
    if (size != VERSION_BYTES || memcmp(at, "HTTP/", 5) != 0 || !is_digit(at[5]) || at[6] != '.' ||
        !is_digit(at[7]))
        return refuse(head, "no version of HTTP");
    if (at[5] != '1')
        return bide__http1_refuse(head, VERSION_UNKNOWN, "a version other than HTTP/1");
    head->minor_version = at[7] != '0';
    return 0;
}

static struct bide__http1_span span(const char *data, const char *from, const char *to)
{
    return (struct bide__http1_span){.at = (uint32_t)(from - data), .size = (uint32_t)(to - from)};
}

/* "GET /path HTTP/1.1" */
static int parse_request_line(struct bide__http1_head *head, const char *data, const char *line,
                              const char *end)
{
    const char *method_end = line;
    while (method_end < end && bide__http1_is_token(*method_end))
        method_end++;
    if (method_end == line || method_end == end || *method_end != ' ')
        return refuse(head, "no method");
    if (method_end - line > METHOD_BYTES_MAX)
        return bide__http1_refuse(head, NOT_IMPLEMENTED, "a method that nobody has");
    const char *target = method_end + 1;
    const char *target_end = bide__http1_scan_visible(target, end);
    if (target_end == target || target_end == end || *target_end != ' ')
        return refuse(head, "no target");
    head->method = span(data, line, method_end);
    head->target = span(data, target, target_end);
    int rc = parse_version(head, target_end + 1, (size_t)(end - target_end - 1));
    return rc < 0 ? rc : bide__http1_note_target(head, data);
}

/* "HTTP/1.1 200 OK"; the reason may be missing, with its space or without. */
static int parse_status_line(struct bide__http1_head *head, const char *data, const char *line,
                             const char *end)
{
    const char *digits = line + VERSION_BYTES + 1;
    if (end - line < VERSION_BYTES + 4 || line[VERSION_BYTES] != ' ')
        return refuse(head, "no status line");
    int rc = parse_version(head, line, VERSION_BYTES);
    if (rc < 0)
        return rc;
    if (!is_digit(digits[0]) || !is_digit(digits[1]) || !is_digit(digits[2]) || digits[0] == '0')
        return refuse(head, "no status");
    const char *reason = digits + 3;
    if (reason < end && *reason != ' ')
        return refuse(head, "no status");
    if (reason < end)
        reason++;
    if (bide__http1_scan_value(reason, end) != end)
        return refuse(head, "a control character in the reason");
    head->status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    head->reason = span(data, reason, end);
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int parse_field(struct bide__http1_head *head, const char *data, const char *line,
                       const char *end)
{
    const char *name_end = line;
    if (is_blank(*line))
        return refuse(head, "a folded line");
    while (name_end < end && bide__http1_is_token(*name_end))
        name_end++;
    if (name_end == end || *name_end != ':' || name_end == line)
        return refuse(head, name_end < end && is_blank(*name_end) ? "a space in or behind a name"
                                                                  : "no field name");
    const char *value = name_end + 1;
    if (bide__http1_scan_value(value, end) != end)
        return refuse(head, "a control character in a value");
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    if (head->n_fields == head->limits.n_fields)
        return bide__http1_refuse(head, FIELDS_TOO_LARGE, "too many fields");
    struct bide__http1_field *field = &head->fields[head->n_fields++];
    *field = (struct bide__http1_field){.name = span(data, line, name_end),
                                        .value = span(data, value, end)};
    return head->kind == BIDE__HTTP1_PART ? 0 : bide__http1_note_field(head, data, field);
}

/* Servers pass over one empty line before a request: some clients send one behind a body. */
static bool skips(struct bide__http1_head *head)
{
    if (head->kind != BIDE__HTTP1_REQUEST || head->has_first_line || head->has_skipped_line)
        return false;
    head->has_skipped_line = true;
    return true;
}

static int parse_line(struct bide__http1_head *head, const char *data, const char *line,
                      const char *end)
{
    if (head->has_first_line)
        return parse_field(head, data, line, end);
    head->has_first_line = true;
    if (head->kind == BIDE__HTTP1_REQUEST)
        return parse_request_line(head, data, line, end);
    return parse_status_line(head, data, line, end);
}

static int too_long(struct bide__http1_head *head)
{
    if (!head->has_first_line && head->kind == BIDE__HTTP1_REQUEST)
        return bide__http1_refuse(head, TARGET_TOO_LONG, "the first line is too long");
    return bide__http1_refuse(head, FIELDS_TOO_LARGE, "a line is too long");
}

/* `length`: of a line or of what came of it, the CR included. */
static int check_sizes(struct bide__http1_head *head, size_t length)
{
    if (length > (size_t)head->limits.line_bytes + 1)
        return too_long(head);
    if (head->size + length > head->limits.head_bytes)
        return bide__http1_refuse(head, FIELDS_TOO_LARGE, "the head is too large");
    return 0;
}

/* More than this many bytes are never one head's, so that offsets fit. */
static size_t clamp(size_t size)
{
    return size < UINT32_MAX / 2 ? size : UINT32_MAX / 2;
}

int bide__http1_head_parse(struct bide__http1_head *head, const char *data, size_t size)
{
    size = clamp(size);
    while (!head->why) {
        const char *line = data + head->size;
        size_t come = size - head->size;
        const char *end = come > head->scanned
                              ? memchr(line + head->scanned, '\n', come - head->scanned)
                              : NULL;
        size_t length = end ? (size_t)(end - line) : come;
        int rc = check_sizes(head, length);
        if (rc < 0)
            return rc;
        head->scanned = end ? 0 : (uint32_t)come;
        if (!end)
            return 0;
        if (length == 0 || end[-1] != '\r')
            return refuse(head, "a line that ends without CR LF");
        head->size += (uint32_t)length + 1;
        if (length > 1)
            parse_line(head, data, line, end - 1);
        else if (!skips(head))
            return bide__http1_conclude(head) < 0 ? -EBADMSG : (int)head->size;
    }
    return -EBADMSG;
}
