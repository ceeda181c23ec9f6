/*
 * The competitor of the timer wheel: an indexed 4-ary heap with the same calls and the same
 * promises (equal deadlines in the order set, what is set in the past waits for the next expiry).
 * Only the comparison uses it; docs/decisions/ has the outcome.
 *
 * Invariant: every entry's timer knows the entry's index; a timer that is not set has index -1. An
 * entry comes after its parent by deadline, then by the number that it got when it was set.
 */
#ifndef BIDE_BENCH_TIMER_HEAP_H
#define BIDE_BENCH_TIMER_HEAP_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct heap_timer {
    uint64_t number; /* compared only where deadlines are equal, so kept out of the entries */
    ptrdiff_t index;
    int64_t deadline_ns;
    void (*expired)(struct heap_timer *timer);
};

struct heap_entry {
    int64_t deadline_ns;
    struct heap_timer *timer;
};

struct heap {
    struct heap_entry *entries;
    size_t n;
    size_t capacity;
    uint64_t number;
    int64_t now_ns;
};

#define HEAP_CALL \
    static __attribute__((noinline, \
                          unused)) /* as a library's: not inlined into the loop that measures */

HEAP_CALL struct heap *heap_new(int64_t now_ns)
{
    struct heap *heap = calloc(1, sizeof(*heap));
    if (heap)
        heap->now_ns = now_ns;
    return heap;
}

HEAP_CALL void heap_free(struct heap *heap)
{
    free(heap->entries);
    free(heap);
}

static inline void heap_timer_init(struct heap_timer *timer,
                                   void (*expired)(struct heap_timer *timer))
{
    timer->index = -1;
    timer->expired = expired;
}

static inline bool heap_before(const struct heap_entry *a, const struct heap_entry *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->timer->number < b->timer->number;
}

static inline void heap_put(struct heap *heap, size_t i, struct heap_entry entry)
{
    heap->entries[i] = entry;
    entry.timer->index = (ptrdiff_t)i;
}

static inline void heap_up(struct heap *heap, size_t i, struct heap_entry entry)
{
    while (i > 0) {
        size_t parent = (i - 1) / 4;
        if (!heap_before(&entry, &heap->entries[parent]))
            break;
        heap_put(heap, i, heap->entries[parent]);
        i = parent;
    }
    heap_put(heap, i, entry);
}

static inline void heap_down(struct heap *heap, size_t i, struct heap_entry entry)
{
    for (;;) {
        size_t child = 4 * i + 1;
        if (child >= heap->n)
            break;
        size_t end = child + 4 < heap->n ? child + 4 : heap->n;
        size_t least = child;
        while (++child < end) {
            if (heap_before(&heap->entries[child], &heap->entries[least]))
                least = child;
        }
        if (!heap_before(&heap->entries[least], &entry))
            break;
        heap_put(heap, i, heap->entries[least]);
        i = least;
    }
    heap_put(heap, i, entry);
}

static inline void heap_remove(struct heap *heap, size_t i)
{
    heap->entries[i].timer->index = -1;
    struct heap_entry moved = heap->entries[--heap->n];
    if (i == heap->n)
        return;
    if (i > 0 && heap_before(&moved, &heap->entries[(i - 1) / 4]))
        heap_up(heap, i, moved);
    else
        heap_down(heap, i, moved);
}

HEAP_CALL void heap_set(struct heap *heap, struct heap_timer *timer, int64_t deadline_ns)
{
    assert(timer->index < 0);
    if (heap->n == heap->capacity) {
        size_t capacity = heap->capacity ? 2 * heap->capacity : 64;
        struct heap_entry *entries = realloc(heap->entries, capacity * sizeof(*entries));
        if (!entries)
            abort();
        heap->entries = entries;
        heap->capacity = capacity;
    }
    if (deadline_ns < heap->now_ns)
        deadline_ns = heap->now_ns;
    timer->deadline_ns = deadline_ns;
    timer->number = heap->number++;
    heap_up(heap, heap->n++, (struct heap_entry){deadline_ns, timer});
}

HEAP_CALL void heap_cancel(struct heap *heap, struct heap_timer *timer)
{
    if (timer->index >= 0)
        heap_remove(heap, (size_t)timer->index);
}

HEAP_CALL int64_t heap_next_ns(const struct heap *heap)
{
    return heap->n > 0 ? heap->entries[0].deadline_ns : INT64_MAX;
}

HEAP_CALL unsigned heap_expire(struct heap *heap, int64_t now_ns)
{
    heap->now_ns = now_ns;
    uint64_t number_end = heap->number;
    unsigned n = 0;
    while (heap->n > 0 && heap->entries[0].deadline_ns <= now_ns) {
        struct heap_timer *timer = heap->entries[0].timer;
        if (timer->number >= number_end)
            break;
        heap_remove(heap, 0);
        timer->expired(timer);
        n++;
    }
    return n;
}

#endif
