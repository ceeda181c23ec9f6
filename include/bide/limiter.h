/*
 * A rate limiter: so many permits per time, for tasks that wait for theirs in the order in which
 * they came.
 *
 *     static bide_limiter limiter;
 *
 *     struct bide_limiter_opts opts = {.permits = 10, .burst = 20};
 *     bide_limiter_init(&limiter, &opts);
 *
 *     int rc = bide_limiter_acquire(&limiter, 1);
 *     if (rc >= 0)
 *         rc = request(url, &page);
 *
 * The clock is counted in whole nanoseconds and what remains of a permit is kept, so that over any
 * long time in which tasks wait exactly permits / period_seconds pass per second.
 */
#ifndef BIDE_LIMITER_H
#define BIDE_LIMITER_H

#include <bide/line.h>

BIDE_BEGIN_DECLARATIONS

/* What happens to the time in which nobody wants a permit. */
enum bide_limiter_kind {
    BIDE_TOKEN_BUCKET, /* it is saved up, to a limit: after a rest several may pass at once */
    BIDE_LEAKY_BUCKET, /* it is lost: they always pass at even distances */
};

/* How a limiter is made; zeroed fields mean defaults. */
struct bide_limiter_opts {
    enum bide_limiter_kind kind;
    uint32_t permits;      /* that many per period; at least 1 */
    double period_seconds; /* 0: one second */
    uint32_t burst;       /* token bucket: as many are saved up, to begin with, too; 0: `permits` */
    uint32_t waiting_max; /* tasks that may wait at the same time; 0: no limit */
};

/*
 * A limiter, made by bide_limiter_init(). Needs no end. May be made before any loop runs. The
 * fields are private. Stays where it is while tasks wait for it.
 */
typedef struct bide_limiter {
    int64_t permits;
    int64_t period_ns;
    int64_t level;     /* what is saved up, a permit counting period_ns */
    int64_t level_max; /* after a rest */
    int64_t at_ns;     /* the moment to which `level` belongs */
    bool leaky;
    uint32_t n_waiting;
    uint32_t waiting_max;
    struct bide__line line;
} bide_limiter;

/*
 * Makes a limiter, where there is none or one that nobody waits for.
 *
 * opts: borrows until return. Returns 0; -EINVAL for NULL, for no permits or more than
 * INT32_MAX, for a period that is negative, not a number, shorter than a nanosecond or longer than
 * 2^31 seconds, or if burst times period is longer than that.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_limiter_init(bide_limiter *limiter, const struct bide_limiter_opts *opts);

/*
 * Takes n permits, and waits until they are there, behind those who wait already. A token bucket
 * has to have all n; a leaky bucket lets the caller pass when its turn has come, and the next one n
 * distances later.
 *
 * Returns 0; -EAGAIN if as many tasks wait as may; -EINVAL for NULL, for n = 0, if there are
 * never that many, or if it had to wait for one on its own copied stack (see bide/loop.h);
 * -ECANCELED, -ENOMEM, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the caller leaves the line, has taken nothing, and those behind it move
 * up; permits that it was handed before are used up. Thread: loop thread only.
 */
BIDE_EXPORT int bide_limiter_acquire(bide_limiter *limiter, uint32_t n);

/*
 * Takes n permits if they are there and nobody waits.
 *
 * Returns 0; -EAGAIN; -EINVAL as bide_limiter_acquire(), or where no loop runs.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_limiter_try(bide_limiter *limiter, uint32_t n);

/*
 * How many tasks wait; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT uint32_t bide_limiter_n_waiting(const bide_limiter *limiter);

BIDE_END_DECLARATIONS

#endif
