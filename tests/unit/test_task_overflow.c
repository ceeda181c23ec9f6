/*
 * Scenario: tasks that overflow their stacks, on the first and the second loop of a thread, and on
 * a thread other than the one that made them; and generators, in tasks and without any. Claim: the
 * process dies of the fault, and not without having told which task or generator it was and where
 * that was made. (Sanitizers have handlers of their own, which are left alone: then only the death
 * is looked at.)
 */
#include <bide/generator.h>
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

static void check_words(void (*body)(void *), const char *words, const char *more)
{
    char output[8192];
    int status = test_child(body, NULL, output, sizeof output);
    CHECK(status != 0);
    if (BIDE__SANITIZED)
        return;
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGSEGV);
    CHECK_CONTAINS(output, words);
    CHECK_CONTAINS(strstr(output, words), more);
}

static void check_report(void (*body)(void *))
{
    check_words(body, "bide: stack overflow in task deep, coroutine recurses, spawned at ",
                " in spawns_on\n");
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

static bide_generator(int, generates_deeply)
{
    return recurses(0);
}

static int asks_deep_generator(void *unused)
{
    (void)unused;
    int value;
    bide_iterator *it = bide_iterate(generates_deeply);
    return bide_next(it, &value);
}

static void overflows_in_a_generator(void *unused)
{
    asks_deep_generator(unused);
}

static bide_async(main_spawns_asking)
{
    struct bide_task_opts opts = {.name = "asking"};
    return bide_await(bide_spawn_fn_with(&opts, asks_deep_generator, NULL));
}

static void overflows_in_a_tasks_generator(void *unused)
{
    (void)unused;
    bide_run_with(NULL, main_spawns_asking);
}

BIDE_TEST(generator_without_a_loop)
{
    check_words(overflows_in_a_generator,
                "bide: stack overflow in generator generates_deeply, made at ",
                " in asks_deep_generator\n");
}

BIDE_TEST(generator_in_a_task)
{
    check_words(overflows_in_a_tasks_generator,
                "bide: stack overflow in generator generates_deeply, made at ",
                ", in task asking, coroutine asks_deep_generator, spawned at ");
}
