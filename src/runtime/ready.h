/*
 * The ready queue: what runs in the next turn, first come first served. A node lies in its owner
 * and is in the queue at most once.
 */
#ifndef BIDE_RUNTIME_READY_H
#define BIDE_RUNTIME_READY_H

#include <stdbool.h>
#include <stddef.h>

struct bide__ready {
    struct bide__ready *next;
    /* On the loop's own stack; the node is out of the queue by then. */
    void (*run)(struct bide__ready *ready);
};

struct bide__ready_queue {
    struct bide__ready *first;
    struct bide__ready **last;
};

static inline void bide__ready_init(struct bide__ready_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static inline bool bide__ready_empty(const struct bide__ready_queue *queue)
{
    return !queue->first;
}

static inline void bide__ready_push(struct bide__ready_queue *queue, struct bide__ready *ready)
{
    ready->next = NULL;
    *queue->last = ready;
    queue->last = &ready->next;
}

static inline struct bide__ready *bide__ready_pop(struct bide__ready_queue *queue)
{
    struct bide__ready *ready = queue->first;
    if (!ready)
        return NULL;
    queue->first = ready->next;
    if (!queue->first)
        queue->last = &queue->first;
    return ready;
}

/* Empties the queue: its first entry, from which `next` leads to the others. */
static inline struct bide__ready *bide__ready_take_all(struct bide__ready_queue *queue)
{
    struct bide__ready *first = queue->first;
    bide__ready_init(queue);
    return first;
}

/* Empties `from` into the empty queue `to`. */
static inline void bide__ready_take(struct bide__ready_queue *to, struct bide__ready_queue *from)
{
    to->first = from->first;
    to->last = from->first ? from->last : &to->first;
    bide__ready_init(from);
}

#endif
