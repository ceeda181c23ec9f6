/* How a thread without a loop blocks: on a condition of the C library's, by the monotonic clock. */
#ifndef BIDE_RUNTIME_BLOCKING_H
#define BIDE_RUNTIME_BLOCKING_H

#include <pthread.h>
#include <time.h>

/* To be waited for with pthread_cond_timedwait() and a moment of bide__blocking_until(). */
void bide__blocking_init(pthread_cond_t *changed);

/* The moment `seconds` from now; infinity: never. */
struct timespec bide__blocking_until(double seconds);

#endif
