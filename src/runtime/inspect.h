/* Looking at a parked task from outside. */
#ifndef BIDE_RUNTIME_INSPECT_H
#define BIDE_RUNTIME_INSPECT_H

struct bide__coro;

/* Reports a task that does not end, with what it waits for and its backtrace on standard error. */
void bide__report_stuck(struct bide__coro *coro);

#endif
