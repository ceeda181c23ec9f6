/*
 * Scenario: tasks that are spawned, created, named, printed and listed. Claim: a task's body begins
 * no earlier than its spawner's next suspension, its arguments are copied, and what can be asked of
 * a handle is true at every stage of its life.
 */
#include "task_rig.h"

static bide_async(notes, (const char *, what))
{
    note(what);
    return (int)strlen(what);
}

TASK_TEST(body_begins_when_the_spawner_suspends)
{
    bide_task *first = bide_spawn(notes, "a");
    bide_task *second = bide_spawn(notes, "b");
    note("-");
    CHECK_INT(bide_sleep(0), 0);
    CHECK_NOTES("-ab");
    CHECK_INT(bide_await(first), 1);
    CHECK_INT(bide_await(second), 1);
}

TASK_TEST(plain_call_runs_at_once)
{
    CHECK_INT(notes("ab"), 2);
    CHECK_NOTES("ab");
    CHECK_INT(sleeps(0), 0);
}

struct wide {
    char bytes[1000];
};

static bide_async(sums, (struct wide, wide), (int, more))
{
    int sum = more;
    for (size_t i = 0; i < sizeof wide.bytes; i++)
        sum += wide.bytes[i];
    return sum;
}

TASK_TEST(arguments_are_copied)
{
    struct wide wide;
    memset(wide.bytes, 1, sizeof wide.bytes);
    int more = 5;
    bide_task *task = bide_spawn(sums, wide, more);
    memset(wide.bytes, 2, sizeof wide.bytes);
    more = 7;
    CHECK_INT(bide_await(task), 1005);
}

struct widest {
    char bytes[4096];
};

static bide_async(last_byte, (struct widest, widest))
{
    return widest.bytes[sizeof widest.bytes - 1];
}

TASK_TEST(as_many_bytes_of_arguments_as_there_may_be)
{
    static struct widest widest;
    widest.bytes[sizeof widest.bytes - 1] = 9;
    CHECK_INT(bide_await(bide_spawn(last_byte, widest)), 9);
}

TASK_TEST(created_task_waits_for_its_start)
{
    bide_task *task = bide_coroutine(notes, "abc");
    CHECK_INT(bide_task_state(task), BIDE_TASK_CREATED);
    turns(3);
    CHECK_NOTES("");
    CHECK_INT(bide_start(task), 1);
    CHECK_INT(bide_start(task), 0);
    CHECK_INT(bide_task_state(task), BIDE_TASK_SCHEDULED);
    turns(1);
    CHECK_NOTES("abc");
    CHECK_INT(bide_start(task), 0);
    CHECK_INT(bide_await(task), 3);
    CHECK_INT(bide_start(NULL), -EINVAL);
}

TASK_TEST(await_starts_a_created_task)
{
    CHECK_INT(bide_await(bide_coroutine(notes, "abcd")), 4);
    CHECK_NOTES("abcd");
}

TASK_TEST(detached_created_task_never_runs)
{
    bide_detach(bide_coroutine(notes, "a"));
    turns(2);
    CHECK_NOTES("");
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
}

TASK_TEST(created_task_with_two_handles_is_closed_with_the_last)
{
    bide_task *task = bide_coroutine(notes, "a");
    CHECK_PTR(bide_retain(task), task);
    bide_detach(task);
    CHECK_INT(bide_task_state(task), BIDE_TASK_CREATED);
    bide_detach(task);
    turns(2);
    CHECK_NOTES("");
}

static bide_async(own_state)
{
    return (int)bide_task_state(bide_current_task());
}

TASK_TEST(states)
{
    bide_task *task = bide_spawn(returns_after, 1, 7);
    CHECK_INT(bide_task_state(task), BIDE_TASK_SCHEDULED);
    turns(1);
    CHECK_INT(bide_task_state(task), BIDE_TASK_SCHEDULED);
    turns(1);
    CHECK_INT(bide_task_state(task), BIDE_TASK_DONE);
    CHECK_INT(bide_await(task), 7);
    task = bide_spawn(sleeps, INFINITY);
    turns(1);
    CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
    CHECK(!bide_task_done(task));
    CHECK_INT(bide_cancel_join(&task, 1), 0);
    CHECK_INT(bide_await(bide_spawn(own_state)), BIDE_TASK_RUNNING);
    CHECK_INT(bide_task_state(NULL), BIDE_TASK_DONE);
    CHECK(bide_task_done(NULL));
}

TASK_TEST(result_can_be_looked_at)
{
    int result = 99;
    bide_task *task = bide_spawn(returns, 5);
    CHECK_INT(bide_task_result(task, &result), -BIDE_ENOTDONE);
    CHECK_INT(result, 99);
    turns(1);
    CHECK_INT(bide_task_result(task, &result), 0);
    CHECK_INT(result, 5);
    CHECK_INT(bide_task_result(task, &result), 0);
    CHECK_INT(bide_task_result(task, NULL), -EINVAL);
    CHECK_INT(bide_task_result(NULL, &result), -EINVAL);
    CHECK_INT(bide_await(task), 5);
}

TASK_TEST(names)
{
    char number[32];
    struct bide_task_opts opts = {.name = "worker"};
    bide_task *named = bide_spawn_with(&opts, returns, 1);
    bide_task *first = bide_spawn(returns, 2);
    bide_task *second = bide_spawn(returns, 3);
    CHECK_STR(bide_task_name(named), "worker");
    CHECK_STR(bide_task_name(bide_current_task()), "Task-1");
    CHECK_STR(bide_task_name(first), "Task-3");
    CHECK_STR(bide_task_name(second), "Task-4");
    snprintf(number, sizeof number, "renamed");
    CHECK_INT(bide_task_set_name(first, number), 0);
    number[0] = 'X';
    CHECK_STR(bide_task_name(first), "renamed");
    CHECK_INT(bide_task_set_name(first, NULL), -EINVAL);
    CHECK_INT(bide_task_set_name(NULL, "x"), -EINVAL);
    CHECK_STR(bide_task_name(NULL), "");
    CHECK_INT(bide_gather((bide_task *[]){named, first, second}, 3, NULL), 0);
}

TASK_TEST(place_is_where_the_spawn_stands)
{
    int line = __LINE__ + 1;
    bide_task *task = bide_spawn(returns, 1);
    const struct bide_place *place = bide_task_place(task);
    CHECK_STR(place->coroutine, "returns");
    CHECK_STR(place->file, __FILE__);
    CHECK_STR(place->function, __func__);
    CHECK_INT(place->line, line);
    CHECK_PTR(bide_task_place(NULL), NULL);
    CHECK_INT(bide_await(task), 1);
}

static void check_form(bide_task *task, const char *expected)
{
    char form[256];
    int length = bide_task_print(task, form, sizeof form);
    CHECK_STR(form, expected);
    CHECK_INT(length, (int)strlen(expected));
    CHECK_INT(bide_task_print(task, NULL, 0), length);
    CHECK_INT(bide_task_print(task, form, 5), length);
    CHECK_INT((long long)strlen(form), 4);
}

TASK_TEST(printed_forms)
{
    struct bide_task_opts opts = {.name = "t"};
    bide_task *task = bide_spawn_with(&opts, returns_after, 0, 7);
    check_form(task, "<Task scheduled name='t' coro=returns_after>");
    turns(1);
    check_form(task, "<Task finished name='t' coro=returns_after result=7>");
    bide_detach(task);
    task = bide_spawn_with(&opts, returns, -ENOENT);
    turns(1);
    check_form(task, "<Task finished name='t' coro=returns error=-2 (No such file or directory)>");
    CHECK_INT(bide_await(task), -ENOENT);
    task = bide_spawn_with(&opts, sleeps, INFINITY);
    turns(1);
    check_form(task, "<Task pending name='t' coro=sleeps wait=sleep>");
    bide_cancel(task);
    turns(1);
    check_form(task, "<Task cancelled name='t' coro=sleeps>");
    bide_detach(task);
    check_form(NULL, "<Task NULL>");
    CHECK_INT(bide_task_set_name(bide_current_task(), "main"), 0);
    check_form(bide_current_task(), "<Task running name='main' coro=printed_forms>");
}

TASK_TEST(printed_form_of_a_created_task)
{
    bide_task *task = bide_coroutine(returns, 1);
    CHECK_INT(bide_task_set_name(task, "t"), 0);
    check_form(task, "<Task created name='t' coro=returns>");
    bide_detach(task);
}

TASK_TEST(all_tasks_lists_the_unfinished_ones)
{
    bide_task *tasks[4] = {NULL};
    bide_task *main_task = bide_current_task();
    bide_task *one = bide_spawn(sleeps, INFINITY);
    bide_task *two = bide_spawn(returns, 0);
    CHECK_INT((long long)bide_all_tasks(NULL, tasks, 4), 3);
    CHECK_PTR(tasks[0], main_task);
    CHECK_PTR(tasks[1], one);
    CHECK_PTR(tasks[2], two);
    CHECK_PTR(tasks[3], NULL);
    turns(1);
    tasks[1] = NULL;
    CHECK_INT((long long)bide_all_tasks(bide_loop_current(), tasks, 1), 2);
    CHECK_PTR(tasks[0], main_task);
    CHECK_PTR(tasks[1], NULL);
    CHECK_INT(bide_await(two), 0);
    CHECK_INT(bide_cancel_join(&one, 1), 0);
    CHECK_INT((long long)bide_all_tasks(NULL, tasks, 4), 1);
}

static int adds_one(void *argument)
{
    int rc = bide_sleep(0);
    return rc < 0 ? rc : *(int *)argument + 1;
}

TASK_TEST(plain_function_as_a_task)
{
    int argument = 41;
    struct bide_task_opts opts = {.name = "plain"};
    CHECK_INT(bide_await(bide_spawn_fn(adds_one, &argument)), 42);
    bide_task *task = bide_spawn_fn_with(&opts, adds_one, &argument);
    CHECK_STR(bide_task_name(task), "plain");
    CHECK_STR(bide_task_place(task)->coroutine, "adds_one");
    CHECK_INT(bide_await(task), 42);
}

static bide_async(deep, (int, n))
{
    char frame[512];
    memset(frame, n, sizeof frame);
    int below = n > 0 ? deep(n - 1) : bide_sleep(0);
    return below < 0 ? below : below + (frame[n % 512] == (char)n);
}

TASK_TEST(stack_size_is_the_task_s_own)
{
    struct bide_task_opts opts = {.stack_size = 1024 * 1024};
    CHECK_INT(bide_await(bide_spawn_with(&opts, deep, 500)), 501);
    opts.stack_size = 1;
    CHECK_PTR(bide_spawn_with(&opts, deep, 1), NULL);
}

TASK_TEST(sleep_lasts_at_least_as_long)
{
    double before = bide_time();
    CHECK_INT(bide_sleep(TICKS(3)), 0);
    CHECK(bide_time() >= before + TICKS(3));
}

TASK_TEST(sleeps_end_in_the_order_of_their_deadlines)
{
    bide_task *tasks[] = {bide_spawn(sleeps, TICKS(6)), bide_spawn(sleeps, TICKS(2)),
                          bide_spawn(sleeps, TICKS(4))};
    CHECK_INT(bide_next_done(tasks, 3), 1);
    CHECK_INT(bide_await(tasks[1]), 0);
    tasks[1] = NULL;
    CHECK_INT(bide_next_done(tasks, 3), 2);
    CHECK_INT(bide_gather((bide_task *[]){tasks[0], tasks[2]}, 2, NULL), 0);
}

TASK_TEST(sleep_of_nan_is_an_error_and_of_less_than_zero_one_turn)
{
    bide_task *other = bide_spawn(returns_after, 2, 0);
    CHECK_INT(bide_sleep(NAN), -EINVAL);
    CHECK_INT(bide_task_state(other), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_sleep(-1), 0);
    CHECK(!bide_task_done(other));
    CHECK_INT(bide_sleep(-INFINITY), 0);
    CHECK(bide_task_done(other));
    CHECK_INT(bide_await(other), 0);
}

BIDE_TEST(nothing_can_be_spawned_or_suspended_outside)
{
    bide_task *task;
    CHECK_PTR(bide_spawn(returns, 1), NULL);
    CHECK_PTR(bide_coroutine(returns, 1), NULL);
    CHECK_PTR(bide_spawn_fn(adds_one, NULL), NULL);
    CHECK_PTR(bide_current_task(), NULL);
    CHECK_INT((long long)bide_all_tasks(NULL, &task, 1), 0);
    CHECK(bide_time() == 0);
    CHECK_INT(bide_await(NULL), -ENOMEM);
    CHECK_INT(bide_shield(NULL), -ENOMEM);
}
