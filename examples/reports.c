/* Errors that have no caller go to the loop's exception handler: a callback's, and that of a task
 * whose result nobody read. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void handle(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    fprintf(data, "%s: %s", report->message, bide_strerror(report->error));
    if (report->task_name && report->place)
        fprintf(data, ", task %s, spawned in %s()", report->task_name, report->place->function);
    fprintf(data, "%s%s\n", *report->detail ? ", " : "", report->detail);
}

static int bad_callback(void *data)
{
    (void)data;
    return -EIO;
}

bide_async(bad_task)
{
    return -ECONNREFUSED;
}

bide_async(amain)
{
    bide_loop *loop = bide_loop_current();
    bide_loop_set_exception_handler(loop, handle, stdout);

    int rc = bide_loop_call_soon(loop, bad_callback, NULL, NULL, NULL);
    if (rc < 0)
        return rc;
    bide_sleep(0);

    struct bide_task_opts opts = {.name = "forgotten"};
    bide_detach(bide_spawn_with(&opts, bad_task));
    bide_sleep(0);

    struct bide_report own = {.message = "low on disk", .error = -ENOSPC, .detail = "1 % free"};
    bide_loop_report(loop, &own);
    bide_loop_set_exception_handler(loop, NULL, NULL);
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
