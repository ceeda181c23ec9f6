/*
 * The system calls behind socket.h, which states the invariants.
 */
#include "engine/socket.h"

#include "base/explain.h"

#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int result(int rc)
{
    return rc < 0 ? -errno : 0;
}

int bide__socket_bind(struct bide_sock *sock, const struct sockaddr *address, socklen_t length)
{
    return result(bind(sock->fd, address, length));
}

int bide__socket_listen(struct bide_sock *sock, int backlog)
{
    return result(listen(sock->fd, backlog));
}

int bide__socket_shutdown(struct bide_sock *sock, int how)
{
    return result(shutdown(sock->fd, how));
}

int bide__socket_setopt(struct bide_sock *sock, int level, int name, const void *value,
                        socklen_t length)
{
    return result(setsockopt(sock->fd, level, name, value, length));
}

int bide__socket_getopt(struct bide_sock *sock, int level, int name, void *value, socklen_t *length)
{
    return result(getsockopt(sock->fd, level, name, value, length));
}

int bide__socket_name(struct bide_sock *sock, bool peer, struct sockaddr *ret_address,
                      socklen_t *length)
{
    if (peer)
        return result(getpeername(sock->fd, ret_address, length));
    return result(getsockname(sock->fd, ret_address, length));
}

static unsigned socket_traits(int family, int type, int protocol)
{
    bool is_tcp = (family == AF_INET || family == AF_INET6) && type == SOCK_STREAM &&
                  (protocol == 0 || protocol == IPPROTO_TCP);
    bool is_datagram = type == SOCK_DGRAM || type == SOCK_RAW || type == SOCK_RDM;
    bool is_inet_datagram = is_datagram && (family == AF_INET || family == AF_INET6);
    return BIDE__FD_SOCKET | (is_inet_datagram ? BIDE__FD_INET_DATAGRAM : 0u) |
           (is_tcp ? BIDE__FD_TCP : 0u) | (is_datagram ? BIDE__FD_DATAGRAM : 0u);
}

int bide__fd_socket(int family, int type, int protocol, unsigned *ret_traits)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd < 0)
        return -errno;
    *ret_traits = socket_traits(family, type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK), protocol);
    return fd;
}

static int socket_option(int fd, int name)
{
    int value = -1;
    socklen_t length = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0 ? -1 : value;
}

/* Whether it is a stream socket that does not listen. */
static int check_stream(int fd)
{
    int type;
    int listens;
    socklen_t length = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0)
        return -errno;
    return type == SOCK_STREAM && !listens ? 0 : -EINVAL;
}

int bide__fd_adopt(int fd, enum bide_adopt wanted, unsigned *ret_traits)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    int rc = 0;
    if (wanted == BIDE_ADOPT_STREAM || wanted == BIDE_ADOPT_SHARED)
        rc = check_stream(fd);
    else if (wanted == BIDE_ADOPT_SOCKET)
        rc = S_ISSOCK(status.st_mode) ? 0 : -ENOTSOCK;
    else if (wanted != BIDE_ADOPT_ANY && S_ISSOCK(status.st_mode))
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        return -EPERM;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    int access = flags & O_ACCMODE;
    if ((wanted == BIDE_ADOPT_INPUT && access == O_WRONLY) ||
        (wanted == BIDE_ADOPT_OUTPUT && access == O_RDONLY))
        return -EBADF;
    bool set = !(flags & O_NONBLOCK) && wanted != BIDE_ADOPT_SHARED;
    if (set && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    *ret_traits = !S_ISSOCK(status.st_mode)
                      ? (access == O_WRONLY ? BIDE__FD_WRITE_ONLY : 0u)
                      : socket_traits(socket_option(fd, SO_DOMAIN), socket_option(fd, SO_TYPE),
                                      socket_option(fd, SO_PROTOCOL));
    return 0;
}

int bide__fd_accept(int fd)
{
    for (;;) {
        int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (accepted >= 0)
            return accepted;
        if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    }
}

int bide__fd_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    /* An interrupted connect goes on by itself; calling it again would ask for a second one. */
    int rc = result(connect(fd, address, length));
    return rc == -EINTR ? -EINPROGRESS : rc;
}

int bide__fd_connect_result(int fd)
{
    struct pollfd state = {.fd = fd, .events = POLLOUT};
    int rc;
    do
        rc = poll(&state, 1, 0);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return -errno;
    if (rc == 0)
        return -EINPROGRESS;
    int error;
    socklen_t length = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    if (error != 0)
        return -error;
    /* Hung up without a reason: it was shut down on this side while it was connecting. */
    return state.revents & POLLHUP ? -ECONNABORTED : 0;
}

bool bide__fd_ready(int fd, short events)
{
    struct pollfd state = {.fd = fd, .events = events};
    int rc;
    do
        rc = poll(&state, 1, 0);
    while (rc < 0 && errno == EINTR);
    return rc != 0;
}

/* The error of a call on these pieces; where the kernel could not reach them, somebody may know
 * why. */
static ssize_t failed(const struct iovec *iov, size_t n_iov)
{
    int error = errno;
    for (size_t i = 0; i < n_iov && error == EFAULT; i++)
        bide__explain(iov[i].iov_base);
    return -error;
}

ssize_t bide__fd_recv(int fd, unsigned traits, void *buffer, size_t size)
{
    assert(size > 0);
    ssize_t n;
    do
        n = traits & BIDE__FD_SOCKET ? recv(fd, buffer, size, MSG_DONTWAIT)
                                     : read(fd, buffer, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? failed(&(struct iovec){buffer, size}, 1) : n;
}

/* Not every call knows MSG_NOSIGNAL: the signal is held back, and taken away if the call caused it.
 */
struct held {
    sigset_t broken;
    sigset_t before;
    bool was_pending;
};

static void hold_sigpipe(struct held *held)
{
    sigset_t pending;
    sigemptyset(&held->broken);
    sigaddset(&held->broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &held->broken, &held->before);
    held->was_pending = false;
    if (sigismember(&held->before, SIGPIPE)) { /* else it would have arrived */
        sigpending(&pending);
        held->was_pending = sigismember(&pending, SIGPIPE);
    }
}

static void release_sigpipe(const struct held *held, ssize_t result)
{
    if (result == -EPIPE && !held->was_pending) {
        struct timespec zero = {0, 0};
        while (sigtimedwait(&held->broken, NULL, &zero) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &held->before, NULL);
}

static ssize_t write_without_sigpipe(int fd, const struct iovec *iov, int n_iov)
{
    struct held held;
    ssize_t n;
    hold_sigpipe(&held);
    do
        n = writev(fd, iov, n_iov);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        n = -errno;
    release_sigpipe(&held, n);
    return n;
}

/* Whether a byte of a file lies in the kernel's memory: 1, 0 behind the file's end, -ENODATA. */
static int is_in_memory(int file, int64_t offset)
{
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    ssize_t n;
    do
        n = preadv2(file, &iov, 1, offset, RWF_NOWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return (int)n;
    return errno == EAGAIN ? -ENODATA : -EOPNOTSUPP;
}

/* Asks for both ends of the stretch alone: what lies between was read in one go, as a rule. */
ssize_t bide__fd_send_file(int fd, unsigned traits, int file, int64_t offset, size_t size)
{
    if (!(traits & BIDE__FD_SOCKET) || (traits & BIDE__FD_DATAGRAM))
        return -EOPNOTSUPP;
    int rc = is_in_memory(file, offset);
    if (rc > 0 && size > 1 && is_in_memory(file, offset + (int64_t)size - 1) < 0)
        rc = -ENODATA;
    if (rc <= 0)
        return rc;
    struct held held;
    off_t at = offset;
    ssize_t n;
    hold_sigpipe(&held);
    do
        n = sendfile(fd, file, &at, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        n = errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
    release_sigpipe(&held, n);
    return n;
}

ssize_t bide__fd_send(int fd, unsigned traits, const struct iovec *iov, int n_iov)
{
    if (!(traits & BIDE__FD_SOCKET))
        return write_without_sigpipe(fd, iov, n_iov);
    ssize_t n;
    do {
        if (n_iov == 1) {
            n = send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n_iov};
            n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    } while (n < 0 && errno == EINTR);
    return n < 0 ? failed(iov, (size_t)n_iov) : n;
}

/*
 * As recvmsg(2), which takes a tenth longer: where nothing but bytes and an address is wanted and
 * can come, and with MSG_TRUNC the length tells what was cut off.
 */
static ssize_t recv_plain(int fd, struct msghdr *message)
{
    const struct iovec *iov = message->msg_iov;
    socklen_t length = message->msg_namelen;
    ssize_t n;
    do
        n = recvfrom(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT | MSG_TRUNC, message->msg_name,
                     message->msg_name ? &length : NULL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    message->msg_namelen = message->msg_name ? length : 0;
    message->msg_controllen = 0;
    message->msg_flags = (size_t)n > iov->iov_len ? MSG_TRUNC : 0;
    return (size_t)n > iov->iov_len ? (ssize_t)iov->iov_len : n;
}

ssize_t bide__fd_recv_message(int fd, unsigned traits, struct msghdr *message)
{
    if ((traits & BIDE__FD_INET_DATAGRAM) && message->msg_iovlen == 1 && !message->msg_control)
        return recv_plain(fd, message);
    struct msghdr asked = *message;
    ssize_t n;
    do {
        *message = asked;
        n = recvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? failed(message->msg_iov, message->msg_iovlen) : n;
}

ssize_t bide__fd_send_message(int fd, const struct msghdr *message)
{
    const struct iovec *iov = message->msg_iov;
    bool is_plain = message->msg_iovlen == 1 && message->msg_controllen == 0;
    ssize_t n;
    do
        n = is_plain ? sendto(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL,
                              message->msg_name, message->msg_namelen)
                     : sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? failed(message->msg_iov, message->msg_iovlen) : n;
}

void bide__iov_advance(struct iovec **iov, int *n_iov, size_t size)
{
    while (*n_iov > 0 && size >= (*iov)->iov_len) {
        size -= (*iov)->iov_len;
        ++*iov;
        --*n_iov;
    }
    assert(*n_iov > 0 || size == 0);
    if (size > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + size;
        (*iov)->iov_len -= size;
    }
}

size_t bide__iov_size(const struct iovec *iov, int n_iov)
{
    size_t size = 0;
    for (int i = 0; i < n_iov; i++)
        size += iov[i].iov_len;
    return size;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t bide__kernel_now_ns(struct bide_engine *engine)
{
    (void)engine;
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    return now_ns > 0 ? now_ns : 1; /* a time namespace may start the clock below 0 */
}

int64_t bide__kernel_wall_ns(struct bide_engine *engine)
{
    (void)engine;
    return clock_ns(CLOCK_REALTIME);
}

int bide__kernel_entropy(struct bide_engine *engine, void *buffer, size_t size)
{
    (void)engine;
    char *at = buffer;
    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
    return 0;
}
