/*
 * What streams and transports have in common: a connected socket with buffered output, and its end.
 * An owner embeds it, and adds how whoever reads and writes is told.
 *
 * Invariants
 *  - `refs` counts the owner's handle, every call that is inside, and the socket: the structure
 * goes when nobody can reach it and the socket is closed.
 *  - The socket is closed when the channel is `ending` and neither operation is pending; nothing
 * starts one after that.
 *  - Output is in two buffers: `sending`, which the engine has while `send` is pending and which
 * does not move then, and `filling`, which collects what is written meanwhile. Bytes go out in the
 * order in which they were added.
 *  - No user code runs from here, and an owner's functions below run none either.
 */
#ifndef BIDE_IO_CHANNEL_H
#define BIDE_IO_CHANNEL_H

#include "runtime/operation.h"

#include <bide/stream.h>

struct bide__channel;
struct bide__swap;

struct bide__output {
    char *data;
    size_t size;
    size_t capacity;
};

/* What an owner adds; a channel that never has a socket needs `free` only. */
struct bide__channel_kind {
    /* Something went out, or from now on nothing will (bide__channel_broken()). */
    void (*moved)(struct bide__channel *channel);
    /* The socket is closed. */
    void (*closed)(struct bide__channel *channel);
    /* The loop closes, or this is a child after fork: tasks that were inside are gone. */
    void (*abandon)(struct bide__channel *channel);
    /* The last reference has gone: frees the owner, after bide__channel_fini(). */
    void (*free)(struct bide__channel *channel);
};

struct bide__channel {
    const struct bide__channel_kind *kind;
    bide_loop *loop;
    struct bide_sock *sock; /* NULL once closed, and while it is swapped */
    unsigned refs;
    int error;   /* why every new call fails: aborted or closed */
    bool ending; /* the socket is closed as soon as no operation is pending */
    bool plain; /* a pipe or what others share: nothing is reset, nobody is waited for at the end */
    bool eof;   /* the peer has ended its side */
    bool unread;     /* its owner closed it with input that nobody took */
    bool eof_wanted; /* our side ends when everything is gone */
    bool eof_said;   /* the socket was told */
    bool eof_sent;   /* and is through with that */
    bool torn;
    bool lingering; /* closed by its owner, not by us yet */
    bool discarding;
    struct bide__resource resource;
    struct bide_stream_opts opts; /* without zeroes */

    struct bide__operation recv;

    struct bide__flush flush;
    struct bide_op send;
    struct bide__output filling, sending;
    size_t sending_skip; /* of `sending`: was gone before */
    struct iovec sending_iov;
    size_t lent_size;   /* what `send` sends from memory of the owner's, or waits for, just now */
    uint64_t n_written; /* bytes that ever were pending */
    int write_error;

    size_t discarded_bytes;
    struct bide__timer timer;
    struct bide__swap *swap;
};

/* Puts the defaults in the place of zeroes; `opts` may be NULL. 0 or -EINVAL. */
int bide__channel_opts(const struct bide_stream_opts *opts, struct bide_stream_opts *ret_opts);

/* `channel` is zeroed; `opts` are whole. It has one reference then, and no socket yet. */
void bide__channel_init(struct bide__channel *channel, const struct bide__channel_kind *kind,
                        bide_loop *loop, const struct bide_stream_opts *opts);
void bide__channel_fini(struct bide__channel *channel);
/* Its socket, taken. */
void bide__channel_open(struct bide__channel *channel, struct bide_sock *sock);

static inline void bide__channel_ref(struct bide__channel *channel)
{
    channel->refs++;
}

static inline void bide__channel_unref(struct bide__channel *channel)
{
    if (--channel->refs == 0)
        channel->kind->free(channel);
}

static inline const struct bide_engine_ops *bide__channel_ops(const struct bide__channel *channel)
{
    return channel->sock->engine->ops;
}

/* Input */

/* What the engine's try_recv() says. */
static inline ssize_t bide__channel_recv(struct bide__channel *channel, void *buffer, size_t size)
{
    ssize_t n = bide__channel_ops(channel)->try_recv(channel->sock, buffer, size);
    if (n == 0)
        channel->eof = true;
    return n;
}

/* Who waits for input is told that it ends. */
static inline void bide__channel_cancel_recv(struct bide__channel *channel)
{
    if (bide__operation_pending(&channel->recv))
        bide__channel_ops(channel)->cancel(&channel->recv.op);
}

/* Output */

/* Why nothing more goes out; 0 if it does. */
static inline int bide__channel_broken(const struct bide__channel *channel)
{
    return channel->write_error == 0 && channel->torn ? -BIDE_ETORN : channel->write_error;
}

/* Bytes written and not taken by the kernel; what is being sent counts until it is gone whole. */
static inline size_t bide__channel_pending(const struct bide__channel *channel)
{
    return channel->filling.size + channel->sending.size + channel->lent_size;
}

/* The same to the byte. */
size_t bide__channel_unsent(const struct bide__channel *channel);

/* The size of all pieces; -EINVAL. */
static inline int bide__pieces_size(const struct iovec *pieces, int n, size_t *ret_size)
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

/* Room for `size` bytes behind what is pending, until anything else is done with the channel; and
 * that so many of them are there. 0 or -ENOMEM. */
int bide__channel_room(struct bide__channel *channel, size_t size, char **ret_room);
void bide__channel_wrote(struct bide__channel *channel, size_t size);
/* Copies the pieces, of `size` bytes, but for their first `skip` bytes. 0 or -ENOMEM. */
int bide__channel_add(struct bide__channel *channel, const struct iovec *pieces, int n, size_t size,
                      size_t skip);
/* The same for much, with nothing pending: offers it to the kernel first, and copies what that does
 * not take. Also why nothing goes out any more. */
int bide__channel_write_direct(struct bide__channel *channel, const struct iovec *pieces, int n,
                               size_t size);

static inline int bide__channel_write(struct bide__channel *channel, const struct iovec *pieces,
                                      int n, size_t size)
{
    enum { DIRECT_BYTES_MIN = 8192 };
    if (size >= DIRECT_BYTES_MIN && bide__channel_pending(channel) == 0)
        return bide__channel_write_direct(channel, pieces, n, size);
    return bide__channel_add(channel, pieces, n, size, 0);
}

/* A part of bide__channel_init(). */
void bide__channel_output_init(struct bide__channel *channel);
/* Hands what is buffered to the engine now. */
void bide__channel_flush(struct bide__channel *channel);
/* What the end of the turn would do. */
void bide__channel_flush_now(struct bide__channel *channel);
/* Something went out or failed: says the end if that is due, and tells the owner. */
void bide__channel_progress(struct bide__channel *channel);
/* Our side is to end behind all that was written, and has not; bide__channel_progress() does it. */
static inline bool bide__channel_eof_due(const struct bide__channel *channel)
{
    return channel->eof_wanted && !channel->eof_sent;
}
/* No more output: drops what is buffered, and tells the owner. */
void bide__channel_fail_output(struct bide__channel *channel, int error);
/* A part of a write went out, and the rest never will: nothing but the end is left, for readers
 * too. */
void bide__channel_tear(struct bide__channel *channel);

/* The end */

/* Before whoever closes waits for the output: a socket that parts in words of its own says them
 * behind it. */
void bide__channel_farewell(struct bide__channel *channel);
/* Its owner has closed it: the rest happens in the background. `unread`: input was taken off the
 * socket and is lost. */
void bide__channel_linger(struct bide__channel *channel, bool unread);
/* Resets the connection, and fails all calls. */
void bide__channel_abort(struct bide__channel *channel);
/* From now on nothing is started; the socket goes as soon as nothing is pending. */
void bide__channel_end(struct bide__channel *channel);
/* After each completion of an operation: the next step towards the end, if it has begun. The
 * channel may be gone then. */
void bide__channel_settle(struct bide__channel *channel);

/* For people and options */

/* 0 or -ENOTCONN. */
int bide__channel_address(const struct bide__channel *channel, bool peer,
                          struct bide_address *ret_address);

/* Another socket in the place of this one */

/* Lies in whoever has the socket meanwhile. */
struct bide__swap {
    /* It is wanted no more: closed or aborted by its owner, or the loop closes.
     * bide__channel_swap_end() is still due, but not from inside. */
    void (*unwanted)(struct bide__swap *swap);
    /* Only if a begin returned BIDE_PENDING: it can be tried again. Runs no user code. */
    void (*ready)(struct bide__swap *swap);
};

/*
 * Lends the socket out. Until the end of the swap every call on the channel fails with -EBUSY. The
 * owner has made sure that nobody is inside and no input is buffered. 0; -EBUSY: output is pending
 * or was ended, or input is waited for; or why calls fail.
 */
int bide__channel_swap_begin(struct bide__channel *channel, struct bide__swap *swap,
                             struct bide_sock **ret_sock);
/*
 * Gives it back, or another one in its place. Exactly once, whatever has happened meanwhile. error:
 * 0, or why the bytes on the way make no sense any more: the channel is torn. 0, the error, or
 * -ECONNABORTED: the channel was not wanted any more, and the socket is closed.
 */
int bide__channel_swap_end(struct bide__channel *channel, struct bide_sock *sock, int error);

#endif
