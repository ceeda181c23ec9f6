/*
 * A semaphore: a number of permits, of which each task that goes on takes one. Strictly first come,
 * first served: a permit that is given back goes to the task that has waited longest, and no
 * newcomer can come between.
 *
 *     static bide_semaphore connections = BIDE_SEMAPHORE(10);
 *
 *     int rc;
 *     bide_with_semaphore (rc, &connections) {
 *         rc = fetch(url, &page);
 *     }
 *
 * is the usual way to hold a permit, see bide/scoped.h.
 */
#ifndef BIDE_SEMAPHORE_H
#define BIDE_SEMAPHORE_H

#include <bide/line.h>

BIDE_BEGIN_DECLARATIONS

/*
 * A semaphore; zeroed, it has no permits until one is released into it. Needs no end. May be made
 * before any loop runs. The fields are private. Stays where it is while tasks wait for it.
 */
typedef struct bide_semaphore {
    size_t value; /* permits that nobody holds */
    size_t limit; /* of a bounded one: the value that it began with */
    bool bounded;
    struct bide__line line;
} bide_semaphore;

/* What a semaphore with n permits begins as. */
#define BIDE_SEMAPHORE(n) \
    { \
        (n), 0, false, \
        { \
            { \
                NULL, NULL \
            } \
        } \
    }

/* What a semaphore that never has more than n permits begins as: releasing one that was never taken
 * is an error. */
#define BIDE_BOUNDED_SEMAPHORE(n) \
    { \
        (n), (n), true, \
        { \
            { \
                NULL, NULL \
            } \
        } \
    }

/*
 * Makes a semaphore with n permits, where there is none or one that nobody waits for.
 *
 * Returns 0, -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_semaphore_init(bide_semaphore *semaphore, size_t n);

/*
 * Makes a bounded semaphore with n permits, of which there will never be more.
 *
 * Returns 0, -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_semaphore_init_bounded(bide_semaphore *semaphore, size_t n);

/*
 * Takes a permit, and waits for one if there is none, behind those who wait already.
 *
 * Returns 0; -EINVAL for NULL, and if it had to wait for one on its own copied stack (see
 * bide/loop.h); -ECANCELED, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the caller leaves the line; a permit that it was handed before is its own,
 * and the next suspending call fails. Thread: loop thread only.
 */
BIDE_EXPORT int bide_semaphore_acquire(bide_semaphore *semaphore);

/*
 * Takes a permit if there is one.
 *
 * Returns 0, -EAGAIN if there is none, -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_semaphore_try(bide_semaphore *semaphore);

/*
 * Gives a permit to the task that waits longest, or adds it to the free ones. Any task or callback
 * may do so.
 *
 * Returns 0; -EOVERFLOW, and nothing is changed, if a bounded semaphore would get more permits than
 * it began with, or the number would be too large for a size_t; -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_semaphore_release(bide_semaphore *semaphore);

/*
 * How many permits are free; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_semaphore_value(const bide_semaphore *semaphore);

BIDE_END_DECLARATIONS

#endif
