/*
 * Sending.
 *
 * A message is one frame. A server's goes out from where it is; a client's is masked on the way, in
 * pieces that become frames of their own if it is large. Only who has the turn uses `out`.
 */
#include "ws/websocket.h"

#include <bide/error.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { OUT_BYTES_KEPT = 4096, FRAME_BYTES_MAX = 65536 };

/* Room for that many bytes in `out`. */
static int reserve(bide_websocket *ws, size_t size)
{
    if (size <= ws->out_capacity)
        return 0;
    char *out = realloc(ws->out, size);
    if (!out)
        return -ENOMEM;
    ws->out = out;
    ws->out_capacity = size;
    return 0;
}

static void release(bide_websocket *ws)
{
    if (ws->out_capacity <= OUT_BYTES_KEPT)
        return;
    free(ws->out);
    ws->out = NULL;
    ws->out_capacity = 0;
}

/* Four bytes that nobody can foresee; see RFC 6455, 10.3. */
static int next_mask(bide_websocket *ws, const uint8_t **ret_mask)
{
    if (ws->n_masks == 0) {
        assert(ws->loop);
        struct bide_engine *engine = ws->loop->engine;
        int rc = engine->ops->entropy(engine, ws->masks, sizeof ws->masks);
        if (rc < 0)
            return rc;
        ws->n_masks = sizeof ws->masks / 4;
    }
    *ret_mask = ws->masks + (size_t)4 * --ws->n_masks;
    return 0;
}

/* A frame in one piece of memory: its size. */
static int compose(bide_websocket *ws, char *to, enum bide__ws_opcode opcode, unsigned flags,
                   const char *data, size_t size)
{
    const uint8_t *mask = NULL;
    int rc = ws->is_client ? next_mask(ws, &mask) : 0;
    if (rc < 0)
        return rc;
    size_t n = bide__ws_head_write(to, opcode, flags, size, mask);
    if (mask)
        bide__ws_mask(to + n, data, size, mask, 0);
    else if (size > 0)
        memcpy(to + n, data, size);
    return (int)(n + size);
}

int bide__ws_offer_control(bide_websocket *ws, enum bide__ws_opcode opcode, const char *data,
                           size_t size)
{
    char frame[BIDE__WS_HEAD_MAX + BIDE__WS_CONTROL_MAX];
    int n = compose(ws, frame, opcode, BIDE__WS_FIN, data, size);
    return n < 0 ? n : bide_offer(ws->stream, frame, (size_t)n);
}

/* Why nothing more may be sent; 0 if it may. */
static int refused(const bide_websocket *ws)
{
    if (ws->is_freed || !ws->stream || !ws->loop)
        return -ECONNABORTED;
    if (ws->error < 0)
        return bide_fail(ws->error, "%s", ws->reason);
    return ws->is_closing ? -EPIPE : 0;
}

/* With the turn: a frame of a server's. */
static int write_plain(bide_websocket *ws, enum bide__ws_opcode opcode, unsigned flags,
                       const char *data, size_t size)
{
    size_t n = bide__ws_head_write(ws->out_head, opcode, flags, size, NULL);
    struct iovec pieces[] = {{.iov_base = ws->out_head, .iov_len = n},
                             {.iov_base = (void *)(uintptr_t)data, .iov_len = size}};
    return bide_writev(ws->stream, pieces, 2);
}

/* With the turn: frames of a client's. Between two of them it may be freed, or have said close. */
static int write_masked(bide_websocket *ws, enum bide__ws_opcode opcode, unsigned flags,
                        const char *data, size_t size)
{
    size_t done = 0;
    do {
        size_t n = size - done < FRAME_BYTES_MAX ? size - done : FRAME_BYTES_MAX;
        unsigned fin = done + n == size ? flags & BIDE__WS_FIN : 0;
        unsigned rsv = done == 0 ? flags & BIDE__WS_RSV1 : 0;
        int rc = done > 0 ? refused(ws) : 0;
        if (rc == 0)
            rc = reserve(ws, BIDE__WS_HEAD_MAX + n);
        if (rc == 0)
            rc = compose(ws, ws->out, done == 0 ? opcode : BIDE__WS_CONTINUATION, fin | rsv,
                         data + done, n);
        if (rc > 0)
            rc = bide_write(ws->stream, ws->out, (size_t)rc);
        if (rc < 0 && done > 0 && !ws->is_closing)
            (void)bide__ws_fail(ws, -BIDE_ETORN, BIDE__WS_NO_CLOSE,
                                "a message broke off in the middle");
        if (rc < 0)
            return rc;
        done += n;
    } while (done < size);
    return 0;
}

static int write_frame(bide_websocket *ws, enum bide__ws_opcode opcode, unsigned flags,
                       const char *data, size_t size)
{
    return ws->is_client ? write_masked(ws, opcode, flags, data, size)
                         : write_plain(ws, opcode, flags, data, size);
}

static bool compresses(const bide_websocket *ws, size_t size)
{
    return *ws->extension && ws->deflate.bits > BIDE__WS_BITS_MIN &&
           size >= ws->opts.deflate.size_min;
}

/* A piece, compressed, in memory of its own. */
static int compress(bide_websocket *ws, const char *data, size_t size, bool is_last,
                    char **ret_packed, size_t *ret_size)
{
    int rc = bide__ws_deflate_prepare(&ws->deflate);
    if (rc < 0)
        return rc;
    size_t room = bide__ws_deflate_bound(&ws->deflate, size);
    char *packed = malloc(room);
    if (!packed)
        return -ENOMEM;
    *ret_size = bide__ws_deflate_piece(&ws->deflate, data, size, is_last, packed, room);
    *ret_packed = packed;
    return 0;
}

/* With the turn: a whole message, or a part of one. */
static int put(bide_websocket *ws, enum bide__ws_opcode opcode, unsigned flags, bool is_compressed,
               const char *data, size_t size)
{
    char *packed = NULL;
    int rc = 0;
    if (is_compressed)
        rc = compress(ws, data, size, flags & BIDE__WS_FIN, &packed, &size);
    if (rc == 0)
        rc = write_frame(ws, opcode, flags, packed ? packed : data, size);
    if (rc < 0 && packed)
        bide__ws_deflate_forget(&ws->deflate);
    free(packed);
    release(ws);
    return rc;
}

static bool is_text(const char *data, size_t size)
{
    struct bide__utf8_check utf8 = {0};
    return bide__utf8_check(&utf8, data, size) == size && bide__utf8_check_is_whole(&utf8);
}

/* What an argument can have wrong; 0 if it has nothing. */
static int check(const bide_websocket *ws, enum bide_websocket_type type, const void *data,
                 size_t size)
{
    if (!ws || (type != BIDE_WEBSOCKET_TEXT && type != BIDE_WEBSOCKET_BINARY) ||
        (!data && size > 0))
        return -EINVAL;
    return 0;
}

static enum bide__ws_opcode opcode_of(enum bide_websocket_type type)
{
    return type == BIDE_WEBSOCKET_TEXT ? BIDE__WS_TEXT : BIDE__WS_BINARY;
}

static unsigned first_flags(bool is_compressed)
{
    return is_compressed ? BIDE__WS_RSV1 : 0;
}

int bide_websocket_send(bide_websocket *ws, enum bide_websocket_type type, const void *data,
                        size_t size)
{
    int rc = check(ws, type, data, size);
    if (rc < 0)
        return rc;
    if (type == BIDE_WEBSOCKET_TEXT && !is_text(data, size))
        return -EILSEQ;
    rc = bide__ws_enter(ws);
    if (rc < 0)
        return rc;
    rc = bide_lock_acquire(&ws->turn);
    if (rc == 0) {
        bool is_compressed = compresses(ws, size);
        rc = refused(ws);
        if (rc == 0)
            rc = put(ws, opcode_of(type), BIDE__WS_FIN | first_flags(is_compressed), is_compressed,
                     data, size);
        bide_lock_release(&ws->turn);
        bide__ws_flush_due(ws);
    }
    return bide__ws_leave(ws, rc);
}

int bide_websocket_send_text(bide_websocket *ws, const char *text)
{
    return text ? bide_websocket_send(ws, BIDE_WEBSOCKET_TEXT, text, strlen(text)) : -EINVAL;
}

int bide_websocket_send_json(bide_websocket *ws, const char *json)
{
    return bide_websocket_send_text(ws, json);
}

int bide_websocket_send_binary(bide_websocket *ws, const void *data, size_t size)
{
    return bide_websocket_send(ws, BIDE_WEBSOCKET_BINARY, data, size);
}

/* Parts */

/* With the turn. */
static int put_part(bide_websocket *ws, enum bide_websocket_type type, const void *data,
                    size_t size, bool is_last)
{
    bool is_first = !ws->is_in_message;
    if (!is_first && ws->message_opcode != opcode_of(type))
        return -EINVAL;
    struct bide__utf8_check utf8 = {0};
    if (!is_first)
        utf8 = ws->utf8_out;
    if (type == BIDE_WEBSOCKET_TEXT && (bide__utf8_check(&utf8, data, size) < size ||
                                        (is_last && !bide__utf8_check_is_whole(&utf8))))
        return -EILSEQ;
    int rc = refused(ws);
    if (rc < 0)
        return rc;
    bool is_compressed = is_first ? compresses(ws, is_last ? size : SIZE_MAX)
                                  : ws->is_message_compressed;
    unsigned flags = (is_last ? BIDE__WS_FIN : 0) | (is_first ? first_flags(is_compressed) : 0);
    rc = put(ws, is_first ? opcode_of(type) : BIDE__WS_CONTINUATION, flags, is_compressed, data,
             size);
    if (rc < 0)
        return rc;
    ws->is_in_message = !is_last;
    ws->is_message_compressed = is_compressed;
    ws->message_opcode = opcode_of(type);
    ws->utf8_out = utf8;
    return 0;
}

int bide_websocket_send_part(bide_websocket *ws, enum bide_websocket_type type, const void *data,
                             size_t size, bool is_last)
{
    int rc = check(ws, type, data, size);
    if (rc == 0)
        rc = bide__ws_enter(ws);
    if (rc < 0)
        return rc;
    rc = bide_lock_acquire(&ws->turn);
    if (rc == -EDEADLK) /* it is ours since the first part */
        rc = 0;
    if (rc == 0) {
        rc = put_part(ws, type, data, size, is_last);
        /* Others go on, if only to learn that nothing goes out any more. */
        if (!ws->is_in_message || refused(ws) < 0)
            bide_lock_release(&ws->turn);
        bide__ws_flush_due(ws);
    }
    return bide__ws_leave(ws, rc);
}

/* Without waiting */

static int offer_frame(bide_websocket *ws, enum bide__ws_opcode opcode, unsigned flags,
                       const char *data, size_t size)
{
    if (size > INT32_MAX)
        return -EAGAIN;
    int rc = reserve(ws, BIDE__WS_HEAD_MAX + size);
    if (rc == 0)
        rc = compose(ws, ws->out, opcode, flags, data, size);
    return rc < 0 ? rc : bide_offer(ws->stream, ws->out, (size_t)rc);
}

int bide_websocket_offer(bide_websocket *ws, enum bide_websocket_type type, const void *data,
                         size_t size)
{
    char *packed = NULL;
    int rc = check(ws, type, data, size);
    if (rc < 0)
        return rc;
    if (type == BIDE_WEBSOCKET_TEXT && !is_text(data, size))
        return -EILSEQ;
    if (ws->loop)
        bide__ws_flush_due(ws);
    rc = refused(ws);
    if (rc < 0)
        return rc;
    if (bide_lock_locked(&ws->turn))
        return -EAGAIN;
    bool is_compressed = compresses(ws, size);
    if (is_compressed)
        rc = compress(ws, data, size, true, &packed, &size);
    if (rc == 0)
        rc = offer_frame(ws, opcode_of(type), BIDE__WS_FIN | first_flags(is_compressed),
                         packed ? packed : data, size);
    if (rc < 0 && packed)
        bide__ws_deflate_forget(&ws->deflate);
    free(packed);
    release(ws);
    return rc;
}

int bide_websocket_ping(bide_websocket *ws, const void *data, size_t size)
{
    char frame[BIDE__WS_HEAD_MAX + BIDE__WS_CONTROL_MAX];
    if (!ws || (!data && size > 0) || size > BIDE__WS_CONTROL_MAX)
        return -EINVAL;
    int rc = bide__ws_enter(ws);
    if (rc < 0)
        return rc;
    rc = refused(ws);
    if (rc == 0)
        rc = compose(ws, frame, BIDE__WS_PING, BIDE__WS_FIN, data, size);
    if (rc > 0)
        rc = bide_write(ws->stream, frame, (size_t)rc);
    return bide__ws_leave(ws, rc);
}
