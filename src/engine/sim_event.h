/*
 * What is going to happen in a simulation, by time: a pairing heap whose nodes lie in their owners,
 * so that scheduling and taking back cannot fail.
 *
 * Invariant: events happen in the order of their times, those of one time in the order in which
 * they were scheduled.
 */
#ifndef BIDE_ENGINE_SIM_EVENT_H
#define BIDE_ENGINE_SIM_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed but for `happen`: not scheduled. */
struct bide__sim_event {
    /* It is out of the queue by then. Returns how many callbacks it called. */
    int (*happen)(struct bide__sim_event *event);
    int64_t at_ns;
    uint64_t order;
    bool scheduled;
    struct bide__sim_event *child;
    struct bide__sim_event *sibling;
    struct bide__sim_event *before; /* the sibling before this one, or the parent */
};

struct bide__sim_queue {
    struct bide__sim_event *first;
    uint64_t n_scheduled; /* ever */
};

/* Needs: not scheduled. */
void bide__sim_event_add(struct bide__sim_queue *queue, struct bide__sim_event *event,
                         int64_t at_ns);
/* Nothing happens if it is not scheduled. */
void bide__sim_event_remove(struct bide__sim_queue *queue, struct bide__sim_event *event);

#endif
