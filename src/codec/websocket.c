/* WebSocket frames; the invariants stand in websocket.h. */
#include "codec/websocket.h"

#include <errno.h>
#include <string.h>

enum { FIN = BIDE__WS_FIN, RSV1 = BIDE__WS_RSV1, RSV_OTHERS = 0x30, OPCODE = 0x0f };
enum { MASKED = 0x80, SIZE_BITS = 0x7f, SIZE_IS_2 = 126, SIZE_IS_8 = 127, FIRST_CONTROL = 8 };

/* Writing */

static size_t write_number(char *to, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (char)(number >> 8 * (size - 1 - i));
    return size;
}

size_t bide__ws_head_write(char to[BIDE__WS_HEAD_MAX], enum bide__ws_opcode opcode, unsigned flags,
                           uint64_t size, const uint8_t *mask)
{
    size_t n = 2;
    unsigned short_size = size < SIZE_IS_2     ? (unsigned)size
                          : size <= UINT16_MAX ? SIZE_IS_2
                                               : SIZE_IS_8;
    to[0] = (char)(flags | opcode);
    to[1] = (char)(short_size | (mask ? MASKED : 0u));
    if (short_size >= SIZE_IS_2)
        n += write_number(to + n, size, short_size == SIZE_IS_2 ? 2 : 8);
    if (mask) {
        memcpy(to + n, mask, 4);
        n += 4;
    }
    return n;
}

bool bide__ws_code_is_sendable(unsigned code)
{
    if (code >= 1000 && code <= 1014)
        return code < 1004 || code > 1006;
    return code >= 3000 && code <= 4999;
}

size_t bide__ws_close_write(char to[BIDE__WS_CONTROL_MAX], unsigned code, const char *reason)
{
    if (code == BIDE__WS_NO_CODE)
        return 0;
    size_t size = reason ? strnlen(reason, BIDE__WS_REASON_MAX + 1) : 0;
    if (size > BIDE__WS_REASON_MAX) {
        size = BIDE__WS_REASON_MAX;
        while (size > 0 && ((uint8_t)reason[size] & 0xc0) == 0x80)
            size--;
    }
    write_number(to, code, 2);
    for (size_t i = 0; i < size; i++)
        to[2 + i] = reason[i];
    return 2 + size;
}

/* Reading */

void bide__ws_reader_init(struct bide__ws_reader *reader, bool is_server,
                          const struct bide__ws_limits *limits)
{
    *reader = (struct bide__ws_reader){.wants_mask = is_server, .limits = *limits};
}

int bide__ws_reader_refuse(struct bide__ws_reader *reader, unsigned code, const char *why)
{
    if (reader->code == 0) {
        reader->code = code;
        reader->why = why;
    }
    return -EBADMSG;
}

static int broken(struct bide__ws_reader *reader, const char *why)
{
    return bide__ws_reader_refuse(reader, BIDE__WS_PROTOCOL, why);
}

static bool is_control(const struct bide__ws_reader *reader)
{
    return (reader->head[0] & OPCODE) >= FIRST_CONTROL;
}

static int check_first_byte(struct bide__ws_reader *reader)
{
    uint8_t first = reader->head[0];
    uint8_t opcode = first & OPCODE;
    bool is_data = opcode == BIDE__WS_TEXT || opcode == BIDE__WS_BINARY;
    if (first & RSV_OTHERS || (first & RSV1 && !(is_data && reader->has_compressed)))
        return broken(reader, "a reserved bit is set");
    if (opcode > BIDE__WS_PONG || (opcode > BIDE__WS_BINARY && opcode < BIDE__WS_CLOSE))
        return broken(reader, "an unknown opcode");
    if (is_control(reader))
        return first & FIN ? 0 : broken(reader, "a control frame in fragments");
    if (is_data && reader->is_in_message)
        return broken(reader, "a message begins within another one");
    if (!is_data && !reader->is_in_message)
        return broken(reader, "a continuation of no message");
    return 0;
}

static int check_second_byte(struct bide__ws_reader *reader)
{
    uint8_t second = reader->head[1];
    bool is_masked = second & MASKED;
    if (is_masked != reader->wants_mask)
        return broken(reader, is_masked ? "a masked frame from the server"
                                        : "a frame from the client is not masked");
    if (is_control(reader) && (second & SIZE_BITS) > BIDE__WS_CONTROL_MAX)
        return broken(reader, "a control frame of more than 125 bytes");
    return 0;
}

static size_t size_of_size(const struct bide__ws_reader *reader)
{
    uint8_t size = reader->head[1] & SIZE_BITS;
    return size < SIZE_IS_2 ? 0 : size == SIZE_IS_2 ? 2 : 8;
}

static size_t size_of_head(const struct bide__ws_reader *reader)
{
    if (reader->n_head < 2)
        return 2;
    return 2 + size_of_size(reader) + (reader->wants_mask ? 4 : 0);
}

/* The payload's size, from its first byte on: what is wrong with it is told before the rest. */
static int check_size(struct bide__ws_reader *reader)
{
    size_t n = size_of_size(reader);
    uint64_t size = reader->head[1] & SIZE_BITS;
    if (n == 8 && reader->n_head > 2 && reader->head[2] & 0x80)
        return broken(reader, "a length of more than 63 bits");
    if (reader->n_head < 2 + n)
        return 0;
    if (n > 0)
        size = 0;
    for (size_t i = 0; i < n; i++)
        size = size << 8 | reader->head[2 + i];
    if ((n == 2 && size < SIZE_IS_2) || (n == 8 && size <= UINT16_MAX))
        return broken(reader, "a length that is longer than need be");
    reader->size = size;
    if (is_control(reader))
        return 0;
    uint64_t before = reader->is_in_message ? reader->n_message : 0;
    if (size > reader->limits.frame_bytes)
        return bide__ws_reader_refuse(reader, BIDE__WS_TOO_BIG, "a frame is too large");
    if (before + size > reader->limits.message_bytes)
        return bide__ws_reader_refuse(reader, BIDE__WS_TOO_BIG, "a message is too large");
    return 0;
}

static int head_done(struct bide__ws_reader *reader)
{
    uint8_t first = reader->head[0];
    reader->is_in_payload = true;
    reader->done = 0;
    if (is_control(reader))
        return 0;
    if (!reader->is_in_message) {
        reader->is_in_message = true;
        reader->is_message_fresh = true;
        reader->is_compressed = first & RSV1;
        reader->message = first & OPCODE;
        reader->n_fragments = 0;
        reader->n_message = 0;
        reader->utf8 = (struct bide__utf8_check){0};
    }
    reader->n_message += reader->size;
    if (++reader->n_fragments > reader->limits.n_fragments)
        return bide__ws_reader_refuse(reader, BIDE__WS_TOO_BIG, "a message of too many fragments");
    return 0;
}

/* Bytes of the head: how many it used. */
static int64_t take_head(struct bide__ws_reader *reader, const char *data, size_t size)
{
    size_t used = 0;
    while (used < size && !reader->is_in_payload) {
        int rc = 0;
        reader->head[reader->n_head++] = (uint8_t)data[used++];
        if (reader->n_head == 1)
            rc = check_first_byte(reader);
        else if (reader->n_head == 2)
            rc = check_second_byte(reader);
        if (rc == 0 && reader->n_head >= 2 && reader->n_head <= 2 + size_of_size(reader))
            rc = check_size(reader);
        if (rc == 0 && reader->n_head == size_of_head(reader))
            rc = head_done(reader);
        if (rc < 0)
            return rc;
    }
    return (int64_t)used;
}

static void frame_done(struct bide__ws_reader *reader)
{
    reader->is_in_payload = false;
    reader->n_head = 0;
    if (!is_control(reader) && reader->head[0] & FIN)
        reader->is_in_message = false;
}

/* The byte of the text that is none. What a character lacks at the end of a message is wrong, too.
 */
static int check_text(struct bide__ws_reader *reader, const struct bide__ws_event *event)
{
    if (event->opcode != BIDE__WS_TEXT || event->is_compressed)
        return 0;
    size_t good = bide__utf8_check(&reader->utf8, event->data, event->size);
    if (good < event->size || (event->is_last && !bide__utf8_check_is_whole(&reader->utf8)))
        return bide__ws_reader_refuse(reader, BIDE__WS_NOT_TEXT, "a text that is not UTF-8");
    return 0;
}

/* Up to the payload's end: how many bytes, unmasked. */
static size_t take_payload(struct bide__ws_reader *reader, char *data, size_t size)
{
    uint64_t left = reader->size - reader->done;
    size_t n = size < left ? size : (size_t)left;
    if (reader->wants_mask)
        bide__ws_mask(data, data, n, reader->head + 2 + size_of_size(reader),
                      (size_t)(reader->done & 3));
    reader->done += n;
    return n;
}

static int64_t take_data(struct bide__ws_reader *reader, char *data, size_t size,
                         struct bide__ws_event *event)
{
    size_t n = take_payload(reader, data, size);
    bool is_over = reader->done == reader->size;
    *event = (struct bide__ws_event){.kind = BIDE__WS_DATA,
                                     .opcode = reader->message,
                                     .is_compressed = reader->is_compressed,
                                     .is_first = reader->is_message_fresh,
                                     .is_last = is_over && reader->head[0] & FIN,
                                     .data = data,
                                     .size = n};
    if (n == 0 && !event->is_last) /* an empty fragment, or nothing came */
        event->kind = BIDE__WS_NOTHING;
    else
        reader->is_message_fresh = false;
    int rc = check_text(reader, event);
    if (is_over)
        frame_done(reader);
    return rc < 0 ? rc : (int64_t)n;
}

static int check_close(struct bide__ws_reader *reader, struct bide__ws_event *event)
{
    struct bide__utf8_check utf8 = {0};
    reader->is_closed = true;
    event->code = BIDE__WS_NO_CODE;
    if (event->size == 0)
        return 0;
    if (event->size == 1)
        return broken(reader, "half a close code");
    event->code = (unsigned)((uint8_t)event->data[0] << 8 | (uint8_t)event->data[1]);
    event->data += 2;
    event->size -= 2;
    if (!bide__ws_code_is_sendable(event->code))
        return broken(reader, "a close code that is none");
    if (bide__utf8_check(&utf8, event->data, event->size) < event->size ||
        !bide__utf8_check_is_whole(&utf8))
        return bide__ws_reader_refuse(reader, BIDE__WS_NOT_TEXT, "a reason that is not UTF-8");
    return 0;
}

static int64_t take_control(struct bide__ws_reader *reader, char *data, size_t size,
                            struct bide__ws_event *event)
{
    size_t at = (size_t)reader->done;
    size_t n = take_payload(reader, data, size);
    memcpy(reader->control + at, data, n);
    if (reader->done < reader->size)
        return (int64_t)n;
    *event = (struct bide__ws_event){.kind = BIDE__WS_CONTROL,
                                     .opcode = reader->head[0] & OPCODE,
                                     .data = reader->control,
                                     .size = (size_t)reader->size};
    frame_done(reader);
    int rc = event->opcode == BIDE__WS_CLOSE ? check_close(reader, event) : 0;
    return rc < 0 ? rc : (int64_t)n;
}

int64_t bide__ws_reader_take(struct bide__ws_reader *reader, char *data, size_t size,
                             struct bide__ws_event *ret_event)
{
    int64_t used = 0;
    *ret_event = (struct bide__ws_event){.kind = BIDE__WS_NOTHING};
    if (reader->code != 0)
        return -EBADMSG;
    if (reader->is_closed)
        return (int64_t)size;
    while (ret_event->kind == BIDE__WS_NOTHING) {
        int64_t n;
        if (!reader->is_in_payload)
            n = take_head(reader, data + used, size - (size_t)used);
        else if (is_control(reader))
            n = take_control(reader, data + used, size - (size_t)used, ret_event);
        else
            n = take_data(reader, data + used, size - (size_t)used, ret_event);
        if (n < 0) {
            ret_event->kind = BIDE__WS_NOTHING;
            return n;
        }
        used += n;
        if ((size_t)used == size && !(reader->is_in_payload && reader->done == reader->size))
            break;
    }
    return used;
}
