/*
 * Scenario: a task whose suspending calls never have to wait. Claim: 128 of them in a row force it
 * to give up a turn, whichever calls they are; a call that waited starts the count anew.
 */
#include "task_rig.h"

enum { IN_A_ROW = 128 };

static bool other_ran;

static bide_async(sees)
{
    other_ran = true;
    return 0;
}

static bide_future *done_future(void)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, 1, NULL), 0);
    bide_promise_free(promise);
    return future;
}

static int does_not_wait(int kind, bide_future *future)
{
    bide_task *retained = NULL;
    switch (kind) {
    case 0:
        return bide_await(bide_retain(future));
    case 1:
        return bide_shield(future);
    case 2:
        return bide_wait(&future, 1, BIDE_ALL_COMPLETED);
    case 3:
        return bide_next_done(&future, 1);
    case 4:
        retained = bide_retain(future);
        return bide_gather(&retained, 1, NULL);
    case 5:
        return bide_gather(NULL, 0, NULL);
    default:
        return bide_cancel_join(NULL, 0);
    }
}

TASK_TEST(calls_that_do_not_wait_force_a_turn)
{
    bide_future *future = done_future();
    for (int kind = 0; kind < 7; kind++) {
        CHECK_INT(bide_sleep(0), 0);
        other_ran = false;
        bide_detach(bide_spawn(sees));
        for (int i = 0; i < IN_A_ROW; i++)
            CHECK(does_not_wait(kind, future) >= 0);
        CHECK(!other_ran);
        CHECK(does_not_wait(kind, future) >= 0);
        CHECK(other_ran);
    }
    bide_detach(future);
}

TASK_TEST(call_that_waited_starts_the_count_anew)
{
    bide_future *future = done_future();
    for (int i = 0; i < IN_A_ROW; i++)
        CHECK_INT(bide_shield(future), 1);
    CHECK_INT(bide_sleep(0), 0);
    other_ran = false;
    bide_detach(bide_spawn(sees));
    for (int i = 0; i < IN_A_ROW; i++)
        CHECK_INT(bide_shield(future), 1);
    CHECK(!other_ran);
    CHECK_INT(bide_shield(future), 1);
    CHECK(other_ran);
    bide_detach(future);
}

static bide_async(never_waits, (bide_future *, future), (const bool *, over))
{
    while (!*over)
        CHECK_INT(bide_shield(future), 1);
    return 0;
}

TASK_TEST(busy_tasks_do_not_starve_a_timer, .seeds_max = 20)
{
    bool over = false;
    bide_future *future = done_future();
    bide_task *tasks[] = {bide_spawn(never_waits, future, &over),
                          bide_spawn(never_waits, future, &over)};
    CHECK_INT(bide_sleep(0.003), 0);
    over = true;
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    bide_detach(future);
}

TASK_TEST(cancel_during_the_forced_turn_is_delivered, .seeds_max = 20)
{
    bide_future *future = done_future();
    int rc = 0;
    int n = 0;
    bide_timeout *timeout;
    CHECK_INT(bide_timeout_begin(0.002, &timeout), 0);
    while (rc >= 0) {
        rc = bide_shield(future);
        n++;
    }
    CHECK_INT(rc, -ECANCELED);
    CHECK_INT(n % (IN_A_ROW + 1), 0);
    CHECK_INT(bide_timeout_end(timeout, rc), -ETIMEDOUT);
    bide_detach(future);
}
