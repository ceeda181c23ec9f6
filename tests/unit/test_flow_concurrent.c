/*
 * Scenario: merge and flat_map over sources that give values after different numbers of turns, end,
 * fail, and never end; with slow, changing and cancelled consumers, and closed early, also by the
 * loop. Claim: values come in the order in which they were there; no source is asked more than one
 * value ahead, and at most n_max iterators are under way; the first error ends the others; a cancel
 * of the consumer loses nothing; the close returns when no task is left.
 */
#include <bide/lock.h>

#include "flow_rig.h"

#define MERGE(...) \
    bide_merge((bide_iterator *[]){__VA_ARGS__}, \
               sizeof((bide_iterator *[]){__VA_ARGS__}) / sizeof(bide_iterator *))

static void check_no_task_left(void)
{
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
}

TASK_TEST(merge_in_the_order_of_arrival)
{
    CHECK_FLOW(MERGE(FLOW(WAIT, 1, WAIT + 3, 2), FLOW(WAIT + 1, 3, WAIT, 4)), 1, 3, 4, 2);
    CHECK_FLOW(MERGE(FLOW(1, 2, 3), FLOW(4, 5, 6)), 1, 4, 2, 5, 3, 6);
    CHECK_FLOW(MERGE(FLOW(1, 2)), 1, 2);
    CHECK_FLOW(MERGE(FLOW(0), FLOW(0)), 0);
    CHECK_FLOW(MERGE(FLOW(0), FLOW(WAIT + 5, 1)), 1);
    check_no_task_left();
}

TASK_TEST(merge_is_one_value_ahead)
{
    struct script scripts[2] = {{.steps = {1, 1, 1, 1, 1, 1}}, {.steps = {1, 1, 1, 1, 1, 1}}};
    bide_iterator *it = MERGE(play(&scripts[0]), play(&scripts[1]));
    turns(5);
    CHECK_INT(scripts[0].n_asked, 0);
    for (int i = 1; i <= 4; i++) {
        CHECK_ASKED(it, 1);
        turns(10);
        CHECK_INT(scripts[0].n_asked + scripts[1].n_asked, 2 + i);
    }
    check_closed(it, 0);
    check_no_task_left();
}

TASK_TEST(merge_error_ends_the_others)
{
    struct script endless = {.steps = {WAIT, 5, WAIT + 900, 6}};
    bide_iterator *it = MERGE(FLOW(1, WAIT + 2, -EIO), play(&endless));
    CHECK_ASKED(it, 1, 5, -EIO);
    check_no_task_left();
    CHECK_ASKED(it, 0);
    check_closed(it, 0);
}

TASK_TEST(merge_values_before_the_error_come_first)
{
    bide_iterator *it = MERGE(FLOW(1), FLOW(WAIT, -EIO), FLOW(WAIT + 900, 2));
    CHECK_ASKED(it, 1);
    turns(5);
    CHECK_ASKED(it, -EIO, 0);
    check_closed(it, 0);
    it = MERGE(FLOW(-EIO), FLOW(-EPIPE));
    CHECK_ASKED(it, -EIO, 0);
    check_closed(it, 0);
}

static bide_generator(int, fails_with_words)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, -EIO, "words"), 0);
    bide_promise_free(promise);
    return bide_await(future);
}

TASK_TEST(merge_words_about_the_error)
{
    bide_iterator *it = MERGE(bide_iterate(fails_with_words), FLOW(WAIT + 900, 1));
    CHECK_ASKED(it, -EIO);
    CHECK_STR(bide_error_detail(), "words");
    CHECK_ASKED(it, 0);
    check_closed(it, 0);
    it = MERGE(FLOW(1, 2, 3), bide_iterate(fails_with_words));
    CHECK_ASKED(it, 1);
    turns(3);
    check_closed(it, 0); /* nobody took the error */
}

static bide_iterator *make_merge(void)
{
    static struct script scripts[3];
    scripts[0] = (struct script){.steps = {WAIT, 1, WAIT + 3, 2}};
    scripts[1] = (struct script){.steps = {WAIT + 1, 3, WAIT + 1, 4, WAIT + 9, 5}};
    scripts[2] = (struct script){.steps = {WAIT + 20}};
    return MERGE(play(&scripts[0]), play(&scripts[1]), play(&scripts[2]));
}

/* The order depends on how long the consumer is away; nothing is missing. */
static int adds_bit(void *accumulator, const void *item, void *data)
{
    (void)data;
    int bit = 1 << *(const int *)item;
    CHECK_INT(*(int *)accumulator & bit, 0);
    *(int *)accumulator |= bit;
    return 0;
}

TASK_TEST(merge_cancelled_loses_nothing)
{
    for (int n_turns = 0; n_turns < 30; n_turns++) {
        bide_iterator *it = make_merge();
        int bits = 0;
        int rc = 0;
        for (int round = 0; round == 0 || rc != 0; round++) {
            bide_task *task = bide_spawn(asks, it);
            for (int t = 0; t <= n_turns && !bide_task_done(task); t++)
                turns(1);
            if (round % 2 == 0)
                bide_cancel(task);
            rc = bide_await(task);
            if (rc > 0)
                CHECK_INT(adds_bit(&bits, &rc, NULL), 0);
            else
                CHECK(rc == 0 || rc == -ECANCELED);
        }
        CHECK_INT(bits, 2 + 4 + 8 + 16 + 32);
        check_closed(it, 0);
        check_no_task_left();
    }
}

TASK_TEST(merge_consumed_by_changing_tasks)
{
    bide_iterator *it = make_merge();
    int bits = 0;
    int value;
    while ((value = bide_await(bide_spawn(asks, it))) > 0)
        CHECK_INT(adds_bit(&bits, &value, NULL), 0);
    CHECK_INT(value, 0);
    CHECK_INT(bits, 62);
    check_closed(it, 0);
}

static bide_async(closes, (bide_iterator *, it))
{
    return bide_iterator_close(it);
}

TASK_TEST(merge_closed_early_at_each_turn)
{
    for (int n = 0; n < 30; n++) {
        bide_iterator *it = make_merge();
        CHECK_INT(asks(it), 1);
        turns(n);
        if (n % 2 == 0)
            check_closed(it, 0);
        else
            CHECK_INT(bide_await(bide_spawn(closes, it)), 0);
        CHECK_INT(n_open, 0);
        check_no_task_left();
    }
    check_closed(make_merge(), 0); /* nothing began */
}

static bide_generator(int, cleans_up_slowly, (int, n_turns))
{
    int rc = bide_yield(1);
    if (rc == 0)
        rc = bide_sleep(INFINITY);
    for (int i = 0; i < n_turns; i++)
        if (bide_shielded(10, bide_sleep(0)) == 0)
            note("s");
    return rc;
}

TASK_TEST(close_waits_for_cleanup)
{
    bide_iterator *it = MERGE(bide_iterate(cleans_up_slowly, 3), bide_iterate(cleans_up_slowly, 2));
    CHECK_ASKED(it, 1, 1);
    turns(3);
    check_closed(it, 0);
    CHECK_NOTES("sssss");
    check_no_task_left();
}

TASK_TEST(cancel_while_closing_waits_all_the_same)
{
    for (int n = 1; n < 6; n++) {
        bide_iterator *it = MERGE(bide_iterate(cleans_up_slowly, 3));
        CHECK_ASKED(it, 1);
        turns(3);
        bide_task *task = bide_spawn(closes, it);
        turns(n);
        bide_cancel(task);
        CHECK_INT(bide_await(task), 0);
        CHECK_NOTES("sss");
        check_no_task_left();
    }
}

BIDE_TEST(without_a_task)
{
    bide_iterator *it = make_merge();
    CHECK_ASKED(it, -BIDE_ENOTASK, -BIDE_ENOTASK);
    check_closed(it, 0);
}

static bide_iterator *left;

static bide_async(leaves_open)
{
    left = MERGE(FLOW(1, WAIT + 900), FLOW(2, 3), bide_iterate(cleans_up_slowly, 2));
    CHECK_INT(asks(left), 1);
    turns(3);
    return 1;
}

BIDE_TEST(loop_closes_what_is_left)
{
    CHECK_INT(bide_run_with(NULL, leaves_open), 1);
    CHECK_ASKED(left, -BIDE_ENOTASK);
    check_closed(left, 0);
    rig_notes[0] = '\0';
}

BIDE_TEST(another_loops)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, leaves_open)), 1);
    CHECK_INT(bide_run_with(NULL, asks, left), -EXDEV);
    CHECK_INT(bide_run_with(NULL, closes, left), -EXDEV);
    CHECK_INT(bide_iterator_close(left), -BIDE_ENOTASK);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, closes, left)), 0);
    rig_close(loop);
    CHECK_INT(n_open, 0);
    rig_notes[0] = '\0';
}

static bide_generator(int, awaits, (bide_task *, task))
{
    int rc = bide_await(task);
    return rc < 0 ? rc : bide_yield(rc);
}

TASK_TEST(circle_through_a_worker_is_seen)
{
    bide_task *task = bide_current_task();
    bide_iterator *it = MERGE(bide_iterate(awaits, bide_retain(task)));
    CHECK_ASKED(it, -EDEADLK);
    bide_detach(task);
    check_closed(it, 0);
}

/* flat_map */

static int n_under_way;
static int n_under_way_max;

/* item, n times, a turn apart. */
static bide_generator(int, repeats, (int, item), (int, n))
{
    int rc = 0;
    n_under_way++;
    if (n_under_way > n_under_way_max)
        n_under_way_max = n_under_way;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = bide_sleep(0);
        if (rc == 0)
            rc = bide_yield(item * 10 + i);
    }
    n_under_way--;
    return rc;
}

static bide_iterator *repeats_thrice(const void *item, void *data)
{
    (void)data;
    return bide_iterate(repeats, *(const int *)item, 3);
}

static void check_all(bide_iterator *it, int n_values, int sum)
{
    int n = 0;
    int rc;
    bide_for (int, value, rc, it) {
        n++;
        sum -= value;
    }
    CHECK_INT(rc, 0);
    CHECK_INT(n, n_values);
    CHECK_INT(sum, 0);
    CHECK_INT(n_open, 0);
    CHECK_INT(n_under_way, 0);
    check_no_task_left();
}

TASK_TEST(flat_map_keeps_its_limit)
{
    for (int limit = 1; limit <= 6; limit++) {
        n_under_way_max = 0;
        check_all(bide_flat_map(FLOW(1, 2, WAIT, 3, 4, 5), sizeof(int), (size_t)limit,
                                repeats_thrice, NULL),
                  15, 15 * 10 * 3 + 5 * 3);
        CHECK_INT(n_under_way_max, limit < 5 ? limit : 5);
    }
}

TASK_TEST(flat_map_one_at_a_time_is_in_order)
{
    CHECK_FLOW(bide_flat_map(FLOW(1, 2), sizeof(int), 1, repeats_thrice, NULL), 10, 11, 12, 20, 21,
               22);
    CHECK_FLOW(bide_flat_map(FLOW(0), sizeof(int), 3, repeats_thrice, NULL), 0);
}

static bide_generator(char, gives_a_letter)
{
    return bide_yield('a');
}

static bide_iterator *repeats_or_fails(const void *item, void *data)
{
    (void)data;
    switch (*(const int *)item) {
    case 2:
        return NULL;
    case 3:
        return bide_iterate(fails_with_words);
    case 4:
        return bide_map(bide_iterate(repeats, 1, 3), 0, NULL, NULL);
    case 5:
        return bide_iterate(gives_a_letter);
    default:
        return bide_iterate(repeats, *(const int *)item, 1000);
    }
}

TASK_TEST(flat_map_error_ends_the_others)
{
    static const int errors[] = {[2] = -ENOMEM, [3] = -EIO, [4] = -EINVAL, [5] = -EINVAL};
    for (int failing = 2; failing <= 5; failing++) {
        bide_iterator *it = bide_flat_map(FLOW(1, WAIT + 3, failing, 1), sizeof(int), 2,
                                          repeats_or_fails, NULL);
        int rc;
        int n = 0;
        while ((rc = asks(it)) > 0)
            n++;
        CHECK_INT(rc, errors[failing]);
        CHECK_RANGE(n, 2, 8);
        if (failing == 3)
            CHECK_STR(bide_error_detail(), "words");
        check_no_task_left();
        CHECK_INT(n_under_way, 0);
        CHECK_ASKED(it, 0);
        check_closed(it, 0);
    }
}

TASK_TEST(flat_map_error_of_the_source)
{
    bide_iterator *it = bide_flat_map(FLOW(1, WAIT + 3, -EPIPE), sizeof(int), 2, repeats_or_fails,
                                      NULL);
    int rc;
    while ((rc = asks(it)) > 0)
        ;
    CHECK_INT(rc, -EPIPE);
    CHECK_INT(n_under_way, 0);
    check_closed(it, 0);
}

TASK_TEST(flat_map_closed_early_at_each_turn)
{
    for (int n = 0; n < 20; n++) {
        bide_iterator *it = bide_flat_map(FLOW(1, WAIT, 2, WAIT + 5, 3), sizeof(int), 2,
                                          repeats_thrice, NULL);
        CHECK_INT(asks(it), 10);
        turns(n);
        check_closed(it, 0);
        CHECK_INT(n_under_way, 0);
        check_no_task_left();
    }
}

TASK_TEST(flat_map_cancelled_loses_nothing)
{
    for (int n_turns = 0; n_turns < 10; n_turns++) {
        bide_iterator *it = bide_flat_map(FLOW(1, WAIT, 2, WAIT + 5, 3), sizeof(int), 2,
                                          repeats_thrice, NULL);
        int sum = 0;
        int rc = 0;
        for (int round = 0; round == 0 || rc != 0; round++) {
            bide_task *task = bide_spawn(asks, it);
            for (int t = 0; t <= n_turns && !bide_task_done(task); t++)
                turns(1);
            if (round % 2 == 0)
                bide_cancel(task);
            rc = bide_await(task);
            sum += rc > 0 ? rc : 0;
        }
        CHECK_INT(rc, 0);
        CHECK_INT(sum, 60 * 3 + 9);
        check_closed(it, 0);
    }
}

TASK_TEST(flow_of_flows)
{
    bide_iterator *inner = bide_flat_map(FLOW(1, 2, 3), sizeof(int), 2, repeats_thrice, NULL);
    bide_iterator *it = MERGE(bide_take(inner, 4), MERGE(FLOW(100, WAIT, 200), FLOW(300)));
    int n = 0;
    while (asks(it) > 0)
        n++;
    CHECK_INT(n, 7);
    check_closed(it, 0);
    CHECK_INT(n_under_way, 0);
    check_no_task_left();
}

TASK_TEST(many_sources)
{
    enum { MANY = 1000 };
    static bide_iterator *sources[MANY];
    int n = 0;
    for (int i = 0; i < MANY; i++)
        sources[i] = bide_iterate(repeats, i, 3);
    bide_iterator *it = bide_merge(sources, MANY);
    while (asks(it) >= 0 && ++n < 3 * MANY)
        ;
    CHECK_ASKED(it, 0);
    check_closed(it, 0);
    check_no_task_left();
}

static bide_iterator *own;

static bide_generator(int, closes_who_asks_it)
{
    int rc = bide_yield(1);
    CHECK_INT(bide_iterator_close(own), -EDEADLK);
    note("e");
    return rc;
}

TASK_TEST(source_that_closes_its_operator)
{
    own = MERGE(bide_iterate(closes_who_asks_it));
    CHECK_ASKED(own, 1);
    turns(2);
    check_closed(own, 0);
    CHECK_NOTES("e");
    check_no_task_left();
}

static bide_task *asker;

static bide_generator(int, waits_for_who_asks, (int, value))
{
    int rc = bide_shield(asker);
    note(rc < 0 ? "d" : "w");
    return rc < 0 ? rc : bide_yield(value);
}

static bide_async(asks_once, (bide_iterator *, it), (int, expected))
{
    int value = -1;
    int rc = bide_next(it, &value);
    CHECK_INT(rc == 1 ? value : rc, expected);
    return 0;
}

/* Who can go on with another source's value is not waited for in a circle. */
TASK_TEST(source_that_waits_for_who_asks)
{
    bide_iterator *it = MERGE(bide_iterate(waits_for_who_asks, 1), FLOW(WAIT, 2));
    asker = bide_spawn(asks_once, it, 2);
    CHECK_INT(bide_shield(asker), 0);
    turns(1);
    CHECK_NOTES("w");
    CHECK_ASKED(it, 1);
    check_closed(it, 0);
    CHECK_INT(bide_await(asker), 0);

    it = MERGE(bide_iterate(waits_for_who_asks, 1));
    asker = bide_spawn(asks_once, it, -EDEADLK);
    CHECK_INT(bide_shield(asker), 0);
    CHECK_NOTES("d");
    check_closed(it, 0);
    CHECK_INT(bide_await(asker), 0);
    check_no_task_left();
}

static bide_async(waits_for, (bide_task **, task))
{
    return bide_shield(*task);
}

static bide_generator(int, lets_its_caller_go_first, (bide_task *, task))
{
    int rc = bide_yield(1);
    if (rc == 0)
        rc = bide_shield(task);
    return rc;
}

/* The circle is there before the last link of it asks. */
TASK_TEST(asking_those_who_wait_for_the_caller)
{
    bide_task *self = bide_retain(bide_current_task());
    bide_task *between = bide_spawn(waits_for, &self);
    bide_iterator *it = MERGE(bide_iterate(lets_its_caller_go_first, between));
    CHECK_ASKED(it, 1);
    turns(3);
    CHECK_ASKED(it, -EDEADLK);
    check_closed(it, 0);
    CHECK_INT(bide_cancel(between), 1);
    turns(2);
    CHECK_INT(bide_await(between), -ECANCELED);
    bide_detach(self);
    check_no_task_left();
}
