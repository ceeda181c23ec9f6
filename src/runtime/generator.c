/*
 * Generators: begun, continued, ended. The invariants stand in generator.h.
 *
 * A step is a switch from the consumer's stack to the body's, a yield one back; no queue is
 * involved, and the current task stays the same. When the body waits it is the task that parks:
 * what is saved in coro->fiber is then the body's stack, and continuing the task continues the
 * body.
 */
#include "runtime/generator.h"

#include "runtime/coro.h"
#include "runtime/inspect.h"
#include "runtime/report.h"
#include "runtime/thread_stacks.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* Stacks begin at different offsets, or they would compete for the same few lines of the cache. */
enum { COLOURS = 8, COLOUR_BYTES = 128 };

_Thread_local struct bide__generator *bide__generator_here
    __attribute__((tls_model("initial-exec")));

static void generator_main(void *data)
{
    struct bide__generator *generator = data;
    generator->result = generator->entry(&generator->yielder, generator->arguments);
    generator->step = BIDE__STEP_END;
    bide__fiber_leave(&generator->fiber, &generator->consumer);
}

static void generator_bind(struct bide__generator *generator, bide_loop *loop)
{
    generator->loop = bide__loop_ref(loop);
    bide__list_append(&loop->generators, &generator->node);
}

static int generator_begin(struct bide__generator *generator)
{
    bide_loop *loop = bide__loop_running;
    struct bide__stack_pool *stacks = loop ? loop->stacks : NULL;
    if (loop && loop->closing)
        return -ESHUTDOWN;
    int rc = loop ? bide__coro_arm(loop) : bide__thread_stacks(&stacks);
    if (rc == 0)
        rc = bide__stack_get(stacks, generator->stack_size, &generator->stack);
    if (rc < 0)
        return rc;
    uintptr_t colour = ((uintptr_t)generator->stack.top >> 16) % COLOURS * COLOUR_BYTES;
    generator->watched = bide__fiber_init(&generator->fiber, generator->stack.low,
                                          generator->stack.top - colour, generator_main, generator);
    generator->stacks = stacks;
    generator->thread = &bide__generator_here;
    generator->state = BIDE__GENERATOR_OPEN;
    if (loop)
        generator_bind(generator, loop);
    return 0;
}

/* The body has ended, or never will. */
static void generator_release(struct bide__generator *generator)
{
    bide__fiber_fini(&generator->fiber, generator->watched);
    if (generator->loop && generator->stacks == generator->loop->stacks)
        bide__stack_put(generator->stacks, generator->stack);
    else
        bide__thread_stack_put(generator->stacks, generator->stack);
    bide__list_remove(&generator->node);
    generator->state = BIDE__GENERATOR_ENDED;
}

/* Why the generator can't be continued here, or 0. */
static int closable(const bide_iterator *iterator)
{
    const struct bide__generator *generator = iterator->self;
    const bide_loop *loop = generator->loop;
    if (generator->state != BIDE__GENERATOR_OPEN)
        return 0;
    if (generator->thread != &bide__generator_here)
        return -EXDEV;
    if (loop && bide__loop_running && loop != bide__loop_running && !loop->closed)
        return -EXDEV;
    return generator->scopes && !bide__coro_current() ? -BIDE_ENOTASK : 0;
}

int bide__generator_prepare(struct bide__generator *generator)
{
    if (generator->state == BIDE__GENERATOR_CREATED)
        return generator_begin(generator);
    int rc = closable(&generator->iterator);
    bool unbound = generator->state == BIDE__GENERATOR_OPEN && !generator->loop;
    if (rc == 0 && unbound && bide__loop_running && !bide__loop_running->closing)
        generator_bind(generator, bide__loop_running);
    return rc;
}

void bide__generator_step_other(struct bide__generator *generator, struct bide__coro *coro,
                                struct bide__scope *base)
{
    while (generator->step == BIDE__STEP_PROBE) {
        bide__inspect_here(coro);
        bide__fiber_switch(&generator->consumer, &coro->loop->fiber);
    }
    if (generator->step == BIDE__STEP_YIELD)
        return;
    if (coro)
        bide__scope_pop_to(coro, base);
    generator_release(generator);
}

int bide__generator_told(struct bide__generator *generator)
{
    int rc = generator->result;
    generator->result = 0;
    return rc < 0 ? rc : 0;
}

static int generator_next(void *self, void *ret_item)
{
    return bide__generator_next(self, ret_item);
}

void bide__generator_finish(struct bide__generator *generator, int answer, int refusal)
{
    generator->iterator.busy = true;
    generator->yielder.slot = NULL;
    generator->answer = answer;
    generator->refusal = refusal;
    bide__generator_step(generator);
    generator->iterator.busy = false;
    generator->iterator.ended = true;
}

void bide__generator_shut(struct bide__generator *generator)
{
    bide__generator_finish(generator, -ECANCELED, -ECANCELED);
    if (generator->result == -ECANCELED) /* it did as it was told */
        generator->result = 0;
}

static int generator_close(void *self)
{
    struct bide__generator *generator = self;
    if (generator->state == BIDE__GENERATOR_OPEN)
        bide__generator_shut(generator);
    if (generator->loop)
        bide__loop_unref(generator->loop);
    return bide__generator_told(generator);
}

const struct bide_iterator_kind bide__generator_kind = {
    .name = "generator", .next = generator_next, .close = generator_close};

/* A yield that nobody waits for; a body that goes on all the same must not keep the loop from
 * others. */
__attribute__((noinline)) static int yield_refused(struct bide__generator *generator)
{
    struct bide__coro *coro = bide__coro_current();
    generator->refused = true;
    if (coro)
        bide__slow_down(coro, "generator goes on in spite of being closed");
    return generator->refusal;
}

int bide__yield(struct bide__yielder *self)
{
    struct bide__generator *generator = bide__container(self, struct bide__generator, yielder);
    if (*bide__generator_innermost(bide__coro_current()) != generator)
        return -EINVAL;
    if (__builtin_expect(generator->refusal < 0, 0))
        return yield_refused(generator);
    generator->step = BIDE__STEP_YIELD;
    bide__fiber_switch(&generator->fiber, &generator->consumer);
    return generator->answer;
}

int bide_yield_item(const void *item, size_t item_size)
{
    struct bide__generator *generator = *bide__generator_innermost(bide__coro_current());
    if (!generator || !item || item_size != generator->iterator.item_size)
        return -EINVAL;
    if (generator->yielder.slot)
        memcpy(generator->yielder.slot, item, item_size);
    return bide__yield(&generator->yielder);
}

bide_iterator *bide__iterate(const struct bide_generator_opts *opts, const struct bide_place *place,
                             size_t item_size,
                             int (*entry)(struct bide__yielder *self, void *arguments),
                             const void *arguments, size_t arguments_size)
{
    enum { ALIGNMENT = alignof(max_align_t) };
    size_t at = (sizeof(struct bide__generator) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct bide__generator *generator = malloc(at + arguments_size);
    if (!generator)
        return NULL;
    *generator = (struct bide__generator){
        .place = place,
        .entry = entry,
        .arguments = (char *)generator + at,
        .stack_size = opts ? opts->stack_size : 0,
    };
    bide__iterator_init(&generator->iterator, &bide__generator_kind, item_size);
    generator->iterator.closable = closable;
    bide__list_init(&generator->node);
    if (arguments_size > 0)
        memcpy(generator->arguments, arguments, arguments_size);
    return &generator->iterator;
}

void bide__generator_lose(struct bide__generator *generator)
{
    if (!generator->iterator.busy) {
        struct bide_report report = {.message = "generator was left open, its cleanup did not run",
                                     .place = generator->place};
        bide_loop_report(generator->loop, &report);
    }
    bide__scope_drop(generator->scopes);
    generator->scopes = NULL;
    generator_release(generator);
    generator->result = -ECANCELED;
    generator->iterator.busy = false;
    generator->iterator.ended = true;
}

void bide__generators_lose(struct bide__coro *coro)
{
    while (coro->generator) {
        struct bide__generator *generator = coro->generator;
        bide__fiber_describe(&coro->fiber, &generator->consumer);
        coro->generator = generator->outer;
        bide__generator_lose(generator);
    }
}
