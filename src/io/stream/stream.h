/*
 * A stream, as reading, writing and ending it share it: a channel, and the tasks that wait for it.
 *
 * Invariants
 *  - Every call that waits is `inside` the stream, and counts as a reference. Calls that a closing
 * loop abandoned do not count any more.
 *  - At most one task reads, and at most one has the turn to write.
 */
#ifndef BIDE_IO_STREAM_H
#define BIDE_IO_STREAM_H

#include "io/stream/channel.h"
#include "runtime/coro.h"

#include <bide/stream.h>

struct bide__stream_guard;

struct bide_stream {
    struct bide__channel channel;
    unsigned inside;
    bool no_input; /* which of the two it is not for */
    bool no_output;
    struct bide__stream_guard *guard; /* NULL: nobody watches beside the tasks */

    bool reading;
    bool skipping; /* a line was over the limit: its rest is to be skipped */
    char *in;
    size_t in_begin, in_end, in_capacity;

    char *piece;                  /* of a file that is being sent */
    bool is_halfway;              /* a part of it went, and the rest is still to go */
    struct iovec *big_iov;        /* what goes out from a caller's memory just now */
    struct bide__coro *writer;    /* has the turn */
    struct bide__list writers;    /* wait for it */
    struct bide__list drainers;   /* wait until what was written before is gone */
    struct bide__coro *room_coro; /* the writer, or who closes, waits until no more is pending … */
    size_t room_bytes;            /* … than this */
};

/* Takes the socket on success. `opts` may be NULL. */
int bide__stream_new(bide_loop *loop, struct bide_sock *sock, const struct bide_stream_opts *opts,
                     bide_stream **ret_stream);

/* One in a single direction for what bide/pipe.h makes streams of, still without a socket; until it
 * has one, bide__stream_unref() is the way back. */
int bide__stream_new_plain(bide_loop *loop, const struct bide_stream_opts *opts,
                           enum bide_direction direction, bide_stream **ret_stream);
/* Its only socket, taken. */
static inline void bide__stream_take_sock(bide_stream *stream, struct bide_sock *sock)
{
    bide__channel_open(&stream->channel, sock);
}

static inline void bide__stream_unref(bide_stream *stream)
{
    bide__channel_unref(&stream->channel);
}

/* Around every call that may wait. */
static inline void bide__stream_enter(bide_stream *stream)
{
    stream->inside++;
    bide__channel_ref(&stream->channel);
}

static inline void bide__stream_leave(bide_stream *stream)
{
    stream->inside--;
    bide__stream_unref(stream);
}

/* Bytes that were received and not read. */
static inline size_t bide__stream_buffered(const bide_stream *stream)
{
    return stream->in_end - stream->in_begin;
}

/* Between the beginning of a call that reads and its end: how many bytes lie at `in` + `in_begin`,
 * at least 1, 0 at the end, or why nothing may be read any more. Waits if there are none, and takes
 * about `size` then. */
int bide__stream_look(bide_stream *stream, struct bide__coro *coro, size_t size);

/* What the channel tells: whoever waits to write goes on. */
void bide__stream_moved(struct bide__channel *channel);
/* Waits until at most `bytes` are pending: 0, why nothing goes out any more, or -ECANCELED. With 0
 * bytes, also until our side has ended, if it is to. */
int bide__stream_wait_room(bide_stream *stream, struct bide__coro *coro, size_t bytes);

/* Parts of reading: the beginning of a call and its end, which returns what the call returns; what
 * was read ahead; the wait until the kernel has something. */
int bide__stream_read_begin(bide_stream *stream, struct bide__coro **ret_coro);
int bide__stream_read_end(bide_stream *stream, int rc);
size_t bide__stream_take_buffered(bide_stream *stream, void *buffer, size_t size);
int bide__stream_wait_readable(bide_stream *stream, struct bide__coro *coro);

/* Parts of writing: why nothing more may be written, 0 if it may; the turn. */
int bide__stream_write_refused(const bide_stream *stream);
int bide__stream_turn_take(bide_stream *stream, struct bide__coro *coro);
void bide__stream_turn_give(bide_stream *stream);
/* With the turn and nothing pending: waits until the socket takes something. 0, why nothing may be
 * written any more, -ECANCELED, or an error. */
int bide__stream_wait_sendable(bide_stream *stream, struct bide__coro *coro);

/* For who has no memory to read into before there is something: as bide_read(), but -EAGAIN in the
 * place of a wait; and the wait, which takes nothing: 0, or an error. It may end for nothing. */
BIDE_EXPORT ssize_t bide__stream_read_now(bide_stream *stream, void *buffer, size_t size);
BIDE_EXPORT int bide__stream_wait_input(bide_stream *stream);

/* Hands what was written to the engine now, and not at the end of the turn. */
BIDE_EXPORT void bide__stream_flush(bide_stream *stream);

/*
 * To write into the stream's own memory. Room for `size` bytes, until anything else is done with
 * the stream: 0; -EAGAIN: what bide_offer() would refuse; or an error. Then, how many are there.
 */
BIDE_EXPORT int bide__stream_room(bide_stream *stream, size_t size, char **ret_room);
BIDE_EXPORT void bide__stream_wrote(bide_stream *stream, size_t size);

/*
 * Another socket in the place of the stream's, as start_tls does; see bide__channel_swap_begin().
 * -EBUSY also: a call is inside; -EPROTO: input is buffered that nobody has read. What came in
 * clear must not be taken for what comes protected.
 */
BIDE_EXPORT int bide__stream_swap_begin(bide_stream *stream, struct bide__swap *swap,
                                        struct bide_sock **ret_sock);
BIDE_EXPORT int bide__stream_swap_end(bide_stream *stream, struct bide_sock *sock, int error);

#endif
