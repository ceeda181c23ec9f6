/* Waiting in a line. The invariants stand in line.h. */
#include "runtime/line.h"

static void given(struct bide__in_line *place, int result)
{
    bide__wake(bide__container(place, struct bide__coro, in_line), result);
}

int bide__line_wait(struct bide__line *line, struct bide__coro *coro,
                    const struct bide__wait_kind *kind, void *data)
{
    coro->in_line.given = given;
    bide__line_join(line, &coro->in_line);
    return bide__park(coro, kind, data);
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
