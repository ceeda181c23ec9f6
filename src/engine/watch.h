/*
 * Level-triggered watchers of users' descriptors, in an epoll set of their own inside the engine's
 * wait. They need not trust the user to keep a descriptor open, and they are the same on every
 * engine that has a kernel.
 *
 * Invariants
 *  - No event reaches a watch that was closed, nor one that was opened later with the same
 * descriptor number or memory.
 *  - What the engine itself registered is out of reach here: a number that the user closed may be
 * one of its sockets now.
 *  - An entry of the epoll set that no descriptor number reaches any more (the user closed the
 * number, the file lives on in a duplicate) costs one rebuilding of the set when it fires, not a
 * loop that spins.
 */
#ifndef BIDE_ENGINE_WATCH_H
#define BIDE_ENGINE_WATCH_H

#include "base/list.h"
#include "engine/engine.h"

struct bide__watch;

struct bide__watch_set {
    int fd; /* the epoll descriptor: readable while some watch is ready; -1 before the first watch
             */
    /*
     * The engine's: called with the set's descriptor when there is a first or another one, while
     * `fd` is the former one, which is closed right after. An error makes the call fail that caused
     * it; rebuilding is tried again later.
     */
    int (*attach)(struct bide_engine *engine, int fd);
    struct bide_engine *engine;
    struct bide__list watches; /* all that are open */
    struct bide__watch **at;   /* by descriptor number: the watch that owns its entry in the set */
    size_t n_at;
    uint32_t serial;  /* of the watch opened last */
    size_t n_suspect; /* entries that may still exist although no number of ours reaches them */
};

void bide__watch_set_init(struct bide__watch_set *set, struct bide_engine *engine,
                          int (*attach)(struct bide_engine *engine, int fd));
/* Closes the descriptor and frees memory; also in a child after fork, also with watches open (which
 * it frees). */
void bide__watch_set_fini(struct bide__watch_set *set);

static inline bool bide__watch_set_empty(const struct bide__watch_set *set)
{
    return bide__list_empty(&set->watches);
}

int bide__watch_set_add(struct bide__watch_set *set, int fd, unsigned events,
                        bide_watch_ready *ready, void *data, struct bide_watch **ret_watch);

/* As watch_set() and watch_close() of the engine. */
int bide__watch_change(struct bide_watch *base, unsigned events);
void bide__watch_remove(struct bide_watch *base);

/*
 * Calls ready() of watches that are ready, each at most once; returns how many, or a negative
 * errno. Whoever polls the set's descriptor must look again afterwards: those not reached, and
 * those not served by their callbacks, are still ready.
 */
int bide__watch_set_dispatch(struct bide__watch_set *set);

#endif
