/*
 * What the tests of TLS streams share: contexts with certificates of the test's own, connections of
 * which bide has both ends, and coroutines around the calls under test.
 */
#ifndef BIDE_TEST_TLS_RIG_H
#define BIDE_TEST_TLS_RIG_H

#include <bide/tls.h>

#include "stream_rig.h"
#include "tls_certs.h"

static RIG_UNUSED bide_tls_context *client_context_with(struct bide_tls_client_opts opts)
{
    bide_tls_context *context = NULL;
    if (!opts.trust.ca_pem && !opts.trust.ca_file)
        opts.trust.ca_pem = tls_cert_pem(tls_certs()->root);
    CHECK_INT(bide_tls_client_new(&opts, &context), 0);
    return context;
}

static RIG_UNUSED bide_tls_context *client_context(void)
{
    return client_context_with((struct bide_tls_client_opts){0});
}

static RIG_UNUSED bide_tls_context *server_context_with(struct bide_tls_server_opts opts)
{
    bide_tls_context *context = NULL;
    struct bide_tls_identity identity = {.cert_pem = tls_certs()->chain,
                                         .key_pem = tls_cert_key_pem(tls_certs()->leaf)};
    if (!opts.identities) {
        opts.identities = &identity;
        opts.n_identities = 1;
    }
    CHECK_INT(bide_tls_server_new(&opts, &context), 0);
    return context;
}

static RIG_UNUSED bide_tls_context *server_context(void)
{
    return server_context_with((struct bide_tls_server_opts){0});
}

/* A context that shows this certificate, with the chain that `pem` is. */
static RIG_UNUSED bide_tls_context *server_showing(const struct tls_cert *cert, const char *pem)
{
    struct bide_tls_identity identity = {.cert_pem = pem, .key_pem = tls_cert_key_pem(cert)};
    return server_context_with(
        (struct bide_tls_server_opts){.identities = &identity, .n_identities = 1});
}

/* The calls under test as coroutines. */

static RIG_UNUSED bide_async(starts_client, (bide_stream *, stream), (bide_tls_context *, context),
                             (const char *, name))
{
    struct bide_tls_opts opts = {.server_name = name};
    return bide_tls_start_client(stream, context, &opts);
}

static RIG_UNUSED bide_async(starts_server, (bide_stream *, stream), (bide_tls_context *, context))
{
    return bide_tls_start_server(stream, context, NULL);
}

/* Both ends of a connection as streams. */
struct ends {
    bide_stream *client, *server;
};

static RIG_UNUSED struct ends ends_plain_with(const struct bide_stream_opts *opts, int kernel_bytes)
{
    int fds[2];
    struct ends ends;
    connection_open(fds, kernel_bytes);
    CHECK_INT(bide_stream_adopt(fds[0], opts, &ends.client), 0);
    CHECK_INT(bide_stream_adopt(fds[1], opts, &ends.server), 0);
    return ends;
}

static RIG_UNUSED struct ends ends_plain(void)
{
    return ends_plain_with(NULL, 0);
}

/* The words that the ends' handshakes left. */
static char client_words[512], server_words[512];

/* Shakes hands; results: the client's, the server's. */
static RIG_UNUSED void ends_shake(const struct ends *ends, bide_tls_context *client,
                                  bide_tls_context *server, const char *name, int results[2])
{
    bide_task *one = bide_spawn(starts_client, ends->client, client, name);
    bide_task *other = bide_spawn(starts_server, ends->server, server);
    results[0] = bide_await(one);
    snprintf(client_words, sizeof client_words, "%s", results[0] < 0 ? bide_error_detail() : "");
    results[1] = bide_await(other);
    snprintf(server_words, sizeof server_words, "%s", results[1] < 0 ? bide_error_detail() : "");
}

static RIG_UNUSED void ends_secure(const struct ends *ends, bide_tls_context *client,
                                   bide_tls_context *server, const char *name)
{
    int results[2];
    ends_shake(ends, client, server, name, results);
    CHECK_STR(client_words, "");
    CHECK_STR(server_words, "");
    CHECK_INT(results[0], 0);
    CHECK_INT(results[1], 0);
}

/* A connection that speaks TLS. */
static RIG_UNUSED struct ends ends_open_with(const struct bide_stream_opts *opts, int kernel_bytes)
{
    struct ends ends = ends_plain_with(opts, kernel_bytes);
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_context();
    ends_secure(&ends, client, server, "a.test");
    bide_tls_unref(client);
    bide_tls_unref(server);
    return ends;
}

static RIG_UNUSED struct ends ends_open(void)
{
    return ends_open_with(NULL, 0);
}

static RIG_UNUSED void ends_abort(const struct ends *ends)
{
    bide_abort(ends->client);
    bide_abort(ends->server);
    bide_close(ends->client);
    bide_close(ends->server);
}

/* Says it and sees it arrive. */
static RIG_UNUSED void passes(bide_stream *from, bide_stream *to, const char *text)
{
    char got[64] = "";
    CHECK(strlen(text) < sizeof got);
    CHECK_INT(bide_write(from, text, strlen(text)), 0);
    CHECK_INT(bide_read_exactly(to, got, strlen(text)), strlen(text));
    CHECK_STR(got, text);
}

#endif
