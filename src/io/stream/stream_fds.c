/*
 * Descriptors over Unix streams. They go with the first byte of a message of their own, sent when
 * all that was written before is gone, and are read with their bytes, never ahead.
 */
#include "io/datagram/message.h"
#include "io/stream/stream.h"

#include <string.h>

static ssize_t try_send(bide_stream *stream, const void *data, size_t size, const int *fds,
                        size_t n)
{
    struct bide__channel *channel = &stream->channel;
    struct bide__message message;
    bide__message_out(&message, data, size, NULL);
    bide__message_put_fds(&message, fds, n);
    return bide__channel_ops(channel)->try_send_message(channel->sock, &message.base);
}

/* With the turn. */
static int send_turn(bide_stream *stream, struct bide__coro *coro, const void *data, size_t size,
                     const int *fds, size_t n)
{
    struct bide__channel *channel = &stream->channel;
    int rc = bide__stream_write_refused(stream);
    if (rc < 0)
        return rc;
    bide__channel_flush(channel);
    rc = bide__stream_wait_room(stream, coro, 0);
    for (;;) {
        if (rc == 0)
            rc = bide__stream_write_refused(stream);
        if (rc < 0)
            return rc;
        ssize_t sent = try_send(stream, data, size, fds, n);
        if (sent == -EPIPE || sent == -ECONNRESET)
            bide__channel_fail_output(channel, (int)sent);
        if (sent < 0 && sent != -EAGAIN)
            return (int)sent;
        if (sent > 0) {
            struct iovec rest = {(void *)(uintptr_t)data, size};
            channel->n_written += (size_t)sent;
            rc = bide__channel_add(channel, &rest, 1, size, (size_t)sent);
            if (rc < 0)
                bide__channel_tear(channel);
            return rc;
        }
        rc = bide__stream_wait_sendable(stream, coro);
    }
}

int bide_stream_send_fds(bide_stream *stream, const void *data, size_t size, const int *fds,
                         size_t n)
{
    struct bide__coro *coro;
    if (!stream || !data || size == 0 || (!fds && n > 0) || n > BIDE_FDS_MAX)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = bide__stream_write_refused(stream);
    if (rc < 0)
        return rc;
    bide__stream_enter(stream);
    rc = bide__stream_turn_take(stream, coro);
    if (rc == 0) {
        rc = send_turn(stream, coro, data, size, fds, n);
        bide__stream_turn_give(stream);
    }
    bide__stream_leave(stream);
    return rc;
}

static int try_receive(bide_stream *stream, void *buffer, size_t size, struct bide_fds *fds)
{
    struct bide__channel *channel = &stream->channel;
    struct bide__message message;
    bide__message_in(&message, buffer, size, NULL, fds);
    ssize_t n = bide__channel_ops(channel)->try_recv_message(channel->sock, &message.base);
    if (n == 0)
        channel->eof = true;
    if (n >= 0)
        bide__message_get_fds(&message, fds);
    return (int)n;
}

int bide_stream_receive_fds(bide_stream *stream, void *buffer, size_t size, struct bide_fds *fds)
{
    struct bide__coro *coro;
    if (!buffer || size == 0 || !fds || (!fds->fds && fds->size > 0))
        return -EINVAL;
    int rc = bide__stream_read_begin(stream, &coro);
    if (rc < 0)
        return rc;
    size_t n = bide__stream_take_buffered(stream, buffer, size);
    if (n > 0 || stream->channel.eof) {
        fds->n = 0;
        fds->lost = false;
        return bide__stream_read_end(stream, (int)n);
    }
    do
        rc = try_receive(stream, buffer, size, fds);
    while (rc == -EAGAIN && (rc = bide__stream_wait_readable(stream, coro)) == 0);
    return bide__stream_read_end(stream, rc);
}
