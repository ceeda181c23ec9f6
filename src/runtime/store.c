/* Rings and heaps of items; the invariants stand in store.h. */
#include "runtime/store.h"

#include <errno.h>
#include <stdlib.h>

/* Children of a node of the heap: four lie side by side and make the heap half as deep as two. */
enum { ROOM_MIN = 8, BRANCHES = 4 };

static unsigned char *item_at(const struct bide__store *store, size_t at)
{
    return store->items + at * store->item_size;
}

/* Moves a ring to where all of it is in order. */
static void unroll(const struct bide__store *store, unsigned char *items)
{
    size_t n_behind = store->room - store->first; /* up to the end of the old memory */
    if (n_behind > store->n)
        n_behind = store->n;
    memcpy(items, item_at(store, store->first), n_behind * store->item_size);
    memcpy(items + n_behind * store->item_size, store->items,
           (store->n - n_behind) * store->item_size);
}

int bide__store_grow(struct bide__store *store)
{
    size_t room = store->room > 0 ? 2 * store->room : ROOM_MIN;
    size_t spare = store->order == BIDE_PRIORITY;
    size_t size;
    if (room < store->room || __builtin_mul_overflow(room + spare, store->item_size, &size) ||
        size > PTRDIFF_MAX || room > PTRDIFF_MAX / sizeof *store->numbers)
        return -ENOMEM;
    if (spare) {
        uint64_t *numbers = realloc(store->numbers, room * sizeof *numbers);
        if (!numbers)
            return -ENOMEM;
        store->numbers = numbers;
    }
    unsigned char *items = malloc(size);
    if (!items)
        return -ENOMEM;
    if (store->n > 0)
        unroll(store, items);
    free(store->items);
    store->items = items;
    store->first = 0;
    store->room = room;
    return 0;
}

void bide__store_free(struct bide__store *store)
{
    free(store->items);
    free(store->numbers);
    store->items = NULL;
    store->numbers = NULL;
    store->n = 0;
    store->room = 0;
    store->first = 0;
}

struct bide__store bide__store_take(struct bide__store *store)
{
    struct bide__store taken = *store;
    store->items = NULL;
    store->numbers = NULL;
    bide__store_free(store);
    return taken;
}

int bide__store_put_back(struct bide__store *store, const void *item)
{
    if (store->order != BIDE_FIFO)
        return bide__store_push(store, item);
    if (store->n == store->room) {
        int rc = bide__store_grow(store);
        if (rc < 0)
            return rc;
    }
    store->first = (store->first - 1) & (store->room - 1);
    store->n++;
    bide__item_copy(item_at(store, store->first), item, store->item_size);
    return 0;
}

static bool comes_before(const struct bide__store *store, const void *item, uint64_t number,
                         size_t other)
{
    int order = store->compare(item, item_at(store, other), store->data);
    return order < 0 || (order == 0 && number < store->numbers[other]);
}

static void place(struct bide__store *store, size_t at, const void *item, uint64_t number)
{
    bide__item_copy(item_at(store, at), item, store->item_size);
    store->numbers[at] = number;
}

/* The item beside the heap gets a place at `at` or above. */
static void sift_up(struct bide__store *store, size_t at, uint64_t number)
{
    const void *item = item_at(store, store->room);
    while (at > 0) {
        size_t above = (at - 1) / BRANCHES;
        if (!comes_before(store, item, number, above))
            break;
        place(store, at, item_at(store, above), store->numbers[above]);
        at = above;
    }
    place(store, at, item, number);
}

/* The item beside the heap gets the root's place or one below. */
static void sift_down(struct bide__store *store, uint64_t number)
{
    const void *item = item_at(store, store->room);
    size_t at = 0;
    for (;;) {
        size_t least = at * BRANCHES + 1;
        if (least >= store->n)
            break;
        size_t end = least + BRANCHES < store->n ? least + BRANCHES : store->n;
        for (size_t i = least + 1; i < end; i++)
            if (comes_before(store, item_at(store, i), store->numbers[i], least))
                least = i;
        if (comes_before(store, item, number, least))
            break;
        place(store, at, item_at(store, least), store->numbers[least]);
        at = least;
    }
    place(store, at, item, number);
}

void bide__heap_push(struct bide__store *store, const void *item)
{
    bide__item_copy(item_at(store, store->room), item, store->item_size);
    sift_up(store, store->n++, store->n_pushed++);
}

void bide__heap_pop(struct bide__store *store, void *ret_item)
{
    bide__item_copy(ret_item, item_at(store, 0), store->item_size);
    if (--store->n == 0)
        return;
    bide__item_copy(item_at(store, store->room), item_at(store, store->n), store->item_size);
    sift_down(store, store->numbers[store->n]);
}
