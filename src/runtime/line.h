/*
 * Tasks that wait in a line for something that others give them: a lock, an item, a slot.
 *
 * Invariants
 *  - First come, first served; only a cancel takes somebody out of the middle.
 *  - What is given is given with the wake-up: whoever gives changes the object's state for the one
 * who is woken, before that one runs, so that no newcomer can come between. A cancel that arrives
 * after the wake-up changes nothing: the call returns what it was given.
 *  - The place in the line lies in the waiting task's control block, or, for one who waits in
 * several lines at once, in memory that was allocated before; never on the parked stack.
 */
#ifndef BIDE_RUNTIME_LINE_H
#define BIDE_RUNTIME_LINE_H

#include "runtime/coro.h"

#include <bide/line.h>

static inline void bide__line_init(struct bide__line *line)
{
    bide__list_init(&line->ring);
}

/* A zeroed line has not met its first waiter. */
static inline bool bide__line_empty(const struct bide__line *line)
{
    return !line->ring.next || bide__list_empty(&line->ring);
}

/* Puts somebody at the end. */
static inline void bide__line_join(struct bide__line *line, struct bide__in_line *place)
{
    if (!line->ring.next)
        bide__line_init(line);
    bide__list_append(&line->ring, &place->node);
}

/* Takes the first one out of the line and tells it `result`. Returns false if nobody waits. */
static inline bool bide__line_give(struct bide__line *line, int result)
{
    if (bide__line_empty(line))
        return false;
    struct bide__list *node = bide__list_pop(&line->ring);
    struct bide__in_line *place = bide__container(node, struct bide__in_line, node);
    place->given(place, result);
    return true;
}

/* Tells everybody who waits now. */
void bide__line_give_all(struct bide__line *line, int result);

/* Wakes the task in whose control block the place lies. */
void bide__line_given(struct bide__in_line *place, int result);

/* Waits at the end of the line; returns what was given, or -ECANCELED. `kind` has
 * bide__line_interrupt(). Inline for the reason given in fiber/switch_inline.h. */
static inline int bide__line_wait(struct bide__line *line, struct bide__coro *coro,
                                  const struct bide__wait_kind *kind, void *data)
{
    coro->in_line.given = bide__line_given;
    bide__line_join(line, &coro->in_line);
    return bide__park(coro, kind, data);
}

/* Steps out of the line. */
void bide__line_interrupt(struct bide__coro *coro);

#endif
