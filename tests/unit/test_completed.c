/*
 * Scenario: bide_as_completed() over tasks that end in every order, before and during the
 * iteration, that fail, are cancelled, given away, late. Claim: each index comes once, in the order
 * of the ends; what stops the iteration leaves the tasks alone (SEMANTICS 25).
 */
#include "fault.h"
#include "task_rig.h"

enum { N = 4 };

static void spawn_all(bide_task **tasks, const int *n_turns)
{
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(returns_after, n_turns[i], 10 * i);
}

/* Notes the indices. */
static int collect(bide_task **tasks, size_t n)
{
    int rc;
    char digit[2] = "";
    bide_for (size_t, i, rc, bide_as_completed(tasks, n)) {
        digit[0] = (char)('0' + i);
        note(digit);
        CHECK(bide_task_done(tasks[i]));
        bide_detach(tasks[i]);
        tasks[i] = NULL;
    }
    return rc;
}

TASK_TEST(in_the_order_of_their_ends)
{
    bide_task *tasks[N];
    spawn_all(tasks, (int[]){7, 1, 5, 3});
    CHECK_INT(collect(tasks, N), 0);
    CHECK_NOTES("1320");
    spawn_all(tasks, (int[]){2, 2, 2, 2});
    CHECK_INT(collect(tasks, N), 0);
    CHECK_NOTES("0123");
}

TASK_TEST(those_that_ended_before_come_first_and_in_order)
{
    bide_task *tasks[N];
    spawn_all(tasks, (int[]){9, 3, 20, 1});
    turns(6);
    CHECK_INT(collect(tasks, N), 0);
    CHECK_NOTES("3102");
    spawn_all(tasks, (int[]){4, 3, 2, 1});
    turns(8);
    CHECK_INT(collect(tasks, N), 0);
    CHECK_NOTES("3210");
}

TASK_TEST(empty_slots_and_none_at_all)
{
    bide_task *tasks[N];
    spawn_all(tasks, (int[]){3, 2, 1, 0});
    for (int i = 0; i < N; i += 2) {
        bide_detach(tasks[i]);
        tasks[i] = NULL;
    }
    CHECK_INT(collect(tasks, N), 0);
    CHECK_NOTES("31");
    CHECK_INT(collect(tasks, N), 0);
    CHECK_INT(collect(NULL, 0), 0);
    CHECK_NOTES("");
}

TASK_TEST(failures_and_cancels_are_ends_like_others)
{
    bide_task *tasks[] = {bide_spawn(returns_after, 4, -EIO), bide_spawn(sleeps, INFINITY),
                          bide_coroutine(returns, 5)};
    char order[4] = "";
    size_t n = 0;
    int rc;
    bide_cancel(tasks[1]);
    bide_for (size_t, i, rc, bide_as_completed(tasks, 3)) {
        order[n++] = (char)('0' + i);
        CHECK_INT(bide_await(tasks[i]), (i == 0 ? -EIO : i == 1 ? -ECANCELED : 5));
    }
    CHECK_INT(rc, 0);
    CHECK_STR(order, "120");
}

/* SEMANTICS 25. */
TASK_TEST(time_limit_leaves_the_tasks_running)
{
    bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), bide_spawn(returns, 1)};
    CHECK_INT(bide_within(TICKS(1), collect(tasks, 2)), -ETIMEDOUT);
    CHECK_NOTES("1");
    CHECK_INT(bide_task_state(tasks[0]), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancel_join(tasks, 2), 0);
}

static bide_async(asks, (bide_iterator *, iterator))
{
    size_t i = 9;
    int rc = bide_next(iterator, &i);
    return rc == 1 ? (int)i : rc;
}

/* The end of a task and the cancel of who waits for it, in both orders. */
TASK_TEST(cancelled_wait_loses_no_task)
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        bide_promise *promise;
        bide_future *future;
        CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
        bide_iterator *iterator = bide_as_completed(&future, 1);
        bide_task *task = bide_spawn(asks, iterator);
        turns(2);
        CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
        if (cancel_first)
            CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_promise_set(promise, 7, NULL), 0);
        if (!cancel_first)
            CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), cancel_first ? -ECANCELED : 0);
        CHECK_INT(asks(iterator), 0); /* the index, or the end */
        CHECK_INT(asks(iterator), 0);
        CHECK_INT(bide_iterator_close(iterator), 0);
        CHECK_INT(bide_await(future), 7);
        bide_promise_free(promise);
    }
}

TASK_TEST(closed_in_the_middle)
{
    bide_task *tasks[N];
    int rc;
    spawn_all(tasks, (int[]){4, 3, 2, 1});
    bide_for (size_t, i, rc, bide_as_completed(tasks, N)) {
        CHECK_INT(i, 3);
        break;
    }
    CHECK_INT(rc, 0);
    int results[N];
    CHECK_INT(bide_gather(tasks, N, results), 0);
    CHECK_INT(results[2], 20);
}

TASK_TEST(task_given_away_during_the_iteration)
{
    bide_task *tasks[] = {bide_spawn(returns_after, 5, 0), bide_spawn(returns, 1)};
    bide_iterator *iterator = bide_as_completed(tasks, 2);
    CHECK_INT(asks(iterator), 1);
    bide_detach(tasks[0]);
    CHECK_INT(asks(iterator), 0);
    CHECK_INT(asks(iterator), 0);
    CHECK_INT(bide_await(tasks[1]), 1);
    CHECK_INT(bide_iterator_close(iterator), 0);
}

static bide_async(shields, (bide_task **, task))
{
    return bide_shield(*task);
}

TASK_TEST(circle_only_if_all_that_are_left_are_in_it)
{
    bide_task *self = bide_retain(bide_current_task());
    bide_task *tasks[] = {bide_spawn(shields, &self), bide_spawn(returns_after, 3, 1),
                          bide_spawn(shields, &self)};
    bide_iterator *iterator = bide_as_completed(tasks, 3);
    turns(2);
    CHECK_INT(asks(iterator), 1);
    CHECK_INT(asks(iterator), -EDEADLK);
    CHECK_INT(bide_iterator_close(iterator), 0);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(bide_cancel(tasks[2]), 1);
    turns(1);
    CHECK_INT(bide_cancel_join(tasks, 3), 0);
    bide_detach(self);
}

TASK_TEST(its_own_wait_is_found_by_others)
{
    bide_task *tasks[1] = {NULL};
    bide_task *asking = NULL;
    tasks[0] = bide_spawn(shields, &asking);
    bide_iterator *iterator = bide_as_completed(tasks, 1);
    asking = bide_spawn(asks, iterator);
    CHECK_INT(bide_await(bide_retain(asking)),
              -EDEADLK); /* or the other one, and that is its end */
    CHECK_INT(bide_await(tasks[0]), -EDEADLK);
    bide_detach(asking);
    CHECK_INT(bide_iterator_close(iterator), 0);
}

BIDE_TEST(outside_tasks)
{
    bide_iterator *iterator = bide_as_completed(NULL, 0);
    CHECK_INT(asks(iterator), -BIDE_ENOTASK);
    CHECK_INT(bide_iterator_close(iterator), 0);
}

TASK_TEST(no_memory)
{
    bide_task *task = bide_spawn(returns, 1);
    int rc;
    for (unsigned long n = 1; n <= 2; n++) {
        fault_arm(FAULT_ALLOCATION, n, 0);
        bide_iterator *iterator = bide_as_completed(&task, 1);
        CHECK(fault_disarm());
        CHECK_PTR(iterator, NULL);
        bide_for (size_t, i, rc, iterator)
            FAIL("nothing to iterate over, but %zu", i);
        CHECK_INT(rc, -ENOMEM);
    }
    CHECK_INT(bide_await(task), 1);
}
