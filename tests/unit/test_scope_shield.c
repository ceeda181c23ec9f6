/*
 * Scenario: shields around expressions, with and without a limit, under cancels, limits and groups
 * that fail. Claim: nothing from outside reaches the code inside; the shield's own limit and what
 * is opened inside do; what was kept out is delivered at the next suspension after the shield.
 */
#include "task_rig.h"

static bide_async(is_cancelled, (int, n_turns))
{
    int rc = bide_shielded(INFINITY, returns_after(n_turns, 5));
    note(rc == 5 ? "s" : "x");
    return bide_sleep(0);
}

TASK_TEST(cancel_stays_outside_and_hits_afterwards)
{
    bide_task *task = bide_spawn(is_cancelled, 3);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("s");
}

TASK_TEST(shield_begins_in_a_cancelled_task)
{
    struct bide_task_opts opts = {.always_start = true};
    bide_task *task = bide_spawn_with(&opts, is_cancelled, 3);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("s");
}

TASK_TEST(own_limit_ends_what_is_inside)
{
    CHECK_INT(bide_shielded(TICKS(1), bide_sleep(INFINITY)), -ETIMEDOUT);
    CHECK_INT(bide_shielded(0, bide_sleep(0)), -ETIMEDOUT);
    CHECK_INT(bide_shielded(0, 4), 4);
    CHECK_INT(bide_shielded(10, returns_after(1, 6)), 6);
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(own_limit_in_a_cancelled_task)
{
    bide_cancel(bide_current_task());
    /* Further out the end is asked for as well: that is what the edge hands on. */
    CHECK_INT(bide_shielded(TICKS(1), bide_sleep(INFINITY)), -ECANCELED);
    CHECK_INT(bide_uncancel(bide_current_task()), 0);
    CHECK_INT(bide_shielded(TICKS(1), bide_sleep(INFINITY)), -ETIMEDOUT);
    return 1;
}

TASK_TEST(own_limit_and_cancel)
{
    CHECK_INT(bide_await(bide_spawn(own_limit_in_a_cancelled_task)), 1);
}

TASK_TEST(limit_inside_works)
{
    CHECK_INT(bide_shielded(INFINITY, bide_within(TICKS(1), bide_sleep(INFINITY))), -ETIMEDOUT);
    CHECK_INT(bide_shielded(TICKS(1), bide_within(INFINITY, bide_sleep(INFINITY))), -ETIMEDOUT);
    CHECK_INT(bide_shielded(INFINITY, bide_shielded(TICKS(1), bide_sleep(INFINITY))), -ETIMEDOUT);
    int inner = 1;
    CHECK_INT(bide_shielded(TICKS(1), inner = bide_shielded(INFINITY, returns_after(20, 3))), 3);
    CHECK_INT(inner, 3);
}

TASK_TEST(limit_outside_is_kept_out_and_still_expires)
{
    int inner = 1;
    int after = 1;
    CHECK_INT(bide_within(TICKS(1), (inner = bide_shielded(INFINITY, bide_sleep(TICKS(3))),
                                     after = bide_sleep(0))),
              -ETIMEDOUT);
    CHECK_INT(inner, 0);
    CHECK_INT(after, -ECANCELED);
    CHECK_INT(bide_within(TICKS(1), bide_shielded(INFINITY, sleeps(TICKS(3)))), 0);
}

static bide_async(fails_later)
{
    CHECK_INT(bide_sleep(0), 0);
    return -EIO;
}

TASK_TEST(group_s_failure_is_kept_out)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, fails_later), 0);
    CHECK_INT(bide_shielded(INFINITY, returns_after(5, 2)), 2);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_group_close(group, -ECANCELED), -EIO);
    CHECK_INT(bide_sleep(0), 0);
}

static int closes_group_inside(void)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, fails_later), 0);
    return bide_group_close(group, bide_sleep(INFINITY));
}

TASK_TEST(group_inside_works)
{
    CHECK_INT(bide_shielded(INFINITY, closes_group_inside()), -EIO);
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(joins_shielded, (bide_task *, task))
{
    int rc = bide_shielded(INFINITY, bide_await(task));
    note("j");
    CHECK_INT(bide_sleep(0), -ECANCELED);
    return rc;
}

TASK_TEST(shielded_join_hands_nothing_on)
{
    bide_task *child = bide_spawn(returns_after, 4, 7);
    bide_task *task = bide_spawn(joins_shielded, child);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 7);
    CHECK_NOTES("j");
}

static bide_async(waits_for_shield, (bide_task *, task))
{
    int rc = bide_shield(task);
    note(rc == -ECANCELED ? "c" : "r");
    return rc;
}

/* The function bide_shield(): around a task instead of an expression. */
TASK_TEST(cancelled_shield_spares_the_task)
{
    bide_task *task = bide_spawn(returns_after, 5, 7);
    bide_task *waiter = bide_spawn(waits_for_shield, task);
    turns(1);
    CHECK_INT(bide_cancel(waiter), 1);
    CHECK_INT(bide_await(waiter), -ECANCELED);
    CHECK_NOTES("c");
    CHECK_INT(bide_cancelling(task), 0);
    CHECK_INT(bide_shield(task), 7);
    CHECK_INT(bide_shield(task), 7);
    CHECK_INT(bide_await(task), 7);
}

TASK_TEST(cancelled_task_cancels_the_shield)
{
    bide_task *task = bide_spawn(sleeps, INFINITY);
    bide_task *waiter = bide_spawn(waits_for_shield, task);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(waiter), -ECANCELED);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("c");
}

TASK_TEST(shield_fails_at_once_in_a_cancelled_task)
{
    struct bide_task_opts opts = {.always_start = true};
    bide_task *task = bide_coroutine(returns, 7);
    bide_task *waiter = bide_spawn_with(&opts, waits_for_shield, task);
    CHECK_INT(bide_cancel(waiter), 1);
    CHECK_INT(bide_await(waiter), -ECANCELED);
    CHECK_INT(bide_task_state(task), BIDE_TASK_CREATED);
    CHECK_INT(bide_await(task), 7);
    CHECK_NOTES("c");
}
