/*
 * Scenario: an engine's whole life (listen, connect, accept, talk, watch, signal, job), in which
 * each allocation and each system call fails in turn. Claim: the failure is reported as what it
 * is or made up for, nothing leaks, nothing hangs, and the engine can be closed. And a warmed-up
 * engine allocates nothing and makes no more system calls than a loop written by hand.
 */

#include "base/watched.h"
#include "engine_rig.h"
#include "fault.h"
#include "sim_rig.h"

/* What the scenario holds; everything that is there is given back by life_end(). */
struct life {
    struct bide_engine *engine;
    struct bide_sock *listener;
    struct bide_sock *client;
    struct bide_sock *server;
    struct bide_watch *watch;
    struct bide_signal *signal;
    struct rig_op ops[4];
    int n_watch_calls;
    int n_signal_calls;
    int n_job_ends;
    struct bide_job job;
    char text[5];
    struct iovec iov[2];
    int pipe[2]; /* the test's own */
};

static struct life *life;

static void count_ready(void *data, unsigned events)
{
    (void)events;
    ++*(int *)data;
}

static void count(void *data)
{
    ++*(int *)data;
}

static void job_run(struct bide_job *job)
{
    (void)job;
}

static void job_end(struct bide_job *job)
{
    (void)job;
    life->n_job_ends++;
}

static int64_t soon(void)
{
    return life->engine->ops->now_ns(life->engine) + 20 * SECOND_NS;
}

static int turn_until(const int *count_at)
{
    while (*count_at == 0) {
        int rc = life->engine->ops->poll(life->engine, soon());
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int finish(struct rig_op *op, int started)
{
    if (started != BIDE_PENDING)
        return started;
    int rc = turn_until(&op->n_ends);
    return rc < 0 ? rc : op->result;
}

static int establish(void)
{
    const struct bide_engine_ops *ops = life->engine->ops;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int rc = ops->sock_open(life->engine, AF_INET, SOCK_STREAM, 0, &life->listener);
    if (rc < 0)
        return rc;
    rc = ops->sock_bind(life->listener, (struct sockaddr *)&address, length);
    if (rc == 0)
        rc = ops->sock_listen(life->listener, 8);
    if (rc == 0)
        rc = ops->sock_name(life->listener, false, (struct sockaddr *)&address, &length);
    if (rc == 0)
        rc = ops->sock_open(life->engine, AF_INET, SOCK_STREAM, 0, &life->client);
    if (rc < 0)
        return rc;
    struct rig_op *accepting = &life->ops[0];
    struct rig_op *connecting = &life->ops[1];
    int accept_started = ops->accept_wait(life->listener, &accepting->op);
    rc = finish(connecting,
                ops->connect(life->client, &connecting->op, (struct sockaddr *)&address, length));
    if (rc == 0)
        rc = finish(accepting, accept_started);
    return rc == 0 ? ops->try_accept(life->listener, &life->server) : rc;
}

static int talk(void)
{
    const struct bide_engine_ops *ops = life->engine->ops;
    struct rig_op *sending = &life->ops[2];
    struct rig_op *receiving = &life->ops[3];
    int receive_started = ops->recv_wait(life->server, &receiving->op);
    memcpy(life->text, "hello", 5);
    life->iov[0] = (struct iovec){life->text, 2};
    life->iov[1] = (struct iovec){life->text + 2, 3};
    int rc = finish(sending, ops->send(life->client, &sending->op, life->iov, 2));
    char got[8];
    ssize_t n = 0;
    for (ssize_t n_got = 0; rc == 0 && n_got < 5; n_got += n) { /* maybe in pieces */
        rc = finish(receiving, receive_started);
        if (rc < 0)
            return rc;
        n = ops->try_recv(life->server, got + n_got, sizeof(got) - (size_t)n_got);
        if (n < 0)
            return (int)n;
        if (n_got + n == 5)
            break;
        rig_op_init(receiving);
        receive_started = ops->recv_wait(life->server, &receiving->op);
    }
    if (rc == 0)
        CHECK_MEM(got, "hello", 5);
    return rc;
}

static int look_around(void)
{
    const struct bide_engine_ops *ops = life->engine->ops;
    int rc = ops->watch_open(life->engine, life->pipe[0], BIDE_WATCH_READ, count_ready,
                             &life->n_watch_calls, &life->watch);
    if (rc == 0)
        rc = turn_until(&life->n_watch_calls);
    if (rc == 0)
        rc = ops->watch_set(life->watch, 0);
    if (rc == 0)
        rc = ops->signal_open(life->engine, SIGUSR1, count, &life->n_signal_calls, &life->signal);
    if (rc < 0)
        return rc;
    rig_raise_at(life->engine, SIGUSR1);
    rc = turn_until(&life->n_signal_calls);
    if (rc == 0)
        rc = ops->job_submit(life->engine, &life->job, BIDE_LANE_FILE);
    return rc == 0 ? turn_until(&life->n_job_ends) : rc;
}

static void life_end(void)
{
    if (!life->engine)
        return;
    const struct bide_engine_ops *ops = life->engine->ops;
    for (int i = 0; i < 4; i++) {
        ops->cancel(&life->ops[i].op);
        while (life->ops[i].op.state != BIDE_OP_IDLE)
            CHECK(ops->poll(life->engine, soon()) >= 0);
    }
    if (life->watch)
        ops->watch_close(life->watch);
    if (life->signal)
        ops->signal_close(life->signal);
    struct bide_sock *socks[] = {life->server, life->client, life->listener};
    for (int i = 0; i < 3; i++) {
        if (socks[i])
            ops->sock_close(socks[i]);
    }
    ops->close(life->engine, 10 * SECOND_NS);
}

static int live(const int pipe_fds[2])
{
    static struct life fresh;
    fresh = (struct life){.job = {.run = job_run, .done = job_end, .drop = job_end},
                          .pipe = {pipe_fds[0], pipe_fds[1]}};
    life = &fresh;
    for (int i = 0; i < 4; i++)
        rig_op_init(&life->ops[i]);
    int rc = bide__engine_open(NULL, NULL, &life->engine);
    if (rc == 0)
        rc = establish();
    if (rc == 0)
        rc = talk();
    if (rc == 0)
        rc = look_around();
    return rc;
}

static void fail_each(enum fault_kind kind, int error)
{
    int pipe_fds[2];
    CHECK_INT(pipe2(pipe_fds, O_CLOEXEC), 0);
    CHECK_INT(write(pipe_fds[1], "x", 1), 1);
    int n_fds = rig_count_fds();
    unsigned long n = 1;
    for (;; n++) {
        fault_arm(kind, n, error);
        int rc = live(pipe_fds);
        bool failed = fault_disarm();
        life_end();
        if (rig_count_fds() != n_fds)
            FAIL("call %lu (%s) left a descriptor open", n, failed ? fault_function() : "none");
        if (!failed) {
            CHECK_INT(rc, 0);
            break;
        }
        if (rc != 0 && rc != -error && rc != -ECONNABORTED)
            FAIL("call %lu (%s) gave %d", n, fault_function(), rc);
    }
    CHECK(n > 3);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

BIDE_TEST(each_allocation_may_fail)
{
    fail_each(FAULT_ALLOCATION, ENOMEM);
}

BIDE_TEST(each_system_call_may_fail_for_want_of_memory)
{
    fail_each(FAULT_SYSTEM, ENOMEM);
}

BIDE_TEST(each_system_call_may_fail_for_want_of_descriptors)
{
    fail_each(FAULT_SYSTEM, EMFILE);
}

/* Calls that can be interrupted are made again; the others report what they were told. */
BIDE_TEST(each_system_call_may_be_interrupted)
{
    fail_each(FAULT_SYSTEM, EINTR);
}

/* Adopting, randomness and lookups, which the life above does without. */
BIDE_TEST(the_other_calls_may_fail_too)
{
    rig_needs_kernel();
    struct bide_engine *engine = rig_open();
    int fds[2];
    rig_tcp(fds);
    int n_fds = rig_count_fds();
    for (unsigned long n = 1;; n++) {
        for (int kind = 0; kind < 2; kind++) {
            struct bide_sock *sock = NULL;
            fault_arm(kind ? FAULT_SYSTEM : FAULT_ALLOCATION, n, ENOMEM);
            int rc = engine->ops->sock_adopt(engine, fds[0], BIDE_ADOPT_STREAM, &sock);
            bool failed = fault_disarm();
            CHECK_INT(rig_count_fds(), n_fds);
            CHECK(rc == 0 || (failed && rc == -ENOMEM));
            if (rc == 0) { /* one that was taken is as good as any */
                engine->ops->sock_close(sock);
                close(fds[1]);
                rig_tcp(fds);
            }
            if (kind && !failed)
                goto adopted;
        }
    }
adopted:;
    char bytes[8];
    fault_arm(FAULT_SYSTEM, 1, ENOSYS);
    CHECK_INT(engine->ops->entropy(engine, bytes, sizeof(bytes)), -ENOSYS);
    CHECK(fault_disarm());
    fault_arm(FAULT_SYSTEM, 1, EINTR);
    CHECK_INT(engine->ops->entropy(engine, bytes, sizeof(bytes)), 0);
    CHECK(fault_disarm());
    struct bide_lookup lookup = {.job = {.done = job_end, .drop = job_end}, .host = "127.0.0.1"};
    fault_arm(FAULT_SYSTEM, 1, EAGAIN);
    CHECK_INT(engine->ops->lookup(engine, &lookup), -EAGAIN);
    CHECK(fault_disarm());
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
}

/*
 * A watch leaves an entry behind that only a new set gets rid of (see test_engine_watch.c), and
 * making that set fails: it is made later.
 */
BIDE_TEST(rebuilding_the_watches_may_fail_and_is_made_up_for)
{
    bool failed = true;
    for (unsigned long n = 1; failed; n++) {
        struct bide_engine *engine = rig_open();
        int stray[2];
        int other[2];
        CHECK_INT(pipe2(stray, O_CLOEXEC), 0);
        CHECK_INT(pipe2(other, O_CLOEXEC), 0);
        int n_stray_calls = 0;
        int n_other_calls = 0;
        struct bide_watch *stray_watch;
        struct bide_watch *other_watch;
        CHECK_INT(engine->ops->watch_open(engine, stray[0], BIDE_WATCH_READ, count_ready,
                                          &n_stray_calls, &stray_watch),
                  0);
        CHECK_INT(engine->ops->watch_open(engine, other[0], BIDE_WATCH_READ, count_ready,
                                          &n_other_calls, &other_watch),
                  0);
        int alive = dup(stray[0]);
        close(stray[0]);
        engine->ops->watch_close(stray_watch);
        CHECK_INT(write(stray[1], "x", 1), 1);

        fault_arm(FAULT_SYSTEM, n, EMFILE);
        for (int i = 0; i < 5; i++) /* a poll() that fails itself may be the last one: not here */
            (void)engine->ops->poll(engine, 0);
        failed = fault_disarm();
        int64_t deadline_ns = engine->ops->now_ns(engine) + SECOND_NS / 50;
        int n_turns = 0;
        for (; engine->ops->now_ns(engine) < deadline_ns; n_turns++)
            CHECK_INT(engine->ops->poll(engine, deadline_ns), 0);
        CHECK_RANGE(n_turns, 1, 5);
        CHECK_INT(write(other[1], "x", 1), 1);
        rig_turn_until(engine, &n_other_calls, 1);
        CHECK_INT(n_stray_calls, 0);
        engine->ops->watch_close(other_watch);
        close(alive);
        close(stray[1]);
        close(other[0]);
        close(other[1]);
        rig_close(engine);
    }
}

/* The peer's calls are of those that fault.h does not know, so that they are not counted. */
static void peer_moves(int fd, char *data, size_t size,
                       int (*move)(int, struct mmsghdr *, unsigned))
{
    struct iovec piece = {data, size};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}};
    CHECK_INT(move(fd, &message, 1), 1);
    CHECK_INT(message.msg_len, size);
}

static int send_one(int fd, struct mmsghdr *messages, unsigned n)
{
    return sendmmsg(fd, messages, n, 0);
}

static int receive_one(int fd, struct mmsghdr *messages, unsigned n)
{
    return recvmmsg(fd, messages, n, 0, NULL);
}

static void echo(struct rig_pair *pair, struct rig_op *receiving, struct rig_op *sending)
{
    struct bide_engine *engine = pair->sock->engine;
    const struct bide_engine_ops *ops = engine->ops;
    char data[64];
    memset(data, 'x', sizeof(data));
    peer_moves(pair->peer, data, sizeof(data), send_one);
    int before = receiving->n_ends;
    int rc = ops->recv_wait(pair->sock, &receiving->op);
    if (rc == BIDE_PENDING) {
        while (receiving->n_ends == before)
            CHECK(ops->poll(engine, BIDE_NO_DEADLINE) >= 0);
        rc = receiving->result;
    }
    CHECK_INT(rc, 0);
    char got[1024];
    CHECK_INT(ops->try_recv(pair->sock, got, sizeof(got)), sizeof(data));
    struct iovec iov = {got, sizeof(data)};
    before = sending->n_ends;
    rc = ops->send(pair->sock, &sending->op, &iov, 1);
    if (rc == BIDE_PENDING) {
        while (sending->n_ends == before)
            CHECK(ops->poll(engine, BIDE_NO_DEADLINE) >= 0);
        rc = sending->result;
    }
    CHECK_INT(rc, 0);
    peer_moves(pair->peer, data, sizeof(data), receive_one);
}

enum { WARM_UP = 10, ROUNDS = 1000 };

BIDE_TEST(a_warm_connection_needs_no_allocation)
{
    rig_needs_kernel();
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op receiving;
    struct rig_op sending;
    rig_op_init(&receiving);
    rig_op_init(&sending);
    for (int i = 0; i < WARM_UP; i++)
        echo(&pair, &receiving, &sending);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    for (int i = 0; i < ROUNDS; i++)
        echo(&pair, &receiving, &sending);
    CHECK(!fault_disarm());
    rig_pair_close(&pair);
    rig_close(engine);
}

BIDE_TEST(a_request_costs_one_wait_one_receive_and_one_send)
{
    rig_needs_kernel();
    rig_needs_own_engine();
    struct bide_engine *engine = rig_open();
    unsigned long n_calls_max = rig_is(engine, "epoll") ? 3 : 2;
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op receiving;
    struct rig_op sending;
    rig_op_init(&receiving);
    rig_op_init(&sending);
    for (int i = 0; i < WARM_UP; i++)
        echo(&pair, &receiving, &sending);
    fault_arm(FAULT_SYSTEM, n_calls_max * ROUNDS + 1, EBADF);
    for (int i = 0; i < ROUNDS; i++)
        echo(&pair, &receiving, &sending);
    CHECK(!fault_disarm());
    rig_pair_close(&pair);
    rig_close(engine);
}

static void accept_and_close(struct bide_sock *listener, const struct sockaddr_storage *address,
                             socklen_t length)
{
    struct bide_engine *engine = listener->engine;
    const struct bide_engine_ops *ops = engine->ops;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(client, (const struct sockaddr *)address, length), 0);
    struct rig_op wait;
    rig_op_init(&wait);
    int rc = ops->accept_wait(listener, &wait.op);
    while (rc == BIDE_PENDING && wait.n_ends == 0)
        CHECK(ops->poll(engine, BIDE_NO_DEADLINE) >= 0);
    struct bide_sock *sock;
    CHECK_INT(ops->try_accept(listener, &sock), 0);
    struct bide_sock *none;
    CHECK_INT(ops->try_accept(listener, &none), -EAGAIN);
    ops->sock_close(sock);
    close(client);
}

BIDE_TEST(a_warm_listener_needs_no_allocation)
{
    rig_needs_kernel();
    rig_needs_own_engine();
    struct bide_engine *engine = rig_open();
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 8, &address, &length);
    for (int i = 0; i < WARM_UP; i++)
        accept_and_close(listener, &address, length);
    if (!BIDE__ASAN) /* which gets a socket's memory back at once */
        fault_arm(FAULT_ALLOCATION, 1, 0);
    for (int i = 0; i < 100; i++)
        accept_and_close(listener, &address, length);
    CHECK(!fault_disarm());
    engine->ops->sock_close(listener);
    rig_close(engine);
}
