/*
 * Operators whose sources work at the same time: a crew of tasks, each of which asks iterators for
 * values and hands them over one by one.
 *
 * The tasks belong to the operator, not to a scope of whoever asks first: consumers may change, and
 * none has something left open on its stack. The close cancels and joins them.
 *
 * Invariants
 *  - A worker is in `ready` from the moment it has something to hand over (a value, or the error it
 * ended with) until a consumer took it; it asks for its next value only afterwards. So values come
 * in the order in which they were there, and a crew holds at most one for each worker.
 *  - `n_running` counts the tasks that are not done: each is counted down when its end is told,
 * which also happens if a loop closes over it.
 *  - Sources are closed by whoever closes the operator, in its task, which as a rule is not
 * cancelled.
 */
#include "runtime/coro.h"
#include "runtime/flow.h"
#include "runtime/launch.h"

#include <bide/flow.h>
#include <bide/lock.h>

#include <stdlib.h>
#include <string.h>

struct crew;

struct worker {
    struct bide__waiter waiter; /* of its task's end */
    struct bide__list node;     /* in `ready` */
    struct crew *crew;
    bide_task *task;
    struct bide__coro *parked; /* until its value was taken */
    bide_iterator *source;
    void *item;
    void *source_item;
    char *words; /* about `error` */
    int error;
};

struct crew {
    bide_iterator iterator;
    int (*work)(struct worker *worker);
    bide_loop *loop;
    struct bide__coro *consumer; /* parked */
    struct bide__list ready;
    size_t n_workers;
    size_t n_begun;
    size_t n_running;
    bool stopped; /* the workers were cancelled; nothing is handed over any more */
    /* flat_map's */
    bide_flat_map_function *function;
    void *data;
    bide_lock asking; /* held by the worker that asks the source */
    bool source_ended;
    void *items;
    struct worker workers[];
};

static void crew_wake(struct crew *crew)
{
    struct bide__coro *consumer = crew->consumer;
    crew->consumer = NULL;
    if (consumer && consumer->wait)
        bide__wake(consumer, 0);
}

static void handover_interrupt(struct bide__coro *coro)
{
    struct worker *worker = coro->wait_data;
    bide__list_remove(&worker->node);
    worker->parked = NULL;
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind handover_wait = {.name = "handing over a value",
                                                     .interrupt = handover_interrupt};

/* Until the worker's value was taken: 0, or -ECANCELED. */
static int hand_over(struct worker *worker)
{
    struct bide__coro *coro;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    worker->parked = coro;
    bide__list_append(&worker->crew->ready, &worker->node);
    crew_wake(worker->crew);
    return bide__park(coro, &handover_wait, worker);
}

/* Hands over all that `iterator` gives: 0 at its end, or an error. */
static int hand_over_all(struct worker *worker, bide_iterator *iterator)
{
    int rc;
    while ((rc = bide__iterator_next(iterator, worker->item)) == 1) {
        rc = hand_over(worker);
        if (rc < 0)
            break;
    }
    return rc;
}

static int merge_work(struct worker *worker)
{
    return hand_over_all(worker, worker->source);
}

/* One at a time: 1 with an item of the source, 0 at its end, or an error. */
static int ask_source(struct worker *worker)
{
    struct crew *crew = worker->crew;
    int rc = bide_lock_acquire(&crew->asking);
    if (rc < 0)
        return rc;
    if (!crew->source_ended)
        rc = bide__iterator_next(worker->source, worker->source_item);
    crew->source_ended = crew->source_ended || rc == 0;
    bide_lock_release(&crew->asking);
    return rc;
}

static int flat_map_work(struct worker *worker)
{
    struct crew *crew = worker->crew;
    int rc;
    while ((rc = ask_source(worker)) == 1) {
        bide_iterator *inner = crew->function(worker->source_item, crew->data);
        if (!inner)
            return -ENOMEM;
        bide__iterator_own(&crew->iterator, inner);
        if (inner->failed == 0 && inner->item_size != crew->iterator.item_size)
            return -EINVAL;
        rc = hand_over_all(worker, inner);
        if (rc == 0)
            rc = bide__iterator_disown(&crew->iterator, inner);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int worker_entry(void *arguments)
{
    struct worker *worker = *(struct worker **)arguments;
    return worker->crew->work(worker);
}

/* A worker has ended; the operator was not closed. */
static void worker_ended(struct bide__waiter *waiter, bide_task *task)
{
    struct worker *worker = bide__container(waiter, struct worker, waiter);
    struct crew *crew = worker->crew;
    crew->n_running--;
    task->read = true;
    worker->parked = NULL;
    if (task->result < 0 && !crew->stopped) {
        worker->error = task->result;
        worker->words = bide__task_take_detail(task);
        bide__list_append(&crew->ready, &worker->node);
        crew_wake(crew);
    } else if (crew->n_running == 0) {
        crew_wake(crew);
    }
}

static int worker_begin(struct worker *worker)
{
    static const struct bide_place place = {.coroutine = "worker of an iterator",
                                            .file = __FILE__,
                                            .function = "bide_next",
                                            .line = __LINE__};
    worker->task = bide__launch(BIDE__HOW_SPAWN, NULL, NULL, &place, worker_entry, &worker,
                                sizeof worker);
    if (!worker->task)
        return -ENOMEM;
    worker->waiter.notify = worker_ended;
    bide__task_wait(worker->task, &worker->waiter);
    worker->crew->n_running++;
    return 0;
}

static int crew_begin(struct crew *crew)
{
    if (!crew->loop)
        crew->loop = bide__loop_ref(bide__loop_running);
    int rc = 0;
    for (; crew->n_begun < crew->n_workers && rc == 0; crew->n_begun += rc == 0)
        rc = worker_begin(&crew->workers[crew->n_begun]);
    return rc;
}

static void end_targets(const struct bide__coro *coro, struct bide__search *search)
{
    const struct crew *crew = coro->wait_data;
    for (size_t i = 0; i < crew->n_begun; i++)
        bide__search_visit(search, crew->workers[i].task);
}

/* Whoever can go on with a value of one of several does not wait for each of them. */
static void next_targets(const struct bide__coro *coro, struct bide__search *search)
{
    const struct crew *crew = coro->wait_data;
    if (crew->n_running == 1)
        end_targets(coro, search);
}

/* Whether nobody but tasks that wait for the caller could give it a value. */
static bool in_a_circle(const struct crew *crew, struct bide__coro *coro)
{
    for (size_t i = 0; i < crew->n_begun; i++) {
        bide_task *task = crew->workers[i].task;
        if (!task->done && !bide__waits_for(task, coro))
            return false;
    }
    return true;
}

static void next_interrupt(struct bide__coro *coro)
{
    struct crew *crew = coro->wait_data;
    crew->consumer = NULL;
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind next_wait = {
    .name = "next value of several", .interrupt = next_interrupt, .targets = next_targets};
/* A cancel changes nothing: the tasks were asked to end already. */
static const struct bide__wait_kind end_wait = {.name = "close of an iterator",
                                                .targets = end_targets};

/* Cancels the workers and waits for their end. */
static void crew_stop(struct crew *crew, struct bide__coro *coro)
{
    crew->stopped = true;
    for (size_t i = 0; i < crew->n_begun; i++)
        bide_cancel(crew->workers[i].task);
    while (crew->n_running > 0) {
        crew->consumer = coro;
        bide__park(coro, &end_wait, crew);
    }
}

/* Takes what the worker has: 1 and its value, or its error, which ends the others. */
static int crew_take(struct crew *crew, struct worker *worker, struct bide__coro *coro,
                     void *ret_item)
{
    bide__list_remove(&worker->node);
    if (worker->error == 0) {
        struct bide__coro *parked = worker->parked;
        memcpy(ret_item, worker->item, crew->iterator.item_size);
        worker->parked = NULL;
        bide__wake(parked, 0);
        return 1;
    }
    crew_stop(crew, coro);
    if (worker->words)
        bide__detail_take(worker->error, worker->words);
    worker->words = NULL;
    return worker->error;
}

static int crew_next(void *self, void *ret_item)
{
    struct crew *crew = self;
    struct bide__coro *coro;
    if (crew->stopped)
        return 0;
    int rc = bide__suspend(&coro);
    if (rc == 0 && crew->loop && crew->loop != coro->loop)
        rc = -EXDEV;
    if (rc == 0)
        rc = crew_begin(crew);
    while (rc == 0 && bide__list_empty(&crew->ready) && crew->n_running > 0) {
        if (in_a_circle(crew, coro))
            return -EDEADLK;
        crew->consumer = coro;
        rc = bide__park(coro, &next_wait, crew);
    }
    struct bide__list *node = bide__list_first(&crew->ready);
    if (rc < 0 || !node)
        return rc;
    return crew_take(crew, bide__container(node, struct worker, node), coro, ret_item);
}

static int crew_closable(const bide_iterator *iterator)
{
    const struct crew *crew = iterator->self;
    const struct bide__coro *coro = bide__coro_current();
    if (crew->n_running == 0)
        return 0;
    if (!coro)
        return -BIDE_ENOTASK;
    for (size_t i = 0; i < crew->n_begun; i++)
        if (crew->workers[i].task == coro->task)
            return -EDEADLK;
    return coro->loop == crew->loop ? 0 : -EXDEV;
}

static int crew_close(void *self)
{
    struct crew *crew = self;
    crew_stop(crew, bide__coro_current());
    for (size_t i = 0; i < crew->n_begun; i++) {
        bide__task_unref(crew->workers[i].task);
        free(crew->workers[i].words);
    }
    free(crew->items);
    if (crew->loop)
        bide__loop_unref(crew->loop);
    return 0;
}

static size_t aligned(size_t size)
{
    return (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
}

static bide_iterator *crew_new(const struct bide_iterator_kind *kind, size_t n_workers,
                               size_t item_size, bide_iterator *const *sources, size_t n, int error,
                               size_t source_item_size, struct crew **ret_crew)
{
    bide_iterator *spoiled;
    size_t room = aligned(item_size) + aligned(source_item_size);
    size_t size = 0;
    char *items = NULL;
    if (__builtin_mul_overflow(n_workers, sizeof(struct worker), &size))
        error = -ENOMEM;
    if (error == 0 && !(items = calloc(n_workers, room > 0 ? room : 1)))
        error = -ENOMEM;
    struct crew *crew = bide__flow_new(kind, sizeof *crew + size, item_size, sources, n, error,
                                       &spoiled);
    *ret_crew = crew;
    if (!crew) {
        free(items);
        return spoiled;
    }
    crew->iterator.closable = crew_closable;
    crew->items = items;
    crew->n_workers = n_workers;
    bide__list_init(&crew->ready);
    for (size_t i = 0; i < n_workers; i++) {
        struct worker *worker = &crew->workers[i];
        worker->crew = crew;
        worker->source = sources[n == 1 ? 0 : i];
        worker->item = items + i * room;
        worker->source_item = items + i * room + aligned(item_size);
        bide__list_init(&worker->node);
        bide__list_init(&worker->waiter.node);
    }
    return &crew->iterator;
}

bide_iterator *bide_merge(bide_iterator *const *sources, size_t n)
{
    static const struct bide_iterator_kind kind = {
        .name = "merge", .next = crew_next, .close = crew_close};
    struct crew *crew;
    if (n == 0)
        return NULL;
    size_t item_size = bide_iterator_item_size(sources[0]);
    bide_iterator *iterator = crew_new(&kind, n, item_size, sources, n,
                                       bide__flow_check(sources, n, item_size), 0, &crew);
    if (crew)
        crew->work = merge_work;
    return iterator;
}

bide_iterator *bide_flat_map(bide_iterator *source, size_t item_size, size_t n_max,
                             bide_flat_map_function *function, void *data)
{
    static const struct bide_iterator_kind kind = {
        .name = "flat_map", .next = crew_next, .close = crew_close};
    struct crew *crew;
    size_t source_item_size = bide_iterator_item_size(source);
    int rc = bide__flow_check(&source, 1, source_item_size);
    if (rc == 0 && (!function || n_max == 0))
        rc = -EINVAL;
    bide_iterator *iterator = crew_new(&kind, n_max, item_size, &source, 1, rc, source_item_size,
                                       &crew);
    if (!crew)
        return iterator;
    crew->work = flat_map_work;
    crew->function = function;
    crew->data = data;
    return iterator;
}
