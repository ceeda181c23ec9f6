/*
 * Context variables as the rest of the runtime sees them: a set of values that a task, a callback
 * or a thread holds in its slot, and that is shared until one of them sets something.
 *
 * Invariants
 *  - A set that more than one slot holds is never changed: setting makes a copy.
 *  - Sets and values are counted atomically: they may cross threads, their slots may not.
 *  - NULL is the set without values. As long as no program has set anything, that is all there is,
 * and nobody counts anything.
 */
#ifndef BIDE_RUNTIME_CONTEXT_H
#define BIDE_RUNTIME_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct bide__values;

/* Something was set in this process. */
extern atomic_bool bide__context_used;

/* The current slot's set, with one more reference; NULL is the empty one. */
struct bide__values *bide__context_share(void);
/* NULL is allowed. */
struct bide__values *bide__values_ref(struct bide__values *values);
/* Takes one reference; NULL is allowed. */
void bide__values_unref(struct bide__values *values);

/* What something new starts with. */
static inline struct bide__values *bide__context_inherit(void)
{
    if (__builtin_expect(!atomic_load_explicit(&bide__context_used, memory_order_relaxed), 1))
        return NULL;
    return bide__context_share();
}

/* Before a callback, or a job on a thread of its own: gives it `values` as its own. Returns what
 * bide__context_leave() restores. */
struct bide__values *bide__context_enter(struct bide__values *values);
/* After it: what it set is gone. */
void bide__context_leave(struct bide__values *outside);

#endif
