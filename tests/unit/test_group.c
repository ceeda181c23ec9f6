/*
 * Scenario: task groups whose children succeed, fail, are cancelled, spawn more, and whose parent
 * waits, fails, is cancelled or runs into a limit. Claim: children never outlive the group; the
 * first failure cancels siblings and body and is what closing returns; a cancel is no failure, and
 * work that was cut off is never reported as done.
 */
#include "task_rig.h"

static bide_async(notes_when_cancelled, (const char *, name))
{
    int rc = bide_sleep(INFINITY);
    CHECK_INT(bide_shielded(1, bide_sleep(0)), 0);
    note(name);
    return rc;
}

static bide_async(notes_when_done, (const char *, name), (int, n_turns), (int, result))
{
    int rc = returns_after(n_turns, result);
    note(name);
    return rc;
}

TASK_TEST(closing_waits_for_all_children)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT((long long)bide_group_size(group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_done, "a", 3, 1), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_done, "b", 1, 2), 0);
    CHECK_INT((long long)bide_group_size(group), 2);
    CHECK_INT((long long)bide_group_size(NULL), 0);
    CHECK_INT(bide_group_close(group, 9), 9);
    CHECK_NOTES("ba");
}

TASK_TEST(empty_group)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_close(group, 0), 0);
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_close(group, -EIO), -EIO);
    CHECK_INT(bide_group_open(NULL), -EINVAL);
    CHECK_INT(bide_group_close(NULL, 0), -EINVAL);
    CHECK_INT(bide_group_spawn((bide_group *)NULL, returns, 1), -EINVAL);
    bide_group_cancel(NULL);
}

TASK_TEST(failure_cancels_siblings_and_body)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_cancelled, "s"), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 2, -EIO), 0);
    int rc = bide_sleep(INFINITY);
    CHECK_INT(rc, -ECANCELED);
    note("b");
    CHECK_INT(bide_group_spawn(group, returns, 1), -BIDE_EGROUP);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_group_close(group, rc), -EIO);
    CHECK_NOTES("bs");
    CHECK_INT(bide_cancelling(bide_current_task()), 0);
    CHECK_INT(bide_sleep(0), 0);
}

TASK_TEST(failure_while_closing)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_cancelled, "s"), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 2, -EIO), 0);
    CHECK_INT(bide_group_close(group, 0), -EIO);
    CHECK_NOTES("s");
    CHECK_INT(bide_sleep(0), 0);
}

TASK_TEST(failure_of_the_body_cancels_the_children)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_cancelled, "s"), 0);
    turns(1);
    CHECK_INT(bide_group_close(group, -EPIPE), -EPIPE);
    CHECK_NOTES("s");
}

TASK_TEST(first_failure_wins)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 2, -EIO), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 1, -EPIPE), 0);
    CHECK_INT(bide_group_spawn(group, insists, -ENOENT), 0);
    CHECK_INT(bide_group_close(group, 0), -EPIPE);
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, insists, -ENOENT), 0);
    turns(1);
    CHECK_INT(bide_group_close(group, -EIO), -EIO);
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, returns, -ENOENT), 0);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_group_close(group, -EIO), -ENOENT);
}

static bide_async(fails_with_words)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, -EIO, "words"), 0);
    bide_promise_free(promise);
    return bide_await(future);
}

TASK_TEST(words_name_every_child_that_failed)
{
    struct bide_task_opts one = {.name = "one"};
    struct bide_task_opts two = {.name = "two"};
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn_with(group, &two, insists, -EPIPE), 0);
    CHECK_INT(bide_group_spawn_with(group, &one, fails_with_words), 0);
    CHECK_INT(bide_group_spawn(group, sleeps, INFINITY), 0);
    CHECK_INT(bide_group_close(group, 0), -EIO);
    CHECK_STR(bide_error_detail(), "one (fails_with_words): Input/output error: words; "
                                   "two (insists): Broken pipe");
}

static bide_async(cancels_itself)
{
    bide_cancel(bide_current_task());
    return bide_sleep(0);
}

TASK_TEST(child_that_cancels_itself_is_no_failure)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, cancels_itself), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_done, "s", 3, 1), 0);
    turns(2);
    CHECK_INT(bide_group_spawn(group, notes_when_done, "t", 1, 1), 0);
    CHECK_INT(bide_group_close(group, 4), 4);
    CHECK_NOTES("st");
}

static bide_async(spawns_sibling, (bide_group *, group), (int, n))
{
    int rc = bide_sleep(0);
    if (rc == 0 && n > 0)
        rc = bide_group_spawn(group, spawns_sibling, group, n - 1);
    note("x");
    return rc;
}

TASK_TEST(children_spawn_while_the_group_closes)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, spawns_sibling, group, 4), 0);
    CHECK_INT(bide_group_close(group, 0), 0);
    CHECK_NOTES("xxxxx");
}

static bide_async(spawns_after_failure, (bide_group *, group))
{
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    CHECK_INT(bide_group_spawn(group, notes_when_done, "x", 0, 0), -BIDE_EGROUP);
    return 0;
}

TASK_TEST(coroutine_spawned_into_a_failed_group_never_runs)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, spawns_after_failure, group), 0);
    CHECK_INT(bide_group_spawn(group, returns, -EIO), 0);
    CHECK_INT(bide_group_close(group, 0), -EIO);
    turns(2);
    CHECK_NOTES("");
}

static bide_async(cancels_group, (bide_group *, group))
{
    bide_group_cancel(group);
    return 1;
}

TASK_TEST(cancelled_group_is_no_failure)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_cancelled, "s"), 0);
    CHECK_INT(bide_group_spawn(group, cancels_group, group), 0);
    int rc = bide_sleep(INFINITY);
    CHECK_INT(rc, -ECANCELED);
    CHECK_INT(bide_group_close(group, rc), 0);
    CHECK_NOTES("s");
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_cancelled, "s"), 0);
    CHECK_INT(bide_group_spawn(group, cancels_group, group), 0);
    CHECK_INT(bide_group_close(group, 3), 3);
    CHECK_NOTES("s");
    CHECK_INT(bide_group_open(&group), 0);
    bide_group_cancel(group);
    bide_group_cancel(group);
    CHECK_INT(bide_group_spawn(group, returns, 1), -BIDE_EGROUP);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_group_close(group, -ECANCELED), 0);
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(has_group, (int, child_result), (int, body_turns))
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, insists, child_result), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 1, 1), 0);
    int rc = body_turns ? returns_after(body_turns, 5) : 5;
    rc = bide_group_close(group, rc);
    int after = bide_sleep(0);
    note(after == -ECANCELED ? "c" : "-");
    return rc;
}

static int cancelled_group(int child_result, int body_turns)
{
    bide_task *task = bide_spawn(has_group, child_result, body_turns);
    turns(3);
    CHECK_INT(bide_cancel(task), 1);
    int rc = bide_await(task);
    CHECK_NOTES("c");
    return rc;
}

TASK_TEST(parent_is_cancelled_while_it_closes)
{
    CHECK_INT(cancelled_group(-ECANCELED, 0), -ECANCELED);
    CHECK_INT(cancelled_group(7, 0), 5); /* every child returned a value: results stand */
    CHECK_INT(cancelled_group(-EIO, 0), -EIO);
}

TASK_TEST(parent_is_cancelled_in_the_body)
{
    CHECK_INT(cancelled_group(-ECANCELED, 100), -ECANCELED);
    CHECK_INT(cancelled_group(7, 100), -ECANCELED);
    CHECK_INT(cancelled_group(-EIO, 100), -EIO);
}

TASK_TEST(limit_around_a_group)
{
    bide_group *group;
    CHECK_INT(bide_within(TICKS(1), has_group(-ECANCELED, 0)), -ETIMEDOUT);
    CHECK_NOTES("c");
    CHECK_INT(bide_within(TICKS(1), has_group(7, 0)), 5);
    CHECK_NOTES("c");
    CHECK_INT(bide_within(TICKS(1), has_group(-EIO, 0)), -EIO);
    CHECK_NOTES("c");
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_cancelled, "s"), 0);
    CHECK_INT(bide_within(TICKS(1), bide_sleep(INFINITY)), -ETIMEDOUT);
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_group_close(group, -ETIMEDOUT), -ETIMEDOUT);
    CHECK_NOTES("s");
}

TASK_TEST(group_fails_inside_a_limit_and_a_limit_inside_a_group)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 1, -EIO), 0);
    CHECK_INT(bide_within(10, bide_sleep(INFINITY)), -ECANCELED);
    CHECK_INT(bide_group_close(group, -ECANCELED), -EIO);
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(waits_in_vain)
{
    int rc = bide_sleep(INFINITY);
    note(rc == -ECANCELED ? "w" : "?");
    return rc;
}

TASK_TEST(groups_nest)
{
    bide_group *outer;
    bide_group *inner;
    CHECK_INT(bide_group_open(&outer), 0);
    CHECK_INT(bide_group_spawn(outer, waits_in_vain), 0);
    CHECK_INT(bide_group_open(&inner), 0);
    CHECK_INT(bide_group_spawn(inner, waits_in_vain), 0);
    CHECK_INT(bide_group_spawn(inner, returns_after, 1, -EIO), 0);
    CHECK_INT(bide_group_close(inner, bide_sleep(INFINITY)), -EIO);
    CHECK_NOTES("w");
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_group_open(&inner), 0);
    CHECK_INT(bide_group_spawn(inner, waits_in_vain), 0);
    CHECK_INT(bide_group_spawn(outer, returns_after, 1, -EPIPE), 0);
    CHECK_INT(bide_group_close(inner, 0), -ECANCELED);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(bide_group_close(outer, -ECANCELED), -EPIPE);
    CHECK_NOTES("ww");
    CHECK_INT(bide_sleep(0), 0);
}

static bide_async(spawns_into_closed_group, (bide_group *, group))
{
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_done, "x", 0, 0), -BIDE_EGROUP);
    note("i");
    return 0;
}

/* In the turn in which the last child ends, and before the parent, which frees the group, runs. */
TASK_TEST(group_whose_last_child_has_ended_takes_no_more)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_done, "c", 1, 1), 0);
    bide_task *intruder = bide_spawn(spawns_into_closed_group, group);
    CHECK_INT(bide_group_close(group, 0), 0);
    CHECK_INT(bide_await(intruder), 0);
    CHECK_NOTES("ci");
}

static int leaves_group_open(void)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_cancelled, "s"), 0);
    CHECK_INT(bide_group_spawn(group, insists, -EIO), 0);
    CHECK_INT(bide_group_spawn(group, spawns_after_failure, group), 0);
    turns(1);
    CHECK_INT(bide_group_open(&group), 0);
    return 2;
}

TASK_TEST(group_left_open_is_reported_and_its_children_end)
{
    CHECK_INT(bide_within(10, leaves_group_open()), 2);
    CHECK_CONTAINS(take_report(), "scope was left open|0||Task-1|");
    CHECK_CONTAINS(take_report(), "scope was left open|0||Task-1|");
    turns(4);
    CHECK_NOTES("s");
    CHECK_CONTAINS(take_report(), "task failed and nobody read its result|-5|"); /* `insists` */
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
}

/* A child waits for the parent, which cannot end before it: an error for both, no hang. */
static int awaits_parent_rc;

bide_async(awaits, (bide_task *, parent))
{
    awaits_parent_rc = bide_await(parent);
    if (awaits_parent_rc == -EDEADLK)
        bide_detach(parent);
    return awaits_parent_rc;
}

TASK_TEST(circle_through_a_group_is_an_error)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, awaits, bide_retain(bide_current_task())), 0);
    CHECK_INT(bide_sleep(0), -ECANCELED);
    CHECK_INT(awaits_parent_rc, -EDEADLK);
    CHECK_INT(bide_within(10, bide_group_close(group, 0)), -EDEADLK);
    CHECK_INT(bide_cancelling(bide_current_task()), 0);
}

/* The failure of a sibling asks a child once, also when the body then fails because of it. */
static int requests_seen;

bide_async(counts_requests)
{
    int rc = bide_sleep(INFINITY);
    bide_uncancel(bide_current_task());
    bide_sleep(TICKS(2));
    requests_seen = bide_cancelling(bide_current_task());
    return rc;
}

TASK_TEST(children_are_asked_once)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, counts_requests), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 1, -EIO), 0);
    CHECK_INT(bide_group_close(group, bide_sleep(INFINITY)), -EIO);
    CHECK_INT(requests_seen, 0);
}

BIDE_TEST(group_outside_a_task)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), -BIDE_ENOTASK);
    CHECK_INT(bide_group_open(NULL), -EINVAL);
}

TASK_TEST(limit_around_closing_ends_the_children)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_cancelled, "s"), 0);
    int inner = 1;
    CHECK_INT(bide_within(TICKS(1), inner = bide_group_close(group, 4)), -ETIMEDOUT);
    CHECK_INT(inner, -ECANCELED);
    CHECK_NOTES("s");
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 1, -EIO), 0);
    CHECK_INT(bide_within(10, bide_within(10, bide_group_close(group, bide_sleep(INFINITY)))),
              -EIO);
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, returns_after, 3, 1), 0);
    CHECK_INT(bide_shielded(INFINITY, bide_group_close(group, 5)), 5);
    CHECK_INT(bide_sleep(0), 0);
}

TASK_TEST(many_children)
{
    enum { N = 2000 };
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(bide_group_spawn(group, sleeps, INFINITY), 0);
    CHECK_INT((long long)bide_group_size(group), N);
    CHECK_INT(bide_within(TICKS(1), bide_group_close(group, 0)), -ETIMEDOUT);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
}

static bide_async(closes_group, (bide_group *, group))
{
    return bide_group_close(group, 0);
}

TASK_TEST(closed_by_another_task)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, notes_when_done, "a", 3, 1), 0);
    CHECK_INT(bide_await(bide_spawn(closes_group, group)), -EINVAL);
    CHECK_INT(bide_group_close(group, 2), 2);
    CHECK_NOTES("a");
}
