/*
 * Scenario: time limits around expressions and blocks, nested, moved, expired, left open. Claim: a
 * limit ends what suspends inside and turns that into -ETIMEDOUT at its own edge only; a cancel
 * from outside stays a cancel; a result stands.
 */
#include "task_rig.h"

static int computes(void)
{
    return 4;
}

static int sleeps_then(double seconds, int result)
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : result;
}

TASK_TEST(limit_of_zero)
{
    CHECK_INT(bide_within(0, computes()), 4);
    CHECK_INT(bide_within(0, bide_sleep(0)), -ETIMEDOUT);
    CHECK_INT(bide_within(-1, bide_sleep(0)), -ETIMEDOUT);
    CHECK_INT(bide_within(-INFINITY, bide_sleep(0)), -ETIMEDOUT);
    CHECK_INT(bide_until(0, bide_sleep(0)), -ETIMEDOUT);
    CHECK_INT(bide_until(-INFINITY, bide_sleep(0)), -ETIMEDOUT);
    CHECK_INT(bide_sleep(0), 0);
}

TASK_TEST(limit_that_passes_and_one_that_does_not)
{
    double before = bide_time();
    CHECK_INT(bide_within(TICKS(3), bide_sleep(INFINITY)), -ETIMEDOUT);
    CHECK(bide_time() >= before + TICKS(3));
    CHECK_INT(bide_within(INFINITY, sleeps_then(TICKS(1), 5)), 5);
    CHECK_INT(bide_within(10, sleeps_then(0, 6)), 6);
    CHECK_INT(bide_until(bide_time() + TICKS(1), bide_sleep(INFINITY)), -ETIMEDOUT);
    CHECK_INT(bide_until(INFINITY, sleeps_then(0, 7)), 7);
}

static int evaluated(void)
{
    note("x");
    return 0;
}

TASK_TEST(limit_of_nan_evaluates_nothing)
{
    CHECK_INT(bide_within(NAN, evaluated()), -EINVAL);
    CHECK_INT(bide_until(NAN, evaluated()), -EINVAL);
    CHECK_INT(bide_shielded(NAN, evaluated()), -EINVAL);
    bide_timeout *timeout;
    CHECK_INT(bide_timeout_begin(NAN, &timeout), -EINVAL);
    CHECK_INT(bide_timeout_begin(1, NULL), -EINVAL);
    CHECK_INT(bide_timeout_move(NULL, 1), -EINVAL);
    CHECK(bide_timeout_deadline(NULL) == INFINITY);
    CHECK(!bide_timeout_expired(NULL));
    CHECK_INT(bide_timeout_end(NULL, 1), -EINVAL);
    CHECK_INT(bide_timeout_begin(1, NULL), -EINVAL);
    CHECK_NOTES("");
}

BIDE_TEST(outside_a_task_nothing_is_evaluated)
{
    bide_timeout *timeout;
    CHECK_INT(bide_within(1, evaluated()), -BIDE_ENOTASK);
    CHECK_INT(bide_until(1, evaluated()), -BIDE_ENOTASK);
    CHECK_INT(bide_shielded(1, evaluated()), -BIDE_ENOTASK);
    CHECK_INT(bide_timeout_begin(1, &timeout), -BIDE_ENOTASK);
    CHECK_NOTES("");
}

static int own_error(void)
{
    return bide_sleep(INFINITY) == -ECANCELED ? -EIO : 0;
}

static int own_value(void)
{
    return bide_sleep(INFINITY) == -ECANCELED ? 8 : 0;
}

TASK_TEST(value_or_other_error_wins_over_the_limit)
{
    CHECK_INT(bide_within(TICKS(1), own_error()), -EIO);
    CHECK_INT(bide_within(TICKS(1), own_value()), 8);
    CHECK_INT(bide_within(TICKS(1), bide_await(bide_spawn(insists, 9))), 9);
    CHECK_INT(bide_within(TICKS(1), bide_await(bide_spawn(insists, -EPIPE))), -EPIPE);
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(cleans_up)
{
    int rc = bide_sleep(INFINITY);
    CHECK_INT(bide_shielded(1, bide_sleep(TICKS(2))), 0);
    note("c");
    return rc;
}

TASK_TEST(limit_waits_for_the_end_of_what_it_cancelled)
{
    CHECK_INT(bide_within(TICKS(1), bide_await(bide_spawn(cleans_up))), -ETIMEDOUT);
    CHECK_NOTES("c");
}

TASK_TEST(inner_limit_passes_first)
{
    CHECK_INT(bide_within(10, sleeps_then(0, bide_within(TICKS(1), bide_sleep(INFINITY)))),
              -ETIMEDOUT);
    int inner = 1;
    CHECK_INT(bide_within(10, (inner = bide_within(TICKS(1), bide_sleep(INFINITY)), bide_sleep(0))),
              0);
    CHECK_INT(inner, -ETIMEDOUT);
}

TASK_TEST(outer_limit_passes_first)
{
    int inner = 1;
    CHECK_INT(bide_within(TICKS(1), inner = bide_within(10, bide_sleep(INFINITY))), -ETIMEDOUT);
    CHECK_INT(inner, -ECANCELED);
}

TASK_TEST(both_limits_pass_at_once)
{
    double deadline = bide_time() + TICKS(2);
    int inner = 1;
    CHECK_INT(bide_until(deadline, inner = bide_until(deadline, bide_sleep(INFINITY))), -ETIMEDOUT);
    CHECK_INT(inner, -ECANCELED);
    CHECK_INT(bide_within(0, inner = bide_within(0, bide_sleep(0))), -ETIMEDOUT);
    CHECK_INT(inner, -ECANCELED);
}

static int cleans_up_for_long(void)
{
    int rc = bide_sleep(INFINITY);
    CHECK_INT(bide_shielded(INFINITY, bide_sleep(TICKS(4))), 0);
    return rc;
}

/* The outer limit passes while a shield hides it; the cancel that the inner one caused is its. */
TASK_TEST(outer_limit_passes_while_the_inner_one_is_cleaned_up)
{
    int inner = 1;
    CHECK_INT(bide_within(TICKS(3), inner = bide_within(TICKS(1), cleans_up_for_long())),
              -ETIMEDOUT);
    CHECK_INT(inner, -ECANCELED);
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(is_cancelled_inside)
{
    int rc = bide_within(10, bide_sleep(INFINITY));
    CHECK_INT(rc, -ECANCELED);
    return rc;
}

TASK_TEST(cancel_from_outside_stays_a_cancel)
{
    bide_task *task = bide_spawn(is_cancelled_inside);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
}

TASK_TEST(cancelled_child_is_no_timeout)
{
    bide_task *child = bide_spawn(sleeps, INFINITY);
    turns(1);
    CHECK_INT(bide_cancel(child), 1);
    CHECK_INT(bide_within(10, bide_await(child)), -ECANCELED);
    CHECK_INT(bide_within(0, -ECANCELED), -ECANCELED);
}

TASK_TEST(block_with_a_moved_limit)
{
    bide_timeout *timeout;
    CHECK_INT(bide_timeout_begin(INFINITY, &timeout), 0);
    CHECK(isinf(bide_timeout_deadline(timeout)));
    double deadline = bide_time() + TICKS(2);
    CHECK_INT(bide_timeout_move(timeout, deadline), 0);
    CHECK(fabs(bide_timeout_deadline(timeout) - deadline) < 1e-6);
    CHECK_INT(bide_timeout_move(timeout, NAN), -EINVAL);
    CHECK_INT(bide_timeout_move(NULL, 1), -EINVAL);
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_timeout_move(timeout, INFINITY), 0);
    CHECK_INT(bide_sleep(TICKS(4)), 0);
    CHECK(!bide_timeout_expired(timeout));
    CHECK_INT(bide_timeout_move(timeout, 0), 0);
    CHECK(!bide_timeout_expired(timeout));
    CHECK_INT(bide_timeout_move(timeout, INFINITY), -EALREADY);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK(bide_timeout_expired(timeout));
    CHECK_INT(bide_timeout_end(timeout, -ECANCELED), -ETIMEDOUT);
    CHECK_INT(bide_timeout_end(NULL, 5), -EINVAL);
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(sleeps_within, (bide_timeout **, ret_timeout))
{
    int rc = bide_timeout_begin(INFINITY, ret_timeout);
    if (rc == 0)
        rc = bide_timeout_end(*ret_timeout, bide_sleep(INFINITY));
    return rc;
}

TASK_TEST(limit_is_moved_from_outside)
{
    bide_timeout *timeout;
    bide_task *task = bide_spawn(sleeps_within, &timeout);
    turns(1);
    CHECK_INT(bide_timeout_move(timeout, bide_time() + TICKS(1)), 0);
    CHECK_INT(bide_await(task), -ETIMEDOUT);
    task = bide_spawn(sleeps_within, &timeout);
    turns(1);
    CHECK_INT(bide_timeout_move(timeout, bide_time() - 1), 0);
    CHECK_INT(bide_await(task), -ETIMEDOUT);
}

TASK_TEST(end_hands_any_result_through)
{
    bide_timeout *timeout;
    static const int results[] = {0, 5, -EIO, -ECANCELED, -ETIMEDOUT};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        CHECK_INT(bide_timeout_begin(10, &timeout), 0);
        CHECK_INT(bide_timeout_end(timeout, results[i]), results[i]);
    }
}

static int leaves_open(int n)
{
    bide_timeout *timeout;
    for (int i = 0; i < n; i++)
        CHECK_INT(bide_timeout_begin(i % 2 ? 10 : INFINITY, &timeout), 0);
    return 3;
}

TASK_TEST(scopes_left_open_are_ended_and_reported)
{
    CHECK_INT(bide_task_set_name(bide_current_task(), "main"), 0);
    bide_timeout *timeout;
    CHECK_INT(bide_timeout_begin(10, &timeout), 0);
    CHECK_INT(bide_timeout_end(timeout, leaves_open(4)), 3);
    for (int i = 0; i < 4; i++)
        CHECK_CONTAINS(take_report(), "scope was left open|0||main|");
    CHECK_INT(bide_within(10, leaves_open(1)), 3);
    CHECK_CONTAINS(take_report(), "scope was left open|0||main|");
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(ends_with_open_scopes)
{
    return leaves_open(5);
}

TASK_TEST(scopes_that_a_task_leaves_open_are_reported)
{
    CHECK_INT(bide_await(bide_spawn(ends_with_open_scopes)), 3);
    for (int i = 0; i < 5; i++)
        CHECK_CONTAINS(take_report(), "scope was left open|0||Task-2|ends_with_open_scopes|");
}

static int nests(int depth)
{
    if (depth == 0)
        return bide_sleep(TICKS(1));
    return bide_within(depth % 3 ? 100 : INFINITY, nests(depth - 1));
}

TASK_TEST(limits_nest_deeply)
{
    CHECK_INT(nests(30), 0);
    CHECK_INT(bide_within(0, nests(30)), -ETIMEDOUT);
    CHECK_INT(bide_sleep(0), 0);
}

static int one_of_each_wait(int kind)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    bide_future *second = bide_retain(future);
    int rc;
    switch (kind) {
    case 0:
        rc = bide_await(bide_retain(future));
        break;
    case 1:
        rc = bide_shield(future);
        break;
    case 2:
        rc = bide_wait(&future, 1, BIDE_ALL_COMPLETED);
        break;
    case 3:
        rc = bide_next_done(&future, 1);
        break;
    case 4:
        rc = bide_gather((bide_task *[]){bide_retain(future)}, 1, NULL);
        break;
    case 5:
        rc = bide_gather_all((bide_task *[]){bide_retain(future)}, 1, (int[]){0});
        break;
    default:
        rc = bide_sleep(INFINITY);
    }
    bide_promise_free(promise);
    bide_detach(future);
    bide_detach(second);
    return rc;
}

TASK_TEST(every_wait_ends_with_the_limit)
{
    for (int kind = 0; kind < 7; kind++)
        CHECK_INT(bide_within(TICKS(1), one_of_each_wait(kind)), -ETIMEDOUT);
}
