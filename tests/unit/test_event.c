/*
 * Scenario: tasks wait for an event that is set, cleared, set and cleared at once, and are
 * cancelled before and after it. Claim: all who wait when it is set go on, in the order in which
 * they came, also if it is cleared right after; who comes while it is set does not wait; a
 * cancelled wait leaves no trace.
 */
#include <bide/event.h>

#include "fault.h"
#include "task_rig.h"

static bide_event event; /* made before any loop runs */

static bide_async(waits, (const char *, word))
{
    int rc = bide_event_wait(&event);
    note(rc == -ECANCELED ? "c" : word);
    return rc;
}

TASK_TEST(all_who_wait_go_on_in_order)
{
    bide_task *tasks[] = {bide_spawn(waits, "1"), bide_spawn(waits, "2"), bide_spawn(waits, "3")};
    turns(2);
    CHECK_NOTES("");
    CHECK(!bide_event_is_set(&event));
    bide_event_set(&event);
    CHECK(bide_event_is_set(&event));
    CHECK_NOTES(""); /* not inside the call */
    bide_event_set(&event);
    CHECK_INT(bide_gather(tasks, 3, NULL), 0);
    CHECK_NOTES("123");
}

TASK_TEST(set_event_needs_no_turn)
{
    bide_event_set(&event);
    bide_task *other = bide_spawn(returns, 1);
    CHECK_INT(bide_event_wait(&event), 0);
    CHECK_INT(bide_event_wait(&event), 0);
    CHECK_INT(bide_task_state(other), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_await(other), 1);
}

TASK_TEST(set_and_cleared_at_once)
{
    bide_task *tasks[] = {bide_spawn(waits, "1"), bide_spawn(waits, "2")};
    turns(1);
    bide_event_set(&event);
    bide_event_clear(&event);
    bide_task *late = bide_spawn(waits, "3");
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    turns(2);
    CHECK_NOTES("12");
    bide_event_set(&event);
    CHECK_INT(bide_await(late), 0);
    CHECK_NOTES("3");
}

static bide_async(waits_twice)
{
    CHECK_INT(bide_event_wait(&event), 0);
    note("1");
    CHECK_INT(bide_event_wait(&event), 0);
    note("2");
    return 0;
}

/* Who waits again waits for the next time. */
TASK_TEST(one_set_wakes_once)
{
    bide_task *task = bide_spawn(waits_twice);
    turns(1);
    bide_event_set(&event);
    bide_event_clear(&event);
    turns(3);
    CHECK_NOTES("1");
    bide_event_set(&event);
    CHECK_INT(bide_await(task), 0);
    CHECK_NOTES("2");
}

TASK_TEST(cancelled_anywhere_in_the_line)
{
    for (int victim = 0; victim < 3; victim++) {
        bide_event_clear(&event);
        bide_task *tasks[] = {bide_spawn(waits, "0"), bide_spawn(waits, "1"),
                              bide_spawn(waits, "2")};
        turns(1);
        CHECK_INT(bide_cancel(tasks[victim]), 1);
        bide_event_set(&event);
        int results[3];
        CHECK_INT(bide_gather_all(tasks, 3, results), 0);
        CHECK_INT(results[victim], -ECANCELED);
        CHECK_NOTES(((const char *[]){"c12", "c02", "c01"})[victim]);
    }
}

TASK_TEST(cancelled_after_it_was_set)
{
    bide_task *task = bide_spawn(waits, "w");
    turns(1);
    bide_event_set(&event);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 0);
    CHECK_NOTES("w");
}

TASK_TEST(cancelled_task_fails_at_once)
{
    bide_event_set(&event);
    CHECK_INT(bide_within(0, bide_event_wait(&event)), -ETIMEDOUT);
    bide_event_clear(&event);
    CHECK_INT(bide_within(TICKS(1), bide_event_wait(&event)), -ETIMEDOUT);
}

static int sets(void *data)
{
    CHECK_INT(bide_event_wait(data), -BIDE_ENOTASK);
    bide_event_set(data);
    return 0;
}

TASK_TEST(set_from_a_callback)
{
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), sets, &event, NULL, NULL), 0);
    CHECK_INT(bide_event_wait(&event), 0);
}

TASK_TEST(misuse)
{
    CHECK_INT(bide_event_wait(NULL), -EINVAL);
    bide_event_set(NULL);
    bide_event_clear(NULL);
    CHECK(!bide_event_is_set(NULL));
}

TASK_TEST(waiting_allocates_nothing)
{
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), sets, &event, NULL, NULL), 0);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_event_wait(&event), 0);
    CHECK(!fault_disarm());
}
