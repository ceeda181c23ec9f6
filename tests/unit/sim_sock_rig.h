/*
 * What the tests of simulated sockets share: an engine of a given seed, addresses in words, and
 * pairs of connected sockets of which both ends are the engine's.
 */
#ifndef BIDE_TEST_SIM_SOCK_RIG_H
#define BIDE_TEST_SIM_SOCK_RIG_H

#include <stdio.h>
#include <sys/un.h>

#include "engine_rig.h"
#include "sim_rig.h"

enum { SEEDS = 40 };

static struct bide_engine *engine;
static const struct bide_engine_ops *ops;

static inline void open_seed(uint64_t seed)
{
    struct bide_engine_opts opts = {.seed = seed};
    CHECK_INT(bide__engine_open("sim", &opts, &engine), 0);
    ops = engine->ops;
}

static inline struct bide__sim *sim(void)
{
    return bide__sim_of(engine);
}

/* Polls until nothing is under way. */
static inline void run_dry(void)
{
    int rc;
    do
        rc = ops->poll(engine, BIDE_NO_DEADLINE);
    while (rc >= 0);
    CHECK_INT(rc, -EDEADLK);
}

struct address {
    union {
        struct sockaddr_storage bytes;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un local;
    };
    socklen_t length;
};

static inline struct address address_of(int family, const char *host, unsigned port)
{
    struct address address = {.bytes.ss_family = (sa_family_t)family};
    if (family == AF_INET) {
        CHECK_INT(inet_pton(AF_INET, host, &address.ipv4.sin_addr), 1);
        address.ipv4.sin_port = htons((uint16_t)port);
        address.length = sizeof address.ipv4;
    } else if (family == AF_INET6) {
        CHECK_INT(inet_pton(AF_INET6, host, &address.ipv6.sin6_addr), 1);
        address.ipv6.sin6_port = htons((uint16_t)port);
        address.length = sizeof address.ipv6;
    } else {
        strcpy(address.local.sun_path, host);
        address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(host));
    }
    return address;
}

static inline struct bide_sock *open_sock(int family)
{
    struct bide_sock *sock = NULL;
    CHECK_INT(ops->sock_open(engine, family, SOCK_STREAM, 0, &sock), 0);
    CHECK_INT(sock->fd, -1);
    return sock;
}

static inline int bind_to(struct bide_sock *sock, const struct address *address)
{
    return ops->sock_bind(sock, (const struct sockaddr *)&address->bytes, address->length);
}

static inline struct address name_of(struct bide_sock *sock, bool peer)
{
    struct address address = {.length = sizeof address.bytes};
    CHECK_INT(ops->sock_name(sock, peer, (struct sockaddr *)&address.bytes, &address.length), 0);
    return address;
}

static inline unsigned port_of(struct bide_sock *sock)
{
    struct address address = name_of(sock, false);
    return ntohs(((struct sockaddr_in *)&address.bytes)->sin_port);
}

static inline int begin(struct bide_sock *sock, struct rig_op *op, const struct address *address)
{
    rig_op_init(op);
    return ops->connect(sock, &op->op, (const struct sockaddr *)&address->bytes, address->length);
}

static inline int connect_to(struct bide_sock *sock, const struct address *address)
{
    struct rig_op op;
    int rc = begin(sock, &op, address);
    while (rc == BIDE_PENDING && op.n_ends == 0)
        CHECK(ops->poll(engine, BIDE_NO_DEADLINE) >= 0);
    return rc == BIDE_PENDING ? op.result : rc;
}

static inline struct bide_sock *accept_from(struct bide_sock *listener)
{
    struct bide_sock *sock = NULL;
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(rig_result(engine, &op, ops->accept_wait(listener, &op.op)), 0);
    CHECK_INT(ops->try_accept(listener, &sock), 0);
    return sock;
}

struct pair {
    struct bide_sock *client;
    struct bide_sock *server;
};

static inline struct pair connect_pair(int family)
{
    struct sockaddr_storage name;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, family, 1, &name, &length);
    struct address address = {.bytes = name, .length = length};
    struct pair pair = {.client = open_sock(family)};
    CHECK_INT(connect_to(pair.client, &address), 0);
    pair.server = accept_from(listener);
    ops->sock_close(listener);
    return pair;
}

static inline void close_pair(struct pair *pair)
{
    if (pair->client)
        ops->sock_close(pair->client);
    if (pair->server)
        ops->sock_close(pair->server);
}

static inline ssize_t send_text(struct bide_sock *sock, const char *text)
{
    struct iovec iov = {(char *)(uintptr_t)text, strlen(text)};
    return ops->try_send(sock, &iov, 1);
}

static inline void check_recv(struct bide_sock *sock, const char *text)
{
    char got[64] = "";
    rig_recv_exactly(sock, got, strlen(text));
    CHECK_STR(got, text);
}

static inline ssize_t recv_one(struct bide_sock *sock)
{
    char byte;
    return ops->try_recv(sock, &byte, 1);
}

static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

static inline void check_reset(struct bide_sock *sock, bool send_first)
{
    if (send_first) {
        CHECK_INT(send_text(sock, "x"), -ECONNRESET);
        CHECK_INT(send_text(sock, "x"), -EPIPE);
    }
    for (int i = 0; i < 2; i++) /* both are told, and it is never taken for the end */
        CHECK_INT(recv_one(sock), -ECONNRESET);
    CHECK_INT(send_text(sock, "x"), -EPIPE);
}

#endif
