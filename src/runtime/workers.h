/* Workers, for those who have to know that they run in one. */
#ifndef BIDE_RUNTIME_WORKERS_H
#define BIDE_RUNTIME_WORKERS_H

#include <bide/workers.h>

/* Whether the calling thread is a worker whose main is cancelled by SIGINT and SIGTERM. */
BIDE_EXPORT bool bide__worker_has_signals(void);

/* In a child after fork: it is no worker, and the signals have the actions of before. */
void bide__worker_forget(void);

#endif
