/*
 * Scenario: tasks wait on conditions, with a lock of the condition's own or a shared one, are
 * notified singly and all at once, and cancelled before, while and after. Claim: whoever comes back
 * from a wait holds the lock, however the wait ended; a notification reaches a task that goes on
 * because of it, never one that a cancel has ended; order is kept.
 */
#include <bide/condition.h>

#include "fault.h"
#include "task_rig.h"

static bide_condition condition; /* made before any loop runs, with a lock of its own */

static bide_lock *its_lock(void)
{
    return bide_condition_lock(&condition);
}

static void lock_it(void)
{
    CHECK_INT(bide_lock_acquire(its_lock()), 0);
}

/* -EPERM unless the caller holds the lock, so each release is a check, too. */
static void unlock_it(void)
{
    CHECK_INT(bide_lock_release(its_lock()), 0);
}

static bide_async(waits, (const char *, word), (int, n_turns))
{
    int rc = bide_lock_acquire(its_lock());
    if (rc < 0)
        return rc;
    rc = bide_condition_wait(&condition);
    note(rc == -ECANCELED ? "c" : word);
    for (int i = 0; i < n_turns; i++)
        CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
    unlock_it();
    return rc;
}

static void notify(size_t n, int expected)
{
    lock_it();
    CHECK_INT(bide_condition_notify(&condition, n), expected);
    unlock_it();
}

TASK_TEST(notified_in_order)
{
    bide_task *tasks[] = {bide_spawn(waits, "1", 0), bide_spawn(waits, "2", 0),
                          bide_spawn(waits, "3", 0), bide_spawn(waits, "4", 0)};
    turns(1);
    notify(0, 0);
    turns(2);
    CHECK_NOTES("");
    notify(1, 1);
    turns(2);
    CHECK_NOTES("1");
    notify(2, 2);
    turns(3);
    CHECK_NOTES("23");
    notify(5, 1);
    CHECK_INT(bide_gather(tasks, 4, NULL), 0);
    CHECK_NOTES("4");
    notify(1, 0);
}

TASK_TEST(notify_all_lets_one_after_the_other_go_on)
{
    bide_task *tasks[] = {bide_spawn(waits, "1", 3), bide_spawn(waits, "2", 0),
                          bide_spawn(waits, "3", 0)};
    turns(1);
    lock_it();
    CHECK_INT(bide_condition_notify_all(&condition), 3);
    CHECK_INT(bide_condition_notify_all(&condition), 0);
    turns(3);
    CHECK_NOTES(""); /* the lock is held */
    unlock_it();
    turns(1);
    CHECK_NOTES("1");
    turns(2);
    CHECK_NOTES(""); /* now by the first */
    CHECK_INT(bide_gather(tasks, 3, NULL), 0);
    CHECK_NOTES("23");
}

TASK_TEST(misuse)
{
    CHECK_INT(bide_condition_wait(NULL), -EINVAL);
    CHECK_INT(bide_condition_notify(NULL, 1), -EINVAL);
    CHECK_INT(bide_condition_notify_all(NULL), -EINVAL);
    CHECK_INT(bide_condition_wait_for(NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_condition_wait_for(&condition, NULL, NULL), -EINVAL);
    CHECK_PTR(bide_condition_lock(NULL), NULL);
    CHECK_INT(bide_condition_wait(&condition), -EPERM);
    CHECK_INT(bide_condition_notify(&condition, 1), -EPERM);
    CHECK_INT(bide_condition_notify_all(&condition), -EPERM);
}

static bool is_true(void *data)
{
    return *(bool *)data;
}

static bide_async(lacks_the_lock, (bool *, truth))
{
    CHECK_INT(bide_condition_wait(&condition), -EPERM);
    CHECK_INT(bide_condition_wait_for(&condition, is_true, truth), -EPERM);
    CHECK_INT(bide_condition_notify(&condition, 1), -EPERM);
    return 0;
}

static int in_callback(void *data)
{
    CHECK_INT(bide_condition_wait(&condition), -BIDE_ENOTASK);
    CHECK_INT(bide_condition_wait_for(&condition, is_true, data), -BIDE_ENOTASK);
    CHECK_INT(bide_condition_notify(&condition, 1), -EPERM);
    return 0;
}

TASK_TEST(lock_is_held_by_another_task)
{
    static bool truth = true;
    lock_it();
    CHECK_INT(bide_await(bide_spawn(lacks_the_lock, &truth)), 0);
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), in_callback, &truth, NULL, NULL), 0);
    turns(1);
    unlock_it();
}

TASK_TEST(two_conditions_on_one_lock)
{
    bide_lock lock = {0};
    bide_condition full = BIDE_CONDITION(&lock);
    bide_condition empty = BIDE_CONDITION(&lock);
    CHECK_PTR(bide_condition_lock(&full), &lock);
    CHECK_PTR(bide_condition_lock(&empty), &lock);
    CHECK_INT(bide_lock_acquire(&lock), 0);
    CHECK_INT(bide_condition_notify(&full, 1), 0);
    CHECK_INT(bide_condition_notify(&empty, 1), 0);
    CHECK_INT(bide_within(TICKS(1), bide_condition_wait(&full)), -ETIMEDOUT);
    CHECK_INT(bide_lock_release(&lock), 0);
}

struct box {
    bool truth;
    int n_asked;
};

static bool box_is_true(void *data)
{
    struct box *box = data;
    CHECK(bide_lock_locked(its_lock()));
    box->n_asked++;
    return box->truth;
}

static bide_async(waits_for, (struct box *, box))
{
    lock_it();
    int rc = bide_condition_wait_for(&condition, box_is_true, box);
    note(rc == -ECANCELED ? "c" : "t");
    unlock_it();
    return rc;
}

TASK_TEST(predicate)
{
    struct box box = {.truth = true};
    lock_it();
    CHECK_INT(bide_condition_wait_for(&condition, box_is_true, &box), 0);
    unlock_it();
    CHECK_INT(box.n_asked, 1);
    box = (struct box){0};
    bide_task *task = bide_spawn(waits_for, &box);
    turns(1);
    notify(1, 1);
    turns(2);
    CHECK_INT(box.n_asked, 2);
    CHECK_NOTES("");
    box.truth = true;
    turns(2);
    CHECK_INT(box.n_asked, 2);
    notify(1, 1);
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(box.n_asked, 3);
    CHECK_NOTES("t");
}

TASK_TEST(cancelled_while_it_waits_for_a_predicate)
{
    struct box box = {0};
    bide_task *task = bide_spawn(waits_for, &box);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(box.n_asked, 1);
    CHECK_NOTES("c");
}

/* Notified, then cancelled, and the predicate is not true: the next wait inside fails. */
TASK_TEST(notified_for_nothing_and_cancelled)
{
    struct box box = {0};
    bide_task *task = bide_spawn(waits_for, &box);
    turns(1);
    notify(1, 1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(box.n_asked, 2);
    CHECK_NOTES("c");
}

TASK_TEST(cancelled_wait_takes_the_free_lock_again)
{
    bide_task *tasks[] = {bide_spawn(waits, "1", 0), bide_spawn(waits, "2", 0),
                          bide_spawn(waits, "3", 0)};
    turns(1);
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK(bide_lock_locked(its_lock())); /* it has it before it runs */
    turns(1);
    CHECK_NOTES("c");
    notify(2, 2);
    int results[3];
    CHECK_INT(bide_gather_all(tasks, 3, results), 0);
    CHECK_INT(results[1], -ECANCELED);
    CHECK_NOTES("13");
}

TASK_TEST(cancelled_wait_waits_for_the_lock)
{
    bide_task *task = bide_spawn(waits, "w", 0);
    turns(1);
    lock_it();
    CHECK_INT(bide_cancel(task), 1);
    turns(3);
    CHECK_NOTES(""); /* it is cancelled, but has no lock */
    CHECK_INT(bide_cancel(task), 1);
    turns(3);
    CHECK_NOTES(""); /* a second cancel changes nothing */
    unlock_it();
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("c");
}

/* In both orders: the notification goes to a task that goes on because of it. */
TASK_TEST(cancelled_and_notified)
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        bide_task *tasks[] = {bide_spawn(waits, "1", 0), bide_spawn(waits, "2", 0)};
        turns(1);
        lock_it();
        if (cancel_first)
            CHECK_INT(bide_cancel(tasks[0]), 1);
        CHECK_INT(bide_condition_notify(&condition, 1), 1);
        if (!cancel_first)
            CHECK_INT(bide_cancel(tasks[0]), 1);
        unlock_it();
        turns(3);
        CHECK_NOTES(cancel_first ? "c2" : "1");
        notify(1, !cancel_first);
        int results[2];
        CHECK_INT(bide_gather_all(tasks, 2, results), 0);
        CHECK_INT(results[0], cancel_first ? -ECANCELED : 0);
        CHECK_INT(results[1], 0);
        CHECK_NOTES(cancel_first ? "" : "2");
    }
}

TASK_TEST(cancelled_task_keeps_the_lock)
{
    lock_it();
    CHECK_INT(bide_within(0, bide_condition_wait(&condition)), -ETIMEDOUT);
    unlock_it();
}

/* The wait for the lock is a join: it lasts beyond the limit, which is told all the same. */
TASK_TEST(limit_on_a_wait)
{
    bide_task *task = bide_spawn(waits, "w", 0);
    turns(1);
    lock_it();
    CHECK_INT(bide_within(TICKS(1), bide_condition_wait(&condition)), -ETIMEDOUT);
    CHECK_INT(bide_condition_notify_all(&condition), 1);
    unlock_it();
    CHECK_INT(bide_await(task), 0);
    CHECK_NOTES("w");
}

static bide_async(holds_it_long, (int, n_turns))
{
    lock_it();
    int rc = returns_after(n_turns, 0);
    unlock_it();
    note("h");
    return rc;
}

TASK_TEST(limit_that_passes_while_the_lock_is_held)
{
    lock_it();
    bide_task *task = bide_spawn(holds_it_long, 20);
    CHECK_INT(bide_within(0, bide_condition_wait(&condition)), -ETIMEDOUT);
    CHECK_NOTES("");
    CHECK_INT(bide_within(TICKS(1), bide_condition_wait(&condition)), -ETIMEDOUT);
    CHECK_NOTES("h");
    unlock_it();
    CHECK_INT(bide_await(task), 0);
}

TASK_TEST(waiting_allocates_nothing)
{
    bide_task *task = bide_spawn(waits, "w", 0);
    turns(1);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    notify(1, 1);
    turns(2);
    CHECK(!fault_disarm());
    CHECK_NOTES("w");
    CHECK_INT(bide_await(task), 0);
}

/* Closing the loop cancels all: each gets the lock in turn and unwinds. */
static bide_async(ends_with_waiters)
{
    bide_detach(bide_spawn(waits, "x", 0));
    bide_detach(bide_spawn(waits, "x", 2));
    bide_detach(bide_spawn(waits, "x", 0));
    turns(1);
    return 5;
}

BIDE_TEST(loop_that_closes_while_tasks_wait)
{
    CHECK_INT(bide_run_with(NULL, ends_with_waiters), 5);
    CHECK_NOTES("ccc");
    CHECK(!bide_lock_locked(its_lock()));
}

static bool holds(void *unused)
{
    (void)unused;
    return true;
}

static bide_async(is_cancelled_with_the_lock)
{
    lock_it();
    CHECK_INT(bide_cancel(bide_current_task()), 1);
    CHECK_INT(bide_condition_wait_for(&condition, holds, NULL), -ECANCELED);
    unlock_it();
    return 0;
}

/* As with every call that may suspend, whether or not this one would have to. */
TASK_TEST(cancel_before_a_wait_for_what_holds)
{
    CHECK_INT(bide_await(bide_spawn(is_cancelled_with_the_lock)), 0);
}
