/*
 * Scenario: code that goes on in spite of its cancel. Claim: it cannot keep the loop from others:
 * from its second failed suspension in a row it gives up a turn each time, from the hundredth it is
 * parked 10 ms each time and reported, once.
 */
#include "task_rig.h"

static int n_refused;

static bide_async(ignores, (int, n), (bide_task *, task))
{
    for (n_refused = 0; n_refused < n; n_refused++) {
        int rc = n_refused % 3 == 0   ? bide_sleep(1)
                 : n_refused % 3 == 1 ? bide_wait(&task, 1, BIDE_ALL_COMPLETED)
                                      : bide_shield(task);
        CHECK_INT(rc, -ECANCELED);
    }
    return 5;
}

TASK_TEST(from_the_second_on_a_turn_is_given_up)
{
    bide_task *sleeper = bide_spawn(sleeps, INFINITY);
    bide_task *task = bide_spawn(ignores, 20, sleeper);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(n_refused, 0);
    turns(1);
    CHECK_INT(n_refused, 1); /* the wait that was interrupted; the second gives up its turn */
    for (int i = 2; i < 20; i++) {
        turns(1);
        CHECK_INT(n_refused, i);
    }
    CHECK_INT(bide_await(task), 5);
    CHECK_INT(bide_cancel_join(&sleeper, 1), 0);
}

TASK_TEST(first_refusal_costs_no_turn)
{
    bide_task *sleeper = bide_spawn(sleeps, INFINITY);
    struct bide_task_opts opts = {.always_start = true};
    bide_task *task = bide_spawn_with(&opts, ignores, 5, sleeper);
    CHECK_INT(bide_cancel(task), 1);
    turns(1);
    CHECK_INT(n_refused, 1);
    CHECK_INT(bide_await(task), 5);
    CHECK_INT(bide_cancel_join(&sleeper, 1), 0);
}

TASK_TEST(from_the_hundredth_on_it_is_slowed_and_reported_once)
{
    bide_task *sleeper = bide_spawn(sleeps, INFINITY);
    struct bide_task_opts opts = {.name = "deaf"};
    bide_task *task = bide_spawn_with(&opts, ignores, 103, sleeper);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    turns(98);
    CHECK_INT(n_refused, 98);
    CHECK_STR(take_report(), "");
    double before = bide_time();
    CHECK_INT(bide_await(task), 5);
    double pauses = (bide_time() - before) / 0.010;
    CHECK(pauses >= 4);
    CHECK_STR(take_report(), "task goes on in spite of being cancelled|0||deaf|ignores|"
                             "test_from_the_hundredth_on_it_is_slowed_and_reported_once");
    CHECK_INT(bide_cancel_join(&sleeper, 1), 0);
}

static bide_async(sees_sense)
{
    bide_task *self = bide_current_task();
    for (int i = 0; i < 60; i++)
        CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_uncancel(self), 0);
    CHECK_INT(bide_sleep(0), 0);
    bide_cancel(self);
    for (int i = 0; i < 60; i++)
        CHECK_INT(bide_sleep(0), -ECANCELED);
    return 6;
}

TASK_TEST(call_that_succeeds_starts_the_count_anew)
{
    struct bide_task_opts opts = {.always_start = true};
    bide_task *task = bide_spawn_with(&opts, sees_sense);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 6);
}

static bide_async(ignores_its_limit, (int *, n))
{
    int rc = 0;
    for (*n = 0; *n < 20; ++*n)
        rc = bide_sleep(1);
    return rc;
}

TASK_TEST(limit_that_is_ignored_gives_up_turns_as_well)
{
    int n = 0;
    bide_task *other = bide_spawn(returns_after, 15, 1);
    CHECK_INT(bide_within(0, ignores_its_limit(&n)), -ETIMEDOUT);
    CHECK_INT(n, 20);
    CHECK(bide_task_done(other));
    CHECK_INT(bide_await(other), 1);
}

TASK_TEST(others_go_on_while_it_is_slowed)
{
    bide_task *sleeper = bide_spawn(sleeps, INFINITY);
    struct bide_task_opts opts = {.always_start = true};
    bide_task *task = bide_spawn_with(&opts, ignores, 110, sleeper);
    CHECK_INT(bide_cancel(task), 1);
    while (n_refused < 99)
        turns(1);
    for (int i = 0; i < 1000; i++)
        turns(1);
    CHECK(!bide_task_done(task) || n_refused == 110);
    CHECK_INT(bide_await(task), 5);
    CHECK_CONTAINS(take_report(), "task goes on in spite of being cancelled");
    CHECK_INT(bide_cancel_join(&sleeper, 1), 0);
}
