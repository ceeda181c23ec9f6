/*
 * Tasks in the order in which they end, as an iterator.
 *
 * Invariants
 *  - A node is in its task's list of waiters, in `done`, or handed out.
 *  - `waiting` is set exactly while a task is parked in next().
 */
#include "runtime/coro.h"
#include "runtime/iterator.h"

#include <bide/combine.h>

#include <stdlib.h>

struct completed;

struct node {
    struct bide__waiter waiter;
    struct completed *completed;
    bide_task *task; /* NULL once it is done */
};

struct completed {
    bide_iterator iterator;
    struct bide__coro *waiting;
    struct bide__list done;
    size_t n;
    size_t n_left;  /* not done */
    size_t n_first; /* those before are done */
    struct node nodes[];
};

static void completed_notify(struct bide__waiter *waiter, bide_task *task)
{
    struct node *node = bide__container(waiter, struct node, waiter);
    struct completed *completed = node->completed;
    (void)task;
    node->task = NULL;
    completed->n_left--;
    bide__list_append(&completed->done, &node->waiter.node);
    if (!completed->waiting)
        return;
    bide__wake(completed->waiting, 0);
    completed->waiting = NULL;
}

/* Whoever can go on with one of several tasks does not wait for each of them. */
static void completed_targets(const struct bide__coro *coro, struct bide__search *search)
{
    const struct completed *completed = coro->wait_data;
    for (size_t i = completed->n_first; i < completed->n && completed->n_left == 1; i++)
        bide__search_visit(search, completed->nodes[i].task);
}

static void completed_interrupt(struct bide__coro *coro)
{
    struct completed *completed = coro->wait_data;
    completed->waiting = NULL;
    bide__wake(coro, -ECANCELED);
}

static void completed_abandon(struct bide__coro *coro)
{
    struct completed *completed = coro->wait_data;
    completed->waiting = NULL;
}

static const struct bide__wait_kind completed_wait = {
    .name = "as_completed", .interrupt = completed_interrupt, .targets = completed_targets};

/* 0 if there is a task left to wait for, or why there is none. */
static int can_wait(struct completed *completed, struct bide__coro *coro)
{
    while (!completed->nodes[completed->n_first].task)
        completed->n_first++;
    int rc = 0;
    for (size_t i = completed->n_first; i < completed->n; i++) {
        bide_task *task = completed->nodes[i].task;
        if (!task)
            continue;
        rc = bide__task_awaitable(task, coro);
        if (rc != -EDEADLK)
            return rc;
    }
    return rc;
}

static int completed_next(void *self, void *ret_item)
{
    struct completed *completed = self;
    struct bide__coro *coro;
    int rc = bide__suspend(&coro);
    if (rc == 0 && bide__list_empty(&completed->done)) {
        if (completed->n_left == 0)
            return 0;
        rc = can_wait(completed, coro);
        if (rc == 0) {
            completed->waiting = coro;
            coro->abandon = completed_abandon;
            rc = bide__park(coro, &completed_wait, completed);
            coro->abandon = NULL;
        }
    }
    if (rc < 0)
        return rc;
    struct bide__list *done = bide__list_pop(&completed->done);
    size_t index = (size_t)(bide__container(done, struct node, waiter.node) - completed->nodes);
    *(size_t *)ret_item = index;
    return 1;
}

static int completed_close(void *self)
{
    struct completed *completed = self;
    for (size_t i = 0; i < completed->n; i++)
        bide__list_remove(&completed->nodes[i].waiter.node);
    return 0;
}

static const struct bide_iterator_kind completed_kind = {"as_completed", completed_next,
                                                         completed_close};

static int by_end(const void *a, const void *b)
{
    const struct node *const *one = a;
    const struct node *const *other = b;
    int32_t apart = (int32_t)((*one)->task->ended - (*other)->task->ended);
    return (apart > 0) - (apart < 0);
}

/* Those that are done already, in the order of their ends; `order` has room for n. */
static void take_done(struct completed *completed, struct node **order)
{
    size_t n_done = 0;
    for (size_t i = 0; i < completed->n; i++) {
        struct node *node = &completed->nodes[i];
        if (node->task && node->task->done)
            order[n_done++] = node;
    }
    qsort(order, n_done, sizeof *order, by_end);
    for (size_t i = 0; i < n_done; i++) {
        order[i]->task = NULL;
        bide__list_append(&completed->done, &order[i]->waiter.node);
    }
}

bide_iterator *bide_as_completed(bide_task **tasks, size_t n)
{
    struct completed *completed = malloc(sizeof *completed + n * sizeof *completed->nodes);
    struct node **order = malloc((n + 1) * sizeof *order);
    if (!completed || !order) {
        free(completed);
        free(order);
        return NULL;
    }
    *completed = (struct completed){.n = n};
    bide__iterator_init(&completed->iterator, &completed_kind, sizeof(size_t));
    bide__list_init(&completed->done);
    for (size_t i = 0; i < n; i++) {
        completed->nodes[i] = (struct node){
            .waiter.notify = completed_notify, .completed = completed, .task = tasks[i]};
        bide__list_init(&completed->nodes[i].waiter.node);
    }
    take_done(completed, order);
    free(order);
    for (size_t i = 0; i < n; i++) {
        struct node *node = &completed->nodes[i];
        if (!node->task)
            continue;
        completed->n_left++;
        bide_start(node->task);
        bide__task_wait(node->task, &node->waiter);
    }
    return &completed->iterator;
}
