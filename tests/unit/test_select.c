/*
 * Scenario: tasks wait for the first of several cases: queues on both sides, locks, tasks, times;
 * several become possible in one turn, in both orders; selects meet other selects, shutdowns,
 * cancels and failing allocations. Claim: exactly one case happens, the first in the array of those
 * that are possible, or the first that becomes so; nothing else is taken, put or left in a line.
 */
#include <bide/select.h>

#include "fault.h"
#include "queue_rig.h"

static struct bide_case get(ints *queue, int *item)
{
    return bide_case_get(ints_untyped(queue), item);
}

static struct bide_case put(ints *queue, const int *item)
{
    return bide_case_put(ints_untyped(queue), item);
}

/* Waits for an item of either, or for room in `full`; notes which, then the item or error. */
static bide_async(selects, (const char *, name), (ints *, one), (ints *, other), (ints *, full))
{
    int items[2] = {-1, -1};
    int mine = 77;
    struct bide_case cases[] = {get(one, &items[0]), get(other, &items[1]), put(full, &mine)};
    int index = bide_select(cases, 3);
    char word[64];
    if (index >= 0)
        snprintf(word, sizeof word, "%s%d:%d ", name, index,
                 cases[index].result < 0 ? cases[index].result
                 : index < 2             ? items[index]
                                         : mine);
    else
        snprintf(word, sizeof word, "%s!%s ", name, index == -ECANCELED ? "c" : "?");
    note(word);
    for (int i = 0; i < 2; i++)
        if (i != index)
            CHECK_INT(items[i], -1);
    return index;
}

struct three {
    ints *one;
    ints *other;
    ints *full; /* with item 0 in it */
};

static struct three three(void)
{
    struct three three = {ints_of(1), ints_of(1), ints_of(1)};
    CHECK_INT(ints_put(three.full, 0), 0);
    return three;
}

static bide_task *spawn_select(const char *name, const struct three *three)
{
    bide_task *task = bide_spawn(selects, name, three->one, three->other, three->full);
    turns(1);
    return task;
}

/* What is in them, -1 for nothing. Nobody waits. */
static void three_end(struct three *three, int one, int other, int full)
{
    int expected[] = {one, other, full};
    ints *queues[] = {three->one, three->other, three->full};
    for (int i = 0; i < 3; i++) {
        int item = -1;
        CHECK_INT(ints_get_nowait(queues[i], &item), expected[i] < 0 ? -EAGAIN : 0);
        CHECK_INT(item, expected[i]);
        CHECK(ints_empty(queues[i]));
        CHECK_INT(ints_put_nowait(queues[i], 5), 0);
        CHECK_INT(ints_size(queues[i]), 1);
        ints_free(queues[i]);
    }
}

TASK_TEST(first_possible_case_of_the_array_happens)
{
    struct three q = three();
    CHECK_INT(ints_put(q.one, 1), 0);
    CHECK_INT(ints_put(q.other, 2), 0);
    CHECK_INT(selects("s", q.one, q.other, q.full), 0);
    CHECK_INT(selects("s", q.one, q.other, q.full), 1);
    int item;
    CHECK_INT(ints_get(q.full, &item), 0);
    CHECK_INT(selects("s", q.one, q.other, q.full), 2);
    CHECK_NOTES("s0:1 s1:2 s2:77 ");
    three_end(&q, -1, -1, 77);
}

TASK_TEST(waiting_get_is_given_its_item)
{
    struct three q = three();
    bide_task *task = spawn_select("s", &q);
    CHECK_INT(ints_put(q.other, 2), 0);
    CHECK(ints_empty(q.other));
    CHECK_INT(bide_await(task), 1);
    CHECK_NOTES("s1:2 ");
    three_end(&q, -1, -1, 0);
}

TASK_TEST(waiting_put_is_given_room)
{
    struct three q = three();
    bide_task *task = spawn_select("s", &q);
    int item;
    CHECK_INT(ints_get(q.full, &item), 0);
    CHECK_INT(item, 0);
    CHECK(ints_full(q.full));
    CHECK_INT(bide_await(task), 2);
    CHECK_NOTES("s2:77 ");
    three_end(&q, -1, -1, 77);
}

TASK_TEST(two_become_possible_in_one_turn)
{
    for (int order = 0; order < 2; order++) {
        struct three q = three();
        bide_task *task = spawn_select("s", &q);
        CHECK_INT(ints_put(order ? q.other : q.one, 1), 0);
        CHECK_INT(ints_put(order ? q.one : q.other, 2), 0); /* stays where it is */
        CHECK_INT(bide_await(task), order);
        CHECK_NOTES(order ? "s1:1 " : "s0:1 ");
        three_end(&q, order ? 2 : -1, order ? -1 : 2, 0);
    }
    for (int order = 0; order < 2; order++) {
        struct three q = three();
        bide_task *task = spawn_select("s", &q);
        int item;
        if (order)
            CHECK_INT(ints_put(q.one, 1), 0);
        CHECK_INT(ints_get(q.full, &item), 0);
        if (!order)
            CHECK_INT(ints_put(q.one, 1), 0);
        CHECK_INT(bide_await(task), order ? 0 : 2);
        CHECK_NOTES(order ? "s0:1 " : "s2:77 ");
        three_end(&q, order ? -1 : 1, -1, order ? -1 : 77);
    }
}

TASK_TEST(cancelled_before_and_after_a_case_happened)
{
    struct three q = three();
    bide_task *tasks[] = {spawn_select("a", &q), spawn_select("b", &q), spawn_select("c", &q)};
    int item;
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(ints_put(q.one, 1), 0); /* b's */
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK_INT(ints_get(q.full, &item), 0); /* room for c */
    CHECK_INT(bide_cancel(tasks[2]), 1);
    bide_gather_all(tasks, 3, NULL);
    CHECK_NOTES("a!c b0:1 c2:77 ");
    three_end(&q, -1, -1, 77);
}

TASK_TEST(stands_in_line_like_any_other)
{
    struct three q = three();
    bide_task *tasks[] = {bide_spawn(gets_int, "g", q.one), spawn_select("s", &q),
                          bide_spawn(gets_int, "h", q.one), spawn_select("t", &q)};
    turns(1);
    for (int i = 1; i <= 4; i++)
        CHECK_INT(ints_put(q.one, i), 0);
    bide_gather_all(tasks, 4, NULL);
    CHECK_NOTES("g-1 s0:2 h-3 t0:4 ");
    three_end(&q, -1, -1, 0);
}

TASK_TEST(shutdown_is_the_result_of_its_case)
{
    struct three q = three();
    bide_task *task = spawn_select("s", &q);
    CHECK_INT(ints_shutdown(q.other, BIDE_DRAIN), 0);
    CHECK_INT(bide_await(task), 1);
    CHECK_INT(selects("s", q.one, q.other, q.full), 1);
    char expected[32];
    snprintf(expected, sizeof expected, "s1:%d s1:%d ", -ESHUTDOWN, -ESHUTDOWN);
    CHECK_NOTES(expected);
    task = bide_spawn(selects, "s", q.one, q.one, q.full);
    turns(1);
    ints_free(q.one);
    CHECK_INT(bide_await(task), 0);
    task = bide_spawn(selects, "s", NULL, NULL, q.full);
    turns(1);
    ints_free(q.full);
    CHECK_INT(bide_await(task), 2);
    snprintf(expected, sizeof expected, "s0:%d s2:%d ", -ESHUTDOWN, -ESHUTDOWN);
    CHECK_NOTES(expected);
    ints_free(q.other);
}

static bide_async(trades, (const char *, name), (ints *, queue), (int, mine))
{
    int item = -1;
    struct bide_case cases[] = {get(queue, &item), put(queue, &mine)};
    int index = bide_select(cases, 2);
    note_call(name, index == 0 ? '-' : '+', index == 0 ? item : mine,
              index < 0 ? index : cases[index].result);
    return index;
}

/* Each could put and get: it trades with the next one, not with itself. */
TASK_TEST(rendezvous_among_selects)
{
    ints *queue = rendezvous_of_ints();
    bide_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = bide_spawn(trades, (const char *[]){"a", "b", "c", "d"}[i], queue, i);
    bide_gather_all(tasks, 4, NULL);
    CHECK_NOTES("b-0 d-2 a+0 c+2 ");
    bide_task *task = bide_spawn(trades, "a", queue, 1);
    turns(1);
    CHECK_INT(ints_put_nowait(queue, 9), 0);
    int item;
    CHECK_INT(ints_get_nowait(queue, &item), -EAGAIN);
    CHECK_INT(bide_await(task), 0);
    task = bide_spawn(trades, "b", queue, 1);
    turns(1);
    CHECK_INT(ints_get_nowait(queue, &item), 0);
    CHECK_INT(item, 1);
    CHECK_INT(ints_put_nowait(queue, 9), -EAGAIN);
    CHECK_INT(bide_await(task), 1);
    task = bide_spawn(trades, "c", queue, 1);
    turns(1);
    CHECK_INT(ints_shutdown(queue, BIDE_AT_ONCE), 0);
    CHECK_INT(bide_await(task), 1);
    CHECK_NOTES("a-9 b+1 c!s ");
    ints_free(queue);
}

TASK_TEST(done_tasks_and_futures)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    bide_task *task = bide_coroutine(returns_after, 2, -EIO);
    struct bide_case cases[] = {bide_case_done(NULL), bide_case_done(future), bide_case_done(task)};
    cases[2].result = 1;
    CHECK_INT(bide_select_nowait(cases, 3), -EAGAIN);
    CHECK_INT(bide_task_state(task), BIDE_TASK_CREATED);
    CHECK_INT(bide_select(cases, 3), 2);
    CHECK_INT(cases[2].result, 0);
    CHECK_INT(bide_select_nowait(cases, 3), 2);
    CHECK_INT(bide_await(task), -EIO);
    cases[2] = bide_case_done(NULL);
    task = bide_spawn(returns, 1);
    CHECK_INT(bide_promise_set(promise, 6, NULL), 0);
    CHECK_INT(bide_select(cases, 3), 1);
    CHECK_INT(bide_await(future), 6);
    bide_promise_free(promise);
    CHECK_INT(bide_await(task), 1);
}

/* Waits for a permit, a lock or an event; notes which, and gives it back. */
static bide_async(selects_sync, (const char *, name), (bide_semaphore *, semaphore),
                  (bide_lock *, lock), (bide_event *, event))
{
    struct bide_case cases[] = {bide_case_acquire(semaphore), bide_case_lock(lock),
                                bide_case_event(event)};
    int index = bide_select(cases, 3);
    note(name);
    note(index == 0 ? "s " : index == 1 ? "l " : index == 2 ? "e " : "! ");
    turns(index >= 0);
    if (index == 0)
        CHECK_INT(bide_semaphore_release(semaphore), 0);
    CHECK_INT(bide_lock_release(lock), index == 1 ? 0 : lock ? -EPERM : -EINVAL);
    return index;
}

TASK_TEST(permits_locks_and_events)
{
    bide_semaphore semaphore = BIDE_BOUNDED_SEMAPHORE(1);
    bide_lock lock = {0};
    bide_event event = {0};
    CHECK_INT(selects_sync("a", &semaphore, &lock, &event), 0);
    CHECK_INT(bide_semaphore_acquire(&semaphore), 0);
    CHECK_INT(selects_sync("a", &semaphore, &lock, &event), 1);
    CHECK(!bide_lock_locked(&lock));
    CHECK_INT(bide_lock_acquire(&lock), 0);
    struct bide_case held = bide_case_lock(&lock);
    CHECK_INT(bide_select(&held, 1), -EDEADLK);
    CHECK_INT(bide_select_nowait(&held, 1), -EDEADLK);
    CHECK_NOTES("as al ");
    bide_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = bide_spawn(selects_sync, (const char *[]){"a", "b", "c", "d"}[i], &semaphore,
                              &lock, &event);
    turns(1);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(bide_lock_release(&lock), 0); /* b has it, before it runs */
    CHECK(bide_lock_locked(&lock));
    CHECK_INT(bide_lock_try(&lock), -EAGAIN);
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK_INT(bide_uncancel(tasks[1]), 0);
    CHECK_INT(bide_semaphore_release(&semaphore), 0); /* c */
    CHECK_INT(bide_semaphore_try(&semaphore), -EAGAIN);
    bide_event_set(&event); /* d */
    bide_event_clear(&event);
    CHECK_INT(bide_gather_all(tasks, 4, NULL), 0);
    CHECK_NOTES("a! bl cs de ");
    CHECK(!bide_lock_locked(&lock));
    CHECK_INT(bide_semaphore_value(&semaphore), 1);
    CHECK_INT(bide_semaphore_release(&semaphore), -EOVERFLOW);
    bide_event_set(&event);
    CHECK_INT(selects_sync("a", NULL, NULL, &event), 2);
    CHECK_NOTES("ae ");
}

TASK_TEST(deadlines)
{
    ints *queue = ints_of(1);
    int item;
    double begun = bide_time();
    struct bide_case cases[] = {get(queue, &item), bide_case_until(INFINITY), bide_case_after(9),
                                bide_case_after(TICKS(2)), bide_case_after(TICKS(4))};
    CHECK_INT(bide_select_nowait(cases, 5), -EAGAIN);
    CHECK_INT(bide_select(cases, 5), 3);
    CHECK_INT(cases[3].result, 0);
    CHECK(bide_time() >= begun + TICKS(2));
    CHECK_INT(bide_select_nowait(cases, 5), 3);
    CHECK_INT(bide_select(cases, 5), 3);
    CHECK_INT(ints_put(queue, 1), 0);
    CHECK_INT(bide_select(cases, 5), 0);
    cases[1] = bide_case_until(-INFINITY);
    CHECK_INT(bide_select(cases, 5), 1);
    bide_task *task = bide_spawn(puts_int, "p", queue, 2);
    CHECK_INT(bide_select(cases, 1), 0);
    CHECK_INT(bide_await(task), 0);
    CHECK_NOTES("p+2 ");
    task = bide_spawn(puts_int, "p", queue, 3);
    cases[1] = bide_case_until(INFINITY);
    CHECK_INT(bide_select(cases, 3), 0); /* the timer goes with it */
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_sleep(TICKS(1)), 0);
    CHECK_NOTES("p+3 ");
    CHECK_INT(bide_within(TICKS(1), bide_select(cases, 3)), -ETIMEDOUT);
    CHECK_INT(bide_within(0, bide_select(cases, 3)), -ETIMEDOUT);
    CHECK(ints_empty(queue));
    ints_free(queue);
}

TASK_TEST(senseless_arguments)
{
    ints *queue = ints_of(1);
    int item = 1;
    struct bide_case one = get(queue, &item);
    CHECK_INT(bide_select(&one, 0), -EINVAL);
    CHECK_INT(bide_select(NULL, 1), -EINVAL);
    CHECK_INT(bide_select(&one, SIZE_MAX), -EINVAL);
    one = get(queue, NULL);
    CHECK_INT(bide_select(&one, 1), -EINVAL);
    CHECK_INT(bide_select_nowait(&one, 1), -EINVAL);
    one = put(queue, NULL);
    CHECK_INT(bide_select(&one, 1), -EINVAL);
    one = bide_case_until(NAN);
    CHECK_INT(bide_select(&one, 1), -EINVAL);
    one.kind = (enum bide_case_kind)99;
    CHECK_INT(bide_select(&one, 1), -EINVAL);
    for (enum bide_case_kind kind = BIDE_CASE_GET; kind < BIDE_CASE_UNTIL; kind++) {
        one = (struct bide_case){.kind = kind, .ret_item = &item, .item = &item};
        CHECK_INT(bide_select(&one, 1), -EINVAL);
    }
    struct bide_case nothing[] = {get(NULL, &item), put(NULL, &item), bide_case_done(NULL)};
    CHECK_INT(bide_select(nothing, 3), -ENOENT);
    CHECK_INT(bide_select_nowait(nothing, 3), -ENOENT);
    one = bide_case_done(bide_current_task());
    CHECK_INT(bide_select(&one, 1), -EDEADLK);
    ints_free(queue);
}

static bide_async(selects_tasks, (bide_task *, task), (bide_task *, other))
{
    struct bide_case cases[] = {bide_case_done(task), bide_case_done(other)};
    return bide_select(cases, 2);
}

static bide_async(selects_task, (bide_task *, task), (ints *, queue))
{
    int item;
    struct bide_case cases[] = {bide_case_done(task), get(queue, &item)};
    return bide_select(cases, 2);
}

/* Two that wait for each other's end are an error, unless one can be ended by something else. */
TASK_TEST(circles_of_tasks)
{
    ints *queue = ints_of(1);
    bide_task *main_task = bide_current_task();
    bide_task *task = bide_spawn(selects_task, main_task, NULL);
    turns(1);
    CHECK_INT(bide_await(task), -EDEADLK); /* it waits for nothing but this one */
    CHECK_INT(bide_cancel_join(&task, 1), -EDEADLK);
    CHECK_INT(bide_cancel(task), 1);
    turns(1);
    CHECK_INT(bide_await(task), -ECANCELED);
    task = bide_spawn(selects_task, main_task, NULL);
    CHECK_INT(bide_await(task), -EDEADLK); /* the select's: this one waits first */
    task = bide_spawn(selects_task, main_task, queue);
    turns(1);
    bide_task *putter = bide_spawn(puts_int, "p", queue, 1);
    CHECK_INT(bide_await(task), 1);
    CHECK_INT(bide_await(putter), 0);
    CHECK_NOTES("p+1 ");
    bide_task *other = bide_spawn(returns_after, 3, 1);
    task = bide_spawn(selects_tasks, main_task, other);
    turns(1);
    CHECK_INT(bide_await(task), 1);
    CHECK_INT(bide_await(other), 1);
    task = bide_spawn(selects_tasks, main_task, main_task);
    CHECK_INT(bide_await(task), -EDEADLK);
    ints_free(queue);
}

BIDE_TEST(outside_tasks)
{
    ints *queue = ints_of(1);
    int item = 3;
    struct bide_case cases[] = {get(queue, &item), bide_case_until(0), put(queue, &item)};
    CHECK_INT(bide_select(cases, 3), -BIDE_ENOTASK);
    CHECK_INT(bide_select_nowait(cases, 3), 2);
    CHECK_INT(bide_select_nowait(cases, 3), 0);
    bide_lock lock = {0};
    struct bide_case locking = bide_case_lock(&lock);
    CHECK_INT(bide_select_nowait(&locking, 1), -BIDE_ENOTASK);
    CHECK_INT(bide_select_nowait(cases, 2), -EAGAIN); /* without a loop no time passes */
    bide_loop *loop = rig_loop();
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    CHECK_INT(bide_run_with(NULL, selects_task, future, NULL), -EXDEV);
    bide_promise_free(promise);
    rig_close(loop);
    CHECK_INT(bide_run_with(NULL, selects_task, future, NULL), 0);
    bide_detach(future);
    ints_free(queue);
}

static bide_async(selects_shielded, (struct three *, q), (bide_task *, task))
{
    int item = 1;
    struct bide_case cases[] = {get(q->one, &item), put(q->full, &item), bide_case_done(task),
                                bide_case_after(1000)};
    return bide_shielded(INFINITY, bide_select(cases, 4));
}

static bide_async(leaves_a_select, (struct three *, q))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(bide_spawn(selects_shielded, q, bide_current_task()));
    turns(1);
    return 0;
}

static bide_async(makes_three, (struct three *, q))
{
    *q = three();
    return 0;
}

static bide_async(ends_three, (struct three *, q))
{
    three_end(q, -1, -1, 0);
    return 0;
}

static bide_async(leaves_a_select_in_line, (struct three *, q))
{
    int item = 1;
    struct bide_case cases[] = {get(q->one, &item), put(q->full, &item), bide_case_after(1000)};
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    return bide_shielded(INFINITY, bide_select(cases, 3));
}

static bide_async(leaves_it, (struct three *, q))
{
    bide_detach(bide_spawn(leaves_a_select_in_line, q));
    turns(1);
    return 0;
}

BIDE_TEST(queues_outlive_a_loop_that_gave_up_a_select)
{
    struct bide_loop_opts opts = {.cleanup_seconds = TICKS(1)};
    struct three q;
    CHECK_INT(bide_run_with(NULL, makes_three, &q), 0);
    CHECK_INT(bide_run_with(&opts, leaves_it, &q), 0);
    CHECK_CONTAINS(take_report(), "waits for: select");
    CHECK_INT(bide_run_with(&opts, leaves_a_select, &q), 0); /* ended by the main task's end */
    CHECK_INT(bide_run_with(NULL, ends_three, &q), 0);
    rig_end();
}

static int puts_late(void *data)
{
    CHECK_INT(ints_put_nowait(((struct three *)data)->one, 4), 0);
    return 0;
}

/* When it is too late for the task to run. */
static void puts_in_the_last_turn(bide_loop *loop, const struct bide_report *report, void *data)
{
    CHECK_CONTAINS(report->message, "waits for: select");
    CHECK_INT(bide_loop_call_soon(loop, puts_late, data, NULL, NULL), 0);
}

static bide_async(leaves_a_select_to_be_served, (struct three *, q))
{
    bide_detach(bide_spawn(leaves_a_select_in_line, q));
    turns(1);
    bide_loop_set_exception_handler(bide_loop_current(), puts_in_the_last_turn, q);
    return 0;
}

BIDE_TEST(item_of_a_select_that_was_given_up_is_there_again)
{
    struct bide_loop_opts opts = {.cleanup_seconds = TICKS(1)};
    struct three q;
    CHECK_INT(bide_run_with(NULL, makes_three, &q), 0);
    CHECK_INT(bide_run_with(&opts, leaves_a_select_to_be_served, &q), 0);
    CHECK_INT(ints_size(q.one), 1);
    int item;
    CHECK_INT(ints_get_nowait(q.one, &item), 0);
    CHECK_INT(item, 4);
    CHECK_INT(bide_run_with(NULL, ends_three, &q), 0);
}

static bool select_without_memory(unsigned long n)
{
    struct three q = three();
    int items[2] = {-1, -1};
    int mine = 7;
    struct bide_case cases[] = {get(q.one, &items[0]), get(q.other, &items[1]), put(q.full, &mine),
                                bide_case_after(TICKS(1))};
    fault_arm(FAULT_ALLOCATION, n, 0);
    int rc = bide_select(cases, 4);
    bool hit = fault_disarm();
    CHECK_INT(rc, hit ? -ENOMEM : 3);
    three_end(&q, -1, -1, 0);
    return hit;
}

TASK_TEST(without_memory)
{
    unsigned long n = 1;
    while (select_without_memory(n))
        n++;
    CHECK_INT(n, 5); /* the places, a slot in each queue */
    ints *queue = ints_of(1);
    int item = 1;
    struct bide_case one = put(queue, &item);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_select(&one, 1), -ENOMEM); /* the queue's ring */
    CHECK(fault_disarm());
    CHECK(ints_empty(queue));
    ints_free(queue);
}

enum { TRADERS = 12, MARKETS = 4 };

struct market {
    ints *queues[MARKETS];
    uint64_t state;
    long n_put;
    long n_got;
    long sum_put;
    long sum_got;
};

/* Puts into one queue or gets from others, whichever comes first, a random number of times. */
static bide_async(trades_at_random, (struct market *, market), (int, n))
{
    for (int i = 0; i < n; i++) {
        struct bide_case cases[MARKETS];
        int items[MARKETS];
        size_t n_cases = 1 + test_random(&market->state) % MARKETS;
        for (size_t k = 0; k < n_cases; k++) {
            ints *queue = market->queues[test_random(&market->state) % MARKETS];
            items[k] = (int)(test_random(&market->state) % 1000);
            cases[k] = test_random(&market->state) % 2 ? get(queue, &items[k])
                                                       : put(queue, &items[k]);
        }
        int index = bide_select(cases, n_cases);
        if (index == -ECANCELED)
            return index;
        CHECK(index >= 0);
        if (cases[index].kind == BIDE_CASE_GET) {
            market->n_got++;
            market->sum_got += items[index];
        } else {
            market->n_put++;
            market->sum_put += items[index];
        }
    }
    return 0;
}

/* Nothing is lost or doubled, whoever is cancelled when. */
TASK_TEST(random_trade_keeps_the_sums)
{
    struct market market = {.state = test_seed()};
    printf("# seed %llu\n", (unsigned long long)market.state);
    for (int i = 0; i < MARKETS; i++)
        market.queues[i] = i == 0 ? rendezvous_of_ints() : ints_of((size_t)i);
    bide_task *tasks[TRADERS];
    for (int round = 0; round < (test_long() ? 2000 : 60); round++) {
        for (int i = 0; i < TRADERS; i++)
            tasks[i] = bide_spawn(trades_at_random, &market, 20);
        for (int i = 0; i < TRADERS / 2; i++) {
            turns((int)(test_random(&market.state) % 4));
            bide_cancel(tasks[test_random(&market.state) % TRADERS]);
        }
        turns(30);
        CHECK_INT(bide_cancel_join(tasks, TRADERS), 0);
        for (int i = 0; i < MARKETS; i++) {
            int item;
            while (ints_get_nowait(market.queues[i], &item) == 0) {
                market.n_got++;
                market.sum_got += item;
            }
        }
        CHECK_INT(market.n_got, market.n_put);
        CHECK_INT(market.sum_got, market.sum_put);
    }
    CHECK(market.n_put > 1000);
    for (int i = 0; i < MARKETS; i++)
        ints_free(market.queues[i]);
}

static bide_async(waits_for_it, (bide_task *, task))
{
    return bide_shield(task);
}

TASK_TEST(circle_beside_a_time_that_never_comes)
{
    bide_task *task = bide_spawn(waits_for_it, bide_current_task());
    turns(1);
    struct bide_case cases[] = {bide_case_done(task), bide_case_until(INFINITY)};
    CHECK_INT(bide_select(cases, 2), -EDEADLK);
    CHECK_INT(bide_within(TICKS(1), bide_select(&cases[1], 1)), -ETIMEDOUT);
    CHECK_INT(bide_cancel(task), 1);
    turns(1);
    CHECK_INT(bide_await(task), -ECANCELED);
}
