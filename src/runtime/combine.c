/*
 * Waiting for several tasks. All these calls are one wait with different answers to two questions:
 * when is it over, and what does a cancel do.
 *
 * Invariant: the waiter nodes are allocated before anything happens and are out of every list when
 * the call returns.
 */
#include "runtime/coro.h"

#include <bide/combine.h>

#include <stdlib.h>

struct many;

struct many_node {
    struct bide__waiter waiter;
    struct many *many;
    bide_task *task; /* the caller's array may be on a stack that is copied away */
};

struct many {
    struct bide__coro *coro;
    size_t n;
    size_t n_left; /* not done */
    /* Whether the wait is over now that one more task is done. */
    bool (*enough)(const struct many *many);
    int first_error;  /* of a task that failed or was cancelled */
    bool failed;      /* a task failed; cancelled ones do not count */
    bool any;         /* a task was done */
    size_t first;     /* the slot of the one that ended first while this waited */
    bool interrupted; /* the caller was cancelled: all tasks were asked to end */
    struct many_node nodes[];
};

static void many_saw(struct many *many, const bide_task *task)
{
    many->any = true;
    if (task->result < 0 && many->first_error == 0)
        many->first_error = task->result;
    if (task->result < 0 && task->result != -ECANCELED)
        many->failed = true;
}

static void many_notify(struct bide__waiter *waiter, bide_task *task)
{
    struct many_node *node = bide__container(waiter, struct many_node, waiter);
    struct many *many = node->many;
    many->n_left--;
    if (many->first == many->n)
        many->first = (size_t)(node - many->nodes);
    many_saw(many, task);
    if (many->coro->wait && (many->n_left == 0 || (!many->interrupted && many->enough(many))))
        bide__wake(many->coro, 0);
}

static void many_targets(const struct bide__coro *coro, struct bide__search *search)
{
    const struct many *many = coro->wait_data;
    for (size_t i = 0; i < many->n; i++)
        bide__search_visit(search, many->nodes[i].task);
}

static bool enough_never(const struct many *many)
{
    (void)many;
    return false;
}

static bool enough_error(const struct many *many)
{
    return many->first_error < 0;
}

static bool enough_failed(const struct many *many)
{
    return many->failed;
}

static bool enough_any(const struct many *many)
{
    return many->any;
}

/* Whoever can go on with one of several tasks does not wait for each of them. */
static void any_targets(const struct bide__coro *coro, struct bide__search *search)
{
    const struct many *many = coro->wait_data;
    if (many->n_left == 1)
        many_targets(coro, search);
}

/* 0, or why these tasks can't be waited for. Who wants any one of them is in a circle only if all
 * are. */
static int many_check(bide_task **tasks, size_t n, struct bide__coro *coro,
                      bool (*enough)(const struct many *))
{
    bool any = enough == enough_any || enough == enough_failed;
    bool circle = false;
    bool open = false;
    for (size_t i = 0; i < n; i++) {
        int rc = tasks[i] ? bide__task_awaitable(tasks[i], coro) : 0;
        if (rc < 0 && rc != -EDEADLK)
            return rc;
        circle = circle || rc == -EDEADLK;
        open = open || (tasks[i] && rc == 0);
    }
    return circle && !(any && open) ? -EDEADLK : 0;
}

static int many_new(bide_task **tasks, size_t n, struct bide__coro *coro,
                    bool (*enough)(const struct many *), struct many **ret_many)
{
    int rc = many_check(tasks, n, coro, enough);
    if (rc < 0)
        return rc;
    struct many *many = malloc(sizeof *many + n * sizeof *many->nodes);
    if (!many)
        return -ENOMEM;
    *many = (struct many){.coro = coro, .n = n, .enough = enough, .first = n};
    for (size_t i = 0; i < n; i++) {
        many->nodes[i] = (struct many_node){
            .waiter.notify = many_notify, .many = many, .task = tasks[i]};
        bide__list_init(&many->nodes[i].waiter.node);
        if (!tasks[i])
            continue;
        bide_start(tasks[i]);
        if (tasks[i]->done) {
            many_saw(many, tasks[i]);
        } else {
            many->n_left++;
            bide__task_wait(tasks[i], &many->nodes[i].waiter);
        }
    }
    *ret_many = many;
    return 0;
}

static void many_free(struct many *many)
{
    for (size_t i = 0; i < many->n; i++)
        bide__list_remove(&many->nodes[i].waiter.node);
    free(many);
}

static void many_cancel_all(struct many *many)
{
    many->interrupted = true;
    for (size_t i = 0; i < many->n; i++)
        if (many->nodes[i].task)
            bide_cancel(many->nodes[i].task);
}

/* Hands the caller's cancel on. */
static void many_hand_on(struct many *many)
{
    bide__scope_mark_delivered(many->coro);
    many_cancel_all(many);
}

static void gather_interrupt(struct bide__coro *coro)
{
    many_hand_on(coro->wait_data);
}

static void wait_interrupt(struct bide__coro *coro)
{
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind gather_wait = {
    .name = "gather", .interrupt = gather_interrupt, .targets = many_targets};
/* A cancel changes nothing: the tasks were asked to end already. */
static const struct bide__wait_kind cancel_join_wait = {.name = "cancel_join",
                                                        .targets = many_targets};
static const struct bide__wait_kind wait_wait = {
    .name = "wait", .interrupt = wait_interrupt, .targets = many_targets};
static const struct bide__wait_kind wait_any_wait = {
    .name = "wait", .interrupt = wait_interrupt, .targets = any_targets};

/* Takes every task that is done. Returns whether all were, with values. */
static bool gather_take(bide_task **tasks, size_t n, int *results)
{
    bool values = true;
    for (size_t i = 0; i < n; i++) {
        if (!tasks[i]->done) {
            values = false;
            continue;
        }
        int result = bide__task_take(tasks[i]);
        tasks[i] = NULL;
        if (results)
            results[i] = result;
        values = values && result >= 0;
    }
    return values;
}

static int gather(bide_task **tasks, size_t n, int *results, bool (*enough)(const struct many *))
{
    struct bide__coro *coro;
    struct many *many;
    int rc = bide__join(&coro);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = tasks[i] ? 0 : -ENOMEM;
    if (rc == 0)
        rc = many_new(tasks, n, coro, enough, &many);
    if (rc < 0)
        return rc;
    if (many->n_left > 0 && coro->deliver)
        many_hand_on(many);
    if (many->n_left > 0 && (many->interrupted || !enough(many)))
        bide__park(coro, &gather_wait, many);
    int first_error = enough == enough_error ? many->first_error : 0;
    bool interrupted = many->interrupted;
    many_free(many);
    bool values = gather_take(tasks, n, results);
    if (interrupted)
        return values ? 0 : -ECANCELED;
    return first_error;
}

int bide_gather(bide_task **tasks, size_t n, int *results)
{
    return gather(tasks, n, results, enough_error);
}

int bide_gather_all(bide_task **tasks, size_t n, int *results)
{
    return gather(tasks, n, results, enough_never);
}

int bide_cancel_join(bide_task **tasks, size_t n)
{
    struct bide__coro *coro;
    struct many *many;
    size_t n_tasks = 0;
    int rc = bide__join(&coro);
    if (rc == 0)
        rc = many_new(tasks, n, coro, enough_never, &many);
    if (rc < 0)
        return rc;
    many_cancel_all(many);
    if (many->n_left > 0)
        bide__park(coro, &cancel_join_wait, many);
    many_free(many);
    for (size_t i = 0; i < n; i++)
        if (tasks[i])
            tasks[n_tasks++] = tasks[i];
    gather_take(tasks, n_tasks, NULL);
    for (size_t i = 0; i < n; i++)
        tasks[i] = NULL;
    return 0;
}

static void rotate(bide_task **from, bide_task **middle, bide_task **to)
{
    bide_task **ends[][2] = {{from, middle}, {middle, to}, {from, to}};
    for (size_t i = 0; i < 3; i++) {
        for (bide_task **a = ends[i][0], **b = ends[i][1]; a < b && a < --b; a++) {
            bide_task *task = *a;
            *a = *b;
            *b = task;
        }
    }
}

size_t bide_partition_done(bide_task **tasks, size_t n)
{
    if (n <= 1)
        return n == 1 && bide_task_done(tasks[0]);
    size_t half = n / 2;
    size_t before = bide_partition_done(tasks, half);
    size_t behind = bide_partition_done(tasks + half, n - half);
    rotate(tasks + before, tasks + half, tasks + half + behind);
    return before + behind;
}

int bide_wait(bide_task **tasks, size_t n, enum bide_wait_mode mode)
{
    static bool (*const modes[])(const struct many *) = {
        [BIDE_ALL_COMPLETED] = enough_never,
        [BIDE_FIRST_COMPLETED] = enough_any,
        [BIDE_FIRST_EXCEPTION] = enough_failed,
    };
    struct bide__coro *coro;
    struct many *many;
    if (n == 0 || (unsigned)mode > BIDE_FIRST_EXCEPTION)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (!tasks[i])
            return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = many_new(tasks, n, coro, modes[mode], &many);
    if (rc < 0)
        return rc;
    if (many->n_left > 0 && !modes[mode](many))
        rc = bide__park(coro, mode == BIDE_ALL_COMPLETED ? &wait_wait : &wait_any_wait, many);
    many_free(many);
    size_t n_done = bide_partition_done(tasks, n);
    return rc < 0 ? rc : (int)n_done;
}

/* Counts the tasks, and finds the one that ended first: n if none is done. */
static size_t first_ended(bide_task **tasks, size_t n, size_t *ret_n_tasks)
{
    size_t first = n;
    size_t n_tasks = 0;
    for (size_t i = 0; i < n; i++) {
        n_tasks += tasks[i] != NULL;
        if (!tasks[i] || !tasks[i]->done)
            continue;
        if (first == n || (int32_t)(tasks[i]->ended - tasks[first]->ended) < 0)
            first = i;
    }
    *ret_n_tasks = n_tasks;
    return first;
}

int bide_next_done(bide_task **tasks, size_t n)
{
    struct bide__coro *coro;
    struct many *many;
    size_t n_tasks;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    size_t first = first_ended(tasks, n, &n_tasks);
    if (first < n)
        return (int)first;
    rc = n_tasks > 0 ? many_new(tasks, n, coro, enough_any, &many) : -ENOENT;
    if (rc < 0)
        return rc;
    rc = bide__park(coro, &wait_any_wait, many);
    first = many->first;
    many_free(many);
    return rc < 0 ? rc : (int)first;
}
