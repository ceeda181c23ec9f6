/*
 * Scenario: context managers made from generators, entered and exited by hand, by bide_with_manager
 * on every way out, by bide_with; with bodies that fail before and after the yield, swallow errors,
 * wait, yield never or twice; used in the wrong order; without memory; cancelled at each
 * suspension. Claim: what is acquired is released once, the body sees how the block ended, its
 * result is what comes of it, and misuse is an error in words.
 */
#include <bide/manager.h>
#include <bide/scoped.h>

#include "fault.h"
#include "task_rig.h"

/* Notes "(", what the block came to, and ")". */
static bide_generator(int, managed, (int, value), (int, n_turns))
{
    char text[16];
    int rc = returns_after(n_turns, 0);
    if (rc < 0)
        return rc;
    note("(");
    rc = bide_yield(value);
    snprintf(text, sizeof text, "%d", rc);
    note(text);
    int cleaned = returns_after(n_turns, 0);
    note(cleaned < 0 ? "c)" : ")");
    return rc;
}

static bide_generator(int, fails_before, (int, error))
{
    return error < 0 ? error : bide_yield(1);
}

static bide_generator(int, fails_after, (int, error))
{
    int rc = bide_yield(1);
    return rc < 0 ? rc : error;
}

static bide_generator(int, swallows)
{
    int rc = bide_yield(1);
    return rc == -EIO ? 0 : rc;
}

static bide_generator(int, never_yields)
{
    return 0;
}

static bide_generator(int, yields_twice, (bool, gives_in))
{
    int rc = bide_yield(1);
    int again = bide_yield(2);
    CHECK_INT(again, -BIDE_EMANAGER);
    return gives_in ? again : rc;
}

static int by_hand(bide_iterator *body, int result)
{
    int value = -1;
    bide_manager manager = bide_manage(body);
    int rc = bide_manager_enter(&manager, &value);
    if (rc < 0) {
        CHECK_INT(value, -1);
        return rc;
    }
    value = -1;
    CHECK_INT(bide_manager_value(&manager, &value), 0);
    CHECK(value > 0);
    return bide_manager_exit(&manager, result);
}

static int by_macro(bide_iterator *body, int result)
{
    int rc;
    bide_with_manager (int, value, rc, body) {
        CHECK_INT(rc, 0);
        CHECK(value > 0);
        rc = result;
    }
    return rc;
}

static void check_uses(int (*use)(bide_iterator *body, int result), int n_turns)
{
    CHECK_INT(use(bide_iterate(managed, 7, n_turns), 5), 5);
    CHECK_NOTES("(5)");
    CHECK_INT(use(bide_iterate(managed, 7, n_turns), -9), -9);
    CHECK_NOTES("(-9)");
    CHECK_INT(use(bide_iterate(fails_before, -EIO), 5), -EIO);
    CHECK_INT(use(bide_iterate(fails_after, -EIO), 5), -EIO);
    CHECK_INT(use(bide_iterate(fails_after, -EIO), -EPIPE), -EPIPE);
    CHECK_INT(use(bide_iterate(swallows), -EIO), 0);
    CHECK_INT(use(bide_iterate(swallows), -EPIPE), -EPIPE);
    CHECK_INT(use(NULL, 5), -ENOMEM);
    CHECK_INT(use(bide_iterate(never_yields), 5), -BIDE_EMANAGER);
    CHECK_CONTAINS(bide_error_detail(), "never_yields, made at ");
    CHECK_CONTAINS(bide_error_detail(), " in check_uses, ended without a yield");
    CHECK_INT(use(bide_iterate(yields_twice, false), 5), -BIDE_EMANAGER);
    CHECK_CONTAINS(bide_error_detail(), " in check_uses, yielded again");
    CHECK_INT(use(bide_iterate(yields_twice, true), 5), -BIDE_EMANAGER);
    CHECK_CONTAINS(bide_error_detail(), "yields_twice, made at ");
}

BIDE_TEST(without_a_loop)
{
    check_uses(by_hand, 0);
    check_uses(by_macro, 0);
}

TASK_TEST(in_a_task)
{
    check_uses(by_hand, 2);
    check_uses(by_macro, 2);
}

static int leaves_by_return(int *rc)
{
    bide_with_manager (int, value, *rc, bide_iterate(managed, 7, 1)) {
        *rc = -EIO;
        return value;
    }
    return -1;
}

TASK_TEST(every_way_out)
{
    int rc = -1;
    CHECK_INT(leaves_by_return(&rc), 7);
    CHECK_INT(rc, -EIO);
    CHECK_NOTES("(-5)");
    for (int i = 0; i < 2; i++) {
        bide_with_manager (int, value, rc, bide_iterate(managed, 7, 1)) {
            rc = value;
            if (i == 0)
                break;
            continue;
        }
        CHECK_INT(rc, 7);
        CHECK_NOTES("(7)");
    }
    bide_with_manager (int, value, rc, bide_iterate(managed, 7, 1)) {
        rc = value + 1;
        goto out;
    }
out:
    CHECK_INT(rc, 8);
    CHECK_NOTES("(8)");
}

TASK_TEST(in_a_scoped_block)
{
    int value = 0;
    int rc;
    bide_manager manager = bide_manage(bide_iterate(managed, 7, 1));
    bide_with (rc, bide_manager_enter(&manager, &value), bide_manager_release, &manager)
        CHECK_INT(value, 7);
    CHECK_INT(rc, 0);
    CHECK_NOTES("(0)");
    manager = bide_manage(bide_iterate(fails_after, -EIO));
    bide_with (rc, bide_manager_enter(&manager, &value), bide_manager_release, &manager)
        rc = 5;
    CHECK_INT(rc, -EIO);
}

static bide_async(works_inside, (int, n_turns))
{
    int rc;
    bide_with_manager (int, value, rc, bide_iterate(managed, 7, 2))
        rc = returns_after(n_turns, value);
    return rc;
}

TASK_TEST(cancelled_at_each_suspension)
{
    for (int n = 1; n <= 7; n++) {
        bide_task *task = bide_spawn(works_inside, 2);
        turns(n);
        bool cancelled = bide_cancel(task);
        int rc = bide_await(task);
        if (n <= 2) { /* before it was acquired */
            CHECK_INT(rc, -ECANCELED);
            CHECK_NOTES("");
        } else if (n <= 4) {
            CHECK_INT(rc, -ECANCELED);
            CHECK_NOTES("(-125)"); /* the release is shielded */
        } else {
            CHECK_INT(cancelled, n <= 6);
            CHECK_INT(rc, 7);
            CHECK_NOTES("(7)");
        }
    }
}

TASK_TEST(exit_by_hand_is_a_join)
{
    int value;
    bide_manager manager = bide_manage(bide_iterate(managed, 7, 2));
    CHECK_INT(bide_manager_enter(&manager, &value), 0);
    CHECK_INT(bide_cancel(bide_current_task()), 1);
    CHECK_INT(bide_manager_exit(&manager, 5), 5);
    CHECK_INT(bide_uncancel(bide_current_task()), 0);
    CHECK_NOTES("(5c)");
}

static bide_generator(int, limited)
{
    return bide_within(TICKS(1), bide_yield(1) < 0 ? -ECANCELED : bide_sleep(INFINITY));
}

TASK_TEST(limit_of_the_body_is_not_the_blocks)
{
    int rc;
    bide_with_manager (int, value, rc, bide_iterate(limited)) {
        CHECK_INT(bide_sleep(TICKS(2) * value), 0);
        CHECK_INT(bide_sleep(0), 0);
    }
    CHECK_INT(rc, -ETIMEDOUT);
}

TASK_TEST(misuse_in_words)
{
    int value = -1;
    bide_manager manager = bide_manage(bide_iterate(managed, 7, 0));
    CHECK_INT(bide_manager_value(&manager, &value), -BIDE_EMANAGER);
    CHECK_CONTAINS(bide_error_detail(), "managed, made at ");
    CHECK_CONTAINS(bide_error_detail(), " in test_misuse_in_words, is not entered");
    CHECK_INT(bide_manager_enter(&manager, &value), 0);
    CHECK_INT(bide_manager_enter(&manager, &value), -BIDE_EMANAGER);
    CHECK_CONTAINS(bide_error_detail(), "was entered twice");
    long wrong;
    CHECK_INT(bide_manager_value(&manager, &wrong), -EINVAL);
    CHECK_INT(bide_manager_exit(&manager, 0), 0);
    value = -1;
    CHECK_INT(bide_manager_value(&manager, &value), -BIDE_EMANAGER);
    CHECK_CONTAINS(bide_error_detail(), "was exited before");
    CHECK_INT(bide_manager_enter(&manager, &value), -BIDE_EMANAGER);
    CHECK_CONTAINS(bide_error_detail(), "was exited before");
    CHECK_INT(bide_manager_exit(&manager, 3), -BIDE_EMANAGER);
    CHECK_CONTAINS(bide_error_detail(), "was exited before");
    CHECK_INT(bide_manager_release(&manager), -BIDE_EMANAGER);
    CHECK_INT(value, -1);
    CHECK_NOTES("(0)");
    CHECK_INT(bide_manager_exit(NULL, 0), -EINVAL);
    CHECK_INT(bide__manager_enter(NULL, &value, sizeof value), -EINVAL);
    CHECK_INT(bide__manager_value(&manager, NULL, sizeof value), -EINVAL);
}

TASK_TEST(never_entered)
{
    bide_manager manager = bide_manage(bide_iterate(managed, 7, 0));
    CHECK_INT(bide_manager_exit(&manager, 3), 3);
    CHECK_INT(bide_manager_exit(&manager, 3), -BIDE_EMANAGER);
    CHECK_NOTES("");
    long wrong;
    manager = bide_manage(bide_iterate(managed, 7, 0));
    CHECK_INT(bide_manager_enter(&manager, &wrong), -EINVAL);
    CHECK_INT(bide_manager_enter(&manager, &wrong), -BIDE_EMANAGER);
    CHECK_NOTES("");
}

static int ones(void *self, void *ret_item)
{
    (void)self;
    *(int *)ret_item = 1;
    return 1;
}

TASK_TEST(other_iterators_are_no_managers)
{
    static const struct bide_iterator_kind kind = {.name = "ones", .next = ones};
    int value;
    bide_manager manager = bide_manage(bide_iterator_new(&kind, NULL, sizeof(int)));
    CHECK_INT(bide_manager_enter(&manager, &value), -EINVAL);
    CHECK_INT(bide_manager_exit(&manager, 0), -BIDE_EMANAGER);
}

static bide_manager left;

static bide_async(leaves_entered)
{
    int value;
    left = bide_manage(bide_iterate(managed, 7, 2));
    return bide_manager_enter(&left, &value);
}

BIDE_TEST(loop_closes_what_is_left)
{
    CHECK_INT(bide_run_with(NULL, leaves_entered), 0);
    CHECK_NOTES("(-125)");
    CHECK_INT(bide_manager_exit(&left, 4), 4);
}

BIDE_TEST(without_memory)
{
    bool hit = true;
    unsigned long n;
    by_macro(bide_iterate(swallows), 5); /* the thread's stacks are there */
    for (n = 1; hit; n++) {
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = by_macro(bide_iterate(managed, 7, 0), 5);
        hit = fault_disarm();
        CHECK_INT(rc, hit ? -ENOMEM : 5);
        CHECK_NOTES(hit ? "" : "(5)");
    }
    CHECK(n > 3);
}

static bide_async(exits, (bide_manager *, manager), (int, rc), (int, expected))
{
    CHECK_INT(bide_manager_exit(manager, rc), expected);
    return 0;
}

TASK_TEST(one_exits_while_another_enters_or_exits)
{
    bide_manager manager = bide_manage(bide_iterate(managed, 7, 2));
    bide_task *early = bide_spawn(exits, &manager, 4, -EBUSY);
    int value;
    CHECK_INT(bide_manager_enter(&manager, &value), 0);
    CHECK_INT(bide_await(early), 0);
    bide_task *tasks[] = {bide_spawn(exits, &manager, 5, 5),
                          bide_spawn(exits, &manager, 6, -EBUSY)};
    CHECK_INT(bide_gather_all(tasks, 2, NULL), 0);
    CHECK_NOTES("(5)");
}
