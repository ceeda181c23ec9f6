/* The life of a stream: made of a socket, aborted, closed. The invariants stand in stream.h. */
#include "io/stream/stream.h"

#include "io/stream/stream_guard.h"

#include <stdlib.h>

/* The tasks that were inside are gone. */
static void stream_abandon(struct bide__channel *channel)
{
    bide_stream *stream = bide__container(channel, bide_stream, channel);
    channel->refs -= stream->inside;
    stream->inside = 0;
    stream->room_coro = NULL;
    stream->writer = NULL;
    if (stream->guard)
        bide__stream_guard_end(stream->guard);
}

static void stream_free(struct bide__channel *channel)
{
    bide_stream *stream = bide__container(channel, bide_stream, channel);
    bide__channel_fini(channel);
    free(stream->piece);
    free(stream->big_iov);
    free(stream->in);
    free(stream);
}

static const struct bide__channel_kind stream_kind = {
    .moved = bide__stream_moved, .abandon = stream_abandon, .free = stream_free};

/* Without a socket. */
static int stream_new(bide_loop *loop, const struct bide_stream_opts *opts,
                      bide_stream **ret_stream)
{
    struct bide_stream_opts all;
    int rc = bide__channel_opts(opts, &all);
    if (rc < 0)
        return rc;
    bide_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    bide__channel_init(&stream->channel, &stream_kind, loop, &all);
    bide__list_init(&stream->writers);
    bide__list_init(&stream->drainers);
    *ret_stream = stream;
    return 0;
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
    (*ret_stream)->channel.plain = true;
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

void bide_abort(bide_stream *stream)
{
    if (stream)
        bide__channel_abort(&stream->channel);
}

/* Other tasks' calls end: readers, those who wait to write, and one that is in the middle of a
 * large write. */
static void expel(bide_stream *stream)
{
    struct bide__channel *channel = &stream->channel;
    struct bide__list *node;
    if (channel->error == 0)
        channel->error = -ECONNABORTED;
    while ((node = bide__list_pop(&stream->writers)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), -ECONNABORTED);
    while ((node = bide__list_pop(&stream->drainers)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), -ECONNABORTED);
    bide__channel_cancel_recv(channel);
    if (stream->room_coro) {
        bide__wake(stream->room_coro, -ECONNABORTED);
        stream->room_coro = NULL;
    }
    if (channel->lent_size > 0)
        bide__channel_ops(channel)->cancel(&channel->send);
    if (stream->is_halfway) /* or the end would be said behind the part */
        bide__channel_tear(channel);
}

int bide_close(bide_stream *stream)
{
    if (!stream)
        return 0;
    int rc = 0;
    struct bide__channel *channel = &stream->channel;
    stream->inside++; /* the owner's handle is this call's now */
    if (!channel->ending) {
        struct bide__coro *coro = bide__coro_current();
        expel(stream);
        bide__channel_flush(channel);
        bide__channel_farewell(channel);
        if (coro)
            rc = bide__stream_wait_room(stream, coro, 0);
        if (!channel->ending)
            bide__channel_linger(channel, bide__stream_buffered(stream) > 0);
    }
    bide__stream_leave(stream);
    return rc;
}

size_t bide_stream_pending(const bide_stream *stream)
{
    return stream ? bide__channel_unsent(&stream->channel) : 0;
}

int bide_stream_fd(const bide_stream *stream)
{
    return stream && stream->channel.sock ? stream->channel.sock->fd : -1;
}

static int stream_address(const bide_stream *stream, bool peer, struct bide_address *ret_address)
{
    return stream && ret_address ? bide__channel_address(&stream->channel, peer, ret_address)
                                 : -EINVAL;
}

int bide_stream_peer(const bide_stream *stream, struct bide_address *ret_address)
{
    return stream_address(stream, true, ret_address);
}

int bide_stream_local(const bide_stream *stream, struct bide_address *ret_address)
{
    return stream_address(stream, false, ret_address);
}

int bide__stream_swap_begin(bide_stream *stream, struct bide__swap *swap,
                            struct bide_sock **ret_sock)
{
    if (stream->inside > 0)
        return -EBUSY;
    if (bide__stream_buffered(stream) > 0)
        return -EPROTO;
    return bide__channel_swap_begin(&stream->channel, swap, ret_sock);
}

int bide__stream_swap_end(bide_stream *stream, struct bide_sock *sock, int error)
{
    return bide__channel_swap_end(&stream->channel, sock, error);
}
