/*
 * Scenario: a loop is made, run in each of the three ways, stopped from everywhere, and closed.
 * Claim: each run ends exactly when it is documented to and returns what it should, and the loop
 * stays usable until it is closed.
 */
#include <pthread.h>

#include "task_rig.h"

static int noted(void *data)
{
    note(data);
    return 0;
}

static int stops(void *data)
{
    note("s");
    bide_loop_stop(data);
    return 0;
}

static int stops_with(void *data)
{
    CHECK_INT(bide_loop_stop_with(data, -EPIPE), 0);
    return 0;
}

static void soon(bide_loop *loop, bide_callback *callback, void *data)
{
    CHECK_INT(bide_loop_call_soon(loop, callback, data, NULL, NULL), 0);
}

static int schedules_more(void *data)
{
    note("a");
    soon(data, noted, (void *)(uintptr_t) "b");
    return 0;
}

BIDE_TEST(stop_before_the_run_makes_it_one_turn)
{
    bide_loop *loop = rig_loop();
    soon(loop, schedules_more, loop);
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_NOTES("a");
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_NOTES("b");
    rig_close(loop);
}

BIDE_TEST(stop_lets_the_turn_end)
{
    bide_loop *loop = rig_loop();
    soon(loop, stops, loop);
    soon(loop, schedules_more, loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_NOTES("sa");
    CHECK(!bide_loop_is_running(loop));
    soon(loop, stops, loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_NOTES("bs");
    rig_close(loop);
}

BIDE_TEST(stop_with_is_what_the_run_returns_once)
{
    bide_loop *loop = rig_loop();
    soon(loop, stops_with, loop);
    CHECK_INT(bide_loop_run_forever(loop), -EPIPE);
    soon(loop, stops, loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_INT(bide_loop_stop_with(loop, -EIO), 0);
    CHECK_INT(bide_loop_stop_with(loop, -EPIPE), 0);
    CHECK_INT(bide_loop_run_forever(loop), -EIO);
    CHECK_INT(bide_loop_stop_with(loop, 0), -EINVAL);
    CHECK_INT(bide_loop_stop_with(loop, 1), -EINVAL);
    CHECK_INT(bide_loop_stop_with(NULL, -EIO), -EINVAL);
    bide_loop_stop(NULL);
    rig_notes[0] = '\0';
    rig_close(loop);
}

static bide_async(looks_around, (bide_loop *, loop))
{
    CHECK_PTR(bide_loop_current(), loop);
    CHECK(bide_loop_is_running(loop));
    CHECK_INT(bide_loop_run_forever(loop), -EBUSY);
    CHECK_INT(bide_loop_close(loop), -EBUSY);
    return 3;
}

static bide_task *spawn_on(bide_loop *loop, int result)
{
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, returns_after, 2, result);
    CHECK(task);
    return task;
}

BIDE_TEST(run_until_complete_returns_the_result)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    CHECK(!bide_loop_is_running(loop));
    CHECK(!bide_loop_is_running(NULL));
    bide_task *task = bide_spawn_with(&opts, looks_around, loop);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 3);
    CHECK_INT(bide_loop_run_until_complete(loop, spawn_on(loop, 7)), 7);
    CHECK_INT(bide_loop_run_until_complete(loop, spawn_on(loop, -ENOENT)), -ENOENT);
    CHECK_INT(bide_loop_run_until_complete(loop, NULL), -ENOMEM);
    CHECK_INT(bide_loop_run_until_complete(NULL, NULL), -ENOMEM);
    rig_close(loop);
}

BIDE_TEST(run_until_complete_takes_a_done_task_without_a_turn)
{
    bide_loop *loop = rig_loop();
    bide_task *task = spawn_on(loop, 7);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_retain(task)), 7);
    soon(loop, noted, (void *)(uintptr_t) "x");
    CHECK_INT(bide_loop_run_until_complete(loop, task), 7);
    CHECK_NOTES("");
    bide_loop_close(loop);
    CHECK_NOTES("x");
    rig_end();
}

BIDE_TEST(run_until_complete_of_a_future)
{
    bide_loop *loop = rig_loop();
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, 9, NULL), 0);
    CHECK_INT(bide_loop_run_until_complete(loop, future), 9);
    bide_promise_free(promise);
    rig_close(loop);
}

BIDE_TEST(run_until_complete_ended_early_is_an_error_and_leaves_the_handle)
{
    bide_loop *loop = rig_loop();
    bide_task *task = spawn_on(loop, 7);
    soon(loop, stops, loop);
    CHECK_INT(bide_loop_run_until_complete(loop, task), -BIDE_ESTOPPED);
    CHECK(!bide_task_done(task));
    soon(loop, stops_with, loop);
    CHECK_INT(bide_loop_run_until_complete(loop, task), -EPIPE);
    CHECK(!bide_task_done(task));
    CHECK_INT(bide_loop_run_until_complete(loop, task), 7);
    CHECK_NOTES("s");
    rig_close(loop);
}

BIDE_TEST(task_that_is_done_in_the_turn_of_a_stop_with_is_taken)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop, .name = "t"};
    bide_task *task = bide_spawn_with(&opts, returns, 7);
    bide_task *failing = bide_spawn_with(&opts, returns, -EIO);
    bide_retain(task);
    soon(loop, stops_with, loop);
    CHECK_INT(bide_loop_run_until_complete(loop, task), -EPIPE);
    CHECK(bide_task_done(task));
    bide_detach(task);
    soon(loop, stops_with, loop);
    CHECK_INT(bide_loop_run_until_complete(loop, failing), -EIO);
    CHECK_INT(bide_loop_run_forever(loop), -EPIPE);
    failing = bide_spawn_with(&opts, returns, -EIO);
    soon(loop, stops_with, loop);
    CHECK_INT(bide_loop_run_until_complete(loop, failing), -EPIPE);
    CHECK_STR(take_report(), "task failed and nobody read its result|-5||t|returns|"
                             "test_task_that_is_done_in_the_turn_of_a_stop_with_is_taken");
    rig_close(loop);
}

BIDE_TEST(task_of_another_loop_is_refused)
{
    bide_loop *one = rig_loop();
    bide_loop *two = rig_loop();
    bide_task *task = spawn_on(one, 7);
    CHECK_INT(bide_loop_run_until_complete(two, task), -EINVAL);
    CHECK_INT(bide_loop_run_until_complete(one, task), 7);
    rig_close(one);
    rig_close(two);
}

static bide_loop *the_other;

static bide_async(runs_another)
{
    CHECK_INT(bide_loop_run_forever(the_other), -EBUSY);
    bide_task *task = spawn_on(the_other, 1);
    CHECK_INT(bide_loop_run_until_complete(the_other, task), -EBUSY);
    CHECK_INT(bide_loop_close(the_other), -EBUSY);
    bide_detach(task);
    return 0;
}

BIDE_TEST(one_loop_runs_on_a_thread_at_a_time)
{
    bide_loop *loop = rig_loop();
    the_other = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, runs_another)), 0);
    rig_close(loop);
    rig_close(the_other);
}

BIDE_TEST(loops_take_turns_on_a_thread)
{
    bide_loop *one = rig_loop();
    bide_loop *two = rig_loop();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(bide_loop_run_until_complete(one, spawn_on(one, i)), i);
        CHECK_INT(bide_loop_run_until_complete(two, spawn_on(two, i)), i);
    }
    rig_close(one);
    CHECK_INT(bide_loop_run_until_complete(two, spawn_on(two, 5)), 5);
    rig_close(two);
}

static void *runs_foreign_loop(void *loop)
{
    CHECK_INT(bide_loop_run_forever(loop), -EPERM);
    CHECK_INT(bide_loop_close(loop), -EPERM);
    return NULL;
}

static void *runs_and_closes(void *loop)
{
    CHECK_INT(bide_loop_run_until_complete(loop, spawn_on(loop, 4)), 4);
    rig_close(loop);
    return NULL;
}

BIDE_TEST(loop_belongs_to_the_thread_that_first_runs_it)
{
    bide_loop *loop = rig_loop();
    pthread_t thread;
    CHECK_INT(bide_loop_run_until_complete(loop, spawn_on(loop, 1)), 1);
    CHECK_INT(pthread_create(&thread, NULL, runs_foreign_loop, loop), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    rig_close(loop);
    loop = rig_loop();
    bide_detach(spawn_on(loop, 1));
    CHECK_INT(pthread_create(&thread, NULL, runs_and_closes, loop), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

BIDE_TEST(options)
{
    bide_loop *loop = (bide_loop *)&loop;
    struct bide_loop_opts opts = {.engine = "none"};
    CHECK_INT(bide_loop_new(&opts, &loop), -EINVAL);
    opts = (struct bide_loop_opts){.cleanup_seconds = -1};
    CHECK_INT(bide_loop_new(&opts, &loop), -EINVAL);
    opts.cleanup_seconds = NAN;
    CHECK_INT(bide_loop_new(&opts, &loop), -EINVAL);
    opts = (struct bide_loop_opts){.stack_size = 1};
    CHECK_INT(bide_loop_new(&opts, &loop), -EINVAL);
    CHECK_INT(bide_loop_new(NULL, NULL), -EINVAL);
    CHECK_PTR(loop, &loop);
    opts = (struct bide_loop_opts){.engine = "epoll", .cleanup_seconds = INFINITY};
    loop = rig_loop_with(&opts);
    CHECK_STR(bide_loop_engine(loop), "epoll");
    rig_close(loop);
    CHECK_INT(bide_loop_close(NULL), 0);
}

BIDE_TEST(loop_that_never_ran_is_closed)
{
    bide_loop *loop = rig_loop();
    bide_detach(spawn_on(loop, 1));
    soon(loop, noted, (void *)(uintptr_t) "x");
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_NOTES("x");
    rig_end();
}

BIDE_TEST(handles_of_finished_tasks_outlive_the_loop)
{
    bide_loop *loop = rig_loop();
    bide_task *kept = spawn_on(loop, 7);
    bide_task *cancelled = spawn_on(loop, 8);
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    bide_retain(kept);
    CHECK_INT(bide_loop_run_until_complete(loop, kept), 7);
    rig_close(loop);
    int result = 0;
    CHECK_INT(bide_task_result(kept, &result), 0);
    CHECK_INT(result, 7);
    CHECK_STR(bide_task_name(kept), "Task-1");
    CHECK(bide_task_done(cancelled));
    CHECK(!bide_task_cancelled(cancelled));
    CHECK(bide_task_cancelled(future));
    CHECK_INT(bide_promise_set(promise, 1, NULL), -EALREADY);
    CHECK_INT(bide_task_add_done_callback(kept, NULL, NULL, NULL), -EINVAL);
    bide_promise_free(promise);
    bide_detach(kept);
    bide_detach(cancelled);
    bide_detach(future);
}

static bide_async(stops_while_cleaned_up)
{
    int rc = bide_sleep(INFINITY);
    bide_loop_stop(bide_loop_current());
    int cleanup = bide_shielded(1, bide_sleep(0.005));
    CHECK_INT(cleanup, 0);
    note("c");
    return rc;
}

static void count_wait(void *n_waits)
{
    ++*(int *)n_waits;
}

BIDE_TEST(stop_neither_shortens_the_cleanup_nor_keeps_it_from_waiting)
{
    bide_loop *loop = rig_loop();
    int n_waits = 0;
    struct bide_wait_hooks hooks = {.before = count_wait, .data = &n_waits};
    bide_loop_set_wait_hooks(loop, &hooks);
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, stops_while_cleaned_up);
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    bide_loop_stop(loop);
    rig_close(loop);
    CHECK_NOTES("c");
    CHECK_RANGE(n_waits, 1, 100);
    CHECK(bide_task_cancelled(task));
    bide_detach(task);
}
