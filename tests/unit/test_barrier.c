/*
 * Scenario: tasks meet at a barrier, several times, and it is broken, reset and left by cancelled
 * tasks. Claim: nobody goes on before all parties have come, then all do, each with an index of its
 * own; a cancelled task no longer counts and breaks nothing; those who wait at a barrier that is
 * broken or reset are told so.
 */
#include <bide/barrier.h>

#include "fault.h"
#include "task_rig.h"

static bide_barrier barrier = BIDE_BARRIER(3); /* made before any loop runs */

static bide_async(meets, (const char *, word))
{
    int rc = bide_barrier_wait(&barrier);
    note(rc == -ECANCELED ? "c" : rc == -BIDE_EBROKEN ? "b" : word);
    return rc;
}

TASK_TEST(all_go_on_together_with_indices)
{
    CHECK_INT(bide_barrier_parties(&barrier), 3);
    for (int round = 0; round < 3; round++) {
        bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1"),
                              bide_spawn(meets, "2")};
        int results[3];
        CHECK_INT(bide_barrier_n_waiting(&barrier), 0);
        CHECK_INT(bide_gather_all(tasks, 3, results), 0);
        for (int i = 0; i < 3; i++)
            CHECK_INT(results[i], i);
        CHECK_NOTES("201"); /* the last one does not wait */
    }
}

TASK_TEST(nobody_goes_on_before_the_last_has_come)
{
    bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1")};
    turns(3);
    CHECK_NOTES("");
    CHECK_INT(bide_barrier_n_waiting(&barrier), 2);
    CHECK_INT(bide_barrier_wait(&barrier), 2);
    CHECK_INT(bide_barrier_n_waiting(&barrier), 0);
    CHECK_NOTES("");
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_NOTES("01");
}

static bide_async(meets_thrice, (int *, sum))
{
    for (int i = 0; i < 3; i++) {
        int rc = bide_barrier_wait(&barrier);
        if (rc < 0)
            return rc;
        *sum += rc;
    }
    return 0;
}

/* Who goes round quickly belongs to the next meeting, not to this one. */
TASK_TEST(meetings_do_not_mix)
{
    int sums[3] = {0};
    bide_task *tasks[] = {bide_spawn(meets_thrice, &sums[0]), bide_spawn(meets_thrice, &sums[1]),
                          bide_spawn(meets_thrice, &sums[2])};
    CHECK_INT(bide_gather(tasks, 3, NULL), 0);
    CHECK_INT(sums[0] + sums[1] + sums[2], 3 * (0 + 1 + 2));
    CHECK_INT(bide_barrier_n_waiting(&barrier), 0);
}

TASK_TEST(barrier_for_one)
{
    bide_barrier one = BIDE_BARRIER(1);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_barrier_wait(&one), 0);
}

TASK_TEST(cancelled_one_leaves_and_its_index_is_used_again)
{
    for (int victim = 0; victim < 2; victim++) {
        bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1")};
        turns(1);
        CHECK_INT(bide_cancel(tasks[victim]), 1);
        CHECK_INT(bide_barrier_n_waiting(&barrier), 1);
        turns(1);
        CHECK_NOTES("c");
        CHECK(!bide_barrier_broken(&barrier));
        bide_task *third = bide_spawn(meets, "3");
        turns(1);
        CHECK_INT(bide_barrier_wait(&barrier), 2);
        CHECK_INT(bide_await(tasks[1 - victim]), 0);
        CHECK_INT(bide_await(third), 1);
        CHECK_INT(bide_await(tasks[victim]), -ECANCELED);
        CHECK_NOTES(victim == 0 ? "13" : "03");
    }
}

TASK_TEST(cancelled_after_the_barrier_opened)
{
    bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1")};
    turns(1);
    CHECK_INT(bide_barrier_wait(&barrier), 2);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(bide_await(tasks[0]), 0);
    CHECK_INT(bide_await(tasks[1]), 1);
    CHECK_NOTES("01");
}

TASK_TEST(cancelled_task_does_not_count)
{
    CHECK_INT(bide_within(0, bide_barrier_wait(&barrier)), -ETIMEDOUT);
    CHECK_INT(bide_barrier_n_waiting(&barrier), 0);
    CHECK_INT(bide_within(TICKS(1), bide_barrier_wait(&barrier)), -ETIMEDOUT);
    CHECK_INT(bide_barrier_n_waiting(&barrier), 0);
}

TASK_TEST(aborted)
{
    bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1")};
    turns(1);
    bide_barrier_abort(&barrier);
    CHECK(bide_barrier_broken(&barrier));
    CHECK_INT(bide_barrier_n_waiting(&barrier), 0);
    CHECK_INT(bide_barrier_wait(&barrier), -BIDE_EBROKEN);
    CHECK_INT(bide_await(tasks[0]), -BIDE_EBROKEN);
    CHECK_INT(bide_await(tasks[1]), -BIDE_EBROKEN);
    CHECK_NOTES("bb");
    CHECK_INT(bide_barrier_wait(&barrier), -BIDE_EBROKEN);
    bide_barrier_reset(&barrier);
    CHECK(!bide_barrier_broken(&barrier));
    CHECK_INT(bide_within(TICKS(1), bide_barrier_wait(&barrier)), -ETIMEDOUT);
}

TASK_TEST(reset_while_tasks_wait)
{
    bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1")};
    turns(1);
    bide_barrier_reset(&barrier);
    CHECK(!bide_barrier_broken(&barrier));
    bide_task *next[] = {bide_spawn(meets, "2"), bide_spawn(meets, "3"), bide_spawn(meets, "4")};
    CHECK_INT(bide_await(tasks[0]), -BIDE_EBROKEN);
    CHECK_INT(bide_await(tasks[1]), -BIDE_EBROKEN);
    CHECK_INT(bide_gather(next, 3, NULL), 0);
    CHECK_NOTES("bb423");
}

/* Those who were let go have passed, whatever becomes of the barrier. */
TASK_TEST(broken_right_after_it_opened)
{
    bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1")};
    turns(1);
    CHECK_INT(bide_barrier_wait(&barrier), 2);
    bide_barrier_abort(&barrier);
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_NOTES("01");
}

TASK_TEST(misuse)
{
    bide_barrier none = BIDE_BARRIER(0);
    bide_barrier zeroed = {0};
    CHECK_INT(bide_barrier_wait(NULL), -EINVAL);
    CHECK_INT(bide_barrier_wait(&none), -EINVAL);
    CHECK_INT(bide_barrier_wait(&zeroed), -EINVAL);
    CHECK_INT(bide_barrier_init(NULL, 1), -EINVAL);
    CHECK_INT(bide_barrier_init(&none, 0), -EINVAL);
    CHECK_INT(bide_barrier_init(&none, 1u << 31), -EINVAL);
    CHECK_INT(bide_barrier_init(&none, 1), 0);
    CHECK_INT(bide_barrier_wait(&none), 0);
    bide_barrier_reset(NULL);
    bide_barrier_abort(NULL);
    CHECK(!bide_barrier_broken(NULL));
    CHECK_INT(bide_barrier_parties(NULL), 0);
    CHECK_INT(bide_barrier_n_waiting(NULL), 0);
}

BIDE_TEST(outside_a_task)
{
    CHECK_INT(bide_barrier_wait(&barrier), -BIDE_ENOTASK);
    CHECK_INT(bide_barrier_n_waiting(&barrier), 0);
}

TASK_TEST(waiting_allocates_nothing)
{
    bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1")};
    fault_arm(FAULT_ALLOCATION, 1, 0);
    turns(1);
    CHECK_INT(bide_barrier_wait(&barrier), 2);
    CHECK(!fault_disarm());
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_NOTES("01");
}

/* A task that waits shielded beyond the end of its loop: the next loop's tasks do not count it. */
static bide_async(waits_shielded)
{
    return bide_shielded(INFINITY, bide_barrier_wait(&barrier));
}

static bide_async(leaves_one_waiting)
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(bide_spawn(waits_shielded));
    turns(1);
    CHECK_INT(bide_barrier_n_waiting(&barrier), 1);
    return 0;
}

static bide_async(meets_in_a_new_loop)
{
    CHECK_INT(bide_barrier_n_waiting(&barrier), 0);
    bide_task *tasks[] = {bide_spawn(meets, "0"), bide_spawn(meets, "1")};
    turns(2);
    CHECK_NOTES("");
    CHECK_INT(bide_barrier_wait(&barrier), 2);
    return bide_gather(tasks, 2, NULL);
}

BIDE_TEST(loop_that_closed_while_a_task_waited)
{
    struct bide_loop_opts opts = {.cleanup_seconds = TICKS(1)};
    CHECK_INT(bide_run_with(&opts, leaves_one_waiting), 0);
    CHECK_CONTAINS(take_report(), "it waits for: barrier");
    while (*take_report())
        ;
    CHECK_INT(bide_run_with(NULL, meets_in_a_new_loop), 0);
    CHECK_NOTES("01");
    rig_end();
}
