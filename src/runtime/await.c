/*
 * Waiting for one task, and the search that turns a circle of waits into an error.
 *
 * A circle can only come about by a wait that starts, so each wait looks whether its target waits,
 * directly or through others, for the waiting task. A task with an open group counts as waiting for
 * the children from the start: it cannot end before them, and when it closes the group there is
 * nobody left to tell. Most targets wait for no task: then the search is one comparison.
 */
#include "runtime/coro.h"
#include "runtime/group.h"

void bide__search_visit(struct bide__search *search, bide_task *task)
{
    struct bide__coro *coro = task ? task->coro : NULL;
    if (!coro || coro->walk_mark == search->mark)
        return;
    coro->walk_mark = search->mark;
    coro->walk_next = search->pending;
    search->pending = coro;
}

static bool has_targets(const struct bide__coro *coro)
{
    return coro->n_groups > 0 || (coro->wait && coro->wait->targets);
}

static void visit_targets(const struct bide__coro *coro, struct bide__search *search)
{
    if (coro->wait && coro->wait->targets)
        coro->wait->targets(coro, search);
    if (coro->n_groups == 0)
        return;
    for (const struct bide__scope *scope = coro->scope; scope; scope = scope->outer)
        if (scope->kind == BIDE__SCOPE_GROUP)
            bide__group_targets(scope, search);
}

bool bide__waits_for(bide_task *task, struct bide__coro *coro)
{
    static _Thread_local unsigned n_searches;
    if (!task->coro || (task->coro != coro && !has_targets(task->coro)))
        return false;
    assert(!coro->loop->interrupting);
    struct bide__search search = {.mark = ++n_searches};
    bide__search_visit(&search, task);
    while (search.pending) {
        struct bide__coro *at = search.pending;
        search.pending = at->walk_next;
        if (at == coro)
            return true;
        visit_targets(at, &search);
    }
    return false;
}

int bide__task_awaitable(bide_task *task, struct bide__coro *coro)
{
    if (task->loop != coro->loop && !task->loop->closed)
        return -EXDEV;
    return !task->done && bide__waits_for(task, coro) ? -EDEADLK : 0;
}

static void await_notify(struct bide__waiter *waiter, bide_task *task)
{
    (void)task;
    bide__wake(bide__container(waiter, struct bide__coro, waiter), 0);
}

static void await_targets(const struct bide__coro *coro, struct bide__search *search)
{
    bide__search_visit(search, coro->wait_data);
}

static void await_interrupt(struct bide__coro *coro)
{
    bide__scope_mark_delivered(coro);
    bide_cancel(coro->wait_data);
}

static void shield_interrupt(struct bide__coro *coro)
{
    bide__list_remove(&coro->waiter.node);
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind await_wait = {
    .name = "await", .interrupt = await_interrupt, .targets = await_targets};
static const struct bide__wait_kind shield_wait = {
    .name = "shield", .interrupt = shield_interrupt, .targets = await_targets};

__attribute__((always_inline)) static inline int wait_done(struct bide__coro *coro, bide_task *task,
                                                           const struct bide__wait_kind *kind)
{
    bide_start(task);
    coro->waiter.notify = await_notify;
    bide__task_wait(task, &coro->waiter);
    return bide__park(coro, kind, task);
}

int bide_await(bide_task *task)
{
    struct bide__coro *coro;
    if (!task)
        return -ENOMEM;
    int rc = bide__join(&coro);
    if (rc == 0)
        rc = bide__task_awaitable(task, coro);
    if (rc < 0)
        return rc;
    if (!task->done && coro->deliver) {
        bide__scope_mark_delivered(coro);
        bide_cancel(task);
    }
    if (!task->done)
        wait_done(coro, task, &await_wait);
    return bide__task_take(task);
}

int bide_shield(bide_task *task)
{
    struct bide__coro *coro;
    if (!task)
        return -ENOMEM;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = bide__task_awaitable(task, coro);
    if (rc == 0 && !task->done)
        rc = wait_done(coro, task, &shield_wait);
    return rc < 0 ? rc : bide__task_take(bide_retain(task));
}
