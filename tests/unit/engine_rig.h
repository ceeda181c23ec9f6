/*
 * What the tests of the engines share: an engine, operations that count their ends, pairs of
 * connected sockets of which the engine has one end and the test the other, and ways to turn the
 * loop until something happened or until it would have.
 *
 * The engine is the one that BIDE_ENGINE names; the same claims hold for each.
 */
#ifndef BIDE_TEST_ENGINE_RIG_H
#define BIDE_TEST_ENGINE_RIG_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/engine.h"
#include "test.h"

#define SECOND_NS INT64_C(1000000000)

/* An operation that counts its ends. */
struct rig_op {
    struct bide_op op;
    int n_ends;
    int result; /* of the last end */
};

static inline void rig_op_done(struct bide_op *op)
{
    struct rig_op *rig = (struct rig_op *)op;
    rig->n_ends++;
    rig->result = op->result;
}

static inline void rig_op_init(struct rig_op *op)
{
    *op = (struct rig_op){.op.done = rig_op_done, .result = 12345};
}

static inline struct bide_engine *rig_open_with(const struct bide_engine_opts *opts)
{
    struct bide_engine *engine = NULL;
    CHECK_INT(bide__engine_open(NULL, opts, &engine), 0);
    return engine;
}

static inline struct bide_engine *rig_open(void)
{
    return rig_open_with(NULL);
}

static inline void rig_close(struct bide_engine *engine)
{
    engine->ops->close(engine, 10 * SECOND_NS);
}

static inline bool rig_is(const struct bide_engine *engine, const char *name)
{
    return strcmp(engine->ops->name, name) == 0;
}

/* One poll that must not run into its deadline unless it was woken; returns the number of calls. */
static inline int rig_turn(struct bide_engine *engine)
{
    int64_t deadline_ns = engine->ops->now_ns(engine) + 20 * SECOND_NS;
    int n = engine->ops->poll(engine, deadline_ns);
    CHECK(n >= 0);
    CHECK(engine->ops->now_ns(engine) < deadline_ns);
    return n;
}

static inline void rig_turn_until(struct bide_engine *engine, const int *count, int target)
{
    while (*count < target)
        rig_turn(engine);
    CHECK_INT(*count, target);
}

static inline void rig_end(struct bide_engine *engine, struct rig_op *op)
{
    rig_turn_until(engine, &op->n_ends, op->n_ends + 1);
}

/* What a start returned, or the result after its end: for whoever does not care which. */
static inline int rig_result(struct bide_engine *engine, struct rig_op *op, int started)
{
    if (started != BIDE_PENDING)
        return started;
    rig_end(engine, op);
    return op->result;
}

static inline void rig_set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0);
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    CHECK_INT(fcntl(fd, F_SETFL, flags), 0);
}

/* A connected pair of the kernel's TCP sockets on loopback, both blocking. */
static inline void rig_tcp(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(listener, 1), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fds[0], (struct sockaddr *)&address, length), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fds[1] >= 0);
    close(listener);
    int yes = 1;
    CHECK_INT(setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)), 0);
    CHECK_INT(setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)), 0);
}

/* The engine's end, and the test's (blocking). */
struct rig_pair {
    struct bide_sock *sock;
    int peer;
};

static inline struct rig_pair rig_adopt_pair(struct bide_engine *engine, const int fds[2])
{
    struct rig_pair pair = {.peer = fds[1]};
    CHECK_INT(engine->ops->sock_adopt(engine, fds[0], BIDE_ADOPT_ANY, &pair.sock), 0);
    return pair;
}

static inline struct rig_pair rig_tcp_pair(struct bide_engine *engine)
{
    int fds[2];
    rig_tcp(fds);
    return rig_adopt_pair(engine, fds);
}

static inline struct rig_pair rig_unix_pair(struct bide_engine *engine)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return rig_adopt_pair(engine, fds);
}

static inline void rig_pair_close(struct rig_pair *pair)
{
    pair->sock->engine->ops->sock_close(pair->sock);
    if (pair->peer >= 0)
        close(pair->peer);
}

static inline void rig_write(int fd, const void *data, size_t size)
{
    CHECK_INT(send(fd, data, size, MSG_NOSIGNAL), size);
}

/* Closes so that the other end sees a reset. */
static inline void rig_reset(int fd)
{
    struct linger now = {.l_onoff = 1};
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
}

/* Waits for at least one byte, the end or an error; what try_recv() answers. */
static inline ssize_t rig_recv(struct bide_sock *sock, void *buffer, size_t size)
{
    struct bide_engine *engine = sock->engine;
    for (;;) {
        ssize_t n = engine->ops->try_recv(sock, buffer, size);
        if (n != -EAGAIN)
            return n;
        struct rig_op wait;
        rig_op_init(&wait);
        CHECK_INT(rig_result(engine, &wait, engine->ops->recv_wait(sock, &wait.op)), 0);
    }
}

static inline void rig_recv_exactly(struct bide_sock *sock, void *buffer, size_t size)
{
    for (size_t n_done = 0; n_done < size;) {
        ssize_t n = rig_recv(sock, (char *)buffer + n_done, size - n_done);
        CHECK(n > 0);
        n_done += (size_t)n;
    }
}

/*
 * Everything that the kernel had to tell about what was done before has reached the engine: a byte
 * that was sent later, on a connection of the same kind, arrives.
 */
static inline void rig_settle(struct bide_engine *engine)
{
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op wait;
    rig_op_init(&wait);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(engine->ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
        rig_write(pair.peer, "x", 1);
        rig_end(engine, &wait);
        char byte;
        CHECK_INT(engine->ops->try_recv(pair.sock, &byte, 1), 1);
    }
    rig_pair_close(&pair);
}

static inline struct bide_sock *rig_listen(struct bide_engine *engine, int family, int backlog,
                                           struct sockaddr_storage *ret_address,
                                           socklen_t *ret_length)
{
    struct bide_sock *sock;
    CHECK_INT(engine->ops->sock_open(engine, family, SOCK_STREAM, 0, &sock), 0);
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    socklen_t length = sizeof(sa_family_t); /* AF_UNIX: the kernel picks an abstract name */
    if (family == AF_INET) {
        ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        length = sizeof(struct sockaddr_in);
    } else if (family == AF_INET6) {
        ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
        length = sizeof(struct sockaddr_in6);
    }
    CHECK_INT(engine->ops->sock_bind(sock, (struct sockaddr *)&address, length), 0);
    CHECK_INT(engine->ops->sock_listen(sock, backlog), 0);
    *ret_length = sizeof(*ret_address);
    CHECK_INT(engine->ops->sock_name(sock, false, (struct sockaddr *)ret_address, ret_length), 0);
    return sock;
}

/* How many descriptors this process has open. */
static inline int rig_count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder);
    int n = 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

#endif
