/* Descriptors behind threads; threaded.h states the invariants. */
#include "engine/threaded.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "engine/socket.h"

enum { BUFFER_BYTES = 64 * 1024 };

struct threaded {
    struct bide_sock base;
    struct bide_engine face;    /* what base.engine is */
    struct bide_engine *engine; /* the loop's */
    struct bide_watch *watch;   /* NULL: always ready */
    struct bide_op *op;         /* the owner's, pending and not cancelled */
    struct bide_op *cancelled;  /* ends with the next poll */
    struct bide_job end;        /* for that */
    struct bide_job job;
    bool is_output;
    bool is_busy;     /* the job is the pool's */
    bool is_waiting;  /* for readiness, to begin the job */
    bool is_orphaned; /* output: what is buffered was written for an operation that is over */
    bool has_ended;   /* input: behind what is buffered comes `error`, or 0 for the end of file */
    int error;        /* output: of a write that nobody waited for */
    ssize_t result;   /* the job's */
    size_t at, n;     /* what is buffered: begin and end */
    char bytes[];
};

static struct threaded *of(struct bide_sock *sock)
{
    return bide__container(sock, struct threaded, base);
}

static void op_end(struct threaded *threaded, int result)
{
    struct bide_op *op = threaded->op;
    threaded->op = NULL;
    if (!op)
        return;
    op->state = BIDE_OP_IDLE;
    op->result = result;
    op->done(op);
}

static int op_begin(struct threaded *threaded, struct bide_op *op)
{
    assert(op->state == BIDE_OP_IDLE && op->done && !threaded->op);
    op->sock = &threaded->base;
    op->state = BIDE_OP_PENDING;
    op->link = NULL;
    threaded->op = op;
    return BIDE_PENDING;
}

/* The job */

static void run(struct bide_job *job)
{
    struct threaded *threaded = bide__container(job, struct threaded, job);
    do
        threaded->result = threaded->is_output
                               ? write(threaded->base.fd, threaded->bytes + threaded->at,
                                       threaded->n - threaded->at)
                               : read(threaded->base.fd, threaded->bytes, BUFFER_BYTES);
    while (threaded->result < 0 && errno == EINTR);
    if (threaded->result < 0)
        threaded->result = -errno;
}

static void drop(struct bide_job *job)
{
    struct threaded *threaded = bide__container(job, struct threaded, job);
    close(threaded->base.fd);
    free(threaded);
}

static int submit(struct threaded *threaded)
{
    int rc = threaded->engine->ops->job_submit(threaded->engine, &threaded->job, BIDE_LANE_FILE);
    threaded->is_busy = rc == 0;
    return rc;
}

/* Begins the job, or waits for readiness first. */
static int begin(struct threaded *threaded)
{
    if (threaded->is_busy || threaded->is_waiting)
        return 0;
    if (!threaded->watch)
        return submit(threaded);
    int rc = threaded->watch->engine->ops->watch_set(
        threaded->watch, threaded->is_output ? BIDE_WATCH_WRITE : BIDE_WATCH_READ);
    threaded->is_waiting = rc == 0;
    return rc;
}

static void ready(void *data, unsigned events)
{
    struct threaded *threaded = data;
    (void)events;
    if (!threaded->is_waiting)
        return;
    threaded->is_waiting = false;
    threaded->watch->engine->ops->watch_set(threaded->watch, 0);
    int rc = submit(threaded);
    if (rc < 0)
        op_end(threaded, rc);
}

/* Copies what is next to be written. */
static void fill(struct threaded *threaded)
{
    struct bide_op *op = threaded->op;
    threaded->at = 0;
    threaded->n = 0;
    threaded->is_orphaned = false;
    while (op->n_iov > 0 && threaded->n < BUFFER_BYTES) {
        size_t room = BUFFER_BYTES - threaded->n;
        size_t size = op->iov->iov_len < room ? op->iov->iov_len : room;
        memcpy(threaded->bytes + threaded->n, op->iov->iov_base, size);
        threaded->n += size;
        bide__iov_advance(&op->iov, &op->n_iov, size);
    }
}

static void output_done(struct threaded *threaded)
{
    struct bide_op *op = threaded->op;
    int rc = threaded->result < 0 ? (int)threaded->result : 0;
    if (rc < 0) {
        threaded->at = threaded->n;
        if (!op)
            threaded->error = rc;
    } else {
        threaded->at += (size_t)threaded->result;
        if (op && !threaded->is_orphaned)
            op->n_done += (size_t)threaded->result;
        if (threaded->at == threaded->n && op)
            fill(threaded);
        if (threaded->at < threaded->n)
            rc = begin(threaded);
    }
    if (rc < 0 || threaded->at == threaded->n)
        op_end(threaded, rc);
}

static void done(struct bide_job *job)
{
    struct threaded *threaded = bide__container(job, struct threaded, job);
    threaded->is_busy = false;
    if (threaded->is_output) {
        output_done(threaded);
        return;
    }
    threaded->at = 0;
    threaded->n = threaded->result > 0 ? (size_t)threaded->result : 0;
    threaded->has_ended = threaded->result <= 0;
    threaded->error = threaded->result < 0 ? (int)threaded->result : 0;
    op_end(threaded, 0);
}

/* The functions of its face */

static ssize_t try_recv(struct bide_sock *base, void *buffer, size_t size)
{
    struct threaded *threaded = of(base);
    size_t n = threaded->n - threaded->at;
    if (threaded->is_output)
        return -EBADF;
    if (n > 0) {
        n = n < size ? n : size;
        memcpy(buffer, threaded->bytes + threaded->at, n);
        threaded->at += n;
        return (ssize_t)n;
    }
    if (!threaded->has_ended)
        return -EAGAIN;
    threaded->has_ended = threaded->error == 0;
    return threaded->error;
}

static int recv_wait(struct bide_sock *base, struct bide_op *op)
{
    struct threaded *threaded = of(base);
    if (threaded->at < threaded->n || threaded->has_ended || threaded->is_output)
        return 0;
    int rc = begin(threaded);
    return rc < 0 ? rc : op_begin(threaded, op);
}

/* Whatever is to be written is handed to a thread. */
static ssize_t try_send(struct bide_sock *base, const struct iovec *iov, int n_iov)
{
    (void)iov;
    (void)n_iov;
    return of(base)->is_output ? -EAGAIN : -EBADF;
}

/* There is no socket behind threads. */
static ssize_t try_recv_message(struct bide_sock *base, struct msghdr *message)
{
    (void)base;
    (void)message;
    return -ENOTSOCK;
}

static ssize_t try_send_message(struct bide_sock *base, const struct msghdr *message)
{
    (void)base;
    (void)message;
    return -ENOTSOCK;
}

static ssize_t try_send_file(struct bide_sock *base, int file, int64_t offset, size_t size)
{
    (void)base;
    (void)file;
    (void)offset;
    (void)size;
    return -EOPNOTSUPP;
}

static int send_wait(struct bide_sock *base, struct bide_op *op)
{
    (void)base;
    (void)op;
    return -ENOTSOCK;
}

static int send_all(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov)
{
    struct threaded *threaded = of(base);
    int rc = threaded->is_output ? threaded->error : -EBADF;
    bide__iov_advance(&iov, &n_iov, 0);
    op->iov = iov;
    op->n_iov = n_iov;
    op->n_done = 0;
    threaded->error = 0;
    if (rc < 0 || n_iov == 0)
        return rc;
    threaded->op = op;
    if (!threaded->is_busy && !threaded->is_waiting) /* else that comes first */
        fill(threaded);
    rc = begin(threaded);
    threaded->op = NULL;
    return rc < 0 ? rc : op_begin(threaded, op);
}

static void cancelled(struct bide_job *job)
{
    struct threaded *threaded = bide__container(job, struct threaded, end);
    struct bide_op *op = threaded->cancelled;
    threaded->cancelled = NULL;
    op->state = BIDE_OP_IDLE;
    op->result = -ECANCELED;
    op->done(op);
}

static void cancel(struct bide_op *op)
{
    struct threaded *threaded = of(op->sock);
    if (op->state != BIDE_OP_PENDING)
        return;
    assert(threaded->op == op && !threaded->cancelled);
    if (threaded->is_waiting) {
        threaded->is_waiting = false;
        threaded->at = threaded->n;
        threaded->watch->engine->ops->watch_set(threaded->watch, 0);
    } else if (threaded->is_output && !threaded->is_orphaned) {
        threaded->is_orphaned = true;
        op->n_done += threaded->n - threaded->at;
    }
    op->state = BIDE_OP_CANCELLING;
    threaded->op = NULL;
    threaded->cancelled = op;
    threaded->engine->ops->job_submit(threaded->engine, &threaded->end, BIDE_LANE_NONE);
}

/* There is no other side that would be told. */
static int sock_shutdown(struct bide_sock *base, int how)
{
    return how == SHUT_WR && of(base)->is_output ? 0 : -ENOTSOCK;
}

static void sock_close(struct bide_sock *base)
{
    struct threaded *threaded = of(base);
    assert(!threaded->op && !threaded->cancelled);
    if (threaded->watch)
        threaded->watch->engine->ops->watch_close(threaded->watch);
    if (threaded->is_busy)
        threaded->engine->ops->job_abandon(threaded->engine, &threaded->job);
    else
        drop(&threaded->job);
}

static const struct bide_engine_ops threaded_ops = {
    .name = "threads",
    .sock_close = sock_close,
    .sock_shutdown = sock_shutdown,
    .sock_setopt = bide__socket_setopt,
    .sock_getopt = bide__socket_getopt,
    .sock_name = bide__socket_name,
    .try_recv = try_recv,
    .try_send = try_send,
    .try_recv_message = try_recv_message,
    .try_send_message = try_send_message,
    .try_send_file = try_send_file,
    .recv_wait = recv_wait,
    .send_wait = send_wait,
    .send = send_all,
    .cancel = cancel,
};

static void nothing(struct bide_job *job)
{
    (void)job;
}

int bide__threaded_open(struct bide_engine *engine, int fd, enum bide_direction direction,
                        struct bide_sock **ret_sock)
{
    struct threaded *threaded = malloc(sizeof *threaded + BUFFER_BYTES);
    if (!threaded)
        return -ENOMEM;
    *threaded = (struct threaded){
        .base = {.engine = &threaded->face, .fd = fd},
        .face.ops = &threaded_ops,
        .engine = engine,
        .job = {.run = run, .done = done, .drop = drop},
        .end = {.run = nothing, .done = cancelled, .drop = nothing},
        .is_output = direction == BIDE_OUTPUT,
    };
    int rc = engine->ops->watch_open(engine, fd, 0, ready, threaded, &threaded->watch);
    if (rc < 0 && rc != -EPERM) {
        free(threaded);
        return rc;
    }
    *ret_sock = &threaded->base;
    return 0;
}
