/*
 * Receiving: one multishot receive per TCP socket fills buffers that all sockets share; they queue
 * on their socket until the owner copies them out, and go back to the kernel at once when used up.
 * Other streams, datagrams, pipes and listeners are polled for readiness instead, and read
 * directly. (The multishot receive of a Unix socket may miss its end: liburing #1549.)
 *
 * Why nobody starves, however few buffers there are: nobody waits for a buffer. A socket that finds
 * none is polled like the others and read with recv(2), and that needs none. Buffers are only the
 * faster way. So an owner who does not read can slow others down by what it holds, and that is
 * limited: when it holds more than its share and poll() is entered again, its receive is stopped,
 * and the kernel's own window holds back the peer.
 *
 * The order of a socket's bytes is that of its chunks, then what the kernel still has, then the
 * end. recv(2) is therefore called only while nothing is queued and no receive is under way.
 */
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/uring.h"

enum {
    BUFFER_BYTES = 4096,
    BULK_ENDS = 4,       /* direct reads in a row that would have fitted into a buffer */
    BUFFERS_MAX = 32768, /* the kernel's limit for a ring of them */
    BUFFERS_FIRST = 64,  /* provided from the beginning; doubled when they run out */
    SHARE_CHUNKS = 8,    /* what a socket may queue and keep on receiving */
    RESERVE_DIVISOR = 8, /* below this part of free buffers, no further receives are begun */
};

static void give_back(struct bide__uring_buffers *buffers, unsigned id)
{
    io_uring_buf_ring_add(buffers->ring, buffers->memory + (size_t)id * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)id, io_uring_buf_ring_mask(buffers->n_max), 0);
    io_uring_buf_ring_advance(buffers->ring, 1);
    buffers->n_free++;
}

static void provide(struct bide__uring_buffers *buffers, unsigned n)
{
    while (buffers->n_provided < n)
        give_back(buffers, buffers->n_provided++);
}

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static size_t ring_bytes(const struct bide__uring_buffers *buffers)
{
    return buffers->n_max * sizeof(struct io_uring_buf);
}

int bide__uring_buffers_init(struct bide__uring_buffers *buffers, struct io_uring *ring,
                             unsigned n_max)
{
    *buffers = (struct bide__uring_buffers){.n_max = n_max < BUFFERS_MAX ? n_max : BUFFERS_MAX};
    buffers->chunks = calloc(buffers->n_max, sizeof(*buffers->chunks));
    buffers->memory = map((size_t)buffers->n_max * BUFFER_BYTES);
    buffers->ring = map(ring_bytes(buffers));
    if (!buffers->chunks || !buffers->memory || !buffers->ring) {
        bide__uring_buffers_fini(buffers);
        return -ENOMEM;
    }
    io_uring_buf_ring_init(buffers->ring);
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)buffers->ring,
                                   .ring_entries = buffers->n_max};
    int rc = io_uring_register_buf_ring(ring, &reg, 0);
    if (rc < 0) {
        bide__uring_buffers_fini(buffers);
        return rc == -EINVAL ? -ENOSYS : rc;
    }
    provide(buffers, buffers->n_max < BUFFERS_FIRST ? buffers->n_max : BUFFERS_FIRST);
    return 0;
}

void bide__uring_buffers_fini(struct bide__uring_buffers *buffers)
{
    if (buffers->ring)
        munmap(buffers->ring, ring_bytes(buffers));
    if (buffers->memory)
        munmap(buffers->memory, (size_t)buffers->n_max * BUFFER_BYTES);
    free(buffers->chunks);
    *buffers = (struct bide__uring_buffers){0};
}

static struct bide__uring *engine_of(const struct bide__uring_sock *sock)
{
    return bide__uring_of(sock->base.engine);
}

/* Chunks */

static void push_chunk(struct bide__uring_sock *sock, uint16_t id, size_t size)
{
    struct bide__uring_chunk *chunks = engine_of(sock)->buffers.chunks;
    chunks[id] = (struct bide__uring_chunk){.size = (uint32_t)size};
    if (sock->n_chunks > 0)
        chunks[sock->last_chunk].next = id;
    else
        sock->first_chunk = id;
    sock->last_chunk = id;
    sock->n_chunks++;
}

static void pop_chunk(struct bide__uring_sock *sock)
{
    struct bide__uring_buffers *buffers = &engine_of(sock)->buffers;
    uint16_t id = sock->first_chunk;
    sock->first_chunk = buffers->chunks[id].next;
    sock->n_chunks--;
    give_back(buffers, id);
}

static size_t take_chunks(struct bide__uring_sock *sock, char *to, size_t size)
{
    struct bide__uring_buffers *buffers = &engine_of(sock)->buffers;
    size_t n = 0;
    while (sock->n_chunks > 0 && n < size) {
        struct bide__uring_chunk *chunk = &buffers->chunks[sock->first_chunk];
        size_t part = chunk->size < size - n ? chunk->size : size - n;
        memcpy(to + n, buffers->memory + (size_t)sock->first_chunk * BUFFER_BYTES + chunk->offset,
               part);
        n += part;
        chunk->offset += (uint32_t)part;
        chunk->size -= (uint32_t)part;
        if (chunk->size == 0)
            pop_chunk(sock);
    }
    return n;
}

void bide__uring_recv_drop(struct bide__uring_sock *sock)
{
    while (sock->n_chunks > 0)
        pop_chunk(sock);
    bide__list_remove(&sock->full_node);
}

static bool holds_too_much(const struct bide__uring_sock *sock)
{
    unsigned n_max = engine_of(sock)->buffers.n_max;
    unsigned share = n_max / RESERVE_DIVISOR < SHARE_CHUNKS ? n_max / RESERVE_DIVISOR
                                                            : SHARE_CHUNKS;
    return sock->n_chunks > share;
}

void bide__uring_recv_throttle(struct bide__uring *uring)
{
    struct bide__list *node;
    while ((node = bide__list_pop(&uring->full))) {
        struct bide__uring_sock *sock = bide__container(node, struct bide__uring_sock, full_node);
        bool is_enough = sock->is_bulk || holds_too_much(sock);
        if (is_enough && sock->request.kind == BIDE__URING_REQUEST_RECV)
            bide__uring_stop(uring, &sock->request);
    }
}

/* Calls of the owner */

/* After a short read of a TCP socket the next one would find nothing; one is spared. */
static void note_size(struct bide__uring_sock *sock, size_t n, size_t size_asked)
{
    sock->is_drained = n < size_asked;
    sock->n_small = n < BUFFER_BYTES ? sock->n_small + 1 : 0;
    if (sock->n_small >= BULK_ENDS)
        sock->is_bulk = false;
}

ssize_t bide__uring_try_recv(struct bide_sock *base, void *buffer, size_t size)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    if (sock->n_chunks > 0)
        return (ssize_t)take_chunks(sock, buffer, size);
    if (sock->has_ended) {
        if (sock->end == 0) /* and the kernel would say so again */
            return sock->lost;
        sock->has_ended = false;
        return sock->end;
    }
    if (sock->request.kind == BIDE__URING_REQUEST_RECV && sock->request.state != BIDE_OP_IDLE)
        return -EAGAIN;
    if (sock->is_drained) {
        sock->is_drained = false;
        return -EAGAIN;
    }
    ssize_t n = bide__fd_recv(base->fd, sock->traits, buffer, size);
    if (n == 0)
        return sock->lost;
    if (n > 0 && (sock->traits & BIDE__FD_TCP))
        note_size(sock, (size_t)n, size);
    return bide__uring_note_loss(sock, n);
}

/* What is queued came without control data: TCP, of all that is received so, has none. */
static ssize_t take_message(struct bide__uring_sock *sock, struct msghdr *message)
{
    size_t n = 0;
    for (size_t i = 0; i < message->msg_iovlen && sock->n_chunks > 0; i++)
        n += take_chunks(sock, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
    return (ssize_t)n;
}

ssize_t bide__uring_try_recv_message(struct bide_sock *base, struct msghdr *message)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    if (sock->n_chunks > 0)
        return take_message(sock, message);
    if (sock->has_ended) {
        char nothing;
        message->msg_namelen = 0;
        message->msg_controllen = 0;
        message->msg_flags = 0;
        return bide__uring_try_recv(base, &nothing, 1);
    }
    if (sock->request.kind == BIDE__URING_REQUEST_RECV && sock->request.state != BIDE_OP_IDLE)
        return -EAGAIN;
    ssize_t n = bide__fd_recv_message(base->fd, sock->traits, message);
    return n == 0 ? sock->lost : bide__uring_note_loss(sock, n);
}

int bide__uring_recv_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(base);
    sock->is_drained = false;
    if (sock->n_chunks > 0 || sock->has_ended)
        return 0;
    bide__uring_wait(sock, op, BIDE__URING_RECV_WAIT);
    return BIDE_PENDING;
}

/* The request */

static bool has_spare_buffers(const struct bide__uring_buffers *buffers)
{
    return buffers->n_free > buffers->n_provided / RESERVE_DIVISOR;
}

static void request(struct bide__uring_sock *sock, enum bide__uring_kind kind)
{
    sock->request.kind = (uint8_t)kind;
    bide__uring_start(engine_of(sock), &sock->request);
}

void bide__uring_wait(struct bide__uring_sock *sock, struct bide_op *op, enum bide__uring_kind kind)
{
    assert(op->state == BIDE_OP_IDLE && op->done && !sock->waiter);
    op->sock = &sock->base;
    op->kind = (uint8_t)kind;
    op->state = BIDE_OP_PENDING;
    op->link = NULL;
    sock->waiter = op;
    bide__uring_request(sock);
}

void bide__uring_request(struct bide__uring_sock *sock)
{
    bool is_resting = bide__list_linked(&sock->rest_node);
    if (!sock->waiter || is_resting || sock->request.state != BIDE_OP_IDLE)
        return;
    bool is_receiver = sock->waiter->kind == BIDE__URING_RECV_WAIT && (sock->traits & BIDE__FD_TCP);
    if (is_receiver && !sock->is_bulk && has_spare_buffers(&engine_of(sock)->buffers))
        request(sock, BIDE__URING_REQUEST_RECV);
    else
        request(sock, BIDE__URING_REQUEST_POLL);
}

static void release_waiter(struct bide__uring_sock *sock, int result)
{
    struct bide_op *waiter = sock->waiter;
    if (!waiter)
        return;
    sock->waiter = NULL;
    bide__uring_complete(engine_of(sock), waiter, result);
}

/* The kernel let go of the request. False: nothing else is left of the socket, and now it is gone,
 * too. */
static bool settle(struct bide__uring_sock *sock)
{
    sock->request.state = BIDE_OP_IDLE;
    if (!sock->is_closed)
        return true;
    bide__uring_sock_release(sock);
    return false;
}

/* Why a receive came to its end. What a cancel of ours or the lack of buffers cut off goes on with
 * the next wait. */
static void note_end(struct bide__uring_sock *sock, int result, bool was_asked)
{
    if (result > 0 || result == -EINTR || result == -ENOBUFS)
        return;
    if (result == -ECANCELED) {
        if (was_asked)
            return;
        result = -ECONNABORTED;
    }
    if (result == 0)
        bide__uring_note_silent_loss(sock);
    sock->has_ended = true;
    sock->end = (int)bide__uring_note_loss(sock, result);
}

/* Buffers that were never used cost nothing, so that most programs need only the first. */
static void grow(struct bide__uring_buffers *buffers)
{
    if (buffers->n_provided < buffers->n_max)
        provide(buffers, 2 * buffers->n_provided);
}

void bide__uring_recv_done(struct bide__uring_sock *sock, const struct io_uring_cqe *cqe)
{
    struct bide__uring *uring = engine_of(sock);
    bool was_asked = sock->request.state == BIDE_OP_CANCELLING;
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        uring->buffers.n_free--;
        if (cqe->res > 0 && !sock->is_closed)
            push_chunk(sock, id, (size_t)cqe->res);
        else
            give_back(&uring->buffers, id);
    }
    if (cqe->res == BUFFER_BYTES) {
        sock->is_bulk = true;
        sock->n_small = 0;
    }
    if (cqe->res == -ENOBUFS)
        grow(&uring->buffers);
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        if (!settle(sock))
            return;
        note_end(sock, cqe->res, was_asked);
        if (cqe->res == -ENOBUFS && !was_asked && sock->waiter && sock->n_chunks == 0) {
            request(sock, BIDE__URING_REQUEST_POLL);
            return;
        }
    }
    if (sock->is_closed)
        return;
    if ((sock->is_bulk || holds_too_much(sock)) && !bide__list_linked(&sock->full_node))
        bide__list_append(&uring->full, &sock->full_node);
    if (sock->n_chunks > 0 || sock->has_ended)
        release_waiter(sock, 0);
    else
        bide__uring_request(sock);
}

void bide__uring_poll_done(struct bide__uring_sock *sock, int result)
{
    bool was_asked = sock->request.state == BIDE_OP_CANCELLING;
    if (!settle(sock) || bide__list_linked(&sock->rest_node))
        return;
    if (result == -EINTR || (result == -ECANCELED && was_asked))
        bide__uring_request(sock);
    else if (result < 0)
        release_waiter(sock, result == -ECANCELED ? -ECONNABORTED : result);
    else
        release_waiter(sock, 0);
}
