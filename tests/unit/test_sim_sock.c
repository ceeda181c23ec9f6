/*
 * Scenario: sockets of the simulated engine talk to each other, with many seeds. Claim: they behave
 * as Linux's do with full buffers, half-closed, closed and reset connections; the bytes of a
 * connection stay in order with every seed, and what has no order has different ones.
 */
#include "sim_sock_rig.h"

/* For each family and many seeds, with a connected pair. */
static inline void for_each_pair(void (*body)(struct pair *pair, bool local))
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        open_seed(seed);
        for (int i = 0; i < 3; i++) {
            struct pair pair = connect_pair(families[i]);
            body(&pair, families[i] == AF_UNIX);
            close_pair(&pair);
        }
        run_dry();
        rig_close(engine);
    }
}

/* Bytes */

enum { BIG = 300000 };

static void stream_bytes(struct pair *pair, bool local)
{
    (void)local;
    static char out[BIG];
    static char in[BIG];
    for (int i = 0; i < BIG; i++)
        out[i] = (char)(i * 31 + i / 1000);
    struct iovec iov[3] = {{out, 7}, {out + 7, 0}, {out + 7, BIG - 7}};
    struct rig_op sending;
    rig_op_init(&sending);
    int started = ops->send(pair->client, &sending.op, iov, 3);
    CHECK_INT(started, BIDE_PENDING);
    rig_recv_exactly(pair->server, in, BIG);
    if (sending.n_ends == 0)
        rig_end(engine, &sending);
    CHECK_INT(sending.result, 0);
    CHECK_INT((long long)sending.op.n_done, BIG);
    CHECK(memcmp(in, out, BIG) == 0);
    CHECK_INT(recv_one(pair->server), -EAGAIN);
}

BIDE_TEST(bytes_arrive_once_and_in_order)
{
    for_each_pair(stream_bytes);
}

static void fill(struct pair *pair, bool local)
{
    (void)local;
    static char data[10000];
    struct iovec iov = {data, sizeof data};
    long long n_sent = 0;
    ssize_t n;
    while ((n = ops->try_send(pair->client, &iov, 1)) > 0)
        n_sent += n;
    CHECK_INT(n, -EAGAIN);
    CHECK_INT(n_sent, 128 * 1024);
    run_dry();
    CHECK_INT(ops->try_send(pair->client, &iov, 1), -EAGAIN);
    CHECK_INT(ops->try_recv(pair->server, data, sizeof data), sizeof data);
    CHECK_INT(ops->try_send(pair->client, &iov, 1), sizeof data);
    struct iovec nothing = {NULL, 0};
    CHECK_INT(ops->try_send(pair->server, &nothing, 1), 0);
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(ops->send(pair->server, &op.op, &nothing, 1), 0);
}

BIDE_TEST(a_connection_holds_a_limited_number_of_bytes)
{
    for_each_pair(fill);
}

BIDE_TEST(smaller_buffers_hold_less)
{
    open_seed(1);
    struct pair pair = connect_pair(AF_INET);
    int bytes = 3000;
    CHECK_INT(ops->sock_setopt(pair.client, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    CHECK_INT(ops->sock_setopt(pair.server, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    static char data[20000];
    struct iovec iov = {data, sizeof data};
    CHECK_INT(ops->try_send(pair.client, &iov, 1), 12000);
    CHECK_INT(ops->try_send(pair.server, &iov, 1), sizeof data);
    close_pair(&pair);
    rig_close(engine);
}

/* The end */

static void half_close(struct pair *pair, bool local)
{
    (void)local;
    CHECK_INT(send_text(pair->client, "last"), 4);
    CHECK_INT(ops->sock_shutdown(pair->client, SHUT_WR), 0);
    CHECK_INT(ops->sock_shutdown(pair->client, SHUT_WR), 0);
    CHECK_INT(send_text(pair->client, "more"), -EPIPE);
    check_recv(pair->server, "last");
    char byte;
    CHECK_INT(rig_recv(pair->server, &byte, 1), 0);
    CHECK_INT(recv_one(pair->server), 0);
    CHECK_INT(send_text(pair->server, "answer"), 6);
    check_recv(pair->client, "answer");
    CHECK_INT(recv_one(pair->client), -EAGAIN);
}

BIDE_TEST(half_a_connection_goes_on)
{
    for_each_pair(half_close);
}

static void close_behind_data(struct pair *pair, bool local)
{
    CHECK_INT(send_text(pair->client, "bye"), 3);
    ops->sock_close(pair->client);
    pair->client = NULL;
    char byte;
    check_recv(pair->server, "bye");
    CHECK_INT(rig_recv(pair->server, &byte, 1), 0);
    if (local) {
        CHECK_INT(send_text(pair->server, "late"), -EPIPE);
        return;
    }
    CHECK_INT(send_text(pair->server, "late"), 4); /* it cannot know; a reset comes back */
    run_dry();
    CHECK_INT(recv_one(pair->server), 0);
    CHECK_INT(send_text(pair->server, "late"), -EPIPE);
    CHECK_INT(send_text(pair->server, "late"), -EPIPE);
}

BIDE_TEST(a_close_ends_the_stream_behind_its_data)
{
    for_each_pair(close_behind_data);
}

static void close_before_reading(struct pair *pair, bool local)
{
    CHECK_INT(send_text(pair->server, "answer"), 6);
    CHECK_INT(send_text(pair->client, "unread"), 6);
    run_dry();
    ops->sock_close(pair->server);
    pair->server = NULL;
    run_dry();
    check_recv(pair->client, "answer");
    check_reset(pair->client, local);
    struct address address = {.length = sizeof address.bytes};
    CHECK_INT(
        ops->sock_name(pair->client, true, (struct sockaddr *)&address.bytes, &address.length),
        -ENOTCONN);
    CHECK_INT(ops->sock_shutdown(pair->client, SHUT_WR), -ENOTCONN);
}

BIDE_TEST(a_close_before_everything_was_read_is_a_reset)
{
    for_each_pair(close_before_reading);
}

static void close_now(struct pair *pair, bool local)
{
    struct linger now = {.l_onoff = 1};
    struct rig_op waiting;
    rig_op_init(&waiting);
    CHECK_INT(ops->recv_wait(pair->server, &waiting.op), BIDE_PENDING);
    CHECK_INT(ops->sock_setopt(pair->client, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    CHECK_INT(send_text(pair->client, "lost or not"), 11);
    ops->sock_close(pair->client);
    pair->client = NULL;
    rig_end(engine, &waiting);
    CHECK_INT(waiting.result, 0);
    char got[16];
    ssize_t n = ops->try_recv(pair->server, got, sizeof got);
    CHECK_INT(n, local ? 11 : -ECONNRESET);
    check_reset(pair->server, local);
}

BIDE_TEST(a_close_without_lingering_is_a_reset)
{
    for_each_pair(close_now);
}

static void reset_sender(struct pair *pair, bool local)
{
    static char data[BIG];
    struct iovec iov = {data, sizeof data};
    struct rig_op sending;
    rig_op_init(&sending);
    CHECK_INT(ops->send(pair->client, &sending.op, &iov, 1), BIDE_PENDING);
    run_dry();
    CHECK_INT(sending.n_ends, 0);
    ops->sock_close(pair->server);
    pair->server = NULL;
    rig_end(engine, &sending);
    CHECK_INT(sending.result, -ECONNRESET);
    CHECK_INT((long long)sending.op.n_done, 128 * 1024);
    CHECK_INT(recv_one(pair->client), -ECONNRESET);
    (void)local;
}

BIDE_TEST(a_reset_ends_a_send_in_the_middle)
{
    for_each_pair(reset_sender);
}

static void shut_reading(struct pair *pair, bool local)
{
    struct rig_op waiting;
    rig_op_init(&waiting);
    CHECK_INT(ops->recv_wait(pair->client, &waiting.op), BIDE_PENDING);
    CHECK_INT(ops->sock_shutdown(pair->client, SHUT_RD), 0);
    rig_end(engine, &waiting);
    CHECK_INT(waiting.result, 0);
    CHECK_INT(recv_one(pair->client), 0);
    CHECK_INT(send_text(pair->server, "x"), local ? -EPIPE : 1);
    CHECK_INT(send_text(pair->client, "y"), 1);
    check_recv(pair->server, "y");
    CHECK_INT(ops->sock_shutdown(pair->client, 7), -EINVAL);
}

BIDE_TEST(a_side_that_reads_no_more)
{
    for_each_pair(shut_reading);
}

BIDE_TEST(what_could_end_at_once_ends_now_or_later)
{
    int n_now = 0;
    int n_in_pieces = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        open_seed(seed);
        struct pair pair = connect_pair(AF_INET);
        struct rig_op waiting;
        char got[8];
        rig_op_init(&waiting);
        CHECK_INT(send_text(pair.client, "whole"), 5);
        CHECK_INT(rig_result(engine, &waiting, ops->recv_wait(pair.server, &waiting.op)), 0);
        n_in_pieces += ops->try_recv(pair.server, got, sizeof got) < 5;
        CHECK_INT(send_text(pair.client, "more"), 4);
        run_dry();
        rig_op_init(&waiting);
        int started = ops->recv_wait(pair.server, &waiting.op);
        n_now += started == 0;
        CHECK_INT(rig_result(engine, &waiting, started), 0);
        close_pair(&pair);
        rig_close(engine);
    }
    CHECK_RANGE(n_now, 1, SEEDS - 1);
    CHECK_RANGE(n_in_pieces, 1, SEEDS - 1);
}

/* Orders */

BIDE_TEST(what_completes_together_completes_in_any_order)
{
    enum { PAIRS = 4 };
    bool seen[1 << (2 * PAIRS)] = {false};
    int n_orders = 0;
    for (uint64_t seed = 1; seed <= 5 * SEEDS; seed++) {
        struct pair pairs[PAIRS];
        struct rig_op waits[PAIRS];
        unsigned order = 0;
        int n_ended = 0;
        open_seed(seed);
        for (int i = 0; i < PAIRS; i++) {
            pairs[i] = connect_pair(AF_UNIX);
            rig_op_init(&waits[i]);
            CHECK_INT(ops->recv_wait(pairs[i].server, &waits[i].op), BIDE_PENDING);
        }
        for (int i = 0; i < PAIRS; i++)
            CHECK_INT(send_text(pairs[i].client, "x"), 1);
        bide__sim_shape(sim())->turn_ns_max = 0;
        bide__sim_shape(sim())->oversleep_ns_max = 0;
        while (n_ended < PAIRS) {
            CHECK_INT(ops->poll(engine, BIDE_NO_DEADLINE), 1);
            for (unsigned i = 0; i < PAIRS; i++)
                if (waits[i].n_ends == 1) {
                    waits[i].n_ends = 2;
                    order = order << 2 | i;
                    n_ended++;
                }
        }
        n_orders += !seen[order];
        seen[order] = true;
        for (int i = 0; i < PAIRS; i++)
            close_pair(&pairs[i]);
        rig_close(engine);
    }
    CHECK_INT(n_orders, 24);
}

/* Everything at random: nothing is lost, doubled, or left behind. */

enum { SOCKS = 6 };

struct side {
    struct bide_sock *sock;
    struct rig_op receiving;
    struct rig_op sending;
    char out[4096];
    struct iovec iov;
    unsigned char next_out;
    unsigned char next_in;
};

static void side_step(struct side *side, uint64_t *random)
{
    char got[3000];
    ssize_t n;
    switch (test_random(random) % 8) {
    case 0:
    case 1:
        n = ops->try_recv(side->sock, got, 1 + test_random(random) % sizeof got);
        for (ssize_t i = 0; i < n; i++)
            CHECK_INT((unsigned char)got[i], side->next_in++);
        break;
    case 2:
        if (side->receiving.op.state == BIDE_OP_IDLE)
            ops->recv_wait(side->sock, &side->receiving.op);
        break;
    case 3:
    case 4:
        if (side->sending.op.state != BIDE_OP_IDLE)
            break;
        side->iov = (struct iovec){side->out, 1 + test_random(random) % sizeof side->out};
        for (size_t i = 0; i < side->iov.iov_len; i++)
            side->out[i] = (char)(side->next_out + i);
        side->sending.op.n_done = 0;
        size_t size = side->iov.iov_len;
        if (ops->send(side->sock, &side->sending.op, &side->iov, 1) == 0)
            side->next_out = (unsigned char)(side->next_out + size);
        else if (side->sending.op.state == BIDE_OP_IDLE)
            side->next_out = (unsigned char)(side->next_out + side->sending.op.n_done);
        break;
    case 5:
        if (test_random(random) % 8 == 0)
            ops->cancel(&side->receiving.op);
        break;
    case 6:
        if (test_random(random) % 60 == 0)
            ops->sock_shutdown(side->sock, (int)(test_random(random) % 3));
        break;
    default:
        CHECK(ops->poll(engine, ops->now_ns(engine)) >= 0);
    }
}

static void side_sent(struct bide_op *op)
{
    struct side *side = (struct side *)((char *)op - offsetof(struct side, sending.op));
    side->next_out = (unsigned char)(side->next_out + op->n_done);
}

static uint64_t random_life(uint64_t seed)
{
    uint64_t random = seed;
    struct side sides[SOCKS];
    open_seed(seed);
    for (int i = 0; i < SOCKS; i += 2) {
        struct pair pair = connect_pair(families[i / 2]);
        for (int j = 0; j < 2; j++) {
            struct side *side = &sides[i + j];
            *side = (struct side){.sock = j ? pair.server : pair.client};
            rig_op_init(&side->receiving);
            side->sending.op.done = side_sent;
        }
    }
    for (int step = 0; step < 400; step++)
        side_step(&sides[test_random(&random) % SOCKS], &random);
    if (seed % 3 == 0)
        bide__sim_reset(sim(), NULL);
    for (int i = 0; i < SOCKS; i++) {
        struct bide_op *pending[] = {&sides[i].receiving.op, &sides[i].sending.op};
        for (int j = 0; j < 2; j++) {
            ops->cancel(pending[j]);
            while (pending[j]->state != BIDE_OP_IDLE)
                CHECK(ops->poll(engine, BIDE_NO_DEADLINE) >= 0);
        }
        ops->sock_close(sides[i].sock);
    }
    if (seed % 2)
        run_dry();
    uint64_t trace = bide__sim_trace(sim());
    rig_close(engine);
    return trace;
}

BIDE_TEST(random_lives_lose_and_leave_nothing)
{
    uint64_t first = test_seed();
    uint64_t n = test_long() ? 5000 : 500;
    for (uint64_t seed = first; seed < first + n; seed++) {
        rewind(stdout); /* the last one is shown if it fails */
        printf("seed %llu\n", (unsigned long long)seed);
        CHECK(random_life(seed) == random_life(seed));
    }
}
