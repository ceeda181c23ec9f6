/*
 * The arithmetic of limiters, on a clock that is handed in.
 *
 * Invariants
 *  - `level` is exact: each nanosecond adds `permits`, each permit costs `period_ns`. Nothing is
 * ever rounded, only cut off at the most that may be saved up.
 *  - A leaky bucket saves nothing: its level is at most 0 after a rest, and whoever passes makes it
 * owe.
 *  - While somebody waits, up to one permit more than that is kept: the time by which a task was
 * woken late is not lost, so the rate is exact; but never does a late wake-up let more than a burst
 * pass at once.
 */
#ifndef BIDE_RUNTIME_LIMITER_H
#define BIDE_RUNTIME_LIMITER_H

#include <bide/limiter.h>

/* Whether n permits can ever be had. */
bool bide__limiter_has(const bide_limiter *limiter, uint32_t n);
/* Moves the clock. `contended`: somebody waits. */
void bide__limiter_advance(bide_limiter *limiter, int64_t now_ns, bool contended);
/* Takes n permits as of now; false if they are not there. */
bool bide__limiter_take(bide_limiter *limiter, uint32_t n);
/* When they will be, if nobody takes any before: the first nanosecond. */
int64_t bide__limiter_ready_ns(const bide_limiter *limiter, uint32_t n);

#endif
