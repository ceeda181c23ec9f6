/*
 * Scenario: tasks that overflow their stacks, on the first and the second loop of a thread, and on
 * a thread other than the one that made them. Claim: the process dies of the fault, and not without
 * having told which task it was and where it was spawned. (Sanitizers have handlers of their own,
 * which are left alone: then only the death is looked at.)
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/watched.h"
#include "task_rig.h"

static bide_async(recurses, (int, depth))
{
    volatile char frame[256];
    frame[0] = (char)depth;
    int below = depth < INT32_MAX ? recurses(depth + 1) : 0;
    return below + frame[0];
}

static void check_report(void (*body)(void *))
{
    char output[8192];
    int status = test_child(body, NULL, output, sizeof output);
    CHECK(status != 0);
    if (BIDE__SANITIZED)
        return;
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGSEGV);
    CHECK_CONTAINS(output, "bide: stack overflow in task deep, coroutine recurses, spawned at ");
    CHECK_CONTAINS(output, " in spawns_on\n");
}

static bide_task *spawns_on(bide_loop *loop)
{
    struct bide_task_opts opts = {.loop = loop, .name = "deep"};
    return bide_spawn_with(&opts, recurses, 0);
}

static bide_async(main_spawns)
{
    return bide_await(spawns_on(NULL));
}

static void overflows(void *unused)
{
    (void)unused;
    bide_run_with(NULL, main_spawns);
}

BIDE_TEST(task_of_the_only_loop)
{
    check_report(overflows);
}

static void overflows_after_another_loop(void *unused)
{
    (void)unused;
    bide_loop *first = rig_loop();
    bide_loop *second = rig_loop();
    struct bide_task_opts opts = {.loop = second};
    CHECK_INT(bide_loop_run_until_complete(second, bide_spawn_with(&opts, returns, 1)), 1);
    opts.loop = first;
    CHECK_INT(bide_loop_run_until_complete(first, bide_spawn_with(&opts, returns, 1)), 1);
    rig_close(first);
    bide_loop_run_until_complete(second, spawns_on(second));
}

BIDE_TEST(task_of_a_loop_that_outlives_another_one)
{
    check_report(overflows_after_another_loop);
}

static void *runs_task(void *loop)
{
    bide_loop_run_forever(loop);
    return NULL;
}

static void overflows_elsewhere(void *unused)
{
    (void)unused;
    pthread_t thread;
    bide_loop *loop = rig_loop();
    CHECK(spawns_on(loop));
    CHECK_INT(pthread_create(&thread, NULL, runs_task, loop), 0);
    pthread_join(thread, NULL);
}

BIDE_TEST(task_that_another_thread_made)
{
    check_report(overflows_elsewhere);
}

static bool has_alternate_stack(void)
{
    stack_t stack;
    CHECK_INT(sigaltstack(NULL, &stack), 0);
    return !(stack.ss_flags & SS_DISABLE);
}

BIDE_TEST(alternate_stack_goes_with_the_last_loop_that_had_tasks)
{
    bool before = has_alternate_stack();
    bide_loop *first = rig_loop();
    bide_loop *second = rig_loop();
    struct bide_task_opts opts = {.loop = first};
    bide_task *task = bide_spawn_with(&opts, returns, 1);
    CHECK_INT(has_alternate_stack(), before); /* this thread may not be the loop's */
    CHECK_INT(bide_loop_run_until_complete(first, task), 1);
    CHECK(has_alternate_stack());
    opts.loop = second;
    CHECK_INT(bide_loop_run_until_complete(second, bide_spawn_with(&opts, returns, 1)), 1);
    rig_close(first);
    CHECK(has_alternate_stack());
    rig_close(second);
    CHECK_INT(has_alternate_stack(), before);
}
