/*
 * Scenario: tasks that wait for themselves, for each other in circles of every kind of join, for
 * tasks of other loops, and suspending calls where there is no task. Claim: each is an error at
 * once, never a hang, and the handle stays the caller's.
 */
#include <pthread.h>

#include "task_rig.h"

TASK_TEST(task_that_waits_for_itself)
{
    bide_task *self = bide_current_task();
    CHECK_INT(bide_await(self), -EDEADLK);
    CHECK_INT(bide_shield(self), -EDEADLK);
    CHECK_INT(bide_gather(&self, 1, NULL), -EDEADLK);
    CHECK_INT(bide_gather_all(&self, 1, (int[]){0}), -EDEADLK);
    CHECK_INT(bide_wait(&self, 1, BIDE_ALL_COMPLETED), -EDEADLK);
    CHECK_INT(bide_next_done(&self, 1), -EDEADLK);
    CHECK_INT(bide_cancel_join(&self, 1), -EDEADLK);
    CHECK_PTR(self, bide_current_task());
    CHECK_INT(bide_cancelling(self), 0);
    CHECK_INT(bide_sleep(0), 0);
}

/* How the other task waits for this one. */
enum how { AWAIT, SHIELD, GATHER, GATHER_ALL, WAIT, NEXT_DONE, CANCEL_JOIN, GROUP, N_HOWS };

static bide_async(awaits, (bide_task *, task))
{
    int rc = bide_await(task);
    if (rc == -EDEADLK)
        bide_detach(task);
    return rc;
}

static int waits_in_group(bide_task *task)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, sleeps, 0), 0);
    CHECK_INT(bide_group_spawn(group, awaits, task), 0);
    return bide_group_close(group, 0);
}

static int waits_for(enum how how, bide_task *task)
{
    bide_task *tasks[] = {bide_spawn(sleeps, 0), bide_retain(task)};
    int results[2];
    int rc;
    switch (how) {
    case AWAIT:
        rc = bide_await(bide_retain(task));
        if (rc == -EDEADLK) /* the handle stayed ours */
            bide_detach(task);
        break;
    case SHIELD:
        rc = bide_shield(task);
        break;
    case GATHER:
        rc = bide_gather(tasks, 2, NULL);
        break;
    case GATHER_ALL:
        rc = bide_gather_all(tasks, 2, results);
        if (rc == 0)
            rc = results[1];
        break;
    case WAIT:
        rc = bide_wait(tasks, 2, BIDE_ALL_COMPLETED);
        break;
    case NEXT_DONE:
        rc = bide_next_done(&tasks[1], 1);
        break;
    case CANCEL_JOIN:
        rc = bide_cancel_join(tasks, 2);
        break;
    default:
        rc = waits_in_group(bide_retain(task));
    }
    for (int i = 0; i < 2; i++)
        bide_detach(tasks[i]);
    bide_detach(task);
    return rc < 0 ? rc : 0;
}

static bide_async(waits, (enum how, how), (bide_task **, task))
{
    CHECK_INT(bide_sleep(0), 0);
    return waits_for(how, *task);
}

TASK_TEST(circle_of_two)
{
    for (enum how how = AWAIT; how < N_HOWS; how++) {
        if (how == CANCEL_JOIN) /* ends the circle itself */
            continue;
        bide_task *one = NULL;
        bide_task *two = NULL;
        one = bide_spawn(waits, how, &two);
        two = bide_spawn(awaits, bide_retain(one));
        bide_retain(two);
        /* Two waits for one by then; one finds the circle. */
        CHECK_INT(bide_await(one), -EDEADLK);
        CHECK_INT(bide_await(two), -EDEADLK);
    }
}

TASK_TEST(circle_closed_by_an_await, .leaves = BIDE_TEST_LEAVES_ALL)
{
    for (enum how how = AWAIT; how < N_HOWS; how++) {
        if (how == CANCEL_JOIN)
            continue;
        bide_task *main_task = bide_retain(bide_current_task());
        bide_task *other = bide_spawn(waits, how, &main_task);
        turns(4);
        CHECK_INT(bide_task_state(other), BIDE_TASK_WAITING);
        CHECK_INT(bide_await(other), -EDEADLK);
        bide_detach(other); /* ends when this task does */
    }
}

static bide_async(links, (bide_task **, tasks), (int, n))
{
    if (n > 0)
        return bide_await(bide_retain(tasks[n - 1]));
    CHECK_INT(bide_sleep(0), 0);
    int rc = bide_await(tasks[9]);
    CHECK_INT(rc, -EDEADLK);
    return rc;
}

static bide_async(shields, (bide_task **, task))
{
    CHECK_INT(bide_sleep(0), 0);
    return bide_shield(*task);
}

/* Another one waits for the parent, and then a child, or a child's child, for that one. */
TASK_TEST(circle_around_an_open_group, .leaves = BIDE_TEST_LEAVES_TASKS)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    bide_task *stranger = bide_spawn(awaits, bide_retain(bide_current_task()));
    CHECK_INT(bide_group_spawn(group, shields, &stranger), 0);
    CHECK_INT(bide_group_close(group, bide_sleep(INFINITY)), -EDEADLK);
    CHECK_INT(bide_task_state(stranger), BIDE_TASK_WAITING);
    bide_detach(stranger); /* ends when this task does */
}

static bide_async(waits_for_stranger, (bide_task **, stranger))
{
    return waits_in_group(bide_retain(*stranger));
}

TASK_TEST(circle_around_two_open_groups, .leaves = BIDE_TEST_LEAVES_ALL)
{
    bide_group *group;
    bide_task *stranger;
    bide_task *self = bide_retain(bide_current_task());
    CHECK_INT(bide_group_open(&group), 0);
    stranger = bide_spawn(waits, WAIT, &self);
    CHECK_INT(bide_group_spawn(group, waits_for_stranger, &stranger), 0);
    CHECK_INT(bide_group_close(group, 0), -EDEADLK); /* the child's child's, handed on */
    CHECK_INT(bide_await(stranger), -EDEADLK);       /* it waits for this task */
    bide_detach(stranger);
}

static bide_async(waits_for_any, (bide_task **, tasks), (bool, next_done), (int, n_turns))
{
    turns(n_turns);
    if (next_done)
        return bide_next_done(tasks, 2);
    return bide_wait(tasks, 2, BIDE_FIRST_COMPLETED);
}

static bide_async(awaits_later, (bide_task **, task), (int, n_turns))
{
    turns(n_turns);
    return bide_shield(*task);
}

/* Whoever can go on with another task is in no circle, whichever wait comes first. */
TASK_TEST(wait_for_any_of_several_is_no_circle)
{
    for (int i = 0; i < 4; i++) {
        bide_task *any;
        bide_task *tasks[2] = {bide_spawn(awaits_later, &any, i / 2 * 4),
                               bide_spawn(returns_after, 10, 0)};
        any = bide_spawn(waits_for_any, tasks, i % 2 == 1, 2);
        CHECK_INT(bide_await(bide_retain(any)), 1);
        for (int k = 0; k < 2; k++) /* bide_wait() has moved them */
            CHECK(bide_await(tasks[k]) >= 0);
        bide_detach(any);
    }
}

TASK_TEST(wait_for_any_of_nothing_but_circles)
{
    bide_task *any;
    bide_task *tasks[2] = {bide_spawn(awaits_later, &any, 0), bide_spawn(awaits_later, &any, 0)};
    any = bide_spawn(waits_for_any, tasks, false, 3);
    CHECK_INT(bide_await(bide_retain(any)), -EDEADLK);
    CHECK_INT(bide_await(tasks[0]), -EDEADLK); /* what the first one returned */
    CHECK_INT(bide_await(tasks[1]), -EDEADLK);
    bide_detach(any);
}

TASK_TEST(circle_of_ten)
{
    bide_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = bide_spawn(links, tasks, i);
    int results[10];
    CHECK_INT(bide_gather_all(tasks, 10, results), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(results[i], -EDEADLK);
}

TASK_TEST(circle_is_no_deadlock_if_one_is_done_or_does_not_wait)
{
    bide_task *task = bide_spawn(returns_after, 3, 1);
    bide_task *waiters[50];
    for (int i = 0; i < 50; i++)
        waiters[i] = bide_spawn(awaits, bide_retain(i ? waiters[i - 1] : task));
    CHECK_INT(bide_await(waiters[49]), 1);
    CHECK_INT(bide_cancel_join(waiters, 49), 0);
    CHECK_INT(bide_await(task), 1);
}

/* Waits for what waits for many: must not take a time that grows with their square. */
TASK_TEST(search_through_a_large_group, .leaves = BIDE_TEST_LEAVES_TASKS, .seeds_max = 20)
{
    enum { N = 5000, WAITERS = 1000 };
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(bide_group_spawn(group, sleeps, INFINITY), 0);
    bide_task *self = bide_retain(bide_current_task());
    for (int i = 0; i < WAITERS; i++)
        bide_detach(bide_spawn(awaits, bide_retain(self))); /* ends when this task does */
    bide_detach(self);
    CHECK_INT(bide_within(0.05, bide_group_close(group, 0)), -ETIMEDOUT);
}

static bide_task *foreign;

static bide_async(waits_for_foreign)
{
    CHECK_INT(bide_await(foreign), -EXDEV);
    CHECK_INT(bide_shield(foreign), -EXDEV);
    CHECK_INT(bide_gather(&foreign, 1, NULL), -EXDEV);
    CHECK_INT(bide_gather_all(&foreign, 1, (int[]){0}), -EXDEV);
    CHECK_INT(bide_wait(&foreign, 1, BIDE_ALL_COMPLETED), -EXDEV);
    CHECK_INT(bide_next_done(&foreign, 1), -EXDEV);
    CHECK_INT(bide_cancel_join(&foreign, 1), -EXDEV);
    return 0;
}

BIDE_TEST(task_of_another_loop)
{
    bide_loop *loop = rig_loop();
    bide_loop *other = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    struct bide_task_opts other_opts = {.loop = other};
    foreign = bide_spawn_with(&other_opts, returns, 7);
    bide_task *task = bide_spawn_with(&opts, waits_for_foreign);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    CHECK_INT(bide_loop_run_until_complete(other, foreign), 7);
    rig_close(loop);
    rig_close(other);
}

static int calls_everything(void *data)
{
    bide_task *task = data;
    bide_group *group;
    CHECK_INT(bide_sleep(0), -BIDE_ENOTASK);
    CHECK_INT(bide_await(task), -BIDE_ENOTASK);
    CHECK_INT(bide_shield(task), -BIDE_ENOTASK);
    CHECK_INT(bide_gather(&task, 1, NULL), -BIDE_ENOTASK);
    CHECK_INT(bide_gather_all(&task, 1, (int[]){0}), -BIDE_ENOTASK);
    CHECK_INT(bide_wait(&task, 1, BIDE_ALL_COMPLETED), -BIDE_ENOTASK);
    CHECK_INT(bide_next_done(&task, 1), -BIDE_ENOTASK);
    CHECK_INT(bide_cancel_join(&task, 1), -BIDE_ENOTASK);
    CHECK_INT(bide_group_open(&group), -BIDE_ENOTASK);
    CHECK_INT(bide_within(1, 0), -BIDE_ENOTASK);
    CHECK_INT(bide_until(1, 0), -BIDE_ENOTASK);
    CHECK_INT(bide_shielded(1, 0), -BIDE_ENOTASK);
    return 0;
}

BIDE_TEST(suspending_calls_outside_tasks)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, returns, 7);
    calls_everything(task);
    CHECK_INT(bide_loop_call_soon(loop, calls_everything, task, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 7);
    rig_close(loop);
}
