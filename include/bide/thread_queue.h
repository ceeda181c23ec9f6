/*
 * A queue between threads and loops: plain threads put and get with a time limit, tasks of any loop
 * suspend as at a queue of their own.
 *
 * The rules are those of <bide/queue.h>: items are copied, order is first in, first out, and who
 * waits, thread or task, is served first come, first served. It is counted: each thread that uses
 * it should hold a reference of its own. A forked child must not use a queue of its parent's: who
 * waits for it there is still in its lines.
 */
#ifndef BIDE_THREAD_QUEUE_H
#define BIDE_THREAD_QUEUE_H

#include <bide/queue.h>

BIDE_BEGIN_DECLARATIONS

/* A queue between threads. */
typedef struct bide_thread_queue bide_thread_queue;

/* How a queue between threads is to be. Zeroed: BIDE_QUEUE_CAPACITY_DEFAULT items. */
struct bide_thread_queue_opts {
    size_t capacity; /* items that it holds; 0: the default; SIZE_MAX: no limit but memory */
    /* For each item that nobody got when the queue is shut down at once or its last reference goes;
     * on the thread where that happens. Must not suspend. */
    void (*drop)(void *item, void *data);
    void *data;
};

/*
 * Makes a queue between threads.
 *
 * item_size: bytes; > 0. opts: borrows until return; NULL for the defaults. ret_queue: returns
 * owned, for bide_thread_queue_unref(). Returns 0, -EINVAL, -ENOMEM. Suspends: no. Cancel: not
 * affected. Thread: any.
 */
BIDE_EXPORT int bide_thread_queue_new(size_t item_size, const struct bide_thread_queue_opts *opts,
                                      bide_thread_queue **ret_queue);

/*
 * Counts one more owner.
 *
 * Returns the same pointer.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_thread_queue *bide_thread_queue_ref(bide_thread_queue *queue);

/*
 * Gives a reference back; with the last one the queue goes, and what is in it is dropped.
 *
 * queue: takes; NULL is allowed. Nobody waits for a queue without a reference.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_thread_queue_unref(bide_thread_queue *queue);

/*
 * Puts an item, as a task; waits while the queue is full.
 *
 * item: copies.
 * Returns 0, -ESHUTDOWN if the queue was shut down before there was room, -ECANCELED, -EINVAL,
 * -ENOMEM, -BIDE_ENOTASK; with an error nothing was put. Suspends: yes. Cancel: nothing was put.
 * Thread: any loop's thread.
 */
BIDE_EXPORT int bide_thread_queue_put(bide_thread_queue *queue, const void *item);

/*
 * Gets the next item, as a task; waits while there is none.
 *
 * ret_item: item_size bytes.
 * Returns 0, -ESHUTDOWN if the queue was shut down and nothing is left, -ECANCELED, -EINVAL,
 * -ENOMEM, -BIDE_ENOTASK; with an error nothing was taken. Suspends: yes. Cancel: nothing was
 * taken. Thread: any loop's thread.
 */
BIDE_EXPORT int bide_thread_queue_get(bide_thread_queue *queue, void *ret_item);

/*
 * Puts an item; blocks the calling thread while the queue is full.
 *
 * item: copies. seconds: at most that long; 0 or less: not at all; infinity: for ever. Returns 0,
 * -ETIMEDOUT, -ESHUTDOWN, -EINVAL, -ENOMEM, -EDEADLK if it would block a thread on which a loop
 * runs. Suspends: no (it blocks the thread). Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_thread_queue_put_threadsafe(bide_thread_queue *queue, const void *item,
                                                 double seconds);

/*
 * Gets the next item; blocks the calling thread while there is none.
 *
 * ret_item: item_size bytes. seconds: at most that long; 0 or less: not at all; infinity: for ever.
 * Returns 0, -ETIMEDOUT, -ESHUTDOWN, -EINVAL, -EDEADLK if it would block a thread on which a loop
 * runs. Suspends: no (it blocks the thread). Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_thread_queue_get_threadsafe(bide_thread_queue *queue, void *ret_item,
                                                 double seconds);

/*
 * Puts an item if there is room.
 *
 * item: copies. Returns 0, -EAGAIN if the queue is full, -ESHUTDOWN, -EINVAL, -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_thread_queue_put_nowait(bide_thread_queue *queue, const void *item);

/*
 * Gets an item if there is one.
 *
 * ret_item: item_size bytes. Returns 0, -EAGAIN if there is none, -ESHUTDOWN, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_thread_queue_get_nowait(bide_thread_queue *queue, void *ret_item);

/*
 * How many items are in the queue at this moment; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT size_t bide_thread_queue_size(bide_thread_queue *queue);

/*
 * Ends the queue as bide_queue_shutdown() does.
 *
 * Returns 0, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_thread_queue_shutdown(bide_thread_queue *queue, enum bide_queue_end how);

BIDE_END_DECLARATIONS

#endif
