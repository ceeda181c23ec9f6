/*
 * Cancel requests, and how they reach tasks that are parked.
 *
 * A request marks the task's outermost scope; whatever is visible makes its suspending calls fail.
 * A parked task is interrupted: its wait ends, or, if it is a join, hands the request on to what it
 * waits for. Chains of joins may be as long as there is memory, so they are worked off from a
 * queue, not by recursion.
 */
#include "runtime/coro.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void bide__interrupt(struct bide__coro *coro)
{
    bide_loop *loop = coro->loop;
    if (!coro->wait || !coro->deliver || coro->interrupt_queued)
        return;
    coro->interrupt_queued = true;
    coro->interrupt_next = NULL;
    *loop->interrupts_last = coro;
    loop->interrupts_last = &coro->interrupt_next;
    if (loop->interrupting)
        return;
    loop->interrupting = true;
    while (loop->interrupts) {
        coro = loop->interrupts;
        loop->interrupts = coro->interrupt_next;
        if (!loop->interrupts)
            loop->interrupts_last = &loop->interrupts;
        coro->interrupt_queued = false;
        if (coro->wait && coro->deliver && coro->wait->interrupt)
            coro->wait->interrupt(coro);
    }
    loop->interrupting = false;
}

/* Takes `message`, for which a task has room. */
static int cancel_request(bide_task *task, char *message)
{
    struct bide__coro *coro = task->coro;
    if (task->future) {
        bide__task_set_detail(task, -ECANCELED, message);
        bide__task_finish(task, -ECANCELED);
        return 1;
    }
    assert(coro); /* whoever is not done has it */
    coro->n_cancels++;
    if (!coro->begun && !coro->always_start && !coro->copied)
        coro->ready.run = bide__coro_run_cancelled;
    if (message) {
        free(coro->more->cancel_message);
        coro->more->cancel_message = message;
    }
    bide__scope_demand(&coro->root);
    return 1;
}

int bide_cancel(bide_task *task)
{
    if (!task)
        return -EINVAL;
    return task->done ? 0 : cancel_request(task, NULL);
}

int bide_cancel_with(bide_task *task, const char *message)
{
    if (!task)
        return -EINVAL;
    if (task->done)
        return 0;
    char *copy = message ? strdup(message) : NULL;
    if (message && (!copy || (task->coro && !bide__coro_more(task->coro)))) {
        free(copy);
        return -ENOMEM;
    }
    return cancel_request(task, copy);
}

int bide_uncancel(bide_task *task)
{
    if (!task)
        return -EINVAL;
    struct bide__coro *coro = task->coro;
    if (!coro || coro->n_cancels == 0)
        return 0;
    if (--coro->n_cancels == 0) {
        coro->root.pending = false;
        coro->root.delivered = false;
        if (coro->more) {
            free(coro->more->cancel_message);
            coro->more->cancel_message = NULL;
        }
        bide__scope_refresh(coro);
    }
    return (int)coro->n_cancels;
}

int bide_cancelling(const bide_task *task)
{
    if (!task)
        return -EINVAL;
    return task->coro ? (int)task->coro->n_cancels : 0;
}
