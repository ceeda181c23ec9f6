/*
 * Scenario: gather and gather_all over tasks and futures that succeed, fail, are cancelled, insist;
 * with the caller cancelled at every moment. Claim: the first error is handed on and the siblings
 * run on; cancelling the caller cancels all and waits for all; what was read is consumed, the rest
 * stays the caller's.
 */
#include "task_rig.h"

TASK_TEST(results_in_the_order_of_the_tasks)
{
    bide_task *tasks[] = {bide_spawn(returns_after, 3, 1), bide_spawn(returns_after, 1, 2),
                          bide_coroutine(returns, 3)};
    int results[3];
    CHECK_INT(bide_gather(tasks, 3, results), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(results[i], i + 1);
        CHECK_PTR(tasks[i], NULL);
    }
}

TASK_TEST(nothing_is_done_at_once)
{
    bide_task *other = bide_spawn(returns, 1);
    CHECK_INT(bide_gather(NULL, 0, NULL), 0);
    CHECK_INT(bide_gather_all(NULL, 0, NULL), 0);
    CHECK_INT(bide_task_state(other), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_await(other), 1);
}

TASK_TEST(done_tasks_are_taken_without_a_turn)
{
    bide_task *tasks[] = {bide_spawn(returns, 1), bide_spawn(returns, 2)};
    turns(1);
    bide_task *other = bide_spawn(returns, 1);
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_INT(bide_task_state(other), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_await(other), 1);
}

TASK_TEST(first_error_is_handed_on_and_siblings_run_on)
{
    bide_task *tasks[] = {bide_spawn(returns_after, 9, 1), bide_spawn(returns_after, 4, -EIO),
                          bide_spawn(returns_after, 1, -EPIPE)};
    bide_task *first = tasks[0];
    bide_task *second = tasks[1];
    CHECK_INT(bide_gather(tasks, 3, NULL), -EPIPE);
    CHECK_PTR(tasks[0], first);
    CHECK_PTR(tasks[1], second);
    CHECK_PTR(tasks[2], NULL);
    CHECK_INT(bide_cancelling(first), 0);
    CHECK_INT(bide_gather(tasks, 2, NULL), -EIO);
    CHECK_PTR(tasks[1], NULL);
    CHECK_INT(bide_await(tasks[0]), 1);
}

TASK_TEST(first_in_order_if_several_had_failed_before)
{
    bide_task *tasks[] = {bide_spawn(returns, -EIO), bide_spawn(returns, -EPIPE)};
    turns(1);
    int results[2];
    CHECK_INT(bide_gather(tasks, 2, results), -EIO);
    CHECK_INT(results[1], -EPIPE);
    CHECK_PTR(tasks[1], NULL);
}

TASK_TEST(cancelled_child_is_reported_and_leaves_the_siblings_alone)
{
    bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), bide_spawn(returns_after, 5, 2)};
    bide_task *other = tasks[1];
    turns(1);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(bide_gather(tasks, 2, NULL), -ECANCELED);
    CHECK_INT(bide_cancelling(other), 0);
    CHECK_INT(bide_await(other), 2);
    CHECK_INT(bide_sleep(0), 0);
}

TASK_TEST(errors_are_results_of_gather_all)
{
    bide_task *tasks[] = {bide_spawn(returns_after, 3, -EIO), bide_spawn(returns, 7),
                          bide_spawn(sleeps, INFINITY)};
    turns(1);
    bide_cancel(tasks[2]);
    int results[3];
    CHECK_INT(bide_gather_all(tasks, 3, results), 0);
    CHECK_INT(results[0], -EIO);
    CHECK_INT(results[1], 7);
    CHECK_INT(results[2], -ECANCELED);
    for (int i = 0; i < 3; i++)
        CHECK_PTR(tasks[i], NULL);
}

static int with_insisting_children(bool all, int first, int second, int *results)
{
    bide_task *tasks[] = {bide_spawn(insists, first), bide_spawn(insists, second)};
    int rc = all ? bide_gather_all(tasks, 2, results) : bide_gather(tasks, 2, results);
    CHECK_PTR(tasks[0], NULL);
    CHECK_PTR(tasks[1], NULL);
    return rc;
}

static bide_async(gathers, (bool, all), (int, first), (int, second), (int *, results))
{
    int rc = with_insisting_children(all, first, second, results);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    return rc;
}

static int cancelled_gather(bool all, int first, int second)
{
    int results[] = {99, 99};
    bide_task *task = bide_spawn(gathers, all, first, second, results);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    int rc = bide_await(task);
    CHECK_INT(results[0], first);
    CHECK_INT(results[1], second);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
    return rc;
}

TASK_TEST(cancelled_caller_cancels_all_children_and_waits)
{
    for (int all = 0; all < 2; all++) {
        CHECK_INT(cancelled_gather(all, -ECANCELED, -ECANCELED), -ECANCELED);
        CHECK_INT(cancelled_gather(all, 5, -ECANCELED), -ECANCELED);
        CHECK_INT(cancelled_gather(all, -EIO, 5), -ECANCELED);
        CHECK_INT(cancelled_gather(all, 5, 6), 0);
    }
}

TASK_TEST(limit_around_a_gather)
{
    CHECK_INT(bide_within(TICKS(1), with_insisting_children(false, 5, -ECANCELED, NULL)),
              -ETIMEDOUT);
    CHECK_INT(bide_within(TICKS(1), with_insisting_children(false, 5, 6, NULL)), 0);
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(gathers_when_cancelled)
{
    bide_task *done = bide_spawn(returns, 1);
    turns(1);
    bide_task *tasks[] = {done, bide_spawn(returns, 2), bide_coroutine(returns, 3)};
    bide_cancel(bide_current_task());
    int results[3];
    CHECK_INT(bide_gather(tasks, 3, results), -ECANCELED);
    CHECK_INT(results[0], 1);
    CHECK_INT(results[1], -ECANCELED);
    CHECK_INT(results[2], -ECANCELED);
    done = bide_coroutine(returns, 4);
    CHECK_INT(bide_gather(&done, 1, results), -ECANCELED);
    CHECK_INT(bide_gather(NULL, 0, NULL), 0);
    return 1;
}

TASK_TEST(gather_in_a_cancelled_task_hands_the_cancel_on)
{
    CHECK_INT(bide_await(bide_spawn(gathers_when_cancelled)), 1);
}

TASK_TEST(gather_that_is_done_before_the_cancel_stands)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    bide_promise_set(promise, 5, NULL);
    int rc = 1;
    CHECK_INT(bide_within(0, rc = bide_gather(&future, 1, NULL)), 0);
    CHECK_INT(rc, 0);
    bide_promise_free(promise);
}

TASK_TEST(same_task_twice_through_two_handles)
{
    bide_task *task = bide_spawn(returns_after, 2, 4);
    bide_task *tasks[] = {task, bide_retain(task)};
    int results[2];
    CHECK_INT(bide_gather(tasks, 2, results), 0);
    CHECK_INT(results[0], 4);
    CHECK_INT(results[1], 4);
}

TASK_TEST(many)
{
    enum { N = 3000 };
    static bide_task *tasks[N];
    static int results[N];
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(returns_after, i % 5, i);
    CHECK_INT(bide_gather(tasks, N, results), 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(results[i], i);
}
