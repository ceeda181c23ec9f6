/*
 * Scenario: a listener has connections queued, and the process has no descriptor left. Claim: the
 * failure is reported, the connections stay queued, whoever tries again and again is slowed down
 * instead of spinning, and accepting goes on as soon as the engine closes a descriptor.
 */
#include "engine_rig.h"

#include <sys/resource.h>

static void exhaust_fds(void)
{
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 100;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (dup(0) >= 0)
        ;
    CHECK_INT(errno, EMFILE);
}

BIDE_TEST(a_listener_without_descriptors_rests_until_one_is_closed)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 64, &address, &length);
    struct rig_op wait;
    rig_op_init(&wait);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(client, (struct sockaddr *)&address, length), 0);
    struct rig_pair spare = rig_tcp_pair(engine);
    enum { N_MORE = 40, N_CLOSES = 4 };
    int more[N_MORE];
    for (int i = 0; i < N_MORE; i++)
        more[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    exhaust_fds();

    struct bide_sock *sock = NULL;
    CHECK_INT(rig_result(engine, &wait, ops->accept_wait(listener, &wait.op)), 0);
    CHECK_INT(ops->try_accept(listener, &sock), -EMFILE);
    /* Trying again and again costs little, also if more connections come meanwhile. */
    int64_t end_ns = ops->now_ns(engine) + SECOND_NS / 2;
    int n_tries = 0;
    while (ops->now_ns(engine) < end_ns) {
        int rc = ops->accept_wait(listener, &wait.op);
        CHECK_INT(rc, BIDE_PENDING);
        if (n_tries < N_MORE)
            CHECK_INT(connect(more[n_tries], (struct sockaddr *)&address, length), 0);
        rig_end(engine, &wait);
        CHECK_INT(wait.result, 0);
        CHECK_INT(ops->try_accept(listener, &sock), -EMFILE);
        n_tries++;
    }
    CHECK_RANGE(n_tries, 1, N_MORE / 2);
    for (int i = n_tries; i < N_MORE; i++)
        CHECK_INT(connect(more[i], (struct sockaddr *)&address, length), 0);

    /* Each descriptor that the engine closes ends the rest, long before it would end by itself. */
    CHECK_INT(ops->accept_wait(listener, &wait.op), BIDE_PENDING);
    rig_pair_close(&spare);
    rig_end(engine, &wait);
    CHECK_INT(wait.result, 0);
    CHECK_INT(ops->try_accept(listener, &sock), 0);
    while (dup(0) >= 0)
        ;
    int64_t start_ns = ops->now_ns(engine);
    for (int i = 0; i < N_CLOSES; i++) {
        struct bide_sock *next;
        CHECK_INT(ops->try_accept(listener, &next), -EMFILE);
        CHECK_INT(ops->accept_wait(listener, &wait.op), BIDE_PENDING);
        ops->sock_close(sock);
        rig_end(engine, &wait);
        CHECK_INT(wait.result, 0);
        CHECK_INT(ops->try_accept(listener, &sock), 0);
    }
    CHECK_RANGE(ops->now_ns(engine) - start_ns, 0, N_CLOSES * (SECOND_NS / 20));
    ops->sock_close(sock);
    ops->sock_close(listener);
    close(client);
    for (int i = 0; i < N_MORE; i++)
        close(more[i]);
    rig_close(engine);
}

BIDE_TEST(a_listener_at_rest_can_be_cancelled)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listeners[3];
    struct rig_op waits[3];
    int clients[3];
    for (int i = 0; i < 3; i++) {
        listeners[i] = rig_listen(engine, AF_INET, 64, &address, &length);
        rig_op_init(&waits[i]);
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(clients[i], (struct sockaddr *)&address, length), 0);
    }
    exhaust_fds();
    for (int i = 0; i < 3; i++) {
        struct bide_sock *sock;
        CHECK_INT(rig_result(engine, &waits[i], ops->accept_wait(listeners[i], &waits[i].op)), 0);
        CHECK_INT(ops->try_accept(listeners[i], &sock), -EMFILE);
        waits[i].n_ends = 0;
        CHECK_INT(ops->accept_wait(listeners[i], &waits[i].op), BIDE_PENDING);
    }
    ops->cancel(&waits[1].op);
    rig_turn_until(engine, &waits[1].n_ends, 1);
    CHECK_INT(waits[1].result, -ECANCELED);
    ops->sock_close(listeners[1]); /* frees a descriptor, which ends the rest of the others */
    for (int i = 0; i < 3; i += 2) {
        rig_turn_until(engine, &waits[i].n_ends, 1);
        CHECK_INT(waits[i].result, 0);
        ops->sock_close(listeners[i]);
    }
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    rig_close(engine);
}
