/*
 * System calls on sockets and pipe ends with the errors of engine.h: negative, interruptions
 * retried, no SIGPIPE, descriptors non-blocking and close-on-exec. What every engine with a kernel
 * shares. Nothing here knows about readiness.
 */
#ifndef BIDE_ENGINE_SOCKET_H
#define BIDE_ENGINE_SOCKET_H

#include "engine/engine.h"

/* What a descriptor is, as far as the calls here must know. */
enum bide__fd_traits {
    BIDE__FD_SOCKET = 1, /* recv and send work; otherwise read and write */
    BIDE__FD_TCP = 2, /* a byte stream without any boundaries: less than asked for means that there
                         was no more */
    BIDE__FD_WRITE_ONLY = 4,     /* no socket, and nothing can be read */
    BIDE__FD_DATAGRAM = 8,       /* no connection that is lost: each message for itself */
    BIDE__FD_INET_DATAGRAM = 16, /* and no descriptors come with it */
};

/* Whether shutting down this way means to close it; else 0, or -ENOTSOCK. */
static inline int bide__fd_shutdown_closes(unsigned traits, int how)
{
    if (traits & BIDE__FD_SOCKET)
        return 0;
    return (traits & BIDE__FD_WRITE_ONLY) && how == SHUT_WR ? 1 : -ENOTSOCK;
}

/* As the engine's calls of these names: they need sock->fd only. */
int bide__socket_bind(struct bide_sock *sock, const struct sockaddr *address, socklen_t length);
int bide__socket_listen(struct bide_sock *sock, int backlog);
int bide__socket_shutdown(struct bide_sock *sock, int how);
int bide__socket_setopt(struct bide_sock *sock, int level, int name, const void *value,
                        socklen_t length);
int bide__socket_getopt(struct bide_sock *sock, int level, int name, void *value,
                        socklen_t *length);
int bide__socket_name(struct bide_sock *sock, bool peer, struct sockaddr *ret_address,
                      socklen_t *length);

/* A new descriptor, or an error. */
int bide__fd_socket(int family, int type, int protocol, unsigned *ret_traits);
/* Makes a user's descriptor fit for an engine; its checks and errors are sock_adopt()'s. */
int bide__fd_adopt(int fd, enum bide_adopt wanted, unsigned *ret_traits);
/* The next connection's descriptor, -EAGAIN, or an error. Connections that died in the queue are
 * passed over. */
int bide__fd_accept(int fd);
/* 0: connected; -EINPROGRESS: wait for it to become writable, then ask bide__fd_connect_result().
 */
int bide__fd_connect(int fd, const struct sockaddr *address, socklen_t length);
/* 0: connected; -EINPROGRESS: not decided yet; or why it failed. */
int bide__fd_connect_result(int fd);
/* Whether the descriptor is ready now; `events` as for poll(2). Errors and hang-ups count as ready.
 */
bool bide__fd_ready(int fd, short events);

/* Bytes (at least 1), 0 at the end of file, -EAGAIN, or an error. */
ssize_t bide__fd_recv(int fd, unsigned traits, void *buffer, size_t size);
/* Bytes (at least 1, or 0 if there is nothing to send), -EAGAIN, or an error. n_iov <= IOV_MAX. */
ssize_t bide__fd_send(int fd, unsigned traits, const struct iovec *iov, int n_iov);
/* As the engine's calls of these names. */
ssize_t bide__fd_recv_message(int fd, unsigned traits, struct msghdr *message);
ssize_t bide__fd_send_message(int fd, const struct msghdr *message);

/* As the engine's try_send_file(). */
ssize_t bide__fd_send_file(int fd, unsigned traits, int file, int64_t offset, size_t size);

/* Steps over `size` bytes, in place. Afterwards the first element, if there is one, is not empty.
 */
void bide__iov_advance(struct iovec **iov, int *n_iov, size_t size);
size_t bide__iov_size(const struct iovec *iov, int n_iov);

/* The running out of descriptors or memory: accepting again at once would fail again. */
static inline bool bide__accept_starves(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

/* The connection is gone. Whoever is told first, the sender or the receiver, the kernel tells the
 * other one nothing. */
static inline bool bide__connection_lost(ssize_t rc)
{
    return rc == -ECONNRESET || rc == -ETIMEDOUT || rc == -EHOSTUNREACH || rc == -ENETUNREACH;
}

/* How long a listener rests after it starved, unless the engine closes a descriptor before. */
#define BIDE__ACCEPT_REST_NS INT64_C(100000000)

/* The clocks and randomness of an engine that has a kernel. */
int64_t bide__kernel_now_ns(struct bide_engine *engine);
int64_t bide__kernel_wall_ns(struct bide_engine *engine);
int bide__kernel_entropy(struct bide_engine *engine, void *buffer, size_t size);

#endif
