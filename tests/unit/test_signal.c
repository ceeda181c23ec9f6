/*
 * Scenario: signal handlers on a loop, with real signals to the process. Claim: each signal is one
 * call on the loop, the action that was there before is back afterwards, and a handler may end the
 * run with an error and leave the loop usable.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "task_rig.h"

struct rig {
    bide_loop *loop;
    int n_calls;
    int n_drops;
    int stop_after;
    void (*act)(struct rig *rig);
};

static int on_signal(void *data)
{
    struct rig *rig = data;
    rig->n_calls++;
    if (rig->act)
        rig->act(rig);
    if (rig->n_calls == rig->stop_after)
        bide_loop_stop(rig->loop);
    return 0;
}

static void on_drop(void *data)
{
    ((struct rig *)data)->n_drops++;
}

static void add(struct rig *rig, int signo)
{
    CHECK_INT(bide_loop_add_signal_handler(rig->loop, signo, on_signal, rig, on_drop), 0);
}

static void run_turns(bide_loop *loop, int n)
{
    for (int i = 0; i < n; i++) {
        bide_loop_stop(loop);
        CHECK_INT(bide_loop_run_forever(loop), 0);
    }
}

static bool action_is(int signo, void (*handler)(int))
{
    struct sigaction action;
    CHECK_INT(sigaction(signo, NULL, &action), 0);
    return action.sa_handler == handler;
}

BIDE_TEST(two_signals_are_two_calls)
{
    struct rig rig = {.loop = rig_loop()};
    add(&rig, SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_INT(rig.n_calls, 0);
    rig.stop_after = 2;
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    run_turns(rig.loop, 3);
    CHECK_INT(rig.n_calls, 2);
    rig_close(rig.loop);
    CHECK_INT(rig.n_drops, 1);
}

static void *sends_a_signal(void *main_thread)
{
    CHECK_INT(pthread_kill(*(pthread_t *)main_thread, SIGUSR1), 0);
    return NULL;
}

BIDE_TEST(signal_wakes_a_loop_that_sleeps)
{
    struct rig rig = {.loop = rig_loop(), .stop_after = 1};
    pthread_t self = pthread_self();
    pthread_t thread;
    add(&rig, SIGUSR1);
    CHECK_INT(pthread_create(&thread, NULL, sends_a_signal, &self), 0);
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    rig_close(rig.loop);
}

BIDE_TEST(removal_says_whether_there_was_one_and_restores_the_action)
{
    struct rig rig = {.loop = rig_loop()};
    CHECK_INT(bide_loop_remove_signal_handler(rig.loop, SIGUSR1), 0);
    CHECK_INT(bide_loop_remove_signal_handler(rig.loop, 0), 0);
    CHECK_INT(bide_loop_remove_signal_handler(NULL, SIGUSR1), 0);
    CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
    add(&rig, SIGUSR1);
    CHECK(!action_is(SIGUSR1, SIG_IGN));
    CHECK_INT(bide_loop_remove_signal_handler(rig.loop, SIGUSR1), 1);
    CHECK(action_is(SIGUSR1, SIG_IGN));
    CHECK_INT(rig.n_drops, 1);
    CHECK_INT(bide_loop_remove_signal_handler(rig.loop, SIGUSR1), 0);
    add(&rig, SIGUSR1);
    add(&rig, SIGUSR2);
    rig_close(rig.loop);
    CHECK(action_is(SIGUSR1, SIG_IGN));
    CHECK(action_is(SIGUSR2, SIG_DFL));
    CHECK_INT(rig.n_drops, 3);
}

BIDE_TEST(second_handler_replaces_the_first)
{
    struct rig rig = {.loop = rig_loop()};
    struct rig second = {.loop = rig.loop, .stop_after = 1};
    add(&rig, SIGUSR1);
    add(&second, SIGUSR1);
    CHECK_INT(rig.n_drops, 1);
    raise(SIGUSR1);
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 0);
    CHECK_INT(second.n_calls, 1);
    rig_close(rig.loop);
    CHECK_INT(rig.n_drops, 1);
    CHECK_INT(second.n_drops, 1);
}

static void drop_adds_again(void *data)
{
    struct rig *rig = data;
    if (rig->n_drops++ == 0)
        add(rig, SIGUSR1);
}

BIDE_TEST(drop_adds_a_handler_for_the_same_signal)
{
    struct rig rig = {.loop = rig_loop(), .stop_after = 1};
    struct rig second = {.loop = rig.loop};
    CHECK_INT(bide_loop_add_signal_handler(rig.loop, SIGUSR1, on_signal, &rig, drop_adds_again), 0);
    add(&second, SIGUSR1);
    CHECK_INT(rig.n_drops, 1);
    CHECK_INT(second.n_drops, 1);
    raise(SIGUSR1);
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 1);
    CHECK_INT(second.n_calls, 0);
    rig_close(rig.loop);
    CHECK_INT(rig.n_drops, 2);
}

static void remove_self(struct rig *rig)
{
    CHECK_INT(bide_loop_remove_signal_handler(rig->loop, SIGUSR1), 1);
    CHECK_INT(rig->n_drops, 0);
}

BIDE_TEST(handler_removes_itself_and_calls_that_are_due_are_forgotten)
{
    struct rig rig = {.loop = rig_loop(), .act = remove_self, .stop_after = 1};
    add(&rig, SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    run_turns(rig.loop, 3);
    CHECK_INT(rig.n_calls, 1);
    CHECK_INT(rig.n_drops, 1);
    rig_close(rig.loop);
}

static int removes_queued(void *data)
{
    struct rig *rig = data;
    CHECK_INT(bide_loop_remove_signal_handler(rig->loop, SIGUSR2), 1);
    CHECK_INT(rig->n_drops, 1);
    bide_loop_stop(rig->loop);
    return 0;
}

BIDE_TEST(handler_that_is_due_is_removed_by_another)
{
    struct rig rig = {.loop = rig_loop()};
    CHECK_INT(bide_loop_add_signal_handler(rig.loop, SIGUSR1, removes_queued, &rig, NULL), 0);
    add(&rig, SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR2);
    CHECK(SIGUSR1 < SIGUSR2); /* which is the order of the calls */
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    run_turns(rig.loop, 2);
    CHECK_INT(rig.n_calls, 0);
    rig_close(rig.loop);
    CHECK_INT(rig.n_drops, 1);
}

static void stop_with(struct rig *rig)
{
    CHECK_INT(bide_loop_stop_with(rig->loop, -EINTR), 0);
}

BIDE_TEST(handler_ends_the_run_with_an_error)
{
    struct rig rig = {.loop = rig_loop(), .act = stop_with};
    struct bide_task_opts opts = {.loop = rig.loop};
    add(&rig, SIGINT);
    raise(SIGINT);
    CHECK_INT(bide_loop_run_forever(rig.loop), -EINTR);
    CHECK_INT(rig.n_calls, 1);
    bide_task *task = bide_spawn_with(&opts, returns_after, 2, 5);
    CHECK_INT(bide_loop_run_until_complete(rig.loop, task), 5);
    rig.act = NULL;
    rig.stop_after = 2;
    raise(SIGINT);
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    rig_close(rig.loop);
}

static bide_async(computes_and_sleeps)
{
    raise(SIGUSR1); /* on the task's own stack */
    return bide_sleep(INFINITY);
}

BIDE_TEST(signal_while_a_task_runs)
{
    struct rig rig = {.loop = rig_loop(), .stop_after = 1};
    struct bide_task_opts opts = {.loop = rig.loop};
    add(&rig, SIGUSR1);
    bide_task *task = bide_spawn_with(&opts, computes_and_sleeps);
    CHECK_INT(bide_loop_run_until_complete(rig.loop, task), -BIDE_ESTOPPED);
    CHECK_INT(rig.n_calls, 1);
    rig_close(rig.loop);
    CHECK(bide_task_cancelled(task));
    bide_detach(task);
}

BIDE_TEST(signal_belongs_to_one_loop)
{
    struct rig rig = {.loop = rig_loop()};
    struct rig other = {.loop = rig_loop(), .stop_after = 1};
    add(&rig, SIGUSR1);
    CHECK_INT(bide_loop_add_signal_handler(other.loop, SIGUSR1, on_signal, &other, on_drop),
              -EBUSY);
    CHECK_INT(other.n_drops, 0);
    CHECK_INT(bide_loop_remove_signal_handler(rig.loop, SIGUSR1), 1);
    add(&other, SIGUSR1);
    raise(SIGUSR1);
    CHECK_INT(bide_loop_run_forever(other.loop), 0);
    rig_close(rig.loop);
    rig_close(other.loop);
    CHECK_INT(rig.n_calls, 0);
    CHECK_INT(other.n_calls, 1);
}

BIDE_TEST(what_cannot_be_handled)
{
    struct rig rig = {.loop = rig_loop()};
    static const int refused[] = {0, -1, 10000, SIGKILL, SIGSTOP, SIGSEGV};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK_INT(bide_loop_add_signal_handler(rig.loop, refused[i], on_signal, &rig, on_drop),
                  -EINVAL);
    CHECK_INT(bide_loop_add_signal_handler(rig.loop, SIGUSR1, NULL, &rig, on_drop), -EINVAL);
    CHECK_INT(bide_loop_add_signal_handler(NULL, SIGUSR1, on_signal, &rig, on_drop), -EINVAL);
    rig_close(rig.loop);
    CHECK_INT(rig.n_drops, 0);
}

static void drop_adds_after_closing(void *data)
{
    struct rig *rig = data;
    rig->n_drops++;
    CHECK_INT(bide_loop_add_signal_handler(rig->loop, SIGUSR2, on_signal, rig, on_drop),
              -ESHUTDOWN);
}

BIDE_TEST(closing_loop_drops_and_takes_no_handler)
{
    struct rig rig = {.loop = rig_loop()};
    CHECK_INT(
        bide_loop_add_signal_handler(rig.loop, SIGUSR1, on_signal, &rig, drop_adds_after_closing),
        0);
    raise(SIGUSR1);
    rig_close(rig.loop);
    CHECK_INT(rig.n_drops, 1);
}
