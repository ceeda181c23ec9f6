/*
 * A descriptor that threads of the pool read or write, because it has no readiness or because its
 * flags are not ours, with the same functions as a socket.
 *
 * Invariants
 *  - One job at a time, on a buffer of our own: nobody's memory is lent to a thread, so a cancelled
 * operation ends at once. What was read for it stays for the next call; what was to be written for
 * it counts as written.
 *  - Where there is readiness, a job begins only once the descriptor is ready.
 *  - The job's memory, the descriptor in it, goes when the socket is closed, or with the job if
 * that outlasts it.
 */
#ifndef BIDE_ENGINE_THREADED_H
#define BIDE_ENGINE_THREADED_H

#include "engine/engine.h"

/* Takes `fd` on success. */
int bide__threaded_open(struct bide_engine *engine, int fd, enum bide_direction direction,
                        struct bide_sock **ret_sock);

#endif
