/*
 * Limiters. The invariants of the arithmetic stand in limiter.h; those of the line are:
 *  - The first in the line, and nobody else, has its timer set, to the moment at which its permits
 * are there.
 *  - A task in the line has taken nothing. How many permits it wants is in its `wake_result`, until
 * it is woken.
 */
#include "runtime/limiter.h"

#include "base/time.h"
#include "runtime/line.h"

#include <math.h>

/* Levels stay this far from the ends of their type, so that a level and a cost can be added. */
#define LEVEL_MAX (INT64_C(2147483648) * BIDE__NS_PER_S)

int bide_limiter_init(bide_limiter *limiter, const struct bide_limiter_opts *opts)
{
    if (!limiter || !opts || (unsigned)opts->kind > BIDE_LEAKY_BUCKET)
        return -EINVAL;
    if (opts->permits == 0 || opts->permits > INT32_MAX)
        return -EINVAL;
    double seconds = opts->period_seconds == 0 ? 1 : opts->period_seconds;
    if (isnan(seconds) || seconds < 1e-9 || seconds > 2147483648.0)
        return -EINVAL;
    bool leaky = opts->kind == BIDE_LEAKY_BUCKET;
    int64_t period_ns = (int64_t)(seconds * 1e9 + 0.5);
    int64_t burst = leaky ? 0 : opts->burst ? opts->burst : opts->permits;
    if (burst > LEVEL_MAX / period_ns)
        return -EINVAL;
    *limiter = (bide_limiter){
        .permits = opts->permits,
        .period_ns = period_ns,
        .level = burst * period_ns,
        .level_max = burst * period_ns,
        .leaky = leaky,
        .waiting_max = opts->waiting_max ? opts->waiting_max : UINT32_MAX,
    };
    return 0;
}

bool bide__limiter_has(const bide_limiter *limiter, uint32_t n)
{
    int64_t most = limiter->leaky ? LEVEL_MAX : limiter->level_max;
    return n > 0 && limiter->period_ns > 0 && n <= most / limiter->period_ns;
}

void bide__limiter_advance(bide_limiter *limiter, int64_t now_ns, bool contended)
{
    int64_t most = limiter->level_max + (contended ? limiter->period_ns - 1 : 0);
    int64_t elapsed_ns = now_ns - limiter->at_ns;
    if (elapsed_ns <= 0)
        return;
    limiter->at_ns = now_ns;
    if (limiter->level > most || elapsed_ns > (most - limiter->level) / limiter->permits)
        limiter->level = most;
    else
        limiter->level += elapsed_ns * limiter->permits;
}

/* What the level has to be before n permits are taken. */
static int64_t needed(const bide_limiter *limiter, uint32_t n)
{
    return limiter->leaky ? 0 : n * limiter->period_ns;
}

bool bide__limiter_take(bide_limiter *limiter, uint32_t n)
{
    if (limiter->level < needed(limiter, n))
        return false;
    limiter->level -= n * limiter->period_ns;
    return true;
}

int64_t bide__limiter_ready_ns(const bide_limiter *limiter, uint32_t n)
{
    int64_t missing = needed(limiter, n) - limiter->level;
    int64_t wait_ns = (missing + limiter->permits - 1) / limiter->permits;
    return missing <= 0 ? limiter->at_ns : limiter->at_ns + wait_ns;
}

static struct bide__coro *first_in_line(const bide_limiter *limiter)
{
    if (bide__line_empty(&limiter->line))
        return NULL;
    return bide__container(limiter->line.ring.next, struct bide__coro, in_line.node);
}

static void turn_comes(struct bide__timer *timer);

static void wait_for_first(bide_limiter *limiter, struct bide__coro *first)
{
    first->more->timer.expired = turn_comes;
    bide__timer_set(first->loop->timers, &first->more->timer,
                    bide__limiter_ready_ns(limiter, (uint32_t)first->wake_result));
}

/* Lets everybody pass whose permits are there, and waits for those of the next one. */
static void serve(bide_limiter *limiter, bide_loop *loop)
{
    struct bide__coro *first = first_in_line(limiter);
    bide__limiter_advance(limiter, bide__loop_now_ns(loop), first != NULL);
    while (first && bide__limiter_take(limiter, (uint32_t)first->wake_result)) {
        bide__timer_cancel(loop->timers, &first->more->timer);
        limiter->n_waiting--;
        bide__line_give(&limiter->line, 0);
        first = first_in_line(limiter);
    }
    if (first && !bide__timer_is_set(&first->more->timer))
        wait_for_first(limiter, first);
}

static void turn_comes(struct bide__timer *timer)
{
    struct bide__coro *coro = bide__container(timer, struct bide__coro_more, timer)->coro;
    serve(coro->wait_data, coro->loop);
}

static void limiter_given(struct bide__in_line *place, int result)
{
    bide__wake(bide__container(place, struct bide__coro, in_line), result);
}

static void limiter_interrupt(struct bide__coro *coro)
{
    bide_limiter *limiter = coro->wait_data;
    bide__timer_cancel(coro->loop->timers, &coro->more->timer);
    limiter->n_waiting--;
    bide__line_interrupt(coro);
    serve(limiter, coro->loop);
}

static const struct bide__wait_kind limiter_wait = {.name = "limiter",
                                                    .interrupt = limiter_interrupt};

/* 0: the permits are the caller's now. */
static int limiter_take(bide_limiter *limiter, bide_loop *loop, uint32_t n)
{
    if (!bide__line_empty(&limiter->line))
        return -EAGAIN;
    limiter->n_waiting = 0; /* a closed loop may have left with tasks that waited */
    bide__limiter_advance(limiter, bide__loop_now_ns(loop), false);
    return bide__limiter_take(limiter, n) ? 0 : -EAGAIN;
}

int bide_limiter_acquire(bide_limiter *limiter, uint32_t n)
{
    struct bide__coro *coro;
    if (!limiter || n > INT32_MAX || !bide__limiter_has(limiter, n))
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = limiter_take(limiter, coro->loop, n);
    if (rc != -EAGAIN || limiter->n_waiting >= limiter->waiting_max)
        return rc;
    if (!bide__coro_more(coro))
        return -ENOMEM;
    rc = bide__lend(coro, limiter);
    if (rc < 0)
        return rc;
    limiter->n_waiting++;
    coro->wake_result = (int)n;
    coro->in_line.given = limiter_given;
    bide__line_join(&limiter->line, &coro->in_line);
    if (limiter->n_waiting == 1)
        wait_for_first(limiter, coro);
    return bide__park(coro, &limiter_wait, limiter);
}

int bide_limiter_try(bide_limiter *limiter, uint32_t n)
{
    if (!limiter || !bide__limiter_has(limiter, n) || !bide__loop_running)
        return -EINVAL;
    return limiter_take(limiter, bide__loop_running, n);
}

uint32_t bide_limiter_n_waiting(const bide_limiter *limiter)
{
    return limiter && !bide__line_empty(&limiter->line) ? limiter->n_waiting : 0;
}
