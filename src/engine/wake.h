/*
 * Waking a loop from any thread or signal handler, without a system call unless it sleeps.
 *
 * One atomic word says whether a wake is pending and whether the loop is about to sleep or sleeps.
 * All access to it is read-modify-write, so that there is one order of all of them, and no wake is
 * lost:
 *  - a wake before the loop's bide__wake_sleep() of this wait: that call sees it, and the loop does
 * not sleep;
 *  - a wake after it, as the first: sees SLEEPING and not PENDING, and writes to the eventfd, whose
 * edge ends the wait, also when the wait has not reached the kernel yet;
 *  - a wake after another one of the same wait: sees PENDING, and the first one's edge is on its
 * way. bide__wake_consume() after the wait takes all of them back, and what was posted before them
 * is visible to the loop from there on. A wake between the end of the kernel's wait and that call
 * is consumed with the others, but leaves an edge behind that ends the next wait early. That is
 * allowed: waits may end early, never late.
 *
 * The eventfd is never read. Every write to an eventfd is an edge for epoll(7) with EPOLLET, and
 * its counter takes 2^64 - 2 of them.
 */
#ifndef BIDE_ENGINE_WAKE_H
#define BIDE_ENGINE_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>

struct bide__wake {
    atomic_uint state;
    int fd;
};

enum { BIDE__WAKE_PENDING = 1, BIDE__WAKE_SLEEPING = 2 };

int bide__wake_open(struct bide__wake *wake);
void bide__wake_close(struct bide__wake *wake);

/* Any thread, and signal handlers; keeps errno. */
void bide__wake_post(struct bide__wake *wake);

/* Announces a wait that may sleep. False: a wake is pending, do not sleep. */
static inline bool bide__wake_sleep(struct bide__wake *wake)
{
    return !(atomic_fetch_or(&wake->state, BIDE__WAKE_SLEEPING) & BIDE__WAKE_PENDING);
}

/* After each wait, and before looking at what others posted, also when the wait did not sleep.
 * Returns whether it took a wake back, which nobody else will hear of. */
static inline bool bide__wake_consume(struct bide__wake *wake)
{
    if (atomic_load_explicit(&wake->state, memory_order_relaxed) == 0)
        return false;
    return atomic_exchange(&wake->state, 0) & BIDE__WAKE_PENDING;
}

#endif
