/*
 * Scenario: tasks in each state, and one thing of each kind on a loop. Claim: what a task waits for
 * is said in words, the loop counts what it has, and what is given back is not counted any more.
 */
#include "task_rig.h"

#include <bide/inspect.h>
#include <bide/stream.h>

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

TASK_TEST(what_a_task_waits_for)
{
    bide_task *created = bide_coroutine(returns, 1);
    bide_task *scheduled = bide_spawn(returns, 1);
    bide_task *sleeping = bide_spawn(sleeps, INFINITY);
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_STR(bide_task_waits_for(created), "its start");
    CHECK_STR(bide_task_waits_for(scheduled), "its turn");
    CHECK_STR(bide_task_waits_for(bide_current_task()), "");
    CHECK_STR(bide_task_waits_for(future), "its promise");
    CHECK_STR(bide_task_waits_for(NULL), "");
    turns(1);
    CHECK_STR(bide_task_waits_for(scheduled), "");
    CHECK_STR(bide_task_waits_for(sleeping), "sleep");
    bide_task *awaiting = bide_spawn(returns, 1);
    CHECK_INT(bide_await(awaiting), 1);
    bide_promise_free(promise);
    bide_detach(future);
    CHECK_INT(bide_cancel_join((bide_task *[]){created, scheduled, sleeping}, 3), 0);
}

/* What the main task alone is. */
static void check_only_main(void)
{
    struct bide_loop_counts counts;
    CHECK_INT(bide_loop_count(NULL, &counts), 0);
    CHECK_MEM(&counts, &(struct bide_loop_counts){.tasks = 1}, sizeof counts);
}

static int ignore(void *data)
{
    (void)data;
    return 0;
}

TASK_TEST(one_of_each_kind)
{
    bide_loop *loop = bide_loop_current();
    bide_task *done = bide_spawn(returns, 1);
    bide_task *sleeping = bide_spawn(sleeps, INFINITY);
    bide_promise *promise;
    bide_future *future;
    bide_handle *handle;
    bide_stream *stream;
    int ends[2];
    int watched[2];
    turns(1);
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_INT(bide_loop_call_later(loop, 60, ignore, NULL, NULL, &handle), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_INT(bide_stream_adopt(ends[0], NULL, &stream), 0);
    CHECK_INT(pipe(watched), 0);
    CHECK_INT(bide_loop_add_reader(loop, watched[0], ignore, NULL, NULL), 0);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGUSR1, ignore, NULL, NULL), 0);
    struct bide_loop_counts counts;
    struct bide_loop_counts expected = {
        .tasks = 2,
        .futures = 1,
        .results = 1,
        .callbacks = 1,
        .watchers = 1,
        .signals = 1,
        .streams = 1,
    };
    CHECK_INT(bide_loop_count(loop, &counts), 0);
    CHECK_MEM(&counts, &expected, sizeof counts);

    CHECK_INT(bide_await(done), 1);
    CHECK_INT(bide_cancel_join(&sleeping, 1), 0);
    CHECK_INT(bide_promise_set(promise, 1, NULL), 0);
    CHECK_INT(bide_loop_count(loop, &counts), 0);
    CHECK_INT(counts.futures, 0);
    CHECK_INT(counts.results, 1);
    bide_promise_free(promise);
    bide_detach(future);
    CHECK_INT(bide_handle_cancel(handle), 1);
    bide_handle_free(handle);
    CHECK_INT(bide_loop_remove_reader(loop, watched[0]), 1);
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGUSR1), 1);
    CHECK_INT(bide_close(stream), 0);
    check_only_main();
    close(ends[1]);
    close(watched[0]);
    close(watched[1]);
}

BIDE_TEST(without_a_loop_there_is_nothing_to_count)
{
    struct bide_loop_counts counts;
    CHECK_INT(bide_loop_count(NULL, &counts), -EINVAL);
    bide_loop *loop = rig_loop();
    CHECK_INT(bide_loop_count(loop, NULL), -EINVAL);
    CHECK_INT(bide_loop_count(loop, &counts), 0);
    CHECK_INT(counts.tasks, 0);
    rig_close(loop);
}

/* Handles keep the loop's memory, whoever goes last: a leak checker sees it. */
BIDE_TEST(the_last_handle_may_go_after_the_loop)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, returns, 1);
    bide_task *again = bide_retain(task);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 1);
    rig_close(loop);
    bide_detach(again);
}
