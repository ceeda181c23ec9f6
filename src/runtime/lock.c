/*
 * Locks. The invariants stand in lock.h.
 *
 * A task in the line carries in `wake_result` what its call is to return, and in `wait_data` the
 * lock that it is going to own.
 */
#include "runtime/lock.h"

static void lock_given(struct bide__in_line *place, int result)
{
    struct bide__coro *coro = bide__container(place, struct bide__coro, in_line);
    bide_lock *lock = coro->wait_data;
    (void)result;
    lock->owner = coro->task->number;
    bide__wake(coro, coro->wake_result);
}

static const struct bide__wait_kind lock_wait = {.name = "lock", .interrupt = bide__line_interrupt};
static const struct bide__wait_kind relock_wait = {.name = "lock, after a condition"};

void bide__lock_pass(bide_lock *lock)
{
    lock->owner = 0;
    bide__line_give(&lock->line, 0);
}

void bide__lock_rejoin(bide_lock *lock, struct bide__coro *coro, int result)
{
    coro->wait = &relock_wait;
    coro->wait_data = lock;
    coro->wake_result = result;
    coro->in_line.given = lock_given;
    if (lock->owner == 0)
        lock_given(&coro->in_line, 0);
    else
        bide__line_join(&lock->line, &coro->in_line);
}

/* 0: the lock was free and is the task's now. */
static int lock_take(bide_lock *lock, const struct bide__coro *coro)
{
    if (lock->owner != 0)
        return bide__lock_held_by(lock, coro) ? -EDEADLK : -EAGAIN;
    lock->owner = coro->task->number;
    return 0;
}

int bide_lock_acquire(bide_lock *lock)
{
    struct bide__coro *coro;
    if (!lock)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = lock_take(lock, coro);
    if (rc == -EAGAIN && bide__lend(coro, lock) < 0)
        rc = -EINVAL;
    if (rc != -EAGAIN)
        return rc;
    coro->wake_result = 0;
    coro->in_line.given = lock_given;
    bide__line_join(&lock->line, &coro->in_line);
    return bide__park(coro, &lock_wait, lock);
}

int bide_lock_try(bide_lock *lock)
{
    const struct bide__coro *coro = bide__coro_current();
    if (!lock)
        return -EINVAL;
    return coro ? lock_take(lock, coro) : -BIDE_ENOTASK;
}

int bide_lock_release(bide_lock *lock)
{
    const struct bide__coro *coro = bide__coro_current();
    if (!lock)
        return -EINVAL;
    if (!coro || !bide__lock_held_by(lock, coro))
        return -EPERM;
    bide__lock_pass(lock);
    return 0;
}

bool bide_lock_locked(const bide_lock *lock)
{
    return lock && lock->owner != 0;
}
