/* Looking into a loop: what there is, and what each task waits for. */
#ifndef BIDE_INSPECT_H
#define BIDE_INSPECT_H

#include <bide/task.h>

BIDE_BEGIN_DECLARATIONS

/*
 * What the task waits for, in a word or two for people, such as "sleep" or "recv"; "its start" if
 * it was not started, "its turn" if it can go on, "its promise" for a future; "" if it runs, is
 * done, or is NULL.
 *
 * Returns a borrowed string that stays valid until the task goes on.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_task_waits_for(const bide_task *task);

/* How much of each kind a loop has. */
struct bide_loop_counts {
    size_t tasks;     /* not done, the running one included */
    size_t futures;   /* promises that are not set */
    size_t results;   /* handles of tasks and futures that are done, not yet given back */
    size_t callbacks; /* scheduled, now or for later */
    size_t watchers;  /* watched descriptors */
    size_t signals;   /* signal handlers */
    size_t streams;   /* streams, servers and connection attempts */
};

/*
 * Counts what the loop has: for tests and for watching a program from inside. It looks at
 * everything, so that it is not for every turn.
 *
 * loop: NULL for the current one. ret_counts: set. Returns 0, or -EINVAL without a loop.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_count(const bide_loop *loop, struct bide_loop_counts *ret_counts);

BIDE_END_DECLARATIONS

#endif
