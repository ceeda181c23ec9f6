/*
 * The io_uring engine: the ring itself, one system call per poll(), and where completions go.
 * uring.h states the invariants.
 *
 * The wait is our own call of io_uring_enter2(), because io_uring_submit_and_wait_timeout() of
 * liburing 2.3 waits a second time for the whole span if it submitted something and nothing came.
 */
#include "engine/uring.h"
#include "engine/local.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/time.h"
#include "base/watched.h"
#include "engine/file.h"
#include "engine/process.h"
#include "engine/share.h"

enum {
    REFUSED_MAX = 1000, /* waits for readiness that end for no reason, before that is the answer */
    ENTRIES_DEFAULT = 512,
    ENTRIES_MAX = 4096,
    COMPLETIONS_PER_ENTRY = 8,
    BUFFERS_PER_ENTRY = 2,
    BATCH_MAX = 256, /* completions, jobs and signals each, before the loop gets its turn */
    GENERATION_SHIFT = 48,
    DETACH_ENTERS_MAX = 64,
};

#define ADDRESS_MASK ((UINT64_C(1) << GENERATION_SHIFT) - 1)
#define RETRY_NS INT64_C(1000000) /* after the kernel had no memory for a request */

/*
 * A new ring may lie where another thread's ring was. liburing maps with bare system calls, so that
 * thread sanitizer sees no order between the two: this one it sees.
 */
static atomic_uint n_rings_closed;

void bide__uring_list_init(struct bide__uring_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

void bide__uring_list_append(struct bide__uring_list *list, struct bide_op *op)
{
    assert(!op->link);
    op->next = NULL;
    op->link = list->end;
    *list->end = op;
    list->end = &op->next;
}

void bide__uring_list_remove(struct bide__uring_list *list, struct bide_op *op)
{
    assert(op->link);
    *op->link = op->next;
    if (op->next)
        op->next->link = op->link;
    else
        list->end = op->link;
    op->link = NULL;
    op->next = NULL;
}

void bide__uring_start(struct bide__uring *uring, struct bide_op *op)
{
    op->state = BIDE_OP_PENDING;
    op->generation++;
    bide__uring_list_append(&uring->starts, op);
}

void bide__uring_stop(struct bide__uring *uring, struct bide_op *op)
{
    if (op->state != BIDE_OP_PENDING)
        return;
    if (op->link) {
        bide__uring_list_remove(&uring->starts, op);
        op->state = BIDE_OP_IDLE;
    } else {
        op->state = BIDE_OP_CANCELLING;
        bide__uring_list_append(&uring->cancels, op);
    }
}

void bide__uring_finish(struct bide__uring *uring, struct bide_op *op, int result)
{
    op->state = BIDE_OP_CANCELLING;
    op->result = result;
    bide__uring_list_append(&uring->finished, op);
}

void bide__uring_complete(struct bide__uring *uring, struct bide_op *op, int result)
{
    assert(!op->link);
    op->state = BIDE_OP_IDLE;
    op->result = result;
    uring->n_called++;
    op->done(op);
}

static uint64_t user_data(const struct bide_op *op)
{
    uint64_t address = (uintptr_t)op;
    assert((address & ~ADDRESS_MASK) == 0);
    return address | (uint64_t)op->generation << GENERATION_SHIFT;
}

static void prepare_start(struct bide__uring *uring, struct io_uring_sqe *sqe, struct bide_op *op)
{
    int fd = op->sock ? op->sock->fd : -1;
    switch ((enum bide__uring_kind)op->kind) {
    case BIDE__URING_REQUEST_RECV:
        io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = 0;
        break;
    case BIDE__URING_REQUEST_POLL:
        io_uring_prep_poll_add(sqe, fd, POLLIN);
        break;
    case BIDE__URING_CONNECT:
    case BIDE__URING_WRITE:
    case BIDE__URING_SEND_WAIT:
        io_uring_prep_poll_add(sqe, fd, POLLOUT);
        break;
    case BIDE__URING_SEND:
        if (op->n_iov == 1) {
            size_t size = op->iov->iov_len;
            io_uring_prep_send(sqe, fd, op->iov->iov_base, size < INT32_MAX ? size : INT32_MAX,
                               MSG_NOSIGNAL | MSG_WAITALL);
        } else {
            struct msghdr *message = &bide__uring_sock_of(op->sock)->message;
            *message = (struct msghdr){.msg_iov = op->iov, .msg_iovlen = (size_t)op->n_iov};
            io_uring_prep_sendmsg(sqe, fd, message, MSG_NOSIGNAL | MSG_WAITALL);
        }
        break;
    case BIDE__URING_REQUEST_WAKE:
        io_uring_prep_poll_multishot(sqe, uring->wake.fd, POLLIN);
        break;
    case BIDE__URING_REQUEST_WATCHES:
        io_uring_prep_poll_add(sqe, uring->watch_fd, POLLIN);
        break;
    case BIDE__URING_FILE:
        bide__uring_file_prepare(sqe, op);
        break;
    case BIDE__URING_RECV_WAIT:
    case BIDE__URING_ACCEPT_WAIT:
        assert(false); /* waits are not submitted */
    }
    sqe->user_data = user_data(op);
}

/* What fails (there was nothing to cancel any more) reports with user_data 0, success not at all.
 */
static void prepare_cancel(struct io_uring_sqe *sqe, const struct bide_op *op)
{
    io_uring_prep_cancel64(sqe, user_data(op), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = 0;
}

/*
 * Two tools do not know that io_uring_enter() sleeps: valgrind keeps the other threads from running
 * meanwhile (its bug 463859), ThreadSanitizer keeps back the signal handlers. poll() they know, and
 * an eventfd tells that the ring has something to do, but not of what a write to an eventfd caused.
 */
static int enter_by_poll(struct bide__uring *uring, unsigned n_submit, int64_t wait_ns)
{
    unsigned fd = (unsigned)uring->ring.ring_fd;
    int rc = io_uring_enter2(fd, n_submit, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    if (rc < 0 || io_uring_cq_ready(&uring->ring) > 0)
        return rc;
    struct timespec span = {wait_ns / BIDE__NS_PER_S, wait_ns % BIDE__NS_PER_S};
    struct pollfd ready[3] = {{.fd = uring->poll_fd, .events = POLLIN},
                              {.fd = uring->wake.fd, .events = POLLIN},
                              {.fd = uring->watch_fd, .events = POLLIN}};
    if (ppoll(ready, 3, wait_ns == BIDE_NO_DEADLINE ? NULL : &span, NULL) < 0)
        return -errno;
    eventfd_t count;
    (void)eventfd_read(uring->poll_fd, &count);
    (void)eventfd_read(uring->wake.fd, &count);
    return io_uring_enter2(fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
}

int bide__uring_open_for_poll(struct bide__uring *uring)
{
    uring->poll_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (uring->poll_fd < 0)
        return -errno;
    int rc = io_uring_register_eventfd(&uring->ring, uring->poll_fd);
    if (rc < 0) {
        close(uring->poll_fd);
        uring->poll_fd = -1;
    }
    return rc;
}

/*
 * Submits, and waits for one completion for at most `wait_ns` (0: only collects what there is).
 * -EAGAIN: no memory for requests, they stay in the queue. -EBUSY: the completion queue is full and
 * more is behind it.
 */
static int enter(struct bide__uring *uring, unsigned n_submit, int64_t wait_ns)
{
    unsigned fd = (unsigned)uring->ring.ring_fd;
    io_uring_smp_store_release(uring->ring.sq.ktail, uring->ring.sq.sqe_tail);
    if (wait_ns > 0 && uring->poll_fd >= 0)
        return enter_by_poll(uring, n_submit, wait_ns);
    if (wait_ns == 0 || wait_ns == BIDE_NO_DEADLINE)
        return io_uring_enter2(fd, n_submit, wait_ns != 0, IORING_ENTER_GETEVENTS, NULL, 0);
    struct __kernel_timespec span = {.tv_sec = wait_ns / BIDE__NS_PER_S,
                                     .tv_nsec = wait_ns % BIDE__NS_PER_S};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&span};
    return io_uring_enter2(fd, n_submit, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                           (sigset_t *)(void *)&arg, sizeof(arg));
}

/* NULL: the queue is full, and the kernel takes nothing now. */
static struct io_uring_sqe *get_sqe(struct bide__uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe)
        return sqe;
    (void)enter(uring, io_uring_sq_ready(&uring->ring), 0);
    return io_uring_get_sqe(&uring->ring);
}

/* Moves what waits in the lists to the submission queue; what finds no place there keeps its turn.
 */
static void prepare(struct bide__uring *uring)
{
    if (!bide__list_empty(&uring->full))
        bide__uring_recv_throttle(uring);
    struct io_uring_sqe *sqe;
    while (uring->cancels.first && (sqe = get_sqe(uring))) {
        struct bide_op *op = uring->cancels.first;
        bide__uring_list_remove(&uring->cancels, op);
        prepare_cancel(sqe, op);
    }
    while (uring->starts.first && (sqe = get_sqe(uring))) {
        struct bide_op *op = uring->starts.first;
        bide__uring_list_remove(&uring->starts, op);
        prepare_start(uring, sqe, op);
    }
}

int bide__uring_detach(struct bide__uring *uring, struct bide_op *op)
{
    if (op->state == BIDE_OP_PENDING)
        bide__uring_stop(uring, op);
    assert(op->state == BIDE_OP_CANCELLING);
    if (op->link) {
        struct io_uring_sqe *sqe = get_sqe(uring);
        if (!sqe)
            return -EBUSY;
        bide__uring_list_remove(&uring->cancels, op);
        prepare_cancel(sqe, op);
    }
    /* The kernel may run its deferred work in portions. */
    int rc = 0;
    for (int i = 0; i < DETACH_ENTERS_MAX; i++) {
        rc = enter(uring, io_uring_sq_ready(&uring->ring), 0);
        if (rc < 0 && rc != -EINTR)
            return rc;
        if (!(IO_URING_READ_ONCE(*uring->ring.sq.kflags) & IORING_SQ_TASKRUN))
            break;
    }
    return 0;
}

/* Whether there is something to deliver already, so that poll() must not sleep. */
static bool has_work(const struct bide__uring *uring)
{
    return uring->finished.first || uring->is_watch_ready || io_uring_cq_ready(&uring->ring) > 0 ||
           bide__pool_finished(uring->pool) || bide__signals_raised(&uring->signals);
}

/* How long poll() may sleep: 0 or less, not at all. */
static int64_t wait_span(struct bide__uring *uring, int64_t deadline_ns)
{
    if (deadline_ns <= 0 || has_work(uring))
        return 0;
    if (!bide__list_empty(&uring->resting) && uring->rest_end_ns < deadline_ns)
        deadline_ns = uring->rest_end_ns;
    int64_t span_ns = deadline_ns == BIDE_NO_DEADLINE ? deadline_ns
                                                      : deadline_ns - bide__kernel_now_ns(NULL);
    bool is_stuck = uring->starts.first || uring->cancels.first;
    return is_stuck && span_ns > RETRY_NS ? RETRY_NS : span_ns;
}

/* Whether the call did what it could for now. */
static bool is_passing(int rc)
{
    return rc == -ETIME || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY;
}

/* One system call. Nothing to submit, to collect or to wait for: none. */
static int submit_and_wait(struct bide__uring *uring, int64_t deadline_ns)
{
    int64_t wait_ns = wait_span(uring, deadline_ns);
    if (wait_ns <= 0 || !bide__wake_sleep(&uring->wake))
        wait_ns = 0;
    unsigned flags = IO_URING_READ_ONCE(*uring->ring.sq.kflags);
    if (wait_ns == 0 && io_uring_sq_ready(&uring->ring) == 0 &&
        !(flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
        return 0;
    int rc = enter(uring, io_uring_sq_ready(&uring->ring), wait_ns);
    if (wait_ns > 0 && (rc >= 0 || rc == -EAGAIN) && io_uring_sq_ready(&uring->ring) > 0)
        /* Out of memory for requests. It did not wait then, and asking again at once would spin. */
        rc = enter(uring, 0, wait_ns < RETRY_NS ? wait_ns : RETRY_NS);
    return rc < 0 && !is_passing(rc) ? rc : 0;
}

/*
 * A wait for readiness of a terminal ends with -EINVAL when somebody changes its mode (seen with
 * Linux 6.18): a wake-up without news. It is to begin anew. A descriptor that can't be waited for
 * at all answers the same, again and again.
 */
static int readiness(struct bide_op *op, int result)
{
    struct bide__uring_sock *sock = bide__uring_sock_of(op->sock);
    if (result != -EINVAL) {
        sock->n_refused = 0;
        return result;
    }
    return ++sock->n_refused < REFUSED_MAX ? -EINTR : result;
}

static void dispatch(struct bide__uring *uring, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == 0)
        return;
    struct bide_op *op = (struct bide_op *)(uintptr_t)(cqe->user_data & ADDRESS_MASK);
    assert(op->generation == cqe->user_data >> GENERATION_SHIFT);
    bool is_final = !(cqe->flags & IORING_CQE_F_MORE);
    if (is_final && op->link)
        bide__uring_list_remove(&uring->cancels, op);
    switch ((enum bide__uring_kind)op->kind) {
    case BIDE__URING_REQUEST_RECV:
        bide__uring_recv_done(bide__uring_sock_of(op->sock), cqe);
        break;
    case BIDE__URING_REQUEST_POLL:
        bide__uring_poll_done(bide__uring_sock_of(op->sock), readiness(op, cqe->res));
        break;
    case BIDE__URING_CONNECT:
        bide__uring_connect_done(op, cqe->res);
        break;
    case BIDE__URING_SEND:
        bide__uring_send_done(op, cqe->res);
        break;
    case BIDE__URING_WRITE:
        bide__uring_write_done(op, readiness(op, cqe->res));
        break;
    case BIDE__URING_SEND_WAIT:
        bide__uring_send_wait_done(op, readiness(op, cqe->res));
        break;
    case BIDE__URING_FILE:
        bide__uring_file_done(uring, op, cqe->res);
        break;
    case BIDE__URING_REQUEST_WAKE:
        if (is_final)
            bide__uring_start(uring, op);
        break;
    case BIDE__URING_REQUEST_WATCHES:
        op->state = BIDE_OP_IDLE;
        uring->is_watch_ready = true;
        break;
    case BIDE__URING_RECV_WAIT:
    case BIDE__URING_ACCEPT_WAIT:
        assert(false); /* waits are not submitted */
    }
}

/* What the callbacks add waits for the next poll(). */
static void deliver_finished(struct bide__uring *uring)
{
    struct bide_op **end = uring->finished.end;
    bool is_last = !uring->finished.first;
    for (int i = 0; i < BATCH_MAX && !is_last; i++) {
        struct bide_op *op = uring->finished.first;
        is_last = &op->next == end;
        bide__uring_list_remove(&uring->finished, op);
        bide__uring_complete(uring, op, op->result);
    }
}

/* The head moves before the callback, which may enter the kernel. */
static void deliver_completions(struct bide__uring *uring)
{
    struct io_uring *ring = &uring->ring;
    unsigned n = io_uring_cq_ready(ring);
    for (unsigned i = 0; i < n && i < BATCH_MAX; i++) {
        struct io_uring_cqe cqe = {0};
        const struct io_uring_cqe *at = &ring->cq.cqes[*ring->cq.khead & ring->cq.ring_mask];
        cqe.user_data = at->user_data;
        cqe.res = at->res;
        cqe.flags = at->flags;
        io_uring_cq_advance(ring, 1);
        dispatch(uring, &cqe);
    }
}

/* Level-triggered: the set is polled again, and says at once whether something is still ready. */
static int deliver_watches(struct bide__uring *uring)
{
    if (!uring->is_watch_ready)
        return 0;
    uring->is_watch_ready = false;
    int rc = bide__watch_set_dispatch(&uring->watches);
    if (uring->watch_request.state == BIDE_OP_IDLE)
        bide__uring_start(uring, &uring->watch_request);
    if (rc > 0)
        uring->n_called += rc;
    return rc;
}

static int deliver(struct bide__uring *uring)
{
    deliver_finished(uring);
    deliver_completions(uring);
    int rc = deliver_watches(uring);
    if (rc < 0)
        return rc;
    if (bide__pool_finished(uring->pool))
        uring->n_called += bide__pool_reap(uring->pool, BATCH_MAX);
    if (bide__signals_raised(&uring->signals))
        uring->n_called += bide__signals_dispatch(&uring->signals, BATCH_MAX);
    if (!bide__list_empty(&uring->resting) &&
        bide__kernel_now_ns(&uring->base) >= uring->rest_end_ns)
        bide__uring_rise(uring);
    return 0;
}

/* liburing 2.3 declares io_uring_enable_rings(), but does not export it. */
static int enable(struct bide__uring *uring)
{
    unsigned fd = (unsigned)uring->ring.ring_fd;
    int rc = io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (rc < 0)
        return rc;
    uring->is_enabled = true;
    bide__uring_start(uring, &uring->wake_request);
    return 0;
}

int bide__uring_submit(struct bide__uring *uring, int64_t *deadline_ns)
{
    int rc = uring->is_enabled ? 0 : enable(uring);
    if (rc < 0)
        return rc;
    prepare(uring);
    rc = enter(uring, io_uring_sq_ready(&uring->ring), 0);
    if (rc < 0 && !is_passing(rc))
        return rc;
    int64_t span_ns = wait_span(uring, *deadline_ns);
    if (io_uring_sq_ready(&uring->ring) > 0 && span_ns > RETRY_NS)
        span_ns = RETRY_NS;
    if (IO_URING_READ_ONCE(*uring->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
        span_ns = 0;
    if (span_ns != BIDE_NO_DEADLINE)
        *deadline_ns = span_ns > 0 ? bide__kernel_now_ns(NULL) + span_ns : 0;
    return 0;
}

static int uring_poll(struct bide_engine *engine, int64_t deadline_ns)
{
    struct bide__uring *uring = bide__uring_of(engine);
    if (!uring->is_enabled) {
        int rc = enable(uring);
        if (rc < 0)
            return rc;
    }
    uring->n_called = 0;
    for (;;) {
        prepare(uring);
        int rc = submit_and_wait(uring, deadline_ns);
        if (rc < 0)
            return rc;
        bool is_woken = bide__wake_consume(&uring->wake);
        rc = deliver(uring);
        if (rc < 0)
            return rc;
        if (uring->n_called > 0 || is_woken)
            return uring->n_called;
        if (deadline_ns != BIDE_NO_DEADLINE && bide__kernel_now_ns(engine) >= deadline_ns)
            return 0;
    }
}

static void uring_wake(struct bide_engine *engine)
{
    bide__wake_post(&bide__uring_of(engine)->wake);
}

/* A set that was replaced is polled until its cancel comes back; then the new one is. */
static int watches_attach(struct bide_engine *engine, int fd)
{
    struct bide__uring *uring = bide__uring_of(engine);
    struct bide_op *request = &uring->watch_request;
    uring->watch_fd = fd;
    uring->n_attached++;
    if (request->state == BIDE_OP_IDLE)
        bide__uring_start(uring, request);
    else if (!request->link)
        bide__uring_stop(uring, request);
    return 0;
}

static int uring_watch_open(struct bide_engine *engine, int fd, unsigned events,
                            bide_watch_ready *ready, void *data, struct bide_watch **ret_watch)
{
    return bide__watch_set_add(&bide__uring_of(engine)->watches, fd, events, ready, data,
                               ret_watch);
}

static int uring_signal_open(struct bide_engine *engine, int signo, bide_signal_arrived *arrived,
                             void *data, struct bide_signal **ret_signal)
{
    return bide__signals_add(&bide__uring_of(engine)->signals, signo, arrived, data, ret_signal);
}

static int uring_job_submit(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane)
{
    return bide__pool_submit(bide__uring_of(engine)->pool, job, lane);
}

static void uring_job_abandon(struct bide_engine *engine, struct bide_job *job)
{
    bide__pool_abandon(bide__uring_of(engine)->pool, job);
}

static int uring_lookup(struct bide_engine *engine, struct bide_lookup *lookup)
{
    return bide__lookup_submit(bide__uring_of(engine)->pool, lookup);
}

static void uring_lookup_free(struct bide_engine *engine, struct addrinfo *list)
{
    (void)engine;
    bide__lookup_list_free(list);
}

static void free_socks(struct bide__list *list)
{
    bide__list_each(node, list) free(bide__container(node, struct bide__uring_sock, node));
}

/*
 * Frees everything but the pool. Closing the ring makes the kernel drop what it still polls (the
 * wake, the watches, closed sockets whose final completion was not collected); none of these writes
 * to our memory.
 */
static void release(struct bide__uring *uring)
{
    bide__watch_set_fini(&uring->watches);
    atomic_fetch_add_explicit(&n_rings_closed, 1, memory_order_release);
    io_uring_queue_exit(&uring->ring);
    bide__uring_buffers_fini(&uring->buffers);
    bide__wake_close(&uring->wake);
    if (uring->poll_fd >= 0)
        close(uring->poll_fd);
    if (uring->nest_fd >= 0)
        close(uring->nest_fd);
    free_socks(&uring->socks);
    free_socks(&uring->cached);
    free(uring);
}

/* Calls that outlast the limit keep their memory for ever: the kernel may still fill it. */
static void await_files(struct bide__uring *uring, int64_t join_ns)
{
    int64_t now_ns = bide__kernel_now_ns(&uring->base);
    int64_t until_ns = join_ns < INT64_MAX - now_ns ? now_ns + join_ns : INT64_MAX - 1;
    while (uring->n_files > 0 && bide__kernel_now_ns(&uring->base) < until_ns) {
        prepare(uring);
        if (submit_and_wait(uring, until_ns) < 0)
            return;
        bide__wake_consume(&uring->wake);
        deliver_completions(uring);
    }
}

static void uring_close(struct bide_engine *engine, int64_t join_ns)
{
    struct bide__uring *uring = bide__uring_of(engine);
    assert(!uring->signals.first);
    bide__list_each(node, &uring->socks)
        assert(bide__container(node, struct bide__uring_sock, node)->is_closed);
    await_files(uring, join_ns);
    bide__pool_close(uring->pool, join_ns);
    release(uring);
}

/* Unmaps and closes only: the ring's memory is shared with the parent, which goes on using it. */
static void uring_forget(struct bide_engine *engine)
{
    struct bide__uring *uring = bide__uring_of(engine);
    bide__signals_forget(&uring->signals);
    bide__pool_forget(uring->pool);
    bide__list_each(node, &uring->socks)
    {
        struct bide__uring_sock *sock = bide__container(node, struct bide__uring_sock, node);
        if (sock->base.fd >= 0)
            close(sock->base.fd);
    }
    release(uring);
}

static const struct bide_engine_ops uring_ops = {
    .name = "uring",
    .close = uring_close,
    .forget = uring_forget,
    .now_ns = bide__kernel_now_ns,
    .wall_ns = bide__kernel_wall_ns,
    .entropy = bide__kernel_entropy,
    .poll = uring_poll,
    .wake = uring_wake,
    .wait_fd = bide__uring_wait_fd,
    .sock_open = bide__uring_sock_open,
    .sock_adopt = bide__uring_sock_adopt,
    .pipe = bide__pipe_open,
    .sock_share = bide__sock_share,
    .sock_close = bide__uring_sock_close,
    .sock_bind = bide__socket_bind,
    .local_bind = bide__local_bind,
    .local_unbind = bide__local_unbind,
    .sock_listen = bide__socket_listen,
    .sock_shutdown = bide__uring_sock_shutdown,
    .sock_setopt = bide__socket_setopt,
    .sock_getopt = bide__socket_getopt,
    .sock_name = bide__socket_name,
    .try_recv = bide__uring_try_recv,
    .try_send = bide__uring_try_send,
    .try_recv_message = bide__uring_try_recv_message,
    .try_send_message = bide__uring_try_send_message,
    .try_send_file = bide__uring_try_send_file,
    .try_accept = bide__uring_try_accept,
    .connect = bide__uring_connect,
    .recv_wait = bide__uring_recv_wait,
    .send_wait = bide__uring_send_wait,
    .accept_wait = bide__uring_accept_wait,
    .send = bide__uring_send,
    .cancel = bide__uring_cancel,
    .watch_open = uring_watch_open,
    .watch_set = bide__watch_change,
    .watch_close = bide__watch_remove,
    .signal_open = uring_signal_open,
    .signal_close = bide__signals_remove,
    .process_start = bide__process_start,
    .process_signal = bide__process_signal,
    .process_look = bide__process_look,
    .process_close = bide__process_close,
    .process_forget = bide__process_forget,
    .job_submit = uring_job_submit,
    .job_abandon = uring_job_abandon,
    .lookup = uring_lookup,
    .lookup_free = uring_lookup_free,
    .file_try = bide__file_try,
    .file_start = bide__uring_file_start,
    .file_abandon = bide__uring_file_abandon,
    .file_recall = bide__uring_file_recall,
    .file_let_go = bide__file_let_go,
};

/*
 * Disabled at first, because only the first poll() tells which thread the ring belongs to. A kernel
 * that refuses one of these flags is older than 6.1; one that forbids io_uring says -EPERM, -EACCES
 * or -ENOSYS.
 */
static int ring_open(struct io_uring *ring, unsigned n_entries)
{
    if (n_entries == 0)
        n_entries = ENTRIES_DEFAULT;
    else if (n_entries > ENTRIES_MAX)
        n_entries = ENTRIES_MAX;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                 IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
        .cq_entries = n_entries * COMPLETIONS_PER_ENTRY,
    };
    int rc = io_uring_queue_init_params(n_entries, ring, &params);
    atomic_load_explicit(&n_rings_closed, memory_order_acquire);
    if (rc == -EINVAL || rc == -EPERM || rc == -EACCES)
        return -ENOSYS;
    if (rc < 0)
        return rc;
    const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL |
                            IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
    if ((params.features & needed) == needed)
        return 0;
    io_uring_queue_exit(ring);
    return -ENOSYS;
}

static void init(struct bide__uring *uring)
{
    uring->base.ops = &uring_ops;
    uring->poll_fd = -1;
    uring->nest_fd = -1;
    uring->wake_request.kind = BIDE__URING_REQUEST_WAKE;
    uring->watch_request.kind = BIDE__URING_REQUEST_WATCHES;
    uring->watch_fd = -1;
    bide__uring_list_init(&uring->starts);
    bide__uring_list_init(&uring->cancels);
    bide__uring_list_init(&uring->finished);
    bide__list_init(&uring->socks);
    bide__list_init(&uring->cached);
    bide__list_init(&uring->full);
    bide__list_init(&uring->resting);
    bide__signals_init(&uring->signals, &uring->base);
    bide__watch_set_init(&uring->watches, &uring->base, watches_attach);
}

int bide__uring_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    struct bide__uring *uring = calloc(1, sizeof(*uring));
    if (!uring)
        return -ENOMEM;
    init(uring);
    int rc = ring_open(&uring->ring, opts ? opts->queue_entries : 0);
    if (rc < 0)
        goto fail_ring;
    rc = bide__uring_buffers_init(&uring->buffers, &uring->ring,
                                  uring->ring.sq.ring_entries * BUFFERS_PER_ENTRY);
    if (rc < 0)
        goto fail_buffers;
    if (BIDE__TSAN || bide__on_valgrind())
        rc = bide__uring_open_for_poll(uring);
    if (rc == 0)
        rc = bide__wake_open(&uring->wake);
    if (rc < 0)
        goto fail_wake;
    rc = bide__pool_open(&uring->base, opts ? opts->user_threads_max : 0, &uring->pool);
    if (rc < 0)
        goto fail_pool;
    bide__uring_files_init(uring);
    *ret_engine = &uring->base;
    return 0;

fail_pool:
    bide__wake_close(&uring->wake);
fail_wake:
    if (uring->poll_fd >= 0)
        close(uring->poll_fd);
    bide__uring_buffers_fini(&uring->buffers);
fail_buffers:
    io_uring_queue_exit(&uring->ring);
fail_ring:
    free(uring);
    return rc;
}
