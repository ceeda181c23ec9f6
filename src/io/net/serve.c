/*
 * Serving by tasks.
 *
 * Invariant: a connection's stream is closed by its task, which always begins, also if it was
 * cancelled before.
 */
#include "io/net/resolve.h"
#include "io/net/server.h"
#include "io/stream/stream.h"

/* One connection, in its task's memory. */
struct served {
    struct bide__connection connection;
    bide_stream *stream;
    bide_task *task;
};

static struct served *served_of(struct bide__connection *connection)
{
    return bide__container(connection, struct served, connection);
}

static bool is_usual(int rc)
{
    return rc == -ECONNRESET || rc == -EPIPE || rc == -ECONNABORTED || rc == -BIDE_ETORN ||
           rc == -BIDE_ETRUNCATED || rc == -BIDE_ETLS || rc == -BIDE_ECERTIFICATE;
}

static int served_main(void *data)
{
    struct served *served = data;
    bide_server *server = served->connection.server;
    int rc = server->handler(served->stream, server->data);
    int closed = bide_close(served->stream);
    if (rc >= 0) /* what it wrote last may not have gone out */
        rc = closed;
    bide__connection_leave(&served->connection);
    return is_usual(rc) ? 0 : rc;
}

static int begin(bide_server *server, struct bide_sock *sock)
{
    static const struct bide_place place = {"connection", __FILE__, "bide_serve", __LINE__};
    bide_loop *loop = server->listeners.loop;
    bide_stream *stream;
    int rc = bide__stream_new(loop, sock, &server->opts.stream, &stream);
    if (rc < 0) {
        sock->engine->ops->sock_close(sock);
        return rc;
    }
    struct bide_task_opts opts = {
        .stack_size = server->opts.stack_size, .stack = server->opts.stack, .always_start = true};
    struct served served = {.stream = stream};
    struct bide__coro *coro = bide__coro_new(loop, &place, &opts, served_main, &served,
                                             sizeof served);
    struct bide__values *values = bide__values_ref(server->values);
    if (coro && bide__coro_set_values(coro, values) < 0) {
        bide__coro_unmake(coro);
        coro = NULL;
    }
    if (!coro) {
        bide__values_unref(values);
        bide_abort(stream);
        bide_close(stream);
        return -ENOMEM;
    }
    struct served *kept = bide__coro_arguments(coro);
    kept->task = coro->task;
    bide__connection_enter(server, &kept->connection);
    bide__coro_start(coro);
    bide_detach(coro->task);
    return 0;
}

static void cancel(struct bide__connection *connection)
{
    bide_cancel(served_of(connection)->task);
}

static void abandon(struct bide__connection *connection)
{
    bide__stream_unref(served_of(connection)->stream);
}

static const struct bide__server_kind tasks_serve = {
    .begin = begin, .cancel = cancel, .abandon = abandon};

int bide__serve_at(bide_loop *loop, struct bide_address *addresses, int n, unsigned port,
                   bide_handler *handler, void *data, bide_drop *drop,
                   const struct bide_server_opts *opts, bide_server **ret_server)
{
    bide_server *server;
    int rc = bide__server_new(loop, &tasks_serve, opts, addresses, n, port, &server);
    if (rc < 0)
        return rc;
    server->handler = handler;
    server->data = data;
    server->drop = drop;
    *ret_server = server;
    return 0;
}

int bide__serve(const char *host, unsigned port, bide_handler *handler, void *data, bide_drop *drop,
                const struct bide_server_opts *opts, bide_server **ret_server)
{
    struct bide__coro *coro;
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
    struct bide_server_opts all;
    if (!handler || !ret_server || bide__server_opts(opts, &all) < 0 || all.file_mode != 0 ||
        (all.shared && (host || port != 0)))
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    int n = all.shared ? 0 : bide__resolve(host, port, all.family, addresses, BIDE__ADDRESSES_MAX);
    if (n < 0)
        return n;
    return bide__serve_at(coro->loop, addresses, n, port, handler, data, drop, &all, ret_server);
}

int bide_serve(const char *host, unsigned port, bide_handler *handler, void *data,
               const struct bide_server_opts *opts, bide_server **ret_server)
{
    return bide__serve(host, port, handler, data, NULL, opts, ret_server);
}
