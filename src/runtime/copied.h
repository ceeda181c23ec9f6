/*
 * Tasks whose stacks are copied. All of a loop's run on one stack, one at a time; what a parked one
 * has on it, its slice, is kept in a piece of memory of that very size, and put back to the same
 * addresses before it is continued.
 *
 * Invariants
 *  - Copying is done on the loop's own stack, and only when another one of these tasks wants the
 *    shared one: a task that is continued next after itself is never copied.
 *  - `on` is the task whose frames are on the shared stack. It may be parked.
 *  - Nothing that others reach while a task is parked lies on its stack: bide__is_lendable() is
 *    asked where a caller's memory would be lent.
 *  - A suspending call that is not a join has memory for the copy before it has any effect
 *    (bide__copied_has_room()). Where even so there is none, the task stays where it is, and the
 *    others wait until it has gone on.
 *  - In debug mode each has a stack of its own, which nobody can touch while it is parked.
 */
#ifndef BIDE_RUNTIME_COPIED_H
#define BIDE_RUNTIME_COPIED_H

#include "runtime/coro.h"
#include "runtime/slab.h"

struct bide__copied {
    struct bide__slab slab;
    struct bide__stack stack; /* the shared one; region NULL: not made */
    struct bide__coro *on;
    size_t on_bytes;     /* of the slice that it had when it was put there; 0: it had none */
    char *reserve;       /* for a slice when there is no memory */
    size_t reserve_size; /* 0: was used up */
};

/* Whether a task with these options, or with none, is to be of this kind. */
bool bide__copied_wanted(const bide_loop *loop, const struct bide_task_opts *opts);

/* The size of the private stack that it has instead where that can't be: as large as theirs. */
size_t bide__copied_instead(const bide_loop *loop, const struct bide_task_opts *opts);

/* As bide__coro_new(). */
struct bide__coro *bide__copied_new(bide_loop *loop, const struct bide_place *place,
                                    const struct bide_task_opts *opts, int (*entry)(void *),
                                    const void *arguments, size_t arguments_size);
void bide__copied_free(struct bide__coro *coro);

struct bide__stack bide__copied_stack(const struct bide__coro *coro);
void *bide__copied_arguments(const struct bide__coro *coro);

/* Puts the frames of a task on the shared stack, from the loop's own; false: they can't be now. */
bool bide__copied_enter(struct bide__coro *coro);
/* Whether the running task can be copied away from here, and a little deeper. */
bool bide__copied_has_room(struct bide__coro *coro);

/* Debug mode: the task is parked. */
void bide__copied_lock(struct bide__coro *coro);
/* On whose locked stack the address lies; NULL if on nobody's. `loop` may be NULL.
 * Async-signal-safe.
 */
const struct bide__coro *bide__copied_owner(const bide_loop *loop, const void *address);

/* Says on standard error if the address lies on a locked stack: the kernel met a fault there. */
void bide__coro_explain(const void *address);

/* The loop is closed: its stack goes. Handles may live on. */
void bide__copied_close(bide_loop *loop);
/* And when they are gone, too. */
void bide__copied_drop(bide_loop *loop);

#endif
