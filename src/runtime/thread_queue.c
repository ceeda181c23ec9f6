/*
 * Queues between threads and loops.
 *
 * As in a loop's queue, whoever makes something possible for one who waits does it for him there
 * and then: the item is copied to or from memory that belongs to the wait.
 *
 * Invariants
 *  - Everything but `refs` is under the lock. Under it a mailbox's lock may be taken; no user code
 * runs.
 *  - Who stands in a line waits: a thread in its call, a task of a loop that has not given it up.
 * So the loop's mailbox still takes posts, and a task that was served is always told.
 *  - An item that was given to a task that its loop gave up before it ran goes back to where it
 * came from: to the next one or the front of the queue.
 */
#include "runtime/blocking.h"
#include "runtime/coro.h"
#include "runtime/mailbox.h"
#include "runtime/store.h"

#include <bide/thread_queue.h>

#include <math.h>
#include <stdlib.h>

struct bide_thread_queue {
    atomic_uint refs;
    pthread_mutex_t lock;
    struct bide__store store;
    size_t capacity;
    struct bide__list getters; /* struct wait */
    struct bide__list putters;
    bool shut;
    bool ended; /* at once: what is put back is dropped */
    void (*drop)(void *item, void *data);
    void *data;
};

/* A thread's lies on its stack, a task's does not. */
struct wait {
    struct bide__list node;
    void *item; /* where the item goes or lies */
    bool served;
    int result;
    pthread_cond_t *changed; /* a thread's */
    struct task_wait *task;  /* or a task's */
};

struct task_wait {
    struct wait wait;
    struct bide__ready post;
    struct bide__mailbox *home;
    struct bide__coro *coro; /* NULL once its loop has given it up; on the loop's thread */
    bide_thread_queue *queue;
    bool gets;
    max_align_t item[];
};

int bide_thread_queue_new(size_t item_size, const struct bide_thread_queue_opts *opts,
                          bide_thread_queue **ret_queue)
{
    static const struct bide_thread_queue_opts defaults;
    if (!opts)
        opts = &defaults;
    if (item_size == 0 || item_size > PTRDIFF_MAX / 2 || !ret_queue)
        return -EINVAL;
    bide_thread_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return -ENOMEM;
    atomic_init(&queue->refs, 1);
    pthread_mutex_init(&queue->lock, NULL);
    queue->store.item_size = item_size;
    queue->capacity = opts->capacity > 0 ? opts->capacity : BIDE_QUEUE_CAPACITY_DEFAULT;
    bide__list_init(&queue->getters);
    bide__list_init(&queue->putters);
    queue->drop = opts->drop;
    queue->data = opts->data;
    *ret_queue = queue;
    return 0;
}

bide_thread_queue *bide_thread_queue_ref(bide_thread_queue *queue)
{
    if (queue)
        atomic_fetch_add_explicit(&queue->refs, 1, memory_order_relaxed);
    return queue;
}

/* Takes the items, which nobody else sees any more. */
static void drop_items(const bide_thread_queue *queue, struct bide__store *store)
{
    for (size_t i = 0; i < store->n && queue->drop; i++) {
        size_t at = (store->first + i) & (store->room - 1);
        queue->drop(store->items + at * store->item_size, queue->data);
    }
    bide__store_free(store);
}

void bide_thread_queue_unref(bide_thread_queue *queue)
{
    if (!queue || atomic_fetch_sub_explicit(&queue->refs, 1, memory_order_acq_rel) > 1)
        return;
    drop_items(queue, &queue->store);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

/* The first in the line has what it waited for, or the error. */
static void serve(struct bide__list *line, int result)
{
    struct wait *wait = bide__container(bide__list_pop(line), struct wait, node);
    wait->served = true;
    wait->result = result;
    if (wait->task) {
        int rc = bide__mailbox_post(wait->task->home, &wait->task->post);
        assert(rc == 0);
        (void)rc;
    } else {
        pthread_cond_signal(wait->changed);
    }
}

static void *first_item(const struct bide__list *line)
{
    return bide__container(line->next, struct wait, node)->item;
}

/* Under the lock, as the next two: 0, -EAGAIN, -ESHUTDOWN, -ENOMEM. */
static int put_now(bide_thread_queue *queue, const void *item)
{
    if (queue->shut)
        return -ESHUTDOWN;
    if (!bide__list_empty(&queue->getters)) {
        bide__item_copy(first_item(&queue->getters), item, queue->store.item_size);
        serve(&queue->getters, 0);
        return 0;
    }
    return queue->store.n < queue->capacity ? bide__store_push(&queue->store, item) : -EAGAIN;
}

static int get_now(bide_thread_queue *queue, void *ret_item)
{
    if (queue->store.n == 0)
        return queue->shut ? -ESHUTDOWN : -EAGAIN;
    bide__store_pop(&queue->store, ret_item);
    if (!bide__list_empty(&queue->putters) && queue->store.n < queue->capacity) {
        bide__store_push(&queue->store, first_item(&queue->putters)); /* there is memory for it */
        serve(&queue->putters, 0);
    }
    return 0;
}

static void put_back(bide_thread_queue *queue, void *item)
{
    bool kept = true;
    pthread_mutex_lock(&queue->lock);
    if (!bide__list_empty(&queue->getters)) {
        bide__item_copy(first_item(&queue->getters), item, queue->store.item_size);
        serve(&queue->getters, 0);
    } else {
        kept = !queue->ended && bide__store_put_back(&queue->store, item) == 0;
    }
    pthread_mutex_unlock(&queue->lock);
    if (!kept && queue->drop)
        queue->drop(item, queue->data);
}

static void task_wait_free(struct task_wait *wait)
{
    bide__mailbox_unref(wait->home);
    bide_thread_queue_unref(wait->queue);
    free(wait);
}

/* Its loop has given the task up. */
static void task_wait_lose(struct task_wait *wait)
{
    if (wait->gets && wait->wait.served && wait->wait.result == 0)
        put_back(wait->queue, wait->item);
    task_wait_free(wait);
}

static void task_told(struct bide__ready *ready)
{
    struct task_wait *wait = bide__container(ready, struct task_wait, post);
    if (wait->coro)
        bide__wake(wait->coro, wait->wait.result);
    else
        task_wait_lose(wait);
}

/* Out of the line, unless it was served already. */
static bool step_out(bide_thread_queue *queue, struct wait *wait)
{
    pthread_mutex_lock(&queue->lock);
    bool served = wait->served;
    if (!served)
        bide__list_remove(&wait->node);
    pthread_mutex_unlock(&queue->lock);
    return !served;
}

static void task_interrupt(struct bide__coro *coro)
{
    struct task_wait *wait = coro->wait_data;
    if (step_out(wait->queue, &wait->wait))
        bide__wake(coro, -ECANCELED);
}

static void task_abandon(struct bide__coro *coro)
{
    struct task_wait *wait = coro->wait_data;
    wait->coro = NULL;
    if (!coro->wait || step_out(wait->queue, &wait->wait)) /* else the post is on its way */
        task_wait_lose(wait);
}

static const struct bide__wait_kind put_wait = {.name = "thread queue put",
                                                .interrupt = task_interrupt};
static const struct bide__wait_kind get_wait = {.name = "thread queue get",
                                                .interrupt = task_interrupt};

static struct task_wait *task_wait_new(bide_thread_queue *queue, struct bide__coro *coro,
                                       const void *item)
{
    struct task_wait *wait = malloc(sizeof *wait + queue->store.item_size);
    if (!wait)
        return NULL;
    *wait = (struct task_wait){
        .wait.item = wait->item,
        .wait.task = wait,
        .post.run = task_told,
        .home = bide__mailbox_ref(coro->loop->mailbox),
        .coro = coro,
        .queue = bide_thread_queue_ref(queue),
        .gets = !item,
    };
    bide__list_init(&wait->wait.node);
    if (item)
        bide__item_copy(wait->item, item, queue->store.item_size);
    return wait;
}

/* Tries once more, now that there is memory for the wait, and gets in line if that is in vain. */
static int join_line(struct task_wait *wait, const void *item, void *ret_item)
{
    bide_thread_queue *queue = wait->queue;
    pthread_mutex_lock(&queue->lock);
    int rc = item ? put_now(queue, item) : get_now(queue, ret_item);
    if (rc == -EAGAIN)
        bide__list_append(item ? &queue->putters : &queue->getters, &wait->wait.node);
    pthread_mutex_unlock(&queue->lock);
    return rc;
}

static int task_waits(bide_thread_queue *queue, struct bide__coro *coro, const void *item,
                      void *ret_item)
{
    struct task_wait *wait = task_wait_new(queue, coro, item);
    if (!wait)
        return -ENOMEM;
    int rc = join_line(wait, item, ret_item);
    if (rc == -EAGAIN) {
        coro->abandon = task_abandon;
        rc = bide__park(coro, item ? &put_wait : &get_wait, wait);
        coro->abandon = NULL;
        if (rc == 0 && ret_item)
            bide__item_copy(ret_item, wait->item, queue->store.item_size);
    }
    task_wait_free(wait);
    return rc;
}

int bide_thread_queue_put_nowait(bide_thread_queue *queue, const void *item)
{
    if (!queue || !item)
        return -EINVAL;
    pthread_mutex_lock(&queue->lock);
    int rc = put_now(queue, item);
    pthread_mutex_unlock(&queue->lock);
    return rc;
}

int bide_thread_queue_get_nowait(bide_thread_queue *queue, void *ret_item)
{
    if (!queue || !ret_item)
        return -EINVAL;
    pthread_mutex_lock(&queue->lock);
    int rc = get_now(queue, ret_item);
    pthread_mutex_unlock(&queue->lock);
    return rc;
}

int bide_thread_queue_put(bide_thread_queue *queue, const void *item)
{
    struct bide__coro *coro;
    if (!queue || !item)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = bide_thread_queue_put_nowait(queue, item);
    return rc == -EAGAIN ? task_waits(queue, coro, item, NULL) : rc;
}

int bide_thread_queue_get(bide_thread_queue *queue, void *ret_item)
{
    struct bide__coro *coro;
    if (!queue || !ret_item)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = bide_thread_queue_get_nowait(queue, ret_item);
    return rc == -EAGAIN ? task_waits(queue, coro, NULL, ret_item) : rc;
}

/* Under the lock. `item` is written to only if the wait is in the line of those who get. */
static int thread_waits(bide_thread_queue *queue, struct bide__list *line, void *item,
                        double seconds)
{
    pthread_cond_t changed;
    struct timespec until = bide__blocking_until(seconds);
    bide__blocking_init(&changed);
    struct wait wait = {.item = item, .changed = &changed};
    bide__list_append(line, &wait.node);
    int rc = 0;
    while (!wait.served && rc == 0)
        rc = pthread_cond_timedwait(&changed, &queue->lock, &until);
    bide__list_remove(&wait.node);
    pthread_cond_destroy(&changed);
    return wait.served ? wait.result : -rc;
}

/* Under the lock: `rc` is what came of the attempt without waiting. */
static int block(bide_thread_queue *queue, int rc, struct bide__list *line, void *item,
                 double seconds)
{
    if (rc != -EAGAIN)
        return rc;
    if (seconds <= 0)
        return -ETIMEDOUT;
    return bide__loop_running ? -EDEADLK : thread_waits(queue, line, item, seconds);
}

int bide_thread_queue_put_threadsafe(bide_thread_queue *queue, const void *item, double seconds)
{
    if (!queue || !item || isnan(seconds))
        return -EINVAL;
    pthread_mutex_lock(&queue->lock);
    int rc = block(queue, put_now(queue, item), &queue->putters, (void *)(uintptr_t)item, seconds);
    pthread_mutex_unlock(&queue->lock);
    return rc;
}

int bide_thread_queue_get_threadsafe(bide_thread_queue *queue, void *ret_item, double seconds)
{
    if (!queue || !ret_item || isnan(seconds))
        return -EINVAL;
    pthread_mutex_lock(&queue->lock);
    int rc = block(queue, get_now(queue, ret_item), &queue->getters, ret_item, seconds);
    pthread_mutex_unlock(&queue->lock);
    return rc;
}

size_t bide_thread_queue_size(bide_thread_queue *queue)
{
    if (!queue)
        return 0;
    pthread_mutex_lock(&queue->lock);
    size_t n = queue->store.n;
    pthread_mutex_unlock(&queue->lock);
    return n;
}

int bide_thread_queue_shutdown(bide_thread_queue *queue, enum bide_queue_end how)
{
    if (!queue || (unsigned)how > BIDE_AT_ONCE)
        return -EINVAL;
    struct bide__store dropped = {0};
    pthread_mutex_lock(&queue->lock);
    queue->shut = true;
    while (!bide__list_empty(&queue->putters))
        serve(&queue->putters, -ESHUTDOWN);
    while (!bide__list_empty(&queue->getters))
        serve(&queue->getters, -ESHUTDOWN);
    if (how == BIDE_AT_ONCE) {
        queue->ended = true;
        dropped = bide__store_take(&queue->store);
    }
    pthread_mutex_unlock(&queue->lock);
    drop_items(queue, &dropped);
    return 0;
}
