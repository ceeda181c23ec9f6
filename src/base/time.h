/* Seconds as users write them, nanoseconds as everything inside counts them. A moment that never
 * comes is INT64_MAX. */
#ifndef BIDE_BASE_TIME_H
#define BIDE_BASE_TIME_H

#include <stdint.h>

#define BIDE__NEVER INT64_MAX
#define BIDE__NS_PER_S INT64_C(1000000000)

/* Saturates at the ends of the range; NaN must have been refused before. */
static inline int64_t bide__seconds_to_ns(double seconds)
{
    double ns = seconds * 1e9;
    if (ns >= 9.2e18)
        return BIDE__NEVER;
    if (ns <= -9.2e18)
        return -BIDE__NEVER;
    return (int64_t)ns;
}

static inline double bide__ns_to_seconds(int64_t ns)
{
    return ns == BIDE__NEVER ? __builtin_inf() : (double)ns / 1e9;
}

/* The moment `seconds` after `now_ns`; rounded up, so that no wait is shorter than asked for. */
static inline int64_t bide__deadline_ns(int64_t now_ns, double seconds)
{
    int64_t span = bide__seconds_to_ns(seconds);
    int64_t sum;
    if (span == BIDE__NEVER || __builtin_add_overflow(now_ns, span, &sum))
        return span < 0 ? 1 : BIDE__NEVER;
    return sum;
}

#endif
