/* TLS on streams: beginning it as a client, as a server, for a connection that is made for it, and
 * for every connection of a server. */
#include "io/server.h"
#include "io/upgrade.h"
#include "runtime/task.h"
#include "tls/filter.h"

#include <bide/timeout.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define CLIENT_SECONDS_DEFAULT 60.0
#define SERVER_SECONDS_DEFAULT 10.0

/* What a filter is made of, and what it said in the end. */
struct start {
    bide_tls_context *context;
    const char *server_name;
    unsigned port;
};

static int wrap(void *data, bide_loop *loop, struct bide_sock *lower, struct bide_sock **ret_sock)
{
    const struct start *start = data;
    struct bide__tls_filter *filter;
    int rc = bide__tls_filter_new(loop, loop->engine, lower, start->context, start->server_name,
                                  start->port, &filter);
    if (rc == 0)
        *ret_sock = &filter->base;
    return rc;
}

static void ended(void *data, struct bide_sock *sock, int rc)
{
    const struct bide__tls_filter *filter = bide__tls_filter_of(sock);
    (void)data;
    if (rc < 0 && filter->error == rc && filter->words)
        bide__detail_set(rc, "%s", filter->words);
}

static const struct bide__upgrade_kind kind = {.wrap = wrap, .ended = ended};

static int start_within(bide_stream *stream, double seconds, struct start *start)
{
    return bide_within(seconds, bide__stream_upgrade(stream, &kind, start));
}

/* What clients share that bring no context. It stays until the process ends. */
static int default_context(bide_tls_context **ret_context)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bide_tls_context *context;
    pthread_mutex_lock(&lock);
    int rc = context ? 0 : bide_tls_client_new(NULL, &context);
    pthread_mutex_unlock(&lock);
    if (rc == 0)
        *ret_context = context;
    return rc;
}

/* 0, or -EINVAL: the context is a server's, or there is no name to check. */
static int client_context(bide_tls_context **context, const char *server_name)
{
    int rc = *context ? 0 : default_context(context);
    if (rc < 0)
        return rc;
    bool is_nameless = !server_name || !*server_name;
    return (*context)->is_server || (is_nameless && !(*context)->insecure) ? -EINVAL : 0;
}

static double seconds_of(double seconds, double otherwise)
{
    return seconds == 0 ? otherwise : seconds;
}

int bide_tls_start_client(bide_stream *stream, bide_tls_context *context,
                          const struct bide_tls_opts *opts)
{
    static const struct bide_tls_opts defaults;
    struct bide_address address;
    if (!stream || (opts && !(opts->handshake_seconds >= 0)))
        return -EINVAL;
    opts = opts ? opts : &defaults;
    int rc = client_context(&context, opts->server_name);
    if (rc < 0)
        return rc;
    struct start start = {.context = context, .server_name = opts->server_name};
    if (bide_stream_peer(stream, &address) == 0)
        start.port = bide_address_port(&address);
    return start_within(stream, seconds_of(opts->handshake_seconds, CLIENT_SECONDS_DEFAULT),
                        &start);
}

int bide_tls_start_server(bide_stream *stream, bide_tls_context *context,
                          const struct bide_tls_opts *opts)
{
    if (!stream || !context || !context->is_server || (opts && !(opts->handshake_seconds >= 0)))
        return -EINVAL;
    struct start start = {.context = context};
    return start_within(
        stream, seconds_of(opts ? opts->handshake_seconds : 0, SERVER_SECONDS_DEFAULT), &start);
}

int bide_tls_connect(const char *host, unsigned port, bide_tls_context *context,
                     const struct bide_tls_opts *opts, bide_stream **ret_stream)
{
    bide_stream *stream;
    struct bide_tls_opts all = opts ? *opts : (struct bide_tls_opts){0};
    if (!host || !ret_stream || !(all.handshake_seconds >= 0))
        return -EINVAL;
    if (!all.server_name)
        all.server_name = host;
    int rc = client_context(&context, all.server_name);
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
