/*
 * A condition: tasks that hold a lock wait until what the lock protects has changed.
 *
 *     static bide_condition changed;
 *
 *     int rc;
 *     bide_with_condition (rc, &changed) {
 *         rc = bide_condition_wait_for(&changed, has_room, &store);
 *         if (rc >= 0)
 *             put(&store, item);
 *     }
 */
#ifndef BIDE_CONDITION_H
#define BIDE_CONDITION_H

#include <bide/lock.h>

BIDE_BEGIN_DECLARATIONS

/*
 * A condition; zeroed, it has a free lock of its own, and needs no further preparation and no end.
 * May be made before any loop runs. The fields are private. Stays where it is while tasks wait for
 * it.
 */
typedef struct bide_condition {
    bide_lock *shared; /* NULL: its own */
    bide_lock own;
    struct bide__line line;
} bide_condition;

/* What a condition on a lock begins as: several conditions may share one. The lock is borrowed as
 * long as the condition is used. */
#define BIDE_CONDITION(lock) \
    { \
        (lock), {0, {{NULL, NULL}}}, \
        { \
            { \
                NULL, NULL \
            } \
        } \
    }

/* What a task waits for in bide_condition_wait_for(); called with the lock held, must not
 * suspend. */
typedef bool bide_predicate(void *data);

/*
 * The condition's lock, to be acquired and released.
 *
 * Returns borrowed: it lives as long as the condition, or as the lock that this was made with; NULL
 * for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_lock *bide_condition_lock(bide_condition *condition);

/*
 * Releases the lock, waits for a notification, and takes the lock again.
 *
 * Returns 0 once it was notified; -EPERM if the caller does not hold the lock; -EINVAL for NULL,
 * and for one on its own copied stack (see bide/loop.h); -ECANCELED, -BIDE_ENOTASK. The lock is
 * held in any case where it was before. Suspends: yes. Cancel: the wait for the notification ends,
 * the one for the lock does not: the call returns when it has it. A notification that came before
 * the cancel stands; one that comes after it goes to the next task. Thread: loop thread only.
 */
BIDE_EXPORT int bide_condition_wait(bide_condition *condition);

/*
 * Waits until a predicate is true; not at all if it is. It is asked again after each notification.
 *
 * predicate: called as predicate(data). data: borrows until return.
 * Returns 0 when the predicate was true, with the lock held ever since; errors as
 * bide_condition_wait().
 * Suspends: yes. Cancel: as bide_condition_wait(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_condition_wait_for(bide_condition *condition, bide_predicate *predicate,
                                        void *data);

/*
 * Notifies the n tasks that have waited longest, or all if there are fewer. They go on one after
 * the other as each gets the lock, at the earliest when the caller has released it.
 *
 * Returns how many were notified (at most INT_MAX); -EPERM if the caller does not hold the lock,
 * -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_condition_notify(bide_condition *condition, size_t n);

/*
 * Notifies all tasks that wait now. Returns as bide_condition_notify().
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_condition_notify_all(bide_condition *condition);

BIDE_END_DECLARATIONS

#endif
