/*
 * Scenario: an io_uring engine whose queues and buffers are too small for what is asked of it.
 * Claim: nothing is lost, mixed up or starved, and idle turns cost nothing. What every engine must
 * do is in test_engine_*.c.
 */
#include "engine/uring.h"
#include "engine_rig.h"
#include "fault.h"

#include <stdio.h>

static struct bide_engine *open_uring(unsigned queue_entries)
{
    struct bide_engine_opts opts = {.queue_entries = queue_entries};
    struct bide_engine *engine;
    CHECK_INT(bide__uring_open(&opts, &engine), 0);
    return engine;
}

/* Turns that do not wait: whatever the kernel has by now is delivered. */
static void run_briefly(struct bide_engine *engine)
{
    for (int i = 0; i < 20; i++)
        CHECK(engine->ops->poll(engine, 0) >= 0);
}

static void start_recv(struct bide_sock *sock, struct rig_op *op)
{
    rig_op_init(op);
    CHECK_INT(sock->engine->ops->recv_wait(sock, &op->op), BIDE_PENDING);
}

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 7 + at / 251);
}

/* Sends what the socket takes of the bytes from `at` to `end`; returns the new position. */
static size_t write_pattern(int fd, size_t at, size_t end)
{
    unsigned char block[4096];
    while (at < end) {
        size_t size = end - at < sizeof(block) ? end - at : sizeof(block);
        for (size_t i = 0; i < size; i++)
            block[i] = pattern(at + i);
        ssize_t n = send(fd, block, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            CHECK_INT(errno, EAGAIN);
            return at;
        }
        at += (size_t)n;
    }
    return at;
}

static size_t read_pattern(struct bide_sock *sock, size_t at, size_t end, size_t size_read)
{
    static unsigned char block[65536];
    while (at < end) {
        ssize_t n = rig_recv(sock, block, end - at < size_read ? end - at : size_read);
        CHECK(n > 0);
        for (size_t i = 0; i < (size_t)n; i++) {
            if (block[i] != pattern(at + i))
                FAIL("byte %zu differs", at + i);
        }
        at += (size_t)n;
    }
    return at;
}

/* A send that the peer's window cannot take whole. */
enum { STUCK_BYTES = 16 << 20 };

static void start_stuck_send(struct bide_sock *sock, struct rig_op *op, struct iovec *iov)
{
    static char *zeros;
    if (!zeros)
        zeros = calloc(1, STUCK_BYTES);
    CHECK(zeros);
    *iov = (struct iovec){zeros, STUCK_BYTES};
    rig_op_init(op);
    CHECK_INT(sock->engine->ops->send(sock, &op->op, iov, 1), BIDE_PENDING);
}

BIDE_TEST(idle_turns_make_no_system_call)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    start_recv(pair.sock, &op);
    run_briefly(engine);
    fault_arm(FAULT_SYSTEM, 1, EIO);
    for (int i = 0; i < 10; i++)
        CHECK_INT(engine->ops->poll(engine, 0), 0);
    CHECK(!fault_disarm());
    engine->ops->cancel(&op.op);
    rig_end(engine, &op);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* Submitting, waiting and collecting of many sockets: one system call; reading what came: none. */
BIDE_TEST(a_turn_makes_one_system_call)
{
    enum { N = 8 };
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pairs[N];
    struct rig_op ops[N];
    for (int i = 0; i < N; i++)
        pairs[i] = rig_tcp_pair(engine);
    run_briefly(engine);
    for (int i = 0; i < N; i++)
        start_recv(pairs[i].sock, &ops[i]);
    fault_arm(FAULT_SYSTEM, 2, EIO);
    CHECK_INT(engine->ops->poll(engine, 0), 0);
    CHECK(!fault_disarm());
    for (int i = 0; i < N; i++)
        CHECK_INT(write_pattern(pairs[i].peer, 0, 100), 100);
    fault_arm(FAULT_SYSTEM, 2, EIO);
    CHECK_INT(rig_turn(engine), N);
    for (int i = 0; i < N; i++)
        read_pattern(pairs[i].sock, 0, 100, 64);
    CHECK(!fault_disarm());
    for (int i = 0; i < N; i++)
        rig_pair_close(&pairs[i]);
    rig_close(engine);
}

BIDE_TEST(a_submission_queue_of_one_takes_everything_in_turn)
{
    enum { N = 100 };
    static struct rig_pair pairs[N];
    static struct rig_op receives[N], sends[N];
    struct bide_engine *engine = open_uring(1);
    char out = 'x';
    struct iovec iovs[N];
    for (int i = 0; i < N; i++) {
        pairs[i] = rig_tcp_pair(engine);
        start_recv(pairs[i].sock, &receives[i]);
        iovs[i] = (struct iovec){&out, 1};
        rig_op_init(&sends[i]);
        CHECK_INT(engine->ops->send(pairs[i].sock, &sends[i].op, &iovs[i], 1), BIDE_PENDING);
        CHECK_INT(write_pattern(pairs[i].peer, 0, 1000), 1000);
    }
    for (int i = 0; i < N; i++) {
        rig_turn_until(engine, &receives[i].n_ends, 1);
        rig_turn_until(engine, &sends[i].n_ends, 1);
        CHECK_INT(sends[i].result, 0);
        CHECK_INT(sends[i].op.n_done, 1);
        char in;
        CHECK_INT(recv(pairs[i].peer, &in, 1, 0), 1);
        read_pattern(pairs[i].sock, 0, 1000, 300);
        rig_pair_close(&pairs[i]);
    }
    rig_close(engine);
}

BIDE_TEST(completions_beyond_the_queue_are_not_lost)
{
    enum { N = 200, ROUNDS = 3, BYTES = 500 };
    static struct rig_pair pairs[N];
    static struct rig_op ops[N];
    struct bide_engine *engine = open_uring(2);
    for (int i = 0; i < N; i++)
        pairs[i] = rig_tcp_pair(engine);
    for (size_t at = 0; at < ROUNDS * BYTES; at += BYTES) {
        for (int i = 0; i < N; i++)
            start_recv(pairs[i].sock, &ops[i]);
        run_briefly(engine);
        for (int i = 0; i < N; i++)
            CHECK_INT(write_pattern(pairs[i].peer, at, at + BYTES), at + BYTES);
        for (int i = 0; i < N; i++) {
            rig_turn_until(engine, &ops[i].n_ends, 1);
            CHECK_INT(ops[i].result, 0);
            read_pattern(pairs[i].sock, at, at + BYTES, BYTES);
        }
    }
    for (int i = 0; i < N; i++)
        rig_pair_close(&pairs[i]);
    rig_close(engine);
}

BIDE_TEST(what_is_cancelled_before_its_submission_never_happens)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op sending, receiving;
    char text[] = "never";
    struct iovec iov = {text, 5};
    rig_op_init(&sending);
    CHECK_INT(engine->ops->send(pair.sock, &sending.op, &iov, 1), BIDE_PENDING);
    start_recv(pair.sock, &receiving);
    engine->ops->cancel(&sending.op);
    engine->ops->cancel(&receiving.op);
    engine->ops->cancel(&sending.op);
    CHECK_INT(sending.n_ends, 0);
    CHECK_INT(rig_turn(engine), 2);
    CHECK_INT(sending.result, -ECANCELED);
    CHECK_INT(sending.op.n_done, 0);
    CHECK_INT(receiving.result, -ECANCELED);
    engine->ops->sock_close(pair.sock);
    char byte;
    CHECK_INT(recv(pair.peer, &byte, 1, 0), 0);
    close(pair.peer);
    rig_close(engine);
}

/*
 * Forty cancels in one turn, and a queue of two entries: each operation ends once, and what it says
 * it sent is what the peer gets.
 */
BIDE_TEST(cancels_wait_for_their_place_in_the_queue)
{
    enum { N = 40 };
    static struct rig_pair pairs[N];
    static struct rig_op ops[N];
    static char block[1 << 16];
    struct iovec iovs[N];
    struct bide_engine *engine = open_uring(2);
    for (int i = 0; i < N; i++) {
        pairs[i] = rig_tcp_pair(engine);
        start_stuck_send(pairs[i].sock, &ops[i], &iovs[i]);
    }
    run_briefly(engine);
    for (int i = 0; i < N; i++)
        engine->ops->cancel(&ops[i].op);
    for (int i = 0; i < N; i++) {
        rig_turn_until(engine, &ops[i].n_ends, 1);
        CHECK_INT(ops[i].result, -ECANCELED);
        CHECK_RANGE(ops[i].op.n_done, 1, STUCK_BYTES - 1);
    }
    run_briefly(engine);
    for (int i = 0; i < N; i++) {
        CHECK_INT(ops[i].n_ends, 1);
        engine->ops->sock_close(pairs[i].sock);
        size_t n_got = 0;
        for (ssize_t n; (n = recv(pairs[i].peer, block, sizeof(block), 0)) > 0;)
            n_got += (size_t)n;
        CHECK_INT(n_got, ops[i].op.n_done);
        close(pairs[i].peer);
    }
    rig_close(engine);
}

/* Operations end and their memory is used again at once, with cancels of the former under way. */
BIDE_TEST(a_cancel_never_hits_the_next_operation)
{
    enum { N = 8, ROUNDS = 2000 };
    struct rig_pair pairs[N];
    struct rig_op ops[N];
    struct iovec iovs[N];
    bool is_asked[N] = {false};
    uint64_t state = test_seed();
    struct bide_engine *engine = open_uring(2);
    for (int i = 0; i < N; i++) {
        pairs[i] = rig_tcp_pair(engine);
        start_stuck_send(pairs[i].sock, &ops[i], &iovs[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int chosen = (int)(test_random(&state) % N);
        engine->ops->cancel(&ops[chosen].op);
        is_asked[chosen] = true;
        if (test_random(&state) % 2)
            CHECK(engine->ops->poll(engine, 0) >= 0);
        for (int i = 0; i < N; i++) {
            if (ops[i].n_ends == 0)
                continue;
            CHECK(is_asked[i]);
            CHECK_INT(ops[i].n_ends, 1);
            CHECK_INT(ops[i].result, -ECANCELED);
            is_asked[i] = false;
            struct bide_op reused = ops[i].op;
            start_stuck_send(pairs[i].sock, &ops[i], &iovs[i]);
            CHECK(reused.state == BIDE_OP_IDLE);
        }
    }
    for (int i = 0; i < N; i++) {
        engine->ops->cancel(&ops[i].op);
        rig_turn_until(engine, &ops[i].n_ends, 1);
        rig_pair_close(&pairs[i]);
    }
    rig_close(engine);
}

/*
 * Two buffers, forty sockets: the owners of all but one do not read what came. The one that reads
 * gets all of its data all the same; then the others find theirs, whole and in order.
 */
BIDE_TEST(idle_owners_do_not_starve_a_reader)
{
    enum { N = 40, BYTES = 100 * 1000 };
    static struct rig_pair pairs[N];
    static struct rig_op ops[N];
    static size_t ends[N];
    struct bide_engine *engine = open_uring(1);
    for (int i = 0; i < N; i++) {
        pairs[i] = rig_tcp_pair(engine);
        start_recv(pairs[i].sock, &ops[i]);
        ends[i] = write_pattern(pairs[i].peer, 0, BYTES);
    }
    for (int i = 0; i < N; i++)
        rig_turn_until(engine, &ops[i].n_ends, 1);
    size_t at = 0;
    for (int round = 0; round < 50; round++) {
        at = read_pattern(pairs[0].sock, at, ends[0], 5000);
        ends[0] = write_pattern(pairs[0].peer, at, at + BYTES);
    }
    for (int i = 1; i < N; i++)
        read_pattern(pairs[i].sock, 0, ends[i], 7000);
    for (int i = 0; i < N; i++)
        rig_pair_close(&pairs[i]);
    rig_close(engine);
}

/* Everybody reads, and the buffers never suffice. */
BIDE_TEST(many_readers_share_few_buffers)
{
    enum { N = 60, BYTES = 60 * 1000, ROUNDS = 5 };
    static struct rig_pair pairs[N];
    static size_t at[N];
    struct bide_engine *engine = open_uring(2);
    uint64_t state = test_seed();
    for (int i = 0; i < N; i++)
        pairs[i] = rig_tcp_pair(engine);
    for (int round = 0; round < ROUNDS; round++) {
        static size_t ends[N];
        for (int i = 0; i < N; i++)
            ends[i] = write_pattern(pairs[i].peer, at[i], at[i] + BYTES);
        for (int i = 0; i < N; i++) {
            size_t size = 1 + test_random(&state) % 40000;
            at[i] = read_pattern(pairs[i].sock, at[i], ends[i], size);
        }
    }
    for (int i = 0; i < N; i++)
        rig_pair_close(&pairs[i]);
    rig_close(engine);
}

/*
 * The owner does not read and the peer goes on sending while the loop turns: soon the peer is held
 * back by its window, because the engine took no more than a share. Then all of it is there.
 */
BIDE_TEST(an_idle_owner_holds_the_peer_back)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    int size = 65536;
    CHECK_INT(setsockopt(pair.peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    CHECK_INT(engine->ops->sock_setopt(pair.sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    start_recv(pair.sock, &op);
    size_t end = 0;
    for (int n_stuck = 0; n_stuck < 10;) {
        size_t before = end;
        end = write_pattern(pair.peer, end, end + 100000);
        n_stuck = end == before ? n_stuck + 1 : 0;
        run_briefly(engine);
        rig_settle(engine);
        CHECK_RANGE(end, 0, 1 << 20);
    }
    CHECK_INT(op.n_ends, 1);
    size_t at = read_pattern(pair.sock, 0, end, 10000);
    CHECK_INT(write_pattern(pair.peer, end, end + 1000), end + 1000);
    read_pattern(pair.sock, at, end + 1000, 10000);
    rig_pair_close(&pair);
    rig_close(engine);
}

static const struct bide__uring_buffers *buffers_of(const struct bide_engine *engine)
{
    return &((const struct bide__uring *)engine)->buffers;
}

/* The same with small pieces: what they fill are not all of the buffers, but a few. */
BIDE_TEST(an_idle_owner_leaves_the_buffers_to_others)
{
    enum { PIECES = 40, BYTES = 100, HELD_MAX = 10 };
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    start_recv(pair.sock, &op);
    for (size_t at = 0; at < PIECES * BYTES; at += BYTES) {
        CHECK_INT(write_pattern(pair.peer, at, at + BYTES), at + BYTES);
        rig_settle(engine);
    }
    const struct bide__uring_buffers *buffers = buffers_of(engine);
    CHECK_RANGE(buffers->n_provided - buffers->n_free, 2, HELD_MAX);
    read_pattern(pair.sock, 0, PIECES * BYTES, 65536);
    CHECK_INT(buffers->n_free, buffers->n_provided);
    rig_pair_close(&pair);
    rig_close(engine);
}

/*
 * Closing the first socket lets the kernel receive for the second, which is closed before that is
 * noticed: its buffer comes back all the same.
 */
BIDE_TEST(closed_sockets_keep_no_buffer)
{
    enum { ROUNDS = 100 };
    struct bide_engine *engine = open_uring(0);
    for (int round = 0; round < ROUNDS; round++) {
        struct rig_pair pairs[2] = {rig_tcp_pair(engine), rig_tcp_pair(engine)};
        struct rig_op ops[2];
        for (int i = 0; i < 2; i++)
            start_recv(pairs[i].sock, &ops[i]);
        CHECK(engine->ops->poll(engine, 0) >= 0);
        for (int i = 0; i < 2; i++) {
            engine->ops->cancel(&ops[i].op);
            rig_turn_until(engine, &ops[i].n_ends, 1);
        }
        rig_write(pairs[1].peer, "data", 4);
        rig_pair_close(&pairs[0]);
        rig_pair_close(&pairs[1]);
    }
    run_briefly(engine);
    CHECK_INT(buffers_of(engine)->n_free, buffers_of(engine)->n_provided);
    rig_close(engine);
}

/* The kernel refuses once while the queue is full; the loop would sleep, but comes back to it. */
BIDE_TEST(what_found_no_place_is_not_forgotten)
{
    struct bide_engine *engine = open_uring(1);
    struct rig_pair idle = rig_tcp_pair(engine);
    struct rig_pair ready = rig_tcp_pair(engine);
    struct rig_op waiting, receiving;
    run_briefly(engine);
    start_recv(idle.sock, &waiting);
    start_recv(ready.sock, &receiving);
    rig_write(ready.peer, "x", 1);
    fault_arm(FAULT_SYSTEM, 1, EAGAIN);
    rig_turn_until(engine, &receiving.n_ends, 1);
    CHECK(fault_disarm());
    engine->ops->cancel(&waiting.op);
    rig_turn_until(engine, &waiting.n_ends, 1);
    rig_pair_close(&idle);
    rig_pair_close(&ready);
    rig_close(engine);
}

/* A wait is cancelled again and again while data comes: the data stays, whichever way it came. */
BIDE_TEST(data_that_meets_a_cancelled_wait_stays)
{
    struct bide_engine *engine = open_uring(1);
    struct rig_pair pair = rig_tcp_pair(engine);
    uint64_t state = test_seed();
    size_t end = 0;
    size_t at = 0;
    for (int round = 0; round < 500; round++) {
        struct rig_op op;
        rig_op_init(&op);
        int rc = engine->ops->recv_wait(pair.sock, &op.op);
        if (test_random(&state) % 2)
            CHECK(engine->ops->poll(engine, 0) >= 0);
        end = write_pattern(pair.peer, end, end + test_random(&state) % 5000);
        if (test_random(&state) % 2)
            CHECK(engine->ops->poll(engine, 0) >= 0);
        if (rc == BIDE_PENDING) {
            engine->ops->cancel(&op.op);
            rig_turn_until(engine, &op.n_ends, 1);
        }
        if (test_random(&state) % 4 == 0)
            at = read_pattern(pair.sock, at, end, 1 + test_random(&state) % 10000);
    }
    read_pattern(pair.sock, at, end, 10000);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* What came before a reset is read first, then the reset. */
BIDE_TEST(queued_data_comes_before_the_error)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    start_recv(pair.sock, &op);
    CHECK_INT(write_pattern(pair.peer, 0, 1000), 1000);
    rig_turn_until(engine, &op.n_ends, 1);
    rig_reset(pair.peer);
    pair.peer = -1;
    rig_settle(engine);
    read_pattern(pair.sock, 0, 1000, 100);
    char byte;
    CHECK_INT(rig_recv(pair.sock, &byte, 1), -ECONNRESET);
    CHECK_INT(rig_recv(pair.sock, &byte, 1), -ECONNRESET);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* Bytes come in pieces of all sizes, so that the ways in which they are read change all the time.
 */
BIDE_TEST(pieces_of_every_size_arrive_in_order)
{
    enum { N = 4, ROUNDS = 400 };
    struct rig_pair pairs[N];
    size_t at[N] = {0};
    uint64_t state = test_seed();
    struct bide_engine *engine = open_uring(4);
    for (int i = 0; i < N; i++)
        pairs[i] = rig_tcp_pair(engine);
    for (int round = 0; round < ROUNDS; round++) {
        size_t ends[N];
        size_t size_max = (size_t)1 << (test_random(&state) % 18);
        for (int i = 0; i < N; i++) {
            size_t size = 1 + test_random(&state) % size_max;
            ends[i] = write_pattern(pairs[i].peer, at[i], at[i] + size);
        }
        for (int i = 0; i < N; i++)
            at[i] = read_pattern(pairs[i].sock, at[i], ends[i], 1 + test_random(&state) % 65536);
    }
    for (int i = 0; i < N; i++)
        rig_pair_close(&pairs[i]);
    rig_close(engine);
}

/* A bulk reader needs no copy; its end and its errors are as sharp as those of others. */
BIDE_TEST(the_end_of_bulk_data_is_seen)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    size_t end = 0;
    for (int round = 0; round < 20; round++) {
        size_t at = end;
        end = write_pattern(pair.peer, end, end + 50000);
        read_pattern(pair.sock, at, end, 65536);
    }
    size_t last = write_pattern(pair.peer, end, end + 100);
    CHECK_INT(last, end + 100);
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    read_pattern(pair.sock, end, last, 65536);
    char byte;
    CHECK_INT(rig_recv(pair.sock, &byte, 1), 0);
    CHECK_INT(rig_recv(pair.sock, &byte, 1), 0);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* After a short direct read the owner waits without having been told that there is nothing. */
BIDE_TEST(a_wait_right_after_a_short_read_is_honest)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    size_t end = write_pattern(pair.peer, 0, 50000); /* from now on it is read directly */
    read_pattern(pair.sock, 0, end, 65536);
    for (int round = 0; round < 10; round++) {
        struct rig_op op;
        unsigned char block[10000];
        size_t at = end;
        start_recv(pair.sock, &op);
        end = write_pattern(pair.peer, at, at + 5000);
        rig_turn_until(engine, &op.n_ends, 1);
        ssize_t n = engine->ops->try_recv(pair.sock, block, sizeof(block));
        CHECK_RANGE(n, 1, 5000);
        for (size_t i = 0; i < (size_t)n; i++)
            CHECK_INT(block[i], pattern(at + i));
        read_pattern(pair.sock, at + (size_t)n, end, 65536);
    }
    rig_pair_close(&pair);
    rig_close(engine);
}

/* Several requests came at once: their small answers leave with one system call, large ones now. */
BIDE_TEST(small_answers_go_out_together)
{
    enum { N = 8, LARGE = 20000 };
    static char large[LARGE];
    char small[] = "small";
    struct rig_pair pairs[N];
    struct rig_op ops[N];
    struct iovec iovs[N];
    struct bide_engine *engine = open_uring(0);
    for (int i = 0; i < N; i++) {
        pairs[i] = rig_tcp_pair(engine);
        start_recv(pairs[i].sock, &ops[i]);
    }
    run_briefly(engine);
    for (int i = 0; i < N; i++)
        rig_write(pairs[i].peer, "x", 1);
    CHECK_INT(rig_turn(engine), N);
    struct iovec iov = {large, LARGE};
    CHECK_INT(engine->ops->try_send(pairs[0].sock, &iov, 1), LARGE);
    fault_arm(FAULT_SYSTEM, 2, EIO);
    for (int i = 0; i < N; i++) {
        iovs[i] = (struct iovec){small, 5};
        CHECK_INT(engine->ops->try_send(pairs[i].sock, &iovs[i], 1), -EAGAIN);
        rig_op_init(&ops[i]);
        CHECK_INT(engine->ops->send(pairs[i].sock, &ops[i].op, &iovs[i], 1), BIDE_PENDING);
    }
    CHECK_INT(rig_turn(engine), N);
    CHECK(!fault_disarm());
    for (int i = 0; i < N; i++) {
        static char got[LARGE + 5];
        ssize_t size = i == 0 ? LARGE + 5 : 5;
        CHECK_INT(ops[i].result, 0);
        CHECK_INT(recv(pairs[i].peer, got, (size_t)size, MSG_WAITALL), size);
        CHECK_MEM(got + size - 5, small, 5);
        rig_pair_close(&pairs[i]);
    }
    rig_close(engine);
}
