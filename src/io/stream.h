/*
 * A stream, as reading, writing and ending it share it.
 *
 * Invariants
 *  - `refs` counts the owner's handle, every call that is `inside` the stream, and the socket: the
 * structure goes when nobody can reach it and the socket is closed. Calls that a closing loop
 * abandoned do not count any more.
 *  - The socket is closed when the stream is `ending` and neither operation is pending; nothing
 * starts one after that.
 *  - Output is in two buffers: `sending`, which the engine has while `send` is pending and which
 * does not move then, and `filling`, which collects what is written meanwhile. Bytes go out in the
 * order in which the calls had their turn.
 *  - At most one task reads, and at most one has the turn to write.
 */
#ifndef BIDE_IO_STREAM_H
#define BIDE_IO_STREAM_H

#include "runtime/coro.h"
#include "runtime/operation.h"

#include <bide/stream.h>

struct bide__output {
    char *data;
    size_t size;
    size_t capacity;
};

struct bide_stream {
    bide_loop *loop;
    struct bide_sock *sock; /* NULL once closed */
    unsigned refs;
    unsigned inside;
    int error;   /* why every new call fails: aborted or closed */
    bool ending; /* the socket is closed as soon as no operation is pending */
    bool plain; /* a pipe or what others share: nothing is reset, nobody is waited for at the end */
    bool no_input; /* which of the two it is not for */
    bool no_output;
    struct bide__resource resource;
    struct bide_stream_opts opts; /* without zeroes */

    struct bide__operation recv;
    char *in;
    size_t in_begin, in_end, in_capacity;
    bool reading;
    bool eof;
    bool skipping; /* a line was over the limit: its rest is to be skipped */

    struct bide__flush flush;
    struct bide_op send;
    struct bide__output filling, sending;
    size_t sending_skip; /* of `sending`: was gone before */
    struct iovec sending_iov;
    size_t big_size;            /* what goes out from a caller's memory just now */
    struct iovec *big_iov;      /* and where it stands */
    struct bide__coro *writer;  /* has the turn */
    struct bide__list writers;  /* wait for it */
    struct bide__list drainers; /* wait until what was written before is gone */
    uint64_t n_written;         /* bytes that ever were pending */
    struct bide__coro
        *room_coro; /* the writer, or who closes, waits until no more is pending than … */
    size_t room_bytes;
    int write_error;
    bool torn;
    bool eof_wanted; /* our side ends when everything is gone */
    bool eof_sent;

    bool lingering; /* closed by its owner, not by us yet */
    bool discarding;
    size_t discarded_bytes;
    struct bide__timer timer;
};

/* Puts the defaults in the place of zeroes; `opts` may be NULL. 0 or -EINVAL. */
int bide__stream_opts(const struct bide_stream_opts *opts, struct bide_stream_opts *ret_opts);

/* Takes the socket on success. `opts` may be NULL. */
int bide__stream_new(bide_loop *loop, struct bide_sock *sock, const struct bide_stream_opts *opts,
                     bide_stream **ret_stream);

/* One in a single direction for what bide/pipe.h makes streams of, still without a socket; until it
 * has one, bide__stream_unref() is the way back. */
int bide__stream_new_plain(bide_loop *loop, const struct bide_stream_opts *opts,
                           enum bide_direction direction, bide_stream **ret_stream);
/* Its only socket, taken. */
void bide__stream_take_sock(bide_stream *stream, struct bide_sock *sock);

static inline void bide__stream_ref(bide_stream *stream)
{
    stream->refs++;
}
void bide__stream_unref(bide_stream *stream);

/* Around every call that may wait. */
static inline void bide__stream_enter(bide_stream *stream)
{
    stream->inside++;
    stream->refs++;
}

static inline void bide__stream_leave(bide_stream *stream)
{
    stream->inside--;
    bide__stream_unref(stream);
}

static inline const struct bide_engine_ops *bide__stream_ops(const bide_stream *stream)
{
    return stream->sock->engine->ops;
}

/* Closes the socket if the stream is ending and that is possible now. */
void bide__stream_settle(bide_stream *stream);

/* Bytes written and not taken by the kernel; what is being sent counts until it is gone whole. */
static inline size_t bide__stream_pending(const bide_stream *stream)
{
    return stream->filling.size + stream->sending.size + stream->big_size;
}

/* Hands what is buffered to the engine now. */
void bide__stream_flush(bide_stream *stream);
/* Something went out or failed: whoever waits for that goes on. */
void bide__stream_progress(bide_stream *stream);
/* No more output: drops what is buffered, and fails whoever writes or waits to. */
void bide__stream_fail_output(bide_stream *stream, int error);
/* Waits until at most `bytes` are pending: 0, why nothing goes out any more, or -ECANCELED. */
int bide__stream_wait_room(bide_stream *stream, struct bide__coro *coro, size_t bytes);
/* Frees the output buffers. */
void bide__stream_output_fini(bide_stream *stream);
/* Prepares what writing needs. */
void bide__stream_output_init(bide_stream *stream);

#endif
