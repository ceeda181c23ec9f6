/*
 * Making fibers, and telling the sanitizers and valgrind of them and of each switch.
 *
 * Invariant: with a sanitizer, every switch is announced on the stack that is left and completed on
 * the one that is continued, before any instrumented code runs there.
 */
#include "fiber/fiber.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#if BIDE__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if BIDE__TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define UNINSTRUMENTED __attribute__((no_sanitize("address"), no_sanitize("thread")))

uintptr_t bide__switch_control(void)
{
    uintptr_t control = 0;
#if defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
#elif defined(__x86_64__)
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    control = (uintptr_t)x87 << 32 | mxcsr;
#endif
    return control;
}

#if BIDE__SWITCH_UCONTEXT

static void set_control(uintptr_t control)
{
#if defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
#elif defined(__x86_64__)
    uint32_t mxcsr = (uint32_t)control;
    uint16_t x87 = (uint16_t)(control >> 32);
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
#else
    (void)control;
#endif
}

void *bide__switch_prepare_with(void *top, void (*entry)(void *), void *argument, uintptr_t control)
{
    uintptr_t here = bide__switch_control();
    set_control(control);
    void *sp = bide__switch_prepare(top, entry, argument);
    set_control(here);
    return sp;
}

#else

/* Where a saved context has them, see switch_*.S. */
enum { CONTROL_AT = BIDE__SWITCH_AARCH64 ? 160 : 8 };

void *bide__switch_prepare_with(void *top, void (*entry)(void *), void *argument, uintptr_t control)
{
    char *sp = bide__switch_prepare(top, entry, argument);
    memcpy(sp + CONTROL_AT, &control, sizeof control);
    return sp;
}

#endif

#if BIDE__SANITIZED

/* What the first function on a fiber finds above its frame. */
struct start {
    void (*entry)(void *);
    void *argument;
};

/* Who switched last on this thread: whoever arrives learns where that stack lies, and a thread's
 * own has no other source. */
static _Thread_local struct bide__fiber *left;
/* And to whom: the structure that the stack was left through may be gone. */
static _Thread_local struct bide__fiber *entered;

/* Inline, because clang still tells thread sanitizer of each call and return, and it would see this
 * one's two ends in different fibers. */
UNINSTRUMENTED __attribute__((always_inline)) static inline void depart(struct bide__fiber *from,
                                                                        struct bide__fiber *to,
                                                                        void **fake)
{
    left = from;
    entered = to;
#if BIDE__ASAN
    __sanitizer_start_switch_fiber(fake, to->stack_low, to->stack_size);
#else
    (void)fake;
#endif
#if BIDE__TSAN
    __tsan_switch_to_fiber(to->sanitizer_fiber, 0);
#endif
}

UNINSTRUMENTED __attribute__((always_inline)) static inline void arrive(void)
{
#if BIDE__ASAN
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(entered->sanitizer_stack, &low, &size);
    if (!left->stack_low) {
        left->stack_low = low;
        left->stack_size = size;
    }
#endif
}

UNINSTRUMENTED void bide__fiber_switch(struct bide__fiber *from, struct bide__fiber *to)
{
    depart(from, to, &from->sanitizer_stack);
    bide__switch(&from->sp, &to->sp);
    arrive();
}

UNINSTRUMENTED void bide__fiber_leave(struct bide__fiber *from, struct bide__fiber *to)
{
    depart(from, to, NULL);
    bide__switch(&from->sp, &to->sp);
    __builtin_unreachable();
}

UNINSTRUMENTED static void start_watched(void *argument)
{
    const struct start *start = argument;
    arrive();
    start->entry(start->argument);
}

static void *prepare(void *top, void (*entry)(void *), void *argument)
{
    uintptr_t place = ((uintptr_t)top - sizeof(struct start)) & ~(uintptr_t)15;
    struct start *start = (void *)place;
    *start = (struct start){entry, argument};
    return bide__switch_prepare(start, start_watched, start);
}

#else

static void *prepare(void *top, void (*entry)(void *), void *argument)
{
    return bide__switch_prepare(top, entry, argument);
}

#endif

void bide__fiber_init_thread(struct bide__fiber *fiber)
{
    *fiber = (struct bide__fiber){0};
#if BIDE__TSAN
    fiber->sanitizer_fiber = __tsan_get_current_fiber();
#endif
}

unsigned bide__fiber_init(struct bide__fiber *fiber, void *low, void *top, void (*entry)(void *),
                          void *argument)
{
    assert((char *)top - (char *)low >= 1024);
    unsigned watched = 0;
#if BIDE__SANITIZED
    *fiber = (struct bide__fiber){
        .stack_low = low,
        .stack_size = (size_t)((char *)top - (char *)low),
    };
#else
    (void)low;
#endif
#if BIDE__TSAN
    fiber->sanitizer_fiber = __tsan_create_fiber(0);
#endif
#if BIDE__VALGRIND
    watched = VALGRIND_STACK_REGISTER(low, top);
#endif
    fiber->sp = prepare(top, entry, argument);
    return watched;
}

void bide__fiber_fini(struct bide__fiber *fiber, unsigned watched)
{
#if BIDE__TSAN
    __tsan_destroy_fiber(fiber->sanitizer_fiber);
#endif
#if BIDE__VALGRIND
    VALGRIND_STACK_DEREGISTER(watched);
#else
    (void)watched;
#endif
    *fiber = (struct bide__fiber){0};
}
