/*
 * The engine on epoll(7): the system call first, and the wait only if the kernel has nothing to
 * give.
 *
 * Invariants
 *  - A socket is registered once, edge-triggered, before it is first waited for. From then on
 * `readable` and `writable` say whether a system call may succeed: cleared by the call that found
 * the end, set by the event that follows. Before, they are not trusted.
 *  - poll() first applies all events to sockets and operations, then calls back. So no event is
 * looked at after user code could have closed something, and no event is older than the operation
 * that it completes.
 *  - An operation waits in its socket's `ops`, or is decided and waits in the engine's `due` list
 * for poll() to call it.
 *  - Events name a slot and its serial, not memory: one that arrives for a socket that was closed
 * (its file may live on in a forked child) finds nobody.
 */
#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/watched.h"
#include "engine/engine.h"
#include "engine/pool.h"
#include "engine/process.h"
#include "engine/share.h"
#include "engine/signal.h"
#include "engine/socket.h"
#include "engine/wake.h"
#include "engine/watch.h"

enum {
    EVENTS_PER_POLL_MAX = 256,
    CALLS_PER_POLL_MAX =
        2 * EVENTS_PER_POLL_MAX, /* of each kind: a socket's event may end a receive and a send */
    SOCKS_CACHED_MAX = 1024,
};

enum op_kind { OP_RECV, OP_ACCEPT, OP_SEND, OP_CONNECT, OP_KINDS, OP_DECIDED = OP_KINDS };

/* Slots that name no socket. */
#define SLOT_WAKE (UINT32_MAX - 1)
#define SLOT_WATCHES UINT32_MAX

struct sock {
    struct bide_sock base;
    struct bide_op *ops[OP_KINDS];
    uint32_t slot;
    uint8_t traits; /* enum bide__fd_traits */
    bool registered;
    bool readable;
    bool writable;
    bool uneven; /* the end, an error or urgent data came: a short read proves nothing any more */
    bool adopted;
    bool resting;         /* a listener that found no descriptor or memory for a connection */
    uint32_t closes_seen; /* resting: the engine's count of them at that time */
    int lost;             /* why the connection went down, if a call was told */
    struct sock *next_cached;
};

struct slot {
    struct sock *sock;
    uint32_t serial;
    uint32_t next_free;
};

struct epoll {
    struct bide_engine base;
    int fd;
    bool coarse; /* the kernel has no epoll_pwait2() */
    bool watches_ready;
    struct bide__wake wake;
    struct bide__watch_set watches;
    struct bide__signals signals;
    struct bide__pool *pool;
    struct bide_op *due;
    struct bide_op **due_end;
    struct bide_op *resting;
    int64_t rest_until_ns;
    uint32_t n_closes;
    size_t n_registered;
    struct slot *slots;
    uint32_t n_slots;
    uint32_t free_slot; /* n_slots: none */
    struct sock *cached;
    unsigned n_cached;
    int n_events_max;
    struct epoll_event events[EVENTS_PER_POLL_MAX];
};

static struct epoll *of(struct bide_engine *engine)
{
    return (struct epoll *)engine;
}

static struct sock *sock_of(struct bide_sock *sock)
{
    return (struct sock *)sock;
}

static struct epoll *engine_of(const struct sock *sock)
{
    return of(sock->base.engine);
}

static int set_add(struct epoll *epoll, int fd, uint32_t mask, uint32_t slot, uint32_t serial)
{
    struct epoll_event event = {.events = mask, .data.u64 = (uint64_t)serial << 32 | slot};
    if (epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    /* A file that was adopted, closed and adopted again, and that somebody else held meanwhile. */
    if (errno == EEXIST && epoll_ctl(epoll->fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return -errno;
}

/* Slots and sockets */

static int grow_slots(struct epoll *epoll)
{
    uint32_t n = epoll->n_slots > 0 ? 2 * epoll->n_slots : 64;
    struct slot *slots = realloc(epoll->slots, n * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = epoll->n_slots; i < n; i++)
        slots[i] = (struct slot){.next_free = i + 1};
    epoll->slots = slots;
    epoll->free_slot = epoll->n_slots;
    epoll->n_slots = n;
    return 0;
}

/* All that a socket needs but its descriptor, so that nothing can fail once a connection was
 * accepted. */
static struct sock *reserve(struct epoll *epoll)
{
    if (epoll->free_slot == epoll->n_slots && grow_slots(epoll) < 0)
        return NULL;
    struct sock *sock = epoll->cached;
    if (sock) {
        epoll->cached = sock->next_cached;
        epoll->n_cached--;
    } else {
        sock = malloc(sizeof(*sock));
        if (!sock)
            return NULL;
    }
    struct slot *slot = &epoll->slots[epoll->free_slot];
    *sock = (struct sock){.base.engine = &epoll->base, .base.fd = -1, .slot = epoll->free_slot};
    epoll->free_slot = slot->next_free;
    slot->sock = sock;
    return sock;
}

/* With AddressSanitizer, sockets go back to it at once, so that use after close is seen. */
static bool caches_socks(const struct epoll *epoll)
{
    return !BIDE__ASAN && epoll->n_cached < SOCKS_CACHED_MAX;
}

static void release(struct epoll *epoll, struct sock *sock)
{
    struct slot *slot = &epoll->slots[sock->slot];
    slot->sock = NULL;
    slot->serial++;
    slot->next_free = epoll->free_slot;
    epoll->free_slot = sock->slot;
    if (!caches_socks(epoll)) {
        free(sock);
        return;
    }
    sock->base.fd = -1;
    sock->next_cached = epoll->cached;
    epoll->cached = sock;
    epoll->n_cached++;
}

static void furnish(struct sock *sock, int fd, unsigned traits)
{
    sock->base.fd = fd;
    sock->traits = (uint8_t)traits;
    sock->readable = true;
    sock->writable = true;
}

static int epoll_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                           struct bide_sock **ret_sock)
{
    struct sock *sock = reserve(of(engine));
    if (!sock)
        return -ENOMEM;
    unsigned traits;
    int fd = bide__fd_socket(family, type, protocol, &traits);
    if (fd < 0) {
        release(of(engine), sock);
        return fd;
    }
    furnish(sock, fd, traits);
    *ret_sock = &sock->base;
    return 0;
}

static int epoll_sock_adopt(struct bide_engine *engine, int fd, enum bide_adopt wanted,
                            struct bide_sock **ret_sock)
{
    struct sock *sock = reserve(of(engine));
    if (!sock)
        return -ENOMEM;
    unsigned traits;
    int rc = bide__fd_adopt(fd, wanted, &traits);
    if (rc < 0) {
        release(of(engine), sock);
        return rc;
    }
    furnish(sock, fd, traits);
    sock->adopted = true;
    *ret_sock = &sock->base;
    return 0;
}

static void close_fd(struct sock *sock)
{
    struct epoll *epoll = engine_of(sock);
    if (sock->base.fd < 0)
        return;
    for (int kind = 0; kind < OP_KINDS; kind++)
        assert(!sock->ops[kind]);
    if (sock->registered) {
        epoll->n_registered--;
        if (sock->adopted) /* its file may live on, and then its entry would, too */
            epoll_ctl(epoll->fd, EPOLL_CTL_DEL, sock->base.fd, NULL);
    }
    close(sock->base.fd);
    sock->base.fd = -1;
    sock->registered = false;
    epoll->n_closes++;
    epoll->rest_until_ns = 0;
}

static void epoll_sock_close(struct bide_sock *base)
{
    close_fd(sock_of(base));
    release(engine_of(sock_of(base)), sock_of(base));
}

static int epoll_sock_shutdown(struct bide_sock *base, int how)
{
    int rc = bide__fd_shutdown_closes(sock_of(base)->traits, how);
    if (rc > 0)
        close_fd(sock_of(base));
    return rc == 0 ? bide__socket_shutdown(base, how) : rc < 0 ? rc : 0;
}

static int epoll_sock_setopt(struct bide_sock *base, int level, int name, const void *value,
                             socklen_t length)
{
    int rc = bide__socket_setopt(base, level, name, value, length);
    if (rc == 0 && level == SOL_TCP &&
        name == TCP_ULP) /* TLS in the kernel: records are boundaries */
        sock_of(base)->traits &= (uint8_t)~BIDE__FD_TCP;
    return rc;
}

/* Operations */

static void op_append(struct epoll *epoll, struct bide_op *op)
{
    op->next = NULL;
    *epoll->due_end = op;
    epoll->due_end = &op->next;
}

static void op_unrest(struct bide_op *op)
{
    *op->link = op->next;
    if (op->next)
        op->next->link = op->link;
    op->link = NULL;
}

static void op_finish(struct epoll *epoll, struct bide_op *op, int result)
{
    if (op->link)
        op_unrest(op);
    sock_of(op->sock)->ops[op->kind] = NULL;
    op->kind = OP_DECIDED;
    if (result == -ECANCELED && op->state != BIDE_OP_CANCELLING)
        result = -ECONNABORTED;
    op->result = result;
    op_append(epoll, op);
}

/* Registers the socket if need be: its readiness then comes as an event, also if it is ready now.
 */
static int op_await(struct sock *sock, struct bide_op *op, enum op_kind kind)
{
    assert(op->state == BIDE_OP_IDLE && op->done && !sock->ops[kind]);
    struct epoll *epoll = engine_of(sock);
    if (!sock->registered) {
        uint32_t mask = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;
        int rc = set_add(epoll, sock->base.fd, mask, sock->slot, epoll->slots[sock->slot].serial);
        if (rc < 0)
            return rc;
        sock->registered = true;
        sock->readable = false;
        epoll->n_registered++;
    }
    op->sock = &sock->base;
    op->kind = (uint8_t)kind;
    op->state = BIDE_OP_PENDING;
    op->link = NULL;
    sock->ops[kind] = op;
    return BIDE_PENDING;
}

/* Whether a wait for input is over before it begins; `readable` alone is only a hint. */
static bool input_ready(struct sock *sock)
{
    if (sock->registered && sock->readable)
        sock->readable = bide__fd_ready(sock->base.fd, POLLIN | POLLRDHUP);
    return sock->registered && sock->readable;
}

static ssize_t note_loss(struct sock *sock, ssize_t rc)
{
    if (bide__connection_lost(rc))
        sock->lost = (int)rc;
    return rc;
}

static ssize_t epoll_try_recv(struct bide_sock *base, void *buffer, size_t size)
{
    struct sock *sock = sock_of(base);
    if (sock->registered && !sock->readable)
        return -EAGAIN;
    ssize_t n = bide__fd_recv(base->fd, sock->traits, buffer, size);
    if (n > 0) {
        if ((size_t)n < size && (sock->traits & BIDE__FD_TCP) && !sock->uneven)
            sock->readable = false;
        return n;
    }
    if (n == 0) /* the sender may have been told of a reset: this is not an orderly end */
        return sock->lost;
    if (n == -EAGAIN)
        sock->readable = false;
    return note_loss(sock, n);
}

/* What the kernel does not take whole fills it: the event that it has room again follows
 * (epoll(7)). */
static ssize_t send_some(struct sock *sock, const struct iovec *iov, int n_iov)
{
    ssize_t n = bide__fd_send(sock->base.fd, sock->traits, iov, n_iov);
    if (n == -EAGAIN || (n >= 0 && (size_t)n < bide__iov_size(iov, n_iov)))
        sock->writable = false;
    return note_loss(sock, n);
}

static ssize_t epoll_try_send(struct bide_sock *base, const struct iovec *iov, int n_iov)
{
    struct sock *sock = sock_of(base);
    if (sock->registered && !sock->writable)
        return -EAGAIN;
    return send_some(sock, iov, n_iov);
}

static int send_step(struct sock *sock, struct bide_op *op)
{
    ssize_t n = send_some(sock, op->iov, op->n_iov);
    if (n < 0)
        return n == -EAGAIN ? BIDE_PENDING : (int)n;
    op->n_done += (size_t)n;
    bide__iov_advance(&op->iov, &op->n_iov, (size_t)n);
    return op->n_iov == 0 ? 0 : BIDE_PENDING;
}

static int epoll_send(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov)
{
    struct sock *sock = sock_of(base);
    bide__iov_advance(&iov, &n_iov, 0);
    op->iov = iov;
    op->n_iov = n_iov;
    op->n_done = 0;
    if (n_iov == 0)
        return 0;
    int rc = sock->registered && !sock->writable ? BIDE_PENDING : send_step(sock, op);
    return rc == BIDE_PENDING ? op_await(sock, op, OP_SEND) : rc;
}

static int epoll_connect(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                         socklen_t length)
{
    struct sock *sock = sock_of(base);
    sock->uneven = false;
    sock->lost = 0;
    int rc = bide__fd_connect(base->fd, address, length);
    return rc == -EINPROGRESS ? op_await(sock, op, OP_CONNECT) : rc;
}

static int epoll_recv_wait(struct bide_sock *base, struct bide_op *op)
{
    struct sock *sock = sock_of(base);
    return input_ready(sock) ? 0 : op_await(sock, op, OP_RECV);
}

static int epoll_try_accept(struct bide_sock *base, struct bide_sock **ret_sock)
{
    struct sock *sock = sock_of(base);
    struct epoll *epoll = engine_of(sock);
    if (sock->registered && !sock->readable)
        return -EAGAIN;
    struct sock *accepted = reserve(epoll);
    int rc = accepted ? bide__fd_accept(base->fd) : -ENOMEM;
    sock->resting = bide__accept_starves(rc);
    sock->closes_seen = epoll->n_closes;
    if (rc >= 0) {
        furnish(accepted, rc, sock->traits);
        *ret_sock = &accepted->base;
        return 0;
    }
    if (accepted)
        release(epoll, accepted);
    if (rc == -EAGAIN)
        sock->readable = false;
    return rc;
}

/*
 * A listener that found no descriptor keeps its connections queued, and would be ready at once and
 * fail again. Its wait ends when the engine closes a descriptor, or else after a rest, for those
 * that others close.
 */
static int rest(struct sock *sock, struct bide_op *op)
{
    int rc = op_await(sock, op, OP_ACCEPT);
    if (rc != BIDE_PENDING)
        return rc;
    struct epoll *epoll = engine_of(sock);
    if (!epoll->resting)
        epoll->rest_until_ns = bide__kernel_now_ns(&epoll->base) + BIDE__ACCEPT_REST_NS;
    op->next = epoll->resting;
    op->link = &epoll->resting;
    if (op->next)
        op->next->link = &op->next;
    epoll->resting = op;
    return rc;
}

static int epoll_accept_wait(struct bide_sock *base, struct bide_op *op)
{
    struct sock *sock = sock_of(base);
    if (sock->resting && sock->closes_seen == engine_of(sock)->n_closes)
        return rest(sock, op);
    return input_ready(sock) ? 0 : op_await(sock, op, OP_ACCEPT);
}

static void epoll_cancel(struct bide_op *op)
{
    if (op->state != BIDE_OP_PENDING || op->kind == OP_DECIDED)
        return;
    op->state = BIDE_OP_CANCELLING;
    op_finish(of(op->sock->engine), op, -ECANCELED);
}

/* The wait */

static void apply_input(struct epoll *epoll, struct sock *sock)
{
    sock->readable = true;
    if (sock->ops[OP_RECV])
        op_finish(epoll, sock->ops[OP_RECV], 0);
    if (sock->ops[OP_ACCEPT] && !sock->ops[OP_ACCEPT]->link)
        op_finish(epoll, sock->ops[OP_ACCEPT], 0);
}

static void apply_output(struct epoll *epoll, struct sock *sock)
{
    sock->writable = true;
    struct bide_op *op = sock->ops[OP_CONNECT];
    if (op) {
        int rc = bide__fd_connect_result(sock->base.fd);
        if (rc != -EINPROGRESS)
            op_finish(epoll, op, rc);
    }
    op = sock->ops[OP_SEND];
    if (op) {
        int rc = send_step(sock, op);
        if (rc != BIDE_PENDING)
            op_finish(epoll, op, rc);
    }
}

static void apply(struct epoll *epoll, const struct epoll_event *event)
{
    uint32_t index = (uint32_t)event->data.u64;
    if (index >= epoll->n_slots) {
        if (index == SLOT_WATCHES)
            epoll->watches_ready = true;
        return;
    }
    struct slot *slot = &epoll->slots[index];
    if (!slot->sock || slot->serial != event->data.u64 >> 32)
        return;
    uint32_t mask = event->events;
    if (mask & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        slot->sock->uneven = true;
    if (mask & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        apply_input(epoll, slot->sock);
    if (mask & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        apply_output(epoll, slot->sock);
}

static void end_rest(struct epoll *epoll)
{
    if (epoll->rest_until_ns > 0 && bide__kernel_now_ns(&epoll->base) < epoll->rest_until_ns)
        return;
    while (epoll->resting) {
        struct bide_op *op = epoll->resting;
        sock_of(op->sock)->resting = false;
        op_finish(epoll, op, 0);
    }
}

/* Whether a call is due that needs nothing from the kernel any more. */
static bool has_due(const struct epoll *epoll)
{
    return epoll->due || bide__pool_finished(epoll->pool) || bide__signals_raised(&epoll->signals);
}

/* How long to wait: 0 for not at all, negative for ever. */
static int64_t wait_ns(struct epoll *epoll, int64_t deadline_ns)
{
    if (has_due(epoll))
        return 0;
    if (epoll->resting && epoll->rest_until_ns < deadline_ns)
        deadline_ns = epoll->rest_until_ns;
    if (deadline_ns <= 0)
        return 0;
    if (deadline_ns == BIDE_NO_DEADLINE)
        return -1;
    int64_t left_ns = deadline_ns - bide__kernel_now_ns(&epoll->base);
    return left_ns > 0 ? left_ns : 0;
}

static int wait_kernel(struct epoll *epoll, int64_t timeout_ns)
{
    if (timeout_ns > 0 && !epoll->coarse) {
        struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        int n = epoll_pwait2(epoll->fd, epoll->events, epoll->n_events_max, &timeout, NULL);
        if (n >= 0 ||
            (errno != ENOSYS && errno != EPERM)) /* a sandbox may refuse what it does not know */
            return n;
        epoll->coarse = true;
    }
    int timeout_ms = timeout_ns < 0 ? -1 : INT32_MAX;
    if (timeout_ns >= 0 && timeout_ns < INT64_C(1000000) * INT32_MAX)
        timeout_ms = (int)((timeout_ns + 999999) / 1000000);
    return epoll_wait(epoll->fd, epoll->events, epoll->n_events_max, timeout_ms);
}

static int harvest(struct epoll *epoll, int64_t deadline_ns)
{
    int n;
    do {
        int64_t timeout_ns = wait_ns(epoll, deadline_ns);
        if (timeout_ns != 0 && !bide__wake_sleep(&epoll->wake))
            timeout_ns = 0;
        bool nothing_to_ask = timeout_ns == 0 && epoll->n_registered == 0 &&
                              bide__watch_set_empty(&epoll->watches);
        n = nothing_to_ask ? 0 : wait_kernel(epoll, timeout_ns);
    } while (n < 0 && errno == EINTR);
    bide__wake_consume(&epoll->wake);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++)
        apply(epoll, &epoll->events[i]);
    if (epoll->resting)
        end_rest(epoll);
    return 0;
}

static int call_due(struct epoll *epoll)
{
    int n = 0;
    for (; epoll->due && n < CALLS_PER_POLL_MAX; n++) {
        struct bide_op *op = epoll->due;
        epoll->due = op->next;
        if (!epoll->due)
            epoll->due_end = &epoll->due;
        op->state = BIDE_OP_IDLE;
        op->done(op);
    }
    return n;
}

static int epoll_poll(struct bide_engine *engine, int64_t deadline_ns)
{
    struct epoll *epoll = of(engine);
    int rc = harvest(epoll, deadline_ns);
    if (rc < 0)
        return rc;
    int n = call_due(epoll);
    if (epoll->watches_ready) {
        epoll->watches_ready = false;
        rc = bide__watch_set_dispatch(&epoll->watches);
        if (rc < 0)
            return rc;
        n += rc;
    }
    if (bide__signals_raised(&epoll->signals))
        n += bide__signals_dispatch(&epoll->signals, CALLS_PER_POLL_MAX);
    if (bide__pool_finished(epoll->pool))
        n += bide__pool_reap(epoll->pool, CALLS_PER_POLL_MAX);
    return n;
}

static void epoll_wake(struct bide_engine *engine)
{
    bide__wake_post(&of(engine)->wake);
}

/* Watchers, signals, jobs */

static int attach_watches(struct bide_engine *engine, int fd)
{
    struct epoll *epoll = of(engine);
    int rc = set_add(epoll, fd, EPOLLIN, SLOT_WATCHES, 0);
    if (rc == 0 && epoll->watches.fd >= 0)
        epoll_ctl(epoll->fd, EPOLL_CTL_DEL, epoll->watches.fd, NULL);
    return rc;
}

static int epoll_watch_open(struct bide_engine *engine, int fd, unsigned events,
                            bide_watch_ready *ready, void *data, struct bide_watch **ret_watch)
{
    return bide__watch_set_add(&of(engine)->watches, fd, events, ready, data, ret_watch);
}

static int epoll_signal_open(struct bide_engine *engine, int signo, bide_signal_arrived *arrived,
                             void *data, struct bide_signal **ret_signal)
{
    return bide__signals_add(&of(engine)->signals, signo, arrived, data, ret_signal);
}

static int epoll_job_submit(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane)
{
    return bide__pool_submit(of(engine)->pool, job, lane);
}

static void epoll_job_abandon(struct bide_engine *engine, struct bide_job *job)
{
    bide__pool_abandon(of(engine)->pool, job);
}

static int epoll_lookup(struct bide_engine *engine, struct bide_lookup *lookup)
{
    return bide__lookup_submit(of(engine)->pool, lookup);
}

static void epoll_lookup_free(struct bide_engine *engine, struct addrinfo *list)
{
    (void)engine;
    bide__lookup_list_free(list);
}

/* Beginning and end */

static void release_all(struct epoll *epoll)
{
    bide__watch_set_fini(&epoll->watches);
    bide__wake_close(&epoll->wake);
    if (epoll->fd >= 0)
        close(epoll->fd);
    while (epoll->cached) {
        struct sock *sock = epoll->cached;
        epoll->cached = sock->next_cached;
        free(sock);
    }
    free(epoll->slots);
    free(epoll);
}

static void epoll_close(struct bide_engine *engine, int64_t join_ns)
{
    struct epoll *epoll = of(engine);
    assert(!epoll->due && !epoll->resting && !epoll->signals.first);
    assert(bide__watch_set_empty(&epoll->watches));
    for (uint32_t i = 0; i < epoll->n_slots; i++)
        assert(!epoll->slots[i].sock);
    bide__pool_close(epoll->pool, join_ns);
    release_all(epoll);
}

static void epoll_forget(struct bide_engine *engine)
{
    struct epoll *epoll = of(engine);
    for (uint32_t i = 0; i < epoll->n_slots; i++) {
        struct sock *sock = epoll->slots[i].sock;
        if (sock) {
            if (sock->base.fd >= 0)
                close(sock->base.fd);
            free(sock);
        }
    }
    bide__signals_forget(&epoll->signals);
    bide__pool_forget(epoll->pool);
    release_all(epoll);
}

static const struct bide_engine_ops epoll_ops = {
    .name = "epoll",
    .close = epoll_close,
    .forget = epoll_forget,
    .now_ns = bide__kernel_now_ns,
    .wall_ns = bide__kernel_wall_ns,
    .entropy = bide__kernel_entropy,
    .poll = epoll_poll,
    .wake = epoll_wake,
    .sock_open = epoll_sock_open,
    .sock_adopt = epoll_sock_adopt,
    .pipe = bide__pipe_open,
    .sock_share = bide__sock_share,
    .sock_close = epoll_sock_close,
    .sock_bind = bide__socket_bind,
    .sock_listen = bide__socket_listen,
    .sock_shutdown = epoll_sock_shutdown,
    .sock_setopt = epoll_sock_setopt,
    .sock_getopt = bide__socket_getopt,
    .sock_name = bide__socket_name,
    .try_recv = epoll_try_recv,
    .try_send = epoll_try_send,
    .try_accept = epoll_try_accept,
    .connect = epoll_connect,
    .recv_wait = epoll_recv_wait,
    .accept_wait = epoll_accept_wait,
    .send = epoll_send,
    .cancel = epoll_cancel,
    .watch_open = epoll_watch_open,
    .watch_set = bide__watch_change,
    .watch_close = bide__watch_remove,
    .signal_open = epoll_signal_open,
    .signal_close = bide__signals_remove,
    .process_start = bide__process_start,
    .process_signal = bide__process_signal,
    .process_look = bide__process_look,
    .process_close = bide__process_close,
    .process_forget = bide__process_forget,
    .job_submit = epoll_job_submit,
    .job_abandon = epoll_job_abandon,
    .lookup = epoll_lookup,
    .lookup_free = epoll_lookup_free,
};

int bide__epoll_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    static const struct bide_engine_opts defaults;
    if (!opts)
        opts = &defaults;
    struct epoll *epoll = calloc(1, sizeof(*epoll));
    if (!epoll)
        return -ENOMEM;
    epoll->base.ops = &epoll_ops;
    /* ThreadSanitizer keeps signal handlers back during calls that it does not know. */
    epoll->coarse = BIDE__TSAN;
    epoll->due_end = &epoll->due;
    epoll->n_events_max = EVENTS_PER_POLL_MAX;
    if (opts->queue_entries > 0 && opts->queue_entries < EVENTS_PER_POLL_MAX)
        epoll->n_events_max = (int)opts->queue_entries;
    epoll->wake.fd = -1;
    bide__watch_set_init(&epoll->watches, &epoll->base, attach_watches);
    bide__signals_init(&epoll->signals, &epoll->base);
    int rc = bide__wake_open(&epoll->wake);
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->fd < 0)
        rc = -errno;
    if (rc == 0)
        rc = set_add(epoll, epoll->wake.fd, EPOLLIN | EPOLLET, SLOT_WAKE, 0);
    if (rc == 0)
        rc = bide__pool_open(&epoll->base, opts->user_threads_max, &epoll->pool);
    if (rc < 0) {
        release_all(epoll);
        return rc;
    }
    *ret_engine = &epoll->base;
    return 0;
}
