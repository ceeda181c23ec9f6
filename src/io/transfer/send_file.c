/*
 * Files into connections.
 *
 * Each piece is offered to the kernel, which sends it from its own memory; a piece that lies on the
 * disk still, or that this socket or file can't send so, is read into memory of the socket's or
 * stream's and written. docs/decisions/send-file.md has the figures.
 */
#include "io/file/file.h"
#include "io/socket/socket.h"
#include "io/stream/stream.h"

#include <bide/transfer.h>

#include <stdlib.h>

/* What is read and written is smaller: it is copied. */
enum { PIECE = 256 * 1024, COPIED = 64 * 1024, PIECES_PER_TURN = 16 };

struct sender {
    struct bide__coro *coro;
    bide_file *file;
    int64_t offset;
    int64_t left;
    int64_t sent;
    unsigned n_pieces; /* since a turn was given up */
    bool copies;       /* the kernel can't */
};

static int begin(struct sender *sender, bide_file *file, int64_t offset, int64_t count)
{
    if (!file || offset < 0 || count < BIDE_TO_THE_END)
        return -EINVAL;
    if (count == BIDE_TO_THE_END || count > INT64_MAX - offset)
        count = INT64_MAX - offset;
    *sender = (struct sender){.file = file, .offset = offset, .left = count};
    int rc = bide__file_enter(file, &sender->coro);
    if (rc == 0 && file->type != BIDE_FILE_REGULAR && file->type != BIDE_FILE_DISK) {
        bide__file_leave(file);
        rc = -ESPIPE;
    }
    return rc;
}

static size_t piece_size(const struct sender *sender, size_t size_max)
{
    return sender->left < (int64_t)size_max ? (size_t)sender->left : size_max;
}

static void advance(struct sender *sender, size_t n)
{
    sender->offset += (int64_t)n;
    sender->left -= (int64_t)n;
    sender->sent += (int64_t)n;
}

/* Also -ENODATA: it has to be read first. A peer that takes everything leaves others their turns.
 */
static ssize_t try_piece(struct sender *sender, struct bide_sock *sock)
{
    const struct bide_engine_ops *ops = sock->engine->ops;
    if (!sender->file->fd)
        return -EBADF;
    if (sender->copies || !ops->try_send_file)
        return -ENODATA;
    ssize_t n = ops->try_send_file(sock, sender->file->fd->fd, sender->offset,
                                   piece_size(sender, PIECE));
    if (n > 0)
        advance(sender, (size_t)n);
    sender->copies = n == -EOPNOTSUPP;
    return sender->copies ? -ENODATA : n;
}

static void give_turn_at_times(struct sender *sender)
{
    if (++sender->n_pieces < PIECES_PER_TURN)
        return;
    sender->n_pieces = 0;
    bide__give_turn(sender->coro);
}

/* Bytes, 0 at the end of the file, or an error. */
static ssize_t read_piece(struct sender *sender, char **piece, size_t size_max)
{
    if (!*piece)
        *piece = malloc(COPIED);
    if (!*piece)
        return -ENOMEM;
    return bide__file_read_piece(sender->coro, sender->file, *piece,
                                 piece_size(sender, size_max < COPIED ? size_max : COPIED),
                                 sender->offset);
}

/* To a stream */

/* 1, 0 at the end of the file, or an error. */
static int stream_copy(bide_stream *stream, struct sender *sender)
{
    struct bide__channel *channel = &stream->channel;
    size_t high = channel->opts.write_high_bytes;
    size_t size = piece_size(sender, high < COPIED ? high : COPIED);
    bide__channel_flush(channel);
    int rc = bide__stream_wait_room(stream, sender->coro, high - size);
    if (rc < 0)
        return rc;
    ssize_t n = read_piece(sender, &stream->piece, size);
    if (n <= 0)
        return (int)n;
    rc = bide__stream_write_refused(stream);
    if (rc < 0)
        return rc;
    struct iovec iov = {.iov_base = stream->piece, .iov_len = (size_t)n};
    rc = bide__channel_write(channel, &iov, 1, (size_t)n);
    if (rc < 0)
        return rc;
    advance(sender, (size_t)n);
    return 1;
}

/* 1, 0 at the end of the file, or an error. */
static int stream_step(bide_stream *stream, struct sender *sender)
{
    struct bide__channel *channel = &stream->channel;
    int rc = bide__cancel_check(sender->coro);
    if (rc == 0 && bide__channel_pending(channel) > 0 && !sender->copies) {
        bide__channel_flush(channel);
        rc = bide__stream_wait_room(stream, sender->coro, 0);
    }
    if (rc == 0)
        rc = bide__stream_write_refused(stream);
    if (rc < 0)
        return rc;
    ssize_t n = try_piece(sender, channel->sock);
    if (n > 0) {
        channel->n_written += (uint64_t)n;
        give_turn_at_times(sender);
        return 1;
    }
    if (n == -ENODATA)
        return stream_copy(stream, sender);
    if (n == -EAGAIN) {
        rc = bide__stream_wait_sendable(stream, sender->coro);
        return rc < 0 ? rc : 1;
    }
    if (n < 0 && n != -EBADF && n != -EIO) /* the connection's, not the file's */
        bide__channel_fail_output(channel, (int)n);
    return (int)n;
}

int64_t bide_stream_send_file(bide_stream *stream, bide_file *file, int64_t offset, int64_t count)
{
    struct sender sender;
    int rc = stream ? begin(&sender, file, offset, count) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = bide__stream_write_refused(stream);
    if (rc == 0) {
        bide__stream_enter(stream);
        rc = bide__stream_turn_take(stream, sender.coro);
        if (rc == 0) {
            rc = 1;
            while (rc > 0 && sender.left > 0) {
                rc = stream_step(stream, &sender);
                stream->is_halfway = sender.sent > 0;
            }
            stream->is_halfway = false;
            if (rc < 0 && sender.sent > 0)
                bide__channel_tear(&stream->channel);
            free(stream->piece);
            stream->piece = NULL;
            bide__stream_turn_give(stream);
        }
        bide__stream_leave(stream);
    }
    bide__file_leave(file);
    return rc < 0 ? rc : sender.sent;
}

/* To a bare socket */

static const struct bide__wait_kind send_wait = {.name = "send",
                                                 .interrupt = bide__operation_interrupt};

/* 1, 0 at the end of the file, or an error. */
static int socket_copy(bide_socket *socket, struct sender *sender)
{
    size_t sent = 0;
    ssize_t n = read_piece(sender, &socket->piece, COPIED);
    if (n <= 0)
        return (int)n;
    int rc = bide__socket_refused(socket);
    if (rc < 0)
        return rc;
    socket->iov = (struct iovec){.iov_base = socket->piece, .iov_len = (size_t)n};
    rc = bide__socket_send_rest(socket, sender->coro, &sent);
    advance(sender, sent);
    return rc < 0 ? rc : 1;
}

/* 1, 0 at the end of the file, or an error. */
static int socket_step(bide_socket *socket, struct sender *sender)
{
    int rc = bide__cancel_check(sender->coro);
    if (rc == 0)
        rc = bide__socket_refused(socket);
    if (rc < 0)
        return rc;
    ssize_t n = try_piece(sender, socket->sock);
    if (n == -ENODATA)
        return socket_copy(socket, sender);
    if (n > 0)
        give_turn_at_times(sender);
    if (n != -EAGAIN)
        return n > 0 ? 1 : (int)n;
    rc = bide__socket_wait(socket, BIDE__SIDE_OUTPUT, sender->coro,
                           bide__socket_ops(socket)->send_wait, &send_wait);
    return rc < 0 ? rc : 1;
}

static int socket_send(bide_socket *socket, struct sender *sender, bool is_told)
{
    int rc = bide__socket_claim(socket, BIDE__SIDE_OUTPUT);
    if (rc < 0)
        return rc;
    rc = 1;
    while (rc > 0 && sender->left > 0)
        rc = socket_step(socket, sender);
    free(socket->piece);
    socket->piece = NULL;
    if (rc < 0 && sender->sent > 0 && !is_told && bide__socket_goes_on(rc))
        bide__socket_tear(socket);
    return bide__socket_end(socket, BIDE__SIDE_OUTPUT, rc < 0 ? rc : 0);
}

int bide_socket_send_file(bide_socket *socket, bide_file *file, int64_t offset, int64_t count,
                          int64_t *ret_sent)
{
    struct sender sender = {0};
    int rc = socket ? begin(&sender, file, offset, count) : -EINVAL;
    if (rc == 0) {
        rc = socket_send(socket, &sender, ret_sent != NULL);
        bide__file_leave(file);
    }
    if (ret_sent)
        *ret_sent = sender.sent;
    return rc;
}
