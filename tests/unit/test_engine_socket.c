/*
 * Scenario: connections between the engine and the kernel, or between two of the engine's sockets.
 * Claim: what engine.h says of sockets and of waiting for them: data arrives whole and in order,
 * ends and resets are told apart, and nothing is reported before it is so.
 */
#include "engine_rig.h"

#include <pthread.h>
#include <stdio.h>

static struct bide_sock *accept_one(struct bide_sock *listener)
{
    const struct bide_engine_ops *ops = listener->engine->ops;
    for (;;) {
        struct bide_sock *sock;
        int rc = ops->try_accept(listener, &sock);
        if (rc == 0)
            return sock;
        CHECK_INT(rc, -EAGAIN);
        struct rig_op wait;
        rig_op_init(&wait);
        CHECK_INT(rig_result(listener->engine, &wait, ops->accept_wait(listener, &wait.op)), 0);
    }
}

static void send_all(struct bide_sock *sock, const void *data, size_t size)
{
    struct rig_op op;
    rig_op_init(&op);
    struct iovec iov = {(void *)data, size};
    struct bide_engine *engine = sock->engine;
    CHECK_INT(rig_result(engine, &op, engine->ops->send(sock, &op.op, &iov, 1)), 0);
    CHECK_INT(op.op.n_done, size);
}

static void connect_and_talk(int family)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, family, 16, &address, &length);

    struct bide_sock *client;
    CHECK_INT(ops->sock_open(engine, family, SOCK_STREAM, 0, &client), 0);
    struct rig_op connecting;
    rig_op_init(&connecting);
    int rc = ops->connect(client, &connecting.op, (struct sockaddr *)&address, length);
    CHECK_INT(rig_result(engine, &connecting, rc), 0);
    struct bide_sock *server = accept_one(listener);

    struct sockaddr_storage names[2];
    socklen_t name_length = sizeof(names[0]);
    CHECK_INT(ops->sock_name(client, true, (struct sockaddr *)&names[0], &name_length), 0);
    CHECK_INT(name_length, length);
    CHECK_MEM(&names[0], &address, length);

    for (int i = 0; i < 10; i++) {
        char text[32];
        char got[32];
        int size = snprintf(text, sizeof(text), "message %d", i) + 1;
        send_all(client, text, (size_t)size);
        rig_recv_exactly(server, got, (size_t)size);
        CHECK_STR(got, text);
        send_all(server, got, (size_t)size);
        memset(got, 0, sizeof(got));
        rig_recv_exactly(client, got, (size_t)size);
        CHECK_STR(got, text);
    }
    ops->sock_close(client);
    char byte;
    CHECK_INT(rig_recv(server, &byte, 1), 0);
    ops->sock_close(server);
    ops->sock_close(listener);
    rig_close(engine);
}

BIDE_TEST(ipv4_connections_carry_data_both_ways)
{
    connect_and_talk(AF_INET);
}

BIDE_TEST(ipv6_connections_carry_data_both_ways)
{
    connect_and_talk(AF_INET6);
}

BIDE_TEST(unix_connections_carry_data_both_ways)
{
    connect_and_talk(AF_UNIX);
}

BIDE_TEST(a_wait_for_input_ends_when_there_is_some_and_not_before)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct rig_pair pairs[2] = {rig_tcp_pair(engine), rig_unix_pair(engine)};
    for (int i = 0; i < 2; i++) {
        struct rig_op wait;
        rig_op_init(&wait);
        char got[8];
        CHECK_INT(ops->try_recv(pairs[i].sock, got, sizeof(got)), -EAGAIN);
        CHECK_INT(ops->recv_wait(pairs[i].sock, &wait.op), BIDE_PENDING);
        CHECK_INT(wait.op.state, BIDE_OP_PENDING);
        rig_settle(engine);
        CHECK_INT(wait.n_ends, 0);
        rig_write(pairs[i].peer, "abc", 3);
        rig_end(engine, &wait);
        CHECK_INT(wait.result, 0);
        CHECK_INT(wait.op.state, BIDE_OP_IDLE);
        CHECK_INT(ops->try_recv(pairs[i].sock, got, sizeof(got)), 3);
        CHECK_MEM(got, "abc", 3);
        CHECK_INT(ops->try_recv(pairs[i].sock, got, sizeof(got)), -EAGAIN);
        /* The next wait is not ended by what was taken already. */
        CHECK_INT(ops->recv_wait(pairs[i].sock, &wait.op), BIDE_PENDING);
        rig_settle(engine);
        CHECK_INT(wait.n_ends, 1);
        rig_write(pairs[i].peer, "d", 1);
        rig_end(engine, &wait);
        rig_pair_close(&pairs[i]);
    }
    rig_close(engine);
}

BIDE_TEST(a_wait_after_a_buffer_was_filled_exactly_needs_new_data)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    char got[4];
    for (int i = 0; i < 3; i++) {
        rig_write(pair.peer, "four", 4);
        rig_recv_exactly(pair.sock, got, sizeof(got));
        struct rig_op wait;
        rig_op_init(&wait);
        CHECK_INT(engine->ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
        rig_settle(engine);
        CHECK_INT(wait.n_ends, 0);
        rig_write(pair.peer, "x", 1);
        rig_end(engine, &wait);
        rig_recv_exactly(pair.sock, got, 1);
    }
    rig_pair_close(&pair);
    rig_close(engine);
}

BIDE_TEST(small_reads_take_all_that_came)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct rig_pair pair = rig_tcp_pair(engine);
    rig_write(pair.peer, "0123456789", 10);
    char got[10];
    CHECK_INT(rig_recv(pair.sock, got, 1), 1);
    for (int i = 1; i < 9; i++)
        CHECK_INT(ops->try_recv(pair.sock, got + i, 1), 1);
    char rest[100];
    CHECK_INT(ops->try_recv(pair.sock, rest, sizeof(rest)), 1);
    got[9] = rest[0];
    CHECK_MEM(got, "0123456789", 10);
    CHECK_INT(ops->try_recv(pair.sock, rest, sizeof(rest)), -EAGAIN);
    rig_pair_close(&pair);
    rig_close(engine);
}

BIDE_TEST(the_end_comes_after_the_data_and_stays)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    for (int waits_first = 0; waits_first < 2; waits_first++) {
        struct rig_pair pair = rig_tcp_pair(engine);
        struct rig_op wait;
        rig_op_init(&wait);
        if (waits_first)
            CHECK_INT(ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
        rig_write(pair.peer, "last words", 10);
        close(pair.peer);
        pair.peer = -1;
        if (waits_first)
            rig_end(engine, &wait);
        char got[64];
        rig_recv_exactly(pair.sock, got, 4);
        CHECK_INT(rig_recv(pair.sock, got + 4, sizeof(got) - 4), 6);
        CHECK_MEM(got, "last words", 10);
        for (int i = 0; i < 3; i++)
            CHECK_INT(rig_recv(pair.sock, got, sizeof(got)), 0);
        CHECK_INT(rig_result(engine, &wait, ops->recv_wait(pair.sock, &wait.op)), 0);
        rig_pair_close(&pair);
    }
    rig_close(engine);
}

BIDE_TEST(the_end_is_seen_also_if_it_comes_after_a_short_read)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct rig_pair pair = rig_tcp_pair(engine);
    char got[64];
    rig_write(pair.peer, "x", 1);
    CHECK_INT(rig_recv(pair.sock, got, sizeof(got)), 1);
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    rig_end(engine, &wait);
    CHECK_INT(ops->try_recv(pair.sock, got, sizeof(got)), 0);
    rig_pair_close(&pair);
    rig_close(engine);
}

BIDE_TEST(half_closed_connections_still_receive)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    send_all(pair.sock, "question", 8);
    CHECK_INT(engine->ops->sock_shutdown(pair.sock, SHUT_WR), 0);
    char got[16];
    CHECK_INT(recv(pair.peer, got, sizeof(got), MSG_WAITALL), 8);
    CHECK_INT(recv(pair.peer, got, sizeof(got), 0), 0);
    rig_write(pair.peer, "answer", 6);
    rig_recv_exactly(pair.sock, got, 6);
    CHECK_MEM(got, "answer", 6);
    struct rig_op op;
    rig_op_init(&op);
    struct iovec iov = {got, 1};
    CHECK_INT(rig_result(engine, &op, engine->ops->send(pair.sock, &op.op, &iov, 1)), -EPIPE);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* Data that lies behind an urgent byte comes without a further event. */
BIDE_TEST(urgent_data_does_not_hide_what_follows)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    for (int i = 0; i < 20; i++) {
        struct rig_op wait;
        rig_op_init(&wait);
        CHECK_INT(engine->ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
        rig_write(pair.peer, "before", 6);
        CHECK_INT(send(pair.peer, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
        rig_write(pair.peer, "after", 5);
        rig_end(engine, &wait);
        char got[64] = "";
        size_t n_got = 0;
        while (n_got < 11) {
            ssize_t n = rig_recv(pair.sock, got + n_got, sizeof(got) - n_got);
            CHECK(n > 0);
            n_got += (size_t)n;
        }
        CHECK_INT(n_got, 11);
        CHECK_MEM(got, "beforeafter", 11);
    }
    rig_pair_close(&pair);
    rig_close(engine);
}

BIDE_TEST(an_urgent_byte_alone_is_no_input)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(engine->ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
    rig_settle(engine);
    CHECK_INT(send(pair.peer, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    rig_settle(engine);
    CHECK_INT(wait.n_ends, 0);
    rig_write(pair.peer, "x", 1);
    rig_end(engine, &wait);
    char got[8];
    CHECK_INT(engine->ops->try_recv(pair.sock, got, sizeof(got)), 1);
    CHECK_INT(got[0], 'x');
    rig_pair_close(&pair);
    rig_close(engine);
}

/* A stream of a Unix socket stops at each message that carries a descriptor. */
BIDE_TEST(messages_with_descriptors_do_not_hide_what_follows)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_unix_pair(engine);
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(engine->ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
    for (int i = 0; i < 3; i++) {
        char byte = (char)('a' + i);
        struct iovec iov = {&byte, 1};
        union {
            char space[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = {.space = {0}};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control.space)};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), &pair.peer, sizeof(int));
        CHECK_INT(sendmsg(pair.peer, &message, MSG_NOSIGNAL), 1);
    }
    rig_end(engine, &wait);
    char got[64];
    size_t n_got = 0;
    while (n_got < 3) {
        ssize_t n = rig_recv(pair.sock, got + n_got, sizeof(got) - n_got);
        CHECK(n > 0);
        n_got += (size_t)n;
    }
    CHECK_MEM(got, "abc", 3);
    rig_pair_close(&pair);
    rig_close(engine);
}

static char pattern(size_t at)
{
    return (char)(at * 7 + at / 251);
}

/* Reads from the test's end what is there, and compares it; returns the new position. */
static size_t drain(int peer, size_t at, int flags)
{
    static _Thread_local char chunk[65536];
    ssize_t n = recv(peer, chunk, sizeof(chunk), flags);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        return at;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (chunk[i] != pattern(at + (size_t)i))
            FAIL("byte %zu differs", at + (size_t)i);
    }
    return at + (size_t)n;
}

struct reader {
    int peer;
    size_t size;
};

static void *read_pattern(void *argument)
{
    struct reader *reader = argument;
    size_t n_got = 0;
    while (n_got < reader->size)
        n_got = drain(reader->peer, n_got, 0);
    CHECK_INT(n_got, reader->size);
    return NULL;
}

static void send_pattern(struct bide_engine *engine, struct rig_pair *pair, size_t size)
{
    char *data = malloc(size);
    CHECK(data);
    for (size_t i = 0; i < size; i++)
        data[i] = pattern(i);
    struct iovec iov[16];
    size_t at = 0;
    for (int i = 0; i < 16; i++) { /* some of them empty */
        size_t length = i == 15 ? size - at : i % 3 == 1 ? 0 : size / 20 + (size_t)i;
        iov[i] = (struct iovec){data + at, length};
        at += length;
    }
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(engine->ops->send(pair->sock, &op.op, iov, 16), BIDE_PENDING);
    struct reader reader = {pair->peer, size};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, read_pattern, &reader), 0);
    rig_end(engine, &op);
    CHECK_INT(op.result, 0);
    CHECK_INT(op.op.n_done, size);
    CHECK_INT(pthread_join(thread, NULL), 0);
    free(data);
}

BIDE_TEST(large_sends_arrive_whole_and_in_order)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pairs[2] = {rig_tcp_pair(engine), rig_unix_pair(engine)};
    for (int i = 0; i < 2; i++) {
        send_pattern(engine, &pairs[i], 20 * 1000 * 1000 + 1);
        rig_pair_close(&pairs[i]);
    }
    rig_close(engine);
}

BIDE_TEST(sending_nothing_is_done_at_once)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    rig_op_init(&op);
    struct iovec iov[2] = {{NULL, 0}, {NULL, 0}};
    CHECK_INT(rig_result(engine, &op, engine->ops->send(pair.sock, &op.op, iov, 2)), 0);
    CHECK_INT(rig_result(engine, &op, engine->ops->send(pair.sock, &op.op, iov, 0)), 0);
    CHECK_INT(op.op.n_done, 0);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* Immediate sends until the kernel takes no more; then an operation goes on behind them. */
BIDE_TEST(immediate_sends_and_operations_keep_their_order)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct rig_pair pair = rig_tcp_pair(engine);
    char data[1000];
    size_t at = 0;
    for (;;) {
        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = pattern(at + i);
        struct iovec iov = {data, sizeof(data)};
        ssize_t n = ops->try_send(pair.sock, &iov, 1);
        if (n == -EAGAIN)
            break;
        CHECK(n > 0);
        at += (size_t)n;
    }
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = pattern(at + i);
    struct rig_op op;
    rig_op_init(&op);
    struct iovec iov = {data, sizeof(data)};
    int rc = ops->send(pair.sock, &op.op, &iov, 1);
    size_t n_got = 0;
    while (n_got < at + sizeof(data)) {
        n_got = drain(pair.peer, n_got, MSG_DONTWAIT);
        if (rc == BIDE_PENDING && op.n_ends == 0)
            CHECK(ops->poll(engine, 0) >= 0);
    }
    if (rc == BIDE_PENDING)
        CHECK_INT(op.n_ends, 1);
    CHECK_INT(rc == BIDE_PENDING ? op.result : rc, 0);
    CHECK_INT(n_got, at + sizeof(data));
    rig_pair_close(&pair);
    rig_close(engine);
}

static bool means_reset(int rc)
{
    return rc == -ECONNRESET || rc == -EPIPE;
}

BIDE_TEST(a_reset_ends_a_send_in_the_middle)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    size_t size = 30 * 1000 * 1000;
    char *data = calloc(1, size);
    CHECK(data);
    struct rig_op sending;
    rig_op_init(&sending);
    struct iovec iov = {data, size};
    CHECK_INT(engine->ops->send(pair.sock, &sending.op, &iov, 1), BIDE_PENDING);
    CHECK(engine->ops->poll(engine, 0) >= 0);
    rig_reset(pair.peer);
    pair.peer = -1;
    rig_end(engine, &sending);
    CHECK(means_reset(sending.result));
    CHECK(sending.op.n_done < size);
    rig_pair_close(&pair);
    rig_close(engine);
    free(data);
}

/* The kernel tells each error once. Whoever asks second must not take a reset for an orderly end.
 */
BIDE_TEST(a_reset_is_never_taken_for_the_end)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    size_t size = 30 * 1000 * 1000;
    char *data = calloc(1, size);
    CHECK(data);
    struct rig_op sending;
    struct rig_op receiving;
    rig_op_init(&sending);
    rig_op_init(&receiving);
    struct iovec iov = {data, size};
    CHECK_INT(engine->ops->recv_wait(pair.sock, &receiving.op), BIDE_PENDING);
    CHECK_INT(engine->ops->send(pair.sock, &sending.op, &iov, 1), BIDE_PENDING);
    CHECK(engine->ops->poll(engine, 0) >= 0);
    rig_reset(pair.peer);
    pair.peer = -1;
    while (sending.n_ends == 0 || receiving.n_ends == 0)
        rig_turn(engine);
    CHECK(means_reset(sending.result));
    CHECK_INT(receiving.result, 0);
    char byte;
    CHECK_INT(rig_recv(pair.sock, &byte, 1), -ECONNRESET);
    rig_pair_close(&pair);
    rig_close(engine);
    free(data);
}

BIDE_TEST(a_refused_connect_says_so)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 1, &address, &length);
    ops->sock_close(listener); /* nobody listens at that port now */
    struct bide_sock *client;
    CHECK_INT(ops->sock_open(engine, AF_INET, SOCK_STREAM, 0, &client), 0);
    struct rig_op op;
    rig_op_init(&op);
    int rc = ops->connect(client, &op.op, (struct sockaddr *)&address, length);
    CHECK_INT(rig_result(engine, &op, rc), -ECONNREFUSED);
    ops->sock_close(client);
    rig_close(engine);
}

BIDE_TEST(connections_are_accepted_in_order_of_arrival)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 64, &address, &length);
    struct rig_op wait;
    rig_op_init(&wait);
    struct bide_sock *sock;
    CHECK_INT(ops->try_accept(listener, &sock), -EAGAIN);
    CHECK_INT(ops->accept_wait(listener, &wait.op), BIDE_PENDING);
    rig_settle(engine);
    CHECK_INT(wait.n_ends, 0);
    enum { N = 20 };
    int clients[N];
    for (int i = 0; i < N; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(clients[i], (struct sockaddr *)&address, length), 0);
    }
    rig_end(engine, &wait);
    CHECK_INT(wait.result, 0);
    for (int i = 0; i < N; i++) {
        sock = accept_one(listener);
        struct sockaddr_in mine;
        struct sockaddr_in theirs;
        socklen_t size = sizeof(mine);
        CHECK_INT(getsockname(clients[i], (struct sockaddr *)&mine, &size), 0);
        CHECK_INT(ops->sock_name(sock, true, (struct sockaddr *)&theirs, &size), 0);
        CHECK_INT(ntohs(theirs.sin_port), ntohs(mine.sin_port));
        ops->sock_close(sock);
        close(clients[i]);
    }
    CHECK_INT(ops->try_accept(listener, &sock), -EAGAIN);
    ops->sock_close(listener);
    rig_close(engine);
}

/* What the kernel had no room for is not tried again until it has, and then it is. */
BIDE_TEST(immediate_calls_agree_with_waits)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
    static char data[100000];
    struct iovec iov = {data, sizeof(data)};
    size_t n_sent = 0;
    for (ssize_t n; (n = ops->try_send(pair.sock, &iov, 1)) != -EAGAIN; n_sent += (size_t)n) {
        CHECK(n > 0);
        iov = (struct iovec){data, sizeof(data)};
    }
    CHECK_INT(ops->try_send(pair.sock, &iov, 1), -EAGAIN);
    for (size_t n_got = 0; n_got < n_sent;) {
        ssize_t n = recv(pair.peer, data, sizeof(data), 0);
        CHECK(n > 0);
        n_got += (size_t)n;
    }
    rig_settle(engine);
    char byte;
    CHECK_INT(ops->try_recv(pair.sock, &byte, 1), -EAGAIN);
    CHECK_INT(ops->try_send(pair.sock, &iov, 1), sizeof(data));
    rig_write(pair.peer, "x", 1);
    rig_settle(engine);
    CHECK_INT(wait.n_ends, 1);
    CHECK_INT(ops->try_recv(pair.sock, &byte, 1), 1);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* A user's duplicate of a socket that the engine closed comes back under the same number. */
BIDE_TEST(a_file_can_be_adopted_again_under_its_number)
{
    struct bide_engine *engine = rig_open();
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 8, &address, &length);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(client, (struct sockaddr *)&address, length), 0);
    struct bide_sock *sock = accept_one(listener);
    for (int i = 0; i < 3; i++) {
        struct rig_op wait;
        rig_op_init(&wait);
        CHECK_INT(engine->ops->recv_wait(sock, &wait.op), BIDE_PENDING);
        rig_write(client, "x", 1);
        rig_end(engine, &wait);
        char byte;
        rig_recv_exactly(sock, &byte, 1);
        int number = sock->fd;
        int duplicate = dup(number);
        engine->ops->sock_close(sock);
        CHECK_INT(dup2(duplicate, number), number);
        close(duplicate);
        CHECK_INT(engine->ops->sock_adopt(engine, number, BIDE_ADOPT_ANY, &sock), 0);
    }
    engine->ops->sock_close(sock);
    engine->ops->sock_close(listener);
    close(client);
    rig_close(engine);
}

BIDE_TEST(errors_of_the_kernel_are_returned)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct bide_sock *sock = NULL;
    CHECK_INT(ops->sock_open(engine, AF_INET, SOCK_STREAM, IPPROTO_UDP, &sock), -EPROTONOSUPPORT);
    CHECK_INT(ops->sock_open(engine, 4321, SOCK_STREAM, 0, &sock), -EAFNOSUPPORT);
    CHECK_PTR(sock, NULL);
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 64, &address, &length);
    CHECK_INT(ops->sock_open(engine, AF_INET, SOCK_STREAM, 0, &sock), 0);
    CHECK_INT(ops->sock_bind(sock, (struct sockaddr *)&address, length), -EADDRINUSE);
    CHECK_INT(ops->sock_shutdown(sock, SHUT_WR), -ENOTCONN);
    char byte;
    CHECK_INT(rig_recv(sock, &byte, 1), -ENOTCONN);
    int value = 1;
    CHECK_INT(ops->sock_setopt(sock, SOL_SOCKET, 9999, &value, sizeof(value)), -ENOPROTOOPT);
    CHECK_INT(ops->sock_setopt(sock, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)), 0);
    value = 0;
    socklen_t size = sizeof(value);
    CHECK_INT(ops->sock_getopt(sock, SOL_SOCKET, SO_KEEPALIVE, &value, &size), 0);
    CHECK_INT(value, 1);
    struct sockaddr_storage name;
    length = sizeof(name);
    CHECK_INT(ops->sock_name(sock, true, (struct sockaddr *)&name, &length), -ENOTCONN);
    ops->sock_close(sock);
    ops->sock_close(listener);
    rig_close(engine);
}

BIDE_TEST(descriptors_are_closed_on_exec_and_do_not_block)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *socks[3];
    socks[0] = rig_listen(engine, AF_INET, 64, &address, &length);
    int fds[2];
    rig_tcp(fds);
    close(fds[0]);
    CHECK_INT(fcntl(fds[1], F_SETFD, 0), 0);
    CHECK_INT(ops->sock_adopt(engine, fds[1], BIDE_ADOPT_ANY, &socks[1]), 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(client, (struct sockaddr *)&address, length), 0);
    socks[2] = accept_one(socks[0]);
    for (int i = 0; i < 3; i++) {
        CHECK(fcntl(socks[i]->fd, F_GETFD) & FD_CLOEXEC);
        CHECK(fcntl(socks[i]->fd, F_GETFL) & O_NONBLOCK);
        ops->sock_close(socks[i]);
    }
    close(client);
    rig_close(engine);
}

BIDE_TEST(what_has_no_readiness_is_not_adopted)
{
    struct bide_engine *engine = rig_open();
    struct bide_sock *sock = NULL;
    FILE *file = tmpfile();
    CHECK(file);
    CHECK_INT(engine->ops->sock_adopt(engine, fileno(file), BIDE_ADOPT_ANY, &sock), -EPERM);
    CHECK(!(fcntl(fileno(file), F_GETFL) & O_NONBLOCK));
    fclose(file);
    CHECK_INT(engine->ops->sock_adopt(engine, 19999, BIDE_ADOPT_ANY, &sock), -EBADF);
    CHECK_INT(engine->ops->sock_adopt(engine, -1, BIDE_ADOPT_ANY, &sock), -EBADF);
    CHECK_PTR(sock, NULL);
    rig_close(engine);
}

static void check_no_stream(struct bide_engine *engine, int fd, int rc)
{
    struct bide_sock *sock = NULL;
    CHECK(fd >= 0);
    CHECK_INT(engine->ops->sock_adopt(engine, fd, BIDE_ADOPT_STREAM, &sock), rc);
    CHECK_PTR(sock, NULL);
    CHECK_INT(fcntl(fd, F_GETFD), 0);
    CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
    close(fd);
}

BIDE_TEST(only_a_stream_is_adopted_as_a_stream)
{
    struct bide_engine *engine = rig_open();
    struct bide_sock *sock = NULL;
    int fds[2];
    CHECK_INT(engine->ops->sock_adopt(engine, 19999, BIDE_ADOPT_STREAM, &sock), -EBADF);
    CHECK_PTR(sock, NULL);
    CHECK_INT(pipe(fds), 0);
    check_no_stream(engine, fds[0], -ENOTSOCK);
    check_no_stream(engine, fds[1], -ENOTSOCK);
    check_no_stream(engine, open("/", O_RDONLY), -ENOTSOCK);
    check_no_stream(engine, socket(AF_INET, SOCK_DGRAM, 0), -EINVAL);
    check_no_stream(engine, socket(AF_UNIX, SOCK_SEQPACKET, 0), -EINVAL);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(listen(listener, 1), 0);
    check_no_stream(engine, listener, -EINVAL);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_INT(engine->ops->sock_adopt(engine, fds[0], BIDE_ADOPT_STREAM, &sock), 0);
    engine->ops->sock_close(sock);
    close(fds[1]);
    rig_close(engine);
}

BIDE_TEST(pipes_carry_data_and_break_without_a_signal)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    struct bide_sock *reader;
    struct bide_sock *writer;
    CHECK_INT(engine->ops->sock_adopt(engine, fds[0], BIDE_ADOPT_ANY, &reader), 0);
    CHECK_INT(engine->ops->sock_adopt(engine, fds[1], BIDE_ADOPT_ANY, &writer), 0);
    const struct bide_engine_ops *ops = writer->engine->ops;
    size_t size = 1000 * 1000;
    char *data = malloc(size);
    CHECK(data);
    for (size_t i = 0; i < size; i++)
        data[i] = pattern(i);
    struct rig_op op;
    rig_op_init(&op);
    struct iovec iov = {data, size};
    CHECK_INT(ops->send(writer, &op.op, &iov, 1), BIDE_PENDING);
    static char got[777];
    for (size_t at = 0; at < size;) {
        ssize_t n = rig_recv(reader, got, sizeof(got));
        CHECK(n > 0);
        for (ssize_t i = 0; i < n; i++)
            CHECK_INT(got[i], pattern(at + (size_t)i));
        at += (size_t)n;
    }
    if (op.n_ends == 0)
        rig_end(engine, &op);
    CHECK_INT(op.result, 0);
    ops->sock_close(reader);
    iov = (struct iovec){data, 1};
    CHECK_INT(rig_result(engine, &op, ops->send(writer, &op.op, &iov, 1)), -EPIPE);
    sigset_t pending;
    CHECK_INT(sigpending(&pending), 0);
    CHECK_INT(sigismember(&pending, SIGPIPE), 0);
    ops->sock_close(writer);
    rig_close(engine);
    free(data);
}

BIDE_TEST(a_broken_pipe_ends_a_pending_send)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    struct bide_sock *writer;
    CHECK_INT(engine->ops->sock_adopt(engine, fds[1], BIDE_ADOPT_ANY, &writer), 0);
    const struct bide_engine_ops *ops = writer->engine->ops;
    static char data[1000 * 1000];
    struct rig_op op;
    rig_op_init(&op);
    struct iovec iov = {data, sizeof(data)};
    CHECK_INT(ops->send(writer, &op.op, &iov, 1), BIDE_PENDING);
    CHECK(engine->ops->poll(engine, 0) >= 0);
    close(fds[0]);
    rig_end(engine, &op);
    CHECK_INT(op.result, -EPIPE);
    CHECK(op.op.n_done < sizeof(data));
    ops->sock_close(writer);
    rig_close(engine);
}

BIDE_TEST(closing_drops_what_nobody_took)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    rig_write(pair.peer, "unread", 6);
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(rig_result(engine, &wait, engine->ops->recv_wait(pair.sock, &wait.op)), 0);
    engine->ops->sock_close(pair.sock);
    char byte;
    CHECK(recv(pair.peer, &byte, 1, 0) <= 0); /* the end, or a reset because of the unread data */
    close(pair.peer);
    rig_close(engine);
}
