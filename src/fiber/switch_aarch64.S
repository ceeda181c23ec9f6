/*
 * The switch for aarch64: x19 to x30, the low halves of v8 to v15, FPCR, the stack pointer.
 *
 * Invariant: the unwind information holds at every instruction. Until the stack pointer changes it
 * describes the context that is being left, whose saved registers stay where they are; afterwards
 * the one that is being continued.
 *
 * It ends in a plain branch, because a `ret` would be predicted to go where this thread's last call
 * came from. Where landing pads are enforced (BTI) a branch may not continue behind a call, so
 * there it has to be `ret`. FPCR is written only if it differs: writing it may wait for everything
 * in flight.
 *
 * A saved context, from the saved stack pointer upwards:
 *     0 x19 x20 … x29   88 where to continue (x30)   96 d8 … d15   160 FPCR   168 unused
 */
#include "fiber/switch.h"

#if BIDE__SWITCH_AARCH64

#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define CONTINUE ret x16
#else
#define CONTINUE br x16
#endif
#define LANDING_PAD hint #34 /* bti c; a no-op where it is unknown */

    .text
    .globl bide__switch
    .hidden bide__switch
    .type bide__switch, %function
    .p2align 5
bide__switch: /* (void **ret_sp, void *const *sp) */
    .cfi_startproc
    LANDING_PAD
    sub sp, sp, #176
    .cfi_adjust_cfa_offset 176
    stp x19, x20, [sp, #0]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x20, 8
    stp x21, x22, [sp, #16]
    .cfi_rel_offset x21, 16
    .cfi_rel_offset x22, 24
    stp x23, x24, [sp, #32]
    .cfi_rel_offset x23, 32
    .cfi_rel_offset x24, 40
    stp x25, x26, [sp, #48]
    .cfi_rel_offset x25, 48
    .cfi_rel_offset x26, 56
    stp x27, x28, [sp, #64]
    .cfi_rel_offset x27, 64
    .cfi_rel_offset x28, 72
    stp x29, x30, [sp, #80]
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp d8, d9, [sp, #96]
    .cfi_rel_offset d8, 96
    .cfi_rel_offset d9, 104
    stp d10, d11, [sp, #112]
    .cfi_rel_offset d10, 112
    .cfi_rel_offset d11, 120
    stp d12, d13, [sp, #128]
    .cfi_rel_offset d12, 128
    .cfi_rel_offset d13, 136
    stp d14, d15, [sp, #144]
    .cfi_rel_offset d14, 144
    .cfi_rel_offset d15, 152
    mrs x9, fpcr
    str x9, [sp, #160]
    mov x10, sp
    str x10, [x0]
    ldr x10, [x1]
    ldr x11, [x10, #160]
    cmp x9, x11
    b.ne .Lload_control
.Lcontrol_loaded:
    ldp x19, x20, [x10, #0]
    ldp x21, x22, [x10, #16]
    ldp x23, x24, [x10, #32]
    ldp x25, x26, [x10, #48]
    ldp x27, x28, [x10, #64]
    ldp x29, x16, [x10, #80]
    ldp d8, d9, [x10, #96]
    ldp d10, d11, [x10, #112]
    ldp d12, d13, [x10, #128]
    ldp d14, d15, [x10, #144]
    .cfi_remember_state
    add sp, x10, #176
    .cfi_def_cfa sp, 0
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore d8
    .cfi_restore d9
    .cfi_restore d10
    .cfi_restore d11
    .cfi_restore d12
    .cfi_restore d13
    .cfi_restore d14
    .cfi_restore d15
    .cfi_register x30, x16
    CONTINUE
    .cfi_restore_state
.Lload_control:
    msr fpcr, x11
    b .Lcontrol_loaded
    .cfi_endproc
    .size bide__switch, . - bide__switch

/*
 * The outermost frame of every prepared context: it has no return address, and says so. Unwinders
 * look up the instruction before the one to be returned to, hence the nop; the trap, because a
 * return from the entry must not run on.
 */
    .globl bide__switch_start
    .hidden bide__switch_start
    .type bide__switch_start, %function
    .p2align 4
bide__switch_start:
    .cfi_startproc
    .cfi_undefined x30
    nop
.Lstart:
    mov x0, x20
    blr x19
    brk #1
    .cfi_endproc
    .size bide__switch_start, . - bide__switch_start

    .globl bide__switch_prepare
    .hidden bide__switch_prepare
    .type bide__switch_prepare, %function
    .p2align 4
bide__switch_prepare: /* (void *top, void (*entry)(void *), void *argument) */
    .cfi_startproc
    LANDING_PAD
    and x0, x0, #-16
    sub x0, x0, #176
    mrs x9, fpcr
    adr x10, .Lstart
    stp x1, x2, [x0, #0]
    stp xzr, xzr, [x0, #16]
    stp xzr, xzr, [x0, #32]
    stp xzr, xzr, [x0, #48]
    stp xzr, xzr, [x0, #64]
    stp xzr, x10, [x0, #80] /* x29: chains of frame pointers end here, too */
    stp xzr, xzr, [x0, #96]
    stp xzr, xzr, [x0, #112]
    stp xzr, xzr, [x0, #128]
    stp xzr, xzr, [x0, #144]
    stp x9, xzr, [x0, #160]
    ret
    .cfi_endproc
    .size bide__switch_prepare, . - bide__switch_prepare

#if defined(__ARM_FEATURE_BTI_DEFAULT)
/* AArch64 features: landing pads */
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4
    .long 16
    .long 5
    .asciz "GNU"
    .long 0xc0000000
    .long 4
    .long 1
    .long 0
#endif

#endif

    .section .note.GNU-stack, "", %progbits
