/*
 * Generators as the runtime's files share them.
 *
 * Invariants
 *  - While a body runs it stands on the chain of the task that is inside (coro->generator, outwards
 * by `outer`), or outside tasks on the thread's (bide__generator_here); its consumer, in
 * `consumer`, waits for it to yield or to end.
 *  - Between two steps the generator is on no chain, and what scopes its body has open are in
 * `scopes`.
 *  - It holds a stack from its first step to its body's end. One that stepped under a loop is in
 * the loop's list for as long, so that closing the loop finds it.
 */
#ifndef BIDE_RUNTIME_GENERATOR_H
#define BIDE_RUNTIME_GENERATOR_H

#include "base/list.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"
#include "runtime/coro.h"
#include "runtime/iterator.h"

#include <bide/generator.h>

enum bide__generator_state {
    BIDE__GENERATOR_CREATED,
    BIDE__GENERATOR_OPEN,  /* has a stack */
    BIDE__GENERATOR_ENDED, /* or its loop was closed before its cleanup ended */
};

/* Why the consumer runs. */
enum bide__step {
    BIDE__STEP_YIELD,
    BIDE__STEP_END,
    BIDE__STEP_PROBE, /* to be looked at on its parked stack, see inspect.c */
};

struct bide__generator {
    bide_iterator iterator;
    struct bide__yielder yielder;
    struct bide__fiber fiber;
    struct bide__fiber consumer;
    struct bide__generator *outer; /* whose body the consumer is inside of */
    const void *thread;            /* where it began */
    bide_loop *loop;               /* under which it stepped first; NULL: under none so far */
    struct bide__scope *scopes;
    enum bide__step step;
    enum bide__generator_state state;
    int answer;   /* what the pending yield returns */
    int refusal;  /* what further yields return at once; 0: they yield */
    bool refused; /* there was one */
    int result;   /* the body's, once it has ended, until somebody was told */
    const struct bide_place *place;
    int (*entry)(struct bide__yielder *self, void *arguments);
    void *arguments;
    struct bide__stack_pool *stacks;
    struct bide__stack stack;
    unsigned watched; /* what bide__fiber_init() returned */
    size_t stack_size;
    struct bide__list node;
};

extern const struct bide_iterator_kind bide__generator_kind;

/* The innermost body that this thread is inside of outside tasks. */
extern _Thread_local struct bide__generator *bide__generator_here
    __attribute__((tls_model("initial-exec")));

/* Continues an open generator in its yield, which returns `answer`, until the body's end. Further
 * yields that it comes to return `refusal`. What it came to is in `result`. */
void bide__generator_finish(struct bide__generator *generator, int answer, int refusal);
/* The same for a generator that is closed before its end. */
void bide__generator_shut(struct bide__generator *generator);

/* The loop is closed and the body will not be continued: releases the stack. */
void bide__generator_lose(struct bide__generator *generator);
/* The same for those that an abandoned task is inside of. */
void bide__generators_lose(struct bide__coro *coro);

/* What a step or a value seldom needs. Makes a generator ready for a step: 0 or an error. */
int bide__generator_prepare(struct bide__generator *generator);
/* The consumer was continued, for another reason than a value. */
void bide__generator_step_other(struct bide__generator *generator, struct bide__coro *coro,
                                struct bide__scope *base);
/* The body's error, to somebody who asks for it; then it is told. */
int bide__generator_told(struct bide__generator *generator);

/* Of whoever runs now, the task or outside tasks the thread. */
static inline struct bide__generator **bide__generator_innermost(struct bide__coro *coro)
{
    return coro ? &coro->generator : &bide__generator_here;
}

/* Until the body yields or ends. Inline for the reason given in fiber/switch_inline.h. */
__attribute__((always_inline)) static inline void bide__generator_step(
    struct bide__generator *generator)
{
    struct bide__coro *coro = bide__coro_current();
    struct bide__generator **innermost = bide__generator_innermost(coro);
    struct bide__scope *base = NULL;
    generator->outer = *innermost;
    *innermost = generator;
    bide__fiber_describe_here(&generator->consumer);
    if (coro) {
        base = coro->scope;
        bide__fiber_describe(&coro->fiber, &generator->fiber);
        if (__builtin_expect(generator->scopes != NULL, 0)) {
            bide__scope_graft(coro, generator->scopes);
            generator->scopes = NULL;
        }
    }
    bide__fiber_switch(&generator->consumer, &generator->fiber);
    if (__builtin_expect(generator->step != BIDE__STEP_YIELD, 0))
        bide__generator_step_other(generator, coro, base);
    *innermost = generator->outer;
    if (coro) {
        bide__fiber_describe(&coro->fiber, &generator->consumer);
        if (__builtin_expect(coro->scope != base, 0))
            generator->scopes = bide__scope_cut(coro, base);
    }
}

__attribute__((always_inline)) static inline int bide__generator_next(
    struct bide__generator *generator, void *ret_item)
{
    if (__builtin_expect(generator->loop != bide__loop_running || generator->scopes ||
                             generator->thread != &bide__generator_here,
                         0)) {
        int rc = bide__generator_prepare(generator);
        if (rc < 0)
            return rc;
    }
    if (generator->state == BIDE__GENERATOR_ENDED)
        return bide__generator_told(generator);
    generator->yielder.slot = ret_item;
    bide__generator_step(generator);
    return generator->step == BIDE__STEP_YIELD ? 1 : bide__generator_told(generator);
}

#endif
