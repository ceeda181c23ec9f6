/* Events. Invariant: nobody waits in the line of an event that is set. */
#include "runtime/line.h"

#include <bide/event.h>

static const struct bide__wait_kind event_wait = {.name = "event",
                                                  .interrupt = bide__line_interrupt};

int bide_event_wait(bide_event *event)
{
    struct bide__coro *coro;
    if (!event)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0 || event->set)
        return rc;
    rc = bide__lend(coro, event);
    if (rc < 0)
        return rc;
    return bide__line_wait(&event->line, coro, &event_wait, event);
}

void bide_event_set(bide_event *event)
{
    if (!event || event->set)
        return;
    event->set = true;
    bide__line_give_all(&event->line, 0);
}

void bide_event_clear(bide_event *event)
{
    if (event)
        event->set = false;
}

bool bide_event_is_set(const bide_event *event)
{
    return event && event->set;
}
