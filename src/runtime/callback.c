/*
 * Done callbacks. Invariant: each is in its task's list of waiters, or scheduled, or gone; it holds
 * a handle of the task from the moment when it is scheduled, and drops its data exactly once.
 */
#include "runtime/coro.h"
#include "runtime/report.h"

#include <stdlib.h>

struct done_callback {
    struct bide__waiter waiter;
    struct bide__ready ready;
    bide_task *task;
    bide_done_callback *callback;
    void *data;
    bide_drop *drop;
    struct bide__values *values;
};

static void done_callback_free(struct done_callback *done)
{
    if (done->drop)
        done->drop(done->data);
    bide__values_unref(done->values);
    free(done);
}

static void done_callback_run(struct bide__ready *ready)
{
    struct done_callback *done = bide__container(ready, struct done_callback, ready);
    bide_task *task = done->task;
    struct bide__values *outside = bide__context_enter(done->values);
    if (!task->loop->closing)
        done->callback(task, done->data);
    done_callback_free(done);
    bide__context_leave(outside);
    bide__task_unref(task);
}

static void done_callback_schedule(struct bide__waiter *waiter, bide_task *task)
{
    struct done_callback *done = bide__container(waiter, struct done_callback, waiter);
    done->task = bide_retain(task);
    bide__loop_ready(task->loop, &done->ready);
}

int bide_task_add_done_callback(bide_task *task, bide_done_callback *callback, void *data,
                                bide_drop *drop)
{
    if (!task || !callback)
        return -EINVAL;
    if (task->loop->closing)
        return -ESHUTDOWN;
    struct done_callback *done = malloc(sizeof *done);
    if (!done)
        return -ENOMEM;
    *done = (struct done_callback){
        .waiter.notify = done_callback_schedule,
        .ready.run = done_callback_run,
        .callback = callback,
        .data = data,
        .drop = drop,
        .values = bide__context_inherit(),
    };
    if (task->done)
        done_callback_schedule(&done->waiter, task);
    else
        bide__task_wait(task, &done->waiter);
    return 0;
}

int bide_task_remove_done_callback(bide_task *task, bide_done_callback *callback, void *data)
{
    int n = 0;
    if (!task)
        return -EINVAL;
    struct bide__list removed; /* first off the task's list, which the drops may change */
    bide__list_init(&removed);
    bide__list_each(node, &task->waiters)
    {
        struct done_callback *done = bide__container(node, struct done_callback, waiter.node);
        if (done->waiter.notify != done_callback_schedule || done->callback != callback ||
            done->data != data)
            continue;
        bide__list_remove(node);
        bide__list_append(&removed, node);
        n++;
    }
    struct bide__list *node;
    while ((node = bide__list_pop(&removed))) {
        struct done_callback *done = bide__container(node, struct done_callback, waiter.node);
        done_callback_free(done);
    }
    return n;
}
