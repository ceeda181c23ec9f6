/*
 * The timers of one loop as a hierarchical wheel: set and cancel touch one list and a bitmap,
 * nothing is allocated.
 *
 * Time is cut into ticks, a tick's number into groups of six bits; group L of it chooses one of the
 * 64 slots of level L. A timer lies in the level of the highest group in which its tick differs
 * from the wheel's; in level 0 if none does.
 *
 * Invariants
 *  - In each level only slots after the wheel's tick are occupied, in level 0 also the tick's own.
 *    Any slot of a level is before all occupied ones of the levels above. So the first timer is in
 *    the first occupied slot of the lowest occupied level, and moving the wheel forward misplaces
 *    no timer unless it reaches the start of an occupied slot.
 *  - Timers with equal deadlines are therefore always in the same slot, and there in the order in
 *    which they were set.
 *  - The bitmaps say exactly which slots are occupied.
 *  - No timer in a slot is due before the last expiry: a deadline that is set later and lies in the
 *    past counts as the time of that expiry.
 */
#include "runtime/timer.h"

#include <assert.h>
#include <stdlib.h>

enum {
    TICK_BITS = 12, /* 4 µs */
    GROUP_BITS = 6,
    SLOTS = 1 << GROUP_BITS,
    LEVELS = (63 - TICK_BITS + GROUP_BITS - 1) / GROUP_BITS,
    DUE = LEVELS * SLOTS, /* the list of what an expiry has still to call, in order */
    FEW = 16,             /* as many timers of one slot are looked at one by one */
    UNKNOWN = -1,
};

struct bide__timers {
    int64_t now_ns;  /* of the last expiry */
    int64_t next_ns; /* what bide__timers_next_ns() returns, or UNKNOWN */
    uint64_t tick;
    bool tick_sorted; /* the timers of `tick` are in the order of their deadlines */
    bool expiring;
    uint32_t levels; /* which ones are occupied */
    /* Of each level, which ones are occupied. The last word is that of DUE and stays 0. */
    uint64_t slots[LEVELS + 1];
    struct bide__list lists[LEVELS * SLOTS + 1];
};

/* The first occupied slot of the wheel. */
struct slot {
    unsigned level;
    unsigned index;
    uint64_t start; /* its first tick */
    struct bide__list *list;
};

static struct bide__timer *timer_of(struct bide__list *node)
{
    return bide__container(node, struct bide__timer, node);
}

static int64_t deadline_of(struct bide__list *node)
{
    return timer_of(node)->deadline_ns;
}

struct bide__timers *bide__timers_new(int64_t now_ns)
{
    assert(now_ns > 0);
    struct bide__timers *timers = calloc(1, sizeof(*timers));
    if (!timers)
        return NULL;
    timers->now_ns = now_ns;
    timers->next_ns = INT64_MAX;
    timers->tick = (uint64_t)now_ns >> TICK_BITS;
    for (unsigned i = 0; i <= DUE; i++)
        bide__list_init(&timers->lists[i]);
    return timers;
}

void bide__timers_free(struct bide__timers *timers)
{
    free(timers);
}

/* Merges two ascending chains, linked by next and ended by NULL; of equal timers those of `older`
 * go first. */
static struct bide__list *merge(struct bide__list *older, struct bide__list *newer)
{
    struct bide__list *merged;
    struct bide__list **end = &merged;
    while (older && newer) {
        struct bide__list **from = deadline_of(newer) < deadline_of(older) ? &newer : &older;
        *end = *from;
        end = &(*end)->next;
        *from = *end;
    }
    *end = older ? older : newer;
    return merged;
}

/* The last node of the ascending run that begins with `node`. */
static struct bide__list *run_end(struct bide__list *node, const struct bide__list *list_end)
{
    while (node->next != list_end && deadline_of(node) <= deadline_of(node->next))
        node = node->next;
    return node;
}

/* Not inlined, because its frame would burden every expiry. */
static __attribute__((noinline)) void merge_sort(struct bide__list *list)
{
    enum { CHAINS = 64 };
    /* chains[i] is merged from 2^i ascending runs, all older than those of chains[i - 1]. */
    struct bide__list *chains[CHAINS] = {NULL};
    list->prev->next = NULL;
    for (struct bide__list *run = list->next, *rest; run; run = rest) {
        struct bide__list *last = run_end(run, NULL);
        rest = last->next;
        last->next = NULL;
        unsigned i = 0;
        for (; chains[i]; i++) {
            run = merge(chains[i], run);
            chains[i] = NULL;
        }
        chains[i] = run;
    }
    struct bide__list *sorted = NULL;
    for (unsigned i = 0; i < CHAINS; i++)
        sorted = merge(chains[i], sorted);
    struct bide__list *prev = list;
    for (struct bide__list *node = sorted; node; node = node->next) {
        prev->next = node;
        node->prev = prev;
        prev = node;
    }
    prev->next = list;
    list->prev = prev;
}

/* Stable. Most lists are in order as they are. The list must not be empty. */
static void sort(struct bide__list *list)
{
    if (run_end(list->next, list) != list->prev)
        merge_sort(list);
}

static void place(struct bide__timers *timers, struct bide__timer *timer)
{
    uint64_t tick = (uint64_t)timer->deadline_ns >> TICK_BITS;
    uint64_t difference = tick ^ timers->tick;
    unsigned level = (63 - (unsigned)__builtin_clzll(difference | 1)) / GROUP_BITS;
    unsigned index = (unsigned)(tick >> (level * GROUP_BITS)) % SLOTS;
    struct bide__list *list = &timers->lists[level * SLOTS + index];
    if (difference == 0 && bide__list_empty(list))
        timers->tick_sorted = true;
    else if (difference == 0 && deadline_of(list->prev) > timer->deadline_ns)
        timers->tick_sorted = false;
    bide__list_append(list, &timer->node);
    timers->slots[level] |= UINT64_C(1) << index;
    timers->levels |= UINT32_C(1) << level;
}

static void mark_empty(struct bide__timers *timers, unsigned level, unsigned index)
{
    timers->slots[level] &= ~(UINT64_C(1) << index);
    if (timers->slots[level] == 0)
        timers->levels &= ~(UINT32_C(1) << level);
}

void bide__timer_set(struct bide__timers *timers, struct bide__timer *timer, int64_t deadline_ns)
{
    assert(!bide__timer_is_set(timer));
    if (deadline_ns < timers->now_ns)
        deadline_ns = timers->now_ns;
    timer->deadline_ns = deadline_ns;
    if (deadline_ns < timers->next_ns)
        timers->next_ns = deadline_ns;
    place(timers, timer);
}

void bide__timer_cancel(struct bide__timers *timers, struct bide__timer *timer)
{
    if (!bide__timer_is_set(timer))
        return;
    /* Between two equal neighbours it was alone in its list, and they are the list's head. */
    struct bide__list *list = timer->node.next;
    bool alone = list == timer->node.prev;
    bide__list_remove(&timer->node);
    if (alone) {
        unsigned i = (unsigned)(list - timers->lists);
        mark_empty(timers, i / SLOTS, i % SLOTS);
    }
    if (alone || timer->deadline_ns == timers->next_ns)
        timers->next_ns = UNKNOWN;
}

/* The wheel must not be empty. */
static inline struct slot first_slot(struct bide__timers *timers)
{
    unsigned level = (unsigned)__builtin_ctz(timers->levels);
    unsigned index = (unsigned)__builtin_ctzll(timers->slots[level]);
    unsigned shift = level * GROUP_BITS;
    uint64_t turn = timers->tick >> shift >> GROUP_BITS << GROUP_BITS;
    return (struct slot){level, index, (turn | index) << shift,
                         &timers->lists[level * SLOTS + index]};
}

static void sort_tick(struct bide__timers *timers, struct bide__list *list)
{
    if (!timers->tick_sorted)
        sort(list);
    timers->tick_sorted = true;
}

/*
 * Exact for the timers of the tick and for few in a slot. For many, their slot's start is early
 * enough: it is after the last expiry, so the loop gets on, and the expiry then spreads them over
 * smaller slots.
 */
static int64_t find_next(struct bide__timers *timers)
{
    if (timers->levels == 0)
        return INT64_MAX;
    struct slot slot = first_slot(timers);
    struct bide__list *node = slot.list->next;
    if (slot.start == timers->tick) {
        sort_tick(timers, slot.list);
        return deadline_of(slot.list->next);
    }
    int64_t next_ns = INT64_MAX;
    for (unsigned n = 0; n < FEW; n++) {
        if (deadline_of(node) < next_ns)
            next_ns = deadline_of(node);
        node = node->next;
        if (node == slot.list)
            return next_ns;
    }
    return (int64_t)(slot.start << TICK_BITS);
}

int64_t bide__timers_next_ns(struct bide__timers *timers)
{
    if (timers->next_ns == UNKNOWN) {
        if (!bide__list_empty(&timers->lists[DUE]))
            return timers->now_ns;
        timers->next_ns = find_next(timers);
    }
    return timers->next_ns;
}

static bool holds_few(const struct bide__list *list)
{
    const struct bide__list *node = list->next;
    for (unsigned n = 0; n < FEW && node != list; n++)
        node = node->next;
    return node == list;
}

/*
 * Places all timers of the list anew. They are scattered over memory, and a walk along a list waits
 * for one after the other; so a second walk from the list's end fetches its half meanwhile.
 */
static void spread(struct bide__timers *timers, struct bide__list *list)
{
    struct bide__list many;
    bide__list_init(&many);
    bide__list_splice(&many, list);
    struct bide__list *fetched = many.prev;
    struct bide__list *node;
    while ((node = bide__list_pop(&many))) {
        bool met = !fetched || fetched == node || fetched->prev == &many;
        fetched = met ? NULL : fetched->prev;
        __builtin_prefetch(fetched);
        place(timers, timer_of(node));
    }
}

/*
 * The slot must not begin after `now_ns`. Of few timers, what is due goes to the due list and the
 * rest to lower levels. Many all go to lower levels, which sorts them with fewer comparisons.
 */
static void empty_slot(struct bide__timers *timers, const struct slot *slot, int64_t now_ns)
{
    uint64_t now_tick = (uint64_t)now_ns >> TICK_BITS;
    mark_empty(timers, slot->level, slot->index);
    if (slot->level > 0 && !holds_few(slot->list)) {
        timers->tick = slot->start;
        spread(timers, slot->list);
        return;
    }
    bool past = slot->start + (UINT64_C(1) << (slot->level * GROUP_BITS)) <= now_tick;
    if (!past) {
        timers->tick = now_tick;
        bide__list_each(node, slot->list)
        {
            if (deadline_of(node) > now_ns) {
                bide__list_remove(node);
                place(timers, timer_of(node));
            }
        }
    }
    if (!bide__list_empty(slot->list)) {
        sort(slot->list);
        bide__list_splice(&timers->lists[DUE], slot->list);
    }
}

/* The slot's tick must be that of `now_ns`. What is not yet due stays. */
static void empty_tick(struct bide__timers *timers, const struct slot *slot, int64_t now_ns)
{
    timers->tick_sorted = timers->tick_sorted && timers->tick == slot->start;
    timers->tick = slot->start;
    sort_tick(timers, slot->list);
    while (!bide__list_empty(slot->list) && deadline_of(slot->list->next) <= now_ns)
        bide__list_append(&timers->lists[DUE], bide__list_pop(slot->list));
    if (bide__list_empty(slot->list))
        mark_empty(timers, slot->level, slot->index);
}

/* Moves the wheel to `now_ns` and what is due to the due list, in order. */
static void collect(struct bide__timers *timers, int64_t now_ns)
{
    uint64_t now_tick = (uint64_t)now_ns >> TICK_BITS;
    while (timers->levels != 0) {
        struct slot slot = first_slot(timers);
        if (slot.start > now_tick)
            break;
        if (slot.start == now_tick && slot.level == 0) {
            empty_tick(timers, &slot, now_ns);
            break;
        }
        empty_slot(timers, &slot, now_ns);
    }
    timers->tick = now_tick;
    timers->now_ns = now_ns;
}

unsigned bide__timers_expire(struct bide__timers *timers, int64_t now_ns)
{
    assert(now_ns >= timers->now_ns && !timers->expiring);
    collect(timers, now_ns);
    if (timers->next_ns <= now_ns)
        timers->next_ns = UNKNOWN;
    timers->expiring = true;
    unsigned n = 0;
    struct bide__list *node;
    while ((node = bide__list_pop(&timers->lists[DUE]))) {
        struct bide__timer *timer = timer_of(node);
        timer->expired(timer);
        n++;
    }
    timers->expiring = false;
    return n;
}
