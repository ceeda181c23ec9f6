/*
 * The switch for every other architecture: slow, because swapcontext() asks the kernel for the
 * signal mask each time.
 *
 * Invariant: a saved context is a ucontext_t on its own stack, and the saved stack pointer is its
 * address.
 */
#include "fiber/switch.h"

#if BIDE__SWITCH_UCONTEXT

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

struct start {
    ucontext_t context;
    void (*entry)(void *);
    void *argument;
};

/* What swapcontext() does not need. Address sanitizer forgets at each switch what it knows of the
 * stack that is named here. */
static const stack_t no_stack;

void bide__switch(void **ret_sp, void *const *sp)
{
    ucontext_t saved;
    saved.uc_stack = no_stack;
    *ret_sp = &saved;
    int rc = swapcontext(&saved, *sp);
    assert(rc == 0);
    (void)rc;
}

/* makecontext() passes ints only. */
static void run(unsigned high, unsigned low)
{
    const struct start *start = (const void *)((uintptr_t)((uint64_t)high << 32 | low));
    start->entry(start->argument);
    abort();
}

void *bide__switch_prepare(void *top, void (*entry)(void *), void *argument)
{
    uintptr_t place = ((uintptr_t)top - sizeof(struct start)) & ~(uintptr_t)63;
    struct start *start = (void *)place;
    int rc = getcontext(&start->context);
    assert(rc == 0);
    (void)rc;
    start->entry = entry;
    start->argument = argument;
    /* Only the end of the stack matters to makecontext(): frames grow down from just below this
     * structure. */
    start->context.uc_stack.ss_sp = (char *)place - 4096;
    start->context.uc_stack.ss_size = 4096;
    start->context.uc_link = NULL;
    uint64_t address = place;
    makecontext(&start->context, (void (*)(void))run, 2, (unsigned)(address >> 32),
                (unsigned)address);
    start->context.uc_stack = no_stack;
    return &start->context;
}

#else
typedef int bide__switch_is_in_assembly; /* a translation unit may not be empty */
#endif
