/*
 * Queues as the runtime's files share them.
 *
 * Whoever makes something possible for one who waits does it for him there and then: a put copies
 * its item to the first waiting get's slot, a get moves the first waiting put's item from its slot
 * into the store. So what a woken task was given lies in its slot or in the store, nothing is
 * reserved for it, and neither a newcomer nor a shutdown can come between.
 *
 * Invariants
 *  - A get waits only while the store is empty; a put waits only while it is full. Unless the store
 * holds nothing at all, not both at once.
 *  - The store has more than `capacity` items only after one was put back, see below.
 *  - Once the queue is shut, nobody waits for an item or for room.
 *  - A slot belongs to the queue and holds one item. Who waits has one from before the wait until
 * after it; the memory of a freed queue goes with the last of them.
 *  - n_unfinished counts the items that were put, in the store or given away, less those that were
 * dealt with or dropped.
 */
#ifndef BIDE_RUNTIME_QUEUE_H
#define BIDE_RUNTIME_QUEUE_H

#include "runtime/line.h"
#include "runtime/store.h"

struct bide__slot; /* an unused one: a link to the next */
struct bide__slots;

struct bide_queue {
    struct bide__store store;
    size_t capacity; /* 0: a rendezvous */
    struct bide__line getters;
    struct bide__line putters;
    struct bide__line joiners;
    size_t n_unfinished;
    bool shut;
    bool ended;      /* at once: what is put back is dropped */
    bool freed;      /* by its owner */
    size_t n_inside; /* tasks that wait, or were woken and have not left yet */
    struct bide__slot *slots;
    struct bide__slots *slot_blocks;
    size_t n_slots;
    void (*drop)(void *item, void *data);
    void *data;
};

/* NULL without memory. Until it is given back the queue's memory stays. */
void *bide__queue_slot_take(bide_queue *queue);
void bide__queue_slot_give(bide_queue *queue, void *slot);

/* An item that was given to a task that never returned from its get: it is there again, or dropped.
 */
void bide__queue_put_back(bide_queue *queue, void *item);

/* 0, -EAGAIN, -ESHUTDOWN, -ENOMEM. */
int bide__queue_put_now(bide_queue *queue, const void *item);
/* 0, -EAGAIN, -ESHUTDOWN. */
int bide__queue_get_now(bide_queue *queue, void *ret_item);

#endif
