/*
 * What the tests of HTTP servers over TLS share: servers with a certificate of the test's own,
 * clients of bytes that speak TLS, and plain ones that do not finish it.
 */
#ifndef BIDE_TEST_HTTPS_RIG_H
#define BIDE_TEST_HTTPS_RIG_H

#include <bide/http_client.h>

#include "http_rig.h"
#include "tls_rig.h"

static bide_tls_context *https_servers, *https_clients;

static const char *const https_alpn[] = {"http/1.1", NULL};

/* Contexts for both sides, and the server. NULL: defaults. */
static RIG_UNUSED void https_begin_with(const struct bide_http_server_opts *opts,
                                        const struct bide_tls_server_opts *tls)
{
    struct bide_http_server_opts all = opts ? *opts : (struct bide_http_server_opts){0};
    struct bide_tls_server_opts all_tls = tls ? *tls : (struct bide_tls_server_opts){0};
    all_tls.alpn = https_alpn;
    https_servers = server_context_with(all_tls);
    https_clients = client_context_with((struct bide_tls_client_opts){.alpn = https_alpn});
    all.tls = https_servers;
    http_begin(&all);
}

static RIG_UNUSED void https_begin(const struct bide_http_server_opts *opts)
{
    https_begin_with(opts, NULL);
}

static RIG_UNUSED void https_end(void)
{
    http_end();
    bide_tls_unref(https_servers);
    bide_tls_unref(https_clients);
}

/* A connection that speaks TLS. */
static RIG_UNUSED bide_stream *https_connect(void)
{
    bide_stream *stream;
    CHECK_INT(bide_tls_connect("127.0.0.1", bide_http_server_port(rig_server), https_clients, NULL,
                               &stream),
              0);
    return stream;
}

/* As http_ask(). */
static RIG_UNUSED const char *https_ask(const char *text)
{
    bide_stream *stream = https_connect();
    http_say(stream, text);
    const char *answer = http_hear(stream);
    bide_abort(stream);
    bide_close(stream);
    return answer;
}

static RIG_UNUSED const char *https_get(const char *path)
{
    char text[512];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path);
    return https_ask(text);
}

/* How many connections the server has in the end. */
static RIG_UNUSED void https_until_connections(size_t n)
{
    while (bide_http_server_connections(rig_server) != n)
        turns(1);
}

/* The connection ends without TCP's reset and without the end of the session. */
static RIG_UNUSED void https_cut(bide_stream *stream)
{
    CHECK_INT(bide_drain(stream), 0);
    CHECK_INT(shutdown(bide_stream_fd(stream), SHUT_RDWR), 0);
}

#endif
