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

static const struct bide__wait_kind sleep_wait = {
    .name = "sleep", .interrupt = sleep_interrupt, .timed = true};

static void turn_interrupt(struct bide__coro *coro)
{
    coro->wake_result = -ECANCELED;
}

static const struct bide__wait_kind turn_wait = {
    .name = "turn", .interrupt = turn_interrupt, .queued = true};

/* Gives up one turn; -ECANCELED if a cancel came meanwhile. */
static inline int sleep_turn(struct bide__coro *coro)
{
    coro->wake_result = 0;
    bide__loop_ready(coro->loop, &coro->ready);
    int rc = bide__park(coro, &turn_wait, NULL);
    coro->wait = NULL;
    return rc;
}

int bide_sleep(double seconds)
{
    struct bide__coro *coro;
    if (isnan(seconds))
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    if (seconds <= 0)
        return sleep_turn(coro);
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
