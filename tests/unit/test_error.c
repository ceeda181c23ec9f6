/*
 * Scenario: every error in words, and the words that errors come with as they pass from task to
 * task. Claim: each constant has an entry of its own; words are kept per task, belong to one error,
 * and move to whoever joins the task.
 */
#include "task_rig.h"

BIDE_TEST(every_constant_has_words_of_its_own)
{
    for (int error = BIDE_ENOTASK; error <= BIDE_ETRUNCATED; error++) {
        CHECK(!strstr(bide_strerror(-error), "Unknown"));
        for (int other = BIDE_ENOTASK; other < error; other++)
            CHECK(strcmp(bide_strerror(-error), bide_strerror(-other)) != 0);
    }
    CHECK_STR(bide_strerror(-BIDE_ENOTASK), "Suspending call outside a task");
    CHECK_STR(bide_strerror(-BIDE_EGROUP), "Task group takes no new tasks");
}

BIDE_TEST(system_errors_and_others)
{
    CHECK_STR(bide_strerror(-ECONNREFUSED), "Connection refused");
    CHECK_STR(bide_strerror(-ECANCELED), "Operation canceled");
    CHECK_STR(bide_strerror(-ETIMEDOUT), "Timed out"); /* not every time limit is a connection's */
    CHECK_STR(bide_strerror(-ESHUTDOWN), "Was shut down");
    CHECK_STR(bide_strerror(-EAGAIN), "Would have to wait");
    CHECK_STR(bide_strerror(0), "Success");
    CHECK_STR(bide_strerror(7), "Success");
    CHECK_STR(bide_strerror(-4095), "Unknown error -4095");
    CHECK_STR(bide_strerror(-4999), "Unknown error -4999");
    CHECK_STR(bide_strerror(-999999), "Unknown error -999999");
    CHECK_STR(bide_strerror(-2147483647 - 1), "Unknown error -2147483648");
}

static bide_async(fails_with, (bide_promise *, promise), (int, error), (const char *, words))
{
    bide_future *future = bide_retain(bide_promise_future(promise));
    CHECK_INT(bide_promise_set(promise, error, words), 0);
    int rc = bide_await(future);
    CHECK_STR(bide_error_detail(), words ? words : "");
    return rc;
}

static bide_task *failing(int error, const char *words)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    bide_task *task = bide_spawn(fails_with, promise, error, words);
    turns(2);
    CHECK(bide_task_done(task));
    bide_promise_free(promise);
    bide_detach(future);
    return task;
}

TASK_TEST(words_move_to_who_joins)
{
    bide_task *task = failing(-EIO, "disk on fire");
    CHECK_STR(bide_task_detail(task), "disk on fire");
    CHECK_STR(bide_error_detail(), "");
    CHECK_INT(bide_await(task), -EIO);
    CHECK_STR(bide_error_detail(), "disk on fire");
    task = failing(-EPIPE, "second");
    CHECK_INT(bide_await(task), -EPIPE);
    CHECK_STR(bide_error_detail(), "second");
}

TASK_TEST(second_handle_keeps_its_words)
{
    bide_task *task = failing(-EIO, "both");
    CHECK_INT(bide_await(bide_retain(task)), -EIO);
    CHECK_STR(bide_error_detail(), "both");
    CHECK_STR(bide_task_detail(task), "both");
    CHECK_INT(bide_await(task), -EIO);
    CHECK_STR(bide_error_detail(), "both");
}

static bide_async(swallows)
{
    CHECK_INT(bide_await(failing(-EIO, "swallowed")), -EIO);
    return 1;
}

static bide_async(fails_otherwise)
{
    CHECK_INT(bide_await(failing(-EIO, "about another error")), -EIO);
    return -EPIPE;
}

static bide_async(hands_on)
{
    return bide_await(failing(-EIO, "handed on"));
}

TASK_TEST(words_end_with_the_error_that_they_are_about)
{
    bide_task *task = bide_spawn(swallows);
    CHECK_INT(bide_await(bide_retain(task)), 1);
    CHECK_STR(bide_task_detail(task), "");
    CHECK_STR(bide_error_detail(), "");
    bide_detach(task);
    task = bide_spawn(fails_otherwise);
    CHECK_INT(bide_await(bide_retain(task)), -EPIPE);
    CHECK_STR(bide_task_detail(task), "");
    bide_detach(task);
    CHECK_INT(bide_await(bide_spawn(hands_on)), -EIO);
    CHECK_STR(bide_error_detail(), "handed on");
}

TASK_TEST(words_are_of_each_task_s_own)
{
    CHECK_INT(bide_await(failing(-EIO, "mine")), -EIO);
    CHECK_INT(bide_await(bide_spawn(swallows)), 1);
    CHECK_STR(bide_error_detail(), "mine");
    bide_task *task = bide_spawn(returns, 1);
    CHECK_STR(bide_task_detail(task), "");
    CHECK_STR(bide_task_detail(bide_current_task()), "");
    CHECK_STR(bide_task_detail(NULL), "");
    CHECK_INT(bide_await(task), 1);
}

BIDE_TEST(words_outside_tasks)
{
    bide_loop *loop = rig_loop();
    bide_promise *promise;
    bide_future *future;
    CHECK_STR(bide_error_detail(), "");
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, -EIO, "out here"), 0);
    CHECK_INT(bide_loop_run_until_complete(loop, future), -EIO);
    CHECK_STR(bide_error_detail(), "out here");
    bide_promise_free(promise);
    rig_close(loop);
}
