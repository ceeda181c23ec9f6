/*
 * The filter as a socket: its operations, and the handshake. The invariants stand in filter.h; what
 * moves bytes is in filter_io.c.
 */
#include "tls/filter_io.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct bide_engine_ops filter_ops;

static struct bide__tls_filter *of(struct bide_sock *sock)
{
    return bide__container(sock, struct bide__tls_filter, base);
}

struct bide__tls_filter *bide__tls_filter_of(struct bide_sock *sock)
{
    return sock && sock->engine->ops == &filter_ops ? of(sock) : NULL;
}

static void op_begin(struct bide__tls_filter *filter, struct bide_op *op, struct bide_op **place)
{
    assert(op->state == BIDE_OP_IDLE && op->done && !*place);
    op->sock = &filter->base;
    op->state = BIDE_OP_PENDING;
    op->link = NULL;
    *place = op;
}

static void op_end(struct bide_op **place, int result)
{
    struct bide_op *op = *place;
    *place = NULL;
    op->state = BIDE_OP_IDLE;
    op->result = result;
    op->done(op);
}

static bool is_cancelling(const struct bide_op *op)
{
    return op && op->state == BIDE_OP_CANCELLING;
}

static void filter_free(struct bide__tls_filter *filter)
{
    bide__list_remove(&filter->resource.node);
    filter->lower->engine->ops->sock_close(filter->lower);
    bide__tls_filter_fini(filter);
}

/* Frees it when it is closed and nothing is under way any more. */
static void settle(struct bide__tls_filter *filter)
{
    if (filter->closed && filter->inside == 0 && filter->lower_recv.state == BIDE_OP_IDLE &&
        filter->lower_send.state == BIDE_OP_IDLE)
        filter_free(filter);
}

/* Has kicked() called from the next poll(). */
static int kick(struct bide__tls_filter *filter)
{
    if (filter->kicked)
        return 0;
    int rc = filter->engine->ops->job_submit(filter->engine, &filter->kick, BIDE_LANE_NONE);
    filter->kicked = rc == 0;
    return rc;
}

/* The handshake */

static void connect_end(struct bide__tls_filter *filter, int result)
{
    if (filter->context)
        bide__tls_count(filter->context, result < 0);
    bide__list_remove(&filter->wait.node);
    op_end(&filter->connect, result);
}

/* Its failure is told once the alert for the peer is out, if that is under way. */
static void connect_fail(struct bide__tls_filter *filter, int error)
{
    if (filter->error == 0)
        filter->error = error;
    if (filter->lower_send.state == BIDE_OP_IDLE)
        connect_end(filter, filter->error);
}

/* Whether it is worth waiting for input: the peer may have said why before it went. */
static bool may_hear(const struct bide__tls_filter *filter)
{
    return filter->send_error == 0 || filter->send_error == -EPIPE ||
           filter->send_error == -ECONNRESET;
}

static int use_context(struct bide__tls_filter *filter, bide_tls_context *context)
{
    filter->context = bide_tls_ref(context);
    return bide__tls_filter_prepare(filter);
}

/* For the one that is shared: 0, BIDE_PENDING or an error. */
static int want_context(struct bide__tls_filter *filter)
{
    if (!bide__list_empty(&filter->wait.node))
        return BIDE_PENDING;
    int rc = bide__tls_shared_want(filter->loop, BIDE__TLS_SHARED_PLAIN, &filter->wait);
    return rc == 0 ? use_context(filter, bide__tls_shared_get(BIDE__TLS_SHARED_PLAIN)) : rc;
}

static void handshake(struct bide__tls_filter *filter)
{
    if (!filter->context && filter->error == 0) {
        int rc = want_context(filter);
        if (rc == BIDE_PENDING)
            return;
        filter->error = rc;
    }
    while (filter->connect) {
        if (filter->error < 0) {
            connect_fail(filter, filter->error);
            return;
        }
        enum bide__tls_step step = bide__tls_handshake(filter);
        if (step == BIDE__TLS_DONE) {
            filter->connected = true;
            connect_end(filter, 0);
            return;
        }
        if (step == BIDE__TLS_FAILED)
            continue;
        if (step == BIDE__TLS_WANTS_SEND && filter->lower_send.state != BIDE_OP_IDLE)
            return;
        if (step == BIDE__TLS_WANTS_SEND)
            continue;
        int rc = may_hear(filter) ? bide__tls_wait_lower(filter) : filter->send_error;
        if (rc == BIDE_PENDING)
            return;
        if (rc < 0)
            connect_fail(filter, rc);
    }
}

static int connect_sock(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                        socklen_t length)
{
    struct bide__tls_filter *filter = of(base);
    (void)address;
    (void)length;
    if (filter->begun)
        return filter->error < 0 ? filter->error : -EISCONN;
    int rc = kick(filter);
    if (rc < 0)
        return rc;
    filter->begun = true;
    op_begin(filter, op, &filter->connect);
    return BIDE_PENDING;
}

/* Receiving */

static ssize_t try_recv(struct bide_sock *base, void *buffer, size_t size)
{
    return bide__tls_recv(of(base), buffer, size);
}

/* Waits for whatever receiving lacks. */
static int recv_go_on(struct bide__tls_filter *filter)
{
    for (;;) {
        if (bide__tls_readable(filter))
            return 0;
        if (filter->recv_wants_send && filter->lower_send.state != BIDE_OP_IDLE)
            return BIDE_PENDING;
        int rc = bide__tls_wait_lower(filter);
        if (rc < 0)
            return rc;
    }
}

static int recv_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__tls_filter *filter = of(base);
    int rc = recv_go_on(filter);
    if (rc == BIDE_PENDING)
        op_begin(filter, op, &filter->recv);
    return rc;
}

/* Sending */

/* The end is out. A lower socket that parts in words of its own says them behind it: 0,
 * BIDE_PENDING, or an error. */
static int part_lower(struct bide__tls_filter *filter)
{
    const struct bide_engine_ops *ops = filter->lower->engine->ops;
    if (!filter->parts || filter->is_parted || !filter->lower->parting)
        return 0;
    filter->is_parted = true;
    int rc = ops->sock_shutdown(filter->lower, SHUT_WR);
    return rc < 0 ? rc : ops->send(filter->lower, &filter->lower_send, NULL, 0);
}

/* Empties what the owner wants to send, as far as that goes without waiting. */
static int send_go_on(struct bide__tls_filter *filter, struct bide_op *op)
{
    for (;;) {
        int rc = bide__tls_send_error(filter);
        if (rc < 0)
            return op->n_iov > 0 || filter->has_lost ? rc : 0;
        if (bide__tls_held(filter) > 0 || filter->lower_send.state != BIDE_OP_IDLE)
            return BIDE_PENDING;
        if (op->n_iov == 0)
            return part_lower(filter) == BIDE_PENDING ? BIDE_PENDING : 0; /* else nobody hears */
        ssize_t n = bide__tls_send(filter, op->iov, op->n_iov);
        if (n == -EAGAIN && filter->send_wants_recv)
            n = bide__tls_wait_lower(filter);
        if (n < 0)
            return (int)n;
        op->n_done += (size_t)n;
        bide__tls_advance(&op->iov, &op->n_iov, (size_t)n);
    }
}

static ssize_t try_send(struct bide_sock *base, const struct iovec *iov, int n_iov)
{
    struct bide__tls_filter *filter = of(base);
    if (bide__tls_send_error(filter) < 0)
        return bide__tls_send_error(filter);
    return bide__tls_held(filter) > 0 ? -EAGAIN : bide__tls_send(filter, iov, n_iov);
}

static int send_all(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov)
{
    struct bide__tls_filter *filter = of(base);
    bide__tls_advance(&iov, &n_iov, 0);
    op->iov = iov;
    op->n_iov = n_iov;
    op->n_done = 0;
    int rc = send_go_on(filter, op);
    if (rc == BIDE_PENDING)
        op_begin(filter, op, &filter->send);
    return rc;
}

/* Ends when try_send() takes something: when nothing is held. */
static int send_wait(struct bide_sock *base, struct bide_op *op)
{
    return send_all(base, op, NULL, 0);
}

/* Messages and files go past what encrypts. */
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

/* What both directions wait for may have come. */
static void go_on(struct bide__tls_filter *filter)
{
    if (filter->connect) {
        handshake(filter);
        return;
    }
    if (filter->send) {
        int rc = send_go_on(filter, filter->send);
        if (rc != BIDE_PENDING)
            op_end(&filter->send, rc);
    }
    if (filter->recv) {
        int rc = recv_go_on(filter);
        if (rc != BIDE_PENDING)
            op_end(&filter->recv, rc);
    }
}

/* A handshake that is broken off leaves nothing that could be used. */
static void connect_cancelled(struct bide__tls_filter *filter)
{
    if (filter->error == 0)
        filter->error = -BIDE_ETORN;
    connect_end(filter, -ECANCELED);
}

/* Whatever its owner asked to end and has not ended by itself meanwhile. What is encrypted goes out
 * all the same: if that was all, it was sent. */
static void end_cancelled(struct bide__tls_filter *filter)
{
    if (is_cancelling(filter->connect))
        connect_cancelled(filter);
    if (is_cancelling(filter->recv))
        op_end(&filter->recv, bide__tls_readable(filter) ? 0 : -ECANCELED);
    if (is_cancelling(filter->send)) {
        bool was_sent = filter->send->n_iov == 0 && filter->send->n_done > 0;
        op_end(&filter->send, was_sent ? 0 : -ECANCELED);
    }
}

/* The end of something of the filter's own. */
static void happened(struct bide__tls_filter *filter)
{
    filter->inside++;
    end_cancelled(filter);
    if (!filter->closed)
        go_on(filter);
    filter->inside--;
    settle(filter);
}

static void context_ready(struct bide__tls_wait *wait, int error, const char *words)
{
    struct bide__tls_filter *filter = bide__container(wait, struct bide__tls_filter, wait);
    filter->words = *words ? strdup(words) : NULL;
    if (error == 0)
        error = use_context(filter, bide__tls_shared_get(BIDE__TLS_SHARED_PLAIN));
    filter->error = error;
    happened(filter);
}

static void kicked(struct bide_job *job)
{
    struct bide__tls_filter *filter = bide__container(job, struct bide__tls_filter, kick);
    filter->kicked = false;
    happened(filter);
}

static void lower_recv_done(struct bide_op *op)
{
    struct bide__tls_filter *filter = bide__container(op, struct bide__tls_filter, lower_recv);
    filter->dry = filter->dry && op->result == -ECANCELED;
    if (op->result < 0 && op->result != -ECANCELED) /* something may have come before that */
        filter->wait_error = op->result;
    happened(filter);
}

static void lower_send_done(struct bide_op *op)
{
    struct bide__tls_filter *filter = bide__container(op, struct bide__tls_filter, lower_send);
    bide__tls_sent(filter, op->result);
    happened(filter);
}

static void nothing(struct bide_job *job)
{
    (void)job;
}

static void cancel(struct bide_op *op)
{
    struct bide__tls_filter *filter = of(op->sock);
    if (op->state != BIDE_OP_PENDING)
        return;
    op->state = BIDE_OP_CANCELLING;
    if (op != filter->send && filter->lower_recv.state == BIDE_OP_PENDING)
        filter->lower->engine->ops->cancel(&filter->lower_recv);
    else if (filter->lower_recv.state != BIDE_OP_CANCELLING)
        kick(filter);
}

/* The rest */

/* The other side is told the end of the session. TCP's own end comes with closing. */
static int sock_shutdown(struct bide_sock *base, int how)
{
    struct bide__tls_filter *filter = of(base);
    if (how != SHUT_WR)
        return filter->lower->engine->ops->sock_shutdown(filter->lower, how);
    int rc = bide__tls_shutdown(filter);
    filter->parts = rc == 0;
    return rc;
}

/* The owner's operations are over; our own end soon. */
static void sock_close(struct bide_sock *base)
{
    struct bide__tls_filter *filter = of(base);
    assert(!filter->connect && !filter->recv && !filter->send && !filter->closed);
    filter->closed = true;
    if (filter->kicked)
        filter->engine->ops->job_abandon(filter->engine, &filter->kick);
    if (filter->loop)
        bide__list_append(&filter->loop->resources, &filter->resource.node);
    if (filter->lower_recv.state == BIDE_OP_PENDING)
        filter->lower->engine->ops->cancel(&filter->lower_recv);
    if (filter->lower_send.state == BIDE_OP_PENDING)
        filter->lower->engine->ops->cancel(&filter->lower_send);
    settle(filter);
}

static int sock_setopt(struct bide_sock *base, int level, int name, const void *value,
                       socklen_t length)
{
    struct bide_sock *lower = of(base)->lower;
    return lower->engine->ops->sock_setopt(lower, level, name, value, length);
}

static int sock_getopt(struct bide_sock *base, int level, int name, void *value, socklen_t *length)
{
    struct bide_sock *lower = of(base)->lower;
    return lower->engine->ops->sock_getopt(lower, level, name, value, length);
}

static int sock_name(struct bide_sock *base, bool peer, struct sockaddr *ret_address,
                     socklen_t *length)
{
    struct bide_sock *lower = of(base)->lower;
    return lower->engine->ops->sock_name(lower, peer, ret_address, length);
}

static const struct bide_engine_ops filter_ops = {
    .name = "tls",
    .sock_close = sock_close,
    .sock_shutdown = sock_shutdown,
    .sock_setopt = sock_setopt,
    .sock_getopt = sock_getopt,
    .sock_name = sock_name,
    .try_recv = try_recv,
    .try_send = try_send,
    .try_recv_message = try_recv_message,
    .try_send_message = try_send_message,
    .try_send_file = try_send_file,
    .connect = connect_sock,
    .recv_wait = recv_wait,
    .send_wait = send_wait,
    .send = send_all,
    .cancel = cancel,
};

/* It is closed already and ends by itself. */
static void drop(struct bide__resource *resource)
{
    (void)resource;
}

static void forget(struct bide__resource *resource)
{
    struct bide__tls_filter *filter = bide__container(resource, struct bide__tls_filter, resource);
    bide__list_remove(&resource->node);
    bide__tls_filter_fini(filter);
}

/* A name as DNS has it ends with a dot, one in a certificate does not. */
static char *without_dot(const char *name)
{
    size_t length = strlen(name);
    if (length > 1 && name[length - 1] == '.')
        length--;
    return strndup(name, length);
}

/* As far as that goes now. */
static int prepare(struct bide__tls_filter *filter, bide_tls_context *context,
                   const char *server_name)
{
    if (server_name) {
        filter->server_name = without_dot(server_name);
        if (!filter->server_name)
            return -ENOMEM;
    }
    if (!context)
        context = bide__tls_shared_get(BIDE__TLS_SHARED_PLAIN);
    return context ? use_context(filter, context) : 0;
}

int bide__tls_filter_new(bide_loop *loop, struct bide_engine *engine, struct bide_sock *lower,
                         bide_tls_context *context, const char *server_name, unsigned port,
                         struct bide__tls_filter **ret_filter)
{
    struct bide__tls_filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return -ENOMEM;
    *filter = (struct bide__tls_filter){
        .base = {.engine = &filter->face, .fd = lower->fd, .parting = true},
        .face.ops = &filter_ops,
        .engine = engine,
        .loop = loop,
        .resource = {.drop = drop, .forget = forget},
        .lower = lower,
        .wait.ready = context_ready,
        .port = port,
        .lower_recv.done = lower_recv_done,
        .lower_send.done = lower_send_done,
        .kick = {.run = nothing, .done = kicked, .drop = nothing},
    };
    bide__list_init(&filter->resource.node);
    bide__list_init(&filter->wait.node);
    int rc = prepare(filter, context, server_name);
    if (rc < 0) {
        bide__tls_filter_fini(filter);
        return rc;
    }
    *ret_filter = filter;
    return 0;
}
