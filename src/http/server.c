/* HTTP servers: what is around the connections. */
#include "http/server.h"

#include "http/connection.h"
#include "http/exchange.h"
#include "runtime/loop.h"
#include "runtime/workers.h"

#include <bide/error.h>
#include <bide/task.h>
#include <bide/timeout.h>
#if BIDE_HAVE_TLS
#include "tls/shared.h"
#endif

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

/* Puts the default in the place of zero; false: a time that is none. */
static bool time_default(double *seconds, double otherwise)
{
    if (*seconds == 0)
        *seconds = otherwise;
    return *seconds > 0;
}

static void size_default(size_t *size, size_t otherwise)
{
    if (*size == 0)
        *size = otherwise;
}

static int whole_opts(const struct bide_http_server_opts *opts,
                      struct bide_http_server_opts *ret_opts)
{
    struct bide_http_server_opts all = opts ? *opts : (struct bide_http_server_opts){0};
    all.server.stack = BIDE_STACK_PRIVATE; /* others reach connections, which lie on the stack */
    size_default(&all.line_bytes, 8192);
    size_default(&all.head_bytes, 32768);
    size_default(&all.fields_max, 100);
    size_default(&all.body_bytes, (size_t)1 << 20);
    if (all.line_bytes > (size_t)1 << 24 || all.head_bytes > (size_t)1 << 24 ||
        all.fields_max > 10000 || all.body_bytes > INT32_MAX)
        return -EINVAL;
    if (!time_default(&all.handshake_seconds, 10) || !time_default(&all.idle_seconds, 75) ||
        !time_default(&all.header_seconds, 10) || !time_default(&all.body_seconds, 30) ||
        !time_default(&all.write_seconds, 60) || !time_default(&all.handler_seconds, INFINITY) ||
        !time_default(&all.grace_seconds, 10))
        return -EINVAL;
    if (!all.name)
        all.name = "bide";
    if (!bide__http_is_value(all.name) || strlen(all.name) > 64)
        return -EINVAL;
    *ret_opts = all;
    return 0;
}

void bide__http_server_renew(bide_http_server *server)
{
    struct bide_engine *engine = server->loop->engine;
    int64_t now_ns = engine->ops->now_ns(engine);
    int64_t wall_ns = engine->ops->wall_ns(engine);
    char date[BIDE_HTTP_DATE_SIZE];
    bide_http_date_print(wall_ns / NS_PER_S, date);
    server->common_until_ns = now_ns + NS_PER_S - wall_ns % NS_PER_S;
    server->common_size = (size_t)snprintf(server->common, sizeof server->common,
                                           "%s%s%sDate: %s\r\n", *server->name ? "Server: " : "",
                                           server->name, *server->name ? "\r\n" : "", date);
}

static void server_delete(bide_http_server *server)
{
    bide__list_remove(&server->resource.node);
    bide__http_connections_free(server);
    bide_handle_free(server->grace);
#if BIDE_HAVE_TLS
    bide_tls_unref(server->opts.tls);
#endif
    free(server->name);
    free(server);
}

/* This is a child after fork: all that is left is the memory, which stays. */
static void server_forget(struct bide__resource *resource)
{
    bide__list_remove(&resource->node);
    bide__container(resource, bide_http_server, resource)->loop = NULL;
}

/* The loop closes, and tasks are gone. */
static void server_drop(struct bide__resource *resource)
{
    bide_http_server *server = bide__container(resource, bide_http_server, resource);
    struct bide__list *node;
    bide__list_remove(&resource->node);
    while ((node = bide__list_first(&server->peers)))
        bide__http_peer_drop(bide__container(node, struct bide__http_peer, node));
    server->loop = NULL;
    if (!server->is_freed)
        return;
    bide_server_free(server->listener);
    server_delete(server);
}

static int server_new(bide_http_app *app, const struct bide_http_server_opts *opts,
                      bide_http_server **ret_server)
{
    bide_http_server *server = calloc(1, sizeof *server);
    if (!server)
        return -ENOMEM;
    server->opts = *opts;
    server->name = strdup(opts->name);
    if (!server->name) {
        free(server);
        return -ENOMEM;
    }
#if BIDE_HAVE_TLS
    if (opts->tls)
        server->opts.tls = bide_tls_ref(opts->tls);
#endif
    server->is_freed = true; /* until it is the caller's */
    server->app = app;
    server->loop = bide_loop_current();
    bide__list_init(&server->peers);
    server->resource = (struct bide__resource){.drop = server_drop, .forget = server_forget};
    bide__list_append(&server->loop->resources, &server->resource.node);
    *ret_server = server;
    return 0;
}

static int server_listen(bide_http_server *server, const char *host, unsigned port)
{
#if BIDE_HAVE_TLS
    if (server->opts.tls && !bide__tls_is_server(server->opts.tls))
        return -EINVAL;
#else
    if (server->opts.tls)
        return -ENOSYS;
#endif
    return bide_serve(host, port, bide__http_connection_main, server, &server->opts.server,
                      &server->listener);
}

int bide_http_serve(bide_http_app *app, const char *host, unsigned port,
                    const struct bide_http_server_opts *opts, bide_http_server **ret_server)
{
    struct bide_http_server_opts all;
    bide_http_server *server;
    if (!app || !ret_server)
        return -EINVAL;
    int rc = whole_opts(opts, &all);
    if (rc < 0)
        return rc;
    if (!bide_current_task())
        return -BIDE_ENOTASK;
    rc = server_new(app, &all, &server);
    if (rc < 0)
        return rc;
    rc = bide__http_app_begin(app);
    if (rc == 0) {
        rc = server_listen(server, host, port);
        if (rc < 0)
            (void)bide__http_app_end(app);
    }
    if (rc < 0) {
        server_delete(server);
        return rc;
    }
    server->is_freed = false;
    *ret_server = server;
    return 0;
}

unsigned bide_http_server_port(const bide_http_server *server)
{
    return server ? bide_server_port(server->listener) : 0;
}

size_t bide_http_server_connections(const bide_http_server *server)
{
    return server ? bide_server_connections(server->listener) : 0;
}

/* The end */

static int grace_over(void *data)
{
    bide_http_server *server = data;
    bide_server_cancel(server->listener);
    return 0;
}

int bide_http_server_close(bide_http_server *server)
{
    if (!server)
        return -EINVAL;
    if (server->is_closing)
        return 0;
    server->is_closing = true;
    bide_server_close(server->listener);
    bide__list_each(node, &server->peers)
    {
        struct bide__http_peer *peer = bide__container(node, struct bide__http_peer, node);
        struct bide__http_upgrade *upgrade = peer->connection ? peer->connection->upgrade : NULL;
        if (peer->is_idle) {
            peer->is_woken = true;
            bide_cancel(peer->task);
        } else if (upgrade) {
            upgrade->closing(upgrade);
        }
    }
    double seconds = server->opts.grace_seconds;
    if (isinf(seconds))
        return 1;
    if (bide_loop_call_later(server->loop, seconds, grace_over, server, NULL, &server->grace) < 0)
        bide_server_cancel(server->listener);
    return 1;
}

int bide_http_server_forever(bide_http_server *server)
{
    if (!server)
        return -EINVAL;
    int rc = bide_server_forever(server->listener);
    if (rc == -ECANCELED)
        bide_http_server_close(server);
    return rc;
}

int bide_http_server_wait_closed(bide_http_server *server)
{
    return server ? bide_server_wait_closed(server->listener) : -EINVAL;
}

int bide_http_server_free(bide_http_server *server)
{
    if (!server)
        return 0;
    if (!server->loop) {
        bide_server_free(server->listener);
        server_delete(server);
        return 0;
    }
    server->is_freed = true;
    bide_http_server_close(server);
    int rc = bide_server_wait_closed(server->listener);
    if (rc < 0) {
        bide_server_cancel(server->listener);
        int waited = bide_shielded(INFINITY, bide_server_wait_closed(server->listener));
        rc = waited < 0 ? waited : rc;
    }
    if (server->grace)
        bide_handle_cancel(server->grace);
    int stopped = bide__http_app_end(server->app);
    bide_server_free(server->listener);
    server_delete(server);
    return rc < 0 ? rc : stopped;
}

/* A program's main */

static const int signals[] = {SIGINT, SIGTERM};

struct until_signal {
    bide_http_server *server;
    bool is_second;
};

static int signal_came(void *data)
{
    struct until_signal *until = data;
    if (!until->server)
        return 0;
    if (until->is_second)
        bide_server_cancel(until->server->listener);
    until->is_second = true;
    bide_http_server_close(until->server);
    return 0;
}

static void print_address(const bide_http_server *server)
{
    struct bide_address addresses[8];
    size_t n = bide_server_addresses(server->listener, addresses, 8);
    for (size_t i = 0; i < n && i < 8; i++) {
        char text[BIDE_ADDRESS_TEXT_SIZE];
        bide_address_print(&addresses[i], text, sizeof text);
        fprintf(stderr, "Serving on http%s://%s\n", server->opts.tls ? "s" : "", text);
    }
}

int bide_http_serve_until_signal(bide_http_app *app, const char *host, unsigned port,
                                 const struct bide_http_server_opts *opts)
{
    struct until_signal *until = calloc(1, sizeof *until);
    if (!until)
        return -ENOMEM;
    bide_loop *loop = bide_loop_current();
    bool is_told = bide__worker_has_signals(); /* by a cancel */
    int rc = bide_http_serve(app, host, port, opts, &until->server);
    for (size_t i = 0; i < 2 && rc == 0 && !is_told; i++)
        rc = bide_loop_add_signal_handler(loop, signals[i], signal_came, until, NULL);
    if (rc == 0) {
        if (bide_worker_index() == 0)
            print_address(until->server);
        rc = bide_http_server_forever(until->server);
    }
    int freed = is_told ? bide_shielded(INFINITY, bide_http_server_free(until->server))
                        : bide_http_server_free(until->server);
    until->server = NULL;
    for (size_t i = 0; i < 2 && loop && !is_told; i++)
        bide_loop_remove_signal_handler(loop, signals[i]);
    free(until);
    return rc < 0 ? rc : freed;
}
