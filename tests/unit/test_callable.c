/*
 * Scenario: coroutines with their arguments, and plain functions, kept to be called later. Claim:
 * each call and each task gets the arguments as they were bound, whoever calls need not know which
 * kind it is, and the callable may go before its tasks do.
 */
#include <bide/callable.h>

#include "fault.h"
#include "task_rig.h"

struct pair {
    int a;
    int b;
};

static bide_async(adds, (struct pair, pair), (double, more))
{
    pair.a++; /* its own copy */
    int rc = bide_sleep(0);
    return rc < 0 ? rc : pair.a + pair.b + (int)more;
}

static bide_async(takes_nothing)
{
    return 11;
}

static int plain(void *argument)
{
    return ++*(int *)argument;
}

/* An interface that takes either. */
static int twice(const bide_callable *callable)
{
    int rc = bide_call(callable);
    return rc < 0 ? rc : bide_call(callable);
}

TASK_TEST(calls_of_either_kind)
{
    struct pair pair = {1, 2};
    int count = 0;
    bide_callable *coroutine = bide_bind(adds, pair, 3);
    bide_callable *function = bide_bind_fn(plain, &count);
    bide_callable *bare = bide_bind(takes_nothing);
    pair.a = 100;
    CHECK_INT(twice(coroutine), 7);
    CHECK_INT(twice(function), 2);
    CHECK_INT(twice(bare), 11);
    bide_callable_free(coroutine);
    bide_callable_free(function);
    bide_callable_free(bare);
}

TASK_TEST(tasks_outlive_the_callable)
{
    struct pair pair = {1, 2};
    bide_callable *callable = bide_bind(adds, pair, 3);
    bide_task *one = bide_spawn_callable(callable, NULL);
    bide_task *two = bide_spawn_callable(callable, &(struct bide_task_opts){.name = "two"});
    bide_callable_free(callable);
    CHECK_STR(bide_task_name(two), "two");
    CHECK_STR(bide_task_place(one)->coroutine, "adds");
    CHECK_INT(bide_await(one), 7);
    CHECK_INT(bide_await(two), 7);
}

BIDE_TEST(plain_function_without_a_loop)
{
    int count = 4;
    bide_callable *callable = bide_bind_fn(plain, &count);
    CHECK_INT(bide_call(callable), 5);
    CHECK_PTR(bide_spawn_callable(callable, NULL), NULL);
    bide_callable_free(callable);
}

TASK_TEST(no_memory_and_no_callable)
{
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_PTR(bide_bind(takes_nothing), NULL);
    CHECK(fault_disarm());
    CHECK_INT(bide_call(NULL), -ENOMEM);
    CHECK_PTR(bide_spawn_callable(NULL, NULL), NULL);
    bide_callable_free(NULL);
}
