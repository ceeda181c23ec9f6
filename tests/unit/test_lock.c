/*
 * Scenario: tasks that hold and want a lock, are cancelled before, while and after they wait for
 * it, and misuse it. Claim: one owner at a time, who alone can release it; first come, first
 * served, and no newcomer comes between; a waiter that was cancelled has not disturbed the line,
 * and one that was handed the lock first has it.
 */
#include <bide/lock.h>

#include "fault.h"
#include "task_rig.h"

static bide_lock lock; /* made before any loop runs */

/* Takes the lock, keeps it for some turns, and notes its word while it holds it. */
static bide_async(keeps, (const char *, word), (int, n_turns))
{
    int rc = bide_lock_acquire(&lock);
    if (rc < 0) {
        note("c");
        return rc;
    }
    note(word);
    rc = returns_after(n_turns, 0);
    CHECK_INT(bide_lock_release(&lock), 0);
    return rc;
}

TASK_TEST(free_lock_needs_no_turn)
{
    bide_task *other = bide_spawn(returns, 1);
    CHECK(!bide_lock_locked(&lock));
    CHECK_INT(bide_lock_acquire(&lock), 0);
    CHECK(bide_lock_locked(&lock));
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK(!bide_lock_locked(&lock));
    CHECK_INT(bide_lock_try(&lock), 0);
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK_INT(bide_task_state(other), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_await(other), 1);
}

TASK_TEST(first_come_first_served)
{
    bide_task *tasks[] = {bide_spawn(keeps, "1", 2), bide_spawn(keeps, "2", 0),
                          bide_spawn(keeps, "3", 1), bide_spawn(keeps, "4", 0)};
    CHECK_INT(bide_gather(tasks, 4, NULL), 0);
    CHECK_NOTES("1234");
    CHECK(!bide_lock_locked(&lock));
}

/* Between the release and the turn of the one who gets it. */
TASK_TEST(newcomer_cannot_overtake)
{
    CHECK_INT(bide_lock_acquire(&lock), 0);
    bide_task *waiter = bide_spawn(keeps, "w", 0);
    turns(1);
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK(bide_lock_locked(&lock));
    CHECK_INT(bide_lock_try(&lock), -EAGAIN);
    bide_task *newcomer = bide_spawn(keeps, "n", 0);
    CHECK_INT(bide_lock_acquire(&lock), 0);
    note("m");
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK_INT(bide_gather((bide_task *[]){waiter, newcomer}, 2, NULL), 0);
    CHECK_NOTES("wmn");
}

static bide_async(tries_all)
{
    CHECK_INT(bide_lock_release(&lock), -EPERM);
    CHECK_INT(bide_lock_try(&lock), -EAGAIN);
    CHECK_INT(bide_lock_release(&lock), -EPERM);
    return 0;
}

TASK_TEST(misuse)
{
    CHECK_INT(bide_lock_acquire(NULL), -EINVAL);
    CHECK_INT(bide_lock_try(NULL), -EINVAL);
    CHECK_INT(bide_lock_release(NULL), -EINVAL);
    CHECK(!bide_lock_locked(NULL));
    CHECK_INT(bide_lock_release(&lock), -EPERM);
    CHECK_INT(bide_lock_acquire(&lock), 0);
    CHECK_INT(bide_lock_acquire(&lock), -EDEADLK);
    CHECK_INT(bide_lock_try(&lock), -EDEADLK);
    CHECK_INT(bide_await(bide_spawn(tries_all)), 0);
    CHECK(bide_lock_locked(&lock));
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK_INT(bide_lock_release(&lock), -EPERM);
}

static bide_async(takes_and_ends)
{
    return bide_lock_acquire(&lock);
}

/* Handles are used again, numbers are not. */
TASK_TEST(lock_of_an_ended_task_is_nobodys)
{
    CHECK_INT(bide_await(bide_spawn(takes_and_ends)), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_await(bide_spawn(tries_all)), 0);
    CHECK(bide_lock_locked(&lock));
}

static int in_callback(void *data)
{
    CHECK_INT(bide_lock_acquire(&lock), -BIDE_ENOTASK);
    CHECK_INT(bide_lock_try(&lock), -BIDE_ENOTASK);
    CHECK_INT(bide_lock_release(&lock), -EPERM);
    *(bool *)data = true;
    return 0;
}

TASK_TEST(callback_holds_no_lock)
{
    bool called = false;
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), in_callback, &called, NULL, NULL), 0);
    turns(1);
    CHECK(called);
}

BIDE_TEST(outside_a_loop)
{
    bool called = false;
    in_callback(&called);
    CHECK(called && !bide_lock_locked(&lock));
}

TASK_TEST(cancelled_anywhere_in_the_line)
{
    for (int victim = 0; victim < 3; victim++) {
        CHECK_INT(bide_lock_acquire(&lock), 0);
        bide_task *tasks[] = {bide_spawn(keeps, "0", 0), bide_spawn(keeps, "1", 0),
                              bide_spawn(keeps, "2", 0)};
        turns(1);
        CHECK_INT(bide_cancel(tasks[victim]), 1);
        turns(1);
        CHECK_NOTES("c");
        CHECK_INT(bide_lock_release(&lock), 0);
        CHECK_INT(bide_gather_all(tasks, 3, (int[3]){0}), 0);
        CHECK_NOTES(((const char *[]){"12", "02", "01"})[victim]);
    }
}

/* Handed the lock, then cancelled: it has it, notices at its next suspension, and passes it on. */
TASK_TEST(cancelled_after_it_was_handed_the_lock)
{
    CHECK_INT(bide_lock_acquire(&lock), 0);
    bide_task *tasks[] = {bide_spawn(keeps, "a", 5), bide_spawn(keeps, "b", 0)};
    turns(1);
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    int results[2];
    CHECK_INT(bide_gather_all(tasks, 2, results), 0);
    CHECK_INT(results[0], -ECANCELED);
    CHECK_INT(results[1], 0);
    CHECK_NOTES("ab");
}

/* The same two events the other way round: the lock goes to the next one. */
TASK_TEST(cancelled_before_it_would_have_been_handed_the_lock)
{
    CHECK_INT(bide_lock_acquire(&lock), 0);
    bide_task *tasks[] = {bide_spawn(keeps, "a", 5), bide_spawn(keeps, "b", 0)};
    turns(1);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(bide_lock_release(&lock), 0);
    int results[2];
    CHECK_INT(bide_gather_all(tasks, 2, results), 0);
    CHECK_INT(results[0], -ECANCELED);
    CHECK_INT(results[1], 0);
    CHECK_NOTES("cb");
}

TASK_TEST(cancelled_task_takes_no_free_lock)
{
    CHECK_INT(bide_within(0, bide_lock_acquire(&lock)), -ETIMEDOUT);
    CHECK(!bide_lock_locked(&lock));
}

TASK_TEST(limit_on_the_wait)
{
    bide_task *task = bide_spawn(keeps, "k", INT32_MAX);
    turns(1);
    CHECK_INT(bide_within(TICKS(1), bide_lock_acquire(&lock)), -ETIMEDOUT);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_within(10, bide_lock_acquire(&lock)), 0);
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("k");
}

TASK_TEST(waiting_allocates_nothing)
{
    bide_task *task = bide_spawn(keeps, "k", 3);
    turns(1);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_lock_acquire(&lock), 0);
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK(!fault_disarm());
    CHECK_INT(bide_await(task), 0);
    CHECK_NOTES("k");
}

TASK_TEST(wait_is_named)
{
    char form[256];
    CHECK_INT(bide_lock_acquire(&lock), 0);
    bide_task *task = bide_spawn(keeps, "k", 0);
    turns(1);
    bide_task_print(task, form, sizeof form);
    CHECK_CONTAINS(form, "wait=lock");
    CHECK_INT(bide_lock_release(&lock), 0);
    CHECK_INT(bide_await(task), 0);
    CHECK_NOTES("k");
}

/* Taking a free lock again and again does not keep the others from their turns. */
static bide_async(counts, (int *, n))
{
    while (*n < 1000000) {
        int rc = bide_lock_acquire(&lock);
        if (rc < 0)
            return rc;
        ++*n;
        CHECK_INT(bide_lock_release(&lock), 0);
    }
    return 0;
}

TASK_TEST(free_lock_gives_up_turns)
{
    int n = 0;
    bide_task *task = bide_spawn(counts, &n);
    turns(10);
    CHECK_RANGE(n, 9 * 128, 11 * 128);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
}

static bide_async(unwinds_at_close)
{
    CHECK_INT(bide_lock_acquire(&lock), -ECANCELED);
    note("u");
    return 0;
}

static bide_async(ends_with_waiters)
{
    CHECK_INT(bide_lock_acquire(&lock), 0);
    bide_detach(bide_spawn(unwinds_at_close));
    bide_detach(bide_spawn(unwinds_at_close));
    turns(1);
    CHECK_INT(bide_lock_locked(&lock), true);
    return 5;
}

BIDE_TEST(loop_that_closes_while_tasks_wait)
{
    CHECK_INT(bide_run_with(NULL, ends_with_waiters), 5);
    CHECK_NOTES("uu");
    rig_end();
}
