/*
 * Byte streams over TCP.
 *
 * Reading is pulled: nothing is read from the kernel before somebody asks. Writing pushes back: a
 * call waits while more than the high-water mark is buffered. What is written in one turn of the
 * loop goes out together at its end. One task may read while others write; a second reader is
 * refused, several writers take turns, first come first served, and each call's bytes stay
 * together.
 *
 * Counts are ints: no call reads more than INT_MAX bytes, and a larger size means INT_MAX.
 */
#ifndef BIDE_STREAM_H
#define BIDE_STREAM_H

#include <bide/address.h>

BIDE_BEGIN_DECLARATIONS

struct iovec;

/* A connected byte stream. */
typedef struct bide_stream bide_stream;

/* How a stream buffers and ends; zeroed fields mean defaults. */
struct bide_stream_opts {
    size_t read_limit_bytes; /* of one line or separated piece; 0: 65,536 */
    size_t write_high_bytes; /* calls wait while more is buffered; 0: 65,536 */
    size_t write_low_bytes;  /* they go on at this; 0: a quarter of the high mark */
    double linger_seconds;   /* how long output is flushed behind a cancelled close; 0: 10 */
    bool delay;              /* let the kernel collect small writes (TCP_NODELAY is off) */
};

/* How to connect; zeroed fields mean defaults. */
struct bide_connect_opts {
    enum bide_family family;
    struct bide_stream_opts stream;
    double resolve_seconds; /* limit of the name lookup alone; 0: none */
    double attempt_seconds; /* before the next address is tried beside the last; 0: 0.25 */
    const struct bide_address *local; /* IPv4 or IPv6, to connect from; port 0: any free one */
};

/*
 * Connects to a host by name or numeric address. The addresses of a name are tried as RFC 8305
 * says: IPv4 and IPv6 take turns, each begins attempt_seconds after the one before, or at once when
 * one has failed, and the first connection wins.
 *
 * opts: borrowed until return; NULL for defaults. ret_stream: returns owned, to be given back with
 * bide_close().
 * Returns 0; the first address's error, unless it was only that this machine has no such network;
 * an error of bide_resolve(); -ETIMEDOUT also after resolve_seconds; -EADDRNOTAVAIL, -EADDRINUSE or
 * -EAFNOSUPPORT for `local`; -ECANCELED, -EINVAL, -ENOMEM, -EMFILE, -BIDE_ENOTASK.
 * bide_error_detail() names the address, or several and why each failed.
 * Suspends: yes. Cancel: no connection is left. Thread: loop thread only.
 */
BIDE_EXPORT int bide_connect(const char *host, unsigned port, const struct bide_connect_opts *opts,
                             bide_stream **ret_stream);

/*
 * Makes a stream of a connected stream socket.
 *
 * fd: takes on success; made non-blocking and close-on-exec.
 * Returns 0; -EBADF; -ENOTSOCK; -EINVAL if it is another type of socket or listens, for senseless
 * options, NULL, or where no loop runs; -ENOSYS in simulation; -ENOMEM, -ESHUTDOWN.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stream_adopt(int fd, const struct bide_stream_opts *opts,
                                  bide_stream **ret_stream);

/*
 * Reads what is there, waiting until there is at least one byte.
 *
 * buffer: borrowed until return; untouched while the call waits, so that the tasks of a loop may
 * share one, each until its next suspending call. bide_offer() is the way on then, which copies.
 * Returns how many bytes were read, 0 at the end of the stream, -ECANCELED, -EBUSY (another task
 * reads), -ECONNABORTED (aborted, or closed by another task), -BIDE_ETORN (see bide_write()), the
 * connection's error, -EINVAL, -BIDE_ENOTASK. Suspends: yes. Cancel: nothing was read. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_read(bide_stream *stream, void *buffer, size_t size);

/*
 * Reads exactly that many bytes.
 *
 * Returns size; -BIDE_EINCOMPLETE if the stream ends before (what came stays in the stream, for
 * bide_read(); bide_error_detail() says how much); -ENOMEM; otherwise as bide_read(). Suspends:
 * yes. Cancel: what came stays in the stream. Thread: loop thread only.
 */
BIDE_EXPORT int bide_read_exactly(bide_stream *stream, void *buffer, size_t size);

/*
 * Reads a line, through its "\n". The last line may lack it.
 *
 * ret_line: the line without its "\n", terminated by a NUL; borrowed from the stream until the next
 * call that reads or closes it. A NUL may also be part of the line: its length is the result less
 * one, or the result if bide_at_eof() and it had no end. Returns how many bytes were read, the "\n"
 * included, so that 1 is an empty line; 0 at the end of the stream; -BIDE_ELIMIT if the line is
 * longer than the limit: it is skipped through its end, and the stream goes on behind it; otherwise
 * as bide_read(), and -ENOMEM. Suspends: yes. Cancel: what came stays in the stream. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_read_line(bide_stream *stream, char **ret_line);

/*
 * Reads through a separator.
 *
 * separator: size >= 1 bytes, borrowed until return. ret_data: everything through the separator,
 * not terminated; borrowed from the stream as a line is. Returns how many bytes, the separator
 * included; -BIDE_EINCOMPLETE if the stream ends before it (what came stays in the stream);
 * -BIDE_ELIMIT if it does not come within the limit (likewise); otherwise as bide_read(), and
 * -ENOMEM. Suspends: yes. Cancel: what came stays in the stream. Thread: loop thread only.
 */
BIDE_EXPORT int bide_read_until(bide_stream *stream, const void *separator, size_t size,
                                char **ret_data);

/*
 * Like bide_read_until() with several separators: the one that ends first counts.
 *
 * separators: n >= 1 pieces of at least one byte each.
 * Suspends: yes. Cancel: what came stays in the stream. Thread: loop thread only.
 */
BIDE_EXPORT int bide_read_until_any(bide_stream *stream, const struct iovec *separators, size_t n,
                                    char **ret_data);

/*
 * Whether the peer ended its side and everything that it sent was read.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_at_eof(const bide_stream *stream);

/*
 * Writes everything: waits for room, then copies up to the high-water mark; more goes out from the
 * caller's memory, and the call waits until it is gone.
 *
 * data: borrowed until return.
 * Returns 0, -ECANCELED, -EPIPE or the connection's error, also one that an earlier write met
 * later; -ECONNABORTED (aborted); -BIDE_ETORN; -ENOMEM, -EINVAL, -BIDE_ENOTASK. Suspends: yes.
 * Cancel: nothing was written; in the middle of more than the high-water mark the stream is torn,
 * and only abort and close work. Thread: loop thread only.
 */
BIDE_EXPORT int bide_write(bide_stream *stream, const void *data, size_t size);

/*
 * bide_write() from several pieces, as one.
 *
 * pieces: n pieces, borrowed until return.
 * Suspends: yes. Cancel: as bide_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_writev(bide_stream *stream, const struct iovec *pieces, int n);

/*
 * Writes everything now or nothing: for whoever must not wait for a slow peer.
 *
 * data: copied. Returns 0, -EAGAIN if it would not fit under the high-water mark or others wait to
 * write; otherwise as bide_write() but for -ECANCELED and -BIDE_ENOTASK. Suspends: no. Cancel: not
 * affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_offer(bide_stream *stream, const void *data, size_t size);

/*
 * Waits until the kernel has taken all that was written before. Others may write meanwhile.
 *
 * Returns as bide_write(); also after bide_write_eof().
 * Suspends: yes. Cancel: the wait ends, the output goes on. Thread: loop thread only.
 */
BIDE_EXPORT int bide_drain(bide_stream *stream);

/*
 * Ends our side: the peer sees the end of the stream behind all that was written. Reading goes on.
 *
 * Returns 0, -EALREADY, or as bide_write().
 * Suspends: yes. Cancel: behind others who write, nothing happened; otherwise our side ends all the
 * same, when what was written is gone. Thread: loop thread only.
 */
BIDE_EXPORT int bide_write_eof(bide_stream *stream);

/*
 * Ends the stream: flushes what was written, waits for that, and frees it. Other tasks' calls on it
 * fail with -ECONNABORTED.
 *
 * stream: takes, whatever is returned; NULL is allowed.
 * Returns 0, or the error that kept what was written from going out, -BIDE_ETORN and -ECANCELED
 * among them. Suspends: yes, a join. Cancel: does not wait; what is buffered is flushed in the
 * background for at most linger_seconds. Thread: loop thread only; outside tasks it does not wait
 * either.
 */
BIDE_EXPORT int bide_close(bide_stream *stream);

/*
 * Breaks the connection: drops what is buffered, resets it, and fails all calls on it, also those
 * that wait. Frees nothing: bide_close() is still due.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_abort(bide_stream *stream);

/*
 * How many bytes were written and not yet taken by the kernel.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_stream_pending(const bide_stream *stream);

/*
 * The kernel's descriptor, borrowed: for options only. -1 if the stream is aborted, or
 * simulated.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stream_fd(const bide_stream *stream);

/*
 * The peer's address.
 *
 * Returns 0 or -ENOTCONN, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stream_peer(const bide_stream *stream, struct bide_address *ret_address);

/*
 * Our own address.
 *
 * Returns 0 or -ENOTCONN, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stream_local(const bide_stream *stream, struct bide_address *ret_address);

BIDE_END_DECLARATIONS

#endif
