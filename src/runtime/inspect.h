/* Looking at a parked task from outside. */
#ifndef BIDE_RUNTIME_INSPECT_H
#define BIDE_RUNTIME_INSPECT_H

#include <bide/loop.h>

struct bide__coro;

/* Reports a task that does not end, with what it waits for and its backtrace on standard error. */
void bide__report_stuck(struct bide__coro *coro);

/* On the stack of a task that was continued to be looked at: prints its frames. */
void bide__inspect_here(struct bide__coro *coro);

/* No task can go on any more: reports each likewise. */
void bide__report_deadlock(bide_loop *loop);

#endif
