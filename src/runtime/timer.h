/*
 * Timers of one loop: set, cancelled and expired without ever allocating, because the node lies in
 * its owner.
 *
 * Invariants
 *  - Timers expire in the order of their deadlines; equal ones in the order in which they were set.
 *  - A timer never expires before its deadline, however coarse the structure inside is.
 *  - A node that is not set is in no list; cancelling it is harmless.
 */
#ifndef BIDE_RUNTIME_TIMER_H
#define BIDE_RUNTIME_TIMER_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct bide__timer;
typedef void bide__timer_expired(struct bide__timer *timer);

struct bide__timer {
    struct bide__list node;
    int64_t deadline_ns;
    bide__timer_expired *expired;
};

struct bide__timers;

/* `now_ns` > 0. Returns NULL without memory. */
struct bide__timers *bide__timers_new(int64_t now_ns);
void bide__timers_free(struct bide__timers *timers);

static inline void bide__timer_init(struct bide__timer *timer, bide__timer_expired *expired)
{
    bide__list_init(&timer->node);
    timer->expired = expired;
}

static inline bool bide__timer_is_set(const struct bide__timer *timer)
{
    return bide__list_linked(&timer->node);
}

/*
 * A deadline before the last expiry's `now_ns` counts as that: it is due at the next expiry, behind
 * those that were due before it. The timer must not be set.
 */
void bide__timer_set(struct bide__timers *timers, struct bide__timer *timer, int64_t deadline_ns);
void bide__timer_cancel(struct bide__timers *timers, struct bide__timer *timer);

/*
 * When expire() should be called next: never later than the first deadline; as a rule exactly then,
 * but where many timers are near each other it may be earlier, though after the last expiry as long
 * as nothing is due. INT64_MAX if no timer is set.
 */
int64_t bide__timers_next_ns(struct bide__timers *timers);

/*
 * Calls expired() for each timer that is due at `now_ns`, in order; it may set and cancel any
 * timer. Timers that it sets in the past wait for the next call. `now_ns` never goes back. Returns
 * how many it called.
 */
unsigned bide__timers_expire(struct bide__timers *timers, int64_t now_ns);

#endif
