/*
 * The items of a queue: a ring, or a heap if they have priorities.
 *
 * Invariants
 *  - What was taken out once can be put back without memory: room never shrinks.
 *  - Items of equal priority come out in the order in which they went in.
 *  - The user's compare() sees items in the store only, which is consistent but for the one that
 * is being placed.
 */
#ifndef BIDE_RUNTIME_STORE_H
#define BIDE_RUNTIME_STORE_H

#include <bide/queue.h>

#include <stdint.h>
#include <string.h>

struct bide__store {
    size_t item_size;
    enum bide_queue_order order;
    size_t n;
    size_t room;          /* a power of two, or 0 */
    size_t first;         /* where a ring begins */
    unsigned char *items; /* of a heap: one more than room, to move items by */
    uint64_t *numbers;    /* of a heap: beside each item, which one it was */
    uint64_t n_pushed;
    int (*compare)(const void *left, const void *right, void *data);
    void *data;
};

/* Items are mostly a number or a pointer. */
static inline void bide__item_copy(void *to, const void *from, size_t size)
{
    if (size == 8)
        memcpy(to, from, 8);
    else if (size == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, size);
}

/* Makes room for one more: 0, or -ENOMEM with nothing changed. */
int bide__store_grow(struct bide__store *store);
void bide__store_free(struct bide__store *store);

/* Of a heap. There is room. */
void bide__heap_push(struct bide__store *store, const void *item);
/* Of a heap that is not empty. */
void bide__heap_pop(struct bide__store *store, void *ret_item);

/* 0, or -ENOMEM with nothing changed. */
static inline int bide__store_push(struct bide__store *store, const void *item)
{
    if (store->n == store->room) {
        int rc = bide__store_grow(store);
        if (rc < 0)
            return rc;
    }
    if (store->order == BIDE_PRIORITY) {
        bide__heap_push(store, item);
        return 0;
    }
    size_t at = (store->first + store->n++) & (store->room - 1);
    bide__item_copy(store->items + at * store->item_size, item, store->item_size);
    return 0;
}

/* Puts back what was taken out last: of a ring it is the next item again. 0, or -ENOMEM with
 * nothing changed. */
int bide__store_put_back(struct bide__store *store, const void *item);

/* Leaves the store empty and returns one with all its items. */
struct bide__store bide__store_take(struct bide__store *store);

/* Of a store that is not empty: the item that is the next. */
static inline void bide__store_pop(struct bide__store *store, void *ret_item)
{
    if (store->order == BIDE_PRIORITY) {
        bide__heap_pop(store, ret_item);
        return;
    }
    store->n--;
    size_t at = store->first;
    if (store->order == BIDE_LIFO)
        at = (at + store->n) & (store->room - 1);
    else
        store->first = (at + 1) & (store->room - 1);
    bide__item_copy(ret_item, store->items + at * store->item_size, store->item_size);
}

#endif
