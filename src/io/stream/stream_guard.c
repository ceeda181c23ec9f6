/* Watching a stream whose task does something else; see stream_guard.h. */
#include "io/stream/stream_guard.h"

static void guard_done(struct bide_op *op)
{
    bide_stream *stream = bide__container(op, bide_stream, channel.recv.op);
    struct bide__stream_guard *guard = stream->guard;
    bool was_asked = op->result == -ECANCELED;
    bide__channel_ref(&stream->channel);
    if (guard && !was_asked && !stream->reading)
        guard->came(guard);
    bide__channel_settle(&stream->channel);
    bide__channel_unref(&stream->channel);
}

/* At the end of a turn. */
static void guard_arm(struct bide__flush *flush)
{
    struct bide__stream_guard *guard = bide__container(flush, struct bide__stream_guard, flush);
    bide_stream *stream = guard->stream;
    struct bide__channel *channel = &stream->channel;
    if (stream->reading || channel->ending || channel->lingering || !channel->sock ||
        channel->eof || bide__operation_pending(&channel->recv))
        return;
    channel->recv.op.done = guard_done;
    int rc = bide__channel_ops(channel)->recv_wait(channel->sock, &channel->recv.op);
    if (rc != BIDE_PENDING)
        guard->came(guard);
}

void bide__stream_guard_begin(struct bide__stream_guard *guard, bide_stream *stream)
{
    guard->stream = stream;
    guard->flush.flush = guard_arm;
    bide__list_init(&guard->flush.node);
    stream->guard = guard;
    bide__stream_guard_again(guard);
}

void bide__stream_guard_again(struct bide__stream_guard *guard)
{
    bide__loop_flush_later(guard->stream->channel.loop, &guard->flush);
}

void bide__stream_guard_end(struct bide__stream_guard *guard)
{
    bide__list_remove(&guard->flush.node);
    if (guard->stream)
        guard->stream->guard = NULL;
    guard->stream = NULL;
}

ssize_t bide__stream_guard_take(struct bide__stream_guard *guard, void *buffer, size_t size)
{
    return bide__channel_recv(&guard->stream->channel, buffer, size);
}

ssize_t bide__stream_take_now(bide_stream *stream, void *buffer, size_t size)
{
    const struct bide__channel *channel = &stream->channel;
    if (bide__stream_buffered(stream) > 0)
        return (ssize_t)bide__stream_take_buffered(stream, buffer, size);
    if (channel->error < 0 || channel->torn || channel->ending || !channel->sock || stream->reading)
        return -ECONNABORTED;
    return channel->eof ? 0 : bide__channel_recv(&stream->channel, buffer, size);
}
