/*
 * Writing to streams.
 *
 * A call takes the turn, waits for room, and then either copies everything behind what is buffered
 * or, if it is more than the high-water mark, sends it from the caller's memory. Buffered output
 * goes to the engine at the end of the loop's turn, so that several small writes are one system
 * call.
 */
#include "io/stream.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { OUT_BYTES_MIN = 1024, OUT_BYTES_KEPT = 4096, DIRECT_BYTES_MIN = 8192, PIECES_MAX = 1024 };

/* Why nothing more goes out; 0 if it does. */
static int output_broken(const bide_stream *stream)
{
    return stream->write_error == 0 && stream->torn ? -BIDE_ETORN : stream->write_error;
}

/* Why nothing may be asked of the output any more; 0 if it may. */
static int output_error(const bide_stream *stream)
{
    if (stream->error == 0 && stream->no_output)
        return -EBADF;
    return stream->error < 0 ? stream->error : output_broken(stream);
}

/* Why nothing more may be written; 0 if it may. */
static int write_refused(const bide_stream *stream)
{
    int rc = output_error(stream);
    return rc == 0 && stream->eof_wanted ? -EPIPE : rc;
}

/* A part of a write went out, and the rest never will: nothing but the end is left, for readers
 * too. */
static void tear(bide_stream *stream)
{
    stream->torn = true;
    if (bide__operation_pending(&stream->recv))
        bide__stream_ops(stream)->cancel(&stream->recv.op);
}

static void output_clear(struct bide__output *output)
{
    output->size = 0;
    if (output->capacity <= OUT_BYTES_KEPT)
        return;
    free(output->data);
    *output = (struct bide__output){0};
}

static int output_reserve(struct bide__output *output, size_t size)
{
    size_t capacity = output->capacity > 0 ? output->capacity : OUT_BYTES_MIN;
    if (output->size + size <= output->capacity)
        return 0;
    while (capacity < output->size + size)
        capacity *= 2;
    char *data = realloc(output->data, capacity);
    if (!data)
        return -ENOMEM;
    output->data = data;
    output->capacity = capacity;
    return 0;
}

/* Copies the pieces but for their first `skip` bytes. */
static int output_add(bide_stream *stream, const struct iovec *pieces, int n, size_t size,
                      size_t skip)
{
    struct bide__output *output = &stream->filling;
    int rc = output_reserve(output, size - skip);
    if (rc < 0)
        return rc;
    stream->n_written += size - skip;
    for (int i = 0; i < n; i++) {
        size_t length = pieces[i].iov_len;
        size_t skipped = skip < length ? skip : length;
        skip -= skipped;
        if (length == skipped)
            continue;
        memcpy(output->data + output->size, (const char *)pieces[i].iov_base + skipped,
               length - skipped);
        output->size += length - skipped;
    }
    bide__loop_flush_later(stream->loop, &stream->flush);
    return 0;
}

static void send_done(struct bide_op *op)
{
    bide_stream *stream = bide__container(op, bide_stream, send);
    int rc = op->result;
    output_clear(&stream->sending);
    if (rc < 0)
        bide__stream_fail_output(stream, rc);
    else
        bide__stream_flush(stream);
    bide__stream_progress(stream);
    bide__stream_settle(stream);
}

/* Starts sending the buffer that is being filled, but for its first `skip` bytes; the two change
 * places. */
static void send_start(bide_stream *stream, size_t skip)
{
    struct bide__output sending = stream->filling;
    stream->filling = stream->sending;
    stream->sending = sending;
    stream->sending_skip = skip;
    stream->sending_iov = (struct iovec){.iov_base = sending.data + skip,
                                         .iov_len = sending.size - skip};
    stream->send.done = send_done;
    int rc = bide__stream_ops(stream)->send(stream->sock, &stream->send, &stream->sending_iov, 1);
    if (rc == BIDE_PENDING)
        return;
    output_clear(&stream->sending);
    if (rc < 0)
        bide__stream_fail_output(stream, rc);
}

void bide__stream_flush(bide_stream *stream)
{
    struct bide__output *output = &stream->filling;
    if (output->size == 0 || stream->send.state != BIDE_OP_IDLE || stream->ending ||
        output_broken(stream) < 0)
        return;
    struct iovec iov = {.iov_base = output->data, .iov_len = output->size};
    ssize_t n = bide__stream_ops(stream)->try_send(stream->sock, &iov, 1);
    if (n == (ssize_t)output->size)
        output_clear(output);
    else if (n >= 0 || n == -EAGAIN)
        send_start(stream, n > 0 ? (size_t)n : 0);
    else
        bide__stream_fail_output(stream, (int)n);
}

static void flush_run(struct bide__flush *flush)
{
    bide_stream *stream = bide__container(flush, bide_stream, flush);
    bide__stream_flush(stream);
    bide__stream_progress(stream);
}

void bide__stream_output_init(bide_stream *stream)
{
    stream->flush.flush = flush_run;
    bide__list_init(&stream->flush.node);
    bide__list_init(&stream->writers);
    bide__list_init(&stream->drainers);
}

void bide__stream_output_fini(bide_stream *stream)
{
    bide__list_remove(&stream->flush.node);
    free(stream->filling.data);
    free(stream->sending.data);
    free(stream->big_iov);
}

/* Readers hear of the connection's end from the kernel, behind what still came. */
static bool is_told_to_readers(int error)
{
    return error == -EPIPE || error == -ECONNRESET || error == -ETIMEDOUT ||
           error == -EHOSTUNREACH || error == -ENETUNREACH || error == -ECONNABORTED;
}

void bide__stream_fail_output(bide_stream *stream, int error)
{
    if (stream->write_error == 0)
        stream->write_error = error;
    if (!is_told_to_readers(error)) /* or they would wait for an answer to what never went out */
        tear(stream);
    bide__list_remove(&stream->flush.node);
    output_clear(&stream->filling);
    struct bide__list *node;
    while ((node = bide__list_pop(&stream->writers)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), error);
    bide__stream_progress(stream);
}

void bide__stream_progress(bide_stream *stream)
{
    size_t pending = bide__stream_pending(stream);
    if (pending == 0 && stream->eof_wanted && !stream->eof_sent && output_broken(stream) == 0) {
        stream->eof_sent = true;
        int rc = bide__stream_ops(stream)->sock_shutdown(stream->sock, SHUT_WR);
        if (rc < 0) /* there is no connection any more, for instance */
            bide__stream_fail_output(stream, rc == -ENOTCONN ? -ECONNRESET : rc);
    }
    struct bide__coro *coro = stream->room_coro;
    bool failed = output_broken(stream) < 0;
    if (coro && (failed || pending <= stream->room_bytes)) {
        stream->room_coro = NULL;
        bide__wake(coro, 0);
    }
    struct bide__list *node;
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

int bide__stream_wait_room(bide_stream *stream, struct bide__coro *coro, size_t bytes)
{
    for (;;) {
        if (output_broken(stream) < 0)
            return output_broken(stream);
        if (bide__stream_pending(stream) <= bytes)
            return 0;
        int rc = bide__cancel_check(coro);
        if (rc < 0)
            return rc;
        stream->room_coro = coro;
        stream->room_bytes = bytes;
        rc = bide__park(coro, &room_wait, stream);
        if (rc < 0)
            return rc;
    }
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

static int turn_take(bide_stream *stream, struct bide__coro *coro)
{
    if (turn_is_free(stream)) {
        stream->writer = coro;
        return 0;
    }
    bide__list_append(&stream->writers, &coro->waiter.node);
    return bide__park(coro, &turn_wait, stream);
}

static void turn_give(bide_stream *stream)
{
    struct bide__list *node = bide__list_pop(&stream->writers);
    stream->writer = node ? bide__container(node, struct bide__coro, waiter.node) : NULL;
    if (stream->writer)
        bide__wake(stream->writer, 0);
}

static void big_done(struct bide_op *op)
{
    bide_stream *stream = bide__container(op, bide_stream, send);
    struct bide__coro *coro = stream->writer;
    if (coro && coro->wait)
        bide__wake(coro, op->result);
    bide__stream_settle(stream);
}

static void big_interrupt(struct bide__coro *coro)
{
    bide_stream *stream = coro->wait_data;
    bide__stream_ops(stream)->cancel(&stream->send);
}

static const struct bide__wait_kind big_wait = {.name = "send", .interrupt = big_interrupt};

/* Sends at most PIECES_MAX pieces from the caller's memory, with nothing pending before them. */
static int big_send(bide_stream *stream, struct bide__coro *coro, const struct iovec *pieces, int n)
{
    struct iovec *copy = malloc((size_t)n * sizeof *copy);
    if (!copy)
        return -ENOMEM;
    stream->big_iov = copy;
    memcpy(copy, pieces, (size_t)n * sizeof *copy);
    for (int i = 0; i < n; i++)
        stream->big_size += pieces[i].iov_len;
    size_t size = stream->big_size;
    stream->n_written += size;
    stream->send.done = big_done;
    int rc = bide__stream_ops(stream)->send(stream->sock, &stream->send, copy, n);
    if (rc == BIDE_PENDING)
        rc = bide__park(coro, &big_wait, stream);
    if (rc < 0 && stream->send.n_done > 0 && stream->send.n_done < size)
        tear(stream);
    stream->big_size = 0;
    stream->big_iov = NULL;
    free(copy);
    if (rc < 0 && rc != -ECANCELED)
        bide__stream_fail_output(stream, rc);
    else
        bide__stream_progress(stream);
    bide__stream_settle(stream); /* it may have been closed meanwhile */
    return stream->error < 0 ? stream->error : rc;
}

static int write_big(bide_stream *stream, struct bide__coro *coro, const struct iovec *pieces,
                     int n)
{
    int sent = 0;
    for (int count; sent < n; sent += count) {
        count = n - sent < PIECES_MAX ? n - sent : PIECES_MAX;
        int rc = bide__cancel_check(coro);
        if (rc == 0)
            rc = big_send(stream, coro, pieces + sent, count);
        if (rc < 0) {
            if (sent > 0)
                tear(stream);
            return rc;
        }
    }
    return 0;
}

/* With the turn. */
static int write_turn(bide_stream *stream, struct bide__coro *coro, const struct iovec *pieces,
                      int n, size_t size)
{
    size_t high = stream->opts.write_high_bytes;
    size_t room = size <= high ? high - size : 0;
    int rc = write_refused(stream); /* else it would wait in the place of who closes */
    if (rc == 0 && bide__stream_pending(stream) > room) {
        size_t low = stream->opts.write_low_bytes;
        bide__stream_flush(stream);
        rc = bide__stream_wait_room(stream, coro, low < room ? low : room);
        if (rc == 0)
            rc = write_refused(stream);
    }
    if (rc < 0)
        return rc;
    return size <= high ? output_add(stream, pieces, n, size, 0)
                        : write_big(stream, coro, pieces, n);
}

/* Much that finds nothing pending is offered to the kernel without a copy; what it does not take is
 * copied. */
static int write_direct(bide_stream *stream, const struct iovec *pieces, int n, size_t size)
{
    ssize_t sent = bide__stream_ops(stream)->try_send(stream->sock, pieces,
                                                      n < IOV_MAX ? n : IOV_MAX);
    if (sent == (ssize_t)size)
        return 0;
    if (sent < 0 && sent != -EAGAIN) {
        bide__stream_fail_output(stream, (int)sent);
        return (int)sent;
    }
    size_t skip = sent > 0 ? (size_t)sent : 0;
    int rc = output_add(stream, pieces, n, size, skip);
    if (rc < 0 && skip > 0)
        tear(stream);
    return rc;
}

/* What can be done without waiting; -EAGAIN if it can't. */
static int write_now(bide_stream *stream, const struct iovec *pieces, int n, size_t size)
{
    size_t high = stream->opts.write_high_bytes;
    if (!turn_is_free(stream) || size > high)
        return -EAGAIN;
    if (bide__stream_pending(stream) > high - size)
        bide__stream_flush(stream); /* the kernel may have room that we have not */
    if (output_broken(stream) < 0)
        return output_broken(stream);
    size_t pending = bide__stream_pending(stream);
    if (pending > high - size)
        return -EAGAIN;
    if (pending == 0 && size >= DIRECT_BYTES_MIN)
        return write_direct(stream, pieces, n, size);
    return output_add(stream, pieces, n, size, 0);
}

static int pieces_size(const struct iovec *pieces, int n, size_t *ret_size)
{
    size_t size = 0;
    if (!pieces || n < 0)
        return -EINVAL;
    for (int i = 0; i < n; i++)
        if ((!pieces[i].iov_base && pieces[i].iov_len > 0) ||
            __builtin_add_overflow(size, pieces[i].iov_len, &size))
            return -EINVAL;
    *ret_size = size;
    return 0;
}

int bide_writev(bide_stream *stream, const struct iovec *pieces, int n)
{
    struct bide__coro *coro;
    size_t size;
    int rc = stream ? pieces_size(pieces, n, &size) : -EINVAL;
    if (rc == 0)
        rc = bide__suspend(&coro);
    if (rc == 0)
        rc = write_refused(stream);
    if (rc < 0 || size == 0)
        return rc;
    rc = write_now(stream, pieces, n, size);
    if (rc != -EAGAIN)
        return rc;
    bide__stream_enter(stream);
    rc = turn_take(stream, coro);
    if (rc == 0) {
        rc = write_turn(stream, coro, pieces, n, size);
        turn_give(stream);
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
    int rc = write_refused(stream);
    if (rc < 0 || size == 0)
        return rc;
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return write_now(stream, &piece, 1, size);
}

static const struct bide__wait_kind drain_wait = {.name = "drain", .interrupt = turn_interrupt};

/* Waits until the first `n` bytes ever written are gone. Needs no turn: others may write meanwhile.
 */
static int wait_gone(bide_stream *stream, struct bide__coro *coro, uint64_t n)
{
    for (;;) {
        int rc = output_error(stream);
        if (rc < 0 || stream->n_written - bide__stream_pending(stream) >= n)
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
    bide__stream_enter(stream);
    bide__stream_flush(stream);
    bide__stream_progress(stream);
    rc = wait_gone(stream, coro, stream->n_written);
    bide__stream_leave(stream);
    return rc;
}

/* Why our side can't be ended; or 0. */
static int eof_refused(const bide_stream *stream)
{
    int rc = output_error(stream);
    return rc == 0 && stream->eof_wanted ? -EALREADY : rc;
}

/* With the turn. */
static int write_eof_turn(bide_stream *stream, struct bide__coro *coro)
{
    int rc = eof_refused(stream);
    if (rc < 0)
        return rc;
    stream->eof_wanted = true;
    bide__stream_flush(stream);
    bide__stream_progress(stream);
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
    rc = turn_take(stream, coro);
    if (rc == 0) {
        rc = write_eof_turn(stream, coro);
        turn_give(stream);
    }
    bide__stream_leave(stream);
    return rc;
}
