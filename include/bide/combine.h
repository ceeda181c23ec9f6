/* Waiting for several tasks at once. */
#ifndef BIDE_COMBINE_H
#define BIDE_COMBINE_H

#include <bide/iterator.h>
#include <bide/task.h>

BIDE_BEGIN_DECLARATIONS

/*
 * Waits for all tasks and takes their results in order. The first error is handed on at once, and
 * the other tasks run on.
 *
 * tasks: n handles; takes those whose results it read, and makes their slots NULL; borrows the
 * others. Started if need be. results: n ints, or NULL; set for the tasks that were read. Returns
 * 0; the first error; -ECANCELED if a task was cancelled, or the caller (see Cancel); -ENOMEM, also
 * for a NULL slot; -EDEADLK, -EXDEV, -BIDE_ENOTASK. Suspends: yes, a join. Cancel: cancels all the
 * tasks and waits for their end; -ECANCELED unless every one returned a value. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_gather(bide_task **tasks, size_t n, int *results);

/*
 * Like bide_gather(), but errors are results like others: it waits for all tasks and takes them
 * all.
 *
 * results: n ints. Returns 0, or -ECANCELED if the caller was cancelled and not every task returned
 * a value; -ENOMEM (also for a NULL slot), -EDEADLK, -EXDEV, -BIDE_ENOTASK with nothing taken.
 * Suspends: yes, a join. Cancel: cancels all the tasks and waits for their end. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_gather_all(bide_task **tasks, size_t n, int *results);

/* When bide_wait() returns. */
enum bide_wait_mode {
    BIDE_ALL_COMPLETED,   /* all are done */
    BIDE_FIRST_COMPLETED, /* at least one is done */
    BIDE_FIRST_EXCEPTION, /* a task failed (cancelled ones do not count), or all are done */
};

/*
 * Waits for tasks without touching them: they are neither cancelled nor is their error handed on.
 *
 * tasks: n handles, borrows; the done ones are moved to the front, both parts keeping their order,
 * also if it fails with -ECANCELED. Returns how many are done, -EINVAL for n = 0, NULL slots or an
 * unknown mode, -ECANCELED, -ENOMEM, -EDEADLK, -EXDEV, -BIDE_ENOTASK. Suspends: yes. Cancel: the
 * wait ends, the tasks go on. Thread: loop thread only.
 */
BIDE_EXPORT int bide_wait(bide_task **tasks, size_t n, enum bide_wait_mode mode);

/*
 * Moves the done tasks to the front, as bide_wait() does, without waiting: for after a time limit.
 *
 * Returns how many are done.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_partition_done(bide_task **tasks, size_t n);

/*
 * Waits for the next task to be done, in the order in which they end. To be awaited by the caller,
 * who then makes the slot NULL. Each call looks at all n: for many tasks, bide_as_completed().
 *
 * tasks: n handles, borrows; NULL slots are skipped. Started if need be.
 * Returns the slot's index; -ENOENT if all slots are NULL; -ECANCELED, -ENOMEM, -EDEADLK, -EXDEV,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: the wait ends, the tasks go on. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_next_done(bide_task **tasks, size_t n);

/*
 * The tasks as they end, each by the index of its slot (a size_t):
 *
 *     int rc;
 *     bide_for (size_t, i, rc, bide_as_completed(tasks, n)) {
 *         use(bide_await(tasks[i]));
 *         tasks[i] = NULL;
 *     }
 *
 * With a time limit around the loop those that are late run on: bide_cancel_join(tasks, n) ends
 * them.
 *
 * tasks: n handles, borrowed until return, and each task until it is done; NULL slots are skipped;
 * started if need be. Returns owned, to be closed with bide_iterator_close(); NULL without memory.
 * bide_next() returns, besides what any iterator's does, -EDEADLK if all that are left wait for the
 * caller, -EXDEV for another loop's task. Suspends: no. Cancel: not affected; the wait of
 * bide_next() ends, the tasks go on. Thread: loop thread only.
 */
BIDE_EXPORT bide_iterator *bide_as_completed(bide_task **tasks, size_t n);

BIDE_END_DECLARATIONS

#endif
