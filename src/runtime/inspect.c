/*
 * Looking at a parked task from outside: its backtrace is taken by continuing it for a moment,
 * inside its own wait, where it calls `probe` and parks again.
 */
#include "runtime/inspect.h"

#include "runtime/coro.h"
#include "runtime/report.h"

#include <execinfo.h>
#include <stdio.h>
#include <unistd.h>

enum { FRAMES_MAX = 64, PROBE_STACK_BYTES = 12 * 1024 };

static void probe_backtrace(struct bide__coro *coro)
{
    void *frames[FRAMES_MAX];
    coro->probe = NULL;
    int n = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, n, STDERR_FILENO);
}

/* Only for a task that has begun and has room for the unwinder's frames. */
static void print_backtrace(struct bide__coro *coro)
{
    const char *sp = coro->fiber.sp;
    if (!coro->begun || sp < coro->stack.low || sp - coro->stack.low < PROBE_STACK_BYTES)
        return;
    coro->probe = probe_backtrace;
    bide__fiber_switch(&coro->loop->fiber, &coro->fiber);
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
