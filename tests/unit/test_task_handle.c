/*
 * Scenario: handles given back in every way there is, and failures that nobody reads. Claim: each
 * call consumes exactly what it says; a task runs on without a handle; a failure that nobody read
 * is reported exactly once, with the place that spawned it, when the last handle goes.
 */
#include "runtime/loop.h"
#include "task_rig.h"

#define UNREAD "task failed and nobody read its result"

TASK_TEST(detached_task_runs_on)
{
    bide_task *inner = bide_spawn(returns_after, 3, 7);
    bide_task *seen = bide_retain(inner);
    bide_detach(inner);
    turns(5);
    CHECK_INT(bide_await(seen), 7);
    bide_detach(bide_spawn(returns_after, 3, 7));
    turns(5);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
    bide_detach(NULL);
    CHECK_PTR(bide_retain(NULL), NULL);
}

TASK_TEST(unread_failure_is_reported_when_the_last_handle_goes)
{
    struct bide_task_opts opts = {.name = "t"};
    bide_task *task = bide_spawn_with(&opts, returns, -EIO);
    bide_task *second = bide_retain(task);
    turns(1);
    CHECK_STR(take_report(), "");
    bide_detach(task);
    CHECK_STR(take_report(), "");
    bide_detach(second);
    CHECK_STR(take_report(), UNREAD "|-5||t|returns|"
                                    "test_unread_failure_is_reported_when_the_last_handle_goes");
}

TASK_TEST(unread_failure_of_a_detached_task_is_reported_when_it_ends)
{
    struct bide_task_opts opts = {.name = "t"};
    bide_detach(bide_spawn_with(&opts, returns_after, 1, -EPIPE));
    turns(1);
    CHECK_STR(take_report(), "");
    turns(1);
    CHECK_STR(take_report(),
              UNREAD "|-32||t|returns_after|"
                     "test_unread_failure_of_a_detached_task_is_reported_when_it_ends");
}

TASK_TEST(each_way_of_reading_counts)
{
    int result;
    bide_task *tasks[6];
    for (int i = 0; i < 6; i++)
        tasks[i] = bide_spawn(returns, -EIO);
    turns(1);
    bide_task *gathered[] = {tasks[0]};
    bide_task *joined[] = {tasks[1]};
    CHECK_INT(bide_gather(gathered, 1, NULL), -EIO);
    CHECK_PTR(gathered[0], NULL);
    CHECK_INT(bide_cancel_join(joined, 1), 0);
    CHECK_PTR(joined[0], NULL);
    CHECK_INT(bide_await(tasks[2]), -EIO);
    CHECK_INT(bide_task_result(tasks[3], &result), 0);
    bide_detach(tasks[3]);
    CHECK_INT(bide_shield(tasks[4]), -EIO);
    bide_detach(tasks[4]);
    CHECK_INT(bide_await(bide_retain(tasks[5])), -EIO);
    bide_detach(tasks[5]);
}

TASK_TEST(looking_does_not_count_as_reading)
{
    struct bide_task_opts opts = {.name = "t"};
    bide_task *task = bide_spawn_with(&opts, returns, -EIO);
    CHECK_INT(bide_wait(&task, 1, BIDE_ALL_COMPLETED), 1);
    CHECK_INT(bide_next_done(&task, 1), 0);
    CHECK(bide_task_done(task));
    CHECK(!bide_task_cancelled(task));
    CHECK_STR(bide_task_detail(task), "");
    bide_detach(task);
    CHECK_STR(take_report(), UNREAD "|-5||t|returns|test_looking_does_not_count_as_reading");
}

TASK_TEST(cancelled_task_is_no_failure)
{
    bide_task *task = bide_spawn(sleeps, INFINITY);
    turns(1);
    bide_cancel(task);
    bide_detach(task);
    turns(2);
    task = bide_spawn(returns, -ECANCELED);
    bide_detach(task);
    turns(2);
}

TASK_TEST(gather_takes_only_what_it_read)
{
    bide_task *tasks[] = {bide_spawn(returns, 1), bide_spawn(returns_after, 1, -EIO),
                          bide_spawn(returns_after, 5, 3)};
    bide_task *last = tasks[2];
    int results[] = {90, 91, 92};
    CHECK_INT(bide_gather(tasks, 3, results), -EIO);
    CHECK_PTR(tasks[0], NULL);
    CHECK_PTR(tasks[1], NULL);
    CHECK_PTR(tasks[2], last);
    CHECK_INT(results[0], 1);
    CHECK_INT(results[1], -EIO);
    CHECK_INT(results[2], 92);
    CHECK_INT(bide_await(last), 3);
}

static bide_async(spawns_and_forgets)
{
    bide_detach(bide_spawn(returns_after, 2, -EIO));
    return 0;
}

TASK_TEST(task_survives_its_spawner)
{
    CHECK_INT(bide_await(bide_spawn(spawns_and_forgets)), 0);
    CHECK_STR(take_report(), "");
    turns(3);
    CHECK_STR(take_report(), UNREAD "|-5||Task-3|returns_after|spawns_and_forgets");
}

BIDE_TEST(failures_at_the_end_of_the_loop_are_reported)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop, .name = "t"};
    bide_task *held = bide_spawn_with(&opts, returns, -EIO);
    bide_detach(bide_spawn_with(&opts, returns, -EPIPE));
    CHECK_INT(bide_loop_run_until_complete(loop, bide_retain(held)), -EIO);
    CHECK_STR(take_report(), UNREAD "|-32||t|returns|"
                                    "test_failures_at_the_end_of_the_loop_are_reported");
    bide_detach(held);
    bide_detach(bide_spawn_with(&opts, insists, -EIO));
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_STR(take_report(), UNREAD "|-5||t|insists|"
                                    "test_failures_at_the_end_of_the_loop_are_reported");
    rig_end();
}

TASK_TEST(stacks_go_back_when_bodies_end)
{
    bide_loop *loop = bide_loop_current();
    bide_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = bide_spawn(returns, i);
    CHECK_INT((long long)bide__stack_pool_held(loop->stacks), 11);
    turns(1);
    CHECK_INT((long long)bide__stack_pool_held(loop->stacks), 1);
    CHECK_INT(bide_gather(tasks, 10, NULL), 0);
    bide_detach(bide_coroutine(returns, 1));
    CHECK_INT((long long)bide__stack_pool_held(loop->stacks), 1);
}

TASK_TEST(handles_of_finished_tasks_are_reused_and_kept_apart)
{
    for (int round = 0; round < 3; round++) {
        enum { N = 1500 };
        static bide_task *tasks[N];
        static int results[N];
        for (int i = 0; i < N; i++)
            tasks[i] = bide_spawn(returns, i + round);
        CHECK_INT(bide_gather(tasks, N, results), 0);
        for (int i = 0; i < N; i++)
            CHECK_INT(results[i], i + round);
    }
}

TASK_TEST(null_is_taken_as_a_spawn_that_found_no_memory)
{
    bide_task *null = NULL;
    CHECK_INT(bide_await(NULL), -ENOMEM);
    CHECK_INT(bide_shield(NULL), -ENOMEM);
    CHECK_INT(bide_gather(&null, 1, NULL), -ENOMEM);
    CHECK_INT(bide_gather_all(&null, 1, NULL), -ENOMEM);
    CHECK_INT(bide_wait(&null, 1, BIDE_ALL_COMPLETED), -EINVAL);
    CHECK_INT(bide_next_done(&null, 1), -ENOENT);
    CHECK_INT(bide_cancel_join(&null, 1), 0);
    bide_task *tasks[] = {bide_spawn(returns, 1), NULL};
    bide_task *first = tasks[0];
    CHECK_INT(bide_gather(tasks, 2, NULL), -ENOMEM);
    CHECK_PTR(tasks[0], first);
    CHECK_INT(bide_await(first), 1);
}
