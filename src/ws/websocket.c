/* The life of a WebSocket: made, watched by the clock, closed, freed. The invariants stand in
 * websocket.h. */
#include "ws/websocket.h"

#include <bide/error.h>
#include <bide/task.h>
#include <bide/timeout.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What finds no room is tried again this often. */
static const double retry_seconds = 0.05;

/* Options */

static bool time_default(double *seconds, double value)
{
    if (*seconds == 0)
        *seconds = value;
    return *seconds > 0;
}

static bool unsigned_default(unsigned *number, unsigned value, unsigned min, unsigned max)
{
    if (*number == 0)
        *number = value;
    return *number >= min && *number <= max;
}

int bide__ws_opts(const struct bide_websocket_opts *opts, struct bide_websocket_opts *ret_opts)
{
    enum { MESSAGE_BYTES = 1024 * 1024, FRAGMENTS = 16384, SIZE_MIN = 128 };
    struct bide_websocket_opts all = opts ? *opts : (struct bide_websocket_opts){0};
    struct bide_websocket_deflate *deflate = &all.deflate;
    if (all.message_bytes == 0)
        all.message_bytes = MESSAGE_BYTES;
    if (all.frame_bytes == 0)
        all.frame_bytes = all.message_bytes;
    if (deflate->size_min == 0)
        deflate->size_min = SIZE_MIN;
    if (!unsigned_default(&all.fragments_max, FRAGMENTS, 1, UINT32_MAX) ||
        !time_default(&all.ping_seconds, 20) || !time_default(&all.pong_seconds, 20) ||
        !time_default(&all.close_seconds, 10) || !time_default(&all.connect_seconds, 30) ||
        !unsigned_default(&deflate->window_bits, 12, 9, BIDE__WS_BITS_MAX) ||
        !unsigned_default(&deflate->peer_bits, 12, 9, BIDE__WS_BITS_MAX) ||
        !unsigned_default(&deflate->memory, 5, 1, 9) ||
        !unsigned_default(&deflate->level, 6, 1, 9) || (all.n_headers > 0 && !all.headers))
        return -EINVAL;
    *ret_opts = all;
    return 0;
}

bool bide__ws_wanted(const struct bide_websocket_opts *opts, bool is_client,
                     struct bide__ws_terms *ret_terms)
{
    const struct bide_websocket_deflate *deflate = &opts->deflate;
    struct bide__ws_terms ours = {.server_forgets = deflate->forget,
                                  .client_forgets = deflate->peer_forgets,
                                  .server_bits = (uint8_t)deflate->window_bits,
                                  .client_bits = (uint8_t)deflate->peer_bits};
    *ret_terms = ours;
    if (is_client)
        *ret_terms = (struct bide__ws_terms){.server_forgets = ours.client_forgets,
                                             .client_forgets = ours.server_forgets,
                                             .server_bits = ours.client_bits,
                                             .client_bits = ours.server_bits};
    return !deflate->off && bide__ws_has_deflate();
}

/* Its memory */

static void ws_delete(bide_websocket *ws)
{
    bide__ws_deflate_fini(&ws->deflate);
    bide__ws_inflate_fini(&ws->inflate);
    if (ws->in != ws->in_inline)
        free(ws->in);
    free(ws->message);
    free(ws->out);
    free(ws->subprotocol);
    free(ws);
}

void bide__ws_unref(bide_websocket *ws)
{
    if (--ws->refs == 0)
        ws_delete(ws);
}

static void forget_loop(bide_websocket *ws)
{
    bide__list_remove(&ws->resource.node);
    if (ws->tick)
        bide_handle_cancel(ws->tick);
    bide_handle_free(ws->tick);
    ws->tick = NULL;
    ws->loop = NULL;
}

/* The tasks that were inside are gone. */
static void ws_drop(struct bide__resource *resource)
{
    bide_websocket *ws = bide__container(resource, bide_websocket, resource);
    forget_loop(ws);
    ws->refs -= ws->inside;
    ws->inside = 0;
    if (ws->error == 0)
        ws->error = -ECONNABORTED;
    if (ws->refs == 0)
        ws_delete(ws);
}

int bide__ws_new(const struct bide_websocket_opts *opts, bool is_client, bide_websocket **ret_ws)
{
    bide_websocket *ws = calloc(1, sizeof *ws);
    if (!ws)
        return -ENOMEM;
    struct bide__ws_limits limits = {.frame_bytes = opts->frame_bytes,
                                     .message_bytes = opts->message_bytes,
                                     .n_fragments = opts->fragments_max};
    bide__ws_reader_init(&ws->reader, !is_client, &limits);
    ws->refs = 1;
    ws->is_client = is_client;
    ws->opts = *opts;
    ws->loop = bide_loop_current();
    ws->in = ws->in_inline;
    ws->in_capacity = BIDE__WS_IN_INLINE;
    ws->close_deadline = INFINITY;
    ws->resource.drop = ws_drop;
    ws->resource.forget = ws_drop;
    bide__list_append(&ws->loop->resources, &ws->resource.node);
    *ret_ws = ws;
    return 0;
}

int bide__ws_open(bide_websocket *ws, const struct bide__ws_terms *terms)
{
    ws->ping_due = bide_time() + ws->opts.ping_seconds;
    bide__ws_tick_at(ws, ws->ping_due);
    if (!terms)
        return ws->error;
    ws->reader.has_compressed = true;
    ws->deflate.bits = ws->is_client ? terms->client_bits : terms->server_bits;
    ws->deflate.forgets = ws->is_client ? terms->client_forgets : terms->server_forgets;
    ws->deflate.level = (uint8_t)ws->opts.deflate.level;
    ws->deflate.memory = (uint8_t)ws->opts.deflate.memory;
    ws->inflate.bits = ws->is_client ? terms->server_bits : terms->client_bits;
    ws->inflate.forgets = ws->is_client ? terms->server_forgets : terms->client_forgets;
    return ws->error;
}

/* Calls */

static int why_not(const bide_websocket *ws)
{
    if (!ws->loop || ws->loop != bide_loop_current())
        return ws->loop && bide_loop_current() ? -EXDEV : -ECONNABORTED;
    return ws->is_freed ? -ECONNABORTED : 0;
}

int bide__ws_enter(bide_websocket *ws)
{
    int rc = why_not(ws);
    if (rc < 0)
        return rc;
    ws->refs++;
    ws->inside++;
    bide__ws_flush_due(ws);
    return 0;
}

int bide__ws_leave(bide_websocket *ws, int rc)
{
    if (ws->is_freed && rc < 0)
        rc = -ECONNABORTED;
    ws->inside--;
    bide__ws_unref(ws);
    return rc;
}

/* The end */

int bide__ws_fail(bide_websocket *ws, int error, unsigned code, const char *why)
{
    if (ws->error == 0) {
        ws->error = error;
        if (ws->code == 0) {
            ws->code = code;
            strncpy(ws->reason, why, BIDE__WS_REASON_MAX);
        }
    }
    bide_event_set(&ws->ended);
    return bide_fail(ws->error, "%s", why);
}

void bide__ws_say_close(bide_websocket *ws, unsigned code, const char *reason)
{
    if (ws->is_closing)
        return;
    ws->close_size = (uint8_t)bide__ws_close_write(ws->close, code, reason);
    ws->has_close = true;
    ws->is_closing = true;
    if (ws->loop) {
        ws->close_deadline = bide_time() + ws->opts.close_seconds;
        bide__ws_tick_at(ws, ws->close_deadline);
    }
    bide__ws_flush_due(ws);
}

void bide__ws_closed(bide_websocket *ws, unsigned code, const char *reason, size_t size)
{
    ws->is_closed = true;
    ws->close_deadline = INFINITY;
    ws->code = code;
    memcpy(ws->reason, reason, size);
    ws->reason[size] = '\0';
    bide__ws_say_close(ws, code, NULL);
    ws->close_deadline = INFINITY;
    bide_event_set(&ws->ended);
}

void bide__ws_flush_due(bide_websocket *ws)
{
    int rc = 0;
    if (!ws->stream || !ws->loop)
        return;
    if (ws->has_pong) {
        rc = bide__ws_offer_control(ws, BIDE__WS_PONG, ws->pong, ws->pong_size);
        ws->has_pong = rc == -EAGAIN;
    }
    if (ws->has_close && rc != -EAGAIN) {
        rc = bide__ws_offer_control(ws, BIDE__WS_CLOSE, ws->close, ws->close_size);
        ws->has_close = rc == -EAGAIN;
    }
    if (rc == -EAGAIN)
        bide__ws_tick_at(ws, bide_time() + retry_seconds);
}

/* The clock */

static void give_up(bide_websocket *ws, const char *why)
{
    bide__ws_fail(ws, -ETIMEDOUT, BIDE__WS_NO_CLOSE, why);
    bide_abort(ws->stream);
}

/* Nothing was heard for as long as one may be silent. While nobody listens that says nothing. */
static void watch_silence(bide_websocket *ws, double now)
{
    if (ws->has_heard || !ws->is_receiving) {
        ws->has_heard = false;
        ws->has_pinged = false;
        ws->ping_due = now + ws->opts.ping_seconds;
        return;
    }
    if (now < ws->ping_due)
        return;
    if (ws->has_pinged) {
        give_up(ws, "the peer answers no pings");
        return;
    }
    ws->has_pinged = true;
    ws->ping_due = now + ws->opts.pong_seconds;
    (void)bide__ws_offer_control(ws, BIDE__WS_PING, NULL, 0); /* no room: nor does it take any */
}

static int tick(void *data)
{
    bide_websocket *ws = data;
    double now = bide_time();
    bide_handle_free(ws->tick);
    ws->tick = NULL;
    if (!ws->stream || ws->error < 0)
        return 0;
    bide__ws_flush_due(ws);
    if (now >= ws->close_deadline) {
        give_up(ws, "the peer does not answer our close");
        return 0;
    }
    if (!ws->is_closing) {
        if (now >= ws->ping_due)
            watch_silence(ws, now);
        bide__ws_tick_at(ws, ws->ping_due);
    }
    bide__ws_tick_at(ws, ws->close_deadline);
    return 0;
}

/* Without memory for its clock it ends: nothing would ever give a silent peer up. */
void bide__ws_tick_at(bide_websocket *ws, double time)
{
    if (isinf(time) || !ws->loop || ws->error < 0 || (ws->tick && ws->tick_due <= time))
        return;
    if (ws->tick) {
        bide_handle_cancel(ws->tick);
        bide_handle_free(ws->tick);
        ws->tick = NULL;
    }
    ws->tick_due = time;
    if (bide_loop_call_at(ws->loop, time, tick, ws, NULL, &ws->tick) < 0) {
        bide__ws_fail(ws, -ENOMEM, BIDE__WS_NO_CLOSE, "no memory");
        bide_abort(ws->stream);
    }
}

/* What comes before the peer's close frame is dropped, unless somebody else receives it. */
static int close_wait(bide_websocket *ws)
{
    if (ws->is_receiving)
        return bide_event_wait(&ws->ended);
    ws->is_receiving = true;
    int rc = bide__ws_drop_messages(ws);
    ws->is_receiving = false;
    return rc;
}

static bool is_reason(const char *reason)
{
    struct bide__utf8_check utf8 = {0};
    size_t size = reason ? strlen(reason) : 0;
    return size <= BIDE__WS_REASON_MAX && bide__utf8_check(&utf8, reason, size) == size &&
           bide__utf8_check_is_whole(&utf8);
}

int bide_websocket_close(bide_websocket *ws, unsigned code, const char *reason)
{
    if (!ws || (code != 0 && !bide__ws_code_is_sendable(code)) || !is_reason(reason))
        return -EINVAL;
    int rc = bide__ws_enter(ws);
    if (rc < 0)
        return rc;
    if (!bide_current_task())
        return bide__ws_leave(ws, -BIDE_ENOTASK);
    if (ws->error == 0)
        bide__ws_say_close(ws, code == 0 ? BIDE__WS_NORMAL : code, reason);
    while (rc >= 0 && !ws->is_closed && ws->error == 0)
        rc = close_wait(ws);
    if (ws->is_closed && rc >= 0)
        rc = 0;
    else if (ws->error < 0 && rc != -ECANCELED)
        rc = bide_fail(ws->error, "%s", ws->reason);
    return bide__ws_leave(ws, rc);
}

/* What found no room has to go out before the stream is given back. */
static void flush_last(bide_websocket *ws)
{
    bide__ws_flush_due(ws);
    if (ws->has_close && bide_within(ws->opts.close_seconds, bide_drain(ws->stream)) == 0)
        bide__ws_flush_due(ws);
}

void bide_websocket_free(bide_websocket *ws)
{
    if (!ws)
        return;
    bide_stream *stream = ws->stream;
    if (stream && ws->loop && !ws->is_closing && ws->error == 0)
        bide__ws_say_close(ws, BIDE__WS_NORMAL, NULL);
    if (stream && ws->loop)
        flush_last(ws);
    ws->is_freed = true;
    (void)bide_lock_release(&ws->turn); /* within a message of parts; else -EPERM */
    if (ws->loop)
        forget_loop(ws);
    bide__http_upgrade_leave(&ws->upgrade);
    ws->stream = NULL;
    if (ws->is_client)
        bide_close(stream);
    else if (ws->inside > 0) /* calls of other tasks end */
        bide_abort(stream);
    bide_event_set(&ws->ended);
    bide__ws_unref(ws);
}

unsigned bide_websocket_code(const bide_websocket *ws)
{
    return ws ? ws->code : 0;
}

const char *bide_websocket_reason(const bide_websocket *ws)
{
    return ws ? ws->reason : "";
}

const char *bide_websocket_subprotocol(const bide_websocket *ws)
{
    return ws ? ws->subprotocol : NULL;
}

const char *bide_websocket_extension(const bide_websocket *ws)
{
    return ws ? ws->extension : "";
}

size_t bide_websocket_pending(const bide_websocket *ws)
{
    return ws && ws->stream ? bide_stream_pending(ws->stream) : 0;
}
