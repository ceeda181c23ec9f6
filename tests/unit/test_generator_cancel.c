/*
 * Scenario: the consumer is cancelled before, while and after its generator waits, at each of the
 * body's suspension points, also through several levels and with others consuming before and after.
 * Claim: the cancel reaches the body's suspending calls, runs its cleanup, comes out of
 * bide_next(), and ends the generator exactly if the body lets it; a yield does not fail because of
 * it.
 */
#include <bide/generator.h>

#include "task_rig.h"

enum { POINTS = 6 };

/* Suspends before and after each yield, and notes how far it came. */
static bide_generator(int, steps)
{
    int rc = 0;
    for (int i = 0; i < POINTS / 2 && rc == 0; i++) {
        rc = bide_sleep(0);
        if (rc == 0)
            rc = bide_yield(i);
        if (rc == 0)
            rc = bide_sleep(0);
    }
    int cleaned = bide_shielded(10, bide_sleep(0));
    note(rc == -ECANCELED && cleaned == 0 ? "c" : "?");
    return rc;
}

static bide_async(consumes_all, (bide_iterator *, it), (int *, n_values))
{
    int value;
    int rc;
    while ((rc = bide_next(it, &value)) == 1)
        CHECK_INT(value, (*n_values)++);
    return rc;
}

TASK_TEST(at_each_suspension)
{
    for (int n = 1; n <= POINTS; n++) {
        bide_iterator *it = bide_iterate(steps);
        int n_values = 0;
        int value;
        bide_task *task = bide_spawn(consumes_all, it, &n_values);
        turns(n);
        CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), -ECANCELED);
        CHECK_INT(n_values, n / 2);
        CHECK_NOTES("c");
        CHECK_INT(bide_next(it, &value), 0);
        CHECK_INT(bide_iterator_close(it), 0);
    }
}

static bide_generator(int, hands_on, (int, depth))
{
    bide_iterator *inner = depth > 0 ? bide_iterate(hands_on, depth - 1) : bide_iterate(steps);
    int rc;
    bide_for (int, value, rc, inner) {
        rc = bide_yield(value);
        if (rc < 0)
            break;
    }
    note(rc == -ECANCELED ? "h" : "?");
    return rc;
}

TASK_TEST(at_each_suspension_through_several_levels)
{
    for (int n = 1; n <= POINTS; n++) {
        bide_iterator *it = bide_iterate(hands_on, 2);
        int n_values = 0;
        bide_task *task = bide_spawn(consumes_all, it, &n_values);
        turns(n);
        CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), -ECANCELED);
        CHECK_INT(n_values, n / 2);
        CHECK_NOTES("chhh");
        CHECK_INT(bide_iterator_close(it), 0);
    }
}

static bide_async(takes_one, (bide_iterator *, it), (int, n_turns))
{
    int value = -1;
    for (int i = 0; i < n_turns; i++)
        (void)!bide_sleep(0);
    int rc = bide_next(it, &value);
    return rc == 1 ? value : rc;
}

TASK_TEST(between_two_values)
{
    bide_iterator *it = bide_iterate(steps);
    CHECK_INT(bide_await(bide_spawn(takes_one, it, 0)), 0);
    bide_task *task = bide_spawn(takes_one, it, 1);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED); /* at the body's next suspension */
    CHECK_NOTES("c");
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_generator(int, never_suspends)
{
    int rc = 0;
    for (int i = 0; rc == 0; i++)
        rc = bide_yield(i);
    return rc;
}

TASK_TEST(body_without_suspension_does_not_notice)
{
    bide_iterator *it = bide_iterate(never_suspends);
    bide_task *task = bide_spawn(takes_one, it, 1);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(takes_one(it, 0), 1);
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_generator(int, insists_on_values)
{
    int rc = 0;
    for (int i = 0; rc == 0; i++) {
        (void)!bide_sleep(INFINITY);
        rc = bide_yield(i);
    }
    return rc;
}

TASK_TEST(body_that_keeps_its_value_hands_it_to_the_cancelled_consumer)
{
    bide_iterator *it = bide_iterate(insists_on_values);
    for (int i = 0; i < 3; i++) {
        bide_task *task = bide_spawn(takes_one, it, 0);
        turns(1);
        CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), i);
    }
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(consumer_that_takes_its_cancel_back_goes_on)
{
    int n_values = 0;
    bide_iterator *it = bide_iterate(steps);
    CHECK_INT(bide_cancel(bide_current_task()), 1);
    CHECK_INT(takes_one(it, 0), -ECANCELED);
    CHECK_INT(bide_uncancel(bide_current_task()), 0);
    CHECK_NOTES("c");
    CHECK_INT(consumes_all(it, &n_values), 0);
    CHECK_INT(n_values, 0);
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_generator(int, awaits_child, (bide_task *, task))
{
    int rc = bide_await(task);
    return rc < 0 ? rc : bide_yield(rc);
}

TASK_TEST(join_in_the_body_hands_the_cancel_on)
{
    bide_task *child = bide_spawn(insists, 5);
    bide_iterator *it = bide_iterate(awaits_child, child);
    bide_task *task = bide_spawn(takes_one, it, 0);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 5);
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(circle_through_a_generator_is_seen)
{
    bide_task *main_task = bide_current_task();
    bide_iterator *it = bide_iterate(awaits_child, bide_retain(main_task));
    bide_task *task = bide_spawn(takes_one, it, 0);
    CHECK_INT(bide_await(task), -EDEADLK);
    bide_detach(main_task);
    CHECK_INT(bide_iterator_close(it), 0);
}
