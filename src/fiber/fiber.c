/*
 * Making fibers, and telling the sanitizers and valgrind of them and of each switch.
 *
 * Invariant: with a sanitizer, every switch is announced on the stack that is left and completed on
 * the one that is continued, before any instrumented code runs there.
 */
#include "fiber/fiber.h"

#include <assert.h>
#include <stdint.h>

#if BIDE__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if BIDE__TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define UNINSTRUMENTED __attribute__((no_sanitize("address"), no_sanitize("thread")))

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

void bide__fiber_init(struct bide__fiber *fiber, void *low, void *top, void (*entry)(void *),
                      void *argument)
{
    assert((char *)top - (char *)low >= 1024);
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
    fiber->valgrind_id = VALGRIND_STACK_REGISTER(low, top);
#endif
    fiber->sp = prepare(top, entry, argument);
}

void bide__fiber_fini(struct bide__fiber *fiber)
{
#if BIDE__TSAN
    __tsan_destroy_fiber(fiber->sanitizer_fiber);
#endif
#if BIDE__VALGRIND
    VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#endif
    *fiber = (struct bide__fiber){0};
}
