/*
 * Servers of either kind: with a task for each connection, or a protocol. The invariants stand in
 * server.h.
 */
#include "io/net/server.h"

#include "io/net/port.h"
#include "runtime/coro.h"

#include <stdlib.h>

enum { BACKLOG_DEFAULT = 1024 };

void bide__server_unref(bide_server *server)
{
    if (--server->refs > 0)
        return;
    bide__values_unref(server->values);
    bide__loop_unref(server->listeners.loop);
    free(server);
}

static void server_drop_data(struct bide__ready *ready)
{
    bide_server *server = bide__container(ready, bide_server, ready);
    bide_drop *drop = server->drop;
    server->drop = NULL;
    drop(server->data);
    bide__server_unref(server);
}

/* Nobody needs the data any more. */
static void server_done(bide_server *server)
{
    if (!server->drop || server->dropping)
        return;
    server->dropping = true;
    server->refs++;
    bide__loop_ready(server->listeners.loop, &server->ready);
}

/* Something ended: is anything left? A loop that closes knows the connections itself. */
static void server_settle(bide_server *server)
{
    struct bide__listeners *set = &server->listeners;
    if (set->n_open == 0 && (set->n_connections == 0 || set->loop->closing))
        bide__list_remove(&server->resource.node);
    if (set->n_open == 0 && set->n_connections == 0)
        server_done(server);
}

static bide_server *server_of(struct bide__listeners *set)
{
    return bide__container(set, bide_server, listeners);
}

static int server_accepted(struct bide__listeners *set, struct bide_sock *sock)
{
    return server_of(set)->kind->begin(server_of(set), sock);
}

static void wake_waiters(bide_server *server)
{
    struct bide__list *node;
    while ((node = bide__list_pop(&server->waiters)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), 0);
}

static void server_closed(struct bide__listeners *set)
{
    bide_server *server = server_of(set);
    if (set->n_open == 0)
        wake_waiters(server);
    server_settle(server);
}

static void server_released(struct bide__listeners *set)
{
    bide__server_unref(server_of(set));
}

static const struct bide__listeners_kind listeners_kind = {
    .accepted = server_accepted, .closed = server_closed, .released = server_released};

void bide__server_hold(bide_server *server)
{
    server->refs++;
    server->listeners.n_connections++;
}

void bide__server_release(bide_server *server)
{
    struct bide__listeners *set = &server->listeners;
    bool was_full = set->connections_max > 0 && bide__listeners_full(set);
    set->n_connections--;
    if (set->member)
        bide__port_changed(set->member);
    if (was_full) /* there may be room for another one */
        bide__listeners_go_on(set);
    if (set->n_connections == 0)
        wake_waiters(server);
    server_settle(server);
    bide__server_unref(server);
}

void bide__connection_enter(bide_server *server, struct bide__connection *connection)
{
    bide__server_hold(server);
    connection->server = server;
    bide__list_append(&server->connections, &connection->node);
}

void bide__connection_leave(struct bide__connection *connection)
{
    bide_server *server = connection->server;
    if (!server)
        return;
    connection->server = NULL;
    bide__list_remove(&connection->node);
    bide__server_release(server);
}

int bide_server_close(bide_server *server)
{
    if (!server)
        return -EINVAL;
    if (server->listeners.is_closed)
        return 0;
    server->refs++;
    bide__listeners_close(&server->listeners);
    server_settle(server);
    wake_waiters(server);
    bide__server_unref(server);
    return 1;
}

/* The tasks that served or waited are gone; protocols' connections end by themselves. */
static void server_abandon(bide_server *server)
{
    struct bide__listeners *set = &server->listeners;
    if (server->kind->abandon) {
        server->refs -= set->n_connections;
        set->n_connections = 0;
        bide__list_init(&server->connections);
    }
    server->refs -= server->n_waiting;
    server->n_waiting = 0;
    bide__list_init(&server->waiters);
}

static void server_forget(struct bide__resource *resource)
{
    bide_server *server = bide__container(resource, bide_server, resource);
    server_abandon(server);
    server->listeners.is_closed = true;
    bide__list_remove(&resource->node);
}

/* The loop closes. */
static void server_drop(struct bide__resource *resource)
{
    bide_server *server = bide__container(resource, bide_server, resource);
    server->refs++;
    bide__list_each(node, &server->connections) if (server->kind->abandon)
        server->kind->abandon(bide__container(node, struct bide__connection, node));
    server_abandon(server);
    bide_server_close(server);
    server_settle(server);
    bide__server_unref(server);
}

int bide__server_opts(const struct bide_server_opts *opts, struct bide_server_opts *ret_opts)
{
    struct bide_server_opts all = opts ? *opts : (struct bide_server_opts){0};
    if (all.backlog < 0 || (unsigned)all.stack > BIDE_STACK_COPIED ||
        (all.stack == BIDE_STACK_COPIED && all.stack_size > 0) || all.file_mode > 0777 ||
        (all.stack_size > 0 && all.stack_size < BIDE__STACK_SIZE_MIN) ||
        all.stack_size > BIDE__STACK_SIZE_MAX)
        return -EINVAL;
    if (all.shared && (all.family != BIDE_ANY_FAMILY || all.backlog != 0 || all.reuse_port))
        return -EINVAL;
    if (all.backlog == 0)
        all.backlog = BACKLOG_DEFAULT;
    *ret_opts = all;
    return bide__channel_opts(&all.stream, &ret_opts->stream);
}

int bide__server_new(bide_loop *loop, const struct bide__server_kind *kind,
                     const struct bide_server_opts *opts, struct bide_address *addresses, int n,
                     unsigned port, bide_server **ret_server)
{
    bide_server *server = calloc(1, sizeof *server);
    if (!server)
        return -ENOMEM;
    struct bide__listeners *set = &server->listeners;
    set->kind = &listeners_kind;
    set->loop = bide__loop_ref(loop);
    set->connections_max = opts->connections_max;
    set->backlog = opts->backlog;
    set->file_mode = opts->file_mode;
    set->reuse_port = opts->reuse_port;
    server->kind = kind;
    server->opts = *opts;
    server->values = bide__context_inherit();
    server->refs = 1;
    server->ready.run = server_drop_data;
    server->resource.drop = server_drop;
    server->resource.forget = server_forget;
    bide__list_init(&server->resource.node);
    bide__list_init(&server->connections);
    bide__list_init(&server->waiters);
    int rc = opts->shared ? bide__port_join(opts->shared, set)
                          : bide__listeners_open(set, addresses, n, port);
    if (rc < 0) {
        bide__server_unref(server);
        return rc;
    }
    server->refs += set->n;
    bide__list_append(&loop->resources, &server->resource.node);
    bide__listeners_go_on(set);
    *ret_server = server;
    return 0;
}

unsigned bide_server_port(const bide_server *server)
{
    return server && !server->listeners.is_closed
               ? bide_address_port(&server->listeners.each[0].address)
               : 0;
}

size_t bide_server_addresses(const bide_server *server, struct bide_address *ret_addresses,
                             size_t size)
{
    if (!server || server->listeners.is_closed)
        return 0;
    for (size_t i = 0; i < server->listeners.n && i < size; i++)
        ret_addresses[i] = server->listeners.each[i].address;
    return server->listeners.n;
}

size_t bide_server_connections(const bide_server *server)
{
    return server ? server->listeners.n_connections : 0;
}

void bide_server_cancel(bide_server *server)
{
    if (!server)
        return;
    bide__list_each(node, &server->connections)
        server->kind->cancel(bide__container(node, struct bide__connection, node));
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

/* Nothing is left: no connection, and its addresses are anybody's. */
static bool is_over(const struct bide__listeners *set)
{
    return set->is_closed && set->n_open == 0 && set->n_connections == 0;
}

/* Waits until the server is closed and, if `drained`, nothing is left of it. */
static int wait_closed(bide_server *server, bool drained, const struct bide__wait_kind *kind)
{
    struct bide__coro *coro;
    int rc = bide__suspend(&coro);
    server->refs++;
    server->n_waiting++;
    while (rc == 0 && !(drained ? is_over(&server->listeners) : server->listeners.is_closed)) {
        rc = bide__cancel_check(coro);
        if (rc < 0)
            break;
        bide__list_append(&server->waiters, &coro->waiter.node);
        rc = bide__park(coro, kind, server);
    }
    server->n_waiting--;
    bide__server_unref(server);
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
    bide__server_unref(server);
}
