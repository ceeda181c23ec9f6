/*
 * The life of a stream: made of a socket, aborted, closed, and what goes on behind its owner's back
 * after that. The invariants stand in stream.h.
 *
 * Closing ends in one of three ways. At once, if nothing is buffered and nothing unread came. By a
 * flush in the background, if its owner was cancelled. And, if the peer has sent what nobody read,
 * by ending our side and discarding what still comes until the peer ends too or a second has
 * passed: closing a socket with unread data resets the connection, and the reset may overtake what
 * we sent last.
 */
#include "io/stream.h"

#include "base/time.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BYTES_DEFAULT = 64 * 1024, LINGER_SECONDS_DEFAULT = 10, DISCARD_BYTES_MAX = 1024 * 1024 };
#define DISCARD_NS (1 * BIDE__NS_PER_S)

static void stream_drop(struct bide__resource *resource);
static void stream_forget(struct bide__resource *resource);
static void recv_after(struct bide__operation *operation);
static void linger_over(struct bide__timer *timer);
static void background_go_on(bide_stream *stream);

int bide__stream_opts(const struct bide_stream_opts *opts, struct bide_stream_opts *ret_opts)
{
    struct bide_stream_opts all = opts ? *opts : (struct bide_stream_opts){0};
    if (!(all.linger_seconds >= 0))
        return -EINVAL;
    if (all.read_limit_bytes == 0)
        all.read_limit_bytes = BYTES_DEFAULT;
    if (all.write_high_bytes == 0)
        all.write_high_bytes = BYTES_DEFAULT;
    if (all.write_low_bytes == 0)
        all.write_low_bytes = all.write_high_bytes / 4;
    if (all.linger_seconds == 0)
        all.linger_seconds = LINGER_SECONDS_DEFAULT;
    if (all.write_low_bytes > all.write_high_bytes || all.read_limit_bytes > (size_t)1 << 30)
        return -EINVAL;
    *ret_opts = all;
    return 0;
}

/* Without a socket. */
static int stream_new(bide_loop *loop, const struct bide_stream_opts *opts,
                      bide_stream **ret_stream)
{
    struct bide_stream_opts all;
    int rc = bide__stream_opts(opts, &all);
    if (rc < 0)
        return rc;
    bide_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    stream->loop = bide__loop_ref(loop);
    stream->refs = 1;
    stream->opts = all;
    stream->resource.drop = stream_drop;
    stream->resource.forget = stream_forget;
    stream->recv.after = recv_after;
    bide__timer_init(&stream->timer, linger_over);
    bide__stream_output_init(stream);
    *ret_stream = stream;
    return 0;
}

void bide__stream_take_sock(bide_stream *stream, struct bide_sock *sock)
{
    stream->sock = sock;
    bide__stream_ref(stream);
    bide__list_append(&stream->loop->resources, &stream->resource.node);
    if (!stream->opts.delay && !stream->plain) /* not every stream socket knows it */
        bide__stream_ops(stream)->sock_setopt(sock, IPPROTO_TCP, TCP_NODELAY, &(int){1},
                                              sizeof(int));
}

int bide__stream_new(bide_loop *loop, struct bide_sock *sock, const struct bide_stream_opts *opts,
                     bide_stream **ret_stream)
{
    int rc = stream_new(loop, opts, ret_stream);
    if (rc == 0)
        bide__stream_take_sock(*ret_stream, sock);
    return rc;
}

int bide__stream_new_plain(bide_loop *loop, const struct bide_stream_opts *opts,
                           enum bide_direction direction, bide_stream **ret_stream)
{
    int rc = stream_new(loop, opts, ret_stream);
    if (rc < 0)
        return rc;
    (*ret_stream)->plain = true;
    (*ret_stream)->no_input = direction == BIDE_OUTPUT;
    (*ret_stream)->no_output = direction == BIDE_INPUT;
    return 0;
}

int bide_stream_adopt(int fd, const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    struct bide_sock *sock = NULL;
    bide_stream *stream = NULL;
    bide_loop *loop = bide__loop_running;
    int rc = ret_stream ? bide__loop_open(loop) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = stream_new(loop, opts, &stream);
    if (rc < 0)
        return rc;
    rc = loop->engine->ops->sock_adopt(loop->engine, fd, BIDE_ADOPT_STREAM, &sock);
    if (rc < 0) {
        bide__stream_unref(stream);
        return rc;
    }
    bide__stream_take_sock(stream, sock);
    *ret_stream = stream;
    return 0;
}

void bide__stream_unref(bide_stream *stream)
{
    if (--stream->refs > 0)
        return;
    bide__stream_output_fini(stream);
    bide__loop_unref(stream->loop);
    free(stream->in);
    free(stream);
}

/* From now on nothing is started; the socket goes as soon as nothing is pending. */
static void stream_end(bide_stream *stream)
{
    stream->ending = true;
    if (stream->lingering) {
        stream->lingering = false;
        stream->loop->n_lingering--;
    }
    bide__timer_cancel(stream->loop->timers, &stream->timer);
    if (bide__operation_pending(&stream->recv))
        bide__stream_ops(stream)->cancel(&stream->recv.op);
    if (stream->send.state != BIDE_OP_IDLE)
        bide__stream_ops(stream)->cancel(&stream->send);
    bide__stream_settle(stream);
}

void bide__stream_settle(bide_stream *stream)
{
    if (stream->lingering && !stream->ending) {
        background_go_on(stream); /* the stream may be gone now */
        return;
    }
    if (!stream->ending || !stream->sock || bide__operation_pending(&stream->recv) ||
        stream->send.state != BIDE_OP_IDLE)
        return;
    bide__stream_ops(stream)->sock_close(stream->sock);
    stream->sock = NULL;
    bide__list_remove(&stream->resource.node);
    bide__stream_unref(stream);
}

static void recv_after(struct bide__operation *operation)
{
    bide__stream_settle(bide__container(operation, bide_stream, recv));
}

/* Fails everybody's calls, now and later. */
static void stream_fail(bide_stream *stream, int error)
{
    if (stream->error == 0)
        stream->error = error;
    bide__stream_fail_output(stream, error);
}

void bide_abort(bide_stream *stream)
{
    if (!stream || stream->ending)
        return;
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (!stream->plain)
        bide__stream_ops(stream)->sock_setopt(stream->sock, SOL_SOCKET, SO_LINGER, &reset,
                                              sizeof reset);
    bide__stream_ref(stream);
    stream_fail(stream, -ECONNABORTED);
    stream_end(stream);
    bide__stream_unref(stream);
}

/* The tasks that were inside are gone. */
static void stream_abandon(bide_stream *stream)
{
    stream->refs -= stream->inside;
    stream->inside = 0;
    stream->room_coro = NULL;
    stream->writer = NULL;
}

static void stream_forget(struct bide__resource *resource)
{
    bide_stream *stream = bide__container(resource, bide_stream, resource);
    stream_abandon(stream);
    stream->error = -ECONNABORTED;
    stream->ending = true;
    stream->sock = NULL;
    bide__list_remove(&resource->node);
    bide__list_remove(&stream->flush.node);
    bide__stream_unref(stream);
}

/* The loop closes. */
static void stream_drop(struct bide__resource *resource)
{
    bide_stream *stream = bide__container(resource, bide_stream, resource);
    bide__stream_ref(stream);
    stream_abandon(stream);
    stream_fail(stream, -ECONNABORTED);
    stream_end(stream);
    bide__stream_unref(stream);
}

/*
 * Takes what the peer sent and nobody will read: 0 if that was its end, -EAGAIN if more may come,
 * or an error. Sets `discarding` if there was something.
 */
static int discard(bide_stream *stream)
{
    static _Thread_local char nowhere[4096];
    while (stream->discarded_bytes < DISCARD_BYTES_MAX) {
        ssize_t n = bide__stream_ops(stream)->try_recv(stream->sock, nowhere, sizeof nowhere);
        if (n <= 0)
            return (int)n;
        stream->discarding = true;
        stream->discarded_bytes += (size_t)n;
    }
    return 0;
}

static void discard_more(struct bide_op *op)
{
    bide__stream_settle(bide__container(op, bide_stream, recv.op));
}

/* The peer learns that nothing more comes, and has a while to end as well. */
static void discard_begin(bide_stream *stream)
{
    bide__timer_cancel(stream->loop->timers, &stream->timer);
    bide__timer_set(stream->loop->timers, &stream->timer,
                    bide__loop_now_ns(stream->loop) + DISCARD_NS);
    bide__stream_ops(stream)->sock_shutdown(stream->sock, SHUT_WR);
    stream->recv.op.done = discard_more;
}

/* Everything is flushed: ends at once, or discards until the peer has ended. */
static void part(bide_stream *stream)
{
    bool begun = stream->discarding;
    stream->discarding = begun || stream->in_end > stream->in_begin;
    for (;;) {
        int rc = stream->eof || stream->plain ? 0 : discard(stream);
        if (rc != -EAGAIN || !stream->discarding)
            break;
        if (!begun)
            discard_begin(stream);
        begun = true;
        rc = bide__stream_ops(stream)->recv_wait(stream->sock, &stream->recv.op);
        if (rc == BIDE_PENDING)
            return;
        if (rc < 0)
            break;
    }
    stream_end(stream);
}

static bool is_broken(const bide_stream *stream)
{
    return stream->torn || stream->write_error < 0;
}

/* The owner has closed the stream: the next step towards its end. */
static void background_go_on(bide_stream *stream)
{
    if (is_broken(stream))
        stream_end(stream);
    else if (bide__stream_pending(stream) == 0 && !bide__operation_pending(&stream->recv))
        part(stream);
}

static void linger_over(struct bide__timer *timer)
{
    bide_stream *stream = bide__container(timer, bide_stream, timer);
    if (stream->discarding)
        stream_end(stream);
    else
        bide_abort(stream);
}

static void linger(bide_stream *stream)
{
    bide_loop *loop = stream->loop;
    stream->lingering = true;
    loop->n_lingering++;
    bide__timer_set(loop->timers, &stream->timer,
                    bide__deadline_ns(bide__loop_now_ns(loop), stream->opts.linger_seconds));
    bide__stream_settle(stream);
}

/* Other tasks' calls end: readers, those who wait to write, and one that is in the middle of a
 * large write. */
static void expel(bide_stream *stream)
{
    struct bide__list *node;
    if (stream->error == 0)
        stream->error = -ECONNABORTED;
    while ((node = bide__list_pop(&stream->writers)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), -ECONNABORTED);
    while ((node = bide__list_pop(&stream->drainers)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), -ECONNABORTED);
    if (bide__operation_pending(&stream->recv))
        bide__stream_ops(stream)->cancel(&stream->recv.op);
    if (stream->room_coro) {
        bide__wake(stream->room_coro, -ECONNABORTED);
        stream->room_coro = NULL;
    }
    if (stream->big_size > 0)
        bide__stream_ops(stream)->cancel(&stream->send);
}

int bide_close(bide_stream *stream)
{
    if (!stream)
        return 0;
    int rc = 0;
    stream->inside++; /* the owner's handle is this call's now */
    if (!stream->ending) {
        struct bide__coro *coro = bide__coro_current();
        expel(stream);
        bide__stream_flush(stream);
        if (coro)
            rc = bide__stream_wait_room(stream, coro, 0);
        if (!stream->ending)
            linger(stream);
    }
    bide__stream_leave(stream);
    return rc;
}

size_t bide_stream_pending(const bide_stream *stream)
{
    if (!stream)
        return 0;
    size_t n = bide__stream_pending(stream);
    if (stream->send.state == BIDE_OP_IDLE)
        return n;
    size_t skip = stream->big_size > 0 ? 0 : stream->sending_skip;
    return n - skip - stream->send.n_done;
}

int bide_stream_fd(const bide_stream *stream)
{
    return stream && stream->sock ? stream->sock->fd : -1;
}

static int stream_address(const bide_stream *stream, bool peer, struct bide_address *ret_address)
{
    if (!stream || !ret_address)
        return -EINVAL;
    if (!stream->sock)
        return -ENOTCONN;
    struct bide_address address = {.length = sizeof address.bytes};
    int rc = bide__stream_ops(stream)->sock_name(stream->sock, peer, (void *)address.bytes,
                                                 &address.length);
    if (rc == 0)
        *ret_address = address;
    return rc;
}

int bide_stream_peer(const bide_stream *stream, struct bide_address *ret_address)
{
    return stream_address(stream, true, ret_address);
}

int bide_stream_local(const bide_stream *stream, struct bide_address *ret_address)
{
    return stream_address(stream, false, ret_address);
}
