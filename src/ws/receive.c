/*
 * Receiving.
 *
 * Most messages are told where the stream's bytes were read to. What is larger than that, comes in
 * fragments or is compressed is put together in memory of its own, and the rest of a large frame is
 * read right into it.
 */
#include "ws/websocket.h"

#include "base/grow.h"

#include <bide/awaitable.h>
#include <bide/error.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { IN_BYTES = 32768, MESSAGE_BYTES_MIN = 1024, AHEAD_BYTES_MAX = 65536 };
enum { NEEDS_MORE = 2 };

/* Memory */

/* Between messages, and when little came last: as little as can be. An idle peer answers pings, so
 * that this comes to pass. */
static void release_memory(bide_websocket *ws)
{
    if (ws->taking != BIDE__WS_TAKES_NONE || ws->was_full)
        return;
    free(ws->message);
    ws->message = NULL;
    ws->message_capacity = 0;
    if (ws->in == ws->in_inline)
        return;
    free(ws->in);
    ws->in = ws->in_inline;
    ws->in_capacity = BIDE__WS_IN_INLINE;
}

/* More room, if there is memory for it; it was empty. */
static void grow_in(bide_websocket *ws)
{
    char *in = ws->in == ws->in_inline && ws->was_full ? malloc(IN_BYTES + 1) : NULL;
    if (!in)
        return;
    ws->in = in;
    ws->in_capacity = IN_BYTES;
}

int bide__ws_read_ahead(bide_websocket *ws, const char *data, size_t size)
{
    if (size > ws->in_capacity) {
        char *in = malloc(size + 1);
        if (!in)
            return -ENOMEM;
        ws->in = in;
        ws->in_capacity = size;
    }
    if (size > 0)
        memcpy(ws->in, data, size);
    ws->in_end = size;
    return 0;
}

/* Room for so many bytes of the message in all, and a terminator. */
static int reserve(bide_websocket *ws, size_t size)
{
    return bide__grow(&ws->message, &ws->message_capacity, size + 1, MESSAGE_BYTES_MIN);
}

/* Frames */

static int refuse(bide_websocket *ws)
{
    bide__ws_say_close(ws, ws->reader.code, ws->reader.why);
    int error = ws->reader.code == BIDE__WS_TOO_BIG ? -BIDE_ELIMIT : -EBADMSG;
    return bide__ws_fail(ws, error, ws->reader.code, ws->reader.why);
}

static int refuse_with(bide_websocket *ws, unsigned code, const char *why)
{
    bide__ws_reader_refuse(&ws->reader, code, why);
    return refuse(ws);
}

static void take_control(bide_websocket *ws, const struct bide__ws_event *event)
{
    if (event->opcode == BIDE__WS_CLOSE) {
        bide__ws_closed(ws, event->code, event->data, event->size);
    } else if (event->opcode == BIDE__WS_PING && !ws->is_closing) {
        memcpy(ws->pong, event->data, event->size);
        ws->pong_size = (uint8_t)event->size;
        ws->has_pong = true;
        bide__ws_flush_due(ws);
    }
}

/* Bytes that came, through the reader: 1: a piece of a message; NEEDS_MORE; 0: the peer closed; or
 * an error. */
static int take_bytes(bide_websocket *ws, char *data, size_t size, size_t *ret_used)
{
    size_t used = 0;
    for (;;) {
        int64_t n = bide__ws_reader_take(&ws->reader, data + used, size - used, &ws->event);
        if (n < 0)
            return refuse(ws);
        used += (size_t)n;
        *ret_used = used;
        if (ws->event.kind == BIDE__WS_NOTHING)
            return NEEDS_MORE;
        ws->has_event = ws->event.kind == BIDE__WS_DATA;
        if (ws->has_event)
            return 1;
        take_control(ws, &ws->event);
        if (ws->is_closed)
            return 0;
    }
}

/* What reading returned that was no bytes. */
static int end_of_input(bide_websocket *ws, int rc)
{
    if (rc == -ECANCELED || rc == -BIDE_ENOTASK || rc == -EINVAL)
        return rc;
    if (ws->is_freed)
        return -ECONNABORTED;
    if (ws->error < 0)
        return bide_fail(ws->error, "%s", ws->reason);
    if (rc == 0)
        return bide__ws_fail(ws, -BIDE_EINCOMPLETE, BIDE__WS_NO_CLOSE,
                             "the connection ended without a close frame");
    return bide__ws_fail(ws, rc, BIDE__WS_NO_CLOSE, bide_strerror(rc));
}

static int receive(bide_websocket *ws, char *data, size_t size)
{
    if (!ws->stream)
        return end_of_input(ws, -ECONNABORTED);
    int rc = bide_read(ws->stream, data, size);
    if (rc <= 0)
        return end_of_input(ws, rc);
    ws->has_heard = true;
    return rc;
}

/* Whether it is over: 0, an error; 1: it is not. */
static int state(const bide_websocket *ws)
{
    if (ws->error < 0)
        return bide_fail(ws->error, "%s", ws->reason);
    return !ws->is_closed;
}

int bide__ws_next_event(bide_websocket *ws)
{
    int rc = state(ws);
    while (rc > 0) {
        size_t used = 0;
        rc = take_bytes(ws, ws->in + ws->in_begin, ws->in_end - ws->in_begin, &used);
        ws->in_begin += used;
        if (rc != NEEDS_MORE)
            return rc;
        release_memory(ws);
        grow_in(ws);
        ws->in_begin = 0;
        ws->in_end = 0;
        rc = receive(ws, ws->in, ws->in_capacity);
        if (rc > 0) {
            ws->in_end = (size_t)rc;
            ws->was_full = rc >= BIDE__WS_IN_INLINE;
        }
    }
    return rc;
}

int bide__ws_drop_messages(bide_websocket *ws)
{
    int rc;
    ws->drops = true;
    do {
        ws->has_event = false;
        rc = bide__ws_next_event(ws);
    } while (rc > 0);
    return rc;
}

/* Messages */

/* Some bytes of the event into `out`, unpacked: 1: the event has more; 0: it is through; or an
 * error. */
static int unpack(bide_websocket *ws, char *out, size_t room, size_t *ret_size)
{
    struct bide__ws_event *event = &ws->event;
    struct bide__ws_flow flow = {.in = event->data,
                                 .in_size = event->size,
                                 .is_last = event->is_last,
                                 .out = out,
                                 .room = room};
    int rc = bide__ws_inflate_take(&ws->inflate, &flow);
    if (rc == -EBADMSG)
        return refuse_with(ws, BIDE__WS_NOT_TEXT, "a compressed message that is none");
    if (rc < 0)
        return rc;
    size_t size = room - flow.room;
    event->data = flow.in;
    event->size = flow.in_size;
    ws->n_unpacked += size;
    if (ws->n_unpacked > ws->opts.message_bytes)
        return refuse_with(ws, BIDE__WS_TOO_BIG, "a message is too large when unpacked");
    bool is_over = rc == 0 && event->is_last;
    if (event->opcode == BIDE__WS_TEXT && (bide__utf8_check(&ws->utf8, out, size) < size ||
                                           (is_over && !bide__utf8_check_is_whole(&ws->utf8))))
        return refuse_with(ws, BIDE__WS_NOT_TEXT, "a text that is not UTF-8");
    *ret_size = size;
    return rc;
}

static int copy(bide_websocket *ws, char *out, size_t room, size_t *ret_size)
{
    struct bide__ws_event *event = &ws->event;
    size_t size = event->size < room ? event->size : room;
    if (size > 0)
        memcpy(out, event->data, size);
    event->data += size;
    event->size -= size;
    *ret_size = size;
    return event->size > 0;
}

/* A message's first piece. */
static void message_begin(bide_websocket *ws, enum bide__ws_taking taking)
{
    if (ws->taking != BIDE__WS_TAKES_NONE)
        return;
    ws->taking = taking;
    ws->was_first_told = false;
    ws->message_size = 0;
    ws->n_unpacked = 0;
    ws->utf8 = (struct bide__utf8_check){0};
}

/* Unpacked behind what there is of the message; at most one byte more than there may be. */
static int add_unpacked(bide_websocket *ws)
{
    int rc = 1;
    while (rc > 0) {
        size_t limit = ws->opts.message_bytes, n = 0;
        size_t most = limit - ws->message_size;
        size_t want = ws->event.size < limit / 4 ? 4 * ws->event.size + 64 : limit;
        want = want > ws->message_size ? want : ws->message_size;
        want = want < most ? want : most;
        rc = reserve(ws, ws->message_size + want + 1);
        if (rc < 0)
            return rc;
        rc = unpack(ws, ws->message + ws->message_size, want + 1, &n);
        ws->message_size += rc >= 0 ? n : 0;
    }
    return rc;
}

/* The event becomes part of the message: 1 if that is whole, 0, or an error. */
static int add_event(bide_websocket *ws)
{
    struct bide__ws_event *event = &ws->event;
    int rc = 0;
    if (event->is_compressed) {
        rc = add_unpacked(ws);
    } else if (!ws->message || event->data != ws->message + ws->message_size) {
        rc = reserve(ws, ws->message_size + event->size);
        assert(rc < 0 || ws->message);
        if (rc == 0)
            memcpy(ws->message + ws->message_size, event->data, event->size);
    }
    if (rc < 0)
        return rc;
    if (!event->is_compressed)
        ws->message_size += event->size;
    ws->has_event = false;
    return event->is_last;
}

/* The rest of a frame, where it is wanted. */
static int receive_rest(bide_websocket *ws, size_t expected)
{
    size_t used, room = expected < IN_BYTES ? expected : IN_BYTES;
    if (ws->message_size > room)
        room = expected < ws->message_size ? expected : ws->message_size;
    int rc = reserve(ws, ws->message_size + room);
    if (rc < 0)
        return rc;
    rc = receive(ws, ws->message + ws->message_size, room);
    return rc <= 0 ? rc : take_bytes(ws, ws->message + ws->message_size, (size_t)rc, &used);
}

static int next_piece(bide_websocket *ws)
{
    uint64_t expected = bide__ws_reader_expects(&ws->reader);
    int rc = state(ws);
    if (rc <= 0 || ws->in_begin < ws->in_end || ws->taking != BIDE__WS_TAKES_WHOLE ||
        expected < BIDE__WS_IN_INLINE)
        return rc <= 0 ? rc : bide__ws_next_event(ws);
    return receive_rest(ws, (size_t)expected);
}

/* A NUL behind the message. What stands there comes back before anybody reads on. */
static void terminate(bide_websocket *ws, char *end)
{
    ws->end_place = end;
    ws->end_byte = *end;
    *end = '\0';
}

static void tell_message(bide_websocket *ws, char *data, size_t size,
                         struct bide_websocket_message *ret_message)
{
    *ret_message = (struct bide_websocket_message){
        .type = ws->event.opcode == BIDE__WS_TEXT ? BIDE_WEBSOCKET_TEXT : BIDE_WEBSOCKET_BINARY,
        .data = data,
        .size = size};
    terminate(ws, data + size);
    ws->taking = BIDE__WS_TAKES_NONE;
    ws->has_event = false;
}

static int take_whole(bide_websocket *ws, struct bide_websocket_message *ret_message)
{
    for (;;) {
        int rc = ws->has_event ? 1 : next_piece(ws);
        if (rc == NEEDS_MORE)
            continue;
        if (rc <= 0)
            return rc;
        struct bide__ws_event *event = &ws->event;
        message_begin(ws, BIDE__WS_TAKES_WHOLE);
        if (event->is_first && event->is_last && !event->is_compressed) {
            tell_message(ws, ws->in + (event->data - ws->in), event->size, ret_message);
            return 1;
        }
        rc = add_event(ws);
        if (rc < 0)
            return rc;
        if (rc > 0) {
            tell_message(ws, ws->message, ws->message_size, ret_message);
            return 1;
        }
    }
}

static int take_part(bide_websocket *ws, char *buffer, size_t room,
                     struct bide_websocket_part *ret_part)
{
    for (;;) {
        size_t size = 0;
        int rc = ws->has_event ? 1 : bide__ws_next_event(ws);
        if (rc <= 0)
            return rc;
        message_begin(ws, BIDE__WS_TAKES_PARTS);
        rc = ws->event.is_compressed ? unpack(ws, buffer, room, &size)
                                     : copy(ws, buffer, room, &size);
        if (rc < 0)
            return rc;
        bool is_last = rc == 0 && ws->event.is_last;
        ws->has_event = rc > 0;
        if (size == 0 && !is_last)
            continue;
        *ret_part = (struct bide_websocket_part){
            .type = ws->event.opcode == BIDE__WS_TEXT ? BIDE_WEBSOCKET_TEXT : BIDE_WEBSOCKET_BINARY,
            .size = size,
            .is_first = !ws->was_first_told,
            .is_last = is_last};
        ws->was_first_told = true;
        if (is_last)
            ws->taking = BIDE__WS_TAKES_NONE;
        return 1;
    }
}

/* Calls */

/* What begins a suspending call that may have nothing to wait for. */
static int nothing_start(void *object, bide_waker *waker)
{
    (void)object;
    (void)waker;
    return 0;
}

static const struct bide_awaitable nothing = {.name = "message", .start = nothing_start};

static int receive_enter(bide_websocket *ws, enum bide__ws_taking other)
{
    int rc = bide_await_object(&nothing, ws);
    if (rc == 0)
        rc = bide__ws_enter(ws);
    if (rc < 0)
        return rc;
    if (ws->is_receiving || ws->taking == other)
        return bide__ws_leave(ws, ws->is_receiving ? -EBUSY : -EINVAL);
    if (ws->end_place)
        *ws->end_place = ws->end_byte;
    ws->end_place = NULL;
    ws->is_receiving = true;
    return 0;
}

static int receive_leave(bide_websocket *ws, int rc)
{
    ws->is_receiving = false;
    return bide__ws_leave(ws, rc);
}

int bide_websocket_receive(bide_websocket *ws, struct bide_websocket_message *ret_message)
{
    if (!ws || !ret_message)
        return -EINVAL;
    int rc = receive_enter(ws, BIDE__WS_TAKES_PARTS);
    if (rc < 0)
        return rc;
    rc = ws->drops ? bide__ws_drop_messages(ws) : take_whole(ws, ret_message);
    return receive_leave(ws, rc);
}

/* What is no text that a parser takes. */
static int check_json(bide_websocket *ws, const struct bide_websocket_message *message)
{
    if (message->type != BIDE_WEBSOCKET_TEXT)
        return refuse_with(ws, BIDE_WEBSOCKET_UNSUPPORTED, "only JSON, as text, is taken here");
    if (memchr(message->data, '\0', message->size))
        return refuse_with(ws, BIDE__WS_NOT_TEXT, "a NUL in what should be JSON");
    return 1;
}

int bide_websocket_receive_json(bide_websocket *ws, const char **ret_json)
{
    struct bide_websocket_message message;
    if (!ws || !ret_json)
        return -EINVAL;
    int rc = receive_enter(ws, BIDE__WS_TAKES_PARTS);
    if (rc < 0)
        return rc;
    rc = ws->drops ? bide__ws_drop_messages(ws) : take_whole(ws, &message);
    if (rc > 0)
        rc = check_json(ws, &message);
    if (rc > 0)
        *ret_json = message.data;
    return receive_leave(ws, rc);
}

int bide_websocket_receive_part(bide_websocket *ws, void *buffer, size_t size,
                                struct bide_websocket_part *ret_part)
{
    if (!ws || !buffer || size == 0 || !ret_part)
        return -EINVAL;
    int rc = receive_enter(ws, BIDE__WS_TAKES_WHOLE);
    if (rc < 0)
        return rc;
    rc = ws->drops ? bide__ws_drop_messages(ws) : take_part(ws, buffer, size, ret_part);
    return receive_leave(ws, rc);
}
