/*
 * Waiting for the first of several things: an item of a queue, room in another, a permit or a lock,
 * an event, the end of a task, a point in time.
 *
 *     struct order order;
 *     struct bide_case cases[] = {
 *         bide_case_done(stop),
 *         bide_case_get(orders_untyped(queue), &order),
 *         bide_case_until(deadline),
 *     };
 *     switch (bide_select(cases, 3)) { ... }
 *
 * Exactly one of the cases happens, as if its own call had been made; nothing is taken from, put
 * into or changed about the others. If several are possible at once, the first in the array
 * happens: what must not be kept waiting by a busy case stands before it. While none is possible
 * the task stands in every line at once, with the same right as others.
 */
#ifndef BIDE_SELECT_H
#define BIDE_SELECT_H

#include <bide/event.h>
#include <bide/lock.h>
#include <bide/queue.h>
#include <bide/semaphore.h>
#include <bide/task.h>

BIDE_BEGIN_DECLARATIONS

/* What a case waits for. */
enum bide_case_kind {
    BIDE_CASE_NEVER,   /* nothing: a place in the array that is not in use */
    BIDE_CASE_GET,     /* an item of a queue */
    BIDE_CASE_PUT,     /* room in a queue */
    BIDE_CASE_ACQUIRE, /* a semaphore's permit */
    BIDE_CASE_LOCK,    /* a lock */
    BIDE_CASE_EVENT,   /* an event */
    BIDE_CASE_DONE,    /* a task's or future's result */
    BIDE_CASE_UNTIL,   /* a point in time */
};

/* One of the things that a task waits for; made by the functions below. */
struct bide_case {
    enum bide_case_kind kind;
    int result;   /* of the case that happened: 0, or the error of its call, such as -ESHUTDOWN */
    void *object; /* borrowed until bide_select() returns */
    void *ret_item;
    const void *item;
    double deadline;
};

/*
 * The case of bide_queue_get().
 *
 * queue: borrows; NULL for a case that never happens. ret_item: set if the case happens.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
static inline struct bide_case bide_case_get(bide_queue *queue, void *ret_item)
{
    struct bide_case one = {queue ? BIDE_CASE_GET : BIDE_CASE_NEVER, 0, queue, ret_item, NULL, 0};
    return one;
}

/*
 * The case of bide_queue_put().
 *
 * queue: borrows; NULL for a case that never happens. item: copied if the case happens, or before
 * bide_select() waits.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
static inline struct bide_case bide_case_put(bide_queue *queue, const void *item)
{
    struct bide_case one = {queue ? BIDE_CASE_PUT : BIDE_CASE_NEVER, 0, queue, NULL, item, 0};
    return one;
}

/*
 * The case of bide_semaphore_acquire(): the caller has a permit if it happens.
 *
 * semaphore: borrows; NULL for a case that never happens.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
static inline struct bide_case bide_case_acquire(bide_semaphore *semaphore)
{
    struct bide_case one = {
        semaphore ? BIDE_CASE_ACQUIRE : BIDE_CASE_NEVER, 0, semaphore, NULL, NULL, 0};
    return one;
}

/*
 * The case of bide_lock_acquire(): the caller holds the lock if it happens.
 *
 * lock: borrows; NULL for a case that never happens.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
static inline struct bide_case bide_case_lock(bide_lock *lock)
{
    struct bide_case one = {lock ? BIDE_CASE_LOCK : BIDE_CASE_NEVER, 0, lock, NULL, NULL, 0};
    return one;
}

/*
 * The case of bide_event_wait().
 *
 * event: borrows; NULL for a case that never happens.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
static inline struct bide_case bide_case_event(bide_event *event)
{
    struct bide_case one = {event ? BIDE_CASE_EVENT : BIDE_CASE_NEVER, 0, event, NULL, NULL, 0};
    return one;
}

/*
 * The case that a task or future is done. It is started if need be; its result is not read.
 *
 * task: borrows; NULL for a case that never happens.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
static inline struct bide_case bide_case_done(bide_task *task)
{
    struct bide_case one = {task ? BIDE_CASE_DONE : BIDE_CASE_NEVER, 0, task, NULL, NULL, 0};
    return one;
}

/*
 * The case that a point of bide_time() has come; infinity for never.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
static inline struct bide_case bide_case_until(double deadline)
{
    struct bide_case one = {BIDE_CASE_UNTIL, 0, NULL, NULL, NULL, deadline};
    return one;
}

/*
 * The case that some seconds have passed, counted from this call.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
static inline struct bide_case bide_case_after(double seconds)
{
    return bide_case_until(bide_time() + seconds);
}

/*
 * Waits until one of the cases can happen, and does it.
 *
 * cases: n, borrows until return; `result` is set in the one that happened. Returns its index,
 * also if its own result is an error; -ENOENT if none can ever happen; -ECANCELED, -EINVAL (also n
 * = 0, or an object on the caller's own copied stack that it had to wait for, see bide/loop.h),
 * -ENOMEM, -BIDE_ENOTASK; -EXDEV for another loop's task; -EDEADLK for the caller itself, for a
 * lock that it holds, or if only tasks that wait for the caller could end the wait. Suspends: yes.
 * Cancel: nothing happened. Thread: loop thread only.
 */
BIDE_EXPORT int bide_select(struct bide_case *cases, size_t n);

/*
 * Does the first of the cases that can happen now; also outside tasks, unless there is a lock.
 *
 * cases: n, borrows until return. Returns as bide_select(), or -EAGAIN if none can.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_select_nowait(struct bide_case *cases, size_t n);

BIDE_END_DECLARATIONS

#endif
