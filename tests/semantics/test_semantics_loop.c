/*
 * The numbered cases of docs/semantics.md about the loop: order of callbacks, stop, errors, timers,
 * context, the end of a run. Claim: each holds on every engine and with every seed.
 */
#include <bide/context.h>
#include <bide/generator.h>

#include "../unit/task_rig.h"

static int note_it(void *data)
{
    note(data);
    return 0;
}

static void soon(bide_callback *callback, const char *what)
{
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), callback, (void *)what, NULL, NULL), 0);
}

static int note_and_schedule(void *data)
{
    note(data);
    soon(note_it, "inner ");
    return 0;
}

TASK_TEST(case_01_what_a_callback_schedules_runs_after_what_was_queued)
{
    soon(note_and_schedule, "outer ");
    soon(note_it, "queued ");
    turns(1);
    CHECK_NOTES("outer queued ");
    turns(1);
    CHECK_NOTES("inner ");
}

static void note_done(bide_task *task, void *data)
{
    (void)task;
    note(data);
}

TASK_TEST(case_02_done_callbacks_never_run_inline)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_INT(bide_task_add_done_callback(future, note_done, (void *)"before ", NULL), 0);
    CHECK_INT(bide_promise_set(promise, 1, NULL), 0);
    CHECK_INT(bide_task_add_done_callback(future, note_done, (void *)"after ", NULL), 0);
    CHECK_NOTES("");
    turns(1);
    CHECK_NOTES("before after ");
    bide_promise_free(promise);
    CHECK_INT(bide_await(future), 1);
}

static int note_and_schedule_again(void *loop)
{
    note("turn ");
    CHECK_INT(bide_loop_call_soon(loop, note_and_schedule_again, loop, NULL, NULL), 0);
    return 0;
}

BIDE_TEST(case_03_stop_before_the_run_is_one_turn)
{
    bide_loop *loop = rig_loop();
    CHECK_INT(bide_loop_call_soon(loop, note_and_schedule_again, loop, NULL, NULL), 0);
    for (int i = 0; i < 2; i++) {
        bide_loop_stop(loop);
        CHECK_INT(bide_loop_run_forever(loop), 0);
        CHECK_NOTES("turn ");
    }
    rig_close(loop);
}

static int stop_it(void *loop)
{
    bide_loop_stop(loop);
    return 0;
}

BIDE_TEST(case_04_stopped_before_the_task_ended)
{
    bide_loop *loop = rig_loop();
    bide_task *task = bide_spawn_with(&(struct bide_task_opts){.loop = loop}, returns_after, 3, 7);
    CHECK_INT(bide_loop_call_soon(loop, stop_it, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_until_complete(loop, task), -BIDE_ESTOPPED);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 7);
    rig_close(loop);
}

static int fail(void *data)
{
    note(data);
    return -EIO;
}

TASK_TEST(case_05_failing_callback_is_reported_and_the_rest_runs)
{
    soon(note_it, "first ");
    soon(fail, "fails ");
    soon(note_it, "last ");
    turns(1);
    CHECK_NOTES("first fails last ");
    CHECK_CONTAINS(take_report(), "|-5|");
}

TASK_TEST(case_06_failure_that_nobody_read_is_reported_with_the_last_handle)
{
    bide_task *task = bide_spawn(returns, -EIO);
    bide_task *second = bide_retain(task);
    turns(2);
    bide_detach(task);
    CHECK_STR(take_report(), "");
    bide_detach(second);
    CHECK_CONTAINS(take_report(), "nobody read its result|-5|");

    int result;
    task = bide_spawn(returns, -EIO);
    turns(2);
    CHECK_INT(bide_task_result(task, &result), 0);
    bide_detach(task);
    CHECK_STR(take_report(), "");
}

static const bide_context_var var = {"var", "default"};

static int note_var(void *data)
{
    (void)data;
    note(bide_context_get(&var));
    note(" ");
    return bide_context_set(&var, "leaked", NULL, NULL);
}

static bide_async(sets, (const char *, value))
{
    int rc = bide_context_set(&var, value, NULL, NULL);
    return rc < 0 ? rc : bide_sleep(0);
}

TASK_TEST(case_08_context_is_captured_when_the_call_is_scheduled)
{
    CHECK_INT(bide_context_set(&var, "then", NULL, NULL), 0);
    soon(note_var, NULL);
    CHECK_INT(bide_context_set(&var, "now", NULL, NULL), 0);
    CHECK_INT(bide_await(bide_spawn(sets, "child's")), 0);
    CHECK_NOTES("then ");
    CHECK_STR(bide_context_get(&var), "now");
}

TASK_TEST(case_09_equal_timers_in_the_order_in_which_they_were_set)
{
    bide_loop *loop = bide_loop_current();
    double when = bide_loop_time(loop) + TICKS(1);
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    CHECK_INT(bide_loop_call_at(loop, when + TICKS(1), note_it, (void *)"z", NULL, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(bide_loop_call_at(loop, when, note_it, (void *)names[i], NULL, NULL), 0);
    CHECK_INT(bide_sleep(TICKS(4)), 0);
    CHECK_NOTES("abcdez");
}

static bide_async(straggler)
{
    int rc = bide_sleep(INFINITY);
    note("cancelled ");
    CHECK_INT(bide_shielded(1, bide_sleep(0)), 0);
    note("cleaned up ");
    return rc;
}

static bide_generator(int, numbers)
{
    int rc = 0;
    for (int i = 0; rc >= 0; i++)
        rc = bide_yield(i);
    note("generator closed ");
    CHECK_INT(bide_sleep(0), 0);
    return rc;
}

static bide_iterator *left_open;

static bide_async(main_that_leaves_things)
{
    int number;
    left_open = bide_iterate(numbers);
    CHECK_INT(bide_next(left_open, &number), 1);
    bide_detach(bide_spawn(straggler));
    turns(1);
    note("main ");
    return 0;
}

BIDE_TEST(case_11_order_of_the_end)
{
    CHECK_INT(bide_run_with(NULL, main_that_leaves_things), 0);
    CHECK_NOTES("main cancelled cleaned up generator closed ");
    CHECK_INT(bide_iterator_close(left_open), 0);
}

TASK_TEST(case_13_sleeping_for_no_time_and_for_nonsense)
{
    CHECK_INT(bide_sleep(NAN), -EINVAL);
    static const double no_time[] = {0, -1, -INFINITY};
    for (int i = 0; i < 3; i++) {
        soon(note_it, "turn ");
        CHECK_INT(bide_sleep(no_time[i]), 0);
        CHECK_NOTES("turn ");
    }
}
