/*
 * Scenario: cancel requests at every moment of a task's life, counted, taken back, with words.
 * Claim: a request is delivered at each suspending call until it is taken back, before any effect
 * of the call; joins hand it on instead; what a task returns stands.
 */
#include "task_rig.h"

static bide_async(notes, (const char *, what))
{
    note(what);
    return 1;
}

TASK_TEST(cancelled_before_its_first_step_never_runs)
{
    bide_task *task = bide_spawn(notes, "x");
    CHECK_INT(bide_cancel_with(task, "too late"), 1);
    CHECK(!bide_task_done(task));
    CHECK_INT(bide_await(bide_retain(task)), -ECANCELED);
    CHECK_STR(bide_error_detail(), "too late");
    CHECK(bide_task_cancelled(task));
    CHECK_STR(bide_task_detail(task), "too late");
    bide_detach(task);
    CHECK_NOTES("");
}

TASK_TEST(cancelled_and_uncancelled_before_its_first_step_runs)
{
    bide_task *task = bide_spawn(notes, "x");
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_uncancel(task), 0);
    CHECK_INT(bide_await(task), 1);
    CHECK_NOTES("x");
}

TASK_TEST(created_task_that_is_cancelled_never_runs)
{
    bide_task *task = bide_coroutine(notes, "x");
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("");
}

static bide_async(begins_always)
{
    note("b");
    int rc = bide_sleep(0);
    CHECK_INT(rc, -ECANCELED);
    return rc;
}

TASK_TEST(always_start_runs_the_body_and_its_first_suspension_fails)
{
    struct bide_task_opts opts = {.always_start = true};
    bide_task *task = bide_spawn_with(&opts, begins_always);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("b");
}

TASK_TEST(cancelling_a_finished_task_is_false_and_changes_nothing)
{
    bide_task *task = bide_spawn(returns, 5);
    turns(1);
    CHECK_INT(bide_cancel(task), 0);
    CHECK_INT(bide_cancel_with(task, "x"), 0);
    CHECK_INT(bide_cancelling(task), 0);
    CHECK_INT(bide_uncancel(task), 0);
    CHECK_STR(bide_task_detail(task), "");
    CHECK_INT(bide_await(task), 5);
    CHECK_INT(bide_cancel(NULL), -EINVAL);
    CHECK_INT(bide_cancel_with(NULL, "x"), -EINVAL);
    CHECK_INT(bide_uncancel(NULL), -EINVAL);
    CHECK_INT(bide_cancelling(NULL), -EINVAL);
}

static bide_async(fails_until_all_is_taken_back)
{
    bide_task *self = bide_current_task();
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    CHECK_INT(bide_cancelling(self), 2);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_uncancel(self), 1);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_uncancel(self), 0);
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_uncancel(self), 0);
    return 9;
}

TASK_TEST(two_requests_are_counted_and_each_suspension_fails)
{
    bide_task *task = bide_spawn(fails_until_all_is_taken_back);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_cancelling(task), 2);
    CHECK_INT(bide_await(task), 9);
}

static bide_async(cancels_itself, (bool, suspends))
{
    CHECK_INT(bide_cancel(bide_current_task()), 1);
    if (suspends)
        return bide_sleep(0);
    return 4;
}

TASK_TEST(task_that_cancels_itself_is_hit_at_its_next_suspension)
{
    CHECK_INT(bide_await(bide_spawn(cancels_itself, true)), -ECANCELED);
    bide_task *task = bide_spawn(cancels_itself, false);
    CHECK_INT(bide_await(bide_retain(task)), 4);
    CHECK(!bide_task_cancelled(task));
    bide_detach(task);
}

static bide_async(returns_although_cancelled)
{
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    return 3;
}

TASK_TEST(value_of_a_cancelled_task_stands)
{
    bide_task *task = bide_spawn(returns_although_cancelled);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(bide_retain(task)), 3);
    CHECK(!bide_task_cancelled(task));
    bide_detach(task);
}

static bide_async(inner)
{
    int rc = bide_sleep(INFINITY);
    CHECK_INT(bide_shielded(1, bide_sleep(0)), 0);
    note("i");
    return rc;
}

static bide_async(outer)
{
    int rc = bide_await(bide_spawn(inner));
    note("o");
    return rc;
}

TASK_TEST(unwinding_goes_inside_out)
{
    bide_task *task = bide_spawn(outer);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("io");
}

static bide_async(joins, (bide_task *, task))
{
    int rc = bide_await(task);
    note(rc == 6 ? "v" : "c");
    CHECK_INT(bide_sleep(0), -ECANCELED);
    return rc;
}

TASK_TEST(value_of_a_joined_task_stands_and_the_cancel_hits_later)
{
    bide_task *child = bide_spawn(insists, 6);
    bide_task *task = bide_spawn(joins, child);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 6);
    CHECK_NOTES("v");
}

static bide_async(joins_after_cancel)
{
    bide_task *self = bide_current_task();
    bide_task *done = bide_spawn(returns, 1);
    CHECK_INT(bide_sleep(0), 0);
    bide_task *waits = bide_spawn(insists, 2);
    bide_task *never = bide_spawn(notes, "x");
    CHECK_INT(bide_sleep(0), 0);
    bide_cancel(self);
    bide_task *unbegun = bide_spawn(notes, "y");
    CHECK_INT(bide_await(done), 1);
    CHECK_INT(bide_await(unbegun), -ECANCELED);
    CHECK_INT(bide_await(waits), 2);
    CHECK_INT(bide_await(never), 1);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    return 8;
}

TASK_TEST(joins_do_not_fail_at_once)
{
    CHECK_INT(bide_await(bide_spawn(joins_after_cancel)), 8);
    CHECK_NOTES("x");
}

TASK_TEST(wake_that_came_first_stands)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    bide_task *waits = bide_spawn(joins, future);
    turns(1);
    CHECK_INT(bide_promise_set(promise, 6, NULL), 0);
    CHECK_INT(bide_cancel(waits), 1);
    CHECK_INT(bide_await(waits), 6);
    CHECK_NOTES("v");
    bide_promise_free(promise);
}

static bide_async(sleeps_and_returns_what_came)
{
    int first = bide_sleep(INFINITY);
    int second = bide_sleep(0);
    return first == -ECANCELED && second == 0 ? 1 : -EIO;
}

TASK_TEST(request_taken_back_after_its_delivery_fails_one_call)
{
    bide_task *task = bide_spawn(sleeps_and_returns_what_came);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_uncancel(task), 0);
    CHECK_INT(bide_await(task), 1);
}

static bide_async(counts_its_turn)
{
    int rc = bide_sleep(0);
    note(rc == -ECANCELED ? "c" : "t");
    return rc;
}

TASK_TEST(cancel_during_a_turn_that_is_given_up)
{
    bide_task *task = bide_spawn(counts_its_turn);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("c");
}

static bide_async(reads_its_message, (const char *, expected))
{
    int rc = bide_sleep(INFINITY);
    CHECK_STR(bide_error_detail(), expected);
    return rc;
}

TASK_TEST(message_is_there_for_the_task_and_for_who_joins)
{
    bide_task *task = bide_spawn(reads_its_message, "why");
    char message[] = "why";
    turns(1);
    CHECK_INT(bide_cancel_with(task, message), 1);
    message[0] = 'X';
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_STR(bide_error_detail(), "why");
    task = bide_spawn(sleeps, INFINITY);
    turns(1);
    CHECK_INT(bide_cancel_with(task, "first"), 1);
    CHECK_INT(bide_cancel_with(task, "second"), 1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_STR(bide_error_detail(), "second");
}

TASK_TEST(message_goes_with_the_request_that_is_taken_back)
{
    bide_task *task = bide_spawn(returns_after, 2, 1);
    CHECK_INT(bide_cancel_with(task, "never mind"), 1);
    CHECK_INT(bide_uncancel(task), 0);
    CHECK_INT(bide_cancel_with(task, NULL), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_STR(bide_error_detail(), "");
}

static bide_async(hands_message_on)
{
    return bide_await(bide_spawn(sleeps, INFINITY));
}

TASK_TEST(message_of_a_join_is_the_joiner_s)
{
    bide_task *task = bide_spawn(hands_message_on);
    turns(2);
    CHECK_INT(bide_cancel_with(task, "outer"), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_STR(bide_error_detail(), "outer");
}

static bide_async(chain, (int, depth))
{
    if (depth == 0)
        return bide_sleep(INFINITY);
    return bide_await(bide_spawn(chain, depth - 1));
}

TASK_TEST(long_chain_of_joins_is_cancelled_without_recursion)
{
    enum { DEPTH = 5000 };
    bide_task *task = bide_spawn(chain, DEPTH);
    turns(DEPTH + 2);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), DEPTH + 2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
}

TASK_TEST(cancel_join_takes_all)
{
    bide_task *done = bide_spawn(returns, 1);
    bide_task *failed = bide_spawn(returns, -EIO);
    turns(1);
    bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), NULL, done, failed, bide_spawn(insists, 7),
                          bide_coroutine(notes, "x")};
    CHECK_INT(bide_cancel_join(tasks, 6), 0);
    for (int i = 0; i < 6; i++)
        CHECK_PTR(tasks[i], NULL);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
    CHECK_INT(bide_cancel_join(tasks, 6), 0);
    CHECK_INT(bide_cancel_join(NULL, 0), 0);
    CHECK_NOTES("");
}

static bide_async(counts_requests)
{
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    CHECK_INT(bide_shielded(INFINITY, bide_sleep(0.002)), 0);
    return bide_cancelling(bide_current_task());
}

static bide_async(cancel_joins, (bide_task *, task))
{
    CHECK_INT(bide_cancel_join(&task, 1), 0);
    CHECK_PTR(task, NULL);
    note("j");
    return bide_sleep(0);
}

TASK_TEST(cancel_join_is_not_affected_by_a_cancel)
{
    bide_task *child = bide_spawn(counts_requests);
    bide_task *joiner = bide_spawn(cancel_joins, bide_retain(child));
    turns(2);
    CHECK_INT(bide_cancel(joiner), 1);
    CHECK_INT(bide_await(joiner), -ECANCELED);
    CHECK_NOTES("j");
    CHECK_INT(bide_await(child), 1);
}
