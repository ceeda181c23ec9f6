/* What a loop has, counted from its lists. */
#include "runtime/coro.h"

#include <bide/inspect.h>

const char *bide_task_waits_for(const bide_task *task)
{
    if (!task || task->done)
        return "";
    const struct bide__coro *coro = task->coro;
    if (!coro)
        return "its promise";
    if (coro->created)
        return "its start";
    if (coro->loop->current == coro)
        return "";
    return coro->wait ? bide__wait_name(coro) : "its turn";
}

static size_t length(const struct bide__list *list)
{
    size_t n = 0;
    bide__list_each(node, list) n++;
    return n;
}

int bide_loop_count(const bide_loop *loop, struct bide_loop_counts *ret_counts)
{
    if (!loop)
        loop = bide__loop_running;
    if (!loop || loop->closed || !ret_counts)
        return -EINVAL;
    struct bide_loop_counts counts = {
        .tasks = length(&loop->tasks),
        .futures = length(&loop->promises),
        .callbacks = length(&loop->handles),
        .signals = bide__signals_count(loop),
        .streams = length(&loop->resources),
    };
    for (size_t fd = 0; fd < loop->n_watchers; fd++)
        counts.watchers += loop->watchers[fd] != NULL;
    counts.results = loop->n_tasks_held - counts.tasks - counts.futures;
    *ret_counts = counts;
    return 0;
}
