/*
 * The life of a channel: made of a socket, aborted, closed, and what goes on behind its owner's
 * back after that. The invariants stand in channel.h.
 *
 * Closing ends in one of three ways. At once, if nothing is buffered and nothing unread came. By a
 * flush in the background. And, if the peer has sent what nobody read, by ending our side and
 * discarding what still comes until the peer ends too or a second has passed: closing a socket with
 * unread data resets the connection, and the reset may overtake what we sent last.
 */
#include "io/stream/channel.h"

#include "base/time.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { BYTES_DEFAULT = 64 * 1024, LINGER_SECONDS_DEFAULT = 10, DISCARD_BYTES_MAX = 1024 * 1024 };
#define DISCARD_NS (1 * BIDE__NS_PER_S)

static void background_go_on(struct bide__channel *channel);

int bide__channel_opts(const struct bide_stream_opts *opts, struct bide_stream_opts *ret_opts)
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

static void take_sock(struct bide__channel *channel, struct bide_sock *sock)
{
    channel->sock = sock;
    bide__channel_ref(channel);
    bide__list_append(&channel->loop->resources, &channel->resource.node);
}

void bide__channel_open(struct bide__channel *channel, struct bide_sock *sock)
{
    take_sock(channel, sock);
    if (!channel->opts.delay && !channel->plain) /* not every stream socket knows it */
        bide__channel_ops(channel)->sock_setopt(sock, IPPROTO_TCP, TCP_NODELAY, &(int){1},
                                                sizeof(int));
}

/* Nothing of the engine's is left: the channel is its owner's alone. */
static void let_go(struct bide__channel *channel)
{
    bide__list_remove(&channel->resource.node);
    if (channel->kind->closed)
        channel->kind->closed(channel);
    bide__channel_unref(channel);
}

void bide__channel_end(struct bide__channel *channel)
{
    channel->ending = true;
    if (channel->lingering) {
        channel->lingering = false;
        channel->loop->n_lingering--;
    }
    bide__timer_cancel(channel->loop->timers, &channel->timer);
    bide__channel_cancel_recv(channel);
    if (channel->send.state != BIDE_OP_IDLE)
        bide__channel_ops(channel)->cancel(&channel->send);
    bide__channel_settle(channel);
}

void bide__channel_settle(struct bide__channel *channel)
{
    if (channel->lingering && !channel->ending) {
        background_go_on(channel); /* the channel may be gone now */
        return;
    }
    if (!channel->ending || !channel->sock || bide__operation_pending(&channel->recv) ||
        channel->send.state != BIDE_OP_IDLE)
        return;
    bide__channel_ops(channel)->sock_close(channel->sock);
    channel->sock = NULL;
    let_go(channel);
}

static void recv_after(struct bide__operation *operation)
{
    bide__channel_settle(bide__container(operation, struct bide__channel, recv));
}

/* Fails everybody's calls, now and later, and ends. */
static void break_off(struct bide__channel *channel)
{
    struct bide__swap *swap = channel->swap;
    bide__channel_ref(channel);
    if (channel->error == 0 || swap)
        channel->error = -ECONNABORTED;
    bide__channel_fail_output(channel, -ECONNABORTED);
    bide__channel_end(channel);
    if (swap && swap->unwanted)
        swap->unwanted(swap);
    bide__channel_unref(channel);
}

void bide__channel_abort(struct bide__channel *channel)
{
    if (channel->ending)
        return;
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (!channel->plain && channel->sock)
        bide__channel_ops(channel)->sock_setopt(channel->sock, SOL_SOCKET, SO_LINGER, &reset,
                                                sizeof reset);
    break_off(channel);
}

static void channel_forget(struct bide__resource *resource)
{
    struct bide__channel *channel = bide__container(resource, struct bide__channel, resource);
    channel->kind->abandon(channel);
    channel->error = -ECONNABORTED;
    channel->ending = true;
    channel->sock = NULL;
    bide__list_remove(&resource->node);
    bide__list_remove(&channel->flush.node);
    bide__channel_unref(channel);
}

/* The loop closes. */
static void channel_drop(struct bide__resource *resource)
{
    struct bide__channel *channel = bide__container(resource, struct bide__channel, resource);
    channel->kind->abandon(channel);
    break_off(channel);
}

/*
 * Takes what the peer sent and nobody will read: 0 if that was its end, -EAGAIN if more may come,
 * or an error. Sets `discarding` if there was something.
 */
static int discard(struct bide__channel *channel)
{
    static _Thread_local char nowhere[4096];
    while (channel->discarded_bytes < DISCARD_BYTES_MAX) {
        ssize_t n = bide__channel_recv(channel, nowhere, sizeof nowhere);
        if (n <= 0)
            return (int)n;
        channel->discarding = true;
        channel->discarded_bytes += (size_t)n;
    }
    return 0;
}

static void discard_more(struct bide_op *op)
{
    bide__channel_settle(bide__container(op, struct bide__channel, recv.op));
}

/* The peer learns that nothing more comes, and has a while to end as well. */
static void discard_begin(struct bide__channel *channel)
{
    bide__timer_cancel(channel->loop->timers, &channel->timer);
    bide__timer_set(channel->loop->timers, &channel->timer,
                    bide__loop_now_ns(channel->loop) + DISCARD_NS);
    if (!channel->eof_said)
        bide__channel_ops(channel)->sock_shutdown(channel->sock, SHUT_WR);
    channel->recv.op.done = discard_more;
}

/* Everything is flushed: ends at once, or discards until the peer has ended. */
static void part(struct bide__channel *channel)
{
    bool begun = channel->discarding;
    channel->discarding = begun || channel->unread;
    for (;;) {
        int rc = channel->eof || channel->plain ? 0 : discard(channel);
        if (rc != -EAGAIN || !channel->discarding)
            break;
        if (!begun)
            discard_begin(channel);
        begun = true;
        rc = bide__channel_ops(channel)->recv_wait(channel->sock, &channel->recv.op);
        if (rc == BIDE_PENDING)
            return;
        if (rc < 0)
            break;
    }
    bide__channel_end(channel);
}

/* The owner has closed the channel: the next step towards its end. */
static void background_go_on(struct bide__channel *channel)
{
    if (bide__channel_broken(channel) < 0)
        bide__channel_end(channel);
    else if (bide__channel_pending(channel) == 0 && !bide__channel_eof_due(channel) &&
             !bide__operation_pending(&channel->recv))
        part(channel);
}

static void linger_over(struct bide__timer *timer)
{
    struct bide__channel *channel = bide__container(timer, struct bide__channel, timer);
    if (channel->discarding)
        bide__channel_end(channel);
    else
        bide__channel_abort(channel);
}

void bide__channel_farewell(struct bide__channel *channel)
{
    if (channel->sock && channel->sock->parting)
        channel->eof_wanted = true;
    bide__channel_progress(channel);
}

void bide__channel_linger(struct bide__channel *channel, bool unread)
{
    bide_loop *loop = channel->loop;
    if (channel->swap) { /* there is nothing to flush, and the socket is not ours */
        break_off(channel);
        return;
    }
    channel->lingering = true;
    channel->unread = unread;
    loop->n_lingering++;
    bide__timer_set(loop->timers, &channel->timer,
                    bide__deadline_ns(bide__loop_now_ns(loop), channel->opts.linger_seconds));
    bide__channel_settle(channel);
}

int bide__channel_address(const struct bide__channel *channel, bool peer,
                          struct bide_address *ret_address)
{
    if (!channel->sock)
        return -ENOTCONN;
    struct bide_address address = {.length = sizeof address.bytes};
    int rc = bide__channel_ops(channel)->sock_name(channel->sock, peer, (void *)address.bytes,
                                                   &address.length);
    if (rc == 0)
        *ret_address = address;
    return rc;
}

int bide__channel_swap_begin(struct bide__channel *channel, struct bide__swap *swap,
                             struct bide_sock **ret_sock)
{
    if (channel->error < 0)
        return channel->error;
    if (bide__channel_broken(channel) < 0)
        return bide__channel_broken(channel);
    if (!channel->sock || channel->lingering || channel->eof_wanted ||
        bide__channel_pending(channel) > 0 || channel->send.state != BIDE_OP_IDLE ||
        bide__operation_pending(&channel->recv))
        return -EBUSY;
    channel->swap = swap;
    channel->error = -EBUSY;
    *ret_sock = channel->sock;
    channel->sock = NULL;
    return 0;
}

int bide__channel_swap_end(struct bide__channel *channel, struct bide_sock *sock, int error)
{
    assert(channel->swap && !channel->sock);
    channel->swap = NULL;
    if (channel->ending) {
        sock->engine->ops->sock_close(sock);
        let_go(channel);
        return -ECONNABORTED;
    }
    channel->sock = sock;
    channel->error = 0;
    if (error < 0)
        bide__channel_fail_output(channel, error);
    channel->torn = channel->torn || error < 0;
    return error;
}

void bide__channel_init(struct bide__channel *channel, const struct bide__channel_kind *kind,
                        bide_loop *loop, const struct bide_stream_opts *opts)
{
    channel->kind = kind;
    channel->loop = bide__loop_ref(loop);
    channel->refs = 1;
    channel->opts = *opts;
    channel->resource.drop = channel_drop;
    channel->resource.forget = channel_forget;
    channel->recv.after = recv_after;
    bide__timer_init(&channel->timer, linger_over);
    bide__channel_output_init(channel);
}
