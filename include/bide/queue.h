/*
 * Queues between the tasks of one loop: what one puts, another gets, and who is too fast waits.
 *
 *     BIDE_QUEUE_DEFINE(orders, struct order);
 *
 *     bide_async(cook, (orders *, queue))
 *     {
 *         struct order order;
 *         int rc;
 *         while ((rc = orders_get(queue, &order)) == 0) {
 *             rc = prepare(&order);
 *             orders_task_done(queue);
 *         }
 *         return rc == -ESHUTDOWN ? 0 : rc;
 *     }
 *
 * Items are copied in and out. Whoever waits is served first come, first served, and nobody who
 * comes later gets between: an item belongs to the one who waited from the moment when it is put,
 * and a waiting put is done from the moment when there is room. A cancel that comes after that
 * changes nothing, the call returns 0; one that comes before has left everything as it was.
 *
 * A queue may be made before any loop runs, and outlive loops. It belongs to one thread at a time;
 * between threads there is <bide/thread_queue.h>.
 */
#ifndef BIDE_QUEUE_H
#define BIDE_QUEUE_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* A queue of items of one size. */
typedef struct bide_queue bide_queue;

/* Which item is the next. */
enum bide_queue_order {
    BIDE_FIFO,     /* the one that was put first */
    BIDE_LIFO,     /* the one that was put last */
    BIDE_PRIORITY, /* the one that compare() puts first; of equal ones, the one put first */
};

/* Limits that hold if the options don't say. */
enum {
    BIDE_QUEUE_CAPACITY_DEFAULT = 1024, /* items in a queue */
};

/* How a queue is to be. Zeroed: a FIFO of BIDE_QUEUE_CAPACITY_DEFAULT items. */
struct bide_queue_opts {
    size_t capacity; /* items that it holds; 0: the default; SIZE_MAX: no limit but memory */
    enum bide_queue_order order;
    /* Holds nothing: each put waits for its get, as with an unbuffered channel. `capacity` is 0. */
    bool rendezvous;
    /* For BIDE_PRIORITY: < 0 if `left` is to come before `right`, 0 if they are equal. Must not
     * use the queue. */
    int (*compare)(const void *left, const void *right, void *data);
    /* For each item that is in the queue when it is freed or shut down at once. The item is out of
     * the queue by then. Must not suspend. */
    void (*drop)(void *item, void *data);
    void *data; /* for both */
};

/* How to shut a queue down. */
enum bide_queue_end {
    BIDE_DRAIN,   /* what is in the queue may still be got */
    BIDE_AT_ONCE, /* what is in the queue is dropped */
};

/*
 * Makes a queue.
 *
 * item_size: bytes; > 0. opts: borrows until return; NULL for the defaults. ret_queue: returns
 * owned, for bide_queue_free(). Returns 0, -EINVAL (also BIDE_PRIORITY without compare, a
 * rendezvous with a capacity or with another order than FIFO), -ENOMEM. Suspends: no. Cancel: not
 * affected. Thread: any.
 */
BIDE_EXPORT int bide_queue_new(size_t item_size, const struct bide_queue_opts *opts,
                               bide_queue **ret_queue);

/*
 * Frees a queue. What is in it is dropped; who waits for it gets -ESHUTDOWN.
 *
 * queue: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_queue_free(bide_queue *queue);

/*
 * Puts an item; waits while the queue is full.
 *
 * item: copies.
 * Returns 0, -ESHUTDOWN if the queue was shut down before there was room, -ECANCELED, -EINVAL,
 * -ENOMEM, -BIDE_ENOTASK; with an error nothing was put. Suspends: yes. Cancel: nothing was put.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_queue_put(bide_queue *queue, const void *item);

/*
 * Gets the next item; waits while there is none.
 *
 * ret_item: item_size bytes.
 * Returns 0, -ESHUTDOWN if the queue was shut down and nothing is left, -ECANCELED, -EINVAL,
 * -ENOMEM, -BIDE_ENOTASK; with an error nothing was taken. Suspends: yes. Cancel: nothing was
 * taken. Thread: loop thread only.
 */
BIDE_EXPORT int bide_queue_get(bide_queue *queue, void *ret_item);

/*
 * Like bide_queue_put() without waiting; also outside tasks.
 *
 * item: copies. Returns 0, -EAGAIN if the queue is full, -ESHUTDOWN, -EINVAL, -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_queue_put_nowait(bide_queue *queue, const void *item);

/*
 * Like bide_queue_get() without waiting; also outside tasks.
 *
 * ret_item: item_size bytes. Returns 0, -EAGAIN if there is none, -ESHUTDOWN, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_queue_get_nowait(bide_queue *queue, void *ret_item);

/*
 * How many items are in the queue, those of waiting puts and those that a waiting get was given not
 * counted; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_queue_size(const bide_queue *queue);

/*
 * Whether there is no room for a put now; false for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_queue_full(const bide_queue *queue);

/*
 * Whether there is nothing to get now; true for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_queue_empty(const bide_queue *queue);

/*
 * Says that an item that was got has been dealt with: bide_queue_join() waits for one such call per
 * item put.
 *
 * Returns 0, -EINVAL if every item was dealt with already (changes nothing).
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_queue_task_done(bide_queue *queue);

/*
 * Waits until every item that was put has been dealt with, see bide_queue_task_done().
 *
 * Returns 0, -ESHUTDOWN if the queue was freed meanwhile, -ECANCELED, -EINVAL, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the wait ends. Thread: loop thread only.
 */
BIDE_EXPORT int bide_queue_join(bide_queue *queue);

/*
 * Ends the queue: puts fail with -ESHUTDOWN from now on, those that wait as well (their items stay
 * the caller's), and so do gets once nothing is left.
 *
 * how: BIDE_AT_ONCE also drops what is in the queue, and counts it as dealt with. A drain may be
 * followed by that. Returns 0, -EINVAL. Suspends: no. Cancel: not affected. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_queue_shutdown(bide_queue *queue, enum bide_queue_end how);

/*
 * BIDE_QUEUE_DEFINE(name, type): a queue of `type`, which is copied as its bytes: the type `name`,
 * and of the calls above, name_new(opts, &queue), name_put(queue, item), name_get(queue, &item) and
 * so forth. name_untyped(queue) is the same queue for calls that take any.
 */
#define BIDE_QUEUE_DEFINE(name, type) \
    typedef struct name name; \
    BIDE__QUEUE_CALL bide_queue *name##_untyped(const name *bide__queue) \
    { \
        return (bide_queue *)(uintptr_t)bide__queue; \
    } \
    BIDE__QUEUE_CALL int name##_new(const struct bide_queue_opts *bide__opts, name **bide__ret) \
    { \
        return bide__queue_new(sizeof(type), bide__opts, bide__ret); \
    } \
    BIDE__QUEUE_CALL void name##_free(name *bide__queue) \
    { \
        bide_queue_free(name##_untyped(bide__queue)); \
    } \
    BIDE__QUEUE_CALL int name##_put(name *bide__queue, type bide__item) \
    { \
        return bide_queue_put(name##_untyped(bide__queue), &bide__item); \
    } \
    BIDE__QUEUE_CALL int name##_get(name *bide__queue, type *bide__ret) \
    { \
        return bide_queue_get(name##_untyped(bide__queue), bide__ret); \
    } \
    BIDE__QUEUE_CALL int name##_put_nowait(name *bide__queue, type bide__item) \
    { \
        return bide_queue_put_nowait(name##_untyped(bide__queue), &bide__item); \
    } \
    BIDE__QUEUE_CALL int name##_get_nowait(name *bide__queue, type *bide__ret) \
    { \
        return bide_queue_get_nowait(name##_untyped(bide__queue), bide__ret); \
    } \
    BIDE__QUEUE_CALL size_t name##_size(const name *bide__queue) \
    { \
        return bide_queue_size(name##_untyped(bide__queue)); \
    } \
    BIDE__QUEUE_CALL bool name##_full(const name *bide__queue) \
    { \
        return bide_queue_full(name##_untyped(bide__queue)); \
    } \
    BIDE__QUEUE_CALL bool name##_empty(const name *bide__queue) \
    { \
        return bide_queue_empty(name##_untyped(bide__queue)); \
    } \
    BIDE__QUEUE_CALL int name##_task_done(name *bide__queue) \
    { \
        return bide_queue_task_done(name##_untyped(bide__queue)); \
    } \
    BIDE__QUEUE_CALL int name##_join(name *bide__queue) \
    { \
        return bide_queue_join(name##_untyped(bide__queue)); \
    } \
    BIDE__QUEUE_CALL int name##_shutdown(name *bide__queue, enum bide_queue_end bide__how_) \
    { \
        return bide_queue_shutdown(name##_untyped(bide__queue), bide__how_); \
    } \
    struct name

/* `ret_queue` is a pointer to a pointer to a queue of any type. Suspends: no. Cancel: not affected.
 * Thread: any. */
BIDE_EXPORT int bide__queue_new(size_t item_size, const struct bide_queue_opts *opts,
                                void *ret_queue);

#define BIDE__QUEUE_CALL __attribute__((unused)) static inline

BIDE_END_DECLARATIONS

#endif
