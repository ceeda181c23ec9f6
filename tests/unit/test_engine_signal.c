/*
 * Scenario: signals come from the thread itself, from others and in floods, while engines take and
 * give up the handling of them. Claim: one call per arrival, from poll(); one owner per signal; the
 * former action is back afterwards; and a sleeping loop is woken.
 */
#include "engine_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static void count(void *data)
{
    ++*(int *)data;
}

BIDE_TEST(two_signals_give_two_calls_from_poll)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    int n = 0;
    struct bide_signal *signal;
    CHECK_INT(ops->signal_open(engine, SIGUSR1, count, &n, &signal), 0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(n, 0);
    rig_turn_until(engine, &n, 2);
    rig_settle(engine);
    CHECK_INT(n, 2);
    ops->signal_close(signal);
    rig_close(engine);
}

BIDE_TEST(each_signal_has_its_own_count)
{
    struct bide_engine *engine = rig_open();
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGUSR2, SIGWINCH};
    enum { N = sizeof(numbers) / sizeof(numbers[0]) };
    int counts[N] = {0};
    struct bide_signal *signals[N];
    for (int i = 0; i < N; i++)
        CHECK_INT(engine->ops->signal_open(engine, numbers[i], count, &counts[i], &signals[i]), 0);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++)
            CHECK_INT(raise(numbers[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        while (counts[i] < i + 1)
            rig_turn(engine);
    }
    for (int i = 0; i < N; i++) {
        CHECK_INT(counts[i], i + 1);
        engine->ops->signal_close(signals[i]);
    }
    rig_close(engine);
}

BIDE_TEST(a_signal_has_one_owner_at_a_time)
{
    struct bide_engine *first = rig_open();
    struct bide_engine *second = rig_open();
    int n[2] = {0};
    struct bide_signal *signal;
    struct bide_signal *other = NULL;
    CHECK_INT(first->ops->signal_open(first, SIGUSR1, count, &n[0], &signal), 0);
    CHECK_INT(second->ops->signal_open(second, SIGUSR1, count, &n[1], &other), -EBUSY);
    CHECK_PTR(other, NULL);
    CHECK_INT(raise(SIGUSR1), 0);
    rig_turn_until(first, &n[0], 1);
    CHECK_INT(raise(SIGUSR1), 0); /* not called before it is given up: gone */
    first->ops->signal_close(signal);
    CHECK_INT(second->ops->signal_open(second, SIGUSR1, count, &n[1], &other), 0);
    rig_settle(second);
    CHECK_INT(n[1], 0);
    CHECK_INT(raise(SIGUSR1), 0);
    rig_turn_until(second, &n[1], 1);
    CHECK_INT(n[0], 1);
    second->ops->signal_close(other);
    rig_close(first);
    rig_close(second);
}

static volatile sig_atomic_t n_former;

static void former_handler(int signo)
{
    (void)signo;
    n_former++;
}

BIDE_TEST(the_former_action_is_back_afterwards)
{
    struct sigaction former = {.sa_handler = former_handler, .sa_flags = SA_NODEFER};
    CHECK_INT(sigaction(SIGUSR1, &former, NULL), 0);
    struct bide_engine *engine = rig_open();
    int n = 0;
    struct bide_signal *signal;
    CHECK_INT(engine->ops->signal_open(engine, SIGUSR1, count, &n, &signal), 0);
    struct sigaction now;
    CHECK_INT(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_flags & SA_RESTART);
    CHECK(now.sa_flags & SA_ONSTACK);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(n_former, 0);
    engine->ops->signal_close(signal);
    CHECK_INT(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == former_handler);
    CHECK(now.sa_flags & SA_NODEFER);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(n_former, 1);
    CHECK_INT(n, 0);
    rig_close(engine);
}

BIDE_TEST(what_cannot_be_caught_is_refused)
{
    struct bide_engine *engine = rig_open();
    static const int numbers[] = {0,       -1,     65,     1000,   SIGKILL, SIGSTOP,
                                  SIGSEGV, SIGBUS, SIGFPE, SIGILL, 32 /* the C library's */};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct bide_signal *signal = NULL;
        for (int twice = 0; twice < 2; twice++) /* a refusal owns nothing */
            CHECK_INT(engine->ops->signal_open(engine, numbers[i], count, NULL, &signal), -EINVAL);
        CHECK_PTR(signal, NULL);
    }
    rig_close(engine);
}

static void *raise_at(void *argument)
{
    CHECK_INT(pthread_kill(*(pthread_t *)argument, SIGUSR1), 0);
    return NULL;
}

BIDE_TEST(a_sleeping_loop_is_woken)
{
    struct bide_engine *engine = rig_open();
    int n = 0;
    struct bide_signal *signal;
    CHECK_INT(engine->ops->signal_open(engine, SIGUSR1, count, &n, &signal), 0);
    for (int i = 1; i <= 100; i++) {
        pthread_t self = pthread_self();
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, raise_at, &self), 0);
        rig_turn_until(engine, &n, i);
        CHECK_INT(pthread_join(thread, NULL), 0);
    }
    engine->ops->signal_close(signal);
    rig_close(engine);
}

/* Gives up another signal of the same batch, and itself. */
struct closer {
    struct bide_engine *engine;
    struct bide_signal *signals[2];
    int n_calls;
};

static void close_both(void *data)
{
    struct closer *closer = data;
    closer->n_calls++;
    for (int i = 0; i < 2; i++)
        closer->engine->ops->signal_close(closer->signals[i]);
}

BIDE_TEST(a_callback_may_give_signals_up)
{
    struct bide_engine *engine = rig_open();
    struct closer closer = {.engine = engine};
    for (int i = 0; i < 2; i++)
        CHECK_INT(engine->ops->signal_open(engine, i ? SIGUSR2 : SIGUSR1, close_both, &closer,
                                           &closer.signals[i]),
                  0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(raise(SIGUSR2), 0);
    rig_turn_until(engine, &closer.n_calls, 1);
    rig_settle(engine);
    CHECK_INT(closer.n_calls, 1);
    rig_close(engine);
}

/*
 * Threads raise at whoever of them runs, without a pause, while the loop takes the signal and gives
 * it up again, with an engine that goes away each time: no handler may reach a closed engine.
 */
struct flood {
    atomic_bool stop;
    atomic_int n_raised;
};

static void *raise_many(void *argument)
{
    struct flood *flood = argument;
    while (!atomic_load(&flood->stop)) {
        CHECK_INT(raise(SIGUSR1), 0);
        atomic_fetch_add(&flood->n_raised, 1);
    }
    return NULL;
}

BIDE_TEST(handlers_under_way_do_not_reach_a_closed_engine)
{
    if (getenv("BIDE_TEST_EMULATED"))
        SKIP("qemu-user reads a handler twice while another thread changes it");
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    CHECK_INT(sigaction(SIGUSR1, &ignore, NULL), 0);
    struct flood flood = {0};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, raise_many, &flood), 0);
    for (int i = 0; i < 50; i++) {
        struct bide_engine *engine = rig_open();
        int n = 0;
        struct bide_signal *signal;
        CHECK_INT(engine->ops->signal_open(engine, SIGUSR1, count, &n, &signal), 0);
        while (n < 3)
            rig_turn(engine);
        engine->ops->signal_close(signal);
        int n_before = n;
        CHECK(engine->ops->poll(engine, 0) >= 0);
        CHECK_INT(n, n_before);
        rig_close(engine);
    }
    atomic_store(&flood.stop, true);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK(atomic_load(&flood.n_raised) >= 150);
}
