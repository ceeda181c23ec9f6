/*
 * The bare switch between two stacks, one implementation per architecture; fiber.h is what
 * everybody else uses. Also read by the assembler.
 *
 * Invariants
 *  - Exactly one of the BIDE__SWITCH_ macros is 1.
 *  - Everything that a call must preserve is preserved, the control words of the floating-point
 *    units included: they belong to the context. Their status flags do not.
 */
#ifndef BIDE_FIBER_SWITCH_H
#define BIDE_FIBER_SWITCH_H

#define BIDE__SWITCH_X86_64 0
#define BIDE__SWITCH_AARCH64 0
#define BIDE__SWITCH_UCONTEXT 0

#if defined(BIDE_FIBER_UCONTEXT)
#undef BIDE__SWITCH_UCONTEXT
#define BIDE__SWITCH_UCONTEXT 1
#elif defined(__x86_64__) && defined(__LP64__)
#undef BIDE__SWITCH_X86_64
#define BIDE__SWITCH_X86_64 1
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
#undef BIDE__SWITCH_AARCH64
#define BIDE__SWITCH_AARCH64 1
#else
#undef BIDE__SWITCH_UCONTEXT
#define BIDE__SWITCH_UCONTEXT 1
#endif

#ifndef __ASSEMBLER__
#include <stdint.h>

/*
 * Saves the running context below the stack pointer, stores where in *ret_sp, and continues the one
 * saved at *sp. Returns when somebody continues the saved one. A context can be continued once for
 * each time that it was saved.
 */
void bide__switch(void **ret_sp, void *const *sp);

/*
 * Lays a context onto the stack that ends at `top` (any alignment) and returns what *sp is to be
 * for it: continued, it calls entry(argument), with the caller's floating-point control words.
 * `entry` must not return.
 */
void *bide__switch_prepare(void *top, void (*entry)(void *), void *argument);

/*
 * The caller's floating-point control words, and bide__switch_prepare() with those that somebody
 * had earlier. Nothing of that on architectures other than x86-64 and aarch64.
 */
uintptr_t bide__switch_control(void);
void *bide__switch_prepare_with(void *top, void (*entry)(void *), void *argument,
                                uintptr_t control);
#endif

#endif
