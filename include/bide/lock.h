/*
 * A lock between the tasks of one loop: whoever suspends while it holds the lock keeps the others
 * out. Fair: it is handed to the task that has waited longest, and no newcomer can come between.
 *
 *     static bide_lock lock;
 *
 *     int rc;
 *     bide_with_lock (rc, &lock) {
 *         rc = append(journal, line);
 *     }
 *
 * is the usual way to hold it, see bide/scoped.h.
 */
#ifndef BIDE_LOCK_H
#define BIDE_LOCK_H

#include <bide/line.h>

BIDE_BEGIN_DECLARATIONS

/*
 * A lock; zeroed, it is free, and needs no further preparation and no end. May be made before any
 * loop runs. The fields are private. Stays where it is while tasks wait for it.
 */
typedef struct bide_lock {
    uint64_t owner; /* the holding task's number; 0: free */
    struct bide__line line;
} bide_lock;

/*
 * Takes the lock, and waits for it if another task holds it, behind those who wait already.
 *
 * lock: borrows until it is released.
 * Returns 0; -EDEADLK if the caller holds it already; -EINVAL for NULL, and if it had to wait for
 * one on its own copied stack (see bide/loop.h); -ECANCELED, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the caller leaves the line; a lock that it was handed before is its own,
 * and the next suspending call fails. Thread: loop thread only.
 */
BIDE_EXPORT int bide_lock_acquire(bide_lock *lock);

/*
 * Takes the lock if it is free.
 *
 * Returns 0; -EAGAIN if another task holds it, -EDEADLK if the caller does; -EINVAL for NULL,
 * -BIDE_ENOTASK.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_lock_try(bide_lock *lock);

/*
 * Gives the lock to the task that waits longest, or makes it free. Only the task that holds it can
 * do so; a lock whose holder has ended without releasing it stays held.
 *
 * Returns 0, -EPERM if the caller does not hold it, -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_lock_release(bide_lock *lock);

/*
 * Whether any task holds the lock.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_lock_locked(const bide_lock *lock);

BIDE_END_DECLARATIONS

#endif
