/* Queues. The invariants stand in queue.h. */
#include "runtime/queue.h"

#include <stdlib.h>

struct bide__slot {
    struct bide__slot *next;
};

/* Slots that were allocated together. */
struct bide__slots {
    struct bide__slots *next;
    max_align_t bytes[];
};

enum { SLOTS_MIN = 2 };

static int check(const struct bide_queue_opts *opts)
{
    switch (opts->order) {
    case BIDE_FIFO:
        return opts->rendezvous && opts->capacity > 0 ? -EINVAL : 0;
    case BIDE_LIFO:
        return opts->rendezvous ? -EINVAL : 0;
    case BIDE_PRIORITY:
        return opts->rendezvous || !opts->compare ? -EINVAL : 0;
    }
    return -EINVAL;
}

int bide__queue_new(size_t item_size, const struct bide_queue_opts *opts, void *ret_queue)
{
    static const struct bide_queue_opts defaults;
    if (!opts)
        opts = &defaults;
    if (item_size == 0 || !ret_queue || check(opts) < 0)
        return -EINVAL;
    bide_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return -ENOMEM;
    queue->store.item_size = item_size;
    queue->store.order = opts->order;
    queue->store.compare = opts->compare;
    queue->store.data = opts->data;
    if (!opts->rendezvous)
        queue->capacity = opts->capacity > 0 ? opts->capacity : BIDE_QUEUE_CAPACITY_DEFAULT;
    bide__line_init(&queue->getters);
    bide__line_init(&queue->putters);
    bide__line_init(&queue->joiners);
    queue->drop = opts->drop;
    queue->data = opts->data;
    memcpy(ret_queue, &queue, sizeof queue); /* all pointers to structures look the same */
    return 0;
}

int bide_queue_new(size_t item_size, const struct bide_queue_opts *opts, bide_queue **ret_queue)
{
    return bide__queue_new(item_size, opts, ret_queue);
}

/* As many more as there are. */
static int slots_grow(bide_queue *queue)
{
    size_t n = queue->n_slots > 0 ? queue->n_slots : SLOTS_MIN;
    size_t size = queue->store.item_size;
    if (size > PTRDIFF_MAX / 2)
        return -ENOMEM;
    size = (size + sizeof(struct bide__slot) - 1) & ~(sizeof(struct bide__slot) - 1);
    size_t total;
    if (__builtin_mul_overflow(n, size, &total) || total > PTRDIFF_MAX / 2)
        return -ENOMEM;
    struct bide__slots *block = malloc(sizeof *block + total);
    if (!block)
        return -ENOMEM;
    block->next = queue->slot_blocks;
    queue->slot_blocks = block;
    for (size_t i = 0; i < n; i++) {
        struct bide__slot *slot = (void *)((char *)block->bytes + i * size);
        slot->next = queue->slots;
        queue->slots = slot;
    }
    queue->n_slots += n;
    return 0;
}

static inline void *slot_take(bide_queue *queue)
{
    if (!queue->slots && slots_grow(queue) < 0)
        return NULL;
    struct bide__slot *slot = queue->slots;
    queue->slots = slot->next;
    queue->n_inside++;
    return slot;
}

static void queue_release(bide_queue *queue)
{
    while (queue->slot_blocks) {
        struct bide__slots *block = queue->slot_blocks;
        queue->slot_blocks = block->next;
        free(block);
    }
    free(queue);
}

static inline void leave(bide_queue *queue)
{
    if (--queue->n_inside == 0 && queue->freed)
        queue_release(queue);
}

static inline void slot_give(bide_queue *queue, void *memory)
{
    struct bide__slot *slot = memory;
    slot->next = queue->slots;
    queue->slots = slot;
    leave(queue);
}

void *bide__queue_slot_take(bide_queue *queue)
{
    return slot_take(queue);
}

void bide__queue_slot_give(bide_queue *queue, void *slot)
{
    slot_give(queue, slot);
}

static inline struct bide__in_line *first(const struct bide__line *line)
{
    return bide__container(line->ring.next, struct bide__in_line, node);
}

static inline int put_now(bide_queue *queue, const void *item)
{
    if (queue->shut)
        return -ESHUTDOWN;
    if (!bide__line_empty(&queue->getters)) {
        bide__item_copy(first(&queue->getters)->item, item, queue->store.item_size);
        bide__line_give(&queue->getters, 0);
    } else {
        if (queue->store.n >= queue->capacity)
            return -EAGAIN;
        int rc = bide__store_push(&queue->store, item);
        if (rc < 0)
            return rc;
    }
    queue->n_unfinished++;
    return 0;
}

static inline int get_now(bide_queue *queue, void *ret_item)
{
    bool waiting = !bide__line_empty(&queue->putters);
    if (queue->store.n > 0) {
        bide__store_pop(&queue->store, ret_item);
        waiting = waiting && queue->store.n < queue->capacity;
        if (waiting) /* there is room now, and memory for it */
            bide__store_push(&queue->store, first(&queue->putters)->item);
    } else if (waiting) {
        bide__item_copy(ret_item, first(&queue->putters)->item, queue->store.item_size);
    } else {
        return queue->shut ? -ESHUTDOWN : -EAGAIN;
    }
    if (waiting) {
        bide__line_give(&queue->putters, 0);
        queue->n_unfinished++;
    }
    return 0;
}

int bide__queue_put_now(bide_queue *queue, const void *item)
{
    return put_now(queue, item);
}

int bide__queue_get_now(bide_queue *queue, void *ret_item)
{
    return get_now(queue, ret_item);
}

static void finished(bide_queue *queue, size_t n)
{
    queue->n_unfinished -= n;
    if (queue->n_unfinished == 0)
        bide__line_give_all(&queue->joiners, 0);
}

void bide__queue_put_back(bide_queue *queue, void *item)
{
    if (!bide__line_empty(&queue->getters)) {
        bide__item_copy(first(&queue->getters)->item, item, queue->store.item_size);
        bide__line_give(&queue->getters, 0);
        return;
    }
    if (!queue->ended && bide__store_put_back(&queue->store, item) == 0)
        return;
    if (queue->n_unfinished > 0)
        finished(queue, 1);
    if (queue->drop)
        queue->drop(item, queue->data);
}

static void put_abandon(struct bide__coro *coro)
{
    bide__list_remove(&coro->in_line.node);
    slot_give(coro->wait_data, coro->in_line.item);
}

static void get_abandon(struct bide__coro *coro)
{
    bide_queue *queue = coro->wait_data;
    bide__list_remove(&coro->in_line.node);
    if (!coro->wait && coro->wake_result == 0)
        bide__queue_put_back(queue, coro->in_line.item);
    slot_give(queue, coro->in_line.item);
}

static void join_abandon(struct bide__coro *coro)
{
    bide__list_remove(&coro->in_line.node);
    leave(coro->wait_data);
}

static const struct bide__wait_kind put_wait = {.name = "queue put",
                                                .interrupt = bide__line_interrupt};
static const struct bide__wait_kind get_wait = {.name = "queue get",
                                                .interrupt = bide__line_interrupt};
static const struct bide__wait_kind join_wait = {.name = "queue join",
                                                 .interrupt = bide__line_interrupt};

int bide_queue_put(bide_queue *queue, const void *item)
{
    struct bide__coro *coro;
    if (!queue || !item)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = put_now(queue, item);
    if (rc != -EAGAIN)
        return rc;
    void *slot = slot_take(queue);
    if (!slot)
        return -ENOMEM;
    bide__item_copy(slot, item, queue->store.item_size);
    coro->in_line.item = slot;
    coro->abandon = put_abandon;
    rc = bide__line_wait(&queue->putters, coro, &put_wait, queue);
    coro->abandon = NULL;
    slot_give(queue, slot);
    return rc;
}

int bide_queue_get(bide_queue *queue, void *ret_item)
{
    struct bide__coro *coro;
    if (!queue || !ret_item)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = get_now(queue, ret_item);
    if (rc != -EAGAIN)
        return rc;
    void *slot = slot_take(queue);
    if (!slot)
        return -ENOMEM;
    coro->in_line.item = slot;
    coro->abandon = get_abandon;
    rc = bide__line_wait(&queue->getters, coro, &get_wait, queue);
    coro->abandon = NULL;
    if (rc == 0)
        bide__item_copy(ret_item, slot, queue->store.item_size);
    slot_give(queue, slot);
    return rc;
}

int bide_queue_put_nowait(bide_queue *queue, const void *item)
{
    return queue && item ? put_now(queue, item) : -EINVAL;
}

int bide_queue_get_nowait(bide_queue *queue, void *ret_item)
{
    return queue && ret_item ? get_now(queue, ret_item) : -EINVAL;
}

size_t bide_queue_size(const bide_queue *queue)
{
    return queue ? queue->store.n : 0;
}

bool bide_queue_full(const bide_queue *queue)
{
    return queue && queue->store.n >= queue->capacity && bide__line_empty(&queue->getters);
}

bool bide_queue_empty(const bide_queue *queue)
{
    return !queue || (queue->store.n == 0 && bide__line_empty(&queue->putters));
}

int bide_queue_task_done(bide_queue *queue)
{
    if (!queue || queue->n_unfinished == 0)
        return -EINVAL;
    finished(queue, 1);
    return 0;
}

int bide_queue_join(bide_queue *queue)
{
    struct bide__coro *coro;
    if (!queue)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0 || queue->n_unfinished == 0)
        return rc;
    queue->n_inside++;
    coro->abandon = join_abandon;
    rc = bide__line_wait(&queue->joiners, coro, &join_wait, queue);
    coro->abandon = NULL;
    leave(queue);
    return rc;
}

/* The store is empty before the user hears of its items: drop() may use the queue. */
static void drop_all(bide_queue *queue)
{
    queue->ended = true;
    struct bide__store store = bide__store_take(&queue->store);
    size_t n = store.n < queue->n_unfinished ? store.n : queue->n_unfinished;
    if (n > 0)
        finished(queue, n);
    for (size_t i = 0; i < store.n && queue->drop; i++) {
        size_t at = store.order == BIDE_PRIORITY ? i : (store.first + i) & (store.room - 1);
        queue->drop(store.items + at * store.item_size, queue->data);
    }
    bide__store_free(&store);
}

int bide_queue_shutdown(bide_queue *queue, enum bide_queue_end how)
{
    if (!queue || (unsigned)how > BIDE_AT_ONCE)
        return -EINVAL;
    queue->n_inside++; /* drop() may free the queue, or let the last one go */
    queue->shut = true;
    bide__line_give_all(&queue->putters, -ESHUTDOWN);
    bide__line_give_all(&queue->getters, -ESHUTDOWN);
    if (how == BIDE_AT_ONCE)
        drop_all(queue);
    leave(queue);
    return 0;
}

void bide_queue_free(bide_queue *queue)
{
    if (!queue)
        return;
    queue->n_inside++;
    bide_queue_shutdown(queue, BIDE_AT_ONCE);
    bide__line_give_all(&queue->joiners, -ESHUTDOWN);
    queue->freed = true;
    leave(queue);
}
