/* TLS on streams: beginning it as a client, as a server, for a connection that is made for it, and
 * for every connection of a server. */
#include "tls/start.h"
#include "io/net/server.h"
#include "io/stream/upgrade.h"
#include "runtime/task.h"
#include "tls/filter.h"

#include <bide/timeout.h>

#include <errno.h>
#include <stdlib.h>

#define CLIENT_SECONDS_DEFAULT 60.0
#define SERVER_SECONDS_DEFAULT 10.0

int bide__tls_wrap(const struct bide__tls_start *start, bide_loop *loop, struct bide_sock *lower,
                   struct bide_sock **ret_sock)
{
    struct bide__tls_filter *filter;
    int rc = bide__tls_filter_new(loop, loop->engine, lower, start->context, start->server_name,
                                  start->port, &filter);
    if (rc == 0)
        *ret_sock = &filter->base;
    return rc;
}

static int wrap(void *data, bide_loop *loop, struct bide_sock *lower, struct bide_sock **ret_sock)
{
    return bide__tls_wrap(data, loop, lower, ret_sock);
}

static void ended(void *data, struct bide_sock *sock, int rc)
{
    const struct bide__tls_filter *filter = bide__tls_filter_of(sock);
    (void)data;
    if (rc < 0 && filter->error == rc && filter->words)
        bide__detail_set(rc, "%s", filter->words);
}

static const struct bide__upgrade_kind kind = {.wrap = wrap, .ended = ended};

static int start_within(bide_stream *stream, double seconds, struct bide__tls_start *start)
{
    return bide_within(seconds, bide__stream_upgrade(stream, &kind, start));
}

/* 0, or -EINVAL: the context is a server's, or there is no name to check. */
static int check_client(const bide_tls_context *context, const char *server_name)
{
    bool is_nameless = !server_name || !*server_name;
    bool is_insecure = context && context->insecure;
    bool is_servers = context && context->is_server;
    return is_servers || (is_nameless && !is_insecure) ? -EINVAL : 0;
}

static int seconds_take(const struct bide_tls_opts *opts, double otherwise, double *ret_seconds)
{
    double seconds = opts ? opts->handshake_seconds : 0;
    *ret_seconds = seconds == 0 ? otherwise : seconds;
    return seconds >= 0 ? 0 : -EINVAL;
}

int bide__tls_start_client(bide_tls_context *context, const struct bide_tls_opts *opts,
                           struct bide__tls_start *ret_start, double *ret_seconds)
{
    const char *server_name = opts ? opts->server_name : NULL;
    int rc = seconds_take(opts, CLIENT_SECONDS_DEFAULT, ret_seconds);
    if (rc == 0)
        rc = check_client(context, server_name);
    if (rc == 0)
        *ret_start = (struct bide__tls_start){.context = context, .server_name = server_name};
    return rc;
}

int bide__tls_start_server(bide_tls_context *context, const struct bide_tls_opts *opts,
                           struct bide__tls_start *ret_start, double *ret_seconds)
{
    if (!context || !context->is_server)
        return -EINVAL;
    *ret_start = (struct bide__tls_start){.context = context};
    return seconds_take(opts, SERVER_SECONDS_DEFAULT, ret_seconds);
}

int bide_tls_start_client(bide_stream *stream, bide_tls_context *context,
                          const struct bide_tls_opts *opts)
{
    struct bide__tls_start start;
    struct bide_address address;
    double seconds;
    int rc = stream ? bide__tls_start_client(context, opts, &start, &seconds) : -EINVAL;
    if (rc < 0)
        return rc;
    if (bide_stream_peer(stream, &address) == 0)
        start.port = bide_address_port(&address);
    return start_within(stream, seconds, &start);
}

int bide_tls_start_server(bide_stream *stream, bide_tls_context *context,
                          const struct bide_tls_opts *opts)
{
    struct bide__tls_start start;
    double seconds;
    int rc = stream ? bide__tls_start_server(context, opts, &start, &seconds) : -EINVAL;
    return rc < 0 ? rc : start_within(stream, seconds, &start);
}

int bide_tls_connect(const char *host, unsigned port, bide_tls_context *context,
                     const struct bide_tls_opts *opts, bide_stream **ret_stream)
{
    bide_stream *stream = NULL;
    struct bide_tls_opts all = opts ? *opts : (struct bide_tls_opts){0};
    if (!host || !ret_stream || !(all.handshake_seconds >= 0))
        return -EINVAL;
    if (!all.server_name)
        all.server_name = host;
    int rc = check_client(context, all.server_name);
    if (rc == 0 && !context)
        rc = bide__tls_shared_await(BIDE__TLS_SHARED_PLAIN, &context);
    if (rc == 0)
        rc = bide_connect(host, port, &all.connect, &stream);
    if (rc < 0)
        return rc;
    rc = bide_tls_start_client(stream, context, &all);
    if (rc == 0) {
        *ret_stream = stream;
        return 0;
    }
    bide_close(stream); /* it is torn: there is nothing to wait for */
    return rc;
}

/* A server's, for each of its connections. */
struct served {
    bide_tls_context *context;
    bide_handler *handler;
    void *data;
    struct bide_tls_opts opts;
    void (*refused)(bide_stream *stream, int error, void *data);
};

static int serve_one(bide_stream *stream, void *data)
{
    const struct served *served = data;
    int rc = bide_tls_start_server(stream, served->context, &served->opts);
    if (rc < 0) {
        if (served->refused)
            served->refused(stream, rc, served->data);
        return rc == -ENOMEM || rc == -ECANCELED ? rc : -ECONNABORTED;
    }
    rc = served->handler(stream, served->data);
    return rc == -BIDE_ETRUNCATED || rc == -BIDE_ETLS ? -ECONNRESET : rc; /* a usual end */
}

static void served_free(void *data)
{
    struct served *served = data;
    bide_tls_unref(served->context);
    free(served);
}

int bide_tls_serve(const char *host, unsigned port, bide_tls_context *context,
                   bide_handler *handler, void *data, const struct bide_tls_serve_opts *opts,
                   bide_server **ret_server)
{
    static const struct bide_tls_serve_opts defaults;
    opts = opts ? opts : &defaults;
    if (!context || !context->is_server || !handler || !(opts->handshake_seconds >= 0))
        return -EINVAL;
    struct served *served = malloc(sizeof *served);
    if (!served)
        return -ENOMEM;
    *served = (struct served){.context = bide_tls_ref(context),
                              .handler = handler,
                              .data = data,
                              .opts.handshake_seconds = opts->handshake_seconds,
                              .refused = opts->refused};
    int rc = bide__serve(host, port, serve_one, served, served_free, &opts->server, ret_server);
    if (rc < 0)
        served_free(served);
    return rc;
}
