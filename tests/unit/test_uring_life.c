/*
 * Scenario: what an io_uring engine leaves behind in the kernel: sockets that are closed under a
 * request, a ring whose thread is gone or that a child inherits, and a system that fails it.
 * Claim: closing is felt at once by everybody outside, nothing leaks, and every failure is told.
 */
#include "engine/uring.h"
#include "engine_rig.h"
#include "fault.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

static struct bide_engine *open_uring(unsigned queue_entries)
{
    struct bide_engine_opts opts = {.queue_entries = queue_entries};
    struct bide_engine *engine;
    CHECK_INT(bide__uring_open(&opts, &engine), 0);
    return engine;
}

/* A receive of which the kernel has heard. */
static void park_recv(struct bide_sock *sock, struct rig_op *op)
{
    struct bide_engine *engine = sock->engine;
    rig_op_init(op);
    CHECK_INT(engine->ops->recv_wait(sock, &op->op), BIDE_PENDING);
    CHECK(engine->ops->poll(engine, 0) >= 0);
    CHECK(engine->ops->poll(engine, 0) >= 0);
    CHECK_INT(op->n_ends, 0);
}

static void cancel_and_wait(struct rig_op *op)
{
    struct bide_engine *engine = op->op.sock->engine;
    engine->ops->cancel(&op->op);
    rig_turn_until(engine, &op->n_ends, 1);
    CHECK_INT(op->result, -ECANCELED);
}

/* Nobody turns the loop between the close and what the peer sees. */
BIDE_TEST(the_peer_hears_of_a_close_at_once)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pairs[2] = {rig_tcp_pair(engine), rig_unix_pair(engine)};
    for (int i = 0; i < 2; i++) {
        struct rig_op op;
        park_recv(pairs[i].sock, &op);
        cancel_and_wait(&op); /* the wait ended, the kernel's request did not */
        engine->ops->sock_close(pairs[i].sock);
        char byte;
        CHECK_INT(recv(pairs[i].peer, &byte, 1, MSG_DONTWAIT), 0);
        close(pairs[i].peer);
    }
    rig_close(engine);
}

BIDE_TEST(an_aborted_connection_is_reset_at_once)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    park_recv(pair.sock, &op);
    cancel_and_wait(&op);
    struct linger now = {.l_onoff = 1};
    CHECK_INT(engine->ops->sock_setopt(pair.sock, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    engine->ops->sock_close(pair.sock);
    char byte;
    CHECK_INT(recv(pair.peer, &byte, 1, MSG_DONTWAIT), -1);
    CHECK_INT(errno, ECONNRESET);
    close(pair.peer);
    rig_close(engine);
}

/* That the engine has the data already makes no difference to the peer. */
BIDE_TEST(a_close_with_unread_data_is_a_reset)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    park_recv(pair.sock, &op);
    rig_write(pair.peer, "unread", 6);
    rig_turn_until(engine, &op.n_ends, 1);
    engine->ops->sock_close(pair.sock);
    char byte;
    CHECK_INT(recv(pair.peer, &byte, 1, MSG_DONTWAIT), -1);
    CHECK_INT(errno, ECONNRESET);
    close(pair.peer);
    rig_close(engine);
}

/* The kernel still has the request of a former wait when the listener begins to rest. */
BIDE_TEST(a_listener_rests_under_an_armed_request)
{
    struct bide_engine *engine = open_uring(0);
    const struct bide_engine_ops *ops = engine->ops;
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 16, &address, &length);
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(ops->accept_wait(listener, &op.op), BIDE_PENDING);
    CHECK(ops->poll(engine, 0) >= 0);
    cancel_and_wait(&op);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(client, (struct sockaddr *)&address, length), 0);
    struct bide_sock *sock;
    fault_arm(FAULT_SYSTEM, 1, EMFILE);
    CHECK_INT(ops->try_accept(listener, &sock), -EMFILE);
    CHECK(fault_disarm());
    rig_op_init(&op);
    int64_t start_ns = ops->now_ns(engine);
    CHECK_INT(ops->accept_wait(listener, &op.op), BIDE_PENDING);
    rig_turn_until(engine, &op.n_ends, 1);
    CHECK_INT(op.result, 0);
    CHECK(ops->now_ns(engine) - start_ns >= BIDE__ACCEPT_REST_NS);
    CHECK_INT(ops->try_accept(listener, &sock), 0);
    ops->sock_close(sock);
    ops->sock_close(listener);
    close(client);
    rig_close(engine);
}

BIDE_TEST(a_closed_listener_frees_its_port_at_once)
{
    struct bide_engine *engine = open_uring(0);
    const struct bide_engine_ops *ops = engine->ops;
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 16, &address, &length);
    for (int round = 0; round < 3; round++) {
        struct rig_op op;
        rig_op_init(&op);
        CHECK_INT(ops->accept_wait(listener, &op.op), BIDE_PENDING);
        CHECK(ops->poll(engine, 0) >= 0);
        cancel_and_wait(&op);
        ops->sock_close(listener);
        CHECK_INT(ops->sock_open(engine, AF_INET, SOCK_STREAM, 0, &listener), 0);
        CHECK_INT(ops->sock_bind(listener, (struct sockaddr *)&address, length), 0);
        CHECK_INT(ops->sock_listen(listener, 16), 0);
    }
    ops->sock_close(listener);
    rig_close(engine);
}

/* The completions of what was closed come when its descriptor number belongs to somebody else. */
BIDE_TEST(a_reused_descriptor_gets_nothing_of_the_former)
{
    enum { ROUNDS = 200 };
    struct bide_engine *engine = open_uring(4);
    struct rig_op former, next;
    for (int round = 0; round < ROUNDS; round++) {
        struct rig_pair pair = rig_tcp_pair(engine);
        int fd = pair.sock->fd;
        park_recv(pair.sock, &former);
        rig_write(pair.peer, "old", 3);
        engine->ops->cancel(&former.op);
        if (round % 2)
            rig_turn_until(engine, &former.n_ends, 1);
        else
            rig_turn(engine);
        rig_pair_close(&pair);
        pair = rig_tcp_pair(engine);
        if (round == 0)
            CHECK(fd >= 0);
        rig_op_init(&next);
        CHECK_INT(engine->ops->recv_wait(pair.sock, &next.op), BIDE_PENDING);
        CHECK(engine->ops->poll(engine, 0) >= 0);
        CHECK_INT(next.n_ends, 0);
        rig_write(pair.peer, "new", 3);
        rig_turn_until(engine, &next.n_ends, 1);
        char text[4] = "";
        rig_recv_exactly(pair.sock, text, 3);
        CHECK_STR(text, "new");
        rig_pair_close(&pair);
    }
    rig_close(engine);
}

/* Closed in the middle of everything, with and without a turn between: memory and descriptors go.
 */
BIDE_TEST(nothing_is_left_of_closed_sockets)
{
    enum { N = 30, ROUNDS = 10 };
    static struct rig_op ops[N];
    int n_before = rig_count_fds();
    uint64_t state = test_seed();
    struct bide_engine *engine = open_uring(2);
    for (int round = 0; round < ROUNDS; round++) {
        struct rig_pair pairs[N];
        for (int i = 0; i < N; i++) {
            pairs[i] = test_random(&state) % 4 ? rig_tcp_pair(engine) : rig_unix_pair(engine);
            rig_op_init(&ops[i]);
            CHECK_INT(engine->ops->recv_wait(pairs[i].sock, &ops[i].op), BIDE_PENDING);
        }
        if (test_random(&state) % 2)
            CHECK(engine->ops->poll(engine, 0) >= 0);
        for (int i = 0; i < N; i++) {
            if (test_random(&state) % 2)
                rig_write(pairs[i].peer, "some data", 9);
            if (test_random(&state) % 4 == 0) {
                close(pairs[i].peer);
                pairs[i].peer = -1;
            }
        }
        for (int i = 0; i < N; i++)
            engine->ops->cancel(&ops[i].op);
        for (int i = 0; i < N; i++)
            rig_turn_until(engine, &ops[i].n_ends, 1);
        for (int i = 0; i < N; i++)
            rig_pair_close(&pairs[i]);
    }
    rig_close(engine);
    CHECK_INT(rig_count_fds(), n_before);
}

BIDE_TEST(an_engine_that_never_turned_closes)
{
    int n_before = rig_count_fds();
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(engine->ops->recv_wait(pair.sock, &op.op), BIDE_PENDING);
    engine->ops->cancel(&op.op);
    CHECK_INT(rig_turn(engine), 1);
    rig_pair_close(&pair);
    rig_close(engine);
    rig_close(open_uring(0));
    CHECK_INT(rig_count_fds(), n_before);
}

static void *turn_once(void *argument)
{
    struct bide_engine *engine = argument;
    return engine->ops->poll(engine, 0) == 0 ? engine : NULL;
}

static void *wake_soon(void *argument)
{
    struct bide_engine *engine = argument;
    engine->ops->wake(engine);
    return NULL;
}

/* Made and filled here, turned there. */
BIDE_TEST(the_first_turn_decides_about_the_thread)
{
    struct bide_engine *engine = open_uring(0);
    pthread_t thread;
    void *ok;
    CHECK_INT(pthread_create(&thread, NULL, turn_once, engine), 0);
    CHECK_INT(pthread_join(thread, &ok), 0);
    CHECK_PTR(ok, engine);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(engine->ops->recv_wait(pair.sock, &op.op), BIDE_PENDING);
    CHECK_INT(engine->ops->poll(engine, 0), -EEXIST);
    engine->ops->cancel(&op.op);
    CHECK_INT(engine->ops->poll(engine, 0), -EEXIST);
    close(pair.peer);
    engine->ops->forget(engine);
}

/*
 * Whatever is under way in the ring is cancelled behind the engine's back. Its owners are told that
 * it was aborted, not that they cancelled it; the engine's own requests are made again.
 */
BIDE_TEST(a_cancel_that_nobody_asked_for_is_an_abort)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_pair unix_pair = rig_unix_pair(engine);
    struct rig_op receiving, polling;
    park_recv(pair.sock, &receiving);
    park_recv(unix_pair.sock, &polling);
    struct io_uring_sync_cancel_reg all = {
        .fd = -1, .flags = IORING_ASYNC_CANCEL_ANY, .timeout = {.tv_sec = -1, .tv_nsec = -1}};
    CHECK(io_uring_register_sync_cancel(&((struct bide__uring *)engine)->ring, &all) >= 0);
    rig_turn_until(engine, &receiving.n_ends, 1);
    rig_turn_until(engine, &polling.n_ends, 1);
    CHECK_INT(receiving.result, 0);
    char byte;
    CHECK_INT(engine->ops->try_recv(pair.sock, &byte, 1), -ECONNABORTED);
    CHECK_INT(polling.result, -ECONNABORTED);
    rig_pair_close(&pair);
    rig_pair_close(&unix_pair);

    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, wake_soon, engine), 0);
    CHECK_INT(rig_turn(engine), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    rig_settle(engine);
    rig_close(engine);
}

static void use_in_parent(struct bide_engine *engine, struct rig_pair *pair, struct rig_op *op)
{
    rig_write(pair->peer, "data", 4);
    rig_turn_until(engine, &op->n_ends, 1);
    char text[5] = "";
    rig_recv_exactly(pair->sock, text, 4);
    CHECK_STR(text, "data");
}

/* A child forgets the ring that it inherited; the parent's goes on, with its buffers. */
BIDE_TEST(a_child_forgets_the_ring)
{
    struct bide_engine *engine = open_uring(0);
    struct rig_pair pair = rig_tcp_pair(engine);
    struct rig_op op;
    park_recv(pair.sock, &op);
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            engine->ops->forget(engine);
            struct bide_engine *own = open_uring(0);
            rig_settle(own);
            rig_close(own);
            _exit(0);
        }
        int status;
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);
        use_in_parent(engine, &pair, &op);
        park_recv(pair.sock, &op);
    }
    cancel_and_wait(&op);
    rig_pair_close(&pair);
    rig_close(engine);
}

/* Missing, forbidden and too old are the same to the chooser; what may pass is not. */
BIDE_TEST(a_refused_ring_is_told_from_a_passing_error)
{
    static const struct {
        int error;
        int result;
    } cases[] = {{ENOSYS, -ENOSYS}, {EPERM, -ENOSYS},  {EACCES, -ENOSYS},
                 {EINVAL, -ENOSYS}, {ENOMEM, -ENOMEM}, {EMFILE, -EMFILE}};
    struct bide_engine *engine = NULL;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fault_arm(FAULT_SYSTEM, 1, cases[i].error);
        CHECK_INT(bide__uring_open(NULL, &engine), cases[i].result);
        CHECK(fault_disarm());
        CHECK_STR(fault_function(), "io_uring_queue_init_params");
        CHECK_PTR(engine, NULL);
    }
}

static void *answer_ping(void *argument)
{
    int fd = *(int *)argument;
    char text[4];
    if (send(fd, "ping", 4, MSG_NOSIGNAL) == 4)
        (void)recv(fd, text, 4, MSG_WAITALL);
    return NULL;
}

static int turn_until_end(struct bide_engine *engine, struct rig_op *op, int rc)
{
    int64_t deadline_ns = engine->ops->now_ns(engine) + 20 * SECOND_NS;
    if (rc != BIDE_PENDING)
        return rc;
    while (op->n_ends == 0) {
        rc = engine->ops->poll(engine, deadline_ns);
        if (rc < 0)
            return rc;
        CHECK(engine->ops->now_ns(engine) < deadline_ns);
    }
    return op->result;
}

static int talk(struct bide_sock *sock, struct rig_op *receiving, struct rig_op *sending)
{
    const struct bide_engine_ops *ops = sock->engine->ops;
    int rc = ops->recv_wait(sock, &receiving->op);
    rc = turn_until_end(sock->engine, receiving, rc);
    char text[8];
    if (rc == 0)
        rc = (int)ops->try_recv(sock, text, sizeof(text));
    if (rc < 0)
        return rc;
    char answer[] = "pong";
    struct iovec iov[2] = {{answer, 2}, {answer + 2, 2}};
    rc = ops->send(sock, &sending->op, iov, 2);
    return turn_until_end(sock->engine, sending, rc);
}

/* The n-th call fails: in opening, talking or closing, or only in the last two. */
static int talk_with_fault(enum fault_kind kind, unsigned long n, int error, bool is_open_spared)
{
    int fds[2];
    rig_tcp(fds);
    pthread_t peer;
    CHECK_INT(pthread_create(&peer, NULL, answer_ping, &fds[1]), 0);
    struct bide_engine *engine = NULL;
    struct bide_sock *sock = NULL;
    struct rig_op receiving, sending;
    rig_op_init(&receiving);
    rig_op_init(&sending);
    fault_arm(kind, is_open_spared ? 0 : n, error);
    int rc = bide__uring_open(NULL, &engine);
    if (is_open_spared)
        fault_arm(kind, n, error);
    if (rc == 0)
        rc = engine->ops->sock_adopt(engine, fds[0], BIDE_ADOPT_ANY, &sock);
    if (sock) {
        rc = talk(sock, &receiving, &sending);
        engine->ops->cancel(&receiving.op);
        engine->ops->cancel(&sending.op);
        engine->ops->sock_close(sock);
    }
    if (engine)
        rig_close(engine);
    if (!sock)
        close(fds[0]);
    CHECK_INT(pthread_join(peer, NULL), 0); /* which the end of the connection releases */
    close(fds[1]);
    return rc;
}

BIDE_TEST(every_allocation_fails_in_turn)
{
    int n_before = rig_count_fds();
    for (unsigned long n = 1;; n++) {
        int rc = talk_with_fault(FAULT_ALLOCATION, n, 0, false);
        if (!fault_disarm()) {
            CHECK_INT(rc, 0);
            CHECK(n > 4);
            break;
        }
        CHECK_INT(rc, -ENOMEM);
        CHECK_INT(rig_count_fds(), n_before);
    }
}

/* What fails is told, or was made up for. */
BIDE_TEST(every_system_call_fails_in_turn)
{
    int n_before = rig_count_fds();
    for (unsigned long n = 1;; n++) {
        int rc = talk_with_fault(FAULT_SYSTEM, n, ENFILE, false);
        if (!fault_disarm()) {
            CHECK_INT(rc, 0);
            CHECK(n > 6);
            break;
        }
        if (rc != 0)
            CHECK_INT(rc, -ENFILE);
        CHECK_INT(rig_count_fds(), n_before);
    }
}

/* Interruptions, and a kernel that is short of memory for requests, only delay. */
BIDE_TEST(passing_errors_of_the_ring_are_survived)
{
    static const int errors[] = {EINTR, EAGAIN, EBUSY};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        for (unsigned long n = 1;; n++) {
            int rc = talk_with_fault(FAULT_SYSTEM, n, errors[i], true);
            if (!fault_disarm())
                break;
            if (strcmp(fault_function(), "io_uring_enter2") == 0)
                CHECK_INT(rc, 0);
        }
    }
}
