/*
 * Stacks for fibers: reserved in large regions, guarded, cached, given back to the kernel when
 * unused.
 *
 * Invariants
 *  - A pool belongs to one thread; no locks.
 *  - Below every stack lies a guard of a quarter of its size, one page at least and 64 KiB at most,
 *    so that a frame which is larger than a page does not step over it; touching it faults
 *    (MADV_GUARD_INSTALL where the kernel has it, so that a million stacks are one mapping;
 *    mprotect otherwise, or if BIDE_STACK_GUARD=mprotect is in the environment).
 *  - [low, top) is readable and writable while the stack is held. Its contents are undefined when
 *    it is handed out: a reused stack is neither cleared nor, as a rule, returned to the kernel
 *    first.
 *  - Getting a stack fails only with -ENOMEM (or -EINVAL for a size out of range) and then has no
 *    effect.
 *  - Until a stack is first used nothing in it is touched. While it is unused its last 32 bytes are
 *    the pool's.
 */
#ifndef BIDE_FIBER_STACK_H
#define BIDE_FIBER_STACK_H

#include <stdbool.h>
#include <stddef.h>

enum {
    BIDE__STACK_SIZE_DEFAULT = 64 * 1024, /* guard included */
    BIDE__STACK_SIZE_MIN = 16 * 1024,
    BIDE__STACK_SIZE_MAX = 1 << 30,
};

struct bide__stack_region;

struct bide__stack {
    struct bide__stack_region *region;
    char *low; /* first usable byte, page-aligned: the guard lies just below */
    char *top; /* one past the last usable byte, page-aligned */
};

struct bide__stack_pool;

/* A pool that hands out stacks of `size_default` bytes (0: the default), guard included, rounded up
 * to pages. */
int bide__stack_pool_new(size_t size_default, struct bide__stack_pool **ret_pool);
/* All stacks must have been put back. NULL is allowed. */
void bide__stack_pool_free(struct bide__stack_pool *pool);

/* `size`: 0 for the pool's default; other sizes come from a mapping of their own, rounded up to
 * whole pages. */
int bide__stack_get(struct bide__stack_pool *pool, size_t size, struct bide__stack *ret_stack);
/* The stack that was put back last is handed out first. */
void bide__stack_put(struct bide__stack_pool *pool, struct bide__stack stack);

/*
 * Gives memory of unused stacks back to the kernel: keeps at most `keep` of them warm, those put
 * back last, and unmaps regions that are wholly unused beyond that (but for the first, small one).
 * Called by a loop that is about to be idle; cheap if there is nothing to do, otherwise some 400 ns
 * a stack: who must not stall lowers `keep` in steps. After a peak it also gives up warm stacks
 * that keep a nearly empty region mapped.
 */
void bide__stack_pool_trim(struct bide__stack_pool *pool, size_t keep);

/* Handed out and not put back. */
size_t bide__stack_pool_held(const struct bide__stack_pool *pool);
/* Unused stacks whose pages may be resident. */
size_t bide__stack_pool_cached(const struct bide__stack_pool *pool);

/* Whether the address lies in the guard of this stack, which an overflow touches first. May be
 * called from a signal handler. */
bool bide__stack_guards(struct bide__stack stack, const void *address);
/* Bytes of the stack that have ever been touched, by asking the kernel which pages are resident;
 * for reports only. */
size_t bide__stack_used_bytes(struct bide__stack stack);

#endif
