/*
 * Looking at a parked task from outside: its backtrace is taken by continuing it for a moment,
 * inside its own wait, where it shows its frames and parks again.
 */
#include "runtime/inspect.h"

#include "runtime/copied.h"
#include "runtime/generator.h"
#include "runtime/report.h"

#include <execinfo.h>
#include <stdio.h>
#include <unistd.h>

enum { FRAMES_MAX = 64, PROBE_STACK_BYTES = 12 * 1024 };

void bide__inspect_here(struct bide__coro *coro)
{
    void *frames[FRAMES_MAX];
    coro->probed = false;
    int n = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, n, STDERR_FILENO);
}

/* For the unwinder's frames. */
static bool has_room(const char *sp, struct bide__stack stack)
{
    return sp >= stack.low && sp - stack.low >= PROBE_STACK_BYTES;
}

static struct bide__stack stack_of(const struct bide__coro *coro,
                                   const struct bide__generator *generator)
{
    return generator ? generator->stack : bide__coro_stack(coro);
}

/* Only for a task that has begun. Inside generators: the innermost body's frames first, and in the
 * end those of the task itself. */
static void print_backtrace(struct bide__coro *coro)
{
    if (!coro->begun || (coro->copied && !bide__copied_enter(coro)))
        return;
    if (has_room(coro->fiber.sp, stack_of(coro, coro->generator))) {
        coro->probed = true;
        bide__fiber_switch(&coro->loop->fiber, &coro->fiber);
    }
    for (struct bide__generator *at = coro->generator; at; at = at->outer) {
        if (!has_room(at->consumer.sp, stack_of(coro, at->outer)))
            continue;
        coro->probed = true;
        at->step = BIDE__STEP_PROBE;
        bide__fiber_switch(&coro->loop->fiber, &at->consumer);
    }
    if (coro->guarded)
        bide__copied_lock(coro);
}

static const char *wait_name(const struct bide__coro *coro)
{
    if (coro->wait)
        return bide__wait_name(coro);
    return coro->created ? "its start" : "its turn";
}

void bide__report_stuck(struct bide__coro *coro)
{
    char words[128];
    snprintf(words, sizeof words, "task does not end although it was cancelled; it waits for: %s",
             wait_name(coro));
    bide__report_task(coro->task, words, 0);
    print_backtrace(coro);
}

void bide__report_deadlock(bide_loop *loop)
{
    bide__list_each(node, &loop->tasks)
    {
        struct bide__coro *coro = bide__container(node, struct bide__coro, node);
        char words[128];
        snprintf(words, sizeof words, "deadlock: task waits for: %s", wait_name(coro));
        bide__report_task(coro->task, words, 0);
        print_backtrace(coro);
    }
}
