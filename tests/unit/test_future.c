/*
 * Scenario: bare futures and the promises that set them. Claim: a future takes one result, once,
 * wakes who waits in the next turn, never inline; it can be cancelled, and is when its promise goes
 * without a result or the loop closes.
 */
#include "task_rig.h"

struct pair {
    bide_promise *promise;
    bide_future *future;
};

static struct pair pair_new(void)
{
    struct pair pair;
    CHECK_INT(bide_future_new(NULL, &pair.promise, &pair.future), 0);
    return pair;
}

static bide_async(awaits, (bide_future *, future))
{
    int rc = bide_await(future);
    note("w");
    return rc;
}

TASK_TEST(result_reaches_who_waits_in_the_next_turn)
{
    struct pair pair = pair_new();
    CHECK_INT(bide_task_state(pair.future), BIDE_TASK_WAITING);
    bide_task *waiter = bide_spawn(awaits, pair.future);
    turns(1);
    CHECK_INT(bide_promise_set(pair.promise, 7, NULL), 0);
    note("-");
    CHECK(bide_task_done(pair.future));
    CHECK_INT(bide_await(waiter), 7);
    CHECK_NOTES("-w");
    bide_promise_free(pair.promise);
}

TASK_TEST(error_and_its_words)
{
    struct pair pair = pair_new();
    char words[] = "words";
    CHECK_INT(bide_promise_set(pair.promise, -EIO, words), 0);
    words[0] = 'X';
    CHECK_STR(bide_task_detail(pair.future), "words");
    CHECK_INT(bide_await(pair.future), -EIO);
    CHECK_STR(bide_error_detail(), "words");
    bide_promise_free(pair.promise);
}

TASK_TEST(words_of_a_result_that_is_no_error_are_ignored)
{
    struct pair pair = pair_new();
    CHECK_INT(bide_promise_set(pair.promise, 3, "nothing"), 0);
    CHECK_STR(bide_task_detail(pair.future), "");
    CHECK_INT(bide_await(pair.future), 3);
    bide_promise_free(pair.promise);
}

TASK_TEST(second_result_is_refused)
{
    struct pair pair = pair_new();
    CHECK_INT(bide_promise_set(pair.promise, 1, NULL), 0);
    CHECK_INT(bide_promise_set(pair.promise, 2, NULL), -EALREADY);
    CHECK_INT(bide_cancel(pair.future), 0);
    CHECK_INT(bide_await(pair.future), 1);
    CHECK_INT(bide_promise_set(pair.promise, 3, NULL), -EALREADY);
    CHECK_INT(bide_promise_set(NULL, 3, NULL), -EINVAL);
    bide_promise_free(pair.promise);
}

TASK_TEST(cancelled_future)
{
    struct pair pair = pair_new();
    CHECK_PTR(bide_promise_future(pair.promise), pair.future);
    CHECK_PTR(bide_promise_future(NULL), NULL);
    CHECK_INT(bide_cancel_with(pair.future, "why"), 1);
    CHECK_INT(bide_cancel(pair.future), 0);
    CHECK(bide_task_cancelled(pair.future));
    CHECK_INT(bide_cancelling(pair.future), 0);
    CHECK_INT(bide_uncancel(pair.future), 0);
    CHECK_INT(bide_promise_set(pair.promise, 1, NULL), -EALREADY);
    CHECK_INT(bide_await(pair.future), -ECANCELED);
    CHECK_STR(bide_error_detail(), "why");
    bide_promise_free(pair.promise);
}

TASK_TEST(promise_that_goes_without_a_result_cancels)
{
    struct pair pair = pair_new();
    bide_task *waiter = bide_spawn(awaits, pair.future);
    turns(1);
    bide_promise_free(pair.promise);
    CHECK_INT(bide_await(waiter), -ECANCELED);
    bide_promise_free(NULL);
    CHECK_NOTES("w");
}

TASK_TEST(promise_outlives_the_future_s_handle)
{
    struct pair pair = pair_new();
    bide_detach(pair.future);
    CHECK_INT(bide_promise_set(pair.promise, 1, NULL), 0);
    bide_promise_free(pair.promise);
}

TASK_TEST(unread_failure_of_a_future_is_reported)
{
    struct pair pair = pair_new();
    CHECK_INT(bide_promise_set(pair.promise, -EIO, "unread"), 0);
    bide_promise_free(pair.promise);
    CHECK_STR(take_report(), "");
    CHECK_INT(bide_task_set_name(pair.future, "f"), 0);
    bide_detach(pair.future);
    CHECK_STR(take_report(), "task failed and nobody read its result|-5|unread|f||");
}

TASK_TEST(cancelled_waiter_cancels_the_future_and_a_shielded_one_does_not)
{
    struct pair pair = pair_new();
    bide_task *waiter = bide_spawn(awaits, bide_retain(pair.future));
    turns(1);
    CHECK_INT(bide_cancel(waiter), 1);
    CHECK(bide_task_cancelled(pair.future));
    CHECK_INT(bide_await(waiter), -ECANCELED);
    bide_detach(pair.future);
    bide_promise_free(pair.promise);
    CHECK_NOTES("w");
}

TASK_TEST(many_waiters_in_order)
{
    struct pair pair = pair_new();
    bide_task *waiters[20];
    for (int i = 0; i < 20; i++)
        waiters[i] = bide_spawn(awaits, bide_retain(pair.future));
    turns(1);
    CHECK_INT(bide_promise_set(pair.promise, 5, NULL), 0);
    int results[20];
    CHECK_INT(bide_gather(waiters, 20, results), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(results[i], 5);
    CHECK_NOTES("wwwwwwwwwwwwwwwwwwww");
    bide_detach(pair.future);
    bide_promise_free(pair.promise);
}

TASK_TEST(form_and_name_and_place)
{
    struct pair pair = pair_new();
    char form[100];
    CHECK_INT(bide_task_print(pair.future, form, sizeof form), (int)strlen("<Future pending>"));
    CHECK_STR(form, "<Future pending>");
    CHECK_STR(bide_task_name(pair.future), "Future-2");
    CHECK_PTR(bide_task_place(pair.future), NULL);
    CHECK_INT(bide_start(pair.future), 0);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
    CHECK_INT(bide_promise_set(pair.promise, -EIO, NULL), 0);
    bide_task_print(pair.future, form, sizeof form);
    CHECK_STR(form, "<Future finished error=-5 (Input/output error)>");
    CHECK_INT(bide_await(pair.future), -EIO);
    bide_promise_free(pair.promise);
}

static struct pair late;

static void drop_makes_future(void *loop)
{
    CHECK_INT(bide_future_new(loop, &late.promise, &late.future), -ESHUTDOWN);
    note("d");
}

static int nothing(void *data)
{
    (void)data;
    return 0;
}

BIDE_TEST(loop_that_closes_cancels_its_futures_and_makes_no_more)
{
    struct pair pair;
    bide_loop *loop = rig_loop();
    CHECK_INT(bide_future_new(loop, &pair.promise, &pair.future), 0);
    CHECK_INT(bide_loop_call_later(loop, 10, nothing, loop, drop_makes_future, NULL), 0);
    rig_close(loop);
    CHECK_NOTES("d");
    CHECK(bide_task_cancelled(pair.future));
    bide_detach(pair.future);
    CHECK_INT(bide_promise_set(pair.promise, 1, NULL), -EALREADY);
    bide_promise_free(pair.promise);
    CHECK_INT(bide_future_new(NULL, &pair.promise, &pair.future), -EINVAL);
    CHECK_INT(bide_future_new(NULL, NULL, &pair.future), -EINVAL);
    CHECK_INT(bide_future_new(NULL, &pair.promise, NULL), -EINVAL);
}
