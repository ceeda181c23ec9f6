/*
 * Scenario: callbacks of every kind that report an error, and what the default handler prints.
 * Claim: each error reaches the loop's exception handler once, with its words, and the rest of the
 * batch still runs.
 */
#include <sys/wait.h>

#include "task_rig.h"

static int fails(void *data)
{
    note("f");
    return *(int *)data;
}

static int succeeds(void *data)
{
    (void)data;
    note("s");
    return 5;
}

static void run_turns(bide_loop *loop, int n)
{
    for (int i = 0; i < n; i++) {
        bide_loop_stop(loop);
        CHECK_INT(bide_loop_run_forever(loop), 0);
    }
}

BIDE_TEST(error_of_a_callback_is_reported_and_the_batch_goes_on)
{
    bide_loop *loop = rig_loop();
    int error = -EIO;
    CHECK_INT(bide_loop_call_soon(loop, succeeds, NULL, NULL, NULL), 0);
    CHECK_INT(bide_loop_call_soon(loop, fails, &error, NULL, NULL), 0);
    CHECK_INT(bide_loop_call_soon(loop, succeeds, NULL, NULL, NULL), 0);
    run_turns(loop, 1);
    CHECK_NOTES("sfs");
    CHECK_STR(take_report(), "callback failed|-5||||");
    CHECK_INT(bide_loop_call_later(loop, 0, fails, &error, NULL, NULL), 0);
    run_turns(loop, 2);
    CHECK_NOTES("f");
    CHECK_STR(take_report(), "callback failed|-5||||");
    rig_close(loop);
}

static int fails_with_words(void *data)
{
    struct bide_task_opts opts = {.loop = data};
    bide_task *task = bide_spawn_with(&opts, returns, -ENOENT);
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(data, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, -EPIPE, "no such pipe"), 0);
    bide_promise_free(promise);
    bide_detach(task);
    return bide_loop_run_until_complete(data, future);
}

BIDE_TEST(words_of_an_error_are_reported)
{
    bide_loop *loop = rig_loop();
    CHECK_INT(bide_loop_call_soon(loop, fails_with_words, loop, NULL, NULL), 0);
    run_turns(loop, 2);
    CHECK_STR(take_report(), "callback failed|-32|no such pipe|||");
    CHECK_STR(take_report(),
              "task failed and nobody read its result|-2||Task-1|returns|fails_with_words");
    rig_close(loop);
}

BIDE_TEST(default_handler_comes_back)
{
    bide_loop *loop = rig_loop();
    bide_loop_report(loop, &(struct bide_report){.message = "m", .error = -EIO, .detail = "d"});
    CHECK_STR(take_report(), "m|-5|d|||");
    bide_loop_set_exception_handler(loop, NULL, NULL);
    bide_loop_report(loop, &(struct bide_report){.message = "not seen"});
    rig_close(loop);
}

static void prints(void *unused)
{
    (void)unused;
    static const struct bide_place place = {"coroutine", "file.c", "function", 7};
    bide_loop *loop;
    CHECK_INT(bide_loop_new(NULL, &loop), 0);
    bide_loop_report(loop, &(struct bide_report){.message = "only words"});
    bide_loop_report(loop, &(struct bide_report){.message = "all",
                                                 .error = -ENOENT,
                                                 .detail = "some words",
                                                 .task_name = "Task-1",
                                                 .place = &place});
    bide_loop_report(NULL, &(struct bide_report){.message = "no loop", .detail = ""});
    CHECK_INT(bide_loop_close(loop), 0);
}

BIDE_TEST(what_the_default_handler_prints)
{
    char output[1024];
    CHECK_INT(test_child(prints, NULL, output, sizeof output), 0);
    CHECK_STR(output, "bide: only words\n"
                      "bide: all: Task-1 (coroutine, spawned by function at file.c:7): "
                      "No such file or directory: some words\n"
                      "bide: no loop\n");
}

static bide_task *unread;

static int makes_unread_task(void *data)
{
    struct bide_task_opts opts = {.loop = data, .name = "late"};
    unread = bide_spawn_with(&opts, returns, -EIO);
    return 0;
}

static void detaches_after_closing(void *unused)
{
    (void)unused;
    bide_loop *loop = rig_loop();
    CHECK_INT(bide_loop_call_soon(loop, makes_unread_task, loop, NULL, NULL), 0);
    run_turns(loop, 2);
    rig_close(loop);
    bide_detach(unread);
    CHECK_STR(take_report(), "");
}

BIDE_TEST(handler_is_not_called_after_the_loop_was_closed)
{
    char output[1024];
    CHECK_INT(test_child(detaches_after_closing, NULL, output, sizeof output), 0);
    CHECK_CONTAINS(output, "bide: task failed and nobody read its result: late (returns, spawned "
                           "by makes_unread_task at ");
    CHECK_CONTAINS(output, "Input/output error\n");
}

static void handler_stops(bide_loop *loop, const struct bide_report *report, void *data)
{
    CHECK_STR(report->message, "callback failed");
    note(data);
    CHECK_INT(bide_loop_stop_with(loop, report->error), 0);
}

BIDE_TEST(handler_may_stop_the_loop)
{
    bide_loop *loop = rig_loop();
    int error = -EIO;
    bide_loop_set_exception_handler(loop, handler_stops, (void *)(uintptr_t) "h");
    CHECK_INT(bide_loop_call_soon(loop, fails, &error, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), -EIO);
    CHECK_NOTES("fh");
    rig_close(loop);
}
