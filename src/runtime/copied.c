/* Tasks with copied stacks. The invariants stand in copied.h. */
#include "runtime/copied.h"

#include "base/explain.h"

#include "runtime/generator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    STACK_BYTES = 320 * 1024, /* guard included, which is 64 KiB of it */
    RESERVE_BYTES_MIN = 8 * 1024,
    DEEPER_BYTES = 3 * 1024, /* what lies between the check and the switch */
};

/* The control block, and behind it the arguments. */
struct block {
    struct bide__coro coro;
    union {
        uintptr_t slice;           /* while parked, see slice_new(); 0: none */
        struct bide__stack *stack; /* in debug mode: its own */
    };
};

enum { ARGUMENTS_AT = (sizeof(struct block) + 15) / 16 * 16 };

static struct block *block_of(const struct bide__coro *coro)
{
    return bide__container(coro, struct block, coro);
}

static bool is_watched(void)
{
    return BIDE__SANITIZED || bide__on_valgrind();
}

static bool is_asked_for(const bide_loop *loop, const struct bide_task_opts *opts)
{
    enum bide_stack kind = opts ? opts->stack : BIDE_STACK_DEFAULT;
    if (kind == BIDE_STACK_DEFAULT)
        kind = loop->copies && !(opts && opts->stack_size) ? BIDE_STACK_COPIED : BIDE_STACK_PRIVATE;
    return kind == BIDE_STACK_COPIED;
}

bool bide__copied_wanted(const bide_loop *loop, const struct bide_task_opts *opts)
{
    return is_asked_for(loop, opts) && !is_watched();
}

size_t bide__copied_instead(const bide_loop *loop, const struct bide_task_opts *opts)
{
    if (opts && opts->stack_size)
        return opts->stack_size;
    return is_asked_for(loop, opts) ? STACK_BYTES : 0;
}

/*
 * Slices. A piece of the slab; larger ones, and the reserve when it has been used, are malloc's and
 * marked by the lowest bit.
 */
static uintptr_t slice_new(struct bide__copied *copied, size_t size)
{
    if (size <= BIDE__SLAB_SIZE_MAX)
        return (uintptr_t)bide__slab_take(&copied->slab, size);
    uintptr_t slice = (uintptr_t)malloc(bide__slab_round(size));
    /* cppcheck-suppress memleak; it does not look into numbers */
    return slice ? slice | 1 : 0;
}

static uintptr_t slice_of_reserve(struct bide__copied *copied, size_t size)
{
    if (copied->reserve_size < bide__slab_round(size))
        return 0;
    uintptr_t slice = (uintptr_t)copied->reserve | 1;
    copied->reserve = NULL;
    copied->reserve_size = 0;
    return slice;
}

static void slice_free(struct bide__copied *copied, uintptr_t slice)
{
    if (slice & 1)
        free((void *)(slice - 1));
    else if (slice)
        bide__slab_give(&copied->slab, (void *)slice);
}

static char *slice_bytes(uintptr_t slice)
{
    return (char *)(slice & ~(uintptr_t)1);
}

/* Where the parked task's frames on its own stack end: a generator's body has another stack. */
static char *frames_low(const struct bide__coro *coro)
{
    const struct bide__generator *outermost = coro->generator;
    while (outermost && outermost->outer)
        outermost = outermost->outer;
    return outermost ? outermost->consumer.sp : coro->fiber.sp;
}

/* Copies the frames on the shared stack away. Without memory they stay: false. */
static bool leave(struct bide__copied *copied)
{
    struct bide__coro *coro = copied->on;
    struct block *block = block_of(coro);
    const char *low = frames_low(coro);
    size_t size = (size_t)(copied->stack.top - low);
    if (bide__slab_round(size) != bide__slab_round(copied->on_bytes)) {
        uintptr_t slice = slice_new(copied, size);
        if (!slice)
            slice = slice_of_reserve(copied, size);
        if (!slice)
            return false;
        slice_free(copied, block->slice);
        block->slice = slice;
    }
    memcpy(slice_bytes(block->slice), low, size);
    copied->on = NULL;
    return true;
}

/* Not inline: what a switch makes its function save would be in every slice. */
__attribute__((noinline)) _Noreturn static void end(struct bide__coro *coro, int result)
{
    bide__coro_end(coro, result);
    bide__fiber_leave(&coro->fiber, &coro->loop->fiber);
}

static void copied_main(void *data)
{
    struct bide__coro *coro = data;
    int (*entry)(void *) = coro->entry;
    coro->abandon = NULL;
    coro->begun = true;
    end(coro, entry(bide__copied_arguments(coro)));
}

static void unlock(struct bide__coro *coro)
{
    const struct bide__stack *stack = block_of(coro)->stack;
    mprotect(stack->low, (size_t)(stack->top - stack->low), PROT_READ | PROT_WRITE);
}

void bide__copied_lock(struct bide__coro *coro)
{
    const struct bide__stack *stack = block_of(coro)->stack;
    /* Where mappings run out it stays open, and nothing is caught. */
    mprotect(stack->low, (size_t)(stack->top - stack->low), PROT_NONE);
}

/* The first frame begins at the stack's top, with the control words that the spawner had. */
static void begin(struct bide__coro *coro, void *top)
{
    uintptr_t control = (uintptr_t)coro->fiber.sp;
    coro->fiber.sp = bide__switch_prepare_with(top, copied_main, coro, control);
}

bool bide__copied_enter(struct bide__coro *coro)
{
    struct bide__copied *copied = coro->loop->copied;
    struct block *block = block_of(coro);
    bool fresh = !coro->begun;
    if (coro->guarded) {
        unlock(coro);
        if (fresh)
            begin(coro, block->stack->top);
        return true;
    }
    if (copied->on == coro)
        return true;
    if (copied->on && !leave(copied))
        return false;
    copied->on = coro;
    copied->on_bytes = 0;
    if (fresh) {
        begin(coro, copied->stack.top);
        return true;
    }
    char *low = frames_low(coro);
    copied->on_bytes = (size_t)(copied->stack.top - low);
    memcpy(low, slice_bytes(block->slice), copied->on_bytes);
    return true;
}

/* Always from the loop: what has to be copied can't be on the stack that does it. */
static void copied_run(struct bide__ready *ready)
{
    struct bide__coro *coro = bide__container(ready, struct bide__coro, ready);
    bide_loop *loop = coro->loop;
    if (loop->closing)
        return;
    if (!coro->begun && coro->n_cancels > 0 && !coro->always_start) {
        bide__coro_abandon(coro);
        return;
    }
    if (!bide__copied_enter(coro)) {
        bide__loop_ready(loop, &coro->ready);
        return;
    }
    loop->current = coro;
    bide__fiber_switch(&loop->fiber, &coro->fiber);
    coro = loop->current; /* others may have run since, but none of this kind */
    loop->current = NULL;
    if (coro->finished)
        bide__coro_free(coro);
    else if (coro->guarded)
        bide__copied_lock(coro);
}

static bool reserve_at_least(struct bide__copied *copied, size_t size)
{
    size = bide__slab_round(size);
    if (copied->reserve_size >= size)
        return true;
    if (size < RESERVE_BYTES_MIN)
        size = RESERVE_BYTES_MIN;
    char *reserve = malloc(size);
    if (!reserve)
        return false;
    free(copied->reserve);
    copied->reserve = reserve;
    copied->reserve_size = size;
    return true;
}

bool bide__copied_has_room(struct bide__coro *coro)
{
    struct bide__copied *copied = coro->loop->copied;
    if (coro->guarded)
        return true;
    const char *here = coro->generator ? frames_low(coro) : __builtin_frame_address(0);
    return reserve_at_least(copied, (size_t)(copied->stack.top - here) + DEEPER_BYTES);
}

bool bide__copied_holds(const struct bide__coro *coro, const void *memory)
{
    struct bide__stack stack = bide__copied_stack(coro);
    return (const char *)memory >= stack.low && (const char *)memory < stack.top;
}

int bide__unlendable(void)
{
    return bide_fail(-EINVAL, "on the stack of a task whose stack is copied, where no other can "
                              "reach it: keep it elsewhere, or give the task a private stack");
}

struct bide__stack bide__copied_stack(const struct bide__coro *coro)
{
    return coro->guarded ? *block_of(coro)->stack : coro->loop->copied->stack;
}

void *bide__copied_arguments(const struct bide__coro *coro)
{
    return (char *)block_of(coro) + ARGUMENTS_AT;
}

static struct bide__copied *copied_of(bide_loop *loop)
{
    struct bide__copied *copied = loop->copied;
    if (!copied) {
        copied = calloc(1, sizeof *copied);
        loop->copied = copied;
    }
    if (!copied || loop->debug || copied->stack.region)
        return copied;
    struct bide__stack stack;
    if (bide__stack_get(loop->stacks, STACK_BYTES, &stack) < 0)
        return NULL;
    copied->stack = stack;
    return copied;
}

/* In debug mode. */
static struct bide__stack *own_stack_new(bide_loop *loop)
{
    struct bide__stack *stack = malloc(sizeof *stack);
    bide__explain_by(bide__coro_explain);
    if (stack && bide__stack_get(loop->stacks, STACK_BYTES, stack) < 0) {
        free(stack);
        stack = NULL;
    }
    return stack;
}

static void own_stack_free(bide_loop *loop, struct bide__stack *stack)
{
    bide__stack_put(loop->stacks, *stack);
    free(stack);
}

static struct bide__coro *block_new(bide_loop *loop, bide_task *task,
                                    const struct bide_task_opts *opts, int (*entry)(void *),
                                    const void *arguments, size_t arguments_size)
{
    struct bide__copied *copied = loop->copied;
    size_t size = arguments_size > 0 ? (ARGUMENTS_AT + arguments_size + 15) / 16 * 16
                                     : sizeof(struct block);
    struct bide__stack *stack = loop->debug ? own_stack_new(loop) : NULL;
    if (loop->debug && !stack)
        return NULL;
    struct bide__values *values = bide__context_inherit();
    struct block *block = bide__slab_take(&copied->slab, size);
    if (block) {
        block->coro.more = NULL;
        if (bide__coro_set_values(&block->coro, values) < 0) {
            bide__slab_give(&copied->slab, block);
            block = NULL;
        }
    }
    if (!block) {
        bide__values_unref(values);
        if (stack)
            own_stack_free(loop, stack);
        return NULL;
    }
    struct bide__coro *coro = &block->coro;
    bide__coro_init(coro, loop, task, entry, opts);
    coro->ready.run = copied_run;
    coro->copied = true;
    block->slice = 0;
    if (stack) {
        coro->guarded = true;
        block->stack = stack;
    }
    coro->fiber.sp = (void *)bide__switch_control();
    if (arguments_size > 0)
        memcpy(bide__copied_arguments(coro), arguments, arguments_size);
    return coro;
}

struct bide__coro *bide__copied_new(bide_loop *loop, const struct bide_place *place,
                                    const struct bide_task_opts *opts, int (*entry)(void *),
                                    const void *arguments, size_t arguments_size)
{
    struct bide__copied *copied = opts && opts->stack_size ? NULL : copied_of(loop);
    if (!copied || !reserve_at_least(copied, 1))
        return NULL;
    bide_task *task = bide__task_new_in(loop, place, &copied->slab);
    if (!task)
        return NULL;
    struct bide__coro *coro = NULL;
    if (!opts || !opts->name || bide_task_set_name(task, opts->name) == 0)
        coro = block_new(loop, task, opts, entry, arguments, arguments_size);
    if (!coro) {
        task->read = true;
        bide__task_unref(task);
    }
    return coro;
}

void bide__copied_free(struct bide__coro *coro)
{
    bide_loop *loop = coro->loop;
    bide_task *task = coro->task;
    struct bide__copied *copied = loop->copied;
    struct block *block = block_of(coro);
    if (copied->on == coro)
        copied->on = NULL;
    if (coro->guarded) {
        unlock(coro);
        own_stack_free(loop, block->stack);
    } else {
        slice_free(copied, block->slice);
    }
    if (coro->more) {
        free(coro->more->cancel_message);
        bide__values_unref(coro->more->values);
        free(coro->more);
    }
    bide__slab_give(&copied->slab, block);
    bide__task_unref(task);
}

const struct bide__coro *bide__copied_owner(const bide_loop *loop, const void *address)
{
    if (!loop || !loop->debug)
        return NULL;
    bide__list_each(node, (struct bide__list *)&loop->tasks)
    {
        const struct bide__coro *coro = bide__container(node, struct bide__coro, node);
        if (coro->guarded && coro != loop->current && bide__copied_holds(coro, address))
            return coro;
    }
    return NULL;
}

void bide__copied_close(bide_loop *loop)
{
    struct bide__copied *copied = loop->copied;
    if (!copied)
        return;
    if (copied->stack.region)
        bide__stack_put(loop->stacks, copied->stack);
    copied->stack.region = NULL;
    free(copied->reserve);
    copied->reserve = NULL;
    copied->reserve_size = 0;
}

void bide__copied_drop(bide_loop *loop)
{
    if (loop->copied)
        bide__slab_free(&loop->copied->slab);
    free(loop->copied);
    loop->copied = NULL;
}
