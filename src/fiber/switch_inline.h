/*
 * bide__switch() for x86-64 in the place of its call.
 *
 * A processor predicts where a `ret` goes from the calls before it, and behind a switch those were
 * made on another stack: each return from then on out to the code that the two stacks have in
 * common is predicted wrong, some 5 ns apiece. So the calls between a coroutine and its switch, and
 * between the loop and its own, are inlined, and the switch itself is no call either. The saved
 * context is the one of switch_x86_64.S, so that either may continue what the other left.
 *
 * Whoever unwinds from below a switch, as every backtrace of a task does, is not misled. Only a
 * profiler or a debugger that interrupts the thread between these instructions may find a wrong
 * caller, for no directive can tell what the compiler measures the frame by.
 */
#ifndef BIDE_FIBER_SWITCH_INLINE_H
#define BIDE_FIBER_SWITCH_INLINE_H

#include "fiber/switch.h"

#if BIDE__SWITCH_X86_64

/* Nothing in them outlives a call; where the compiler may use them it has to know. */
#ifdef __AVX512F__
#define BIDE__SWITCH_CLOBBERS_MORE \
    , "k0", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", \
        "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", \
        "k5", "k6", "k7"
#else
#define BIDE__SWITCH_CLOBBERS_MORE
#endif

__attribute__((always_inline)) static inline void bide__switch_inline(void **ret_sp,
                                                                      void *const *sp)
{
    __asm__ volatile("leaq -192(%%rsp), %%rsp\n\t" /* over the red zone */
                     "leaq 4f(%%rip), %%rax\n\t"
                     "stmxcsr (%%rsp)\n\t"
                     "fnstcw 4(%%rsp)\n\t"
                     "movq %%rax, 56(%%rsp)\n\t"
                     "movq %%rbp, 48(%%rsp)\n\t"
                     "movq %%rbx, 40(%%rsp)\n\t"
                     "movq %%r12, 32(%%rsp)\n\t"
                     "movq %%r13, 24(%%rsp)\n\t"
                     "movq %%r14, 16(%%rsp)\n\t"
                     "movq %%r15, 8(%%rsp)\n\t"
                     "movl (%%rsp), %%eax\n\t"
                     "movzwl 4(%%rsp), %%edx\n\t"
                     "movq %%rsp, (%%rdi)\n\t"
                     "movq (%%rsi), %%rdi\n\t"
                     "movq 56(%%rdi), %%rcx\n\t"
                     "xorl (%%rdi), %%eax\n\t"
                     "testl $0xffc0, %%eax\n\t" /* MXCSR's control bits */
                     "jne 2f\n\t"
                     "cmpw 4(%%rdi), %%dx\n\t"
                     "je 3f\n"
                     "2:\n\t"
                     "ldmxcsr (%%rdi)\n\t"
                     "fldcw 4(%%rdi)\n"
                     "3:\n\t"
                     "movq 8(%%rdi), %%r15\n\t"
                     "movq 16(%%rdi), %%r14\n\t"
                     "movq 24(%%rdi), %%r13\n\t"
                     "movq 32(%%rdi), %%r12\n\t"
                     "movq 40(%%rdi), %%rbx\n\t"
                     "movq 48(%%rdi), %%rbp\n\t"
                     "leaq 64(%%rdi), %%rsp\n\t"
                     "notrack jmp *%%rcx\n"
                     "4:\n\t"
                     "leaq 128(%%rsp), %%rsp\n"
                     : "+D"(ret_sp), "+S"(sp)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2",
                       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)",
                       "st(5)", "st(6)", "st(7)", "memory", "cc" BIDE__SWITCH_CLOBBERS_MORE);
}

#else

static inline void bide__switch_inline(void **ret_sp, void *const *sp)
{
    bide__switch(ret_sp, sp);
}

#endif

#endif
