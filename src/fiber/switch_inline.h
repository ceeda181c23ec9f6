/*
 * bide__switch() for x86-64 in the place of its call.
 *
 * A processor predicts where a `ret` goes from the calls before it, and behind a switch those were
 * made on another stack: each return from then on out to the code that the two stacks have in
 * common is predicted wrong, some 5 ns apiece. So the calls between a coroutine and its switch, and
 * between the loop and its own, are inlined, and the switch itself is no call either. The compiler
 * keeps what it needs of the registers, which is less than a call would have to preserve: the saved
 * context begins as the one of switch_x86_64.S and ends behind rbp, at 16. It is laid right below
 * the frame: everything is compiled without a red zone (see meson.build).
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
    __asm__ volatile("leaq -24(%%rsp), %%rsp\n\t"
                     "leaq 4f(%%rip), %%rax\n\t"
                     "stmxcsr 8(%%rsp)\n\t"
                     "fnstcw 12(%%rsp)\n\t"
                     "movq %%rax, (%%rsp)\n\t"
                     "movq %%rbp, 16(%%rsp)\n\t"
                     "movl 8(%%rsp), %%eax\n\t"
                     "movzwl 12(%%rsp), %%edx\n\t"
                     "movq %%rsp, (%%rdi)\n\t"
                     "movq (%%rsi), %%rdi\n\t"
                     "xorl 8(%%rdi), %%eax\n\t"
                     "testl $0xffc0, %%eax\n\t" /* MXCSR's control bits */
                     "jne 2f\n\t"
                     "cmpw 12(%%rdi), %%dx\n\t"
                     "je 3f\n"
                     "2:\n\t"
                     "ldmxcsr 8(%%rdi)\n\t"
                     "fldcw 12(%%rdi)\n"
                     "3:\n\t"
                     "notrack jmp *(%%rdi)\n"
                     "4:\n\t"
                     "movq 16(%%rdi), %%rbp\n\t"
                     "leaq 24(%%rdi), %%rsp\n"
                     : "+D"(ret_sp), "+S"(sp)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
                       "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory",
                       "cc" BIDE__SWITCH_CLOBBERS_MORE);
}

#else

static inline void bide__switch_inline(void **ret_sp, void *const *sp)
{
    bide__switch(ret_sp, sp);
}

#endif

#endif
