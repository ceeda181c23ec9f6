/*
 * What the tests of TLS as a socket share: an engine without a loop, both ends of a connection as
 * filters, and what moves bytes between them.
 *
 * The engine is the one that BIDE_ENGINE names; the same claims hold for each.
 */
#ifndef BIDE_TEST_TLS_SOCK_RIG_H
#define BIDE_TEST_TLS_SOCK_RIG_H

#include "engine_rig.h"
#include "tls/filter.h"
#include "tls_certs.h"

#define RIG_UNUSED __attribute__((unused))

enum { KIB = 1024, MIB = 1024 * 1024 };

static RIG_UNUSED bide_tls_context *client_context_with(struct bide_tls_client_opts opts)
{
    bide_tls_context *context = NULL;
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

static RIG_UNUSED struct bide_sock *filter_over(struct bide_engine *engine, struct bide_sock *lower,
                                                bide_tls_context *context, const char *name)
{
    struct bide__tls_filter *filter;
    CHECK_INT(bide__tls_filter_new(NULL, engine, lower, context, name, 443, &filter), 0);
    return &filter->base;
}

/* Both ends of a connection; the contexts are given up. */
struct ends {
    struct bide_sock *client, *server;
};

/* The end of what is being closed comes from poll(). */
static RIG_UNUSED void turn_once(struct bide_engine *engine)
{
    engine->ops->poll(engine, 1);
}

static RIG_UNUSED struct ends ends_over(struct bide_engine *engine, struct bide_sock *lower[2],
                                        bide_tls_context *client, bide_tls_context *server,
                                        const char *name)
{
    struct ends ends = {filter_over(engine, lower[0], client, name),
                        filter_over(engine, lower[1], server, NULL)};
    bide_tls_unref(client);
    bide_tls_unref(server);
    return ends;
}

static RIG_UNUSED void lower_pair(struct bide_engine *engine, struct bide_sock *lower[2])
{
    int fds[2];
    int bytes = 64 * KIB; /* or the kernel may take whatever a test sends */
    rig_tcp(fds);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
        CHECK_INT(setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    }
    for (int i = 0; i < 2; i++)
        CHECK_INT(engine->ops->sock_adopt(engine, fds[i], BIDE_ADOPT_STREAM, &lower[i]), 0);
}

static RIG_UNUSED struct ends ends_new(struct bide_engine *engine)
{
    struct bide_sock *lower[2];
    lower_pair(engine, lower);
    return ends_over(engine, lower, client_context(), server_context(), "a.test");
}

/* Shakes hands; the results of both ends. */
static RIG_UNUSED void ends_shake(struct bide_engine *engine, struct ends *ends, int results[2])
{
    struct rig_op ops[2];
    struct bide_sock *socks[2] = {ends->client, ends->server};
    for (int i = 0; i < 2; i++) {
        rig_op_init(&ops[i]);
        CHECK_INT(socks[i]->engine->ops->connect(socks[i], &ops[i].op, NULL, 0), BIDE_PENDING);
        CHECK_INT(ops[i].n_ends, 0);
    }
    for (int i = 0; i < 2; i++) {
        rig_turn_until(engine, &ops[i].n_ends, 1);
        results[i] = ops[i].result;
    }
}

static RIG_UNUSED void ends_connect(struct bide_engine *engine, struct ends *ends)
{
    int results[2];
    ends_shake(engine, ends, results);
    CHECK_INT(results[0], 0);
    CHECK_INT(results[1], 0);
}

static RIG_UNUSED void ends_close(struct bide_engine *engine, struct ends *ends)
{
    ends->client->engine->ops->sock_close(ends->client);
    ends->server->engine->ops->sock_close(ends->server);
    for (int i = 0; i < 3; i++)
        turn_once(engine);
}

/* What is sent and what is received, on an engine's turns. */

static RIG_UNUSED int sock_send(struct bide_engine *engine, struct bide_sock *sock,
                                const void *data, size_t size)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct rig_op op;
    rig_op_init(&op);
    return rig_result(engine, &op, sock->engine->ops->send(sock, &op.op, &iov, 1));
}

static RIG_UNUSED ssize_t sock_recv(struct bide_engine *engine, struct bide_sock *sock,
                                    void *buffer, size_t size)
{
    for (;;) {
        ssize_t n = sock->engine->ops->try_recv(sock, buffer, size);
        if (n != -EAGAIN)
            return n;
        struct rig_op op;
        rig_op_init(&op);
        int rc = rig_result(engine, &op, sock->engine->ops->recv_wait(sock, &op.op));
        CHECK_INT(rc, 0);
    }
}

static RIG_UNUSED void sock_recv_exactly(struct bide_engine *engine, struct bide_sock *sock,
                                         void *buffer, size_t size)
{
    for (size_t n_done = 0; n_done < size;) {
        ssize_t n = sock_recv(engine, sock, (char *)buffer + n_done, size - n_done);
        CHECK_RANGE(n, 1, size - n_done);
        n_done += (size_t)n;
    }
}

static RIG_UNUSED char pattern_at(size_t i)
{
    return (char)((i * 2654435761u) >> 13);
}

static RIG_UNUSED void pattern_fill(char *buffer, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer[i] = pattern_at(from + i);
}

static RIG_UNUSED void pattern_check(const char *buffer, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (buffer[i] != pattern_at(from + i))
            FAIL("byte %zu is wrong", from + i);
}

#endif
