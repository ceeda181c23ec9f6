/*
 * What the tests of the runtime share: a test whose body is a task, a record of what happened in
 * which order, and a catcher of the loop's reports.
 *
 * Invariant: a report that a test did not take fails it, and so does a loop that is left running.
 * The engine is the one that BIDE_ENGINE names; the same claims hold for each.
 */
#ifndef BIDE_TEST_TASK_RIG_H
#define BIDE_TEST_TASK_RIG_H

#include <bide/combine.h>
#include <bide/error.h>
#include <bide/group.h>
#include <bide/loop.h>
#include <bide/remote.h>
#include <bide/task.h>
#include <bide/timeout.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#define RIG_UNUSED __attribute__((unused))

/* What happened so far, one letter or word after the other. */
static char rig_notes[4096];

static RIG_UNUSED void note(const char *what)
{
    size_t length = strlen(rig_notes);
    CHECK(length + strlen(what) < sizeof rig_notes);
    strcpy(rig_notes + length, what);
}

/* Compares what was noted since the last comparison. */
#define CHECK_NOTES(expected) (CHECK_STR(rig_notes, expected), (void)(rig_notes[0] = '\0'))

/* The oldest report that was not taken, as message|error|detail|task's name|coroutine|function that
 * spawned it; "" if there is none. */
static RIG_UNUSED const char *take_report(void)
{
    static char text[1024];
    const struct bide_report *report = bide_test_take_report();
    if (!report)
        return "";
    const struct bide_place *place = report->place;
    snprintf(text, sizeof text, "%s|%d|%s|%s|%s|%s", report->message, report->error,
             report->detail ? report->detail : "", report->task_name ? report->task_name : "",
             place ? place->coroutine : "", place ? place->function : "");
    return text;
}

static RIG_UNUSED void rig_end(void)
{
    CHECK_STR(take_report(), "");
    CHECK_PTR(bide_loop_current(), NULL);
    CHECK_PTR(bide_current_task(), NULL);
}

static RIG_UNUSED bide_loop *rig_loop_with(const struct bide_loop_opts *opts)
{
    bide_loop *loop = NULL;
    CHECK_INT(bide_loop_new(opts, &loop), 0);
    bide_loop_set_exception_handler(loop, bide_test_catch_report, NULL);
    return loop;
}

static RIG_UNUSED bide_loop *rig_loop(void)
{
    return rig_loop_with(NULL);
}

static RIG_UNUSED void rig_close(bide_loop *loop)
{
    CHECK_INT(bide_loop_close(loop), 0);
    rig_end();
}

/* A test whose body is the main task of a loop of its own. */
#define TASK_TEST BIDE_TEST_TASK
#define TASK_TEST_SECONDS(name, limit_seconds) BIDE_TEST_TASK(name, .seconds = (limit_seconds))

/* Coroutines that most tests need. */

static RIG_UNUSED bide_async(sleeps, (double, seconds))
{
    return bide_sleep(seconds);
}

static RIG_UNUSED bide_async(returns, (int, result))
{
    return result;
}

/* Gives up that many turns first. */
static RIG_UNUSED bide_async(returns_after, (int, n_turns), (int, result))
{
    for (int i = 0; i < n_turns; i++) {
        int rc = bide_sleep(0);
        if (rc < 0)
            return rc;
    }
    return result;
}

/* Waits for ever; if it is cancelled, returns `result` instead of the error. */
static RIG_UNUSED bide_async(insists, (int, result))
{
    return bide_sleep(INFINITY) < 0 ? result : -1;
}

#define turns bide_test_turns
#define rig_report bide_test_catch_report

#endif
