/* Telling how long something took. */
#include "runtime/loop.h"

#include <bide/task.h>
#include <bide/timed.h>

#include <time.h>

static double now(void)
{
    if (bide__loop_running)
        return bide_time();
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct bide__timed bide__timed_begin(FILE *stream, const char *label, const char *text)
{
    struct bide__timed timed = {stream, label ? label : text, now()};
    fprintf(stream, "starting %s\n", timed.label);
    return timed;
}

int bide__timed_end(const struct bide__timed *timed, int rc)
{
    fprintf(timed->stream, "finished %s in %.4f second(s)\n", timed->label, now() - timed->start);
    return rc;
}
