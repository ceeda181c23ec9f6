/*
 * Scenario: tasks take and give permits, bounded and not, are cancelled before, while and after
 * they wait, and give more than there were. Claim: strictly first come, first served; a permit that
 * is given goes to the first who waits and no newcomer comes between; none is created or lost.
 */
#include <bide/semaphore.h>

#include "fault.h"
#include "task_rig.h"

static bide_semaphore two = BIDE_SEMAPHORE(2); /* made before any loop runs */

/* Takes a permit, keeps it for some turns, and notes its word while it holds it. */
static bide_async(keeps, (const char *, word), (int, n_turns))
{
    int rc = bide_semaphore_acquire(&two);
    if (rc < 0) {
        note("c");
        return rc;
    }
    note(word);
    rc = returns_after(n_turns, 0);
    CHECK_INT(bide_semaphore_release(&two), 0);
    return rc;
}

TASK_TEST(as_many_as_there_are_permits)
{
    bide_task *tasks[] = {bide_spawn(keeps, "1", 5), bide_spawn(keeps, "2", 1),
                          bide_spawn(keeps, "3", 1), bide_spawn(keeps, "4", 0)};
    turns(1);
    CHECK_NOTES("12");
    CHECK_INT((long long)bide_semaphore_value(&two), 0);
    CHECK_INT(bide_semaphore_try(&two), -EAGAIN);
    CHECK_INT(bide_gather(tasks, 4, NULL), 0);
    CHECK_NOTES("34");
    CHECK_INT((long long)bide_semaphore_value(&two), 2);
}

TASK_TEST(free_permits_need_no_turn)
{
    bide_task *other = bide_spawn(returns, 1);
    CHECK_INT(bide_semaphore_acquire(&two), 0);
    CHECK_INT(bide_semaphore_try(&two), 0);
    CHECK_INT(bide_semaphore_try(&two), -EAGAIN);
    CHECK_INT(bide_semaphore_release(&two), 0);
    CHECK_INT(bide_semaphore_release(&two), 0);
    CHECK_INT(bide_task_state(other), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_await(other), 1);
}

/* Between the release and the turn of the one who gets the permit. */
TASK_TEST(newcomer_cannot_overtake)
{
    CHECK_INT(bide_semaphore_acquire(&two), 0);
    CHECK_INT(bide_semaphore_acquire(&two), 0);
    bide_task *waiter = bide_spawn(keeps, "w", 0);
    turns(1);
    CHECK_INT(bide_semaphore_release(&two), 0);
    CHECK_INT((long long)bide_semaphore_value(&two), 0);
    CHECK_INT(bide_semaphore_try(&two), -EAGAIN);
    CHECK_INT(bide_semaphore_acquire(&two), 0);
    note("m");
    CHECK_INT(bide_semaphore_release(&two), 0);
    CHECK_INT(bide_semaphore_release(&two), 0);
    CHECK_INT(bide_await(waiter), 0);
    CHECK_NOTES("wm");
}

TASK_TEST(cancelled_anywhere_in_the_line)
{
    for (int victim = 0; victim < 3; victim++) {
        CHECK_INT(bide_semaphore_acquire(&two), 0);
        CHECK_INT(bide_semaphore_acquire(&two), 0);
        bide_task *tasks[] = {bide_spawn(keeps, "0", 0), bide_spawn(keeps, "1", 0),
                              bide_spawn(keeps, "2", 0)};
        turns(1);
        CHECK_INT(bide_cancel(tasks[victim]), 1);
        CHECK_INT(bide_semaphore_release(&two), 0);
        CHECK_INT(bide_semaphore_release(&two), 0);
        int results[3];
        CHECK_INT(bide_gather_all(tasks, 3, results), 0);
        CHECK_INT(results[victim], -ECANCELED);
        CHECK_NOTES(((const char *[]){"c12", "c02", "c01"})[victim]);
        CHECK_INT((long long)bide_semaphore_value(&two), 2);
    }
}

/* Granted, then cancelled: it has the permit, notices at its next suspension, and gives it back. */
TASK_TEST(cancelled_after_it_was_granted)
{
    CHECK_INT(bide_semaphore_acquire(&two), 0);
    CHECK_INT(bide_semaphore_acquire(&two), 0);
    bide_task *tasks[] = {bide_spawn(keeps, "a", 5), bide_spawn(keeps, "b", 0)};
    turns(1);
    CHECK_INT(bide_semaphore_release(&two), 0);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    int results[2];
    CHECK_INT(bide_gather_all(tasks, 2, results), 0);
    CHECK_INT(results[0], -ECANCELED);
    CHECK_INT(results[1], 0);
    CHECK_NOTES("ab");
    CHECK_INT(bide_semaphore_release(&two), 0);
    CHECK_INT((long long)bide_semaphore_value(&two), 2);
}

TASK_TEST(cancelled_task_takes_no_free_permit)
{
    CHECK_INT(bide_within(0, bide_semaphore_acquire(&two)), -ETIMEDOUT);
    CHECK_INT((long long)bide_semaphore_value(&two), 2);
    bide_semaphore none = BIDE_SEMAPHORE(0);
    CHECK_INT(bide_within(TICKS(1), bide_semaphore_acquire(&none)), -ETIMEDOUT);
    CHECK_INT(bide_semaphore_release(&none), 0);
    CHECK_INT((long long)bide_semaphore_value(&none), 1);
}

TASK_TEST(unbounded_one_grows)
{
    bide_semaphore zeroed = {0};
    CHECK_INT(bide_semaphore_try(&zeroed), -EAGAIN);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_semaphore_release(&zeroed), 0);
    CHECK_INT((long long)bide_semaphore_value(&zeroed), 3);
    bide_semaphore full = BIDE_SEMAPHORE(SIZE_MAX);
    CHECK_INT(bide_semaphore_release(&full), -EOVERFLOW);
    CHECK_INT(bide_semaphore_try(&full), 0);
    CHECK_INT(bide_semaphore_release(&full), 0);
    CHECK(bide_semaphore_value(&full) == SIZE_MAX);
}

TASK_TEST(bounded_one_does_not_grow)
{
    bide_semaphore bounded = BIDE_BOUNDED_SEMAPHORE(1);
    CHECK_INT(bide_semaphore_release(&bounded), -EOVERFLOW);
    CHECK_INT((long long)bide_semaphore_value(&bounded), 1);
    CHECK_INT(bide_semaphore_acquire(&bounded), 0);
    CHECK_INT(bide_semaphore_release(&bounded), 0);
    CHECK_INT(bide_semaphore_release(&bounded), -EOVERFLOW);
    CHECK_INT(bide_semaphore_init_bounded(&bounded, 0), 0);
    CHECK_INT(bide_semaphore_release(&bounded), -EOVERFLOW);
    CHECK_INT(bide_semaphore_init(&bounded, 0), 0);
    CHECK_INT(bide_semaphore_release(&bounded), 0);
}

static int releases(void *data)
{
    CHECK_INT(bide_semaphore_acquire(data), -BIDE_ENOTASK);
    CHECK_INT(bide_semaphore_release(data), 0);
    return 0;
}

TASK_TEST(released_by_a_callback)
{
    bide_semaphore none = BIDE_SEMAPHORE(0);
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), releases, &none, NULL, NULL), 0);
    fault_arm(FAULT_ALLOCATION, 1, 0); /* waiting allocates nothing */
    CHECK_INT(bide_semaphore_acquire(&none), 0);
    CHECK(!fault_disarm());
    CHECK_INT((long long)bide_semaphore_value(&none), 0);
}

TASK_TEST(misuse)
{
    CHECK_INT(bide_semaphore_acquire(NULL), -EINVAL);
    CHECK_INT(bide_semaphore_try(NULL), -EINVAL);
    CHECK_INT(bide_semaphore_release(NULL), -EINVAL);
    CHECK_INT(bide_semaphore_init(NULL, 1), -EINVAL);
    CHECK_INT(bide_semaphore_init_bounded(NULL, 1), -EINVAL);
    CHECK_INT((long long)bide_semaphore_value(NULL), 0);
}
