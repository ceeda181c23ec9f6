/*
 * Servers.
 *
 * Invariants
 *  - `refs` counts the user's handle, every connection, every listening socket and every call that
 * waits. The structure goes with the last. The loop knows it while anything but the handle is left.
 *  - A listener waits for connections exactly while the server is open and below its limit.
 * Connections are taken from the ready queue, not from the engine's callback, because that may
 * report.
 *  - A connection's stream is closed by its task, which always begins, also if it was cancelled
 * before.
 */
#include "io/server.h"
#include "base/time.h"
#include "io/resolve.h"
#include "io/stream.h"
#include "runtime/report.h"

#include <bide/server.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG_DEFAULT = 1024, ACCEPTS_PER_TURN = 64, PORT_TRIES = 16 };
#define RETRY_NS (BIDE__NS_PER_S / 10)

struct listener {
    struct bide_op op;
    struct bide__ready ready;
    struct bide__timer retry; /* the engine could not wait */
    struct bide_server *server;
    struct bide_sock *sock;
    struct bide_address address;
    bool queued;
    bool starved; /* lacks descriptors or memory, and that was reported */
};

struct bide_server {
    bide_loop *loop;
    bide_handler *handler;
    void *data;
    void (*drop)(void *data);    /* may be NULL */
    struct bide__values *values; /* context variables that handlers start with */
    struct bide_server_opts opts;
    struct bide__resource resource;
    size_t refs;
    bool closed;
    size_t n_listening; /* sockets */
    size_t n_waiting;   /* calls of forever and wait_closed */
    size_t n_connections;
    struct bide__list connections;
    struct bide__list waiters; /* tasks in forever and wait_closed */
    size_t n_listeners;
    struct listener listeners[BIDE__ADDRESSES_MAX];
};

/* One connection, in its task's memory. */
struct connection {
    struct bide__list node;
    bide_server *server;
    bide_stream *stream;
    bide_task *task;
};

static void server_unref(bide_server *server)
{
    if (--server->refs > 0)
        return;
    if (server->drop)
        server->drop(server->data);
    bide__values_unref(server->values);
    bide__loop_unref(server->loop);
    free(server);
}

/* Of listeners and connections: nothing of the engine's and no task is left. */
static void server_settle(bide_server *server)
{
    if (server->n_listening == 0 && server->n_connections == 0)
        bide__list_remove(&server->resource.node);
}

static void wake_waiters(bide_server *server)
{
    struct bide__list *node;
    while ((node = bide__list_pop(&server->waiters)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), 0);
}

static bool is_full(const bide_server *server)
{
    return server->opts.connections_max > 0 &&
           server->n_connections >= server->opts.connections_max;
}

static void listener_queue(struct listener *listener)
{
    if (listener->queued || !listener->sock)
        return;
    listener->queued = true;
    bide__loop_ready(listener->server->loop, &listener->ready);
}

static void listener_settle(struct listener *listener)
{
    bide_server *server = listener->server;
    if (!listener->sock || listener->op.state != BIDE_OP_IDLE)
        return;
    bide__timer_cancel(server->loop->timers, &listener->retry);
    listener->sock->engine->ops->sock_close(listener->sock);
    listener->sock = NULL;
    server->n_listening--;
    server_settle(server);
    if (!listener->queued)
        server_unref(server);
}

static void listener_woken(struct bide_op *op)
{
    struct listener *listener = bide__container(op, struct listener, op);
    if (listener->server->closed)
        listener_settle(listener);
    else
        listener_queue(listener);
}

/* The connection ends; there may be room for another one. */
static void connection_leave(struct connection *connection)
{
    bide_server *server = connection->server;
    bool was_full = is_full(server);
    bide__list_remove(&connection->node);
    server->n_connections--;
    if (was_full)
        for (size_t i = 0; i < server->n_listeners; i++)
            if (server->listeners[i].op.state == BIDE_OP_IDLE)
                listener_queue(&server->listeners[i]);
    if (server->n_connections == 0)
        wake_waiters(server);
    server_settle(server);
    server_unref(server);
}

static bool is_usual(int rc)
{
    return rc == -ECONNRESET || rc == -EPIPE || rc == -ECONNABORTED || rc == -BIDE_ETORN;
}

static int connection_main(void *data)
{
    struct connection *connection = data;
    int rc = connection->server->handler(connection->stream, connection->server->data);
    int closed = bide_close(connection->stream);
    if (rc >= 0) /* what it wrote last may not have gone out */
        rc = closed;
    connection_leave(connection);
    return is_usual(rc) ? 0 : rc;
}

static int connection_start(bide_server *server, struct bide_sock *sock)
{
    static const struct bide_place place = {"connection", __FILE__, "bide_serve", __LINE__};
    bide_stream *stream;
    int rc = bide__stream_new(server->loop, sock, &server->opts.stream, &stream);
    if (rc < 0) {
        sock->engine->ops->sock_close(sock);
        return rc;
    }
    struct bide_task_opts opts = {.stack_size = server->opts.stack_size, .always_start = true};
    struct connection connection = {.server = server, .stream = stream};
    struct bide__coro *coro = bide__coro_new(server->loop, &place, &opts, connection_main,
                                             &connection, sizeof connection);
    if (!coro) {
        bide_abort(stream);
        bide_close(stream);
        return -ENOMEM;
    }
    bide__values_unref(coro->values);
    coro->values = bide__values_ref(server->values);
    server->n_connections++;
    server->refs++;
    struct connection *kept = coro->arguments;
    kept->task = coro->task;
    bide__list_append(&server->connections, &kept->node);
    bide__coro_start(coro);
    bide_detach(coro->task);
    return 0;
}

static void listener_starved(struct listener *listener, int error)
{
    char text[BIDE_ADDRESS_TEXT_SIZE];
    if (listener->starved)
        return;
    listener->starved = true;
    bide_address_print(&listener->address, text, sizeof text);
    bide_loop_report(listener->server->loop,
                     &(struct bide_report){.message = "server can't accept connections for now",
                                           .error = error,
                                           .detail = text});
}

/* Takes connections until none is left, the server is full, or it has had its share of the turn. */
static int listener_accept(struct listener *listener)
{
    bide_server *server = listener->server;
    const struct bide_engine_ops *ops = listener->sock->engine->ops;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct bide_sock *sock;
        if (is_full(server))
            return 0;
        int rc = ops->try_accept(listener->sock, &sock);
        if (rc == 0)
            rc = connection_start(server, sock);
        if (rc < 0)
            return rc;
    }
    listener_queue(listener);
    return 0;
}

static void listener_run(struct bide__ready *ready)
{
    struct listener *listener = bide__container(ready, struct listener, ready);
    bide_server *server = listener->server;
    listener->queued = false;
    if (!listener->sock) {
        server_unref(server);
        return;
    }
    if (server->closed || listener->op.state != BIDE_OP_IDLE)
        return;
    int rc = listener_accept(listener);
    if (rc == -EAGAIN) /* nobody waits: whatever was lacking is there again */
        listener->starved = false;
    else if (rc < 0)
        listener_starved(listener, rc);
    if (listener->queued || is_full(server))
        return;
    rc = listener->sock->engine->ops->accept_wait(listener->sock, &listener->op);
    if (rc == 0)
        listener_queue(listener);
    if (rc == 0 || rc == BIDE_PENDING)
        return;
    listener_starved(listener, rc);
    bide__timer_set(server->loop->timers, &listener->retry,
                    bide__loop_now_ns(server->loop) + RETRY_NS);
}

static void listener_retry(struct bide__timer *timer)
{
    listener_queue(bide__container(timer, struct listener, retry));
}

static void listener_close(struct listener *listener)
{
    if (listener->op.state != BIDE_OP_IDLE)
        listener->sock->engine->ops->cancel(&listener->op);
    listener_settle(listener);
}

int bide_server_close(bide_server *server)
{
    if (!server)
        return -EINVAL;
    if (server->closed)
        return 0;
    server->closed = true;
    server->refs++;
    for (size_t i = 0; i < server->n_listeners; i++)
        listener_close(&server->listeners[i]);
    wake_waiters(server);
    server_unref(server);
    return 1;
}

/* The tasks that served or waited are gone. */
static void server_abandon(bide_server *server)
{
    server->refs -= server->n_connections + server->n_waiting;
    server->n_connections = 0;
    server->n_waiting = 0;
    bide__list_init(&server->connections);
    bide__list_init(&server->waiters);
}

static void server_forget(struct bide__resource *resource)
{
    bide_server *server = bide__container(resource, bide_server, resource);
    server_abandon(server);
    server->closed = true;
    bide__list_remove(&resource->node);
}

/* The loop closes. */
static void server_drop(struct bide__resource *resource)
{
    bide_server *server = bide__container(resource, bide_server, resource);
    server->refs++;
    bide__list_each(node, &server->connections)
        bide__stream_unref(bide__container(node, struct connection, node)->stream);
    server_abandon(server);
    bide_server_close(server);
    server_settle(server);
    server_unref(server);
}

static int listen_at(bide_server *server, const struct bide_address *address,
                     struct bide_sock **ret_sock)
{
    const struct bide_engine_ops *ops = server->loop->engine->ops;
    const struct sockaddr *bytes = (const void *)address->bytes;
    const int on = 1;
    struct bide_sock *sock;
    int rc = ops->sock_open(server->loop->engine, bytes->sa_family, SOCK_STREAM, 0, &sock);
    if (rc < 0)
        return rc;
    ops = sock->engine->ops;
    rc = ops->sock_setopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (rc == 0 && server->opts.reuse_port)
        rc = ops->sock_setopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (rc == 0 && bytes->sa_family == AF_INET6)
        rc = ops->sock_setopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (rc == 0)
        rc = ops->sock_bind(sock, bytes, address->length);
    if (rc == 0)
        rc = ops->sock_listen(sock, server->opts.backlog);
    if (rc == 0)
        *ret_sock = sock;
    else
        ops->sock_close(sock);
    return rc;
}

static int listener_add(bide_server *server, const struct bide_address *address)
{
    struct listener *listener = &server->listeners[server->n_listeners];
    struct bide_sock *sock = NULL;
    int rc = listen_at(server, address, &sock);
    if (rc == 0) {
        listener->address.length = sizeof listener->address.bytes;
        const struct bide_engine_ops *ops = sock->engine->ops;
        rc = ops->sock_name(sock, false, (void *)listener->address.bytes,
                            &listener->address.length);
        if (rc < 0)
            ops->sock_close(sock);
    }
    if (rc < 0)
        return rc;
    listener->op.done = listener_woken;
    listener->ready.run = listener_run;
    bide__timer_init(&listener->retry, listener_retry);
    listener->server = server;
    listener->sock = sock;
    server->refs++;
    server->n_listeners++;
    server->n_listening++;
    return 0;
}

/* Listeners that were added and are not started yet. */
static void listeners_undo(bide_server *server)
{
    for (; server->n_listeners > 0; server->n_listeners--)
        listener_settle(&server->listeners[server->n_listeners - 1]);
}

static void set_port(struct bide_address *address, unsigned port)
{
    /* The port of either kind of address stands at the same place. */
    _Static_assert(
        offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "port");
    uint16_t wire = htons((uint16_t)port);
    memcpy(address->bytes + offsetof(struct sockaddr_in, sin_port), &wire, sizeof wire);
}

/* An address family that the machine lacks is no error if another address works. */
static bool is_lacking(int rc)
{
    return rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL;
}

/* Listens on all addresses; with port 0, on the one that the first of them was given. */
static int listeners_add(bide_server *server, struct bide_address *addresses, int n, unsigned port)
{
    int lacking = 0;
    for (int i = 0; i < n; i++) {
        if (port == 0 && server->n_listeners > 0)
            set_port(&addresses[i], bide_address_port(&server->listeners[0].address));
        int rc = listener_add(server, &addresses[i]);
        if (rc < 0) {
            char text[BIDE_ADDRESS_TEXT_SIZE];
            bide_address_print(&addresses[i], text, sizeof text);
            bide__detail_set(rc, "%s", text);
        }
        if (is_lacking(rc)) {
            lacking = rc;
        } else if (rc < 0) {
            listeners_undo(server);
            return rc;
        }
    }
    return server->n_listeners > 0 ? 0 : lacking;
}

static int server_listen(bide_server *server, struct bide_address *addresses, int n, unsigned port)
{
    int rc = listeners_add(server, addresses, n, port);
    for (int i = 0; rc == -EADDRINUSE && port == 0 && i < PORT_TRIES; i++) {
        set_port(&addresses[0], 0);
        rc = listeners_add(server, addresses, n, port);
    }
    return rc;
}

/* Puts the defaults in the place of zeroes. */
static int server_opts(const struct bide_server_opts *opts, struct bide_server_opts *ret_opts)
{
    struct bide_server_opts all = opts ? *opts : (struct bide_server_opts){0};
    if (all.backlog < 0 || (all.stack_size > 0 && all.stack_size < BIDE__STACK_SIZE_MIN) ||
        all.stack_size > BIDE__STACK_SIZE_MAX)
        return -EINVAL;
    if (all.backlog == 0)
        all.backlog = BACKLOG_DEFAULT;
    *ret_opts = all;
    return bide__channel_opts(&all.stream, &ret_opts->stream);
}

int bide__serve(const char *host, unsigned port, bide_handler *handler, void *data,
                void (*drop)(void *data), const struct bide_server_opts *opts,
                bide_server **ret_server)
{
    struct bide__coro *coro;
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
    struct bide_server_opts all;
    if (!handler || !ret_server || server_opts(opts, &all) < 0)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    int n = bide__resolve(host, port, all.family, addresses, BIDE__ADDRESSES_MAX);
    if (n < 0)
        return n;
    bide_server *server = calloc(1, sizeof *server);
    if (!server)
        return -ENOMEM;
    server->loop = bide__loop_ref(coro->loop);
    server->handler = handler;
    server->data = data;
    server->values = bide__context_inherit();
    server->opts = all;
    server->refs = 1;
    server->resource.drop = server_drop;
    server->resource.forget = server_forget;
    bide__list_init(&server->resource.node);
    bide__list_init(&server->connections);
    bide__list_init(&server->waiters);
    rc = server_listen(server, addresses, n, port);
    if (rc < 0) {
        server_unref(server);
        return rc;
    }
    server->drop = drop;
    bide__list_append(&server->loop->resources, &server->resource.node);
    for (size_t i = 0; i < server->n_listeners; i++)
        listener_queue(&server->listeners[i]);
    *ret_server = server;
    return 0;
}

int bide_serve(const char *host, unsigned port, bide_handler *handler, void *data,
               const struct bide_server_opts *opts, bide_server **ret_server)
{
    return bide__serve(host, port, handler, data, NULL, opts, ret_server);
}

unsigned bide_server_port(const bide_server *server)
{
    return server && !server->closed ? bide_address_port(&server->listeners[0].address) : 0;
}

size_t bide_server_addresses(const bide_server *server, struct bide_address *ret_addresses,
                             size_t size)
{
    if (!server || server->closed)
        return 0;
    for (size_t i = 0; i < server->n_listeners && i < size; i++)
        ret_addresses[i] = server->listeners[i].address;
    return server->n_listeners;
}

size_t bide_server_connections(const bide_server *server)
{
    return server ? server->n_connections : 0;
}

void bide_server_cancel(bide_server *server)
{
    if (!server)
        return;
    bide__list_each(node, &server->connections)
        bide_cancel(bide__container(node, struct connection, node)->task);
}

static void waiter_interrupt(struct bide__coro *coro)
{
    bide__list_remove(&coro->waiter.node);
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind forever_wait = {.name = "server",
                                                    .interrupt = waiter_interrupt};
static const struct bide__wait_kind closed_wait = {.name = "server's connections",
                                                   .interrupt = waiter_interrupt};

/* Waits until the server is closed and, if `drained`, has no connection. */
static int wait_closed(bide_server *server, bool drained, const struct bide__wait_kind *kind)
{
    struct bide__coro *coro;
    int rc = bide__suspend(&coro);
    server->refs++;
    server->n_waiting++;
    while (rc == 0 && !(server->closed && (!drained || server->n_connections == 0))) {
        rc = bide__cancel_check(coro);
        if (rc < 0)
            break;
        bide__list_append(&server->waiters, &coro->waiter.node);
        rc = bide__park(coro, kind, server);
    }
    server->n_waiting--;
    server_unref(server);
    return rc;
}

int bide_server_forever(bide_server *server)
{
    if (!server)
        return -EINVAL;
    int rc = wait_closed(server, false, &forever_wait);
    if (rc == -ECANCELED)
        bide_server_close(server);
    return rc;
}

int bide_server_wait_closed(bide_server *server)
{
    return server ? wait_closed(server, true, &closed_wait) : -EINVAL;
}

void bide_server_free(bide_server *server)
{
    if (!server)
        return;
    bide_server_close(server);
    server_unref(server);
}
