/* Waiting in a line. The invariants stand in line.h. */
#include "runtime/line.h"

void bide__line_given(struct bide__in_line *place, int result)
{
    bide__wake(bide__container(place, struct bide__coro, in_line), result);
}

void bide__line_interrupt(struct bide__coro *coro)
{
    bide__list_remove(&coro->in_line.node);
    bide__wake(coro, -ECANCELED);
}

void bide__line_give_all(struct bide__line *line, int result)
{
    if (bide__line_empty(line))
        return;
    struct bide__line now; /* who joins from now on waits for the next occasion */
    bide__line_init(&now);
    bide__list_splice(&now.ring, &line->ring);
    while (bide__line_give(&now, result))
        ;
}
