/*
 * Waiting for the first of several things.
 *
 * Invariants
 *  - Everything that can fail is done before the task stands in any line: the places, and a slot in
 * each queue. They lie off the stack and go when the call returns.
 *  - Whoever gives to one of the places takes the others out of their lines in the same moment, so
 * that nobody can give to a second one; a cancel takes all of them out.
 *  - No place of the select itself is in a line while it looks for a case that is possible, so that
 * it never meets itself.
 */
#include "base/time.h"
#include "runtime/coro.h"
#include "runtime/lock.h"
#include "runtime/queue.h"

#include <bide/select.h>

#include <limits.h>
#include <math.h>
#include <stdlib.h>

struct select;

struct place {
    union { /* both begin with the node */
        struct bide__in_line in_line;
        struct bide__waiter waiter;
    };
    struct select *select;
    enum bide_case_kind kind;
    void *object;
};

struct select {
    struct bide__coro *coro;
    int result; /* of the case that happened */
    size_t n;
    size_t soonest; /* the UNTIL case with the first deadline; n if there is none */
    struct place places[];
};

/* What a kind of cases does. Those that are NULL do nothing. */
struct kind {
    /* 0, or why the case makes no sense. */
    int (*check)(const struct bide_case *one);
    /* Does it, and returns its result; -EAGAIN if it is not possible now, -ENOMEM. */
    int (*now)(const struct bide_case *one);
    /* Gets the memory that the wait needs: 0 or -ENOMEM. */
    int (*prepare)(struct place *place, const struct bide_case *one);
    /* Gets in line. */
    void (*join)(struct place *place);
    /* Gives the memory back; `happened` is the case if it is the one that did. The place is in no
     * line. */
    void (*finish)(struct place *place, const struct bide_case *happened);
};

/* The place has been given what it waits for. */
static void happen(struct place *place, int result)
{
    struct select *select = place->select;
    for (size_t i = 0; i < select->n; i++)
        bide__list_remove(&select->places[i].in_line.node);
    bide__timer_cancel(select->coro->loop->timers, &select->coro->timer);
    select->result = result;
    bide__wake(select->coro, (int)(place - select->places));
}

static void given(struct bide__in_line *in_line, int result)
{
    happen(bide__container(in_line, struct place, in_line), result);
}

static void line_join(struct bide__line *line, struct place *place)
{
    place->in_line.given = given;
    bide__line_join(line, &place->in_line);
}

static int get_check(const struct bide_case *one)
{
    return one->object && one->ret_item ? 0 : -EINVAL;
}

static int get_now(const struct bide_case *one)
{
    return bide__queue_get_now(one->object, one->ret_item);
}

static int get_prepare(struct place *place, const struct bide_case *one)
{
    place->in_line.item = bide__queue_slot_take(one->object);
    return place->in_line.item ? 0 : -ENOMEM;
}

static void get_join(struct place *place)
{
    bide_queue *queue = place->object;
    line_join(&queue->getters, place);
}

static void get_finish(struct place *place, const struct bide_case *happened)
{
    bide_queue *queue = place->object;
    if (happened && place->select->result == 0)
        bide__item_copy(happened->ret_item, place->in_line.item, queue->store.item_size);
    bide__queue_slot_give(queue, place->in_line.item);
}

static int put_check(const struct bide_case *one)
{
    return one->object && one->item ? 0 : -EINVAL;
}

static int put_now(const struct bide_case *one)
{
    return bide__queue_put_now(one->object, one->item);
}

static int put_prepare(struct place *place, const struct bide_case *one)
{
    bide_queue *queue = one->object;
    place->in_line.item = bide__queue_slot_take(queue);
    if (!place->in_line.item)
        return -ENOMEM;
    bide__item_copy(place->in_line.item, one->item, queue->store.item_size);
    return 0;
}

static void put_join(struct place *place)
{
    bide_queue *queue = place->object;
    line_join(&queue->putters, place);
}

static void put_finish(struct place *place, const struct bide_case *happened)
{
    (void)happened;
    bide__queue_slot_give(place->object, place->in_line.item);
}

static int object_check(const struct bide_case *one)
{
    return one->object ? 0 : -EINVAL;
}

static int acquire_now(const struct bide_case *one)
{
    return bide_semaphore_try(one->object);
}

static void acquire_join(struct place *place)
{
    bide_semaphore *semaphore = place->object;
    line_join(&semaphore->line, place);
}

static int event_now(const struct bide_case *one)
{
    return bide_event_is_set(one->object) ? 0 : -EAGAIN;
}

static void event_join(struct place *place)
{
    bide_event *event = place->object;
    line_join(&event->line, place);
}

static int lock_check(const struct bide_case *one)
{
    const struct bide__coro *coro = bide__coro_current();
    if (!one->object)
        return -EINVAL;
    if (!coro)
        return -BIDE_ENOTASK;
    return bide__lock_held_by(one->object, coro) ? -EDEADLK : 0;
}

static int lock_now(const struct bide_case *one)
{
    return bide_lock_try(one->object);
}

static void lock_given(struct bide__in_line *in_line, int result)
{
    struct place *place = bide__container(in_line, struct place, in_line);
    bide_lock *lock = place->object;
    lock->owner = place->select->coro->task->number;
    happen(place, result);
}

static void lock_join(struct place *place)
{
    bide_lock *lock = place->object;
    line_join(&lock->line, place);
    place->in_line.given = lock_given;
}

static int done_check(const struct bide_case *one)
{
    const bide_task *task = one->object;
    const struct bide__coro *coro = bide__coro_current();
    if (!task)
        return -EINVAL;
    if (coro && task->loop != coro->loop && !task->loop->closed)
        return -EXDEV;
    return coro && task == coro->task ? -EDEADLK : 0;
}

static int done_now(const struct bide_case *one)
{
    return bide_task_done(one->object) ? 0 : -EAGAIN;
}

static void task_done(struct bide__waiter *waiter, bide_task *task)
{
    (void)task;
    happen(bide__container(waiter, struct place, waiter), 0);
}

static void done_join(struct place *place)
{
    bide_start(place->object);
    place->waiter.notify = task_done;
    bide__task_wait(place->object, &place->waiter);
}

static int until_check(const struct bide_case *one)
{
    return isnan(one->deadline) ? -EINVAL : 0;
}

static int until_now(const struct bide_case *one)
{
    const bide_loop *loop = bide__loop_running;
    if (!loop || isinf(one->deadline) > 0)
        return -EAGAIN;
    return bide__loop_now_ns(loop) >= bide__seconds_to_ns(one->deadline) ? 0 : -EAGAIN;
}

static const struct kind kinds[] = {
    [BIDE_CASE_NEVER] = {0},
    [BIDE_CASE_GET] = {get_check, get_now, get_prepare, get_join, get_finish},
    [BIDE_CASE_PUT] = {put_check, put_now, put_prepare, put_join, put_finish},
    [BIDE_CASE_ACQUIRE] = {.check = object_check, .now = acquire_now, .join = acquire_join},
    [BIDE_CASE_LOCK] = {.check = lock_check, .now = lock_now, .join = lock_join},
    [BIDE_CASE_EVENT] = {.check = object_check, .now = event_now, .join = event_join},
    [BIDE_CASE_DONE] = {.check = done_check, .now = done_now, .join = done_join},
    [BIDE_CASE_UNTIL] = {.check = until_check, .now = until_now}, /* all share the task's timer */
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void select_over(struct bide__timer *timer)
{
    struct bide__coro *coro = bide__container(timer, struct bide__coro, timer);
    struct select *select = coro->wait_data;
    happen(&select->places[select->soonest], 0);
}

static void leave_lines(struct select *select)
{
    for (size_t i = 0; i < select->n; i++)
        bide__list_remove(&select->places[i].in_line.node);
    bide__timer_cancel(select->coro->loop->timers, &select->coro->timer);
}

/* Gives back what the first `n` places have. */
static void select_free(struct select *select, size_t n, const struct bide_case *cases, int index)
{
    for (size_t i = 0; i < n; i++) {
        const struct kind *kind = &kinds[select->places[i].kind];
        if (kind->finish)
            kind->finish(&select->places[i], (int)i == index ? &cases[i] : NULL);
    }
    free(select);
}

static int select_new(struct bide__coro *coro, const struct bide_case *cases, size_t n,
                      struct select **ret_select)
{
    struct select *select = malloc(sizeof *select + n * sizeof *select->places);
    if (!select)
        return -ENOMEM;
    *select = (struct select){.coro = coro, .n = n, .soonest = n};
    for (size_t i = 0; i < n; i++) {
        const struct kind *kind = &kinds[cases[i].kind];
        struct place *place = &select->places[i];
        *place = (struct place){.select = select, .kind = cases[i].kind, .object = cases[i].object};
        bide__list_init(&place->in_line.node);
        if (cases[i].kind == BIDE_CASE_UNTIL && !isinf(cases[i].deadline) &&
            (select->soonest == n || cases[i].deadline < cases[select->soonest].deadline))
            select->soonest = i;
        if (kind->prepare && kind->prepare(place, &cases[i]) < 0) {
            select_free(select, i, NULL, -1);
            return -ENOMEM;
        }
    }
    *ret_select = select;
    return 0;
}

static void select_interrupt(struct bide__coro *coro)
{
    leave_lines(coro->wait_data);
    bide__wake(coro, -ECANCELED);
}

/* A permit or lock that it was given stays its own, like those of every task that never ends. */
static void select_abandon(struct bide__coro *coro)
{
    struct select *select = coro->wait_data;
    leave_lines(select);
    if (!coro->wait && coro->wake_result >= 0 && select->result == 0) {
        const struct place *place = &select->places[coro->wake_result];
        if (place->kind == BIDE_CASE_GET)
            bide__queue_put_back(place->object, place->in_line.item);
    }
    select_free(select, select->n, NULL, -1);
}

/* The task that alone can end the wait. */
static void select_targets(const struct bide__coro *coro, struct bide__search *search)
{
    const struct select *select = coro->wait_data;
    for (size_t i = 0; i < select->n; i++)
        if (select->places[i].kind == BIDE_CASE_DONE)
            bide__search_visit(search, select->places[i].object);
}

static const struct bide__wait_kind select_wait = {
    .name = "select", .interrupt = select_interrupt, .timed = true};
static const struct bide__wait_kind task_wait = {
    .name = "select", .interrupt = select_interrupt, .targets = select_targets, .timed = true};

static int check(const struct bide_case *cases, size_t n)
{
    bool any = false;
    if (!cases || n == 0 || n > INT_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned)cases[i].kind >= N_KINDS)
            return -EINVAL;
        const struct kind *kind = &kinds[cases[i].kind];
        int rc = kind->check ? kind->check(&cases[i]) : 0;
        if (rc < 0)
            return rc;
        any = any || kind->check;
    }
    return any ? 0 : -ENOENT;
}

/* The index of the first that is possible, which is done; -EAGAIN, -ENOMEM. */
static int first_possible(struct bide_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct kind *kind = &kinds[cases[i].kind];
        int rc = kind->now ? kind->now(&cases[i]) : -EAGAIN;
        if (rc == -ENOMEM)
            return rc;
        if (rc != -EAGAIN) {
            cases[i].result = rc;
            return (int)i;
        }
    }
    return -EAGAIN;
}

int bide_select_nowait(struct bide_case *cases, size_t n)
{
    int rc = check(cases, n);
    return rc < 0 ? rc : first_possible(cases, n);
}

/* Whether the case can ever happen. */
static bool is_live(const struct bide_case *one)
{
    return one->kind != BIDE_CASE_NEVER && !(one->kind == BIDE_CASE_UNTIL && isinf(one->deadline));
}

/* Which of the two waits it is: whoever can go on with one of several things does not wait for each
 * of them. -EDEADLK if nothing but tasks that wait for the caller can end it. */
static int wait_kind(struct bide__coro *coro, const struct bide_case *cases, size_t n,
                     const struct bide__wait_kind **ret_kind)
{
    size_t n_live = 0;
    size_t n_tasks = 0;
    size_t n_circles = 0;
    for (size_t i = 0; i < n; i++) {
        n_live += is_live(&cases[i]);
        n_tasks += cases[i].kind == BIDE_CASE_DONE;
    }
    for (size_t i = 0; i < n && n_tasks == n_live; i++)
        n_circles += cases[i].kind == BIDE_CASE_DONE && bide__waits_for(cases[i].object, coro);
    *ret_kind = n_tasks == 1 && n_live == 1 ? &task_wait : &select_wait;
    return n_live > 0 && n_circles == n_live ? -EDEADLK : 0;
}

static int lend_objects(struct bide__coro *coro, const struct bide_case *cases, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = bide__lend(coro, cases[i].object);
    return rc;
}

static int wait_for_one(struct bide__coro *coro, struct bide_case *cases, size_t n)
{
    const struct bide__wait_kind *wait;
    struct select *select;
    int rc = wait_kind(coro, cases, n, &wait);
    if (rc == 0)
        rc = lend_objects(coro, cases, n);
    if (rc == 0)
        rc = select_new(coro, cases, n, &select);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (kinds[cases[i].kind].join)
            kinds[cases[i].kind].join(&select->places[i]);
    if (select->soonest < n) {
        coro->timer.expired = select_over;
        bide__timer_set(coro->loop->timers, &coro->timer,
                        bide__seconds_to_ns(cases[select->soonest].deadline));
    }
    coro->abandon = select_abandon;
    rc = bide__park(coro, wait, select);
    coro->abandon = NULL;
    if (rc >= 0)
        cases[rc].result = select->result;
    select_free(select, n, cases, rc);
    return rc;
}

int bide_select(struct bide_case *cases, size_t n)
{
    struct bide__coro *coro;
    int rc = check(cases, n);
    if (rc < 0)
        return rc;
    rc = bide__suspend(&coro);
    if (rc == 0)
        rc = first_possible(cases, n);
    return rc == -EAGAIN ? wait_for_one(coro, cases, n) : rc;
}
