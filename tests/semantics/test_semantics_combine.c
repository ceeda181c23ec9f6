/*
 * The numbered cases of docs/semantics.md about gather, wait, as_completed, shields, limits and
 * groups. Claim: each holds on every engine and with every seed.
 */
#include "../unit/task_rig.h"

static bide_async(gathers, (bide_task **, tasks), (size_t, n), (bool, all))
{
    int results[4];
    return all ? bide_gather_all(tasks, n, results) : bide_gather(tasks, n, results);
}

TASK_TEST(case_21_gather_hands_on_the_first_error)
{
    bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), bide_spawn(returns_after, 2, -EIO)};
    int results[2] = {77, 77};
    CHECK_INT(bide_gather(tasks, 2, results), -EIO);
    CHECK_PTR(tasks[1], NULL);
    CHECK_INT(results[1], -EIO);
    CHECK_INT(bide_task_state(tasks[0]), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancel_join(tasks, 2), 0);
}

TASK_TEST(case_22_cancelling_a_gather)
{
    for (int all = 0; all < 2; all++) {
        bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), bide_spawn(insists, 3)};
        bide_task *task = bide_spawn(gathers, tasks, 2, all);
        turns(2);
        CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), -ECANCELED); /* also where errors are results */
        CHECK_PTR(tasks[0], NULL);
        CHECK_PTR(tasks[1], NULL);
    }
    bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), bide_spawn(insists, 3)};
    bide_task *task = bide_spawn(gathers, tasks, 2, false);
    turns(2);
    CHECK_INT(bide_cancel(tasks[0]), 1); /* a child alone: its siblings are left alone */
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(bide_task_state(tasks[1]), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancel_join(tasks, 2), 0);
}

static bide_async(gathers_values, (bide_task **, tasks))
{
    CHECK_INT(bide_gather(tasks, 2, NULL), 0); /* every child returned a value: they stand */
    return bide_sleep(0);
}

TASK_TEST(case_22_values_stand_and_the_cancel_comes_later)
{
    bide_task *tasks[] = {bide_spawn(insists, 1), bide_spawn(insists, 2)};
    bide_task *task = bide_spawn(gathers_values, tasks);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
}

TASK_TEST(case_23_gather_of_nothing_and_of_what_is_done)
{
    CHECK_INT(bide_gather(NULL, 0, NULL), 0);
    bide_task *children[] = {bide_spawn(returns, 1)};
    turns(2);
    bide_task *task = bide_spawn(gathers, children, 1, false);
    turns(1);
    CHECK_INT(bide_cancel(task), 0);
    CHECK_INT(bide_await(task), 0);
}

TASK_TEST(case_24_wait_touches_nothing)
{
    bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), bide_spawn(sleeps, INFINITY),
                          bide_spawn(returns_after, 4, -EIO)};
    CHECK_INT(bide_wait(tasks, 0, BIDE_ALL_COMPLETED), -EINVAL);
    turns(1);
    CHECK_INT(bide_cancel(tasks[1]), 1); /* cancelled is not failed */
    CHECK_INT(bide_wait(tasks, 3, BIDE_FIRST_EXCEPTION), 2);
    CHECK(bide_task_cancelled(tasks[0]));
    CHECK_INT(bide_await(tasks[0]), -ECANCELED);
    CHECK_INT(bide_await(tasks[1]), -EIO);
    CHECK_INT(bide_task_state(tasks[2]), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancel_join(&tasks[2], 1), 0);
}

static int iterate(bide_task **tasks, size_t n)
{
    int rc;
    bide_for (size_t, i, rc, bide_as_completed(tasks, n)) {
        CHECK_INT(bide_await(tasks[i]), 2);
        tasks[i] = NULL;
    }
    return rc;
}

TASK_TEST(case_25_as_completed_that_times_out)
{
    bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), bide_spawn(returns, 2)};
    CHECK_INT(bide_within(TICKS(1), iterate(tasks, 2)), -ETIMEDOUT);
    CHECK_PTR(tasks[1], NULL);
    CHECK_INT(bide_task_state(tasks[0]), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancel_join(tasks, 2), 0);
}

static bide_async(shields, (bide_task **, task))
{
    return bide_shield(*task);
}

TASK_TEST(case_26_shield)
{
    bide_task *inside = bide_spawn(returns_after, 6, 1);
    bide_task *outside = bide_spawn(shields, &inside);
    turns(2);
    CHECK_INT(bide_cancel(outside), 1);
    CHECK_INT(bide_await(outside), -ECANCELED);
    CHECK_INT(bide_await(inside), 1);

    inside = bide_spawn(sleeps, INFINITY);
    outside = bide_spawn(shields, &inside);
    turns(2);
    CHECK_INT(bide_cancel(inside), 1);
    CHECK_INT(bide_await(outside), -ECANCELED);
    bide_detach(inside);
}

static bide_async(cleans_up, (int, result))
{
    int rc = bide_sleep(INFINITY);
    CHECK_INT(bide_shielded(1, bide_sleep(0)), 0);
    note("ended ");
    return result < 0 && rc < 0 && result == -ECANCELED ? rc : result;
}

TASK_TEST(case_27_limit_waits_for_the_child_that_it_cancelled)
{
    CHECK_INT(bide_within(TICKS(1), bide_await(bide_spawn(cleans_up, -ECANCELED))), -ETIMEDOUT);
    CHECK_NOTES("ended ");
    CHECK_INT(bide_within(TICKS(1), bide_await(bide_spawn(cleans_up, 6))), 6);
    CHECK_INT(bide_within(TICKS(1), bide_await(bide_spawn(cleans_up, -EIO))), -EIO);
    CHECK_NOTES("ended ended ");
}

static bide_async(limited)
{
    return bide_within(60, bide_sleep(INFINITY));
}

TASK_TEST(case_28_limit_of_no_time_and_cancel_from_outside)
{
    CHECK_INT(bide_within(0, returns(4)), 4);
    CHECK_INT(bide_within(0, bide_sleep(0)), -ETIMEDOUT);
    bide_task *task = bide_spawn(limited);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
}

static bide_async(fails_after, (int, n_turns))
{
    turns(n_turns);
    return -EIO;
}

static bide_async(cancels_itself)
{
    bide_cancel(bide_current_task());
    return bide_sleep(0);
}

static bide_async(never_runs)
{
    FAIL("the group had failed");
    return 0;
}

TASK_TEST(case_29_group_with_a_failing_child)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, sleeps, INFINITY), 0);
    CHECK_INT(bide_group_spawn(group, fails_after, 2), 0);
    int rc = bide_sleep(INFINITY);
    CHECK_INT(rc, -ECANCELED);
    CHECK_INT(bide_group_spawn(group, never_runs), -BIDE_EGROUP);
    CHECK_INT(bide_group_close(group, rc), -EIO);
    CHECK_INT(bide_cancelling(bide_current_task()), 0);
    CHECK_INT(bide_sleep(0), 0);

    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, cancels_itself), 0);
    CHECK_INT(bide_group_close(group, 3), 3);
}

static bide_async(runs_group)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, fails_after, 2), 0);
    CHECK_INT(bide_group_close(group, bide_sleep(INFINITY)), -EIO);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    return 1;
}

TASK_TEST(case_30_failure_and_cancel_together)
{
    bide_task *task = bide_spawn(runs_group);
    turns(3); /* the child fails in the turn in which the parent is cancelled */
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 1);
}
