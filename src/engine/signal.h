/*
 * Signals as calls from poll(). The handler does nothing but count and wake the engine that owns
 * the signal.
 *
 * Invariants
 *  - One owner per signal in the whole process; the former action is back when it is given up.
 *  - No handler touches an engine that gave the signal up: remove() waits for handlers under way on
 * other threads.
 *  - Every run of the handler is one call of arrived(), unless the signal is given up first. (The
 * kernel merges instances of a standard signal that are pending at the same time: they are one
 * run.)
 */
#ifndef BIDE_ENGINE_SIGNAL_H
#define BIDE_ENGINE_SIGNAL_H

#include <stdatomic.h>

#include "engine/engine.h"

struct bide__signal;

/* The signals of one engine; a member of it. */
struct bide__signals {
    struct bide_engine *engine;
    struct bide__signal *first;
    atomic_bool raised; /* some counter of ours may have grown */
};

/* The engine's ops must be set before the first signal is added. */
void bide__signals_init(struct bide__signals *signals, struct bide_engine *engine);

/*
 * -EINVAL: no such signal, it cannot be caught, or it reports a fault of the program itself
 * (SIGSEGV and its like), which a handler that returns would repeat for ever. -EBUSY: it is owned
 * already. -ENOMEM.
 */
int bide__signals_add(struct bide__signals *signals, int signo, bide_signal_arrived *arrived,
                      void *data, struct bide_signal **ret_signal);
void bide__signals_remove(struct bide_signal *base);

/* Whether dispatch() may have something to do; exact once the wake that came with it was consumed.
 */
static inline bool bide__signals_raised(const struct bide__signals *signals)
{
    return atomic_load_explicit(&signals->raised, memory_order_relaxed);
}

/* Calls arrived() once for each arrival so far, at most `max` times; returns how many. Callbacks
 * may add and remove. */
int bide__signals_dispatch(struct bide__signals *signals, int max);

/* In a child after fork: gives all of them up. */
void bide__signals_forget(struct bide__signals *signals);

#endif
