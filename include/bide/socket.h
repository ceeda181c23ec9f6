/*
 * Sockets of any kind, awaited directly: the calls of the sockets interface, which suspend the task
 * where those would block the thread. Nothing is buffered between the program and the kernel; for
 * bytes with lines, buffers and backpressure there are streams (bide/stream.h).
 *
 * Each direction is one task's at a time: one may wait to receive or accept while another one
 * sends or connects; a second one in the same direction is refused with -EBUSY. Closing a socket
 * fails whoever waits on it with -ECONNABORTED.
 *
 * Counts are ints: no call receives or sends more than INT_MAX bytes at once, and a larger size
 * means INT_MAX.
 */
#ifndef BIDE_SOCKET_H
#define BIDE_SOCKET_H

#include <bide/address.h>
#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* A socket. */
typedef struct bide_socket bide_socket;

/*
 * Makes a socket, as socket(2) does; it is non-blocking and close-on-exec.
 *
 * ret_socket: returns owned, to be given back with bide_socket_close().
 * Returns 0, -EAFNOSUPPORT, -EPROTONOSUPPORT, -EACCES, -EMFILE, -ENFILE, -ENOMEM, -ESHUTDOWN,
 * -EINVAL, also where no loop runs. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_open(int family, int type, int protocol, bide_socket **ret_socket);

/*
 * Makes one of a descriptor, whatever its kind and state: one that listens already, too.
 *
 * fd: takes on success; made non-blocking (for whoever shares its open file as well) and
 * close-on-exec. Returns 0, -EBADF, -ENOTSOCK, -ENOMEM, -ESHUTDOWN, -EINVAL; -ENOSYS in simulation.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_adopt(int fd, bide_socket **ret_socket);

/*
 * Sets an option, as setsockopt(2) does.
 *
 * value: length bytes, borrowed until return. Returns 0, -ENOPROTOOPT, -EINVAL, or what
 * setsockopt(2) says; -ECONNABORTED if the loop was closed, as for all calls here.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_setopt(bide_socket *socket, int level, int name, const void *value,
                                   unsigned length);

/*
 * Asks for an option, as getsockopt(2) does.
 *
 * ret_value: room for *length bytes; *length is then how many there are.
 * Returns as bide_socket_setopt().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_getopt(bide_socket *socket, int level, int name, void *ret_value,
                                   unsigned *length);

/*
 * Gives the socket an address of its own; port 0 means any that is free.
 *
 * address: borrowed until return. Returns 0, -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_bind(bide_socket *socket, const struct bide_address *address);

/*
 * Lets others connect; at most `backlog` wait to be accepted.
 *
 * Returns 0, -EADDRINUSE, -EOPNOTSUPP, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_listen(bide_socket *socket, int backlog);

/*
 * The socket's own address.
 *
 * Returns 0, -EINVAL, -ECONNABORTED.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_local(const bide_socket *socket, struct bide_address *ret_address);

/*
 * The address that it is connected to.
 *
 * Returns 0, -ENOTCONN, -EINVAL, -ECONNABORTED.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_peer(const bide_socket *socket, struct bide_address *ret_address);

/*
 * The kernel's descriptor, borrowed: for options only. -1 if the loop was closed, or simulated.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_fd(const bide_socket *socket);

/*
 * Ends one direction or both, as shutdown(2) does.
 *
 * how: SHUT_RD, SHUT_WR or SHUT_RDWR. Returns 0, -ENOTCONN, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_shutdown(bide_socket *socket, int how);

/*
 * Closes the socket, as close(2) does: what the kernel took goes out still. Calls of other tasks
 * that wait on it fail with -ECONNABORTED.
 *
 * socket: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_socket_close(bide_socket *socket);

/*
 * Makes a stream of a connected stream socket. Nothing is lost: what the kernel has received is
 * read from the stream.
 *
 * socket: takes on success. opts: borrowed until return; NULL for defaults. ret_stream: returns
 * owned. Returns 0, -ENOTCONN, -EBUSY (somebody waits on it), -BIDE_ETORN, -EINVAL (no stream
 * socket, senseless options), -ENOMEM. Suspends: no. Cancel: not affected. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_socket_to_stream(bide_socket *socket, const struct bide_stream_opts *opts,
                                      bide_stream **ret_stream);

/*
 * Takes the next connection of a socket that listens, waiting for one.
 *
 * ret_connection: returns owned. ret_address: the peer's address, of length 0 if it is gone
 * already; may be NULL. Returns 0; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: the connection stays in the
 * queue, and the next call waits until there may be a descriptor again, for 0.1 s at most, so that
 * a loop that goes on after these errors does not spin; -EINVAL (it does not listen), -ECANCELED,
 * -EBUSY, -ECONNABORTED, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: no connection was taken. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_accept(bide_socket *socket, bide_socket **ret_connection,
                                   struct bide_address *ret_address);

/*
 * Connects to an address. bide_resolve() makes addresses of names and of numbers.
 *
 * address: copies. Returns 0; -ECONNREFUSED, -ETIMEDOUT, -ENETUNREACH, -EHOSTUNREACH,
 * -EADDRNOTAVAIL, -EISCONN, or what else connect(2) says, -EAGAIN among it (a Unix socket whose
 * queue is full); -ECANCELED, -EBUSY, -ECONNABORTED, -EINVAL, -BIDE_ENOTASK. Suspends: yes. Cancel:
 * the connection may come about all the same, so the socket is torn: all calls but closing fail
 * with -BIDE_ETORN. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_connect(bide_socket *socket, const struct bide_address *address);

/*
 * Receives what is there, waiting until there is something.
 *
 * buffer: size bytes, borrowed until return.
 * Returns how many bytes; 0 at the end of a stream, for an empty datagram, or if size is 0;
 * -ECANCELED, -EBUSY, -ECONNABORTED, the connection's error, -ENOTCONN, -BIDE_ETORN, -EINVAL,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: nothing was received. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_receive(bide_socket *socket, void *buffer, size_t size);

/*
 * Sends everything.
 *
 * data: size bytes, borrowed until return. ret_sent: how many of them the kernel took, set also
 * when the call fails; may be NULL. Returns 0, -ECANCELED, -EBUSY, -EPIPE or the connection's
 * error, -ECONNABORTED, -ENOTCONN, -EMSGSIZE, -BIDE_ETORN, -ENOMEM, -EINVAL, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: a part may have gone: ret_sent tells, and the caller may send the rest
 * later. Where ret_sent is NULL nobody knows, so that the socket is torn if a part went: all calls
 * but closing fail with -BIDE_ETORN. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_send_all(bide_socket *socket, const void *data, size_t size,
                                     size_t *ret_sent);

/*
 * Sends what there is room for, waiting until there is some; a datagram whole.
 *
 * data: size bytes, borrowed until return. Returns how many bytes the kernel took, at least 1 but
 * for an empty datagram or size 0; otherwise as bide_socket_send_all(). Suspends: yes. Cancel:
 * nothing was sent. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_send(bide_socket *socket, const void *data, size_t size);

/*
 * Receives one datagram, waiting for one, and tells who sent it.
 *
 * buffer: size bytes, borrowed until return. ret_from: of length 0 if the sender has no address;
 * may be NULL. Returns how many bytes, 0 if it is empty; -EMSGSIZE: it is longer than size, its
 * beginning is in the buffer (and *ret_from is set), and the rest is lost; otherwise as
 * bide_socket_receive(). Of a stream it is what bide_socket_receive() does. Suspends: yes. Cancel:
 * nothing was received. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_receive_from(bide_socket *socket, void *buffer, size_t size,
                                         struct bide_address *ret_from);

/*
 * Sends one datagram to an address, waiting until there is room.
 *
 * data, to: borrowed until return. Returns size; -EMSGSIZE: it is too large, and nothing was sent;
 * -ECONNREFUSED, -EHOSTUNREACH and the like, of this datagram or an earlier one; otherwise as
 * bide_socket_send_all(). Suspends: yes. Cancel: nothing was sent. Thread: loop thread only.
 */
BIDE_EXPORT int bide_socket_send_to(bide_socket *socket, const void *data, size_t size,
                                    const struct bide_address *to);

BIDE_END_DECLARATIONS

#endif
