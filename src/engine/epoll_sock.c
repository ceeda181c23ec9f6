/*
 * Sockets of the epoll engine: life time, operations, what an event changes. The invariants stand
 * in epoll.h.
 */
#include "engine/epoll.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/watched.h"

enum { SOCKS_CACHED_MAX = 1024 };

static struct bide__epoll_sock *sock_of(struct bide_sock *sock)
{
    return (struct bide__epoll_sock *)sock;
}

static struct bide__epoll *engine_of(const struct bide__epoll_sock *sock)
{
    return bide__epoll_of(sock->base.engine);
}
/* Slots and sockets */

static int grow_slots(struct bide__epoll *epoll)
{
    uint32_t n = epoll->n_slots > 0 ? 2 * epoll->n_slots : 64;
    struct bide__epoll_slot *slots = realloc(epoll->slots, n * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = epoll->n_slots; i < n; i++)
        slots[i] = (struct bide__epoll_slot){.next_free = i + 1};
    epoll->slots = slots;
    epoll->free_slot = epoll->n_slots;
    epoll->n_slots = n;
    return 0;
}

/* All that a socket needs but its descriptor, so that nothing can fail once a connection was
 * accepted. */
static struct bide__epoll_sock *reserve(struct bide__epoll *epoll)
{
    if (epoll->free_slot == epoll->n_slots && grow_slots(epoll) < 0)
        return NULL;
    struct bide__epoll_sock *sock = epoll->cached;
    if (sock) {
        epoll->cached = sock->next_cached;
        epoll->n_cached--;
    } else {
        sock = malloc(sizeof(*sock));
        if (!sock)
            return NULL;
    }
    struct bide__epoll_slot *slot = &epoll->slots[epoll->free_slot];
    *sock = (struct bide__epoll_sock){
        .base.engine = &epoll->base, .base.fd = -1, .slot = epoll->free_slot};
    epoll->free_slot = slot->next_free;
    slot->sock = sock;
    return sock;
}

/* With AddressSanitizer, sockets go back to it at once, so that use after close is seen. */
static bool caches_socks(const struct bide__epoll *epoll)
{
    return !BIDE__ASAN && epoll->n_cached < SOCKS_CACHED_MAX;
}

static void release(struct bide__epoll *epoll, struct bide__epoll_sock *sock)
{
    struct bide__epoll_slot *slot = &epoll->slots[sock->slot];
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

static void furnish(struct bide__epoll_sock *sock, int fd, unsigned traits)
{
    sock->base.fd = fd;
    sock->traits = (uint8_t)traits;
    sock->readable = true;
    sock->writable = true;
}

int bide__epoll_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                          struct bide_sock **ret_sock)
{
    struct bide__epoll_sock *sock = reserve(bide__epoll_of(engine));
    if (!sock)
        return -ENOMEM;
    unsigned traits;
    int fd = bide__fd_socket(family, type, protocol, &traits);
    if (fd < 0) {
        release(bide__epoll_of(engine), sock);
        return fd;
    }
    furnish(sock, fd, traits);
    *ret_sock = &sock->base;
    return 0;
}

int bide__epoll_sock_adopt(struct bide_engine *engine, int fd, enum bide_adopt wanted,
                           struct bide_sock **ret_sock)
{
    struct bide__epoll_sock *sock = reserve(bide__epoll_of(engine));
    if (!sock)
        return -ENOMEM;
    unsigned traits;
    int rc = bide__fd_adopt(fd, wanted, &traits);
    if (rc < 0) {
        release(bide__epoll_of(engine), sock);
        return rc;
    }
    furnish(sock, fd, traits);
    sock->adopted = true;
    *ret_sock = &sock->base;
    return 0;
}

static void close_fd(struct bide__epoll_sock *sock)
{
    struct bide__epoll *epoll = engine_of(sock);
    if (sock->base.fd < 0)
        return;
    for (int kind = 0; kind < BIDE__EPOLL_KINDS; kind++)
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

void bide__epoll_sock_close(struct bide_sock *base)
{
    close_fd(sock_of(base));
    release(engine_of(sock_of(base)), sock_of(base));
}

int bide__epoll_sock_shutdown(struct bide_sock *base, int how)
{
    int rc = bide__fd_shutdown_closes(sock_of(base)->traits, how);
    if (rc > 0)
        close_fd(sock_of(base));
    return rc == 0 ? bide__socket_shutdown(base, how) : rc < 0 ? rc : 0;
}

int bide__epoll_sock_setopt(struct bide_sock *base, int level, int name, const void *value,
                            socklen_t length)
{
    int rc = bide__socket_setopt(base, level, name, value, length);
    if (rc == 0 && level == SOL_TCP &&
        name == TCP_ULP) /* TLS in the kernel: records are boundaries */
        sock_of(base)->traits &= (uint8_t)~BIDE__FD_TCP;
    return rc;
}

/* Operations */

static void op_append(struct bide__epoll *epoll, struct bide_op *op)
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

static void op_finish(struct bide__epoll *epoll, struct bide_op *op, int result)
{
    if (op->link)
        op_unrest(op);
    sock_of(op->sock)->ops[op->kind] = NULL;
    op->kind = BIDE__EPOLL_DECIDED;
    if (result == -ECANCELED && op->state != BIDE_OP_CANCELLING)
        result = -ECONNABORTED;
    op->result = result;
    op_append(epoll, op);
}

/* Registers the socket if need be: its readiness then comes as an event, also if it is ready now.
 */
static int op_await(struct bide__epoll_sock *sock, struct bide_op *op, enum bide__epoll_op kind)
{
    assert(op->state == BIDE_OP_IDLE && op->done && !sock->ops[kind]);
    struct bide__epoll *epoll = engine_of(sock);
    if (!sock->registered) {
        uint32_t mask = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;
        int rc = bide__epoll_set_add(epoll, sock->base.fd, mask, sock->slot,
                                     epoll->slots[sock->slot].serial);
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
static bool input_ready(struct bide__epoll_sock *sock)
{
    if (sock->registered && sock->readable)
        sock->readable = bide__fd_ready(sock->base.fd, POLLIN | POLLRDHUP);
    return sock->registered && sock->readable;
}

static ssize_t note_loss(struct bide__epoll_sock *sock, ssize_t rc)
{
    if (bide__connection_lost(rc) && !(sock->traits & BIDE__FD_DATAGRAM))
        sock->lost = (int)rc;
    return rc;
}

ssize_t bide__epoll_try_recv(struct bide_sock *base, void *buffer, size_t size)
{
    struct bide__epoll_sock *sock = sock_of(base);
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
static ssize_t send_some(struct bide__epoll_sock *sock, const struct iovec *iov, int n_iov)
{
    ssize_t n = bide__fd_send(sock->base.fd, sock->traits, iov, n_iov);
    if (n == -EAGAIN || (n >= 0 && (size_t)n < bide__iov_size(iov, n_iov)))
        sock->writable = false;
    return note_loss(sock, n);
}

ssize_t bide__epoll_try_send(struct bide_sock *base, const struct iovec *iov, int n_iov)
{
    struct bide__epoll_sock *sock = sock_of(base);
    if (sock->registered && !sock->writable)
        return -EAGAIN;
    return send_some(sock, iov, n_iov);
}

ssize_t bide__epoll_try_recv_message(struct bide_sock *base, struct msghdr *message)
{
    struct bide__epoll_sock *sock = sock_of(base);
    if (sock->registered && !sock->readable)
        return -EAGAIN;
    ssize_t n = bide__fd_recv_message(base->fd, sock->traits, message);
    if (n == -EAGAIN)
        sock->readable = false;
    return n == 0 ? sock->lost : note_loss(sock, n);
}

ssize_t bide__epoll_try_send_message(struct bide_sock *base, const struct msghdr *message)
{
    struct bide__epoll_sock *sock = sock_of(base);
    /* Whether there is room for a datagram is its receiver's matter, and no event may tell. */
    bool tells = !(sock->traits & BIDE__FD_DATAGRAM);
    if (sock->registered && !sock->writable && tells)
        return -EAGAIN;
    ssize_t n = bide__fd_send_message(base->fd, message);
    if (n == -EAGAIN && tells)
        sock->writable = false;
    return note_loss(sock, n);
}

ssize_t bide__epoll_try_send_file(struct bide_sock *base, int file, int64_t offset, size_t size)
{
    struct bide__epoll_sock *sock = sock_of(base);
    if (sock->registered && !sock->writable)
        return -EAGAIN;
    ssize_t n = bide__fd_send_file(base->fd, sock->traits, file, offset, size);
    if (n == -EAGAIN)
        sock->writable = false;
    return note_loss(sock, n);
}

static int send_step(struct bide__epoll_sock *sock, struct bide_op *op)
{
    ssize_t n = send_some(sock, op->iov, op->n_iov);
    if (n < 0)
        return n == -EAGAIN ? BIDE_PENDING : (int)n;
    op->n_done += (size_t)n;
    bide__iov_advance(&op->iov, &op->n_iov, (size_t)n);
    return op->n_iov == 0 ? 0 : BIDE_PENDING;
}

int bide__epoll_send(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov)
{
    struct bide__epoll_sock *sock = sock_of(base);
    bide__iov_advance(&iov, &n_iov, 0);
    op->iov = iov;
    op->n_iov = n_iov;
    op->n_done = 0;
    if (n_iov == 0)
        return 0;
    int rc = sock->registered && !sock->writable ? BIDE_PENDING : send_step(sock, op);
    return rc == BIDE_PENDING ? op_await(sock, op, BIDE__EPOLL_SEND) : rc;
}

int bide__epoll_connect(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                        socklen_t length)
{
    struct bide__epoll_sock *sock = sock_of(base);
    sock->uneven = false;
    sock->lost = 0;
    int rc = bide__fd_connect(base->fd, address, length);
    return rc == -EINPROGRESS ? op_await(sock, op, BIDE__EPOLL_CONNECT) : rc;
}

int bide__epoll_recv_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__epoll_sock *sock = sock_of(base);
    return input_ready(sock) ? 0 : op_await(sock, op, BIDE__EPOLL_RECV);
}

/* The kernel is asked: no event follows if it had room before it was told of the want of it. */
int bide__epoll_send_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__epoll_sock *sock = sock_of(base);
    if (sock->registered && bide__fd_ready(base->fd, POLLOUT)) {
        sock->writable = true;
        return 0;
    }
    return op_await(sock, op, BIDE__EPOLL_SEND_WAIT);
}

int bide__epoll_try_accept(struct bide_sock *base, struct bide_sock **ret_sock)
{
    struct bide__epoll_sock *sock = sock_of(base);
    struct bide__epoll *epoll = engine_of(sock);
    if (sock->registered && !sock->readable)
        return -EAGAIN;
    struct bide__epoll_sock *accepted = reserve(epoll);
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
static int rest(struct bide__epoll_sock *sock, struct bide_op *op)
{
    int rc = op_await(sock, op, BIDE__EPOLL_ACCEPT);
    if (rc != BIDE_PENDING)
        return rc;
    struct bide__epoll *epoll = engine_of(sock);
    if (!epoll->resting)
        epoll->rest_until_ns = bide__kernel_now_ns(&epoll->base) + BIDE__ACCEPT_REST_NS;
    op->next = epoll->resting;
    op->link = &epoll->resting;
    if (op->next)
        op->next->link = &op->next;
    epoll->resting = op;
    return rc;
}

int bide__epoll_accept_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__epoll_sock *sock = sock_of(base);
    if (sock->resting && sock->closes_seen == engine_of(sock)->n_closes)
        return rest(sock, op);
    return input_ready(sock) ? 0 : op_await(sock, op, BIDE__EPOLL_ACCEPT);
}

void bide__epoll_cancel(struct bide_op *op)
{
    if (op->state != BIDE_OP_PENDING || op->kind == BIDE__EPOLL_DECIDED)
        return;
    op->state = BIDE_OP_CANCELLING;
    op_finish(bide__epoll_of(op->sock->engine), op, -ECANCELED);
}
/* Events */

static void apply_input(struct bide__epoll *epoll, struct bide__epoll_sock *sock)
{
    sock->readable = true;
    if (sock->ops[BIDE__EPOLL_RECV])
        op_finish(epoll, sock->ops[BIDE__EPOLL_RECV], 0);
    if (sock->ops[BIDE__EPOLL_ACCEPT] && !sock->ops[BIDE__EPOLL_ACCEPT]->link)
        op_finish(epoll, sock->ops[BIDE__EPOLL_ACCEPT], 0);
}

static void apply_output(struct bide__epoll *epoll, struct bide__epoll_sock *sock)
{
    sock->writable = true;
    struct bide_op *op = sock->ops[BIDE__EPOLL_CONNECT];
    if (op) {
        int rc = bide__fd_connect_result(sock->base.fd);
        if (rc != -EINPROGRESS)
            op_finish(epoll, op, rc);
    }
    op = sock->ops[BIDE__EPOLL_SEND];
    if (op) {
        int rc = send_step(sock, op);
        if (rc != BIDE_PENDING)
            op_finish(epoll, op, rc);
    }
    if (sock->ops[BIDE__EPOLL_SEND_WAIT])
        op_finish(epoll, sock->ops[BIDE__EPOLL_SEND_WAIT], 0);
}

void bide__epoll_apply(struct bide__epoll *epoll, const struct epoll_event *event)
{
    uint32_t index = (uint32_t)event->data.u64;
    if (index >= epoll->n_slots) {
        if (index == BIDE__EPOLL_SLOT_WATCHES)
            epoll->watches_ready = true;
        return;
    }
    struct bide__epoll_slot *slot = &epoll->slots[index];
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
void bide__epoll_end_rest(struct bide__epoll *epoll)
{
    if (epoll->rest_until_ns > 0 && bide__kernel_now_ns(&epoll->base) < epoll->rest_until_ns)
        return;
    while (epoll->resting) {
        struct bide_op *op = epoll->resting;
        sock_of(op->sock)->resting = false;
        op_finish(epoll, op, 0);
    }
}
