/*
 * Scenario: generators whose bodies have time limits, groups and shields open while they yield,
 * asked by the same task or by others, inside limits and shields of the consumer's own. Claim: what
 * the body opened asks for the end of the body only, whoever the consumer is, and also if it became
 * due between two values; what the consumer opened reaches the body; nothing is left on the
 * consumer's stack.
 */
#include <bide/generator.h>

#include "task_rig.h"

static bide_iterator *it;

static bide_async(asks, (int, expected))
{
    int value = -1;
    int rc = bide_next(it, &value);
    if (rc == 1)
        CHECK_INT(value, expected);
    return rc;
}

/* The current task has no scope left from the generator: its suspending calls work, and end well.
 */
static void check_free(void)
{
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_within(10, bide_sleep(0)), 0);
}

static bide_generator(int, limited, (double, seconds), (int, n))
{
    bide_timeout *timeout;
    CHECK_INT(bide_timeout_begin(seconds, &timeout), 0);
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = bide_yield(i);
        if (rc == 0)
            rc = bide_sleep(0);
    }
    note(bide_timeout_expired(timeout) ? "x" : "-");
    return bide_timeout_end(timeout, rc);
}

TASK_TEST(limit_that_does_not_pass)
{
    it = bide_iterate(limited, 100.0, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(asks(i), 1);
        check_free();
    }
    CHECK_INT(asks(0), 0);
    CHECK_NOTES("-");
    CHECK_INT(bide_iterator_close(it), 0);
    check_free();
}

TASK_TEST(limit_that_passes_between_two_values)
{
    it = bide_iterate(limited, TICKS(1), 3);
    CHECK_INT(asks(0), 1);
    CHECK_INT(bide_sleep(TICKS(4)), 0); /* not the consumer's limit */
    check_free();
    CHECK_INT(asks(0), -ETIMEDOUT);
    CHECK_NOTES("x");
    check_free();
    CHECK_INT(asks(0), 0);
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(limit_that_passes_while_another_task_consumes)
{
    it = bide_iterate(limited, TICKS(1), 3);
    CHECK_INT(bide_await(bide_spawn(asks, 0)), 1);
    CHECK_INT(bide_sleep(TICKS(4)), 0);
    CHECK_INT(bide_await(bide_spawn(asks, 0)), -ETIMEDOUT);
    CHECK_NOTES("x");
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(limit_that_passes_before_an_early_close)
{
    it = bide_iterate(limited, TICKS(1), 3);
    CHECK_INT(asks(0), 1);
    CHECK_INT(bide_sleep(TICKS(4)), 0);
    CHECK_INT(bide_iterator_close(it), 0); /* its yield failed for the close, not for the limit */
    CHECK_NOTES("-");
    check_free();
}

static bide_generator(int, waits_limited, (double, seconds))
{
    int rc = bide_yield(0);
    if (rc == 0)
        rc = bide_within(seconds, bide_sleep(INFINITY));
    CHECK_INT(rc, -ETIMEDOUT);
    return bide_yield(1);
}

TASK_TEST(limit_that_passes_inside)
{
    it = bide_iterate(waits_limited, TICKS(1));
    CHECK_INT(asks(0), 1);
    CHECK_INT(bide_await(bide_spawn(asks, 1)), 1);
    CHECK_INT(asks(0), 0);
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_timeout *given;

static bide_generator(int, lends_its_limit)
{
    CHECK_INT(bide_timeout_begin(100, &given), 0);
    int rc = bide_yield(0);
    if (rc == 0)
        rc = bide_sleep(INFINITY);
    return bide_timeout_end(given, rc);
}

TASK_TEST(limit_is_moved_between_two_values_and_not_ended)
{
    it = bide_iterate(lends_its_limit);
    CHECK_INT(asks(0), 1);
    CHECK_INT(bide_timeout_end(given, 0), -EINVAL);
    CHECK_INT(bide_timeout_move(given, bide_time() + TICKS(1)), 0);
    CHECK_INT(asks(0), -ETIMEDOUT);
    it = (CHECK_INT(bide_iterator_close(it), 0), bide_iterate(lends_its_limit));
    CHECK_INT(asks(0), 1);
    CHECK_INT(bide_timeout_move(given, bide_time() - 1), 0); /* at once */
    check_free();
    CHECK_INT(asks(0), -ETIMEDOUT);
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_generator(int, waits_for_ever)
{
    int rc = bide_sleep(INFINITY);
    note("w");
    return rc;
}

TASK_TEST(consumers_limit_reaches_the_body)
{
    it = bide_iterate(waits_for_ever);
    CHECK_INT(bide_within(TICKS(1), asks(0)), -ETIMEDOUT);
    CHECK_NOTES("w");
    CHECK_INT(asks(0), 0);
    CHECK_INT(bide_iterator_close(it), 0);
    check_free();
}

static bide_generator(int, goes_on, (int *, n_failed))
{
    int rc = 0;
    for (int i = 0; rc == 0; i++) {
        *n_failed += bide_sleep(i == 1 ? INFINITY : 0) < 0;
        rc = bide_yield(i);
    }
    return rc;
}

TASK_TEST(body_that_survives_the_consumers_limit_goes_on)
{
    int n_failed = 0;
    it = bide_iterate(goes_on, &n_failed);
    CHECK_INT(asks(0), 1);
    CHECK_INT(bide_within(TICKS(1), asks(1)), 1);
    CHECK_INT(n_failed, 1);
    CHECK_INT(asks(2), 1);
    CHECK_INT(n_failed, 1);
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_async(fails_after, (int, n_turns), (int, error))
{
    int rc = returns_after(n_turns, 0);
    return rc < 0 ? rc : error;
}

static bide_generator(int, has_a_group, (int, n_turns), (int, error), (int, n))
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    int rc = bide_group_spawn(group, fails_after, n_turns, error);
    for (int i = 0; i < n && rc == 0; i++) {
        rc = bide_yield(i);
        if (rc == 0)
            rc = bide_sleep(0);
    }
    return bide_group_close(group, rc);
}

TASK_TEST(group_across_values)
{
    it = bide_iterate(has_a_group, 2, 0, 5);
    for (int i = 0; i < 5; i++)
        CHECK_INT(bide_await(bide_spawn(asks, i)), 1);
    CHECK_INT(bide_await(bide_spawn(asks, 0)), 0);
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(child_that_fails_between_two_values_ends_the_body)
{
    it = bide_iterate(has_a_group, 1, -EIO, 5);
    CHECK_INT(bide_await(bide_spawn(asks, 0)), 1);
    turns(4);
    CHECK_INT(asks(0), -EIO);
    CHECK_CONTAINS(bide_error_detail(), "(fails_after): ");
    check_free();
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(child_that_fails_while_the_body_waits)
{
    it = bide_iterate(has_a_group, 3, -EIO, 100);
    int rc;
    int i = 0;
    while ((rc = asks(i)) == 1)
        i++;
    CHECK_INT(rc, -EIO);
    CHECK_RANGE(i, 2, 5);
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(early_close_cancels_and_joins_the_group)
{
    it = bide_iterate(has_a_group, 1000, 0, 5);
    CHECK_INT(bide_await(bide_spawn(asks, 0)), 1);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 2);
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
    check_free();
}

static bide_group *lent;

static bide_generator(int, lends_its_group)
{
    CHECK_INT(bide_group_open(&lent), 0);
    int rc = bide_yield(0);
    return bide_group_close(lent, rc);
}

static bide_async(spawns_sibling)
{
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_group_spawn(lent, returns, 5), 0);
    note("s");
    return 0;
}

TASK_TEST(group_between_two_values_takes_children_and_is_not_closed)
{
    it = bide_iterate(lends_its_group);
    CHECK_INT(asks(0), 1);
    CHECK_INT(bide_group_close(lent, 0), -EINVAL);
    CHECK_INT(bide_group_spawn(lent, spawns_sibling), 0);
    turns(3);
    CHECK_NOTES("s");
    CHECK_INT((long long)bide_group_size(lent), 0);
    bide_group_cancel(lent);
    check_free();
    CHECK_INT(asks(0), 0);
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_generator(int, shields_itself)
{
    int rc = bide_shielded(100, bide_yield(1) < 0 ? -ECANCELED : bide_sleep(0));
    note(rc == 0 ? "s" : "c");
    return rc < 0 ? rc : bide_sleep(0);
}

TASK_TEST(shield_of_the_body_is_not_the_consumers)
{
    it = bide_iterate(shields_itself);
    CHECK_INT(asks(1), 1);
    CHECK_INT(bide_within(0, bide_sleep(0)), -ETIMEDOUT); /* not shielded */
    CHECK_INT(bide_within(0, asks(0)), -ETIMEDOUT);       /* the body is, until its shield ends */
    CHECK_NOTES("s");
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(consumers_shield_covers_the_body)
{
    it = bide_iterate(limited, 100.0, 3);
    CHECK_INT(bide_within(0, bide_shielded(100, asks(0))), 1);
    CHECK_INT(bide_within(0, bide_shielded(100, asks(1))), 1);
    CHECK_INT(bide_within(0, asks(0)), -ETIMEDOUT);
    CHECK_NOTES("-");
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_generator(int, nests, (int, depth))
{
    int rc = 0;
    if (depth == 0)
        return bide_within(TICKS(1), bide_yield(1) < 0 ? -ECANCELED : bide_sleep(INFINITY));
    bide_timeout *timeout;
    CHECK_INT(bide_timeout_begin(100 + depth, &timeout), 0);
    bide_for (int, value, rc, bide_iterate(nests, depth - 1)) {
        rc = bide_yield(value);
        if (rc < 0)
            break;
    }
    return bide_timeout_end(timeout, rc);
}

TASK_TEST(limits_at_every_level)
{
    it = bide_iterate(nests, 10);
    CHECK_INT(bide_await(bide_spawn(asks, 1)), 1);
    CHECK_INT(bide_sleep(TICKS(3)), 0);
    CHECK_INT(bide_await(bide_spawn(asks, 1)),
              -ETIMEDOUT); /* the innermost limit, handed on as an error */
    CHECK_INT(bide_iterator_close(it), 0);
    it = bide_iterate(nests, 10);
    CHECK_INT(asks(1), 1);
    CHECK_INT(bide_iterator_close(it), 0);
    check_free();
}

static bide_generator(int, leaves_limits_open, (int, result))
{
    bide_timeout *timeout;
    bide_group *group;
    CHECK_INT(bide_timeout_begin(100, &timeout), 0);
    CHECK_INT(bide_group_open(&group), 0);
    int rc = bide_yield(1);
    return rc < 0 ? rc : result;
}

TASK_TEST(what_the_body_leaves_open_is_ended_and_reported)
{
    it = bide_iterate(leaves_limits_open, -EIO);
    CHECK_INT(asks(1), 1);
    CHECK_INT(asks(1), -EIO);
    CHECK_CONTAINS(take_report(), "scope was left open|0||Task-1|");
    CHECK_CONTAINS(take_report(), "scope was left open|0||Task-1|");
    CHECK_INT(bide_iterator_close(it), 0);
    check_free();
}

static bide_generator(int, ends_the_consumers_limit, (bide_timeout *, timeout))
{
    CHECK_INT(bide_timeout_end(timeout, 0), 0);
    int rc = bide_within(10, bide_yield(1));
    return rc < 0 ? rc : bide_yield(2);
}

TASK_TEST(body_that_ends_what_is_not_its_own)
{
    bide_timeout *timeout;
    CHECK_INT(bide_timeout_begin(100, &timeout), 0);
    it = bide_iterate(ends_the_consumers_limit, timeout);
    CHECK_INT(asks(1), 1);
    CHECK_INT(asks(2), 1);
    CHECK_INT(asks(0), 0);
    CHECK_INT(bide_iterator_close(it), 0);
    check_free();
}

BIDE_TEST(open_limit_needs_a_task)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    int value;
    it = bide_iterate(limited, 100.0, 3);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, asks, 0)), 1);
    CHECK_INT(bide_next(it, &value), -BIDE_ENOTASK);
    CHECK_INT(bide_iterator_close(it), -BIDE_ENOTASK);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, asks, 1)), 1);
    rig_close(loop);
    CHECK_NOTES("-");
    CHECK_INT(bide_iterator_close(it), 0);
}
