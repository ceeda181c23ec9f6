/* Running a main coroutine from beginning to end. */
#include "runtime/coro.h"
#include "runtime/launch.h"

#include <bide/workers.h>

#include <stdio.h>
#include <stdlib.h>

enum { EXIT_STATUS_MAX = 255 };

/* Why the loop or its main task could not be made. */
static _Thread_local int launch_error;

void *bide__run_launch(const struct bide_loop_opts *opts, const struct bide__launch *launch)
{
    bide_loop *loop;
    launch_error = bide__loop_running ? -EBUSY : bide_loop_new(opts, &loop);
    if (launch_error < 0)
        return NULL;
    struct bide__coro *coro = bide__launch_main(loop, launch);
    if (!coro) {
        launch_error = -ENOMEM;
        bide_loop_close(loop);
        return NULL;
    }
    return coro->task;
}

int bide__run_main(bide_task *task, void (*ended)(void *data, int result), void *data)
{
    bide_loop *loop = task->loop;
    bide_retain(task);
    int rc = bide_loop_run_until_complete(loop, task);
    bool taken = task->done;
    if (ended)
        ended(data, rc);
    bide_loop_close(loop);
    task->read = true;
    bide__task_unref(task);
    if (!taken)
        bide__task_unref(task);
    return rc;
}

int bide__run_result(void *main_task)
{
    return main_task ? bide__run_main(main_task, NULL, NULL) : launch_error;
}

int bide__run(void *main_task)
{
    return bide__run_status(bide__run_result(main_task));
}

int bide__run_status(int rc)
{
    if (rc >= 0)
        return rc < EXIT_STATUS_MAX ? rc : EXIT_STATUS_MAX;
    const char *detail = bide__detail_of(rc);
    fprintf(stderr, "bide: %s%s%s\n", bide_strerror(rc), *detail ? ": " : "", detail);
    return EXIT_FAILURE;
}

void *bide__run_opts(const struct bide_loop_opts *opts)
{
    return (void *)(uintptr_t)opts;
}
