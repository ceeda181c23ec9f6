/* The steps of closing a loop, in order. */
#ifndef BIDE_RUNTIME_CLOSING_H
#define BIDE_RUNTIME_CLOSING_H

#include <bide/loop.h>

/* Cancels every task and runs the loop until all have ended, or until the limit; those that are
 * left are reported. */
void bide__close_tasks(bide_loop *loop);
/* Then closes the generators that are still open, each within a task, and runs the loop until their
 * bodies have ended, or until the limit, at which they are cancelled; those that are left are
 * reported. */
void bide__close_generators(bide_loop *loop);
/* Refuses everything new, drops what is queued or registered, and leaves the engine with nothing to
 * do. */
void bide__close_rest(bide_loop *loop);

#endif
