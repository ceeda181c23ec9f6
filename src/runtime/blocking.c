/* Blocking without a loop, and so without an engine to ask for the time. */
#include "runtime/blocking.h"

#include "base/time.h"

void bide__blocking_init(pthread_cond_t *changed)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec bide__blocking_until(double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t now_ns = until.tv_sec * BIDE__NS_PER_S + until.tv_nsec;
    int64_t deadline_ns = bide__deadline_ns(now_ns, seconds);
    until.tv_sec = deadline_ns / BIDE__NS_PER_S;
    until.tv_nsec = deadline_ns % BIDE__NS_PER_S;
    return until;
}
