/*
 * Fibers: a stack of one's own and the switch between two of them. Nothing here knows of loops or
 * tasks.
 *
 * Invariants
 *  - A fiber runs on one thread only, the one that first switched to it.
 *  - bide__fiber_switch() returns in `from` when, and only when, somebody switches back to it.
 *  - A fiber's entry function never returns: it switches away for the last time with
 *    bide__fiber_leave(), and only afterwards, from another stack, may bide__fiber_fini() be
 *    called.
 *  - The memory above a fiber's first frame belongs to the owner of the stack (see stack.h): it
 *    lies at higher addresses than any frame, so that an overflow never reaches it.
 *  - The floating-point control words (rounding, traps, flush to zero) belong to the fiber, which
 *    starts with those of who made it; exception status flags belong to nobody and may be lost or
 *    gained in any switch.
 */
#ifndef BIDE_FIBER_FIBER_H
#define BIDE_FIBER_FIBER_H

#include "base/watched.h"
#include "fiber/switch_inline.h"

#include <stddef.h>

struct bide__fiber {
    void *sp; /* what bide__switch() saved, or bide__switch_prepare() laid out */
#if BIDE__SANITIZED
    const void *stack_low;
    size_t stack_size;
    void *sanitizer_stack; /* address sanitizer's fake stack while switched away */
    void *sanitizer_fiber; /* thread sanitizer's handle */
#endif
};

/* The stack that runs now, the calling thread's own or one that somebody else describes, as what is
 * switched from and back to. It needs no fini. */
void bide__fiber_init_thread(struct bide__fiber *fiber);

/*
 * Makes a fiber that will call entry(argument) on the stack [low, top) at the first switch to it.
 * `top` need not be aligned. Frames start just below `top`; backtraces end at the entry. Returns
 * what bide__fiber_fini() wants to know: valgrind's number for the stack.
 */
unsigned bide__fiber_init(struct bide__fiber *fiber, void *low, void *top, void (*entry)(void *),
                          void *argument);

/* Releases what the sanitizers and valgrind hold for a fiber that is not running and never will
 * again. */
void bide__fiber_fini(struct bide__fiber *fiber, unsigned watched);

/*
 * Where a fiber is left from need not be where it was entered through: a generator is entered
 * through its own structure and left through that of the task that it runs in, when that waits. The
 * latter is to describe, for the sanitizers, the stack that the task stands on now; nothing to do
 * without them.
 */
static inline void bide__fiber_describe(struct bide__fiber *fiber, const struct bide__fiber *as)
{
#if BIDE__SANITIZED
    fiber->stack_low = as->stack_low;
    fiber->stack_size = as->stack_size;
    fiber->sanitizer_fiber = as->sanitizer_fiber;
#else
    (void)fiber;
    (void)as;
#endif
}

/* bide__fiber_init_thread() where only the sanitizers need it. */
static inline void bide__fiber_describe_here(struct bide__fiber *fiber)
{
#if BIDE__SANITIZED
    bide__fiber_init_thread(fiber);
#else
    (void)fiber;
#endif
}

#if BIDE__SANITIZED

void bide__fiber_switch(struct bide__fiber *from, struct bide__fiber *to);
_Noreturn void bide__fiber_leave(struct bide__fiber *from, struct bide__fiber *to);

#else

/* Stops `from`, which is the running one, and continues `to`, which is another. */
static inline void bide__fiber_switch(struct bide__fiber *from, struct bide__fiber *to)
{
    bide__switch_inline(&from->sp, &to->sp);
}

/* The last switch out of a fiber: `from` is never continued. */
_Noreturn static inline void bide__fiber_leave(struct bide__fiber *from, struct bide__fiber *to)
{
    bide__switch_inline(&from->sp, &to->sp);
    __builtin_unreachable();
}

#endif

#endif
