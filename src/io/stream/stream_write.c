/*
 * Writing to streams.
 *
 * A call takes the turn, waits for room, and then either copies everything behind what is buffered
 * or, if it is more than the high-water mark, sends it from the caller's memory.
 */
#include "io/stream/stream.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PIECES_MAX = 1024 };

/* Why nothing may be asked of the output any more; 0 if it may. */
static int output_error(const bide_stream *stream)
{
    const struct bide__channel *channel = &stream->channel;
    if (channel->error == 0 && stream->no_output)
        return -EBADF;
    return channel->error < 0 ? channel->error : bide__channel_broken(channel);
}

int bide__stream_write_refused(const bide_stream *stream)
{
    const struct bide__channel *channel = &stream->channel;
    int rc = output_error(stream);
    return rc == 0 && channel->eof_wanted ? -EPIPE : rc;
}

static bool has_room(const bide_stream *stream, size_t bytes)
{
    const struct bide__channel *channel = &stream->channel;
    return bide__channel_pending(channel) <= bytes &&
           (bytes > 0 || !bide__channel_eof_due(channel));
}

void bide__stream_moved(struct bide__channel *channel)
{
    bide_stream *stream = bide__container(channel, bide_stream, channel);
    int broken = bide__channel_broken(channel);
    struct bide__list *node;
    while (broken < 0 && (node = bide__list_pop(&stream->writers)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), broken);
    struct bide__coro *coro = stream->room_coro;
    if (coro && (broken < 0 || has_room(stream, stream->room_bytes))) {
        stream->room_coro = NULL;
        bide__wake(coro, 0);
    }
    while ((node = bide__list_pop(&stream->drainers)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), 0);
}

static void room_interrupt(struct bide__coro *coro)
{
    bide_stream *stream = coro->wait_data;
    stream->room_coro = NULL;
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind room_wait = {.name = "room to write",
                                                 .interrupt = room_interrupt};

/* Nobody else fills what it was woken for. To look again would put a writer, who was woken before
 * the stream was closed, in the place of who closes. */
int bide__stream_wait_room(bide_stream *stream, struct bide__coro *coro, size_t bytes)
{
    struct bide__channel *channel = &stream->channel;
    int rc = bide__channel_broken(channel);
    if (rc < 0 || has_room(stream, bytes))
        return rc;
    rc = bide__cancel_check(coro);
    if (rc < 0)
        return rc;
    assert(!stream->room_coro);
    stream->room_coro = coro;
    stream->room_bytes = bytes;
    rc = bide__park(coro, &room_wait, stream);
    return rc < 0 ? rc : bide__channel_broken(channel);
}

static void turn_interrupt(struct bide__coro *coro)
{
    bide__list_remove(&coro->waiter.node);
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind turn_wait = {.name = "turn to write",
                                                 .interrupt = turn_interrupt};

static bool turn_is_free(const bide_stream *stream)
{
    return !stream->writer && bide__list_empty(&stream->writers);
}

int bide__stream_turn_take(bide_stream *stream, struct bide__coro *coro)
{
    if (turn_is_free(stream)) {
        stream->writer = coro;
        return 0;
    }
    bide__list_append(&stream->writers, &coro->waiter.node);
    return bide__park(coro, &turn_wait, stream);
}

void bide__stream_turn_give(bide_stream *stream)
{
    struct bide__list *node = bide__list_pop(&stream->writers);
    stream->writer = node ? bide__container(node, struct bide__coro, waiter.node) : NULL;
    if (stream->writer)
        bide__wake(stream->writer, 0);
}

static void big_sent(struct bide_op *op)
{
    bide_stream *stream = bide__container(op, bide_stream, channel.send);
    struct bide__channel *channel = &stream->channel;
    struct bide__coro *coro = stream->writer;
    if (coro && coro->wait)
        bide__wake(coro, op->result);
    bide__channel_settle(channel);
}

static void big_interrupt(struct bide__coro *coro)
{
    bide_stream *stream = coro->wait_data;
    struct bide__channel *channel = &stream->channel;
    bide__channel_ops(channel)->cancel(&channel->send);
}

static const struct bide__wait_kind big_wait = {.name = "send", .interrupt = big_interrupt};

int bide__stream_wait_sendable(bide_stream *stream, struct bide__coro *coro)
{
    struct bide__channel *channel = &stream->channel;
    int rc = bide__cancel_check(coro);
    if (rc < 0)
        return rc;
    channel->lent_size = 1; /* so that who closes the stream ends it */
    channel->n_written++;
    channel->send.n_done = 0;
    channel->send.done = big_sent;
    rc = bide__channel_ops(channel)->send_wait(channel->sock, &channel->send);
    if (rc == BIDE_PENDING)
        rc = bide__park(coro, &big_wait, stream);
    channel->lent_size = 0;
    bide__channel_progress(channel);
    bide__channel_settle(channel); /* it may have been closed meanwhile */
    return channel->error < 0 ? channel->error : rc;
}

/* Sends at most PIECES_MAX pieces from the caller's memory, with nothing pending before them. */
static int big_send(bide_stream *stream, struct bide__coro *coro, const struct iovec *pieces, int n)
{
    struct bide__channel *channel = &stream->channel;
    struct iovec *copy = bide__pieces_lend(coro, pieces, n);
    if (!copy)
        return -ENOMEM;
    stream->big_iov = copy;
    for (int i = 0; i < n; i++)
        channel->lent_size += pieces[i].iov_len;
    size_t size = channel->lent_size;
    channel->n_written += size;
    channel->send.done = big_sent;
    int rc = bide__channel_ops(channel)->send(channel->sock, &channel->send, copy, n);
    if (rc == BIDE_PENDING)
        rc = bide__park(coro, &big_wait, stream);
    if (rc < 0 && channel->send.n_done > 0 && channel->send.n_done < size)
        bide__channel_tear(channel);
    channel->lent_size = 0;
    stream->big_iov = NULL;
    free(copy);
    if (rc < 0 && rc != -ECANCELED)
        bide__channel_fail_output(channel, rc);
    else
        bide__channel_progress(channel);
    bide__channel_settle(channel); /* it may have been closed meanwhile */
    return rc < 0 && channel->error < 0 ? channel->error : rc;
}

static int write_big(bide_stream *stream, struct bide__coro *coro, const struct iovec *pieces,
                     int n)
{
    struct bide__channel *channel = &stream->channel;
    int sent = 0;
    for (int count; sent < n; sent += count) {
        count = n - sent < PIECES_MAX ? n - sent : PIECES_MAX;
        int rc = bide__cancel_check(coro);
        if (rc == 0)
            rc = bide__stream_write_refused(stream);
        if (rc == 0)
            rc = big_send(stream, coro, pieces + sent, count);
        if (rc < 0) {
            if (sent > 0)
                bide__channel_tear(channel);
            return rc;
        }
    }
    return 0;
}

/* With the turn. */
static int write_turn(bide_stream *stream, struct bide__coro *coro, const struct iovec *pieces,
                      int n, size_t size)
{
    struct bide__channel *channel = &stream->channel;
    size_t high = channel->opts.write_high_bytes;
    size_t room = size <= high ? high - size : 0;
    int rc = bide__stream_write_refused(stream); /* else it would wait in the place of who closes */
    if (rc == 0 && bide__channel_pending(channel) > room) {
        size_t low = channel->opts.write_low_bytes;
        bide__channel_flush(channel);
        rc = bide__stream_wait_room(stream, coro, low < room ? low : room);
        if (rc == 0)
            rc = bide__stream_write_refused(stream);
    }
    if (rc < 0)
        return rc;
    return size <= high ? bide__channel_add(channel, pieces, n, size, 0)
                        : write_big(stream, coro, pieces, n);
}

/* Whether so much may be written without waiting: 0, -EAGAIN, or why nothing goes out any more. */
static int has_room_now(bide_stream *stream, size_t size)
{
    struct bide__channel *channel = &stream->channel;
    size_t high = channel->opts.write_high_bytes;
    if (!turn_is_free(stream) || size > high)
        return -EAGAIN;
    if (bide__channel_pending(channel) > high - size)
        bide__channel_flush(channel); /* the kernel may have room that we have not */
    if (bide__channel_broken(channel) < 0)
        return bide__channel_broken(channel);
    return bide__channel_pending(channel) > high - size ? -EAGAIN : 0;
}

/* What can be done without waiting; -EAGAIN if it can't. */
static int write_now(bide_stream *stream, const struct iovec *pieces, int n, size_t size)
{
    int rc = has_room_now(stream, size);
    return rc < 0 ? rc : bide__channel_write(&stream->channel, pieces, n, size);
}

int bide_writev(bide_stream *stream, const struct iovec *pieces, int n)
{
    struct bide__coro *coro;
    size_t size;
    int rc = stream ? bide__pieces_size(pieces, n, &size) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = bide__suspend(&coro);
    if (rc == 0)
        rc = bide__stream_write_refused(stream);
    if (rc < 0 || size == 0)
        return rc;
    rc = write_now(stream, pieces, n, size);
    if (rc != -EAGAIN)
        return rc;
    bide__stream_enter(stream);
    rc = bide__stream_turn_take(stream, coro);
    if (rc == 0) {
        rc = write_turn(stream, coro, pieces, n, size);
        bide__stream_turn_give(stream);
    }
    bide__stream_leave(stream);
    return rc;
}

int bide_write(bide_stream *stream, const void *data, size_t size)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return bide_writev(stream, &piece, 1);
}

int bide_offer(bide_stream *stream, const void *data, size_t size)
{
    if (!stream || (!data && size > 0))
        return -EINVAL;
    int rc = bide__stream_write_refused(stream);
    if (rc < 0 || size == 0)
        return rc;
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return write_now(stream, &piece, 1, size);
}

int bide__stream_room(bide_stream *stream, size_t size, char **ret_room)
{
    int rc = bide__stream_write_refused(stream);
    if (rc == 0)
        rc = has_room_now(stream, size);
    return rc < 0 ? rc : bide__channel_room(&stream->channel, size, ret_room);
}

void bide__stream_wrote(bide_stream *stream, size_t size)
{
    bide__channel_wrote(&stream->channel, size);
}

void bide__stream_flush(bide_stream *stream)
{
    bide__channel_flush_now(&stream->channel);
}

static const struct bide__wait_kind drain_wait = {.name = "drain", .interrupt = turn_interrupt};

/* Waits until the first `n` bytes ever written are gone. Needs no turn: others may write meanwhile.
 */
static int wait_gone(bide_stream *stream, struct bide__coro *coro, uint64_t n)
{
    struct bide__channel *channel = &stream->channel;
    for (;;) {
        int rc = output_error(stream);
        if (rc < 0 || channel->n_written - bide__channel_pending(channel) >= n)
            return rc;
        rc = bide__cancel_check(coro);
        if (rc < 0)
            return rc;
        bide__list_append(&stream->drainers, &coro->waiter.node);
        rc = bide__park(coro, &drain_wait, stream);
        if (rc < 0)
            return rc;
    }
}

int bide_drain(bide_stream *stream)
{
    struct bide__coro *coro;
    int rc = stream ? bide__suspend(&coro) : -EINVAL;
    if (rc == 0)
        rc = output_error(stream);
    if (rc < 0)
        return rc;
    struct bide__channel *channel = &stream->channel;
    bide__stream_enter(stream);
    bide__channel_flush(channel);
    bide__channel_progress(channel);
    rc = wait_gone(stream, coro, channel->n_written);
    bide__stream_leave(stream);
    return rc;
}

/* Why our side can't be ended; or 0. */
static int eof_refused(const bide_stream *stream)
{
    const struct bide__channel *channel = &stream->channel;
    int rc = output_error(stream);
    return rc == 0 && channel->eof_wanted ? -EALREADY : rc;
}

/* With the turn. */
static int write_eof_turn(bide_stream *stream, struct bide__coro *coro)
{
    struct bide__channel *channel = &stream->channel;
    int rc = eof_refused(stream);
    if (rc < 0)
        return rc;
    channel->eof_wanted = true;
    bide__channel_flush(channel);
    bide__channel_progress(channel);
    return bide__stream_wait_room(stream, coro, 0);
}

/* Behind those who write. */
int bide_write_eof(bide_stream *stream)
{
    struct bide__coro *coro;
    int rc = stream ? bide__suspend(&coro) : -EINVAL;
    if (rc == 0)
        rc = eof_refused(stream);
    if (rc < 0)
        return rc;
    bide__stream_enter(stream);
    rc = bide__stream_turn_take(stream, coro);
    if (rc == 0) {
        rc = write_eof_turn(stream, coro);
        bide__stream_turn_give(stream);
    }
    bide__stream_leave(stream);
    return rc;
}
