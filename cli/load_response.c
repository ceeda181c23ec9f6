/* Reading answers; see load_response.h. */
#include "load_response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum framing { NO_BODY, LENGTH, CHUNKED, UNTIL_END };

/* More bytes into the buffer: how many, 0 at the end of the connection, or an error. */
static int fill(struct load_reader *reader)
{
    if (reader->begin == reader->end) {
        reader->begin = 0;
        reader->end = 0;
    } else if (reader->end == sizeof reader->buffer) {
        if (reader->begin == 0)
            return -EPROTO;
        memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
    }
    int rc = bide_read(reader->stream, reader->buffer + reader->end,
                       sizeof reader->buffer - reader->end);
    if (rc > 0) {
        reader->end += (size_t)rc;
        reader->n_bytes += (uint64_t)rc;
    }
    return rc;
}

/* The head through its empty line, borrowed until the next fill(): its size or an error. */
static int read_head(struct load_reader *reader, const char **ret_head)
{
    for (;;) {
        const char *head = reader->buffer + reader->begin;
        size_t size = reader->end - reader->begin;
        const char *end = size > 0 ? memmem(head, size, "\r\n\r\n", 4) : NULL;
        if (end) {
            *ret_head = head;
            return (int)(end - head) + 4;
        }
        int rc = fill(reader);
        if (rc <= 0)
            return rc < 0 ? rc : size > 0 ? -BIDE_EINCOMPLETE : -ECONNRESET;
    }
}

/* The value of the field in the head, or NULL; it ends with a CR. */
static const char *field(const char *head, size_t size, const char *name)
{
    size_t name_size = strlen(name);
    const char *end = head + size;
    for (const char *line = head; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (!next)
            return NULL;
        if ((size_t)(next - line) > name_size && line[name_size] == ':' &&
            strncasecmp(line, name, name_size) == 0)
            return line + name_size + 1 + strspn(line + name_size + 1, " \t");
        line = next + 1;
    }
    return NULL;
}

static bool value_is(const char *value, const char *text)
{
    return value && strncasecmp(value, text, strlen(text)) == 0;
}

static int skip(struct load_reader *reader, uint64_t n)
{
    for (;;) {
        size_t held = reader->end - reader->begin;
        size_t part = n < held ? (size_t)n : held;
        reader->begin += part;
        n -= part;
        if (n == 0)
            return 0;
        int rc = fill(reader);
        if (rc <= 0)
            return rc < 0 ? rc : -BIDE_EINCOMPLETE;
    }
}

static int skip_line(struct load_reader *reader, uint64_t *ret_number, bool *ret_is_empty)
{
    for (;;) {
        const char *line = reader->buffer + reader->begin;
        size_t size = reader->end - reader->begin;
        const char *end = size > 0 ? memchr(line, '\n', size) : NULL;
        if (end) {
            char *digits_end;
            *ret_number = strtoull(line, &digits_end, 16); /* the line end stops it */
            *ret_is_empty = *line == '\r' || *line == '\n';
            if (!*ret_is_empty && digits_end == line)
                *ret_number = UINT64_MAX;
            reader->begin += (size_t)(end - line) + 1;
            return 0;
        }
        int rc = fill(reader);
        if (rc <= 0)
            return rc < 0 ? rc : -BIDE_EINCOMPLETE;
    }
}

static int skip_chunks(struct load_reader *reader)
{
    uint64_t size;
    bool is_empty;
    int rc;
    while ((rc = skip_line(reader, &size, &is_empty)) == 0) {
        if (is_empty || size > INT64_MAX)
            return -EPROTO;
        if (size == 0)
            break;
        rc = skip(reader, size + 2);
        if (rc < 0)
            return rc;
    }
    while (rc == 0) { /* trailers */
        rc = skip_line(reader, &size, &is_empty);
        if (rc == 0 && is_empty)
            return 0;
    }
    return rc;
}

static int skip_all(struct load_reader *reader)
{
    int rc;
    do {
        reader->begin = reader->end;
        rc = fill(reader);
    } while (rc > 0);
    return rc;
}

static enum framing framing_of(const char *head, size_t size, int status, bool is_head,
                               uint64_t *ret_length)
{
    if (is_head || status < 200 || status == 204 || status == 304)
        return NO_BODY;
    if (value_is(field(head, size, "transfer-encoding"), "chunked"))
        return CHUNKED;
    const char *length = field(head, size, "content-length");
    if (!length)
        return UNTIL_END;
    *ret_length = strtoull(length, NULL, 10);
    return LENGTH;
}

/* "HTTP/1.1 200" */
static int parse_status(const char *head, int size, bool *ret_is_old)
{
    if (size < 14 || memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ')
        return -EPROTO;
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (head[i] < '0' || head[i] > '9')
            return -EPROTO;
        status = status * 10 + (head[i] - '0');
    }
    *ret_is_old = head[7] == '0';
    return status >= 100 ? status : -EPROTO;
}

static int read_one(struct load_reader *reader, bool is_head, struct load_answer *answer)
{
    const char *head;
    uint64_t length = 0;
    bool is_old;
    int size = read_head(reader, &head);
    if (size < 0)
        return size;
    answer->status = parse_status(head, size, &is_old);
    if (answer->status < 0)
        return answer->status;
    const char *connection = field(head, (size_t)size, "connection");
    answer->is_last = is_old ? !value_is(connection, "keep-alive") : value_is(connection, "close");
    enum framing framing = framing_of(head, (size_t)size, answer->status, is_head, &length);
    reader->begin += (size_t)size;
    switch (framing) {
    case LENGTH:
        return skip(reader, length);
    case CHUNKED:
        return skip_chunks(reader);
    case UNTIL_END:
        answer->is_last = true;
        return skip_all(reader);
    default:
        return 0;
    }
}

int load_answer_read(struct load_reader *reader, bool is_head, struct load_answer *ret_answer)
{
    int rc;
    do
        rc = read_one(reader, is_head, ret_answer);
    while (rc == 0 && ret_answer->status < 200);
    return rc;
}
