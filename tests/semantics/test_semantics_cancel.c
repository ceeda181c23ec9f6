/*
 * The numbered cases of docs/semantics.md about cancelling. Claim: each holds on every engine and
 * with every seed.
 */
#include "../unit/task_rig.h"

static bide_async(notes_its_start)
{
    note("began ");
    return bide_sleep(INFINITY);
}

TASK_TEST(case_14_cancelled_before_the_first_step)
{
    bide_task *task = bide_spawn(notes_its_start);
    CHECK_INT(bide_cancel_with(task, "too late"), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_STR(bide_error_detail(), "too late");
    CHECK_NOTES("");
}

TASK_TEST(case_15_cancelling_a_finished_task)
{
    bide_task *task = bide_spawn(returns, 3);
    turns(2);
    CHECK_INT(bide_cancel(task), 0);
    CHECK_INT(bide_cancelling(task), 0);
    CHECK(!bide_task_cancelled(task));
    CHECK_INT(bide_await(task), 3);
}

static bide_async(takes_back_two)
{
    bide_task *self = bide_current_task();
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    CHECK_INT(bide_cancelling(self), 2);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_uncancel(self), 1);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_uncancel(self), 0);
    CHECK_INT(bide_sleep(0), 0);
    return 5;
}

TASK_TEST(case_16_two_requests_before_the_delivery)
{
    bide_task *task = bide_spawn(takes_back_two);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 5);
}

static bide_async(cancels_itself, (bool, suspends))
{
    CHECK_INT(bide_cancel(bide_current_task()), 1);
    if (suspends)
        return bide_sleep(0);
    return 9;
}

TASK_TEST(case_17_task_that_cancels_itself)
{
    CHECK_INT(bide_await(bide_spawn(cancels_itself, true)), -ECANCELED);
    bide_task *task = bide_spawn(cancels_itself, false);
    CHECK_INT(bide_wait(&task, 1, BIDE_ALL_COMPLETED), 1);
    CHECK(!bide_task_cancelled(task));
    CHECK_INT(bide_await(task), 9);
}

static bide_async(returns_in_spite, (bide_task **, child))
{
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    CHECK_INT(bide_sleep(0), -ECANCELED); /* each further suspension fails */
    CHECK_INT(bide_await(*child), 8);     /* but a join waits */
    return 4;
}

TASK_TEST(case_18_value_of_a_cancelled_task_stands)
{
    bide_task *child = bide_spawn(insists, 8);
    bide_task *task = bide_spawn(returns_in_spite, &child);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_wait(&task, 1, BIDE_ALL_COMPLETED), 1);
    CHECK(!bide_task_cancelled(task));
    CHECK_INT(bide_await(task), 4);
}

static bide_async(inner_cleanup)
{
    int rc = bide_sleep(INFINITY);
    CHECK_INT(bide_shielded(1, bide_sleep(0)), 0);
    note("inner ");
    return rc;
}

static bide_async(outer_cleanup)
{
    int rc = bide_await(bide_spawn(inner_cleanup));
    note("outer ");
    return rc;
}

TASK_TEST(case_19_unwinding_goes_from_the_inside_out)
{
    bide_task *task = bide_spawn(outer_cleanup);
    turns(3);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    note("canceller ");
    CHECK_NOTES("inner outer canceller ");
}

static bide_async(awaits, (bide_task **, task))
{
    turns(1);
    int rc = bide_await(*task);
    if (rc == -EDEADLK)
        note("found ");
    return rc == -EDEADLK ? 1 : rc;
}

TASK_TEST(case_20_awaiting_oneself_and_each_other)
{
    CHECK_INT(bide_await(bide_current_task()), -EDEADLK);
    bide_task *one = NULL;
    bide_task *two = NULL;
    one = bide_spawn(awaits, &two);
    two = bide_spawn(awaits, &one);
    bide_retain(one);
    bide_retain(two);
    CHECK_INT(bide_await(one), 1);
    CHECK_INT(bide_await(two), 1);
    CHECK_NOTES("found ");
    bide_detach(one); /* the handle that the refused await left to its caller */
}
