/* The event loop without tasks: callbacks soon, later and at a point in time, and one that is
 * cancelled. */
#include <bide.h>

#include <stdio.h>

static int say(void *text)
{
    printf("%s\n", (const char *)text);
    return 0;
}

static void drop(void *text)
{
    printf("  (dropped: %s)\n", (const char *)text);
}

static int stop(void *loop)
{
    printf("stopping\n");
    bide_loop_stop(loop);
    return 0;
}

static int schedule(bide_loop *loop)
{
    bide_handle *never;
    double now = bide_loop_time(loop);
    int rc = bide_loop_call_at(loop, now + 0.1, stop, loop, NULL, NULL);
    if (rc >= 0)
        rc = bide_loop_call_later(loop, 0.01, say, "later", drop, NULL);
    if (rc >= 0)
        rc = bide_loop_call_soon(loop, say, "soon", NULL, NULL);
    if (rc >= 0)
        rc = bide_loop_call_soon(loop, say, "never", drop, &never);
    if (rc < 0)
        return rc;
    bide_handle_cancel(never);
    bide_handle_free(never);
    return 0;
}

int main(void)
{
    bide_loop *loop;
    if (bide_loop_new(NULL, &loop) < 0)
        return 1;
    int rc = schedule(loop);
    if (rc >= 0)
        rc = bide_loop_run_forever(loop);
    printf("the loop has ended: %s\n", bide_strerror(rc));
    return bide_loop_close(loop) < 0 || rc < 0;
}
