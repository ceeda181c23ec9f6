/* What closing a loop does to futures. */
#ifndef BIDE_RUNTIME_FUTURE_H
#define BIDE_RUNTIME_FUTURE_H

#include <bide/loop.h>

/* Cancels every future that has no result. */
void bide__promises_cancel(bide_loop *loop);

#endif
