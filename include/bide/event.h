/*
 * An event: something that happens once, or is true until further notice, and that any number of
 * tasks wait for.
 *
 *     static bide_event connected;
 *
 *     int rc = bide_within(5, bide_event_wait(&connected));
 */
#ifndef BIDE_EVENT_H
#define BIDE_EVENT_H

#include <bide/line.h>

BIDE_BEGIN_DECLARATIONS

/*
 * An event; zeroed, it is not set, and needs no further preparation and no end. May be made before
 * any loop runs. The fields are private. Stays where it is while tasks wait for it.
 */
typedef struct bide_event {
    bool set;
    struct bide__line line;
} bide_event;

/*
 * Waits until the event is set; not at all if it is.
 *
 * Returns 0, also if the event was cleared again right after it had been set; -EINVAL for NULL, and
 * if it had to wait for one on its own copied stack (see bide/loop.h); -ECANCELED, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the wait ends. Thread: loop thread only.
 */
BIDE_EXPORT int bide_event_wait(bide_event *event);

/*
 * Sets the event: all who wait now return, in the order in which they came, and who waits later
 * does not have to. NULL is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_event_set(bide_event *event);

/*
 * Makes the event unset: who waits from now on waits for the next time. NULL is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_event_clear(bide_event *event);

/*
 * Whether the event is set.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_event_is_set(const bide_event *event);

BIDE_END_DECLARATIONS

#endif
