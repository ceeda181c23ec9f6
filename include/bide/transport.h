/*
 * Transports and protocols: connections without tasks, for programs of callbacks and for language
 * bindings. A transport carries the bytes; a protocol is a table of functions that the transport
 * calls with the protocol's `data`.
 *
 * What a protocol can rely on:
 *  - connection_made is the first call, connection_lost the last, and each comes once. Between them
 * come data_received (or get_buffer and buffer_updated) as often as there are bytes, and at most
 * one eof_received, after which there are none.
 *  - Calls come from the loop, on the thread's own stack, one at a time, and never from inside a
 * function of this header: what a call causes is told in a later turn.
 *  - After bide_transport_pause_reading(), _close(), _abort() and _set_protocol() the protocol gets
 * no more bytes and no end of file.
 *  - pause_writing and resume_writing take turns, beginning with the first: one of each for every
 * time that what is buffered rises above the high mark and falls to the low one. They may come
 * after bide_transport_close() too.
 *  - `drop(data)` runs exactly once: after connection_lost or connection_failed, or when another
 * protocol has taken over, or when the loop closes. A loop that closes does not call
 * connection_lost, but only drops; while it waits for tasks to end, the other calls still come.
 *  - A callback may end the loop's run with bide_loop_stop_with(). What else was to come in this
 * turn comes all the same.
 *
 * A transport belongs to the loop. Pointers to it are valid until connection_lost or
 * connection_failed has returned, or `drop` when the loop closes; whoever needs one for longer
 * takes a reference, and its functions fail from then on.
 */
#ifndef BIDE_TRANSPORT_H
#define BIDE_TRANSPORT_H

#include <bide/loop.h>
#include <bide/server.h>
#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* A connection. */
typedef struct bide_transport bide_transport;

/*
 * A protocol's functions; constant while it is in use. All but connection_made may be NULL. `data`
 * is what the protocol came with. With get_buffer, data_received is not called; with neither, what
 * comes is thrown away.
 */
struct bide_protocol {
    /* There is a connection. transport: see above for how long it is valid. */
    void (*connection_made)(void *data, bide_transport *transport);
    /* bide_loop_connect(): there is none, and nothing else is called. error: as bide_connect(), or
     * -ECANCELED; words about it are in bide_error_detail(). */
    void (*connection_failed)(void *data, int error);
    /* Bytes came. bytes: borrowed until return; size >= 1. */
    void (*data_received)(void *data, const void *bytes, size_t size);
    /*
     * Bytes came: says where they are to go. hint: how many there are, or a few of more; the buffer
     * may have another size. Returns the buffer, which is used until buffer_updated and not
     * afterwards; ret_size: its size, at least 1. NULL or no size breaks the connection with
     * -ENOBUFS.
     */
    void *(*get_buffer)(void *data, size_t hint, size_t *ret_size);
    /* The buffer has n >= 1 bytes. */
    void (*buffer_updated)(void *data, size_t n);
    /* The peer ended its side. Returns whether our side stays open; otherwise, and without this
     * function, the transport closes. */
    bool (*eof_received)(void *data);
    /* The connection is over, and its descriptor closed. error: 0 if we closed or aborted it or it
     * ended with the peer's side; otherwise why it broke. -ECONNABORTED: what was written before
     * the close did not go out in time. */
    void (*connection_lost)(void *data, int error);
    /* More than the high mark is buffered: writing should stop. */
    void (*pause_writing)(void *data);
    /* No more than the low mark is left: it may go on. */
    void (*resume_writing)(void *data);
};

/*
 * Connects to a host, as bide_connect() does, and then calls connection_made, or else
 * connection_failed.
 *
 * host, opts: borrowed until return; opts may be NULL. Of opts->stream the marks, linger_seconds
 * and `delay` count. protocol: borrowed until `drop`. data: see drop, which may be NULL.
 * ret_transport: may be NULL; borrowed; bide_transport_abort() ends the attempt.
 * Returns 0 or -EINVAL, -ENOMEM, -ESHUTDOWN, or the engine's error; on failure `data` stays the
 * caller's.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_connect(bide_loop *loop, const char *host, unsigned port,
                                  const struct bide_connect_opts *opts,
                                  const struct bide_protocol *protocol, void *data, bide_drop *drop,
                                  bide_transport **ret_transport);

/* A protocol with its data, as a factory makes it. */
struct bide_party {
    const struct bide_protocol *protocol;
    void *data;
    bide_drop *drop; /* may be NULL */
};

/* Makes the protocol of a new connection. Returns 0, or a negative value: the connection is closed,
 * and the error reported. Called from the loop as a protocol's functions are. */
typedef int bide_protocol_factory(void *data, struct bide_party *ret_party);

/*
 * Listens, and gives each connection the protocol that `factory` makes for it.
 *
 * host: a number, or NULL for every interface; names are for bide_resolve() or bide_serve(). port:
 * 0 for a free one, the same for all addresses. opts: as for bide_serve(), borrowed until return;
 * NULL for defaults; stack_size is not used. data: the factory's. drop: takes data when the server
 * is closed and its last connection is lost: for who waits for that without a task. May be NULL.
 * ret_server: returns owned, for bide_server_close() and bide_server_free();
 * bide_server_cancel() aborts its connections.
 * Returns 0; -EINVAL, also for a name; -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -ENOMEM, -EMFILE,
 * -ESHUTDOWN; on failure `data` stays the caller's. bide_error_detail() names the address.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_listen(bide_loop *loop, const char *host, unsigned port,
                                 const struct bide_server_opts *opts,
                                 bide_protocol_factory *factory, void *data, bide_drop *drop,
                                 bide_server **ret_server);

/*
 * Makes a transport of a connected stream socket.
 *
 * fd: as bide_stream_adopt(). The rest as bide_loop_connect().
 * Returns 0, or an error of bide_stream_adopt().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_adopt(bide_loop *loop, int fd, const struct bide_stream_opts *opts,
                                     const struct bide_protocol *protocol, void *data,
                                     bide_drop *drop, bide_transport **ret_transport);

/*
 * A transport that reads what a descriptor of any kind stands for, as bide_input() does.
 *
 * fd: borrowed until return. The rest as bide_transport_adopt().
 * Returns 0, or an error of bide_input().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_input(bide_loop *loop, int fd, const struct bide_stream_opts *opts,
                                     const struct bide_protocol *protocol, void *data,
                                     bide_drop *drop, bide_transport **ret_transport);

/*
 * The same for writing, as bide_output(). That nobody reads any more is noticed by writing.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_output(bide_loop *loop, int fd, const struct bide_stream_opts *opts,
                                      const struct bide_protocol *protocol, void *data,
                                      bide_drop *drop, bide_transport **ret_transport);

/*
 * Keeps the structure for as long as the reference is held, also after the loop has closed.
 *
 * Returns the same transport; NULL for NULL. Suspends: no. Cancel: not affected. Thread: loop
 * thread only.
 */
BIDE_EXPORT bide_transport *bide_transport_ref(bide_transport *transport);

/*
 * Gives a reference back.
 *
 * transport: takes one reference; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_transport_unref(bide_transport *transport);

/*
 * Writes all of it. What the kernel does not take at once is buffered, however much it is:
 * pause_writing says when it is too much.
 *
 * data: copied. What is written in one turn goes out together, before the loop next waits.
 * Returns 0; -ENOTCONN while it is being connected and after the loss; -EPIPE after
 * bide_transport_write_eof() or _close(); the error that broke the connection, of which
 * connection_lost will tell; -EBADF if it is for reading; -EBUSY while start_tls is under way;
 * -ENOMEM; -EINVAL. Nothing is buffered then; but if -ENOMEM came after a part went out, the
 * connection breaks. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_write(bide_transport *transport, const void *data, size_t size);

/*
 * bide_transport_write() from several pieces.
 *
 * pieces: n pieces, borrowed until return.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_writev(bide_transport *transport, const struct iovec *pieces, int n);

/*
 * Ends our side behind all that was written. Reading goes on; a transport for writing alone closes.
 *
 * Returns 0, -EALREADY, or as bide_transport_write().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_write_eof(bide_transport *transport);

/*
 * Whether the transport has an end of its own for our side: whether it is for writing.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_transport_can_write_eof(const bide_transport *transport);

/*
 * Ends the connection: nothing more is read, what was written goes out (within linger_seconds of
 * the options), and connection_lost follows. NULL is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_transport_close(bide_transport *transport);

/*
 * Breaks the connection: drops what is buffered and resets it; connection_lost follows. An attempt
 * to connect ends, and connection_failed follows with -ECANCELED. NULL is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_transport_abort(bide_transport *transport);

/*
 * Whether the transport is closed or on its way to that, whoever began it.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_transport_is_closing(const bide_transport *transport);

/*
 * From now on the protocol gets no bytes and no end of file. Also before connection_made.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_transport_pause_reading(bide_transport *transport);

/*
 * Takes bide_transport_pause_reading() back.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_transport_resume_reading(bide_transport *transport);

/*
 * Whether the protocol gets what comes: the connection is made, neither paused nor closing, and the
 * peer's side has not ended.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_transport_is_reading(const bide_transport *transport);

/*
 * Sets the marks: pause_writing follows when more than high_bytes are buffered, resume_writing when
 * no more than low_bytes are.
 *
 * Returns 0; -EINVAL if the low one is above the high one.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_set_write_limits(bide_transport *transport, size_t high_bytes,
                                                size_t low_bytes);

/*
 * The marks. Either output may be NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_transport_write_limits(const bide_transport *transport,
                                             size_t *ret_high_bytes, size_t *ret_low_bytes);

/*
 * How many bytes were written and not yet taken by the kernel.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_transport_pending(const bide_transport *transport);

/*
 * Gives the transport another protocol: connection_made is not called again, everything from now on
 * goes to the new one. The former one's data is dropped before this returns, or, from inside one of
 * its functions, when that has returned.
 *
 * protocol, data, drop: as bide_loop_connect().
 * Returns 0, -EINVAL, or -ENOTCONN after the loss (then `data` stays the caller's).
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_set_protocol(bide_transport *transport,
                                            const struct bide_protocol *protocol, void *data,
                                            bide_drop *drop);

/*
 * The data of the protocol, borrowed; NULL after the loss.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void *bide_transport_data(const bide_transport *transport);

/*
 * The loop, borrowed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_loop *bide_transport_loop(const bide_transport *transport);

/*
 * The kernel's descriptor, borrowed: for options only. -1 if there is none: before connection_made,
 * after the loss, in simulation.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_fd(const bide_transport *transport);

/*
 * The peer's address.
 *
 * Returns 0 or -ENOTCONN, -ENOTSOCK, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_peer(const bide_transport *transport,
                                    struct bide_address *ret_address);

/*
 * Our own address.
 *
 * Returns 0 or -ENOTCONN, -ENOTSOCK, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_transport_local(const bide_transport *transport,
                                     struct bide_address *ret_address);

BIDE_END_DECLARATIONS

#endif
