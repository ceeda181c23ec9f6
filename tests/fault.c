/*
 * The functions that the linker calls instead of the C library's. Invariant: unless a fault is
 * armed on this thread they change nothing.
 */
#include "fault.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct io_uring;
struct io_uring_buf_reg;

static _Thread_local struct {
    enum fault_kind kind;
    unsigned long left; /* 0: not armed */
    int error;
    bool hit;
    const char *function;
} fault;

void fault_arm(enum fault_kind kind, unsigned long n, int error)
{
    fault.kind = kind;
    fault.left = n;
    fault.error = error;
    fault.hit = false;
    fault.function = NULL;
}

bool fault_disarm(void)
{
    fault.left = 0;
    return fault.hit;
}

const char *fault_function(void)
{
    return fault.function;
}

static bool fails(enum fault_kind kind, const char *function)
{
    if (fault.left == 0 || fault.kind != kind || --fault.left > 0)
        return false;
    fault.hit = true;
    fault.function = function;
    return true;
}

/* `failure` is what the call returns then, after errno was set to `code`. */
#define WRAP(kind, code, failure, type, name, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        if (fails(kind, #name)) { \
            errno = code; \
            return failure; \
        } \
        return __real_##name arguments; \
    }

#define WRAP_ALLOCATION(failure, type, name, parameters, arguments) \
    WRAP(FAULT_ALLOCATION, ENOMEM, failure, type, name, parameters, arguments)
#define WRAP_SYSTEM(type, name, parameters, arguments) \
    WRAP(FAULT_SYSTEM, fault.error, -1, type, name, parameters, arguments)
/* These return the error instead of setting errno. */
#define WRAP_POSITIVE(name, parameters, arguments) \
    WRAP(FAULT_SYSTEM, errno, fault.error, int, name, parameters, arguments)
#define WRAP_NEGATIVE(name, parameters, arguments) \
    WRAP(FAULT_SYSTEM, errno, -fault.error, int, name, parameters, arguments)

WRAP_ALLOCATION(NULL, void *, malloc, (size_t size), (size))
WRAP_ALLOCATION(NULL, void *, calloc, (size_t n, size_t size), (n, size))
WRAP_ALLOCATION(NULL, void *, realloc, (void *old, size_t size), (old, size))
WRAP_ALLOCATION(NULL, char *, strdup, (const char *text), (text))
WRAP_ALLOCATION(-1, int, vasprintf, (char **text, const char *format, va_list arguments),
                (text, format, arguments))
WRAP_ALLOCATION(MAP_FAILED, void *, mmap64,
                (void *at, size_t size, int protection, int flags, int fd, off_t offset),
                (at, size, protection, flags, fd, offset))

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int rc = __wrap_vasprintf(text, format, arguments);
    va_end(arguments);
    return rc;
}

WRAP_SYSTEM(int, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP_SYSTEM(int, bind, (int fd, const struct sockaddr *address, socklen_t length),
            (fd, address, length))
WRAP_SYSTEM(int, lstat64, (const char *path, struct stat64 *status), (path, status))
WRAP_SYSTEM(int, unlink, (const char *path), (path))
WRAP_SYSTEM(int, listen, (int fd, int backlog), (fd, backlog))
WRAP_SYSTEM(int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP_SYSTEM(int, connect, (int fd, const struct sockaddr *address, socklen_t length),
            (fd, address, length))
WRAP_SYSTEM(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
            (fd, address, length, flags))
WRAP_SYSTEM(int, shutdown, (int fd, int how), (fd, how))
WRAP_SYSTEM(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
            (fd, level, name, value, length))
WRAP_SYSTEM(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length),
            (fd, level, name, value, length))
WRAP_SYSTEM(int, getsockname, (int fd, struct sockaddr *address, socklen_t *length),
            (fd, address, length))
WRAP_SYSTEM(int, getpeername, (int fd, struct sockaddr *address, socklen_t *length),
            (fd, address, length))
WRAP_SYSTEM(ssize_t, recv, (int fd, void *buffer, size_t size, int flags),
            (fd, buffer, size, flags))
WRAP_SYSTEM(ssize_t, recvfrom,
            (int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
             socklen_t *length),
            (fd, buffer, size, flags, address, length))
WRAP_SYSTEM(ssize_t, sendto,
            (int fd, const void *buffer, size_t size, int flags, const struct sockaddr *address,
             socklen_t length),
            (fd, buffer, size, flags, address, length))
WRAP_SYSTEM(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
WRAP_SYSTEM(ssize_t, send, (int fd, const void *buffer, size_t size, int flags),
            (fd, buffer, size, flags))
WRAP_SYSTEM(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
            (fd, message, flags))
WRAP_SYSTEM(ssize_t, writev, (int fd, const struct iovec *iov, int n), (fd, iov, n))
WRAP_SYSTEM(ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))
WRAP_SYSTEM(ssize_t, write, (int fd, const void *buffer, size_t size), (fd, buffer, size))
WRAP_SYSTEM(ssize_t, sendfile64, (int to, int from, off64_t *offset, size_t size),
            (to, from, offset, size))
WRAP_SYSTEM(ssize_t, preadv64v2, (int fd, const struct iovec *iov, int n, off_t offset, int flags),
            (fd, iov, n, offset, flags))
WRAP_SYSTEM(ssize_t, pwritev64v2, (int fd, const struct iovec *iov, int n, off_t offset, int flags),
            (fd, iov, n, offset, flags))
WRAP_SYSTEM(int, statx, (int fd, const char *path, int flags, unsigned mask, void *result),
            (fd, path, flags, mask, result))
/* Its third argument, if there is one, fills one register. */
WRAP_SYSTEM(int, fcntl64, (int fd, int what, void *value), (fd, what, value))
WRAP_SYSTEM(ssize_t, getrandom, (void *buffer, size_t size, unsigned flags), (buffer, size, flags))
WRAP_SYSTEM(int, poll, (struct pollfd * fds, nfds_t n, int timeout_ms), (fds, n, timeout_ms))
WRAP_SYSTEM(int, eventfd, (unsigned value, int flags), (value, flags))
/* Those that take a number of arguments which varies get as many as there can be, in registers. */
WRAP_SYSTEM(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP_SYSTEM(int, open64, (const char *path, int flags, unsigned mode), (path, flags, mode))
WRAP_SYSTEM(int, waitid, (unsigned kind, unsigned id, void *info, int options),
            (kind, id, info, options))
WRAP_SYSTEM(int, clone,
            (int (*run)(void *), void *stack, int flags, void *argument, int *parent, void *tls,
             int *child),
            (run, stack, flags, argument, parent, tls, child))
WRAP_SYSTEM(long, syscall, (long number, long a, long b, long c, long d, long e, long f),
            (number, a, b, c, d, e, f))
WRAP_SYSTEM(int, epoll_create1, (int flags), (flags))
WRAP_SYSTEM(int, epoll_ctl, (int set, int what, int fd, struct epoll_event *event),
            (set, what, fd, event))
WRAP_SYSTEM(int, epoll_wait, (int set, struct epoll_event *events, int n, int timeout_ms),
            (set, events, n, timeout_ms))
WRAP_SYSTEM(int, epoll_pwait2,
            (int set, struct epoll_event *events, int n, const struct timespec *timeout,
             const sigset_t *mask),
            (set, events, n, timeout, mask))
WRAP_SYSTEM(int, sigaction, (int number, const struct sigaction *action, struct sigaction *old),
            (number, action, old))
WRAP_SYSTEM(int, sigaltstack, (const stack_t *stack, stack_t *old), (stack, old))
WRAP_SYSTEM(ssize_t, process_madvise,
            (int process, const struct iovec *iov, size_t n, int advice, unsigned flags),
            (process, iov, n, advice, flags))
WRAP_SYSTEM(int, madvise, (void *at, size_t size, int advice), (at, size, advice))
WRAP_SYSTEM(int, mprotect, (void *at, size_t size, int protection), (at, size, protection))

WRAP_POSITIVE(pthread_create,
              (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *),
               void *argument),
              (thread, attributes, run, argument))

#if BIDE_HAVE_URING
static unsigned features_hidden;

void fault_hide_uring_features(unsigned features)
{
    features_hidden = features;
}

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *parameters);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *parameters);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *parameters)
{
    if (fails(FAULT_SYSTEM, "io_uring_queue_init_params"))
        return -fault.error;
    int rc = __real_io_uring_queue_init_params(entries, ring, parameters);
    parameters->features &= ~features_hidden;
    return rc;
}

WRAP_NEGATIVE(io_uring_register_buf_ring,
              (struct io_uring * ring, struct io_uring_buf_reg *description, unsigned flags),
              (ring, description, flags))
WRAP_NEGATIVE(io_uring_register_probe,
              (struct io_uring * ring, struct io_uring_probe *probe, unsigned n), (ring, probe, n))
WRAP_NEGATIVE(io_uring_enter2,
              (unsigned ring, unsigned n_submit, unsigned n_wait, unsigned flags, void *argument,
               size_t size),
              (ring, n_submit, n_wait, flags, argument, size))
#endif

bool fault_is_interruptible(const char *function)
{
    static const char *const functions[] = {
        "recv",       "send",         "sendmsg",         "accept4",   "poll",  "read",
        "epoll_wait", "epoll_pwait2", "io_uring_enter2", "getrandom", "write",
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i], function) == 0)
            return true;
    return false;
}
