/*
 * A barrier: tasks that wait for each other until a fixed number of them have come, and then go on
 * together, any number of times.
 *
 *     static bide_barrier round_done = BIDE_BARRIER(4);
 *
 *     int index = bide_barrier_wait(&round_done);
 *     if (index == 0)
 *         print_results();
 */
#ifndef BIDE_BARRIER_H
#define BIDE_BARRIER_H

#include <bide/line.h>

BIDE_BEGIN_DECLARATIONS

/*
 * A barrier, made by BIDE_BARRIER() or bide_barrier_init(). Needs no end. May be made before any
 * loop runs. The fields are private. Stays where it is while tasks wait for it.
 */
typedef struct bide_barrier {
    unsigned parties;
    unsigned n_waiting;
    bool broken;
    struct bide__line line;
} bide_barrier;

/* What a barrier for so many tasks begins as, at least 1 and at most INT_MAX. */
#define BIDE_BARRIER(parties) \
    { \
        (parties), 0, false, \
        { \
            { \
                NULL, NULL \
            } \
        } \
    }

/*
 * Makes a barrier, where there is none or one that nobody waits for.
 *
 * parties: how many tasks go on together. Returns 0; -EINVAL for NULL, for no parties or more than
 * INT_MAX.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_barrier_init(bide_barrier *barrier, unsigned parties);

/*
 * Waits until as many tasks wait as the barrier has parties. Then all of them go on, and the
 * barrier is ready for the next ones.
 *
 * Returns the caller's index among those who went on together, 0 to parties - 1, in the order in
 * which they came: only one is 0, and the last, who did not have to wait, is parties - 1.
 * -BIDE_EBROKEN if the barrier is broken, or was broken or reset meanwhile; -EINVAL for NULL, a
 * barrier without parties, or one on the caller's own copied stack (see bide/loop.h); -ECANCELED,
 * -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the caller no longer counts as waiting; the barrier is not broken and
 * waits for another one. Thread: loop thread only.
 */
BIDE_EXPORT int bide_barrier_wait(bide_barrier *barrier);

/*
 * Makes the barrier as new; those who wait get -BIDE_EBROKEN. NULL is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_barrier_reset(bide_barrier *barrier);

/*
 * Breaks the barrier: those who wait, and all who come until it is reset, get -BIDE_EBROKEN. NULL
 * is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_barrier_abort(bide_barrier *barrier);

/*
 * Whether the barrier is broken.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_barrier_broken(const bide_barrier *barrier);

/*
 * How many tasks wait; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT unsigned bide_barrier_n_waiting(const bide_barrier *barrier);

/*
 * How many tasks go on together; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT unsigned bide_barrier_parties(const bide_barrier *barrier);

BIDE_END_DECLARATIONS

#endif
