/* Suspending for a time. The timer lies in the task's control block. */
#include "base/time.h"
#include "runtime/coro.h"

#include <math.h>

static void sleep_over(struct bide__timer *timer)
{
    bide__wake(bide__container(timer, struct bide__coro, timer), 0);
}

static void sleep_interrupt(struct bide__coro *coro)
{
    bide__timer_cancel(coro->loop->timers, &coro->timer);
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind sleep_wait = {.name = "sleep", .interrupt = sleep_interrupt};

int bide_sleep(double seconds)
{
    struct bide__coro *coro;
    if (isnan(seconds))
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    if (seconds <= 0)
        return bide__wait_turn(coro);
    coro->timer.expired = sleep_over;
    int64_t deadline_ns = bide__deadline_ns(bide__loop_now_ns(coro->loop), seconds);
    if (deadline_ns != BIDE__NEVER)
        bide__timer_set(coro->loop->timers, &coro->timer, deadline_ns);
    return bide__park(coro, &sleep_wait, NULL);
}

double bide_time(void)
{
    return bide__loop_running ? bide_loop_time(bide__loop_running) : 0;
}
