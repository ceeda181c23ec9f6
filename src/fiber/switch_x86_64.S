/*
 * The switch for x86-64: six callee-saved registers, the control words of SSE and x87, the stack
 * pointer.
 *
 * Invariant: the unwind information holds at every instruction. Up to the jump it describes the
 * context that is being left, whose saved registers stay where they are; behind .Lcontinue the one
 * that is being continued.
 *
 * What the speed hangs on:
 *  - It ends in a jump. A `ret` would be predicted to go where this thread's last call came from,
 *    which is in the other context, and every such guess is wrong. For the same reason the property
 *    note below claims no shadow stack; the linker then leaves that claim out of the whole program.
 *  - The continued context is read through rdi, not by popping: a processor that guesses loads
 *    through rsp to be what was last stored there guesses wrong each time, and finds out only when
 *    the load is done, which may be a cache miss later.
 *  - MXCSR is loaded only if a control bit differs: loading it can cost 90 ns, and any inexact
 *    operation sets a status flag.
 *
 * A saved context, from the saved stack pointer upwards:
 *     0 where to continue, with rdi pointing here   8 MXCSR   12 x87 control word
 * Behind that is what who left it restores himself. Here:
 *     16 r15   24 r14   32 r13   40 r12   48 rbx   56 rbp   64 where to return
 */
#include "fiber/switch.h"

#if BIDE__SWITCH_X86_64

#define MXCSR_CONTROL 0xffc0

    .text
    .globl bide__switch
    .hidden bide__switch
    .type bide__switch, @function
    .p2align 5
bide__switch: /* (void **ret_sp, void *const *sp) */
    .cfi_startproc
    endbr64
    leaq -64(%rsp), %rsp
    .cfi_adjust_cfa_offset 64
    stmxcsr 8(%rsp)
    fnstcw 12(%rsp)
    leaq .Lcontinue(%rip), %rax
    movq %rax, (%rsp)
    movq %rbp, 56(%rsp)
    .cfi_rel_offset %rbp, 56
    movq %rbx, 48(%rsp)
    .cfi_rel_offset %rbx, 48
    movq %r12, 40(%rsp)
    .cfi_rel_offset %r12, 40
    movq %r13, 32(%rsp)
    .cfi_rel_offset %r13, 32
    movq %r14, 24(%rsp)
    .cfi_rel_offset %r14, 24
    movq %r15, 16(%rsp)
    .cfi_rel_offset %r15, 16
    movl 8(%rsp), %eax
    movzwl 12(%rsp), %edx
    movq %rsp, (%rdi)
    movq (%rsi), %rdi
    xorl 8(%rdi), %eax
    testl $MXCSR_CONTROL, %eax
    jne .Lload_control
    cmpw 12(%rdi), %dx
    jne .Lload_control
.Lcontrol_loaded:
    notrack jmp *(%rdi)
.Lload_control:
    ldmxcsr 8(%rdi)
    fldcw 12(%rdi)
    jmp .Lcontrol_loaded
.Lcontinue:
    .cfi_def_cfa %rdi, 72
    movq 16(%rdi), %r15
    movq 24(%rdi), %r14
    movq 32(%rdi), %r13
    movq 40(%rdi), %r12
    movq 48(%rdi), %rbx
    movq 56(%rdi), %rbp
    movq 64(%rdi), %rcx
    leaq 72(%rdi), %rsp
    .cfi_def_cfa %rsp, 0
    .cfi_restore %rbp
    .cfi_restore %rbx
    .cfi_restore %r12
    .cfi_restore %r13
    .cfi_restore %r14
    .cfi_restore %r15
    .cfi_register %rip, %rcx
    notrack jmp *%rcx
    .cfi_endproc
    .size bide__switch, . - bide__switch

/*
 * The outermost frame of every prepared context: it has no return address, and says so. Unwinders
 * look up the instruction before the one to be returned to, hence the nop; the trap, because a
 * return from the entry must not run on.
 */
    .globl bide__switch_start
    .hidden bide__switch_start
    .type bide__switch_start, @function
    .p2align 4
bide__switch_start:
    .cfi_startproc
    .cfi_def_cfa %rsp, 0
    .cfi_undefined %rip
    nop
.Lstart:
    leaq 32(%rdi), %rsp
    movq 16(%rdi), %rax
    movq 24(%rdi), %rdi
    xorl %ebp, %ebp /* chains of frame pointers end here, too */
    leaq .Lend(%rip), %rcx
    pushq %rcx /* no call: it would be predicted to be returned from */
    .cfi_def_cfa %rsp, 8
    notrack jmp *%rax
.Lend:
    .cfi_def_cfa %rsp, 0
    ud2
    .cfi_endproc
    .size bide__switch_start, . - bide__switch_start

    .globl bide__switch_prepare
    .hidden bide__switch_prepare
    .type bide__switch_prepare, @function
    .p2align 4
bide__switch_prepare: /* (void *top, void (*entry)(void *), void *argument) */
    .cfi_startproc
    endbr64
    andq $-16, %rdi
    leaq -32(%rdi), %rax
    leaq .Lstart(%rip), %rcx
    movq %rcx, (%rax)
    stmxcsr 8(%rax)
    fnstcw 12(%rax)
    movq %rsi, 16(%rax)
    movq %rdx, 24(%rax)
    retq
    .cfi_endproc
    .size bide__switch_prepare, . - bide__switch_prepare

/* x86 features: indirect branch tracking, but no shadow stack */
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4
    .long 16
    .long 5
    .asciz "GNU"
    .long 0xc0000002
    .long 4
    .long 1
    .long 0

#endif

    .section .note.GNU-stack, "", @progbits
