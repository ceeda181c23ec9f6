/*
 * Scenario: main coroutines that succeed, fail, are stopped, and leave tasks of every kind behind.
 * Claim: bide_run() returns an exit status and tells the error, bide_run_with() returns the result;
 * what is left is cancelled and awaited while posts still work, and nothing runs after that.
 */
#include <sys/wait.h>

#include "task_rig.h"

static bide_async(stops_the_loop)
{
    bide_loop_stop(bide_loop_current());
    int rc = bide_sleep(INFINITY);
    note("c");
    return rc;
}

static bide_async(stops_with_an_error)
{
    CHECK_INT(bide_loop_stop_with(bide_loop_current(), -EPIPE), 0);
    return 3; /* in the same turn */
}

BIDE_TEST(result_of_the_main_coroutine)
{
    CHECK_INT(bide_run_with(NULL, returns, 0), 0);
    CHECK_INT(bide_run_with(NULL, returns, 100000), 100000);
    CHECK_INT(bide_run_with(NULL, returns, -EIO), -EIO);
    CHECK_INT(bide_run_with(NULL, returns, -ECANCELED), -ECANCELED);
    CHECK_INT(bide_run_with(NULL, stops_the_loop), -BIDE_ESTOPPED);
    CHECK_NOTES("c");
    CHECK_INT(bide_run_with(NULL, stops_with_an_error), -EPIPE);
    rig_end();
}

BIDE_TEST(options)
{
    struct bide_loop_opts opts = {.engine = "none"};
    CHECK_INT(bide_run_with(&opts, returns, 1), -EINVAL);
    opts = (struct bide_loop_opts){.stack_size = 1};
    CHECK_INT(bide_run_with(&opts, returns, 1), -EINVAL);
    opts = (struct bide_loop_opts){.engine = "epoll", .stack_size = 256 * 1024};
    CHECK_INT(bide_run_with(&opts, returns, 1), 1);
}

static bide_async(nests)
{
    CHECK_INT(bide_run_with(NULL, returns, 1), -EBUSY);
    return 5;
}

BIDE_TEST(nested_run_is_refused)
{
    CHECK_INT(bide_run_with(NULL, nests), 5);
    CHECK_INT(bide_run_with(NULL, returns, 1), 1);
}

static bide_async(nests_and_tells)
{
    return bide_run(returns, 1) == EXIT_FAILURE ? 6 : 0;
}

static bide_async(fails_with_words)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, -ENOENT, "no such thing"), 0);
    bide_promise_free(promise);
    return bide_await(future);
}

struct exit_case {
    int result;
    int status;
    const char *output;
};

static void exits(void *argument)
{
    exit(bide_run(returns, *(int *)argument));
}

BIDE_TEST(exit_status)
{
    static const struct exit_case cases[] = {
        {0, 0, ""},
        {1, 1, ""},
        {255, 255, ""},
        {256, 255, ""},
        {100000, 255, ""},
        {-ENOENT, 1, "bide: No such file or directory\n"},
        {-ECANCELED, 1, "bide: Operation canceled\n"},
        {-BIDE_ETORN, 1, "bide: Stream broke in the middle of a write\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char output[256];
        int result = cases[i].result;
        int status = test_child(exits, &result, output, sizeof output);
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), cases[i].status);
        CHECK_STR(output, cases[i].output);
    }
}

static void exits_with_words(void *unused)
{
    (void)unused;
    CHECK_INT(bide_run(fails_with_words), EXIT_FAILURE);
    CHECK_INT(bide_run(returns, -EIO), EXIT_FAILURE); /* whose words those were not */
    CHECK_INT(bide_run(nests_and_tells), 6);
}

BIDE_TEST(what_is_told)
{
    char output[256];
    CHECK_INT(test_child(exits_with_words, NULL, output, sizeof output), 0);
    CHECK_STR(output, "bide: No such file or directory: no such thing\n"
                      "bide: Input/output error\n"
                      "bide: Device or resource busy\n");
}

static bide_async(cleans_up, (const char *, name))
{
    int rc = bide_sleep(INFINITY);
    CHECK_INT(rc, -ECANCELED);
    CHECK_INT(bide_shielded(1, bide_sleep(0.001)), 0);
    note(name);
    return rc;
}

static int noted(void *data)
{
    note(data);
    return 0;
}

static void dropped(void *data)
{
    (void)data;
    note("d");
}

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static bide_async(leaves_much)
{
    bide_detach(bide_spawn(cleans_up, "1"));
    bide_detach(bide_spawn(cleans_up, "2"));
    turns(1);
    bide_detach(bide_spawn(cleans_up, "x")); /* which has not begun when main ends */
    bide_loop *loop = bide_loop_current();
    CHECK_INT(bide_loop_call_soon(loop, noted, text("s"), dropped, NULL), 0);
    CHECK_INT(bide_loop_call_later(loop, 100, noted, text("l"), dropped, NULL), 0);
    note("m");
    return 4;
}

BIDE_TEST(order_of_the_end)
{
    CHECK_INT(bide_run_with(NULL, leaves_much), 4);
    CHECK_NOTES("msd12d");
    rig_end();
}

static bide_async(spawns_more, (int, n))
{
    int rc = bide_sleep(INFINITY);
    note("s");
    if (n > 0) {
        struct bide_task_opts opts = {.always_start = true};
        bide_detach(bide_spawn_with(&opts, spawns_more, n - 1));
    }
    return rc;
}

static bide_async(leaves_spawner)
{
    bide_detach(bide_spawn(spawns_more, 10));
    turns(1);
    return 0;
}

BIDE_TEST(tasks_that_are_spawned_while_others_are_cancelled_end_too)
{
    CHECK_INT(bide_run_with(NULL, leaves_spawner), 0);
    CHECK_NOTES("sssssssssss");
    rig_end();
}

static bide_async(uses_everything_in_cleanup)
{
    int rc = bide_sleep(INFINITY);
    bide_task *helper = NULL;
    CHECK_INT(bide_shielded(INFINITY, bide_await(helper = bide_spawn(returns, 5))), -ECANCELED);
    struct bide_task_opts opts = {.always_start = true};
    CHECK_INT(bide_shielded(INFINITY, bide_await(bide_spawn_with(&opts, returns, 5))), 5);
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), noted, text("p"), dropped, NULL), 0);
    CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
    note("u");
    return rc;
}

static bide_async(leaves_user)
{
    bide_detach(bide_spawn(uses_everything_in_cleanup));
    turns(1);
    return 0;
}

BIDE_TEST(loop_works_in_full_during_the_cleanup)
{
    CHECK_INT(bide_run_with(NULL, leaves_user), 0);
    CHECK_NOTES("pdu");
    rig_end();
}

static bide_async(takes_its_cancel_back)
{
    for (int i = 0; i < 3; i++) {
        CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
        CHECK_INT(bide_uncancel(bide_current_task()), 0);
        note("u");
    }
    return 0;
}

static bide_async(leaves_stubborn)
{
    bide_detach(bide_spawn(takes_its_cancel_back));
    turns(1);
    return 0;
}

BIDE_TEST(task_that_takes_its_cancel_back_is_cancelled_again)
{
    CHECK_INT(bide_run_with(NULL, leaves_stubborn), 0);
    CHECK_NOTES("uuu");
    rig_end();
}

static bide_task *kept;

static bide_async(leaves_created)
{
    kept = bide_coroutine(cleans_up, "x");
    return 0;
}

BIDE_TEST(created_task_never_runs)
{
    CHECK_INT(bide_run_with(NULL, leaves_created), 0);
    CHECK(bide_task_cancelled(kept));
    CHECK_NOTES("");
    bide_detach(kept);
    rig_end();
}

static bide_async(main_is_stopped, (bide_task **, ret_main))
{
    *ret_main = bide_retain(bide_current_task());
    bide_loop_stop(bide_loop_current());
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    note("m");
    return -EIO; /* which nobody can read */
}

BIDE_TEST(main_coroutine_that_was_stopped_is_cancelled_and_awaited)
{
    bide_task *main_task;
    CHECK_INT(bide_run_with(NULL, main_is_stopped, &main_task), -BIDE_ESTOPPED);
    CHECK_NOTES("m");
    bide_detach(main_task);
    rig_end();
}

static bide_async(fails_later)
{
    int rc = bide_sleep(INFINITY);
    return rc < 0 ? -EPIPE : 0;
}

static bide_async(leaves_failing)
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(bide_spawn(fails_later));
    turns(1);
    return 0;
}

BIDE_TEST(failure_in_the_cleanup_is_reported)
{
    CHECK_INT(bide_run_with(NULL, leaves_failing), 0);
    CHECK_STR(take_report(),
              "task failed and nobody read its result|-32||Task-2|fails_later|leaves_failing");
    rig_end();
}
