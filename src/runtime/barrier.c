/*
 * Barriers.
 *
 * Invariants
 *  - `n_waiting` is the length of the line and below the number of parties; unless the line is
 * empty because a loop was closed before its tasks had unwound.
 *  - Nobody waits at a broken barrier.
 *  - Indices are given when the barrier opens, so that a task that left the line leaves no gap.
 */
#include "runtime/line.h"

#include <bide/barrier.h>

#include <limits.h>

static void barrier_interrupt(struct bide__coro *coro)
{
    bide_barrier *barrier = coro->wait_data;
    barrier->n_waiting--;
    bide__line_interrupt(coro);
}

static const struct bide__wait_kind barrier_wait = {.name = "barrier",
                                                    .interrupt = barrier_interrupt};

int bide_barrier_init(bide_barrier *barrier, unsigned parties)
{
    if (!barrier || parties == 0 || parties > INT_MAX)
        return -EINVAL;
    *barrier = (bide_barrier)BIDE_BARRIER(parties);
    return 0;
}

/* The caller is the last. Returns its index. */
static int barrier_open(bide_barrier *barrier)
{
    int index = 0;
    barrier->n_waiting = 0;
    while (bide__line_give(&barrier->line, index))
        index++;
    return index;
}

int bide_barrier_wait(bide_barrier *barrier)
{
    struct bide__coro *coro;
    if (!barrier || barrier->parties == 0 || barrier->parties > INT_MAX)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = bide__lend(coro, barrier);
    if (rc < 0)
        return rc;
    if (barrier->broken)
        return -BIDE_EBROKEN;
    barrier->n_waiting = bide_barrier_n_waiting(barrier);
    if (barrier->n_waiting + 1 == barrier->parties)
        return barrier_open(barrier);
    barrier->n_waiting++;
    return bide__line_wait(&barrier->line, coro, &barrier_wait, barrier);
}

static void barrier_fail(bide_barrier *barrier, bool broken)
{
    barrier->broken = broken;
    barrier->n_waiting = 0;
    bide__line_give_all(&barrier->line, -BIDE_EBROKEN);
}

void bide_barrier_reset(bide_barrier *barrier)
{
    if (barrier)
        barrier_fail(barrier, false);
}

void bide_barrier_abort(bide_barrier *barrier)
{
    if (barrier)
        barrier_fail(barrier, true);
}

bool bide_barrier_broken(const bide_barrier *barrier)
{
    return barrier && barrier->broken;
}

unsigned bide_barrier_n_waiting(const bide_barrier *barrier)
{
    return barrier && !bide__line_empty(&barrier->line) ? barrier->n_waiting : 0;
}

unsigned bide_barrier_parties(const bide_barrier *barrier)
{
    return barrier ? barrier->parties : 0;
}
