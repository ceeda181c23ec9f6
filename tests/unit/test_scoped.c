/*
 * Scenario: blocks that hold something, deferred releases and scoped tasks, left in every way,
 * nested and in loops, with cancels and limits in each part and without memory for the shield.
 * Claim: what was acquired is released exactly once, in reverse order, by a release that may
 * suspend whatever the state of the task; what was not acquired is not released.
 */
#include <bide/scoped.h>

#include "fault.h"
#include "task_rig.h"

/* A resource: notes "(" and its letter when it is acquired, the letter and ")" when it is released.
 */
struct thing {
    const char *letter;
    int acquire_result;
    int release_result;
    int release_turns; /* that the release gives up */
};

static int thing_acquire(struct thing *thing)
{
    if (thing->acquire_result >= 0) {
        note("(");
        note(thing->letter);
    }
    return thing->acquire_result;
}

static int thing_release(void *data)
{
    struct thing *thing = data;
    for (int i = 0; i < thing->release_turns; i++) {
        note("-");
        int rc = bide_sleep(0);
        if (rc < 0)
            note("!");
    }
    note(thing->letter);
    note(")");
    return thing->release_result;
}

enum way { FALL_THROUGH, RETURN, BREAK, CONTINUE, GOTO, FAILURE };

static int leaves(struct thing *thing, enum way way)
{
    int rc;
    bide_with (rc, thing_acquire(thing), thing_release, thing) {
        note("b");
        switch (way) {
        case RETURN:
            return 77;
        case GOTO:
            goto out;
        case FAILURE:
            rc = -EIO;
            break;
        default:
            rc = 5;
            break;
        }
        if (way == BREAK)
            break;
        if (way == CONTINUE)
            continue;
        note("e");
    }
    note("x");
    return rc;
out:
    note("o");
    return rc;
}

TASK_TEST(every_way_out)
{
    struct thing thing = {.letter = "t", .acquire_result = 3};
    CHECK_INT(leaves(&thing, FALL_THROUGH), 5);
    CHECK_NOTES("(tbet)x");
    CHECK_INT(leaves(&thing, RETURN), 77);
    CHECK_NOTES("(tbt)");
    CHECK_INT(leaves(&thing, BREAK), 5);
    CHECK_NOTES("(tbt)x");
    CHECK_INT(leaves(&thing, CONTINUE), 5);
    CHECK_NOTES("(tbt)x");
    CHECK_INT(leaves(&thing, GOTO), 3);
    CHECK_NOTES("(tbt)o");
    CHECK_INT(leaves(&thing, FAILURE), -EIO);
    CHECK_NOTES("(tbet)x");
}

TASK_TEST(what_was_not_acquired_is_not_released)
{
    struct thing thing = {.letter = "t", .acquire_result = -EAGAIN};
    CHECK_INT(leaves(&thing, FALL_THROUGH), -EAGAIN);
    CHECK_NOTES("x");
    int rc;
    bide_with (rc, -EPIPE, thing_release, (note("evaluated"), &thing)) {
        note("body");
    }
    CHECK_INT(rc, -EPIPE);
    CHECK_NOTES("");
}

static int make(struct thing **ret_thing)
{
    static struct thing thing = {.letter = "m"};
    *ret_thing = &thing;
    return 0;
}

TASK_TEST(resource_is_what_acquire_made)
{
    struct thing *thing = NULL;
    int rc;
    bide_with (rc, make(&thing), thing_release, thing) {
        CHECK_STR(thing->letter, "m");
    }
    CHECK_INT(rc, 0);
    CHECK_NOTES("m)");
}

TASK_TEST(release_that_fails)
{
    struct thing thing = {.letter = "t", .release_result = -EPIPE};
    CHECK_INT(leaves(&thing, FALL_THROUGH), -EPIPE);
    CHECK_INT(leaves(&thing, BREAK), -EPIPE);
    CHECK_INT(leaves(&thing, CONTINUE), -EPIPE);
    CHECK_INT(leaves(&thing, GOTO), -EPIPE);
    CHECK_INT(leaves(&thing, FAILURE), -EIO);
    CHECK_INT(leaves(&thing, RETURN), 77);
    thing.release_result = 9;
    CHECK_INT(leaves(&thing, FALL_THROUGH), 5);
    rig_notes[0] = '\0';
}

static int nests(struct thing *things, int leave_at)
{
    int outer;
    int inner = -1;
    bide_with (outer, thing_acquire(&things[0]), thing_release, &things[0]) {
        bide_with (inner, thing_acquire(&things[1]), thing_release, &things[1]) {
            int rc;
            bide_with (rc, thing_acquire(&things[2]), thing_release, &things[2])
                if (leave_at == 2)
                    return 2;
            if (leave_at == 1)
                return rc;
        }
        outer = inner;
    }
    return outer;
}

TASK_TEST(nested_blocks_release_in_reverse)
{
    struct thing things[] = {{.letter = "a"}, {.letter = "b"}, {.letter = "c"}};
    CHECK_INT(nests(things, 2), 2);
    CHECK_NOTES("(a(b(cc)b)a)");
    CHECK_INT(nests(things, 1), 0);
    CHECK_NOTES("(a(b(cc)b)a)");
    things[1].acquire_result = -EBUSY;
    CHECK_INT(nests(things, 2), -EBUSY);
    CHECK_NOTES("(aa)");
    things[1].acquire_result = 0;
    things[2].acquire_result = -EIO;
    CHECK_INT(nests(things, 1), -EIO);
    CHECK_NOTES("(a(bb)a)");
}

TASK_TEST(in_loops)
{
    struct thing thing = {.letter = "t"};
    int rc = 0;
    for (int i = 0; i < 4; i++) {
        if (i == 3)
            break;
        bide_with (rc, thing_acquire(&thing), thing_release, &thing) {
            if (i == 0)
                break;
            if (i == 1)
                continue;
            rc = i;
        }
        note(rc == 2 ? "2" : "0");
    }
    CHECK_NOTES("(tt)0(tt)0(tt)2");
    do
        bide_with (rc, thing_acquire(&thing), thing_release, &thing)
            rc = 1;
    while (rc < 0);
    CHECK_NOTES("(tt)");
}

static bide_async(holds, (struct thing *, thing), (int, body_turns))
{
    int rc;
    bide_with (rc, thing_acquire(thing), thing_release, thing) {
        rc = returns_after(body_turns, 4);
    }
    note(rc == -ECANCELED ? "c" : rc == 4 ? "4" : "?");
    return rc;
}

TASK_TEST(cancelled_in_the_body)
{
    struct thing thing = {.letter = "t", .release_turns = 2};
    bide_task *task = bide_spawn(holds, &thing, 100);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("(t--t)c");
}

TASK_TEST(cancelled_in_the_release)
{
    struct thing thing = {.letter = "t", .release_turns = 5};
    bide_task *task = bide_spawn(holds, &thing, 0);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 4);
    CHECK_NOTES("(t-----t)4");
}

static bide_async(acquires_slowly, (struct thing *, thing))
{
    int rc;
    bide_with (rc, bide_sleep(INFINITY), thing_release, thing) {
        note("body");
    }
    return rc;
}

TASK_TEST(cancelled_in_the_acquire)
{
    struct thing thing = {.letter = "t"};
    bide_task *task = bide_spawn(acquires_slowly, &thing);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("");
}

TASK_TEST(limit_around_a_block_does_not_shorten_the_release)
{
    struct thing thing = {.letter = "t", .release_turns = 3};
    CHECK_INT(bide_within(TICKS(1), holds(&thing, INT32_MAX)), -ETIMEDOUT);
    CHECK_NOTES("(t---t)c");
    CHECK_INT(bide_sleep(0), 0);
}

static int limited_twice(struct thing *thing, unsigned long n, bool *ret_hit)
{
    int rc;
    bide_with (rc, thing_acquire(thing), thing_release, thing) {
        fault_arm(FAULT_ALLOCATION, n, 0);
    }
    *ret_hit = fault_disarm();
    return rc;
}

/* Two limits use up the places of the control block, so that the shield has to be allocated. */
TASK_TEST(without_memory_for_the_shield_the_release_runs)
{
    struct thing thing = {.letter = "t", .acquire_result = 1, .release_turns = 1};
    bool hit = false;
    CHECK_INT(bide_within(10, bide_within(10, limited_twice(&thing, 1, &hit))), 1);
    CHECK(hit);
    CHECK_NOTES("(t-t)");
    CHECK_INT(bide_within(10, bide_within(10, limited_twice(&thing, 2, &hit))), 1);
    CHECK(!hit);
    CHECK_NOTES("(t-t)");
}

static bide_lock lock;
static bide_semaphore semaphore = BIDE_BOUNDED_SEMAPHORE(1);
static bide_condition condition;

enum held { LOCK, SEMAPHORE, CONDITION, KINDS };

static bool is_held(enum held kind)
{
    switch (kind) {
    case LOCK:
        return bide_lock_locked(&lock);
    case SEMAPHORE:
        return bide_semaphore_value(&semaphore) == 0;
    default:
        return bide_lock_locked(bide_condition_lock(&condition));
    }
}

static int typed_body(enum held kind, double seconds)
{
    CHECK(is_held(kind));
    note("b");
    return bide_sleep(seconds);
}

static bide_async(holds_typed, (enum held, kind), (double, seconds))
{
    int rc = 1;
    switch (kind) {
    case LOCK:
        bide_with_lock (rc, &lock) {
            rc = typed_body(kind, seconds);
        }
        break;
    case SEMAPHORE:
        bide_with_semaphore (rc, &semaphore) {
            rc = typed_body(kind, seconds);
        }
        break;
    default:
        bide_with_condition (rc, &condition) {
            rc = typed_body(kind, seconds);
        }
        break;
    }
    note(rc == -ECANCELED ? "c" : "x");
    return rc;
}

TASK_TEST(typed_blocks)
{
    for (enum held kind = LOCK; kind < KINDS; kind++) {
        bide_task *tasks[] = {bide_spawn(holds_typed, kind, INFINITY),
                              bide_spawn(holds_typed, kind, INFINITY),
                              bide_spawn(holds_typed, kind, 0)};
        turns(1);
        CHECK_NOTES("b");
        CHECK_INT(bide_cancel(tasks[1]), 1); /* in the acquire */
        turns(1);
        CHECK_NOTES("c");
        CHECK(is_held(kind));
        CHECK_INT(bide_cancel(tasks[0]), 1); /* in the body */
        CHECK_INT(bide_await(tasks[2]), 0);
        CHECK_NOTES("cbx");
        CHECK(!is_held(kind));
        CHECK_INT(bide_cancel_join(tasks, 2), 0);
    }
}

TASK_TEST(released_by_the_body)
{
    int rc;
    bide_with_lock (rc, &lock) {
        CHECK_INT(bide_lock_release(&lock), 0);
    }
    CHECK_INT(rc, -EPERM);
    bide_with_semaphore (rc, &semaphore) {
        CHECK_INT(bide_semaphore_release(&semaphore), 0);
    }
    CHECK_INT(rc, -EOVERFLOW);
    bide_with_lock (rc, (bide_lock *)NULL) {
        note("body");
    }
    CHECK_INT(rc, -EINVAL);
    bide_with_lock (rc, &lock) {
        bide_with_lock (rc, &lock) {
            note("body");
        }
    }
    CHECK_INT(rc, -EDEADLK);
    CHECK(!bide_lock_locked(&lock));
    CHECK_NOTES("");
}

static int defers(enum way way)
{
    struct thing things[] = {{.letter = "a"}, {.letter = "b", .release_turns = 1}, {.letter = "c"}};
    struct thing *at = &things[0];
    bide_defer(thing_release, at);
    bide_defer(thing_release, &things[1]);
    at = &things[2];
    for (int i = 0; i < 2; i++) {
        bide_defer(thing_release, at);
        note("b");
        if (way == CONTINUE)
            continue;
        if (way == BREAK)
            break;
        if (way == GOTO)
            goto out;
        if (way == RETURN)
            return 7;
        note("e");
    }
    note("x");
    return 5;
out:
    note("o");
    return 6;
}

TASK_TEST(deferred_releases)
{
    CHECK_INT(defers(FALL_THROUGH), 5);
    CHECK_NOTES("bec)bec)x-b)a)");
    CHECK_INT(defers(CONTINUE), 5);
    CHECK_NOTES("bc)bc)x-b)a)");
    CHECK_INT(defers(BREAK), 5);
    CHECK_NOTES("bc)x-b)a)");
    CHECK_INT(defers(GOTO), 6);
    CHECK_NOTES("bc)o-b)a)");
    CHECK_INT(defers(RETURN), 7);
    CHECK_NOTES("bc)-b)a)");
}

static bide_async(defers_and_sleeps, (struct thing *, thing))
{
    bide_defer(thing_release, thing);
    return bide_sleep(INFINITY);
}

TASK_TEST(deferred_release_in_a_cancelled_task)
{
    struct thing thing = {.letter = "t", .release_turns = 2};
    bide_task *task = bide_spawn(defers_and_sleeps, &thing);
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("--t)");
}

BIDE_TEST(outside_a_task_releases_run_all_the_same)
{
    struct thing thing = {.letter = "t", .acquire_result = 2};
    CHECK_INT(leaves(&thing, FAILURE), -EIO);
    CHECK_NOTES("(tbet)x");
    int rc;
    bide_with_lock (rc, &lock) {
        note("body");
    }
    CHECK_INT(rc, -BIDE_ENOTASK);
    {
        bide_defer(thing_release, &thing);
    }
    CHECK_NOTES("t)");
}

/* Uses its spawner's memory to its end, which takes some turns. */
static bide_async(borrows, (const char *, word), (int, cleanup_turns))
{
    int rc = bide_sleep(INFINITY);
    for (int i = 0; i < cleanup_turns; i++)
        CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
    note(word);
    return rc;
}

static bide_async(lends, (enum way, way))
{
    char word[] = "w";
    bide_task_scoped *one = bide_spawn(borrows, word, 3);
    bide_task_scoped *other = bide_spawn(borrows, word, 1);
    CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
    for (int i = 0; i < 2; i++) {
        bide_task_scoped *brief = bide_spawn(borrows, "i", 0);
        CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
        if (way == BREAK)
            break;
        if (way == GOTO)
            goto out;
        if (way == RETURN)
            return brief && other ? 7 : 0;
    }
    note("x");
    return way == FAILURE ? bide_sleep(INFINITY) : 5;
out:
    note("o");
    return one ? 6 : 0;
}

TASK_TEST(scoped_tasks_on_every_way_out)
{
    CHECK_INT(lends(FALL_THROUGH), 5);
    CHECK_NOTES("iixww");
    CHECK_INT(lends(BREAK), 5);
    CHECK_NOTES("ixww");
    CHECK_INT(lends(GOTO), 6);
    CHECK_NOTES("ioww");
    CHECK_INT(lends(RETURN), 7);
    CHECK_NOTES("iww");
    bide_task *task = bide_spawn(lends, FAILURE);
    turns(4);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("iixww");
}

/* The join neither hands the caller's cancel on a second time nor ends early because of it. */
static bide_async(counts_cancels, (int *, ret_count))
{
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
    *ret_count = bide_cancelling(bide_current_task());
    return 0;
}

static bide_async(owns_counter, (int *, ret_count))
{
    bide_task_scoped *task = bide_spawn(counts_cancels, ret_count);
    CHECK_INT(bide_sleep(0), 0);
    note(task ? "s" : "?");
    return 3;
}

TASK_TEST(cancel_during_the_join_of_a_scoped_task)
{
    int count = 0;
    bide_task *task = bide_spawn(owns_counter, &count);
    turns(3);
    CHECK_NOTES("s");
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 3);
    CHECK_INT(count, 1);
}

TASK_TEST(scoped_tasks_of_all_states)
{
    {
        bide_task_scoped *none = NULL;
        bide_task_scoped *done = bide_spawn(returns, 1);
        bide_task_scoped *failed = bide_spawn(returns, -EIO);
        bide_task_scoped *stolen = bide_spawn(returns, 2);
        bide_task_scoped *created = bide_coroutine(returns, 3);
        turns(1);
        bide_task_scoped *scheduled = bide_spawn(returns, 4);
        CHECK_INT(bide_await(bide_task_steal(&stolen)), 2);
        CHECK_PTR(stolen, NULL);
        CHECK(!none && done && failed && created && scheduled);
    }
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
}

static bide_async(awaits_other, (bide_task *, task))
{
    int rc = bide_await(task);
    note(rc == 9 ? "9" : "?");
    return 0;
}

static bide_async(is_awaited_by_its_own)
{
    bide_task_scoped *task = bide_spawn(awaits_other, bide_retain(bide_current_task()));
    CHECK_INT(bide_sleep(0), 0);
    return task ? 9 : 0;
}

TASK_TEST(scoped_task_that_waits_for_its_owner_is_reported)
{
    CHECK_INT(bide_await(bide_spawn(is_awaited_by_its_own)), 9);
    turns(2);
    CHECK_NOTES("9");
    CHECK_CONTAINS(take_report(), "scoped task could not be joined|-35|");
}

static bide_async(counts_for_ever, (int *, n))
{
    while (bide_sleep(0) >= 0)
        ++*n;
    return 0;
}

static int scope_without_memory(bool *ret_hit)
{
    int n = 0;
    {
        bide_task_scoped *task = bide_spawn(counts_for_ever, &n);
        turns(2);
        fault_arm(FAULT_ALLOCATION, 1, 0);
        CHECK(task != NULL);
    }
    *ret_hit = fault_disarm();
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
    return n;
}

TASK_TEST(without_memory_for_the_shield_the_scoped_task_is_joined)
{
    bool hit = false;
    CHECK_RANGE(bide_within(10, bide_within(10, scope_without_memory(&hit))), 1, 3);
    CHECK(hit);
}
