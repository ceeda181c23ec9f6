/* The heap behind sim_event.h, which states the invariant. */
#include "engine/sim_event.h"

#include <assert.h>
#include <stddef.h>

static bool earlier(const struct bide__sim_event *a, const struct bide__sim_event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

/* Two heaps, of which the second may be empty, become one. */
static struct bide__sim_event *meld(struct bide__sim_event *a, struct bide__sim_event *b)
{
    if (!b)
        return a;
    if (earlier(b, a)) {
        struct bide__sim_event *later = a;
        a = b;
        b = later;
    }
    b->before = a;
    b->sibling = a->child;
    if (a->child)
        a->child->before = b;
    a->child = b;
    return a;
}

/* The siblings from `first` on become one heap: in pairs from the left, then all from the right. */
static struct bide__sim_event *meld_siblings(struct bide__sim_event *first)
{
    struct bide__sim_event *pairs = NULL;
    while (first) {
        struct bide__sim_event *a = first;
        struct bide__sim_event *b = a->sibling;
        first = b ? b->sibling : NULL;
        a = meld(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    struct bide__sim_event *heap = NULL;
    while (pairs) {
        struct bide__sim_event *pair = pairs;
        pairs = pair->sibling;
        pair->sibling = NULL;
        pair->before = NULL;
        heap = meld(pair, heap);
    }
    return heap;
}

void bide__sim_event_add(struct bide__sim_queue *queue, struct bide__sim_event *event,
                         int64_t at_ns)
{
    assert(!event->scheduled);
    event->at_ns = at_ns;
    event->order = queue->n_scheduled++;
    event->scheduled = true;
    event->child = NULL;
    event->sibling = NULL;
    event->before = NULL;
    queue->first = meld(event, queue->first);
}

void bide__sim_event_remove(struct bide__sim_queue *queue, struct bide__sim_event *event)
{
    if (!event->scheduled)
        return;
    event->scheduled = false;
    struct bide__sim_event *children = meld_siblings(event->child);
    if (event == queue->first) {
        queue->first = children;
        return;
    }
    if (event->before->child == event)
        event->before->child = event->sibling;
    else
        event->before->sibling = event->sibling;
    if (event->sibling)
        event->sibling->before = event->before;
    queue->first = meld(queue->first, children);
}
