/*
 * Scenario: wait in its three modes, next_done and partition_done over tasks that succeed, fail,
 * are cancelled or go on. Claim: they never cancel a task and never hand its error on, put the done
 * ones first with both parts in order, and leave every list when they return.
 */
#include "task_rig.h"

/* As letters, in the order in which they are in the array. */
static void check_order(bide_task **tasks, size_t n, const char *expected)
{
    char order[32] = "";
    for (size_t i = 0; i < n; i++)
        strcat(order, bide_task_name(tasks[i]));
    CHECK_STR(order, expected);
}

static bide_task *named(const char *name, int n_turns, int result)
{
    struct bide_task_opts opts = {.name = name};
    return bide_spawn_with(&opts, returns_after, n_turns, result);
}

TASK_TEST(all_completed)
{
    bide_task *tasks[] = {named("a", 3, 1), named("b", 1, -EIO), named("c", 2, 3)};
    CHECK_INT(bide_wait(tasks, 3, BIDE_ALL_COMPLETED), 3);
    check_order(tasks, 3, "abc");
    CHECK_INT(bide_cancel_join(tasks, 3), 0);
}

TASK_TEST(first_completed_moves_the_done_ones_to_the_front)
{
    bide_task *tasks[] = {named("a", 9, 1), named("b", 1, -EIO), named("c", 9, 1), named("d", 1, 2),
                          named("e", 9, 1)};
    CHECK_INT(bide_wait(tasks, 5, BIDE_FIRST_COMPLETED), 2);
    check_order(tasks, 5, "bdace");
    for (int i = 2; i < 5; i++)
        CHECK_INT(bide_cancelling(tasks[i]), 0);
    CHECK_INT(bide_wait(tasks, 5, BIDE_FIRST_COMPLETED), 2);
    CHECK_INT(bide_cancel_join(tasks, 5), 0);
}

TASK_TEST(first_exception_does_not_count_cancelled_ones)
{
    bide_task *tasks[] = {bide_spawn(sleeps, INFINITY), named("b", 3, 5), named("c", 5, -EIO),
                          named("d", 9, 1)};
    turns(1);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(bide_wait(tasks, 4, BIDE_FIRST_EXCEPTION), 3);
    CHECK(!bide_task_done(tasks[3]));
    CHECK_INT(bide_wait(tasks, 4, BIDE_FIRST_EXCEPTION), 3);
    CHECK_INT(bide_cancel_join(tasks + 2, 2), 0);
    CHECK_INT(bide_wait(tasks, 2, BIDE_FIRST_EXCEPTION), 2);
    CHECK_INT(bide_cancel_join(tasks, 2), 0);
}

TASK_TEST(done_tasks_need_no_turn)
{
    bide_task *task = named("a", 0, 1);
    turns(1);
    bide_task *other = named("o", 0, 1);
    CHECK_INT(bide_wait(&task, 1, BIDE_ALL_COMPLETED), 1);
    CHECK_INT(bide_wait(&task, 1, BIDE_FIRST_COMPLETED), 1);
    CHECK_INT(bide_wait(&task, 1, BIDE_FIRST_EXCEPTION), 1);
    CHECK_INT(bide_next_done(&task, 1), 0);
    CHECK_INT(bide_task_state(other), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_gather((bide_task *[]){task, other}, 2, NULL), 0);
}

TASK_TEST(created_tasks_are_started)
{
    bide_task *task = bide_coroutine(returns, 1);
    CHECK_INT(bide_wait(&task, 1, BIDE_ALL_COMPLETED), 1);
    CHECK_INT(bide_await(task), 1);
    task = bide_coroutine(returns, 2);
    CHECK_INT(bide_next_done(&task, 1), 0);
    CHECK_INT(bide_await(task), 2);
}

TASK_TEST(senseless_arguments)
{
    bide_task *task = named("a", 0, 1);
    CHECK_INT(bide_wait(&task, 0, BIDE_ALL_COMPLETED), -EINVAL);
    CHECK_INT(bide_wait(NULL, 0, BIDE_ALL_COMPLETED), -EINVAL);
    CHECK_INT(bide_wait(&task, 1, (enum bide_wait_mode)3), -EINVAL);
    CHECK_INT(bide_wait((bide_task *[]){task, NULL}, 2, BIDE_ALL_COMPLETED), -EINVAL);
    CHECK_INT(bide_next_done(NULL, 0), -ENOENT);
    CHECK_INT(bide_next_done((bide_task *[]){NULL, NULL}, 2), -ENOENT);
    CHECK_INT(bide_await(task), 1);
}

static bide_async(waits, (bide_task **, tasks), (size_t, n), (bool, next))
{
    int rc = next ? bide_next_done(tasks, n) : bide_wait(tasks, n, BIDE_ALL_COMPLETED);
    note(rc == -ECANCELED ? "c" : "x");
    CHECK_INT(bide_sleep(0), -ECANCELED);
    return rc;
}

TASK_TEST(cancelled_wait_leaves_the_tasks_alone_and_sorts_them)
{
    bide_task *tasks[] = {named("a", 9, 1), named("b", 1, 2), named("c", 9, 3)};
    bide_task *waiter = bide_spawn(waits, tasks, 3, false);
    turns(4);
    CHECK_INT(bide_cancel(waiter), 1);
    CHECK_INT(bide_await(waiter), -ECANCELED);
    check_order(tasks, 3, "bac");
    CHECK_INT(bide_cancelling(tasks[1]), 0);
    CHECK_INT(bide_gather(tasks, 3, NULL), 0);
    tasks[0] = named("a", 5, 1);
    waiter = bide_spawn(waits, tasks, 1, true);
    turns(2);
    CHECK_INT(bide_cancel(waiter), 1);
    CHECK_INT(bide_await(waiter), -ECANCELED);
    CHECK_INT(bide_await(tasks[0]), 1);
    CHECK_NOTES("cc");
}

TASK_TEST(wait_fails_at_once_in_a_cancelled_task)
{
    bide_task *task = bide_coroutine(returns, 1);
    CHECK_INT(bide_within(0, bide_wait(&task, 1, BIDE_ALL_COMPLETED)), -ETIMEDOUT);
    CHECK_INT(bide_within(0, bide_next_done(&task, 1)), -ETIMEDOUT);
    CHECK_INT(bide_task_state(task), BIDE_TASK_CREATED);
    CHECK_INT(bide_await(task), 1);
}

TASK_TEST(next_done_in_the_order_in_which_they_end)
{
    bide_task *tasks[] = {named("a", 3, 10), named("b", 1, 11), NULL, named("d", 2, -EIO)};
    static const int order[] = {1, 3, 0};
    for (int i = 0; i < 3; i++) {
        int at = bide_next_done(tasks, 4);
        CHECK_INT(at, order[i]);
        CHECK_INT(bide_await(tasks[at]), at == 3 ? -EIO : 10 + at);
        tasks[at] = NULL;
    }
    CHECK_INT(bide_next_done(tasks, 4), -ENOENT);
}

TASK_TEST(next_done_tells_the_first_of_two_that_end_in_one_turn)
{
    for (int first = 0; first < 2; first++) {
        bide_task *tasks[2];
        tasks[first] = named("a", 2, 1);
        tasks[!first] = named("b", 2, 2);
        CHECK_INT(bide_next_done(tasks, 2), first);
        CHECK(bide_task_done(tasks[!first])); /* before this task had its turn */
        CHECK_INT(bide_await(tasks[first]), 1);
        tasks[first] = NULL;
        CHECK_INT(bide_next_done(tasks, 2), !first);
        CHECK_INT(bide_await(tasks[!first]), 2);
    }
}

TASK_TEST(next_done_remembers_the_order_of_ends_before_the_call)
{
    bide_task *tasks[] = {named("a", 3, 10), named("b", 1, 11), named("c", 2, 12)};
    turns(6);
    CHECK_INT(bide_next_done(tasks, 3), 1);
    CHECK_INT(bide_next_done(tasks, 3), 1);
    CHECK_INT(bide_await(tasks[1]), 11);
    tasks[1] = NULL;
    CHECK_INT(bide_next_done(tasks, 3), 2);
    CHECK_INT(bide_gather((bide_task *[]){tasks[0], tasks[2]}, 2, NULL), 0);
}

TASK_TEST(deadline_of_next_done_leaves_the_tasks_running)
{
    bide_task *tasks[] = {named("a", 1, 1), bide_spawn(sleeps, INFINITY)};
    double end = bide_time() + TICKS(3);
    int i;
    int n = 0;
    while ((i = bide_until(end, bide_next_done(tasks, 2))) >= 0) {
        CHECK_INT(i, 0);
        CHECK_INT(bide_await(tasks[i]), 1);
        tasks[i] = NULL;
        n++;
    }
    CHECK_INT(i, -ETIMEDOUT);
    CHECK_INT(n, 1);
    CHECK_INT(bide_task_state(tasks[1]), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancelling(tasks[1]), 0);
    CHECK_INT(bide_cancel_join(tasks, 2), 0);
}

TASK_TEST(partition_keeps_the_order_of_both_parts)
{
    enum { N = 9 };
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    for (unsigned done = 0; done < 1u << N; done += 7) {
        bide_task *tasks[N];
        char expected[N + 1] = "";
        size_t n_done = 0;
        for (unsigned i = 0; i < N; i++)
            tasks[i] = named(names[i], done >> i & 1 ? 0 : 5, 0);
        turns(1);
        for (int part = 1; part >= 0; part--)
            for (unsigned i = 0; i < N; i++)
                if ((done >> i & 1) == (unsigned)part) {
                    strcat(expected, names[i]);
                    n_done += (size_t)part;
                }
        CHECK_INT((long long)bide_partition_done(tasks, N), (long long)n_done);
        check_order(tasks, N, expected);
        CHECK_INT(bide_cancel_join(tasks, N), 0);
    }
    CHECK_INT((long long)bide_partition_done(NULL, 0), 0);
}
