/*
 * Reports of a test's loops. They are kept, in memory that is there already, so that a test that
 * makes allocations fail gets them too.
 */
#include "test/report.h"

#include <stdio.h>

enum { REPORTS_MAX = 64 };

static struct kept {
    struct bide_report report;
    char message[192];
    char detail[512];
    char task_name[64];
} kept[REPORTS_MAX];
static unsigned n_kept; /* may count more than have room */
static unsigned n_taken;

void bide_test_catch_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)data;
    if (n_kept++ >= REPORTS_MAX)
        return;
    struct kept *new = &kept[n_kept - 1];
    snprintf(new->message, sizeof new->message, "%s", report->message);
    snprintf(new->detail, sizeof new->detail, "%s", report->detail ? report->detail : "");
    snprintf(new->task_name, sizeof new->task_name, "%s",
             report->task_name ? report->task_name : "");
    new->report = *report;
    new->report.message = new->message;
    new->report.detail = new->detail;
    new->report.task_name = report->task_name ? new->task_name : NULL;
}

const struct bide_report *bide_test_take_report(void)
{
    return n_taken < n_kept && n_taken < REPORTS_MAX ? &kept[n_taken++].report : NULL;
}

static void print_report(const struct bide_report *report)
{
    fprintf(stderr, "report that nobody took: %s", report->message);
    if (report->task_name)
        fprintf(stderr, ": %s", report->task_name);
    if (report->place)
        fprintf(stderr, " (%s, spawned by %s at %s:%d)", report->place->coroutine,
                report->place->function, report->place->file, report->place->line);
    if (report->error < 0)
        fprintf(stderr, ": %s", bide_strerror(report->error));
    fprintf(stderr, "%s%s\n", *report->detail ? ": " : "", report->detail);
}

int bide__reports_print(void)
{
    unsigned n = n_kept - n_taken;
    const struct bide_report *report;
    while ((report = bide_test_take_report()))
        print_report(report);
    if (n_kept > n_taken)
        fprintf(stderr, "and %u more reports\n", n_kept - n_taken);
    n_taken = n_kept;
    return (int)n;
}
