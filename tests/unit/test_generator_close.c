/*
 * Scenario: generators that are closed before their end: by hand, by every way out of bide_for, by
 * another task, by a cancelled one, by the loop that closes, with cleanup that waits, fails, or
 * never ends. Claim: the pending yield and all later ones fail, the cleanup runs to its end before
 * the close returns, its error is told once, and no stack is left over.
 */
#include <bide/flow.h>
#include <bide/generator.h>
#include <sys/wait.h>

#include "task_rig.h"

/* Yields 0, 1, …; when it is closed, suspends that often, and returns `result`. */
static bide_generator(int, cleans_up, (int, n_turns), (int, result))
{
    int rc = 0;
    for (int i = 0; rc == 0; i++)
        rc = bide_yield(i);
    CHECK_INT(rc, -ECANCELED);
    note("(");
    for (int i = 0; i < n_turns; i++) {
        rc = bide_sleep(0);
        if (rc < 0)
            note("c");
    }
    note(")");
    return result;
}

static void take(bide_iterator *it, int expected)
{
    int value = -1;
    CHECK_INT(bide_next(it, &value), 1);
    CHECK_INT(value, expected);
}

TASK_TEST(cleanup_waits)
{
    bide_iterator *it = bide_iterate(cleans_up, 3, -ECANCELED);
    take(it, 0);
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_NOTES("()");
}

BIDE_TEST(without_a_loop)
{
    bide_iterator *it = bide_iterate(cleans_up, 1, 0);
    take(it, 0);
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_NOTES("(c)"); /* a wait in the cleanup fails there */
}

TASK_TEST(results_of_the_cleanup)
{
    bide_iterator *it = bide_iterate(cleans_up, 0, 0);
    take(it, 0);
    CHECK_INT(bide_iterator_close(it), 0);
    it = bide_iterate(cleans_up, 0, 5);
    take(it, 0);
    CHECK_INT(bide_iterator_close(it), 0);
    it = bide_iterate(cleans_up, 1, -EIO);
    take(it, 0);
    CHECK_INT(bide_iterator_close(it), -EIO);
    CHECK_NOTES("()()()");
}

static bide_generator(int, yields_on, (int, n))
{
    for (int i = 0; i < n; i++)
        if (bide_yield(i) < 0)
            note("r");
    return 0;
}

TASK_TEST(further_yields_fail_at_once)
{
    bide_iterator *it = bide_iterate(yields_on, 4);
    take(it, 0);
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_NOTES("rrrr");
}

static bide_generator(int, yields_until, (const bool *, enough))
{
    while (!*enough)
        (void)!bide_yield(1);
    return 0;
}

static bide_async(ends_it, (bool *, enough))
{
    int rc = bide_sleep(0);
    *enough = true;
    return rc;
}

TASK_TEST(body_that_ignores_its_close_does_not_keep_the_loop)
{
    bool enough = false;
    bide_iterator *it = bide_iterate(yields_until, &enough);
    int value;
    CHECK_INT(bide_next(it, &value), 1);
    bide_task *task = bide_spawn(ends_it, &enough);
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_INT(bide_await(task), 0);
}

static bide_async(ends_it_late, (bool *, enough))
{
    int rc = bide_sleep(TICKS(5));
    *enough = true;
    return rc;
}

TASK_TEST(body_that_ignores_its_close_for_long_is_reported)
{
    bool enough = false;
    bide_iterator *it = bide_iterate(yields_until, &enough);
    int value;
    CHECK_INT(bide_next(it, &value), 1);
    bide_task *task = bide_spawn(ends_it_late, &enough);
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_INT(bide_await(task), 0);
    CHECK_CONTAINS(take_report(), "generator goes on in spite of being closed|0||Task-1|");
}

static int leaves_by_return(int *rc, int n)
{
    bide_for (int, value, *rc, bide_iterate(cleans_up, 1, 0))
        if (value == n)
            return 100 + value;
    return -1;
}

TASK_TEST(every_way_out_of_the_loop)
{
    int rc = -1;
    bide_for (int, value, rc, bide_iterate(cleans_up, 2, 0)) {
        if (value < 3)
            continue;
        break;
    }
    CHECK_INT(rc, 0);
    CHECK_NOTES("()");
    CHECK_INT(leaves_by_return(&rc, 5), 105);
    CHECK_INT(rc, 0);
    CHECK_NOTES("()");
    bide_for (int, value, rc, bide_iterate(cleans_up, 1, -EIO))
        if (value == 2)
            goto out;
out:
    CHECK_INT(rc, -EIO);
    CHECK_NOTES("()");
    bide_for (int, value, rc, bide_iterate(cleans_up, 1, -EIO)) {
        rc = value == 1 ? -EPIPE : 0;
        if (rc < 0)
            break;
    }
    CHECK_INT(rc, -EPIPE); /* what the block left there stands */
    CHECK_NOTES("()");
    bide_for (int, value, rc, (bide_iterator *)NULL)
        FAIL("a value %d of nothing", value);
    CHECK_INT(rc, -ENOMEM);
}

static bide_async(loops_and_waits, (int, n_turns), (int, result))
{
    int rc;
    bide_for (int, value, rc, bide_iterate(cleans_up, n_turns, result)) {
        rc = bide_sleep(INFINITY);
        if (rc < 0)
            break;
        (void)value;
    }
    return rc;
}

TASK_TEST(cleanup_of_a_loop_is_shielded)
{
    bide_task *task = bide_spawn(loops_and_waits, 3, -EIO);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("()");
    CHECK_INT(bide_within(TICKS(1), loops_and_waits(3, 0)), -ETIMEDOUT);
    CHECK_NOTES("()");
}

static bide_async(closes, (bide_iterator *, it))
{
    return bide_iterator_close(it);
}

TASK_TEST(cancel_while_closing_reaches_the_cleanup)
{
    for (int n = 0; n <= 3; n++) {
        bide_iterator *it = bide_iterate(cleans_up, 3, -EIO);
        take(it, 0);
        bide_task *task = bide_spawn(closes, it);
        turns(n);
        CHECK_INT(bide_cancel(task), 1);
        if (n == 0) { /* it never began */
            CHECK_INT(bide_await(task), -ECANCELED);
            CHECK_NOTES("");
            CHECK_INT(bide_iterator_close(it), -EIO);
            CHECK_NOTES("()");
            continue;
        }
        CHECK_INT(bide_await(task), -EIO);
        CHECK_NOTES(n == 1 ? "(ccc)" : n == 2 ? "(cc)" : "(c)");
    }
}

TASK_TEST(close_by_another_task)
{
    bide_iterator *it = bide_iterate(cleans_up, 3, -EIO);
    take(it, 0);
    CHECK_INT(bide_await(bide_spawn(closes, it)), -EIO);
    CHECK_NOTES("()");
    bide_task *task = bide_spawn(closes, bide_iterate(cleans_up, 3, 0));
    CHECK_INT(bide_await(task), 0); /* one that did not begin */
    CHECK_NOTES("");
}

static bide_generator(int, closes_inner)
{
    bide_iterator *inner = bide_iterate(cleans_up, 2, -EPIPE);
    take(inner, 0);
    int rc = bide_yield(0);
    int closed = bide_iterator_close(inner);
    return closed < 0 ? closed : rc;
}

TASK_TEST(cleanup_that_closes_a_generator)
{
    bide_iterator *it = bide_iterate(closes_inner);
    take(it, 0);
    CHECK_INT(bide_iterator_close(it), -EPIPE);
    CHECK_NOTES("()");
}

static bide_generator(int, begins_in_cleanup)
{
    int rc = bide_yield(0);
    int n = 0;
    int again;
    bide_for (int, value, again, bide_iterate(cleans_up, 1, 0))
        if (value == 3 && ++n)
            break;
    CHECK_INT(again, 0);
    CHECK_INT(n, 1);
    return rc;
}

TASK_TEST(cleanup_that_begins_a_generator)
{
    bide_iterator *it = bide_iterate(begins_in_cleanup);
    take(it, 0);
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_NOTES("()");
}

/* Left open when the loop closes. */

static bide_iterator *left[300];

static bide_async(leaves_open, (int, n), (int, n_turns), (int, result))
{
    for (int i = 0; i < n; i++) {
        left[i] = bide_iterate(cleans_up, n_turns, result);
        take(left[i], 0);
    }
    return 1;
}

BIDE_TEST(run_closes_what_is_left)
{
    CHECK_INT(bide_run_with(NULL, leaves_open, 2, 3, -ECANCELED), 1);
    CHECK_NOTES("(())"); /* at the same time */
    for (int i = 0; i < 2; i++) {
        int value;
        CHECK_INT(bide_next(left[i], &value), 0);
        CHECK_INT(bide_iterator_close(left[i]), 0);
    }
    CHECK_INT(bide_run_with(NULL, leaves_open, 300, 3, -EIO), 1);
    rig_notes[0] = '\0';
    for (int i = 0; i < 300; i++)
        CHECK_INT(bide_iterator_close(left[i]), -EIO); /* nobody was told before */
}

static bide_async(leaves_two_kinds)
{
    CHECK_INT(leaves_open(1, 2, 0), 1);
    left[1] = bide_iterate(closes_inner);
    take(left[1], 0);
    bide_task *task = bide_spawn(insists, 1);
    turns(1);
    bide_detach(task);
    return 2;
}

BIDE_TEST(generators_after_tasks_and_from_within_generators)
{
    CHECK_INT(bide_run_with(NULL, leaves_two_kinds), 2);
    rig_notes[0] = '\0';
    CHECK_INT(bide_iterator_close(left[0]), 0);
    CHECK_INT(bide_iterator_close(left[1]), -EPIPE);
}

static bide_generator(int, begins_another)
{
    int rc = bide_yield(0);
    CHECK_INT(leaves_open(1, 1, 0), 1);
    return rc;
}

static bide_async(leaves_one_that_begins_another)
{
    left[1] = bide_iterate(begins_another);
    take(left[1], 0);
    return 2;
}

BIDE_TEST(cleanup_that_leaves_another_open)
{
    CHECK_INT(bide_run_with(NULL, leaves_one_that_begins_another), 2);
    CHECK_NOTES("()");
    CHECK_INT(bide_iterator_close(left[0]), 0);
    CHECK_INT(bide_iterator_close(left[1]), 0);
}

static const struct bide_loop_opts brief = {.cleanup_seconds = 0.02};

static bide_generator(int, waits_in_cleanup, (bool, gives_in))
{
    bide_timeout *timeout;
    CHECK_INT(bide_timeout_begin(100, &timeout), 0);
    int rc = bide_yield(0);
    if (gives_in)
        rc = bide_sleep(INFINITY);
    else
        rc = bide_shielded(INFINITY, bide_sleep(INFINITY));
    note(rc == -ECANCELED ? "c" : "?");
    return bide_timeout_end(timeout, rc);
}

static bide_async(leaves_waiting, (bool, gives_in))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    left[0] = bide_iterate(waits_in_cleanup, gives_in);
    take(left[0], 0);
    return 2;
}

BIDE_TEST(cleanup_that_takes_too_long_is_cancelled)
{
    CHECK_INT(bide_run_with(&brief, leaves_waiting, true), 2);
    CHECK_NOTES("c");
    rig_end();
    CHECK_INT(bide_iterator_close(left[0]), 0);
}

#define STUCK "task does not end although it was cancelled; it waits for: "

static void leaves_for_ever(void *unused)
{
    (void)unused;
    CHECK_INT(bide_run_with(&brief, leaves_waiting, false), 2);
    CHECK_CONTAINS(take_report(), STUCK "sleep|0||");
    rig_end();
    int value;
    CHECK_INT(bide_next(left[0], &value), 0);
    CHECK_INT(bide_iterator_close(left[0]), -ECANCELED);
}

BIDE_TEST(cleanup_that_never_ends_is_reported_and_lost)
{
    char output[8192];
    CHECK_INT(test_child(leaves_for_ever, NULL, output, sizeof output), 0);
}

static void *frames[2]; /* where the functions return to */

static __attribute__((noinline)) int waits_stuck(void)
{
    frames[0] = __builtin_return_address(0);
    int rc = bide_shielded(INFINITY, bide_sleep(INFINITY));
    return rc < 0 ? rc : rc + 1; /* no tail call */
}

static bide_generator(int, stuck_inside, (int, depth))
{
    int value;
    int rc = 0;
    if (depth > 0) {
        bide_iterator *inner = bide_iterate(stuck_inside, depth - 1);
        left[depth - 1] = inner;
        rc = bide_next(inner, &value);
    }
    return rc < 0 ? rc : waits_stuck();
}

static __attribute__((noinline)) int asks_stuck(int depth)
{
    int value;
    frames[1] = __builtin_return_address(0);
    left[depth] = bide_iterate(stuck_inside, depth);
    int rc = bide_next(left[depth], &value);
    return rc < 0 ? rc : rc + 1; /* no tail call */
}

static bide_async(gets_stuck, (int, depth))
{
    return asks_stuck(depth);
}

static bide_async(leaves_stuck, (int, depth))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(bide_spawn(gets_stuck, depth));
    turns(1);
    return 2;
}

static void run_stuck(int depth)
{
    int value;
    CHECK_INT(bide_run_with(&brief, leaves_stuck, depth), 2);
    CHECK_CONTAINS(take_report(), STUCK "sleep|0||Task-2|gets_stuck|");
    rig_end();
    for (int i = 0; i <= depth; i++) {
        CHECK_INT(bide_next(left[i], &value), 0);
        CHECK_INT(bide_iterator_close(left[i]), -ECANCELED);
    }
    printf("frames [%p] [%p]\n", frames[0], frames[1]);
}

static void leaves_stuck_once(void *unused)
{
    (void)unused;
    run_stuck(0);
}

static void leaves_stuck_deeply(void *unused)
{
    (void)unused;
    run_stuck(3);
}

/* The inner body's frame comes first, the task's own last. */
static void check_backtrace(void (*body)(void *))
{
    char output[16384];
    char frame[2][32];
    CHECK_INT(test_child(body, NULL, output, sizeof output), 0);
    char *at = strstr(output, "frames ");
    CHECK(at);
    CHECK_INT(sscanf(at, "frames %31s %31s", frame[0], frame[1]), 2);
    *at = '\0';
    CHECK_CONTAINS(output, frame[0]);
    CHECK_CONTAINS(strstr(output, frame[0]), frame[1]);
}

BIDE_TEST(task_that_is_stuck_inside_is_reported_with_all_its_frames)
{
    check_backtrace(leaves_stuck_once);
    check_backtrace(leaves_stuck_deeply);
}

struct pair {
    int one, other;
};

/* Asks two generators that wait in their cleanup through an operator, and closes that. */
static bide_generator(int, sums, (int, n_turns))
{
    struct pair pair;
    int rc;
    bide_iterator *it = bide_zip(struct pair, (one, bide_iterate(cleans_up, n_turns, 0)),
                                 (other, bide_iterate(cleans_up, 3 * n_turns, 0)));
    while ((rc = bide_next(it, &pair)) == 1 && (rc = bide_yield(pair.one + pair.other)) == 0)
        ;
    CHECK_INT(bide_iterator_close(it), 0);
    note(".");
    return rc;
}

static bide_async(leaves_operators, (bool, within))
{
    left[0] = within ? bide_iterate(sums, 2)
                     : bide_chain((bide_iterator *[]){bide_iterate(cleans_up, 2, 0)}, 1);
    take(left[0], 0);
    return 3;
}

/* Nobody but the operator closes its sources while it may still do so. */
BIDE_TEST(operators_that_are_left_open)
{
    CHECK_INT(bide_run_with(NULL, leaves_operators, true), 3);
    CHECK_NOTES("()().");
    CHECK_INT(bide_iterator_close(left[0]), 0);
    CHECK_INT(bide_run_with(NULL, leaves_operators, false), 3);
    CHECK_NOTES("()");
    CHECK_INT(bide_iterator_close(left[0]), 0);
}
