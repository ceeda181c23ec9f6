/*
 * A whole engine on poll(2), as a user would write one: it knows the public headers and nothing
 * else. What is linked with it has it under the name "poll", from before main().
 *
 * Sockets, their waits and the wake are its own. Pipes, watches, signals, jobs and lookups
 * are those of an epoll engine that it stands on; child processes and shared descriptors it leaves
 * to the library, which makes them of the rest.
 *
 * Invariants
 *  - Readiness is asked for anew in each wait: nothing is remembered that could be stale.
 *  - An operation waits in its socket's `ops`, or is decided and waits in `due` for poll().
 *  - There is room to poll every socket from the moment it exists, so that poll() never allocates.
 */
#include <bide/engine_kind.h>

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define REST_NS (NS_PER_S / 10)

enum { CALLS_PER_POLL_MAX = 512 };
enum kind { RECV, ACCEPT, SEND, SEND_WAIT, CONNECT, KINDS, DECIDED = KINDS };
enum { ENTRY_WAKE, ENTRY_INNER, ENTRIES_OWN };

struct sock {
    struct bide_sock base;
    struct bide_op *ops[KINDS];
    struct sock *next;
    struct sock **link;
    bool is_stream;
    int lost;              /* why the connection went down, if a call was told */
    bool starved;          /* a listener that found no descriptor or memory for a connection */
    uint32_t closes_seen;  /* the engine's count of them at that time */
    int64_t rest_until_ns; /* it is not asked before */
};

struct engine {
    struct bide_engine base;
    struct bide_engine *inner;
    int wake_fd;
    struct sock *socks;
    size_t n_socks;
    uint32_t n_closes;
    struct bide_op *due;
    struct bide_op **due_end;
    struct pollfd *entries;
    struct sock **polled; /* whose each entry behind our own ones is */
    size_t n_room;
};

static struct engine *of(struct bide_engine *base)
{
    return (struct engine *)base;
}

static struct sock *sock_of(struct bide_sock *base)
{
    return (struct sock *)base;
}

static struct engine *engine_of(const struct sock *sock)
{
    return of(sock->base.engine);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Sockets */

static int make_room(struct engine *engine)
{
    size_t n = engine->n_room > 0 ? 2 * engine->n_room : 64;
    if (engine->n_socks + ENTRIES_OWN < engine->n_room)
        return 0;
    struct pollfd *entries = realloc(engine->entries, n * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    engine->entries = entries;
    struct sock **polled = realloc(engine->polled, n * sizeof *polled);
    if (!polled)
        return -ENOMEM;
    engine->polled = polled;
    engine->n_room = n;
    return 0;
}

/* All that a socket needs but its descriptor. */
static struct sock *sock_new(struct engine *engine)
{
    struct sock *sock = make_room(engine) == 0 ? calloc(1, sizeof *sock) : NULL;
    if (!sock)
        return NULL;
    sock->base.engine = &engine->base;
    sock->base.fd = -1;
    sock->next = engine->socks;
    sock->link = &engine->socks;
    if (sock->next)
        sock->next->link = &sock->next;
    engine->socks = sock;
    engine->n_socks++;
    return sock;
}

static void sock_free(struct sock *sock)
{
    *sock->link = sock->next;
    if (sock->next)
        sock->next->link = sock->link;
    engine_of(sock)->n_socks--;
    free(sock);
}

static int type_of(int fd)
{
    int type;
    socklen_t length = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ? -errno : type;
}

static int sock_open(struct bide_engine *base, int family, int type, int protocol,
                     struct bide_sock **ret_sock)
{
    struct sock *sock = sock_new(of(base));
    if (!sock)
        return -ENOMEM;
    sock->base.fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (sock->base.fd < 0) {
        int rc = -errno;
        sock_free(sock);
        return rc;
    }
    sock->is_stream = (type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == SOCK_STREAM;
    *ret_sock = &sock->base;
    return 0;
}

/* The socket's type, if it is one that is wanted. */
static int check(int fd, enum bide_adopt wanted)
{
    int listens;
    socklen_t length = sizeof listens;
    int type = type_of(fd);
    if (type < 0 || wanted == BIDE_ADOPT_ANY || wanted == BIDE_ADOPT_SOCKET)
        return type;
    if (wanted == BIDE_ADOPT_INPUT || wanted == BIDE_ADOPT_OUTPUT)
        return -EINVAL;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0)
        return -errno;
    return type == SOCK_STREAM && !listens ? type : -EINVAL;
}

static int take(int fd, enum bide_adopt wanted)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    if (wanted != BIDE_ADOPT_SHARED && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

/* What is no socket is served by the inner engine: its holder calls that one's functions. */
static int sock_adopt(struct bide_engine *base, int fd, enum bide_adopt wanted,
                      struct bide_sock **ret_sock)
{
    struct bide_engine *inner = of(base)->inner;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISSOCK(status.st_mode))
        return inner->ops->sock_adopt(inner, fd, wanted, ret_sock);
    int type = check(fd, wanted);
    if (type < 0)
        return type;
    struct sock *sock = sock_new(of(base));
    int rc = sock ? take(fd, wanted) : -ENOMEM;
    if (rc == 0) {
        sock->base.fd = fd;
        sock->is_stream = type == SOCK_STREAM;
        *ret_sock = &sock->base;
    } else if (sock) {
        sock_free(sock);
    }
    return rc;
}

static void sock_close(struct bide_sock *base)
{
    struct sock *sock = sock_of(base);
    for (int kind = 0; kind < KINDS; kind++)
        assert(!sock->ops[kind]);
    close(base->fd);
    engine_of(sock)->n_closes++;
    sock_free(sock);
}

/* Immediate calls */

static ssize_t note_loss(struct sock *sock, ssize_t rc)
{
    if (sock->is_stream &&
        (rc == -ECONNRESET || rc == -ETIMEDOUT || rc == -EHOSTUNREACH || rc == -ENETUNREACH))
        sock->lost = (int)rc;
    return rc;
}

static ssize_t try_recv(struct bide_sock *base, void *buffer, size_t size)
{
    ssize_t n;
    do
        n = recv(base->fd, buffer, size, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == 0) /* the sender may have been told of a reset: this is not an orderly end */
        return sock_of(base)->lost;
    return n > 0 ? n : note_loss(sock_of(base), -errno);
}

static ssize_t try_recv_message(struct bide_sock *base, struct msghdr *message)
{
    struct msghdr asked = *message;
    ssize_t n;
    do {
        *message = asked;
        n = recvmsg(base->fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return sock_of(base)->lost;
    return n > 0 ? n : note_loss(sock_of(base), -errno);
}

static ssize_t try_send_message(struct bide_sock *base, const struct msghdr *message)
{
    ssize_t n;
    do
        n = sendmsg(base->fd, message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? n : note_loss(sock_of(base), -errno);
}

static ssize_t try_send(struct bide_sock *base, const struct iovec *iov, int n_iov)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n_iov};
    return try_send_message(base, &message);
}

static int accept_next(int fd)
{
    for (;;) {
        int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (accepted >= 0)
            return accepted;
        if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO)
            return -errno;
    }
}

static int try_accept(struct bide_sock *base, struct bide_sock **ret_sock)
{
    struct sock *sock = sock_of(base);
    struct engine *engine = engine_of(sock);
    struct sock *accepted = sock_new(engine);
    int rc = accepted ? accept_next(base->fd) : -ENOMEM;
    sock->starved = rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
    sock->closes_seen = engine->n_closes;
    if (rc >= 0) {
        accepted->base.fd = rc;
        accepted->is_stream = sock->is_stream;
        *ret_sock = &accepted->base;
        return 0;
    }
    if (accepted)
        sock_free(accepted);
    return rc;
}

/* Operations */

static void finish(struct bide_op *op, int result)
{
    struct engine *engine = engine_of(sock_of(op->sock));
    sock_of(op->sock)->ops[op->kind] = NULL;
    if (result == -ECANCELED && op->state != BIDE_OP_CANCELLING)
        result = -ECONNABORTED;
    op->kind = DECIDED;
    op->result = result;
    op->next = NULL;
    *engine->due_end = op;
    engine->due_end = &op->next;
}

static int begin(struct bide_sock *base, struct bide_op *op, enum kind kind)
{
    assert(op->state == BIDE_OP_IDLE && op->done && !sock_of(base)->ops[kind]);
    op->sock = base;
    op->kind = (uint8_t)kind;
    op->state = BIDE_OP_PENDING;
    sock_of(base)->ops[kind] = op;
    return BIDE_PENDING;
}

static void cancel(struct bide_op *op)
{
    if (op->state != BIDE_OP_PENDING || op->kind == DECIDED)
        return;
    op->state = BIDE_OP_CANCELLING;
    finish(op, -ECANCELED);
}

static int recv_wait(struct bide_sock *base, struct bide_op *op)
{
    return begin(base, op, RECV);
}

static int send_wait(struct bide_sock *base, struct bide_op *op)
{
    return begin(base, op, SEND_WAIT);
}

/* A listener that found no descriptor would be ready at once and fail again: it rests until the
 * engine closes one, or for a while, for those that others close. */
static int accept_wait(struct bide_sock *base, struct bide_op *op)
{
    struct sock *sock = sock_of(base);
    sock->rest_until_ns = 0;
    if (sock->starved && sock->closes_seen == engine_of(sock)->n_closes)
        sock->rest_until_ns = now_ns() + REST_NS;
    return begin(base, op, ACCEPT);
}

static int start_connect(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                         socklen_t length)
{
    sock_of(base)->lost = 0;
    if (connect(base->fd, address, length) == 0)
        return 0;
    return errno == EINPROGRESS || errno == EINTR ? begin(base, op, CONNECT) : -errno;
}

static void advance(struct bide_op *op, size_t size)
{
    while (op->n_iov > 0 && size >= op->iov->iov_len) {
        size -= op->iov->iov_len;
        op->iov++;
        op->n_iov--;
    }
    if (op->n_iov > 0) {
        op->iov->iov_base = (char *)op->iov->iov_base + size;
        op->iov->iov_len -= size;
    }
}

static int send_step(struct bide_sock *base, struct bide_op *op)
{
    ssize_t n = try_send(base, op->iov, op->n_iov);
    if (n < 0)
        return n == -EAGAIN ? BIDE_PENDING : (int)n;
    op->n_done += (size_t)n;
    advance(op, (size_t)n);
    return op->n_iov == 0 ? 0 : BIDE_PENDING;
}

static int send_all(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov)
{
    op->iov = iov;
    op->n_iov = n_iov;
    op->n_done = 0;
    advance(op, 0);
    if (op->n_iov == 0)
        return 0;
    int rc = send_step(base, op);
    return rc == BIDE_PENDING ? begin(base, op, SEND) : rc;
}

/* The wait */

static int connect_result(const struct sock *sock, short revents)
{
    int error;
    socklen_t length = sizeof error;
    if (getsockopt(sock->base.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    if (error != 0)
        return -error;
    /* Hung up without a reason: it was shut down on this side while it was connecting. */
    return revents & POLLHUP ? -ECONNABORTED : 0;
}

static void apply(struct sock *sock, short revents)
{
    short broken = POLLHUP | POLLERR | POLLNVAL;
    if (revents & (POLLIN | broken)) {
        if (sock->ops[RECV])
            finish(sock->ops[RECV], 0);
        if (sock->ops[ACCEPT] && sock->rest_until_ns == 0)
            finish(sock->ops[ACCEPT], 0);
    }
    if (!(revents & (POLLOUT | broken)))
        return;
    if (sock->ops[CONNECT])
        finish(sock->ops[CONNECT], connect_result(sock, revents));
    if (sock->ops[SEND_WAIT])
        finish(sock->ops[SEND_WAIT], 0);
    if (sock->ops[SEND]) {
        int rc = send_step(&sock->base, sock->ops[SEND]);
        if (rc != BIDE_PENDING)
            finish(sock->ops[SEND], rc);
    }
}

static short wanted(const struct sock *sock)
{
    bool is_input = sock->ops[RECV] || (sock->ops[ACCEPT] && sock->rest_until_ns == 0);
    bool is_output = sock->ops[SEND] || sock->ops[SEND_WAIT] || sock->ops[CONNECT];
    return (short)((is_input ? POLLIN : 0) | (is_output ? POLLOUT : 0));
}

static void end_rest(struct sock *sock)
{
    bool is_resting = sock->ops[ACCEPT] && sock->rest_until_ns > 0;
    if (!is_resting ||
        (sock->closes_seen == engine_of(sock)->n_closes && now_ns() < sock->rest_until_ns))
        return;
    sock->rest_until_ns = 0;
    sock->starved = false;
    finish(sock->ops[ACCEPT], 0);
}

/* Fills the entries; `until_ns` comes down to the end of the first rest. */
static nfds_t gather(struct engine *engine, int inner_fd, int64_t *until_ns)
{
    nfds_t n = ENTRIES_OWN;
    engine->entries[ENTRY_WAKE] = (struct pollfd){.fd = engine->wake_fd, .events = POLLIN};
    engine->entries[ENTRY_INNER] = (struct pollfd){.fd = inner_fd, .events = POLLIN};
    for (struct sock *sock = engine->socks; sock; sock = sock->next) {
        end_rest(sock);
        short events = wanted(sock);
        if (sock->ops[ACCEPT] && sock->rest_until_ns > 0 && sock->rest_until_ns < *until_ns)
            *until_ns = sock->rest_until_ns;
        if (!events)
            continue;
        engine->polled[n] = sock;
        engine->entries[n++] = (struct pollfd){.fd = sock->base.fd, .events = events};
    }
    if (engine->due)
        *until_ns = 0;
    return n;
}

static int wait_once(struct engine *engine, int64_t deadline_ns)
{
    struct bide_engine *inner = engine->inner;
    int inner_fd = inner->ops->wait_fd(inner, &deadline_ns);
    if (inner_fd < 0)
        return inner_fd;
    nfds_t n = gather(engine, inner_fd, &deadline_ns);
    int64_t span_ns = deadline_ns <= 0 ? 0 : deadline_ns - now_ns();
    if (span_ns < 0)
        span_ns = 0;
    struct timespec span = {span_ns / NS_PER_S, span_ns % NS_PER_S};
    if (ppoll(engine->entries, n, deadline_ns == BIDE_NO_DEADLINE ? NULL : &span, NULL) < 0)
        return -errno;
    eventfd_t count;
    if (engine->entries[ENTRY_WAKE].revents)
        (void)eventfd_read(engine->wake_fd, &count);
    for (nfds_t i = ENTRIES_OWN; i < n; i++)
        if (engine->entries[i].revents)
            apply(engine->polled[i], engine->entries[i].revents);
    for (struct sock *sock = engine->socks; sock; sock = sock->next)
        end_rest(sock);
    return 0;
}

static int poll_all(struct bide_engine *base, int64_t deadline_ns)
{
    struct engine *engine = of(base);
    int rc;
    do
        rc = wait_once(engine, deadline_ns);
    while (rc == -EINTR);
    if (rc < 0)
        return rc;
    int n = 0;
    while (engine->due && n < CALLS_PER_POLL_MAX) {
        struct bide_op *op = engine->due;
        engine->due = op->next;
        if (!engine->due)
            engine->due_end = &engine->due;
        op->state = BIDE_OP_IDLE;
        op->done(op);
        n++;
    }
    rc = engine->inner->ops->poll(engine->inner, 0);
    return rc < 0 ? rc : n + rc;
}

static void wake(struct bide_engine *base)
{
    int before = errno;
    while (eventfd_write(of(base)->wake_fd, 1) < 0 && errno == EINTR)
        ;
    errno = before;
}

/* What the inner engine does */

static int watch_open(struct bide_engine *base, int fd, unsigned events, bide_watch_ready *ready,
                      void *data, struct bide_watch **ret_watch)
{
    struct bide_engine *inner = of(base)->inner;
    return inner->ops->watch_open(inner, fd, events, ready, data, ret_watch);
}

static int signal_open(struct bide_engine *base, int signo, bide_signal_arrived *arrived,
                       void *data, struct bide_signal **ret_signal)
{
    struct bide_engine *inner = of(base)->inner;
    return inner->ops->signal_open(inner, signo, arrived, data, ret_signal);
}

static int job_submit(struct bide_engine *base, struct bide_job *job, enum bide_lane lane)
{
    return of(base)->inner->ops->job_submit(of(base)->inner, job, lane);
}

static void job_abandon(struct bide_engine *base, struct bide_job *job)
{
    of(base)->inner->ops->job_abandon(of(base)->inner, job);
}

/* Beginning and end */

static void release(struct engine *engine)
{
    if (engine->wake_fd >= 0)
        close(engine->wake_fd);
    free(engine->entries);
    free(engine->polled);
    free(engine);
}

static void engine_close(struct bide_engine *base, int64_t join_ns)
{
    struct engine *engine = of(base);
    assert(!engine->socks && !engine->due);
    engine->inner->ops->close(engine->inner, join_ns);
    release(engine);
}

static void engine_forget(struct bide_engine *base)
{
    struct engine *engine = of(base);
    while (engine->socks) {
        close(engine->socks->base.fd);
        sock_free(engine->socks);
    }
    engine->inner->ops->forget(engine->inner);
    release(engine);
}

static int engine_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return -ENOMEM;
    engine->due_end = &engine->due;
    int rc = make_room(engine);
    engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (engine->wake_fd < 0)
        rc = -errno;
    if (rc == 0)
        rc = bide_engine_open("epoll", opts, &engine->inner);
    if (rc < 0) {
        release(engine);
        return rc;
    }
    *ret_engine = &engine->base;
    return 0;
}

static const struct bide_engine_ops engine_ops = {
    .close = engine_close,
    .forget = engine_forget,
    .poll = poll_all,
    .wake = wake,
    .sock_open = sock_open,
    .sock_adopt = sock_adopt,
    .sock_close = sock_close,
    .try_recv = try_recv,
    .try_send = try_send,
    .try_recv_message = try_recv_message,
    .try_send_message = try_send_message,
    .try_accept = try_accept,
    .connect = start_connect,
    .recv_wait = recv_wait,
    .send_wait = send_wait,
    .accept_wait = accept_wait,
    .send = send_all,
    .cancel = cancel,
    .watch_open = watch_open,
    .signal_open = signal_open,
    .job_submit = job_submit,
    .job_abandon = job_abandon,
};

__attribute__((constructor)) static void add(void)
{
    static const struct bide_engine_kind kind = {
        .version = BIDE_ENGINE_VERSION,
        .ops_size = sizeof engine_ops,
        .name = "poll",
        .ops = &engine_ops,
        .open = engine_open,
    };
    const char *why;
    if (bide_engine_add(&kind, &why) < 0) {
        fprintf(stderr, "engine poll: %s\n", why);
        abort();
    }
}
