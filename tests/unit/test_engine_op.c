/*
 * Scenario: operations that complete, are cancelled and whose sockets are closed, in every order.
 * Claim: each operation ends exactly once, from poll(); a result that was reached wins; a cancel
 * is never lost and never reaches another operation, however many there are and whatever memory
 * they use; and nothing that was received gets lost with them.
 */
#include "engine_rig.h"

enum kind { RECV_WAIT, ACCEPT_WAIT, SEND, CONNECT, KINDS };

static size_t large = 30 * 1000 * 1000;

/* One pending operation of a kind, and what makes it complete. */
struct stage {
    struct bide_engine *engine;
    enum kind kind;
    struct rig_op op;
    struct bide_sock *sock;
    int peer;  /* the other end, or for CONNECT the full listener */
    int other; /* for CONNECT: what fills the listener */
    char *data;
    struct iovec iov;
    struct sockaddr_storage address;
    socklen_t length;
};

/* A listener whose queue is full: further connections stay undecided. */
static void stage_connect(struct stage *stage)
{
    const struct bide_engine_ops *ops = stage->engine->ops;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    stage->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(stage->peer, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(stage->peer, 0), 0);
    CHECK_INT(getsockname(stage->peer, (struct sockaddr *)&address, &length), 0);
    stage->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(stage->other, (struct sockaddr *)&address, length), 0);
    memcpy(&stage->address, &address, sizeof(address));
    stage->length = length;
    CHECK_INT(ops->sock_open(stage->engine, AF_INET, SOCK_STREAM, 0, &stage->sock), 0);
}

static void stage_init(struct stage *stage, struct bide_engine *engine, enum kind kind)
{
    *stage = (struct stage){.engine = engine, .kind = kind, .peer = -1, .other = -1};
    rig_op_init(&stage->op);
    if (kind == CONNECT) {
        stage_connect(stage);
    } else if (kind == ACCEPT_WAIT) {
        stage->sock = rig_listen(engine, AF_INET, 8, &stage->address, &stage->length);
    } else {
        struct rig_pair pair = rig_tcp_pair(engine);
        stage->sock = pair.sock;
        stage->peer = pair.peer;
    }
    if (kind == SEND) {
        stage->data = calloc(1, large);
        CHECK(stage->data);
    }
}

static void stage_start(struct stage *stage)
{
    const struct bide_engine_ops *ops = stage->engine->ops;
    struct bide_op *op = &stage->op.op;
    int rc = 0;
    switch (stage->kind) {
    case RECV_WAIT:
        rc = ops->recv_wait(stage->sock, op);
        break;
    case ACCEPT_WAIT:
        rc = ops->accept_wait(stage->sock, op);
        break;
    case SEND:
        stage->iov = (struct iovec){stage->data, large};
        rc = ops->send(stage->sock, op, &stage->iov, 1);
        break;
    case CONNECT:
        rc = ops->connect(stage->sock, op, (struct sockaddr *)&stage->address, stage->length);
        break;
    case KINDS:
        FAIL("no such kind");
    }
    CHECK_INT(rc, BIDE_PENDING);
}

/* Does in the kernel what lets the operation complete; the engine has not looked yet. */
static void stage_complete(struct stage *stage)
{
    switch (stage->kind) {
    case RECV_WAIT:
        rig_write(stage->peer, "data", 4);
        break;
    case ACCEPT_WAIT:
        stage->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(stage->other, (struct sockaddr *)&stage->address, stage->length), 0);
        break;
    case SEND: /* an error is an end, too */
        rig_reset(stage->peer);
        stage->peer = -1;
        break;
    case CONNECT: /* room for the SYN that is sent again, within a second */
        close(accept(stage->peer, NULL, NULL));
        break;
    case KINDS:
        break;
    }
}

/* What the completion of this stage may have as its result. */
static bool stage_completed(const struct stage *stage)
{
    int result = stage->op.result;
    return stage->kind == SEND ? result == -ECONNRESET || result == -EPIPE : result == 0;
}

static void stage_fini(struct stage *stage)
{
    if (stage->sock)
        stage->engine->ops->sock_close(stage->sock);
    if (stage->peer >= 0)
        close(stage->peer);
    if (stage->other >= 0)
        close(stage->other);
    free(stage->data);
}

/* After the end: nothing comes any more, whatever the kernel still has to say. */
static void check_over(struct stage *stage)
{
    CHECK_INT(stage->op.n_ends, 1);
    CHECK_INT(stage->op.op.state, BIDE_OP_IDLE);
    stage->engine->ops->cancel(&stage->op.op);
    rig_settle(stage->engine);
    CHECK_INT(stage->op.n_ends, 1);
}

static void for_each_kind(void (*body)(struct stage *stage))
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct bide_engine *engine = rig_open();
        struct stage stage;
        stage_init(&stage, engine, kind);
        body(&stage);
        stage_fini(&stage);
        rig_close(engine);
    }
}

static void complete_then_end(struct stage *stage)
{
    stage_start(stage);
    stage_complete(stage);
    rig_end(stage->engine, &stage->op);
    CHECK(stage_completed(stage));
    check_over(stage);
}

BIDE_TEST(a_completed_operation_ends_once)
{
    for_each_kind(complete_then_end);
}

static void cancel_then_end(struct stage *stage)
{
    stage_start(stage);
    rig_settle(stage->engine);
    CHECK_INT(stage->op.n_ends, 0);
    stage->engine->ops->cancel(&stage->op.op);
    CHECK_INT(stage->op.n_ends, 0); /* never from inside the call */
    stage->engine->ops->cancel(&stage->op.op);
    rig_end(stage->engine, &stage->op);
    CHECK_INT(stage->op.result, -ECANCELED);
    check_over(stage);
}

BIDE_TEST(a_cancelled_operation_ends_once)
{
    for_each_kind(cancel_then_end);
}

static void cancel_at_once(struct stage *stage)
{
    stage_start(stage); /* and no poll() in between */
    stage->engine->ops->cancel(&stage->op.op);
    CHECK_INT(stage->op.n_ends, 0);
    rig_end(stage->engine, &stage->op);
    CHECK_INT(stage->op.result, -ECANCELED);
    check_over(stage);
}

BIDE_TEST(an_operation_is_cancelled_before_the_kernel_hears_of_it)
{
    for_each_kind(cancel_at_once);
}

static void complete_then_cancel(struct stage *stage)
{
    stage_start(stage);
    rig_settle(stage->engine);
    if (stage->op.n_ends > 0)
        FAIL("it ended before it was completed");
    stage_complete(stage);
    stage->engine->ops->cancel(&stage->op.op);
    rig_end(stage->engine, &stage->op);
    CHECK(stage->op.result == -ECANCELED || stage_completed(stage));
    check_over(stage);
}

BIDE_TEST(a_cancel_may_come_after_the_completion)
{
    for_each_kind(complete_then_cancel);
}

static void cancel_then_complete(struct stage *stage)
{
    stage_start(stage);
    rig_settle(stage->engine);
    stage->engine->ops->cancel(&stage->op.op);
    stage_complete(stage);
    rig_end(stage->engine, &stage->op);
    CHECK(stage->op.result == -ECANCELED || stage_completed(stage));
    check_over(stage);
}

BIDE_TEST(a_completion_may_come_after_the_cancel)
{
    for_each_kind(cancel_then_complete);
}

static void cancel_then_close(struct stage *stage)
{
    stage_start(stage);
    rig_settle(stage->engine);
    stage->engine->ops->cancel(&stage->op.op);
    rig_end(stage->engine, &stage->op);
    stage->engine->ops->sock_close(stage->sock);
    stage->sock = NULL;
    check_over(stage);
}

BIDE_TEST(a_socket_is_closed_right_after_a_cancelled_operation)
{
    for_each_kind(cancel_then_close);
}

/* The owner's memory goes with the end: poisoned for the sanitizers, and full of rubbish. */
struct closing_op {
    struct rig_op rig;
    struct bide_sock *sock;
    int *n_ends;
};

static void close_and_free(struct bide_op *op)
{
    struct closing_op *closing = (struct closing_op *)op;
    closing->sock->engine->ops->sock_close(closing->sock);
    ++*closing->n_ends;
    memset(closing, 0xee, sizeof(*closing));
    free(closing);
}

BIDE_TEST(done_may_close_the_socket_and_free_the_operation)
{
    struct bide_engine *engine = rig_open();
    enum { N = 100 };
    int peers[N];
    int n_ends = 0;
    for (int i = 0; i < N; i++) {
        struct rig_pair pair = rig_tcp_pair(engine);
        peers[i] = pair.peer;
        struct closing_op *op = malloc(sizeof(*op));
        CHECK(op);
        rig_op_init(&op->rig);
        op->rig.op.done = close_and_free;
        op->sock = pair.sock;
        op->n_ends = &n_ends;
        CHECK_INT(engine->ops->recv_wait(pair.sock, &op->rig.op), BIDE_PENDING);
        if (i % 3 == 0)
            engine->ops->cancel(&op->rig.op);
    }
    for (int i = 0; i < N; i++)
        rig_write(peers[i], "x", 1); /* all of them are ready in the same batch */
    rig_turn_until(engine, &n_ends, N);
    rig_settle(engine);
    CHECK_INT(n_ends, N);
    for (int i = 0; i < N; i++)
        close(peers[i]);
    rig_close(engine);
}

/* Two operations of which the one that ends first cancels the other. */
struct rival_op {
    struct rig_op rig;
    struct rival_op *other;
};

static void cancel_other(struct bide_op *op)
{
    struct rival_op *rival = (struct rival_op *)op;
    rig_op_done(op);
    rival->other->rig.op.sock->engine->ops->cancel(&rival->other->rig.op);
}

BIDE_TEST(done_may_cancel_another_operation_of_the_same_batch)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pairs[2] = {rig_tcp_pair(engine), rig_tcp_pair(engine)};
    struct rival_op ops[2];
    for (int i = 0; i < 2; i++) {
        rig_op_init(&ops[i].rig);
        ops[i].rig.op.done = cancel_other;
        ops[i].other = &ops[1 - i];
    }
    for (int round = 1; round <= 50; round++) {
        for (int i = 0; i < 2; i++)
            CHECK_INT(engine->ops->recv_wait(pairs[i].sock, &ops[i].rig.op), BIDE_PENDING);
        for (int i = 0; i < 2; i++)
            rig_write(pairs[i].peer, "x", 1);
        for (int i = 0; i < 2; i++) {
            while (ops[i].rig.n_ends < round)
                rig_turn(engine);
            CHECK(ops[i].rig.result == 0 || ops[i].rig.result == -ECANCELED);
        }
        CHECK(ops[0].rig.result == 0 || ops[1].rig.result == 0);
        char byte;
        for (int i = 0; i < 2; i++) {
            rig_recv_exactly(pairs[i].sock, &byte, 1);
            CHECK_INT(engine->ops->try_recv(pairs[i].sock, &byte, 1), -EAGAIN);
            CHECK_INT(ops[i].rig.n_ends, round);
        }
    }
    rig_pair_close(&pairs[0]);
    rig_pair_close(&pairs[1]);
    rig_close(engine);
}

BIDE_TEST(an_idle_operation_is_not_cancelled)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    rig_op_init(&op);
    engine->ops->cancel(&op.op); /* never started */
    CHECK_INT(engine->ops->recv_wait(pair.sock, &op.op), BIDE_PENDING);
    rig_settle(engine);
    CHECK_INT(op.n_ends, 0);
    rig_write(pair.peer, "x", 1);
    rig_end(engine, &op);
    CHECK_INT(op.result, 0);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* Far more cancels than the queue of the engine holds, all in one turn. */
BIDE_TEST_SECONDS(ten_thousand_cancels_with_a_tiny_queue, 60)
{
    struct bide_engine_opts opts = {.queue_entries = 4};
    struct bide_engine *engine = rig_open_with(&opts);
    enum { N = 1000, ROUNDS = 10 };
    static struct rig_pair pairs[N];
    static struct rig_op ops[N];
    for (int i = 0; i < N; i++) {
        pairs[i] = rig_unix_pair(engine);
        rig_op_init(&ops[i]);
    }
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            CHECK_INT(engine->ops->recv_wait(pairs[i].sock, &ops[i].op), BIDE_PENDING);
        if (round % 2 == 0) /* the kernel has them all */
            rig_settle(engine);
        for (int i = 0; i < N; i++)
            engine->ops->cancel(&ops[i].op);
        for (int i = 0; i < N; i++) {
            while (ops[i].n_ends < round)
                rig_turn(engine);
            CHECK_INT(ops[i].n_ends, round);
            CHECK_INT(ops[i].result, -ECANCELED);
        }
    }
    for (int i = 0; i < N; i++) { /* and the sockets are as good as before */
        rig_write(pairs[i].peer, "x", 1);
        char byte;
        rig_recv_exactly(pairs[i].sock, &byte, 1);
        rig_pair_close(&pairs[i]);
    }
    rig_close(engine);
}

/* Restarts itself in its own memory, on another socket each time, so often that generations repeat.
 */
struct hopping_op {
    struct rig_op rig;
    struct rig_pair pairs[2];
    int n_wrong;
};

static void count_hop(struct bide_op *op)
{
    struct hopping_op *hopping = (struct hopping_op *)op;
    rig_op_done(op);
    bool cancelled = hopping->rig.n_ends % 2 == 1;
    hopping->n_wrong += op->result != (cancelled ? -ECANCELED : 0);
}

BIDE_TEST_SECONDS(a_cancel_never_reaches_the_next_operation_in_the_same_memory, 60)
{
    struct bide_engine_opts opts = {.queue_entries = 8};
    struct bide_engine *engine = rig_open_with(&opts);
    struct hopping_op op = {.pairs = {rig_unix_pair(engine), rig_unix_pair(engine)}};
    rig_op_init(&op.rig);
    op.rig.op.done = count_hop;
    int n_rounds = test_slowness() > 1 ? 5000 : 70000;
    for (int i = 0; i < n_rounds; i++) {
        struct bide_sock *first = op.pairs[i % 2].sock;
        struct rig_pair *second = &op.pairs[(i + 1) % 2];
        int n_before = op.rig.n_ends;
        CHECK_INT(engine->ops->recv_wait(first, &op.rig.op), BIDE_PENDING);
        if (i % 4 == 3)
            CHECK(engine->ops->poll(engine, 0) >= 0);
        engine->ops->cancel(&op.rig.op);
        rig_turn_until(engine, &op.rig.n_ends, n_before + 1);
        CHECK_INT(engine->ops->recv_wait(second->sock, &op.rig.op), BIDE_PENDING);
        rig_write(second->peer, "x", 1);
        rig_turn_until(engine, &op.rig.n_ends, n_before + 2);
        char byte;
        rig_recv_exactly(second->sock, &byte, 1);
        CHECK_INT(op.n_wrong, 0);
    }
    rig_pair_close(&op.pairs[0]);
    rig_pair_close(&op.pairs[1]);
    rig_close(engine);
}

/* Waits are cancelled at random while data flows: every byte arrives, once and in order. */
BIDE_TEST(cancelled_waits_lose_no_data)
{
    uint64_t random = test_seed();
    struct bide_engine_opts opts = {.queue_entries = 8};
    struct bide_engine *engine = rig_open_with(&opts);
    const struct bide_engine_ops *ops = engine->ops;
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    rig_op_init(&op);
    uint8_t next_sent = 0;
    uint8_t next_received = 0;
    long n_missing = 0;
    for (int i = 0; i < 20000 / test_slowness(); i++) {
        uint64_t dice = test_random(&random);
        if (dice % 3 == 0 || n_missing == 0) {
            uint8_t data[50];
            size_t size = 1 + dice / 3 % sizeof(data);
            for (size_t j = 0; j < size; j++)
                data[j] = next_sent++;
            rig_write(pair.peer, data, size);
            n_missing += (long)size;
        }
        int n_before = op.n_ends;
        int rc = ops->recv_wait(pair.sock, &op.op);
        if (rc == BIDE_PENDING) {
            if (dice % 5 == 0)
                CHECK(ops->poll(engine, 0) >= 0);
            if (dice % 2 == 0)
                ops->cancel(&op.op);
            if (op.n_ends == n_before)
                rig_end(engine, &op);
            CHECK_INT(op.n_ends, n_before + 1);
            CHECK(op.result == 0 || (op.result == -ECANCELED && dice % 2 == 0));
            if (op.result < 0)
                continue;
        } else {
            CHECK_INT(rc, 0);
        }
        uint8_t got[16];
        ssize_t n = ops->try_recv(pair.sock, got, 1 + dice / 100 % sizeof(got));
        CHECK(n > 0);
        for (ssize_t j = 0; j < n; j++)
            CHECK_INT(got[j], next_received++);
        n_missing -= n;
    }
    while (n_missing > 0) {
        uint8_t got;
        rig_recv_exactly(pair.sock, &got, 1);
        CHECK_INT(got, next_received++);
        n_missing--;
    }
    rig_pair_close(&pair);
    rig_close(engine);
}

/* A send that is cancelled in the middle has sent exactly what it says. */
enum { FIT = 16 * 1024 };

static void recv_fit(struct bide_engine *engine, struct bide_sock *sock, size_t size)
{
    static char got[FIT];
    for (size_t n = 0; n < size;) {
        struct rig_op wait;
        rig_op_init(&wait);
        CHECK_INT(rig_result(engine, &wait, engine->ops->recv_wait(sock, &wait.op)), 0);
        for (ssize_t part; (part = engine->ops->try_recv(sock, got, sizeof(got))) != -EAGAIN;) {
            CHECK_RANGE(part, 1, FIT);
            for (ssize_t i = 0; i < part; i++)
                CHECK_INT(got[i], 'x');
            n += (size_t)part;
        }
        CHECK_RANGE(n, 1, size);
    }
}

/* A full buffer does not tell whether that was all: no wait is too long and none is skipped. */
BIDE_TEST(messages_of_just_the_buffer_s_size)
{
    static char data[2 * FIT];
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    memset(data, 'x', sizeof(data));
    for (int i = 0; i < 40; i++) {
        size_t size = i % 10 < 7 ? FIT : i % 10 < 9 ? FIT + 1000 : 2 * FIT;
        rig_write(pair.peer, data, size);
        recv_fit(engine, pair.sock, size);
    }
    rig_write(pair.peer, data, FIT);
    close(pair.peer);
    rig_recv_exactly(pair.sock, data, FIT);
    CHECK_INT(rig_recv(pair.sock, data, FIT), 0);
    engine->ops->sock_close(pair.sock);
    rig_close(engine);
}

BIDE_TEST(a_cancelled_send_says_how_far_it_came)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    char *data = calloc(1, large);
    CHECK(data);
    struct rig_op op;
    rig_op_init(&op);
    struct iovec iov = {data, large};
    CHECK_INT(engine->ops->send(pair.sock, &op.op, &iov, 1), BIDE_PENDING);
    CHECK(engine->ops->poll(engine, 0) >= 0);
    static char got[65536];
    size_t n_got = 0;
    while (n_got < large / 10) {
        ssize_t n = recv(pair.peer, got, sizeof(got), MSG_DONTWAIT);
        if (n > 0)
            n_got += (size_t)n;
        CHECK(engine->ops->poll(engine, 0) >= 0);
    }
    CHECK_INT(op.n_ends, 0);
    engine->ops->cancel(&op.op);
    rig_end(engine, &op);
    CHECK_INT(op.result, -ECANCELED);
    engine->ops->sock_close(pair.sock);
    for (ssize_t n; (n = recv(pair.peer, got, sizeof(got), 0)) > 0;)
        n_got += (size_t)n;
    CHECK_INT(n_got, op.op.n_done);
    close(pair.peer);
    rig_close(engine);
    free(data);
}

BIDE_TEST(a_receive_and_a_send_are_pending_at_once)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    char *data = calloc(1, large);
    CHECK(data);
    struct rig_op sending;
    struct rig_op receiving;
    rig_op_init(&sending);
    rig_op_init(&receiving);
    struct iovec iov = {data, large};
    CHECK_INT(engine->ops->recv_wait(pair.sock, &receiving.op), BIDE_PENDING);
    CHECK_INT(engine->ops->send(pair.sock, &sending.op, &iov, 1), BIDE_PENDING);
    rig_write(pair.peer, "x", 1);
    rig_end(engine, &receiving);
    CHECK_INT(receiving.result, 0);
    CHECK_INT(sending.n_ends, 0);
    char byte;
    rig_recv_exactly(pair.sock, &byte, 1);
    CHECK_INT(engine->ops->recv_wait(pair.sock, &receiving.op), BIDE_PENDING);
    engine->ops->cancel(&sending.op);
    rig_end(engine, &sending);
    CHECK_INT(sending.result, -ECANCELED);
    CHECK_INT(receiving.n_ends, 1);
    rig_write(pair.peer, "y", 1);
    rig_end(engine, &receiving);
    CHECK_INT(receiving.result, 0);
    rig_pair_close(&pair);
    rig_close(engine);
    free(data);
}

/* However much is ready, one poll() hands out a bounded number of calls, and the rest comes next.
 */
BIDE_TEST(one_poll_hands_out_a_bounded_batch)
{
    struct bide_engine *engine = rig_open();
    enum { N = 3000 };
    static struct rig_pair pairs[N];
    static struct rig_op ops[N];
    for (int i = 0; i < N; i++) {
        pairs[i] = rig_unix_pair(engine);
        rig_op_init(&ops[i]);
        CHECK_INT(engine->ops->recv_wait(pairs[i].sock, &ops[i].op), BIDE_PENDING);
    }
    for (int i = 0; i < N; i++)
        engine->ops->cancel(&ops[i].op);
    int n_calls = 0;
    while (n_calls < N) {
        int n = engine->ops->poll(engine, BIDE_NO_DEADLINE);
        CHECK_RANGE(n, 0, 2000);
        n_calls += n;
    }
    CHECK_INT(n_calls, N);
    for (int i = 0; i < N; i++) {
        CHECK_INT(ops[i].n_ends, 1);
        rig_pair_close(&pairs[i]);
    }
    rig_close(engine);
}
