/*
 * The output of a channel.
 *
 * What is written is collected and goes to the engine at the end of the loop's turn, so that
 * several small writes are one system call; what the kernel does not take then is sent as an
 * operation.
 */
#include "io/stream/channel.h"

#include "base/watched.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PIECE_BYTES = 4096, PIECES_KEPT = BIDE__ASAN ? 0 : 256 };

void bide__channel_tear(struct bide__channel *channel)
{
    channel->torn = true;
    bide__channel_cancel_recv(channel);
}

/* The memory that is kept: most output goes out at once, so that few pieces serve all channels, and
 * idle ones hold none. */

static char *piece_take(bide_loop *loop)
{
    struct bide__piece *piece = loop->pieces;
    if (!piece)
        return malloc(PIECE_BYTES);
    loop->pieces = piece->next;
    loop->n_pieces--;
    return (char *)piece;
}

static void piece_give(bide_loop *loop, char *data)
{
    struct bide__piece *piece = (void *)data;
    if (loop->closed || loop->n_pieces == PIECES_KEPT) {
        free(data);
        return;
    }
    piece->next = loop->pieces;
    loop->pieces = piece;
    loop->n_pieces++;
}

static void output_clear(struct bide__channel *channel, struct bide__output *output)
{
    if (output->capacity == PIECE_BYTES)
        piece_give(channel->loop, output->data);
    else
        free(output->data);
    *output = (struct bide__output){0};
}

static int output_reserve(struct bide__channel *channel, struct bide__output *output, size_t size)
{
    if (output->size + size <= output->capacity)
        return 0;
    size_t capacity = PIECE_BYTES;
    while (capacity < output->size + size)
        capacity *= 2;
    char *data = capacity == PIECE_BYTES ? piece_take(channel->loop)
                                         : realloc(output->data, capacity);
    if (!data)
        return -ENOMEM;
    output->data = data;
    output->capacity = capacity;
    return 0;
}

int bide__channel_room(struct bide__channel *channel, size_t size, char **ret_room)
{
    struct bide__output *output = &channel->filling;
    int rc = output_reserve(channel, output, size);
    if (rc == 0)
        *ret_room = output->data + output->size;
    return rc;
}

void bide__channel_wrote(struct bide__channel *channel, size_t size)
{
    channel->filling.size += size;
    channel->n_written += size;
    bide__loop_flush_later(channel->loop, &channel->flush);
}

int bide__channel_add(struct bide__channel *channel, const struct iovec *pieces, int n, size_t size,
                      size_t skip)
{
    struct bide__output *output = &channel->filling;
    int rc = output_reserve(channel, output, size - skip);
    if (rc < 0)
        return rc;
    channel->n_written += size - skip;
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
    bide__loop_flush_later(channel->loop, &channel->flush);
    return 0;
}

static void held_done(struct bide_op *op)
{
    struct bide__channel *channel = bide__container(op, struct bide__channel, send);
    channel->lent_size = 0;
    if (op->result < 0)
        bide__channel_fail_output(channel, op->result);
    else
        bide__channel_flush(channel);
    bide__channel_progress(channel);
    bide__channel_settle(channel);
}

/*
 * try_send() has taken everything. What parts in words of its own may hold some of it still: that
 * counts as a byte pending, until it is out.
 */
static void taken(struct bide__channel *channel)
{
    if (!channel->sock->parting || channel->send.state != BIDE_OP_IDLE)
        return;
    channel->send.done = held_done;
    int rc = bide__channel_ops(channel)->send(channel->sock, &channel->send, NULL, 0);
    if (rc == BIDE_PENDING)
        channel->lent_size = 1;
    else if (rc < 0)
        bide__channel_fail_output(channel, rc);
}

int bide__channel_write_direct(struct bide__channel *channel, const struct iovec *pieces, int n,
                               size_t size)
{
    ssize_t sent = bide__channel_ops(channel)->try_send(channel->sock, pieces,
                                                        n < IOV_MAX ? n : IOV_MAX);
    if (sent == (ssize_t)size) {
        channel->n_written += size;
        taken(channel);
        return bide__channel_broken(channel);
    }
    if (sent < 0 && sent != -EAGAIN) {
        bide__channel_fail_output(channel, (int)sent);
        return (int)sent;
    }
    size_t skip = sent > 0 ? (size_t)sent : 0;
    int rc = bide__channel_add(channel, pieces, n, size, skip);
    if (rc < 0 && skip > 0)
        bide__channel_tear(channel);
    return rc;
}

static void send_done(struct bide_op *op)
{
    struct bide__channel *channel = bide__container(op, struct bide__channel, send);
    int rc = op->result;
    output_clear(channel, &channel->sending);
    if (rc < 0)
        bide__channel_fail_output(channel, rc);
    else
        bide__channel_flush(channel);
    bide__channel_progress(channel);
    bide__channel_settle(channel);
}

/* Starts sending the buffer that is being filled, but for its first `skip` bytes; the two change
 * places. */
static void send_start(struct bide__channel *channel, size_t skip)
{
    struct bide__output sending = channel->filling;
    channel->filling = channel->sending;
    channel->sending = sending;
    channel->sending_skip = skip;
    channel->sending_iov = (struct iovec){.iov_base = sending.data + skip,
                                          .iov_len = sending.size - skip};
    channel->send.done = send_done;
    int rc = bide__channel_ops(channel)->send(channel->sock, &channel->send, &channel->sending_iov,
                                              1);
    if (rc == BIDE_PENDING)
        return;
    output_clear(channel, &channel->sending);
    if (rc < 0)
        bide__channel_fail_output(channel, rc);
}

void bide__channel_flush(struct bide__channel *channel)
{
    struct bide__output *output = &channel->filling;
    if (output->size == 0 || channel->send.state != BIDE_OP_IDLE || channel->ending ||
        bide__channel_broken(channel) < 0)
        return;
    struct iovec iov = {.iov_base = output->data, .iov_len = output->size};
    ssize_t n = bide__channel_ops(channel)->try_send(channel->sock, &iov, 1);
    if (n == (ssize_t)output->size) {
        output_clear(channel, output);
        taken(channel);
    } else if (n >= 0 || n == -EAGAIN)
        send_start(channel, n > 0 ? (size_t)n : 0);
    else
        bide__channel_fail_output(channel, (int)n);
}

/* Readers hear of the connection's end from the kernel, behind what still came. */
static bool is_told_to_readers(int error)
{
    return error == -EPIPE || error == -ECONNRESET || error == -ETIMEDOUT ||
           error == -EHOSTUNREACH || error == -ENETUNREACH || error == -ECONNABORTED;
}

void bide__channel_fail_output(struct bide__channel *channel, int error)
{
    if (channel->write_error == 0)
        channel->write_error = error;
    if (!is_told_to_readers(error)) /* or they would wait for an answer to what never went out */
        bide__channel_tear(channel);
    bide__list_remove(&channel->flush.node);
    output_clear(channel, &channel->filling);
    bide__channel_progress(channel);
}

static void eof_said(struct bide__channel *channel, int rc)
{
    if (rc < 0) /* there is no connection any more, for instance */
        bide__channel_fail_output(channel, rc == -ENOTCONN ? -ECONNRESET : rc);
    else
        channel->eof_sent = true;
}

static void eof_done(struct bide_op *op)
{
    struct bide__channel *channel = bide__container(op, struct bide__channel, send);
    eof_said(channel, op->result);
    bide__channel_progress(channel);
    bide__channel_settle(channel);
}

/* A socket with words of its own for the end is waited for until they are out. */
static void say_eof(struct bide__channel *channel)
{
    channel->eof_said = true;
    int rc = bide__channel_ops(channel)->sock_shutdown(channel->sock, SHUT_WR);
    if (rc == 0 && channel->sock->parting) {
        channel->send.done = eof_done;
        rc = bide__channel_ops(channel)->send(channel->sock, &channel->send, NULL, 0);
    }
    if (rc != BIDE_PENDING)
        eof_said(channel, rc);
}

void bide__channel_progress(struct bide__channel *channel)
{
    if (channel->eof_wanted && !channel->eof_said && bide__channel_pending(channel) == 0 &&
        bide__channel_broken(channel) == 0)
        say_eof(channel);
    channel->kind->moved(channel);
}

size_t bide__channel_unsent(const struct bide__channel *channel)
{
    size_t n = bide__channel_pending(channel);
    if (channel->send.state == BIDE_OP_IDLE)
        return n;
    size_t skip = channel->lent_size > 0 ? 0 : channel->sending_skip;
    return n - skip - channel->send.n_done;
}

static void flush_run(struct bide__flush *flush)
{
    struct bide__channel *channel = bide__container(flush, struct bide__channel, flush);
    bide__channel_flush(channel);
    bide__channel_progress(channel);
}

void bide__channel_flush_now(struct bide__channel *channel)
{
    if (!bide__list_linked(&channel->flush.node))
        return;
    bide__list_remove(&channel->flush.node);
    flush_run(&channel->flush);
}

void bide__channel_output_init(struct bide__channel *channel)
{
    channel->flush.flush = flush_run;
    bide__list_init(&channel->flush.node);
}

void bide__channel_fini(struct bide__channel *channel)
{
    bide__list_remove(&channel->flush.node);
    output_clear(channel, &channel->filling);
    output_clear(channel, &channel->sending);
    bide__loop_unref(channel->loop);
}
