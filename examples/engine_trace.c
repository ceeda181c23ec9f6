/* An engine of one's own that stands on another one: it writes down what a program does with its
 * sockets, and lets it read three bytes at a time only, so that the program shows whether it minds.
 */
#include <bide.h>
#include <bide/engine_kind.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_MAX = 3, SOCKS_MAX = 16 };

struct traced {
    struct bide_sock base;
    struct bide_sock *inner;
    int number;
};

struct trace {
    struct bide_engine base;
    struct bide_engine *inner;
    int n_socks;
    char notes[SOCKS_MAX][128]; /* of each socket, told at the end: which of two comes first when
                                   both are ready is another matter on each engine */
};

static struct trace *of(struct bide_engine *engine)
{
    return (struct trace *)engine;
}

static struct traced *traced_of(struct bide_sock *sock)
{
    return (struct traced *)sock;
}

/* The engine below, and its socket. */
#define BELOW(engine) (of(engine)->inner)
#define SOCK(sock) (traced_of(sock)->inner)
#define OPS(sock) (SOCK(sock)->engine->ops)

__attribute__((format(printf, 2, 3))) static void note(struct bide_sock *sock, const char *format,
                                                       ...)
{
    char *notes = of(sock->engine)->notes[traced_of(sock)->number];
    size_t length = strlen(notes);
    va_list values;
    va_start(values, format);
    vsnprintf(notes + length, sizeof of(sock->engine)->notes[0] - length, format, values);
    va_end(values);
}

/* Takes the socket below, or closes it. */
static int wrap(struct bide_engine *engine, struct bide_sock *inner, struct bide_sock **ret_sock)
{
    struct trace *trace = of(engine);
    struct traced *traced = trace->n_socks < SOCKS_MAX ? calloc(1, sizeof *traced) : NULL;
    if (!traced) {
        inner->engine->ops->sock_close(inner);
        return -ENOMEM;
    }
    traced->base.engine = engine;
    traced->base.fd = inner->fd;
    traced->inner = inner;
    traced->number = trace->n_socks++;
    *ret_sock = &traced->base;
    return 0;
}

static int trace_open_sock(struct bide_engine *engine, int family, int type, int protocol,
                           struct bide_sock **ret_sock)
{
    struct bide_engine *below = BELOW(engine);
    struct bide_sock *inner;
    int rc = below->ops->sock_open(below, family, type, protocol, &inner);
    return rc < 0 ? rc : wrap(engine, inner, ret_sock);
}

static void trace_close_sock(struct bide_sock *sock)
{
    note(sock, ", closed");
    OPS(sock)->sock_close(SOCK(sock));
    free(traced_of(sock));
}

static int trace_bind(struct bide_sock *sock, const struct sockaddr *address, socklen_t length)
{
    return OPS(sock)->sock_bind(SOCK(sock), address, length);
}

static int trace_listen(struct bide_sock *sock, int backlog)
{
    note(sock, "listens");
    return OPS(sock)->sock_listen(SOCK(sock), backlog);
}

static int trace_shutdown(struct bide_sock *sock, int how)
{
    note(sock, ", ends its output");
    return OPS(sock)->sock_shutdown(SOCK(sock), how);
}

static int trace_setopt(struct bide_sock *sock, int level, int name, const void *value,
                        socklen_t length)
{
    return OPS(sock)->sock_setopt(SOCK(sock), level, name, value, length);
}

static int trace_name(struct bide_sock *sock, bool peer, struct sockaddr *ret_address,
                      socklen_t *length)
{
    return OPS(sock)->sock_name(SOCK(sock), peer, ret_address, length);
}

static ssize_t trace_recv(struct bide_sock *sock, void *buffer, size_t size)
{
    ssize_t n = OPS(sock)->try_recv(SOCK(sock), buffer, size < READ_MAX ? size : READ_MAX);
    if (n >= 0)
        note(sock, n > 0 ? ", reads %zd" : ", is at the end", n);
    return n;
}

static ssize_t trace_send(struct bide_sock *sock, const struct iovec *iov, int n_iov)
{
    ssize_t n = OPS(sock)->try_send(SOCK(sock), iov, n_iov);
    if (n > 0)
        note(sock, ", writes %zd", n);
    return n;
}

static int trace_send_all(struct bide_sock *sock, struct bide_op *op, struct iovec *iov, int n_iov)
{
    size_t size = 0;
    for (int i = 0; i < n_iov; i++)
        size += iov[i].iov_len;
    if (size > 0)
        note(sock, ", writes %zu", size);
    return OPS(sock)->send(SOCK(sock), op, iov, n_iov);
}

static int trace_accept(struct bide_sock *sock, struct bide_sock **ret_sock)
{
    struct bide_sock *inner;
    int rc = OPS(sock)->try_accept(SOCK(sock), &inner);
    if (rc == 0)
        rc = wrap(sock->engine, inner, ret_sock);
    if (rc == 0) {
        note(sock, ", accepts #%d", traced_of(*ret_sock)->number);
        note(*ret_sock, "is accepted");
    }
    return rc;
}

static int trace_connect(struct bide_sock *sock, struct bide_op *op, const struct sockaddr *address,
                         socklen_t length)
{
    note(sock, "connects");
    return OPS(sock)->connect(SOCK(sock), op, address, length);
}

/* An operation is the engine's below: from there it is ended, and there it is cancelled. */
static int trace_recv_wait(struct bide_sock *sock, struct bide_op *op)
{
    return OPS(sock)->recv_wait(SOCK(sock), op);
}

static int trace_accept_wait(struct bide_sock *sock, struct bide_op *op)
{
    return OPS(sock)->accept_wait(SOCK(sock), op);
}

static void trace_cancel(struct bide_op *op)
{
    if (op->state == BIDE_OP_PENDING)
        op->sock->engine->ops->cancel(op);
}

static int trace_poll(struct bide_engine *engine, int64_t deadline_ns)
{
    return BELOW(engine)->ops->poll(BELOW(engine), deadline_ns);
}

static void trace_wake(struct bide_engine *engine)
{
    BELOW(engine)->ops->wake(BELOW(engine));
}

/* With jobs there are lookups, too: they are made of them. */
static int trace_submit(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane)
{
    return BELOW(engine)->ops->job_submit(BELOW(engine), job, lane);
}

static void trace_abandon(struct bide_engine *engine, struct bide_job *job)
{
    BELOW(engine)->ops->job_abandon(BELOW(engine), job);
}

static int64_t trace_now(struct bide_engine *engine)
{
    return BELOW(engine)->ops->now_ns(BELOW(engine));
}

static void trace_close(struct bide_engine *engine, int64_t join_ns)
{
    struct trace *trace = of(engine);
    for (int i = 0; i < trace->n_socks; i++)
        printf("#%d %s\n", i, trace->notes[i]);
    trace->inner->ops->close(trace->inner, join_ns);
    free(trace);
}

static int trace_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    struct trace *trace = calloc(1, sizeof *trace);
    if (!trace)
        return -ENOMEM;
    int rc = bide_engine_open(NULL, opts, &trace->inner);
    if (rc < 0) {
        free(trace);
        return rc;
    }
    *ret_engine = &trace->base;
    return 0;
}

static const struct bide_engine_ops trace_ops = {
    .close = trace_close,
    .now_ns = trace_now,
    .poll = trace_poll,
    .wake = trace_wake,
    .sock_open = trace_open_sock,
    .sock_close = trace_close_sock,
    .sock_bind = trace_bind,
    .sock_listen = trace_listen,
    .sock_shutdown = trace_shutdown,
    .sock_setopt = trace_setopt,
    .sock_name = trace_name,
    .try_recv = trace_recv,
    .try_send = trace_send,
    .try_accept = trace_accept,
    .connect = trace_connect,
    .recv_wait = trace_recv_wait,
    .accept_wait = trace_accept_wait,
    .send = trace_send_all,
    .cancel = trace_cancel,
    .job_submit = trace_submit,
    .job_abandon = trace_abandon,
};

/* A program like any other. */

static int answer(bide_stream *stream, void *data)
{
    char *line;
    (void)data;
    int n = bide_read_line(stream, &line);
    return n <= 0 ? n : bide_write(stream, line, (size_t)n);
}

bide_async(amain)
{
    bide_server *server;
    bide_stream *stream;
    char *line = NULL;
    printf("on engine %s\n", bide_loop_engine(bide_loop_current()));
    int rc = bide_serve("127.0.0.1", 0, answer, NULL, NULL, &server);
    if (rc < 0)
        return rc;
    rc = bide_connect("127.0.0.1", bide_server_port(server), NULL, &stream);
    if (rc == 0) {
        rc = bide_write(stream, "ho hum\n", 7);
        int n = rc < 0 ? rc : bide_read_line(stream, &line);
        if (n > 0)
            printf("answer: %s\n", line);
        bide_close(stream);
    }
    bide_server_close(server);
    bide_server_wait_closed(server);
    bide_server_free(server);
    return rc;
}

int main(void)
{
    const struct bide_engine_kind kind = {
        .version = BIDE_ENGINE_VERSION,
        .ops_size = sizeof trace_ops,
        .name = "trace",
        .ops = &trace_ops,
        .open = trace_open,
    };
    const char *why;
    if (bide_engine_add(&kind, &why) < 0) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    struct bide_loop_opts opts = {.engine = "trace"};
    return bide_run_with(&opts, amain);
}
