/* Reports go to the loop's handler; outside a running loop, and by default, to standard error. */
#include "runtime/report.h"

#include "runtime/loop.h"
#include "runtime/task.h"

#include <bide/error.h>

#include <stdio.h>

static void report_print(const struct bide_report *report)
{
    flockfile(stderr);
    fprintf(stderr, "bide: %s", report->message);
    if (report->task_name)
        fprintf(stderr, ": %s", report->task_name);
    if (report->place)
        fprintf(stderr, " (%s, spawned by %s at %s:%d)", report->place->coroutine,
                report->place->function, report->place->file, report->place->line);
    if (report->error < 0)
        fprintf(stderr, ": %s", bide_strerror(report->error));
    if (report->detail && *report->detail)
        fprintf(stderr, ": %s", report->detail);
    putc('\n', stderr);
    funlockfile(stderr);
}

void bide_loop_report(bide_loop *loop, const struct bide_report *report)
{
    if (loop && loop->exception_handler)
        loop->exception_handler(loop, report, loop->exception_data);
    else
        report_print(report);
}

void bide_loop_set_exception_handler(bide_loop *loop, bide_exception_handler *handler, void *data)
{
    loop->exception_handler = handler;
    loop->exception_data = data;
}

void bide__report_task(bide_task *task, const char *message, int error)
{
    struct bide_report report = {
        .message = message,
        .error = error,
        .detail = error < 0 ? bide_task_detail(task) : "",
        .task_name = bide_task_name(task),
        .place = task->place,
    };
    bide_loop_report(task->loop, &report);
}

void bide__report_callback(bide_loop *loop, int error)
{
    bide_loop_report(loop, &(struct bide_report){
                               .message = "callback failed",
                               .error = error,
                               .detail = bide__detail_of(error),
                           });
}
