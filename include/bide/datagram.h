/*
 * Messages without a connection: UDP and Unix datagram sockets.
 *
 * A message arrives whole or not at all; UDP may also lose, double and reorder it. An empty message
 * is one, and there is no end. Receiving is pulled: nothing is read from the kernel before somebody
 * asks, and what nobody asks for in time the kernel drops (UDP) or has its senders wait for (Unix).
 * One task may receive while others send; a second receiver is refused, several senders that find
 * no room take turns, first come first served.
 *
 * The second half of this file is the same for callbacks, as asyncio's DatagramProtocol.
 */
#ifndef BIDE_DATAGRAM_H
#define BIDE_DATAGRAM_H

#include <bide/address.h>
#include <bide/loop.h>

BIDE_BEGIN_DECLARATIONS

/* Descriptors that come along; see bide/descriptors.h. */
struct bide_fds;

/* A datagram socket. */
typedef struct bide_datagram bide_datagram;

/* What an endpoint is like; zeroed fields mean defaults. */
struct bide_datagram_opts {
    enum bide_family family;         /* BIDE_ANY_FAMILY: the peer's, or else IPv4 goes first */
    const struct bide_address *peer; /* to hear this one alone, and to send there by default */
    bool reuse_port;                 /* several sockets share the port, and the kernel chooses */
    bool broadcast;                  /* sending to broadcast addresses is allowed */
    int receive_buffer_bytes;        /* what the kernel may queue (SO_RCVBUF); 0: its default */
    int send_buffer_bytes;           /* likewise (SO_SNDBUF) */
    size_t message_bytes_max;        /* callback form: longer ones are errors; 0: 65,536 */
    size_t write_high_bytes;         /* callback form: pause_writing above this; 0: 65,536 */
    size_t write_low_bytes;          /* resume_writing at this; 0: a quarter of the high mark */
};

/*
 * Opens a UDP endpoint on an address of this machine.
 *
 * host: a name or a numeric address; NULL or "": any, of every interface. port: 0 for any free one.
 * opts: borrowed until return; NULL for defaults. ret_endpoint: returns owned, to be given back
 * with bide_datagram_close().
 * Returns 0, an error of bide_resolve(), or -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EAFNOSUPPORT
 * (the peer's family is another one), -EMFILE, -ENOMEM, -EINVAL, -ECANCELED, -BIDE_ENOTASK.
 * bide_error_detail() names the address. Suspends: yes. Cancel: nothing was opened. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_datagram_open(const char *host, unsigned port,
                                   const struct bide_datagram_opts *opts,
                                   bide_datagram **ret_endpoint);

/*
 * Opens a Unix datagram endpoint.
 *
 * path: as bide_address_unix(): of a file that is made, and stays when the endpoint is closed, or
 * an abstract name; "": any abstract name that is free; NULL: no name, so that nobody can answer.
 * Otherwise as bide_datagram_open(); -ENAMETOOLONG; -EADDRINUSE also for a file
 * that is left from before; with a peer, -ENOENT or -ECONNREFUSED: it is not there.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_unix(const char *path, const struct bide_datagram_opts *opts,
                                   bide_datagram **ret_endpoint);

/*
 * Waits for the next message.
 *
 * buffer: size bytes, borrowed until return. ret_from: who sent it (length 0: a nameless one); may
 * be NULL. Returns how many bytes it has, 0 for an empty one; -EMSGSIZE: it is longer than the
 * buffer, which has its beginning, and the rest of it is lost; -ECONNREFUSED and the like: what
 * became of an earlier message to the peer, told once, and the endpoint goes on; -EBUSY (another
 * task receives), -ECONNABORTED (aborted, or closed by another task), -ECANCELED, -EINVAL, -ENOMEM,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: no message was taken. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_receive(bide_datagram *endpoint, void *buffer, size_t size,
                                      struct bide_address *ret_from);

/*
 * Sends a message, and waits while there is no room: in our kernel's queue, or in that of a Unix
 * receiver.
 *
 * data: borrowed until return. to: NULL for the peer.
 * Returns 0; -EMSGSIZE: it is too long; -EDESTADDRREQ or -ENOTCONN: no address, and no peer;
 * -ECONNREFUSED: what became of an earlier message, or that nobody is at that Unix address;
 * -ENOENT, -EACCES, -EPERM, -ENETUNREACH, -EHOSTUNREACH, -ENOBUFS, -EAFNOSUPPORT; -ECONNABORTED
 * (aborted, or closed by another task), -ECANCELED, -EINVAL, -ENOMEM, -BIDE_ENOTASK. Suspends: yes.
 * Cancel: nothing was sent. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_send(bide_datagram *endpoint, const void *data, size_t size,
                                   const struct bide_address *to);

/*
 * Sends a message if there is room now.
 *
 * Returns 0, -EAGAIN if there is none or others wait for some; otherwise as bide_datagram_send()
 * but for -ECANCELED and -BIDE_ENOTASK. Suspends: no. Cancel: not affected. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_datagram_offer(bide_datagram *endpoint, const void *data, size_t size,
                                    const struct bide_address *to);

/*
 * bide_datagram_receive(), with the descriptors that came along; see bide/descriptors.h.
 *
 * Suspends: yes. Cancel: no message was taken. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_receive_fds(bide_datagram *endpoint, void *buffer, size_t size,
                                          struct bide_address *ret_from, struct bide_fds *fds);

/*
 * bide_datagram_send() of a Unix endpoint, with n descriptors, which stay the caller's.
 *
 * Returns as bide_datagram_send(); -EBADF; -EINVAL also for more than 253 or an Internet endpoint;
 * -ETOOMANYREFS: too many are on their way. Suspends: yes. Cancel: nothing was sent. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_datagram_send_fds(bide_datagram *endpoint, const void *data, size_t size,
                                       const struct bide_address *to, const int *fds, size_t n);

/*
 * The endpoint's own address.
 *
 * Returns 0 or -ENOTCONN (aborted), -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_local(const bide_datagram *endpoint,
                                    struct bide_address *ret_address);

/*
 * The peer's address.
 *
 * Returns 0, -ENOTCONN (there is none, or aborted), -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_peer(const bide_datagram *endpoint, struct bide_address *ret_address);

/*
 * The kernel's descriptor, borrowed: for options, multicast groups among them. -1 if the endpoint
 * is aborted, or simulated.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_fd(const bide_datagram *endpoint);

/*
 * Closes an endpoint and frees it. What was sent is the kernel's by then. Other tasks' calls on it
 * fail with -ECONNABORTED.
 *
 * endpoint: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_datagram_close(bide_datagram *endpoint);

/*
 * Fails all calls on an endpoint, also those that wait. Frees nothing: bide_datagram_close() is
 * still due.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_datagram_abort(bide_datagram *endpoint);

/* The callback form. */

/* A datagram socket that calls back. */
typedef struct bide_datagram_transport bide_datagram_transport;

/*
 * What a transport calls, on the loop's own stack, one at a time and never from inside a call of
 * the user's. Any may be NULL. `data` is the user's.
 */
struct bide_datagram_protocol {
    /* First, and once. The transport is borrowed until connection_lost returns. */
    void (*connection_made)(void *data, bide_datagram_transport *transport);
    /* A message; both borrowed until return. */
    void (*datagram_received)(void *data, const void *bytes, size_t size,
                              const struct bide_address *from);
    /* What became of an earlier message (-ECONNREFUSED), or -EMSGSIZE: one that came was too long
     * and is lost. The transport goes on. */
    void (*error_received)(void *data, int error);
    /* More than the high mark waits to be sent; once, until: */
    void (*pause_writing)(void *data);
    /* no more than the low mark does. */
    void (*resume_writing)(void *data);
    /* Last, and once: 0 after close, -ECONNABORTED after abort and when the loop closes, else why
     * nothing can be received any more. */
    void (*connection_lost)(void *data, int error);
};

/*
 * Makes a transport over UDP or a Unix datagram socket.
 *
 * local: the address to receive at; NULL: any, of the peer's family, or else IPv4. opts: borrowed
 * until return; NULL for defaults. protocol: borrowed until connection_lost. drop: takes `data`
 * once, behind connection_lost; may be NULL. ret_transport: may be NULL. Returns 0 or as
 * bide_datagram_open() but for names; -ESHUTDOWN; on failure `data` stays the caller's. Suspends:
 * no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_datagram(bide_loop *loop, const struct bide_address *local,
                                   const struct bide_datagram_opts *opts,
                                   const struct bide_datagram_protocol *protocol, void *data,
                                   bide_drop *drop, bide_datagram_transport **ret_transport);

/*
 * Sends a message now, or as soon as there is room.
 *
 * data: copied if it has to wait. to: NULL for the peer.
 * Returns 0 or an error of bide_datagram_send() that concerns this message; -EPIPE after close.
 * Others, and those of messages that had to wait, go to error_received. Suspends: no. Cancel: not
 * affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_transport_send(bide_datagram_transport *transport, const void *data,
                                             size_t size, const struct bide_address *to);

/*
 * How many bytes wait to be sent.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_datagram_transport_pending(const bide_datagram_transport *transport);

/*
 * The address that it is bound to.
 *
 * Returns 0, -ENOTCONN, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_transport_local(const bide_datagram_transport *transport,
                                              struct bide_address *ret_address);

/*
 * The address of its peer.
 *
 * Returns 0, -ENOTCONN if it has none, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_transport_peer(const bide_datagram_transport *transport,
                                             struct bide_address *ret_address);

/*
 * The kernel's descriptor, as bide_datagram_fd().
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_datagram_transport_fd(const bide_datagram_transport *transport);

/*
 * Receives no more, sends what waits, and then calls connection_lost.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_datagram_transport_close(bide_datagram_transport *transport);

/*
 * Drops what waits, and calls connection_lost in one of the next turns.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_datagram_transport_abort(bide_datagram_transport *transport);

BIDE_END_DECLARATIONS

#endif
