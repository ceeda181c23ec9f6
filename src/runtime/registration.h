/*
 * A callback that is called as often as something happens, until it is removed: watchers and signal
 * handlers.
 *
 * Invariants
 *  - It is in the ready queue exactly while `queued`; a removed one is freed when nothing leads to
 * it any more.
 *  - Its data is dropped once: on removal, or, if it removes itself, when the callback has
 * returned.
 */
#ifndef BIDE_RUNTIME_REGISTRATION_H
#define BIDE_RUNTIME_REGISTRATION_H

#include "runtime/ready.h"

#include <bide/loop.h>

struct bide__values;

struct bide__registration {
    struct bide__ready ready;
    bide_loop *loop;
    bide_callback *callback;
    void *data;
    bide_drop *drop;
    struct bide__values *values; /* the context variables of who registered it */
    unsigned n_due;              /* calls that are owed */
    bool queued;
    bool calling;
    bool removed;
};

/* NULL without memory. */
struct bide__registration *bide__registration_new(bide_loop *loop, bide_callback *callback,
                                                  void *data, bide_drop *drop);
/* It happened: the callback runs in the next turn, `n_max` times at most however often it happened.
 */
void bide__registration_due(struct bide__registration *registration, unsigned n_max);
/* NULL is allowed. */
void bide__registration_remove(struct bide__registration *registration);

#endif
