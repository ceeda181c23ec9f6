/*
 * Sockets of the io_uring engine: life time, connecting, accepting, sending. Receiving is in
 * uring_recv.c.
 *
 * Invariants
 *  - sock_close() leaves nothing that holds the file: a request that is under way is taken back
 *    first, synchronously. So the peer hears of it and the port is free when it returns, as with
 *    epoll. Only the memory stays until the final completion was seen.
 *  - Listeners are polled and accept in try_accept(), one connection per call. A multishot accept
 *    would empty the kernel's backlog before anybody could stop it
 *    (docs/decisions/uring-accept.md).
 */
#include "base/explain.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/watched.h"
#include "engine/uring.h"

enum { SOCKS_CACHED_MAX = 1024, BATCHED_SENDS_MIN = 2, BATCHED_BYTES_END = 8192 };

static struct bide__uring *engine_of(const struct bide__uring_sock *sock)
{
    return bide__uring_of(sock->base.engine);
}

/* All that a socket needs but its descriptor, so that nothing can fail once a connection was
 * accepted. */
static struct bide__uring_sock *reserve(struct bide__uring *uring)
{
    struct bide__list *node = bide__list_pop(&uring->cached);
    struct bide__uring_sock *sock = node ? bide__container(node, struct bide__uring_sock, node)
                                         : malloc(sizeof(*sock));
    if (!sock)
        return NULL;
    uint16_t generation = 0;
    if (node) {
        uring->n_cached--;
        generation = sock->request.generation;
    }
    *sock = (struct bide__uring_sock){.base = {.engine = &uring->base, .fd = -1},
                                      .request = {.sock = &sock->base, .generation = generation}};
    bide__list_init(&sock->node);
    bide__list_init(&sock->full_node);
    bide__list_init(&sock->rest_node);
    return sock;
}

static void furnish(struct bide__uring_sock *sock, int fd, unsigned traits)
{
    sock->base.fd = fd;
    sock->traits = traits;
    bide__list_append(&engine_of(sock)->socks, &sock->node);
}

void bide__uring_sock_release(struct bide__uring_sock *sock)
{
    struct bide__uring *uring = engine_of(sock);
    bide__list_remove(&sock->node);
    /* With AddressSanitizer it goes back at once, so that use after close is seen. */
    if (BIDE__ASAN || uring->n_cached >= SOCKS_CACHED_MAX) {
        free(sock);
        return;
    }
    bide__list_append(&uring->cached, &sock->node);
    uring->n_cached++;
}

int bide__uring_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                          struct bide_sock **ret_sock)
{
    struct bide__uring_sock *sock = reserve(bide__uring_of(engine));
    if (!sock)
        return -ENOMEM;
    unsigned traits;
    int fd = bide__fd_socket(family, type, protocol, &traits);
    if (fd < 0) {
        bide__uring_sock_release(sock);
        return fd;
    }
    furnish(sock, fd, traits);
    *ret_sock = &sock->base;
    return 0;
}

int bide__uring_sock_adopt(struct bide_engine *engine, int fd, enum bide_adopt wanted,
                           struct bide_sock **ret_sock)
{
    struct bide__uring_sock *sock = reserve(bide__uring_of(engine));
    if (!sock)
        return -ENOMEM;
    unsigned traits;
    int rc = bide__fd_adopt(fd, wanted, &traits);
    if (rc < 0) {
        bide__uring_sock_release(sock);
        return rc;
    }
    furnish(sock, fd, traits);
    *ret_sock = &sock->base;
    return 0;
}

/* The kernel resets a connection that is closed with unread data. Some of it may be unread here. */
static void reset_on_close(struct bide__uring_sock *sock)
{
    struct linger none = {.l_onoff = 1};
    bide__socket_setopt(&sock->base, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

void bide__uring_sock_close(struct bide_sock *base)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    struct bide__uring *uring = engine_of(sock);
    assert(!sock->waiter && !bide__list_linked(&sock->rest_node));
    if (sock->n_chunks > 0)
        reset_on_close(sock);
    bide__uring_recv_drop(sock);
    if (sock->request.state == BIDE_OP_PENDING && sock->request.link)
        bide__uring_stop(uring, &sock->request);
    bool is_held = sock->request.state != BIDE_OP_IDLE;
    /* Where the ring cannot be asked (another thread's, out of memory), the peer must hear of it
     * all the same. */
    if (is_held && bide__uring_detach(uring, &sock->request) < 0)
        bide__socket_shutdown(base, SHUT_RDWR);
    if (base->fd >= 0)
        close(base->fd);
    base->fd = -1;
    sock->is_closed = true;
    if (!is_held)
        bide__uring_sock_release(sock);
    uring->n_closes++;
    bide__uring_rise(uring);
}

int bide__uring_sock_shutdown(struct bide_sock *base, int how)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    int rc = bide__fd_shutdown_closes(sock->traits, how);
    if (rc <= 0)
        return rc < 0 ? rc : bide__socket_shutdown(base, how);
    assert(!sock->waiter && !sock->is_sending);
    if (sock->request.state == BIDE_OP_PENDING && sock->request.link)
        bide__uring_stop(engine_of(sock), &sock->request);
    if (sock->request.state != BIDE_OP_IDLE)
        (void)bide__uring_detach(engine_of(sock), &sock->request);
    close(base->fd);
    base->fd = -1;
    engine_of(sock)->n_closes++;
    bide__uring_rise(engine_of(sock));
    return 0;
}

ssize_t bide__uring_note_loss(struct bide__uring_sock *sock, ssize_t rc)
{
    if (bide__connection_lost(rc) && !(sock->traits & BIDE__FD_DATAGRAM))
        sock->lost = (int)rc;
    return rc;
}

static int note_loss(struct bide__uring_sock *sock, int rc)
{
    return (int)bide__uring_note_loss(sock, rc);
}

/* What a completion says: a cancel that nobody asked for is the end of the ring's thread. */
static int outcome(const struct bide_op *op, int result)
{
    return result == -ECANCELED && op->state != BIDE_OP_CANCELLING ? -ECONNABORTED : result;
}

static void begin(struct bide__uring_sock *sock, struct bide_op *op, enum bide__uring_kind kind)
{
    assert(op->state == BIDE_OP_IDLE && op->done);
    op->sock = &sock->base;
    op->kind = (uint8_t)kind;
    op->link = NULL;
    bide__uring_start(engine_of(sock), op);
}

/* Connecting */

int bide__uring_connect(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                        socklen_t length)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    sock->lost = 0;
    sock->has_ended = false;
    int rc = bide__fd_connect(base->fd, address, length);
    if (rc == -EINPROGRESS)
        begin(sock, op, BIDE__URING_CONNECT);
    return rc == -EINPROGRESS ? BIDE_PENDING : rc;
}

void bide__uring_connect_done(struct bide_op *op, int result)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(op->sock);
    if (result >= 0 || result == -ECANCELED) {
        int reached = bide__fd_connect_result(op->sock->fd);
        if (reached != -EINPROGRESS)
            result = reached;
        else if (result >= 0) {
            bide__uring_start(engine_of(sock), op);
            return;
        }
    }
    bide__uring_complete(engine_of(sock), op, outcome(op, result));
}

/* Accepting */

int bide__uring_try_accept(struct bide_sock *base, struct bide_sock **ret_sock)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    struct bide__uring *uring = engine_of(sock);
    struct bide__uring_sock *accepted = reserve(uring);
    int rc = accepted ? bide__fd_accept(base->fd) : -ENOMEM;
    sock->has_starved = bide__accept_starves(rc);
    sock->n_closes_seen = uring->n_closes;
    if (rc < 0) {
        if (accepted)
            bide__uring_sock_release(accepted);
        return rc;
    }
    furnish(accepted, rc, sock->traits);
    *ret_sock = &accepted->base;
    return 0;
}

/*
 * A listener that found no descriptor keeps its connections queued, and would be ready at once and
 * fail again. Its wait ends when the engine closes a descriptor, or else after a rest, for those
 * that others close.
 */
int bide__uring_accept_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    struct bide__uring *uring = engine_of(sock);
    if (sock->has_starved && sock->n_closes_seen == uring->n_closes) {
        if (bide__list_empty(&uring->resting))
            uring->rest_end_ns = bide__kernel_now_ns(&uring->base) + BIDE__ACCEPT_REST_NS;
        bide__list_append(&uring->resting, &sock->rest_node);
    }
    bide__uring_wait(sock, op, BIDE__URING_ACCEPT_WAIT);
    return BIDE_PENDING;
}

void bide__uring_rise(struct bide__uring *uring)
{
    struct bide__list *node;
    while ((node = bide__list_pop(&uring->resting))) {
        struct bide__uring_sock *sock = bide__container(node, struct bide__uring_sock, rest_node);
        struct bide_op *waiter = sock->waiter;
        sock->has_starved = false;
        sock->waiter = NULL;
        bide__uring_finish(uring, waiter, 0);
    }
}

/* Sending */

/*
 * When several things happened at once, answers to several of them are on their way: small ones go
 * out together with the next poll() (docs/decisions/uring-send.md). Large ones would be copied.
 */
static bool is_better_batched(const struct bide__uring_sock *sock, const struct iovec *iov,
                              int n_iov)
{
    if (engine_of(sock)->n_called < BATCHED_SENDS_MIN || !(sock->traits & BIDE__FD_TCP))
        return false;
    size_t size = 0;
    for (int i = 0; i < n_iov && size < BATCHED_BYTES_END; i++)
        size += iov[i].iov_len;
    return size > 0 && size < BATCHED_BYTES_END;
}

ssize_t bide__uring_try_send(struct bide_sock *base, const struct iovec *iov, int n_iov)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    if (!sock->had_room && is_better_batched(sock, iov, n_iov))
        return -EAGAIN;
    sock->had_room = false;
    return bide__uring_note_loss(sock, bide__fd_send(base->fd, sock->traits, iov, n_iov));
}

ssize_t bide__uring_try_send_message(struct bide_sock *base, const struct msghdr *message)
{
    return bide__uring_note_loss(bide__uring_sock_of(base),
                                 bide__fd_send_message(base->fd, message));
}

ssize_t bide__uring_try_send_file(struct bide_sock *base, int file, int64_t offset, size_t size)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    return bide__uring_note_loss(sock,
                                 bide__fd_send_file(base->fd, sock->traits, file, offset, size));
}

int bide__uring_send_wait(struct bide_sock *base, struct bide_op *op)
{
    begin(bide__uring_sock_of(base), op, BIDE__URING_SEND_WAIT);
    return BIDE_PENDING;
}

void bide__uring_send_wait_done(struct bide_op *op, int result)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(op->sock);
    if (result == -EINTR && op->state == BIDE_OP_PENDING) {
        bide__uring_start(engine_of(sock), op);
        return;
    }
    sock->had_room = result >= 0;
    if (result == -EINTR)
        result = -ECANCELED;
    bide__uring_complete(engine_of(sock), op, result < 0 ? outcome(op, result) : 0);
}

int bide__uring_send(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    bide__iov_advance(&iov, &n_iov, 0);
    op->iov = iov;
    op->n_iov = n_iov;
    op->n_done = 0;
    if (n_iov == 0)
        return 0;
    begin(sock, op, sock->traits & BIDE__FD_TCP ? BIDE__URING_SEND : BIDE__URING_WRITE);
    sock->is_sending = true;
    return BIDE_PENDING;
}

/*
 * A send that was cut off by an error reports the part that went, and the kernel tells the error to
 * nobody: what comes next looks like an orderly end. But an orderly connection does not come to
 * its end while there is data to send.
 */
void bide__uring_note_silent_loss(struct bide__uring_sock *sock)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    if (sock->is_sending && (sock->traits & BIDE__FD_TCP) &&
        bide__socket_getopt(&sock->base, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
        info.tcpi_state == TCP_CLOSE)
        sock->lost = -ECONNRESET;
}

static void end_send(struct bide__uring_sock *sock, struct bide_op *op, int result)
{
    sock->is_sending = false;
    bide__uring_complete(engine_of(sock), op, note_loss(sock, result));
}

/* `result`: what the kernel took, or an error. Goes on until all is sent or the owner cancels. */
static void send_step(struct bide_op *op, ssize_t result)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(op->sock);
    if (result > 0) {
        op->n_done += (size_t)result;
        bide__iov_advance(&op->iov, &op->n_iov, (size_t)result);
    } else if (result < 0 && result != -EAGAIN && result != -EINTR) {
        for (int i = 0; i < op->n_iov && result == -EFAULT; i++)
            bide__explain(op->iov[i].iov_base);
        end_send(sock, op, outcome(op, (int)result));
        return;
    }
    if (op->n_iov == 0)
        end_send(sock, op, 0);
    else if (op->state == BIDE_OP_CANCELLING)
        end_send(sock, op, -ECANCELED);
    else {
        bide__uring_note_silent_loss(sock);
        bide__uring_start(engine_of(sock), op);
    }
}

void bide__uring_send_done(struct bide_op *op, int result)
{
    send_step(op, result);
}

void bide__uring_write_done(struct bide_op *op, int result)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(op->sock);
    if (result < 0)
        send_step(op, result);
    else if (op->state == BIDE_OP_CANCELLING)
        send_step(op, -ECANCELED);
    else
        send_step(op, bide__fd_send(op->sock->fd, sock->traits, op->iov, op->n_iov));
}

/* Cancelling */

void bide__uring_cancel(struct bide_op *op)
{
    if (op->state != BIDE_OP_PENDING)
        return;
    struct bide__uring_sock *sock = bide__uring_sock_of(op->sock);
    struct bide__uring *uring = engine_of(sock);
    if (op->kind == BIDE__URING_RECV_WAIT || op->kind == BIDE__URING_ACCEPT_WAIT) {
        assert(sock->waiter == op);
        sock->waiter = NULL;
        bide__list_remove(&sock->rest_node);
    } else {
        bide__uring_stop(uring, op);
        if (op->state == BIDE_OP_CANCELLING)
            return;
        if (op->kind != BIDE__URING_SEND_WAIT)
            sock->is_sending = false;
    }
    bide__uring_finish(uring, op, -ECANCELED);
}
