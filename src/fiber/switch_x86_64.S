/*
 * The switch for x86-64: six callee-saved registers, the control words of SSE and x87, the stack
 * pointer.
 *
 * Invariant: the unwind information holds at every instruction. Until the stack pointer changes it
 * describes the context that is being left, whose saved registers stay where they are; afterwards
 * the one that is being continued.
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
 *     0 MXCSR   4 x87 control word   8 r15   16 r14   24 r13   32 r12   40 rbx   48 rbp
 *     56 where to continue
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
    leaq -56(%rsp), %rsp
    .cfi_adjust_cfa_offset 56
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rbp, 48(%rsp)
    .cfi_rel_offset %rbp, 48
    movq %rbx, 40(%rsp)
    .cfi_rel_offset %rbx, 40
    movq %r12, 32(%rsp)
    .cfi_rel_offset %r12, 32
    movq %r13, 24(%rsp)
    .cfi_rel_offset %r13, 24
    movq %r14, 16(%rsp)
    .cfi_rel_offset %r14, 16
    movq %r15, 8(%rsp)
    .cfi_rel_offset %r15, 8
    movl (%rsp), %eax
    movzwl 4(%rsp), %edx
    movq %rsp, (%rdi)
    movq (%rsi), %rdi
    movq 56(%rdi), %rcx
    xorl (%rdi), %eax
    testl $MXCSR_CONTROL, %eax
    jne .Lload_control
    cmpw 4(%rdi), %dx
    jne .Lload_control
.Lcontrol_loaded:
    movq 8(%rdi), %r15
    movq 16(%rdi), %r14
    movq 24(%rdi), %r13
    movq 32(%rdi), %r12
    movq 40(%rdi), %rbx
    movq 48(%rdi), %rbp
    .cfi_remember_state
    leaq 64(%rdi), %rsp
    .cfi_def_cfa %rsp, 0
    .cfi_restore %rbp
    .cfi_restore %rbx
    .cfi_restore %r12
    .cfi_restore %r13
    .cfi_restore %r14
    .cfi_restore %r15
    .cfi_register %rip, %rcx
    notrack jmp *%rcx
    .cfi_restore_state
.Lload_control:
    ldmxcsr (%rdi)
    fldcw 4(%rdi)
    jmp .Lcontrol_loaded
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
    endbr64
    movq %r13, %rdi
    callq *%r12
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
    leaq -64(%rdi), %rax
    xorl %ecx, %ecx
    movq %rcx, (%rax)
    stmxcsr (%rax)
    fnstcw 4(%rax)
    movq %rcx, 8(%rax)
    movq %rcx, 16(%rax)
    movq %rdx, 24(%rax)
    movq %rsi, 32(%rax)
    movq %rcx, 40(%rax)
    movq %rcx, 48(%rax) /* rbp: chains of frame pointers end here, too */
    leaq .Lstart(%rip), %rcx
    movq %rcx, 56(%rax)
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
