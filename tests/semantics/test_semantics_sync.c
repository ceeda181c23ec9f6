/*
 * The numbered cases of docs/semantics.md about locks, semaphores, conditions, events and queues.
 * Claim: each holds on every engine and with every seed.
 */
#include <bide/condition.h>
#include <bide/event.h>
#include <bide/lock.h>
#include <bide/queue.h>
#include <bide/semaphore.h>

#include "../unit/task_rig.h"

static bide_async(locks, (bide_lock *, lock), (const char *, name))
{
    int rc = bide_lock_acquire(lock);
    if (rc < 0)
        return rc;
    note(name);
    rc = bide_sleep(0);
    CHECK_INT(bide_lock_release(lock), 0);
    return rc;
}

/* Whoever is given the lock has it, cancelled or not, and passes it on. */
TASK_TEST(case_31_lock_is_passed_on_and_not_overtaken)
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        bide_lock lock = {0};
        CHECK_INT(bide_lock_acquire(&lock), 0);
        bide_task *tasks[] = {bide_spawn(locks, &lock, "1"), bide_spawn(locks, &lock, "2")};
        turns(2);
        if (cancel_first)
            CHECK_INT(bide_cancel(tasks[0]), 1);
        CHECK_INT(bide_lock_release(&lock), 0);
        if (!cancel_first)
            CHECK_INT(bide_cancel(tasks[0]), 1);
        CHECK_INT(bide_lock_try(&lock), -EAGAIN); /* it is somebody's already */
        CHECK_INT(locks(&lock, "newcomer"), 0);
        CHECK_INT(bide_await(tasks[0]), -ECANCELED);
        CHECK_INT(bide_await(tasks[1]), 0);
        CHECK_NOTES(cancel_first ? "2newcomer" : "12newcomer");
        CHECK(!bide_lock_locked(&lock));
    }
}

static bide_async(permitted, (bide_semaphore *, semaphore), (const char *, name))
{
    int rc = bide_semaphore_acquire(semaphore);
    if (rc < 0)
        return rc;
    note(name);
    rc = bide_sleep(0);
    CHECK_INT(bide_semaphore_release(semaphore), 0);
    return rc;
}

TASK_TEST(case_32_semaphore_in_order_and_without_a_lost_permit)
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        bide_semaphore semaphore = BIDE_SEMAPHORE(1);
        CHECK_INT(bide_semaphore_acquire(&semaphore), 0);
        bide_task *tasks[] = {bide_spawn(permitted, &semaphore, "1"),
                              bide_spawn(permitted, &semaphore, "2"),
                              bide_spawn(permitted, &semaphore, "3")};
        turns(2);
        if (cancel_first)
            CHECK_INT(bide_cancel(tasks[0]), 1);
        CHECK_INT(bide_semaphore_release(&semaphore), 0);
        if (!cancel_first)
            CHECK_INT(bide_cancel(tasks[0]), 1);
        CHECK_INT(bide_await(tasks[0]), -ECANCELED);
        CHECK_INT(bide_await(tasks[1]), 0);
        CHECK_INT(bide_await(tasks[2]), 0);
        CHECK_NOTES(cancel_first ? "23" : "123");
        CHECK_INT(bide_semaphore_value(&semaphore), 1);
    }
}

static bide_async(waits, (bide_condition *, condition), (const char *, name))
{
    CHECK_INT(bide_lock_acquire(bide_condition_lock(condition)), 0);
    int rc = bide_condition_wait(condition);
    CHECK(bide_lock_locked(bide_condition_lock(condition)));
    note(name);
    CHECK_INT(bide_lock_release(bide_condition_lock(condition)),
              0); /* -EPERM if it were not ours */
    return rc;
}

TASK_TEST(case_33_cancelled_wait_for_a_condition)
{
    bide_condition condition = {0};
    bide_task *tasks[] = {bide_spawn(waits, &condition, "1"), bide_spawn(waits, &condition, "2")};
    turns(2);
    CHECK_INT(bide_lock_acquire(bide_condition_lock(&condition)), 0);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    turns(2);
    CHECK_INT(bide_task_state(tasks[0]), BIDE_TASK_WAITING); /* for the lock, which is ours */
    CHECK_INT(bide_condition_notify(&condition, 1), 1);
    CHECK_INT(bide_lock_release(bide_condition_lock(&condition)), 0);
    CHECK_INT(bide_await(tasks[0]), -ECANCELED);
    CHECK_INT(bide_await(tasks[1]), 0);
    CHECK_NOTES("12");
}

static bide_async(waits_for_event, (bide_event *, event))
{
    return bide_event_wait(event);
}

TASK_TEST(case_33_event_that_is_set_and_cleared_at_once)
{
    bide_event event = {0};
    bide_task *before = bide_spawn(waits_for_event, &event);
    turns(2);
    bide_event_set(&event);
    bide_event_clear(&event);
    bide_task *after = bide_spawn(waits_for_event, &event);
    CHECK_INT(bide_await(before), 0);
    CHECK_INT(bide_task_state(after), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancel_join(&after, 1), 0);
}

static bide_async(gets, (bide_queue *, queue))
{
    int item;
    int rc = bide_queue_get(queue, &item);
    return rc < 0 ? rc : item;
}

static bide_async(puts_item, (bide_queue *, queue), (int, item))
{
    return bide_queue_put(queue, &item);
}

static bide_async(joins, (bide_queue *, queue))
{
    return bide_queue_join(queue);
}

static bide_queue *queue_of(size_t capacity)
{
    bide_queue *queue;
    CHECK_INT(bide_queue_new(sizeof(int), &(struct bide_queue_opts){.capacity = capacity}, &queue),
              0);
    return queue;
}

TASK_TEST(case_34_cancelled_get_loses_nothing)
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        bide_queue *queue = queue_of(4);
        bide_task *task = bide_spawn(gets, queue);
        turns(2);
        if (cancel_first)
            CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_queue_put_nowait(queue, &(int){5}), 0);
        if (!cancel_first)
            CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), cancel_first ? -ECANCELED : 5);
        CHECK_INT(bide_queue_size(queue), cancel_first ? 1 : 0);
        bide_queue_free(queue);
    }
}

TASK_TEST(case_34_cancelled_put_gives_its_slot_to_the_next)
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        bide_queue *queue = queue_of(1);
        CHECK_INT(puts_item(queue, 1), 0);
        bide_task *tasks[] = {bide_spawn(puts_item, queue, 2), bide_spawn(puts_item, queue, 3)};
        turns(2);
        if (cancel_first)
            CHECK_INT(bide_cancel(tasks[0]), 1);
        CHECK_INT(gets(queue), 1);
        if (!cancel_first)
            CHECK_INT(bide_cancel(tasks[0]), 1);
        CHECK_INT(bide_await(tasks[0]), cancel_first ? -ECANCELED : 0);
        if (!cancel_first)
            CHECK_INT(gets(queue), 2);
        CHECK_INT(gets(queue), 3);
        CHECK_INT(bide_await(tasks[1]), 0);
        bide_queue_free(queue);
    }
}

TASK_TEST(case_34_shutdown_drains_and_join_needs_every_task_done)
{
    bide_queue *queue = queue_of(2);
    CHECK_INT(puts_item(queue, 1), 0);
    CHECK_INT(puts_item(queue, 2), 0);
    bide_task *putter = bide_spawn(puts_item, queue, 3);
    bide_task *joiner = bide_spawn(joins, queue);
    turns(2);
    CHECK_INT(bide_queue_shutdown(queue, BIDE_DRAIN), 0);
    CHECK_INT(bide_await(putter), -ESHUTDOWN);
    CHECK_INT(puts_item(queue, 4), -ESHUTDOWN);
    CHECK_INT(gets(queue), 1);
    CHECK_INT(gets(queue), 2);
    CHECK_INT(gets(queue), -ESHUTDOWN);
    CHECK_INT(bide_queue_task_done(queue), 0);
    turns(2);
    CHECK_INT(bide_task_state(joiner), BIDE_TASK_WAITING);
    CHECK_INT(bide_queue_task_done(queue), 0);
    CHECK_INT(bide_await(joiner), 0);
    CHECK_INT(bide_queue_task_done(queue), -EINVAL);
    bide_queue_free(queue);
}
