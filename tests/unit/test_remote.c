/*
 * Scenario: one loop and what other threads ask of it: calls, tasks, cancels, waits, before, during
 * and after its run. Claim: a post wakes a sleeping loop, runs on its thread, in order, and is
 * refused once the loop is closed; a remote task's result reaches every waiter on every thread, and
 * -ECANCELED does when the loop closes first.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "task_rig.h"

static pthread_t start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, body, argument), 0);
    return thread;
}

static void join(pthread_t thread)
{
    CHECK_INT(pthread_join(thread, NULL), 0);
}

/* A loop that runs on a thread of its own until it is told to stop. */
struct runner {
    bide_loop *loop;
    bide_remote *remote;
    pthread_t thread;
    atomic_int n_drops;
};

static void *runs(void *data)
{
    struct runner *runner = data;
    CHECK_INT(bide_loop_run_forever(runner->loop), 0);
    rig_close(runner->loop);
    return NULL;
}

static void runner_start(struct runner *runner)
{
    atomic_init(&runner->n_drops, 0);
    runner->loop = rig_loop();
    runner->remote = bide_loop_remote(runner->loop);
    CHECK(runner->remote);
    runner->thread = start(runs, runner);
}

static int stop(void *loop)
{
    bide_loop_stop(loop);
    return 0;
}

static void count_drop(void *data)
{
    atomic_fetch_add(&((struct runner *)data)->n_drops, 1);
}

static void runner_stop(struct runner *runner)
{
    CHECK_INT(bide_call_soon_threadsafe(runner->remote, stop, runner->loop, NULL), 0);
    join(runner->thread);
}

static int nothing(void *data)
{
    (void)data;
    return 0;
}

BIDE_TEST(post_wakes_a_loop_that_sleeps_and_is_refused_after_the_close)
{
    struct runner runner;
    runner_start(&runner);
    CHECK_INT(bide_call_soon_threadsafe(runner.remote, nothing, &runner, count_drop), 0);
    runner_stop(&runner);
    CHECK_INT(atomic_load(&runner.n_drops), 1);
    CHECK_INT(bide_call_soon_threadsafe(runner.remote, nothing, &runner, count_drop), -ESHUTDOWN);
    CHECK_INT(atomic_load(&runner.n_drops), 1);
    CHECK_PTR(bide_spawn_threadsafe(runner.remote, returns, 1), NULL);
    bide_remote_unref(runner.remote);
}

BIDE_TEST(senseless_arguments)
{
    bide_loop *loop = rig_loop();
    bide_remote *remote = bide_loop_remote(loop);
    int result;
    CHECK_INT(bide_call_soon_threadsafe(NULL, nothing, NULL, NULL), -EINVAL);
    CHECK_INT(bide_call_soon_threadsafe(remote, NULL, NULL, NULL), -EINVAL);
    CHECK_PTR(bide_spawn_threadsafe((bide_remote *)NULL, returns, 1), NULL);
    CHECK_INT(bide_wait_threadsafe(remote, 0, &result), -EINVAL);
    CHECK_INT(bide_wait_threadsafe(NULL, 0, &result), -EINVAL);
    CHECK_INT(bide_await_threadsafe(remote), -EINVAL);
    CHECK_INT(bide_await_threadsafe(NULL), -EINVAL);
    CHECK_INT(bide_cancel_threadsafe(remote), -EINVAL);
    CHECK_INT(bide_cancel_threadsafe(NULL), -EINVAL);
    bide_remote *task = bide_spawn_threadsafe(remote, returns, 1);
    CHECK(task);
    CHECK_INT(bide_wait_threadsafe(task, NAN, &result), -EINVAL);
    CHECK_INT(bide_wait_threadsafe(task, 0, NULL), -EINVAL);
    CHECK_INT(bide_await_threadsafe(task), -BIDE_ENOTASK);
    bide_remote_unref(task);
    CHECK_PTR(bide_remote_ref(remote), remote);
    CHECK_PTR(bide_remote_ref(NULL), NULL);
    bide_remote_unref(remote);
    bide_remote_unref(remote);
    bide_remote_unref(NULL);
    CHECK_PTR(bide_loop_remote(NULL), NULL);
    rig_close(loop);
}

enum { POSTERS = 4, POSTS = 500 };

struct ordered {
    bide_remote *remote;
    int next; /* on the loop's thread alone */
    atomic_int n_drops;
};

struct numbered {
    struct ordered *ordered;
    int number;
};

static int checks_order(void *data)
{
    struct numbered *numbered = data;
    CHECK_INT(numbered->ordered->next++, numbered->number);
    return 0;
}

static void free_numbered(void *data)
{
    struct numbered *numbered = data;
    atomic_fetch_add(&numbered->ordered->n_drops, 1);
    free(numbered);
}

static void *posts_in_order(void *data)
{
    struct ordered *ordered = data;
    for (int i = 0; i < POSTS; i++) {
        struct numbered *numbered = malloc(sizeof *numbered);
        CHECK(numbered);
        *numbered = (struct numbered){ordered, i};
        int rc = bide_call_soon_threadsafe(ordered->remote, checks_order, numbered, free_numbered);
        CHECK_INT(rc, 0);
    }
    return NULL;
}

BIDE_TEST(posts_of_one_thread_run_in_order)
{
    struct runner runner;
    struct ordered ordered[POSTERS];
    pthread_t threads[POSTERS];
    runner_start(&runner);
    for (int i = 0; i < POSTERS; i++) {
        ordered[i] = (struct ordered){.remote = runner.remote};
        threads[i] = start(posts_in_order, &ordered[i]);
    }
    for (int i = 0; i < POSTERS; i++)
        join(threads[i]);
    runner_stop(&runner);
    for (int i = 0; i < POSTERS; i++) {
        CHECK_INT(ordered[i].next, POSTS);
        CHECK_INT(atomic_load(&ordered[i].n_drops), POSTS);
    }
    bide_remote_unref(runner.remote);
}

BIDE_TEST(posts_that_the_close_overtakes_are_dropped)
{
    struct runner runner = {.loop = rig_loop()};
    atomic_init(&runner.n_drops, 0);
    runner.remote = bide_loop_remote(runner.loop);
    bide_remote *task = bide_spawn_threadsafe(runner.remote, returns, 7);
    CHECK_INT(bide_call_soon_threadsafe(runner.remote, nothing, &runner, count_drop), 0);
    CHECK_INT(bide_cancel_threadsafe(task), 0);
    rig_close(runner.loop);
    CHECK_INT(atomic_load(&runner.n_drops), 1);
    int result = 0;
    CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), 0);
    CHECK_INT(result, -ECANCELED);
    CHECK_INT(bide_cancel_threadsafe(task), -ESHUTDOWN);
    bide_remote_unref(task);
    bide_remote_unref(runner.remote);
}

static int fails(void *data)
{
    (void)data;
    return -EIO;
}

static int wait_for(bide_remote *task)
{
    int result = 12345;
    CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), 0);
    return result;
}

/* A task that insists on its value, and has begun. */
static bide_remote *begun(bide_remote *loop, int value)
{
    bide_remote *task = bide_spawn_threadsafe(loop, insists, value);
    bide_remote *behind = bide_spawn_threadsafe(loop, returns, 1);
    CHECK_INT(wait_for(behind), 1);
    bide_remote_unref(behind);
    return task;
}

BIDE_TEST(error_of_a_posted_callback_is_reported)
{
    struct runner runner = {.loop = rig_loop()};
    runner.remote = bide_loop_remote(runner.loop);
    CHECK_INT(bide_call_soon_threadsafe(runner.remote, fails, NULL, NULL), 0);
    bide_loop_stop(runner.loop);
    CHECK_INT(bide_loop_run_forever(runner.loop), 0);
    CHECK_STR(take_report(), "callback failed|-5||||");
    bide_remote_unref(runner.remote);
    rig_close(runner.loop);
}

BIDE_TEST(result_of_a_remote_task)
{
    struct runner runner;
    runner_start(&runner);
    bide_remote *value = bide_spawn_threadsafe(runner.remote, returns_after, 3, 7);
    bide_remote *error = bide_spawn_threadsafe(runner.remote, returns, -EIO);
    CHECK_INT(wait_for(value), 7);
    CHECK_INT(wait_for(value), 7);
    CHECK_INT(wait_for(error), -EIO);
    runner_stop(&runner);
    CHECK_INT(wait_for(value), 7);
    bide_remote_unref(value);
    bide_remote_unref(error);
    bide_remote_unref(runner.remote);
}

BIDE_TEST(wait_gives_up_after_its_time_and_the_task_runs_on)
{
    struct runner runner;
    int result = 5;
    runner_start(&runner);
    bide_remote *task = begun(runner.remote, 8);
    CHECK_INT(bide_wait_threadsafe(task, 0.002, &result), -ETIMEDOUT);
    CHECK_INT(bide_wait_threadsafe(task, 0, &result), -ETIMEDOUT);
    CHECK_INT(bide_wait_threadsafe(task, -5, &result), -ETIMEDOUT);
    CHECK_INT(result, 5);
    CHECK_INT(bide_cancel_threadsafe(task), 0);
    CHECK_INT(wait_for(task), 8);
    CHECK_INT(bide_cancel_threadsafe(task), 0);
    runner_stop(&runner);
    bide_remote_unref(task);
    bide_remote_unref(runner.remote);
}

BIDE_TEST(cancel_that_follows_at_once_keeps_the_body_from_running)
{
    struct runner runner = {.loop = rig_loop()};
    runner.remote = bide_loop_remote(runner.loop);
    bide_remote *task = bide_spawn_threadsafe(runner.remote, returns, 7);
    CHECK_INT(bide_cancel_threadsafe(task), 0);
    CHECK_INT(bide_cancel_threadsafe(task), 0);
    runner.thread = start(runs, &runner);
    CHECK_INT(wait_for(task), -ECANCELED);
    runner_stop(&runner);
    bide_remote_unref(task);
    bide_remote_unref(runner.remote);
}

BIDE_TEST(loop_that_closes_resolves_its_remote_tasks)
{
    struct runner runner;
    runner_start(&runner);
    bide_remote *waits = bide_spawn_threadsafe(runner.remote, sleeps, INFINITY);
    bide_remote *stands = bide_spawn_threadsafe(runner.remote, insists, 3);
    bide_remote *known = bide_spawn_threadsafe(runner.remote, returns, 1);
    CHECK_INT(wait_for(known), 1); /* the others have begun */
    runner_stop(&runner);
    CHECK_INT(wait_for(waits), -ECANCELED);
    CHECK_INT(wait_for(stands), 3);
    bide_remote_unref(waits);
    bide_remote_unref(stands);
    bide_remote_unref(known);
    bide_remote_unref(runner.remote);
}

static bide_async(fails_unread)
{
    return -EIO;
}

BIDE_TEST(failure_without_a_handle_is_reported)
{
    bide_loop *loop = rig_loop();
    bide_remote *remote = bide_loop_remote(loop);
    bide_remote_unref(bide_spawn_threadsafe(remote, fails_unread));
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_STR(take_report(), "task failed and nobody read its result|-5||Task-1|fails_unread|"
                             "test_failure_without_a_handle_is_reported");
    bide_remote_unref(remote);
    rig_close(loop);
}

static bide_async(uses_own_loop)
{
    bide_remote *remote = bide_loop_remote(bide_loop_current());
    bide_remote *task = bide_spawn_threadsafe(remote, returns, 7);
    int result;
    CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), -EDEADLK);
    CHECK_INT(bide_await_threadsafe(task), -EDEADLK);
    CHECK_INT(bide_cancel_threadsafe(task), 0);
    CHECK_INT(bide_call_soon_threadsafe(remote, nothing, NULL, NULL), 0);
    turns(3);
    bide_remote_unref(task);
    bide_remote_unref(remote);
    return 1;
}

BIDE_TEST(waiting_on_one_s_own_loop_is_a_deadlock)
{
    CHECK_INT(bide_run_with(NULL, uses_own_loop), 1);
}

static void *waits(void *task)
{
    int result;
    CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), 0);
    CHECK_INT(result, 7);
    return NULL;
}

static bide_async(waits_for_a_loop_of_this_thread, (bide_remote *, task))
{
    int result;
    return bide_wait_threadsafe(task, INFINITY, &result);
}

/* A stopped loop gets nothing done while the only thread that may run it waits for it. */
BIDE_TEST(waiting_for_one_s_own_loop_is_a_deadlock_also_while_it_is_stopped)
{
    int result;
    bide_loop *loop = rig_loop();
    bide_remote *remote = bide_loop_remote(loop);
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    bide_remote *task = bide_spawn_threadsafe(remote, returns, 7);
    CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), -EDEADLK);
    CHECK_INT(bide_wait_threadsafe(task, 0, &result), -EDEADLK);
    CHECK_INT(bide_run_with(NULL, waits_for_a_loop_of_this_thread, task), -EDEADLK);
    pthread_t other = start(waits, task);
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    join(other);
    waits(task); /* what is there can be told at once */
    bide_remote_unref(task);
    bide_remote_unref(remote);
    rig_close(loop);
}

static bide_async(tells_its_own_result, (bide_remote *, remote))
{
    bide_remote *task = bide_spawn_threadsafe(remote, returns, 7);
    turns(3);
    waits(task);
    bide_remote_unref(task);
    return 1;
}

BIDE_TEST(a_result_that_is_there_is_told_on_the_loop_s_own_thread_too)
{
    bide_loop *loop = rig_loop();
    bide_remote *remote = bide_loop_remote(loop);
    bide_task *task = bide_spawn_with((&(struct bide_task_opts){.loop = loop}),
                                      tells_its_own_result, remote);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 1);
    bide_remote_unref(remote);
    rig_close(loop);
}

/* Who will run it is not known yet: it may be another thread. */
BIDE_TEST(a_loop_that_never_ran_may_be_waited_for)
{
    struct runner runner = {.loop = rig_loop()};
    int result;
    runner.remote = bide_loop_remote(runner.loop);
    bide_remote *task = bide_spawn_threadsafe(runner.remote, returns, 7);
    CHECK_INT(bide_wait_threadsafe(task, 0.002, &result), -ETIMEDOUT);
    runner.thread = start(runs, &runner);
    waits(task);
    runner_stop(&runner);
    bide_remote_unref(task);
    bide_remote_unref(runner.remote);
}

/* Another loop's task awaits. */
struct awaiting {
    bide_remote *task;
    double limit;
    int result;
    int after; /* of the next suspension */
};

static bide_async(awaits_remote, (struct awaiting *, awaiting))
{
    awaiting->result = bide_within(awaiting->limit, bide_await_threadsafe(awaiting->task));
    awaiting->after = bide_sleep(0);
    return 0;
}

BIDE_TEST(task_of_one_loop_awaits_a_task_of_another)
{
    struct runner runner;
    runner_start(&runner);
    struct awaiting awaiting = {.limit = INFINITY};
    awaiting.task = bide_spawn_threadsafe(runner.remote, returns_after, 3, 7);
    CHECK_INT(bide_run_with(NULL, awaits_remote, &awaiting), 0);
    CHECK_INT(awaiting.result, 7);
    CHECK_INT(bide_run_with(NULL, awaits_remote, &awaiting), 0); /* it is done by now */
    CHECK_INT(awaiting.result, 7);
    bide_remote_unref(awaiting.task);
    awaiting.task = bide_spawn_threadsafe(runner.remote, returns, -EIO);
    CHECK_INT(bide_run_with(NULL, awaits_remote, &awaiting), 0);
    CHECK_INT(awaiting.result, -EIO);
    bide_remote_unref(awaiting.task);
    runner_stop(&runner);
    bide_remote_unref(runner.remote);
}

BIDE_TEST(cancelled_await_hands_the_cancel_on_and_waits)
{
    struct runner runner;
    runner_start(&runner);
    struct awaiting awaiting = {.limit = 0.002};
    awaiting.task = bide_spawn_threadsafe(runner.remote, sleeps, INFINITY);
    CHECK_INT(bide_run_with(NULL, awaits_remote, &awaiting), 0);
    CHECK_INT(awaiting.result, -ETIMEDOUT);
    CHECK_INT(awaiting.after, 0);
    CHECK_INT(wait_for(awaiting.task), -ECANCELED);
    bide_remote_unref(awaiting.task);
    awaiting.task = begun(runner.remote, 9);
    CHECK_INT(bide_run_with(NULL, awaits_remote, &awaiting), 0);
    CHECK_INT(awaiting.result, 9);
    bide_remote_unref(awaiting.task);
    awaiting.limit = 0;
    awaiting.task = bide_spawn_threadsafe(runner.remote, sleeps, INFINITY);
    CHECK_INT(bide_run_with(NULL, awaits_remote, &awaiting), 0);
    CHECK_INT(awaiting.result, -ETIMEDOUT);
    bide_remote_unref(awaiting.task);
    runner_stop(&runner);
    bide_remote_unref(runner.remote);
}

static void *stops_runner(void *data)
{
    runner_stop(data);
    return NULL;
}

BIDE_TEST(awaited_loop_closes_first)
{
    struct runner runner;
    runner_start(&runner);
    struct awaiting awaiting = {.limit = INFINITY};
    awaiting.task = bide_spawn_threadsafe(runner.remote, sleeps, INFINITY);
    pthread_t stopper = start(stops_runner, &runner);
    CHECK_INT(bide_run_with(NULL, awaits_remote, &awaiting), 0);
    CHECK_INT(awaiting.result, -ECANCELED);
    CHECK_INT(awaiting.after, 0);
    join(stopper);
    CHECK_INT(bide_run_with(NULL, awaits_remote, &awaiting), 0);
    CHECK_INT(awaiting.result, -ECANCELED);
    bide_remote_unref(awaiting.task);
    bide_remote_unref(runner.remote);
}

static bide_async(leaves_awaiting_task, (struct awaiting *, awaiting))
{
    bide_detach(bide_spawn(awaits_remote, awaiting));
    turns(2);
    return 0;
}

BIDE_TEST(awaiting_loop_closes_first)
{
    struct runner runner;
    runner_start(&runner);
    struct awaiting awaiting = {.limit = INFINITY};
    awaiting.task = begun(runner.remote, 6);
    CHECK_INT(bide_run_with(NULL, leaves_awaiting_task, &awaiting), 0);
    CHECK_INT(awaiting.result, 6);
    CHECK_INT(awaiting.after, -ECANCELED);
    bide_remote_unref(awaiting.task);
    runner_stop(&runner);
    bide_remote_unref(runner.remote);
}

static bide_async(sums, (int, a), (double, b), (const char *, text), (long long, c))
{
    return a + (int)b + (int)strlen(text) + (int)c;
}

BIDE_TEST(arguments_are_copied)
{
    struct runner runner;
    runner_start(&runner);
    bide_remote *task = bide_spawn_threadsafe(runner.remote, sums, 1, 2.5, "abc", 4);
    CHECK_INT(wait_for(task), 10);
    bide_remote_unref(task);
    runner_stop(&runner);
    bide_remote_unref(runner.remote);
}
