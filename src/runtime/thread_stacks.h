/* Stacks for generators that run outside any loop: a pool for the thread. */
#ifndef BIDE_RUNTIME_THREAD_STACKS_H
#define BIDE_RUNTIME_THREAD_STACKS_H

#include "fiber/stack.h"

/*
 * The calling thread's pool, made at the first call and freed when the thread ends, unless stacks
 * are held then. It also prepares the thread for reporting overflows. 0, -ENOMEM, or the error of
 * what prepares.
 */
int bide__thread_stacks(struct bide__stack_pool **ret_pool);

/* Puts a stack back; the pool keeps few of the unused ones. */
void bide__thread_stack_put(struct bide__stack_pool *pool, struct bide__stack stack);

#endif
