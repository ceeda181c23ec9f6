/*
 * Scenario: a queue used by plain threads that block and by tasks of several loops that suspend,
 * with limits, cancels, shutdowns and loops that close in between. Claim: first come, first served
 * whoever it is; every item is got once, dropped once or still there; a call that failed has had no
 * effect; whoever was served is told. (ThreadSanitizer checks the rest.)
 */
#include <bide/thread_queue.h>

#include <pthread.h>
#include <stdatomic.h>

#include "fault.h"
#include "task_rig.h"

static bide_thread_queue *ints_of(size_t capacity)
{
    struct bide_thread_queue_opts opts = {.capacity = capacity};
    bide_thread_queue *queue = NULL;
    CHECK_INT(bide_thread_queue_new(sizeof(int), &opts, &queue), 0);
    return queue;
}

static pthread_t start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, body, argument), 0);
    return thread;
}

static void join(pthread_t thread)
{
    CHECK_INT(pthread_join(thread, NULL), 0);
}

static void put(bide_thread_queue *queue, int item)
{
    CHECK_INT(bide_thread_queue_put_nowait(queue, &item), 0);
}

/* What is next, or the error. */
static int next(bide_thread_queue *queue)
{
    int item = -1;
    int rc = bide_thread_queue_get_nowait(queue, &item);
    return rc < 0 ? rc : item;
}

BIDE_TEST(without_waiting)
{
    bide_thread_queue *queue = ints_of(20);
    int item = 20;
    for (int i = 0; i < 20; i++)
        put(queue, i);
    CHECK_INT(bide_thread_queue_size(queue), 20);
    CHECK_INT(bide_thread_queue_put_nowait(queue, &item), -EAGAIN);
    CHECK_INT(bide_thread_queue_put_threadsafe(queue, &item, 0), -ETIMEDOUT);
    CHECK_INT(bide_thread_queue_put_threadsafe(queue, &item, -1), -ETIMEDOUT);
    for (int i = 0; i < 20; i++)
        CHECK_INT(next(queue), i);
    CHECK_INT(next(queue), -EAGAIN);
    CHECK_INT(bide_thread_queue_get_threadsafe(queue, &item, 0), -ETIMEDOUT);
    CHECK_INT(item, 20);
    CHECK_INT(bide_thread_queue_put_threadsafe(queue, &item, 1), 0);
    CHECK_INT(bide_thread_queue_get_threadsafe(queue, &item, 1), 0);
    CHECK_INT(bide_thread_queue_put(queue, &item), -BIDE_ENOTASK);
    CHECK_INT(bide_thread_queue_get(queue, &item), -BIDE_ENOTASK);
    CHECK_INT(bide_thread_queue_size(queue), 0);
    bide_thread_queue_unref(queue);
}

BIDE_TEST(senseless_arguments)
{
    bide_thread_queue *queue = NULL;
    int item = 1;
    CHECK_INT(bide_thread_queue_new(0, NULL, &queue), -EINVAL);
    CHECK_INT(bide_thread_queue_new(SIZE_MAX, NULL, &queue), -EINVAL);
    CHECK_INT(bide_thread_queue_new(4, NULL, NULL), -EINVAL);
    CHECK_PTR(queue, NULL);
    CHECK_PTR(bide_thread_queue_ref(NULL), NULL);
    bide_thread_queue_unref(NULL);
    CHECK_INT(bide_thread_queue_size(NULL), 0);
    CHECK_INT(bide_thread_queue_shutdown(NULL, BIDE_DRAIN), -EINVAL);
    CHECK_INT(bide_thread_queue_new(4, NULL, &queue), 0);
    CHECK_INT(bide_thread_queue_shutdown(queue, (enum bide_queue_end)2), -EINVAL);
    for (int i = 0; i < 2; i++) {
        bide_thread_queue *object = i == 0 ? NULL : queue;
        int *place = i == 0 ? &item : NULL;
        CHECK_INT(bide_thread_queue_put(object, place), -EINVAL);
        CHECK_INT(bide_thread_queue_get(object, place), -EINVAL);
        CHECK_INT(bide_thread_queue_put_nowait(object, place), -EINVAL);
        CHECK_INT(bide_thread_queue_get_nowait(object, place), -EINVAL);
        CHECK_INT(bide_thread_queue_put_threadsafe(object, place, 1), -EINVAL);
        CHECK_INT(bide_thread_queue_get_threadsafe(object, place, 1), -EINVAL);
    }
    CHECK_INT(bide_thread_queue_put_threadsafe(queue, &item, NAN), -EINVAL);
    CHECK_INT(bide_thread_queue_get_threadsafe(queue, &item, NAN), -EINVAL);
    bide_thread_queue_unref(queue);
}

BIDE_TEST(time_limit_of_a_thread)
{
    bide_thread_queue *queue = ints_of(1);
    int item = 5;
    CHECK_INT(bide_thread_queue_get_threadsafe(queue, &item, TICKS(1)), -ETIMEDOUT);
    put(queue, 1); /* nobody is in line for it */
    CHECK_INT(bide_thread_queue_put_threadsafe(queue, &item, TICKS(1)), -ETIMEDOUT);
    CHECK_INT(next(queue), 1);
    CHECK_INT(next(queue), -EAGAIN);
    CHECK_INT(item, 5);
    bide_thread_queue_unref(queue);
}

enum { COUNT = 3000 };

static void *puts_in_order(void *data)
{
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(bide_thread_queue_put_threadsafe(data, &i, INFINITY), 0);
    return NULL;
}

static void *gets_in_order(void *data)
{
    for (int i = 0; i < COUNT; i++) {
        int item = -1;
        CHECK_INT(bide_thread_queue_get_threadsafe(data, &item, INFINITY), 0);
        CHECK_INT(item, i);
    }
    return NULL;
}

static bide_async(puts_as_a_task, (bide_thread_queue *, queue))
{
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(bide_thread_queue_put(queue, &i), 0);
    return 0;
}

static bide_async(gets_as_a_task, (bide_thread_queue *, queue))
{
    for (int i = 0; i < COUNT; i++) {
        int item = -1;
        CHECK_INT(bide_thread_queue_get(queue, &item), 0);
        CHECK_INT(item, i);
    }
    return 0;
}

static void *runs_puts(void *data)
{
    CHECK_INT(bide_run_with(NULL, puts_as_a_task, data), 0);
    return NULL;
}

static void *runs_gets(void *data)
{
    CHECK_INT(bide_run_with(NULL, gets_as_a_task, data), 0);
    return NULL;
}

BIDE_TEST(order_between_threads_and_loops)
{
    static void *(*const putters[])(void *) = {puts_in_order, runs_puts};
    static void *(*const getters[])(void *) = {gets_in_order, runs_gets};
    for (int i = 0; i < 8; i++) {
        bide_thread_queue *queue = ints_of(i < 4 ? 1 : 50);
        pthread_t getter = start(getters[i % 2], queue);
        pthread_t putter = start(putters[i / 2 % 2], queue);
        join(putter);
        join(getter);
        CHECK_INT(next(queue), -EAGAIN);
        bide_thread_queue_unref(queue);
    }
}

static bide_async(notes_get, (const char *, name), (bide_thread_queue *, queue))
{
    int item = -1;
    int rc = bide_thread_queue_get(queue, &item);
    char word[32];
    snprintf(word, sizeof word, "%s%d ", name, rc < 0 ? rc : item);
    note(word);
    return rc;
}

static bide_async(notes_put, (const char *, name), (bide_thread_queue *, queue), (int, item))
{
    int rc = bide_thread_queue_put(queue, &item);
    note(name);
    note(rc == 0 ? "+ " : "! ");
    return rc;
}

TASK_TEST(waiting_tasks_are_served_in_order)
{
    bide_thread_queue *queue = ints_of(1);
    bide_task *tasks[] = {bide_spawn(notes_get, "a", queue), bide_spawn(notes_get, "b", queue)};
    turns(1);
    for (int i = 1; i <= 3; i++)
        put(queue, i);
    CHECK_INT(next(queue), 3); /* 1 and 2 are theirs, although they have not run */
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_NOTES("a1 b2 ");
    put(queue, 0);
    for (int i = 0; i < 2; i++)
        tasks[i] = bide_spawn(notes_put, i == 0 ? "a" : "b", queue, i + 1);
    turns(1);
    for (int i = 0; i < 3; i++)
        CHECK_INT(next(queue), i);
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_NOTES("a+ b+ ");
    bide_thread_queue_unref(queue);
}

TASK_TEST(cancelled_before_and_after_it_was_served)
{
    bide_thread_queue *queue = ints_of(1);
    bide_task *tasks[] = {bide_spawn(notes_get, "a", queue), bide_spawn(notes_get, "b", queue),
                          bide_spawn(notes_get, "c", queue)};
    turns(1);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    put(queue, 1); /* b's */
    CHECK_INT(bide_cancel(tasks[1]), 1);
    put(queue, 2);
    put(queue, 3);
    CHECK_INT(bide_await(tasks[0]), -ECANCELED);
    CHECK_INT(bide_await(tasks[1]), 0);
    CHECK_INT(bide_await(tasks[2]), 0);
    char expected[32];
    snprintf(expected, sizeof expected, "a%d b1 c2 ", -ECANCELED);
    CHECK_NOTES(expected);
    for (int i = 0; i < 3; i++)
        tasks[i] = bide_spawn(notes_put, (const char *[]){"a", "b", "c"}[i], queue, 4 + i);
    turns(1);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(next(queue), 3); /* room for b */
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK_INT(bide_await(tasks[0]), -ECANCELED);
    CHECK_INT(bide_await(tasks[1]), 0);
    CHECK_INT(next(queue), 5);
    CHECK_INT(bide_await(tasks[2]), 0);
    CHECK_INT(next(queue), 6);
    CHECK_NOTES("a! b+ c+ ");
    int item = 1;
    CHECK_INT(bide_within(0, bide_thread_queue_put(queue, &item)), -ETIMEDOUT);
    CHECK_INT(bide_within(TICKS(1), bide_thread_queue_get(queue, &item)), -ETIMEDOUT);
    CHECK_INT(bide_thread_queue_size(queue), 0);
    bide_thread_queue_unref(queue);
}

TASK_TEST(a_loop_s_thread_is_not_blocked)
{
    bide_thread_queue *queue = ints_of(1);
    int item = 1;
    CHECK_INT(bide_thread_queue_get_threadsafe(queue, &item, 1), -EDEADLK);
    CHECK_INT(bide_thread_queue_get_threadsafe(queue, &item, 0), -ETIMEDOUT);
    CHECK_INT(bide_thread_queue_put_threadsafe(queue, &item, 1), 0);
    CHECK_INT(bide_thread_queue_put_threadsafe(queue, &item, 1), -EDEADLK);
    CHECK_INT(bide_thread_queue_get_threadsafe(queue, &item, 1), 0);
    bide_thread_queue_unref(queue);
}

static void count_drop(void *item, void *data)
{
    int *sum = data;
    *sum += *(int *)item;
}

TASK_TEST(shutdown_to_drain_and_at_once)
{
    int sum = 0;
    struct bide_thread_queue_opts opts = {.capacity = 2, .drop = count_drop, .data = &sum};
    bide_thread_queue *queue;
    bide_thread_queue *empty = ints_of(1);
    CHECK_INT(bide_thread_queue_new(sizeof(int), &opts, &queue), 0);
    put(queue, 1);
    put(queue, 2);
    bide_task *tasks[] = {bide_spawn(notes_put, "a", queue, 4),
                          bide_spawn(notes_put, "b", queue, 8), bide_spawn(notes_get, "c", empty),
                          bide_spawn(notes_get, "d", empty)};
    turns(1);
    CHECK_INT(next(queue), 1); /* a's put is done */
    put(empty, 5);             /* and c's get */
    CHECK_INT(bide_thread_queue_shutdown(queue, BIDE_DRAIN), 0);
    CHECK_INT(bide_thread_queue_shutdown(empty, BIDE_AT_ONCE), 0);
    int item = 9;
    CHECK_INT(bide_thread_queue_put(queue, &item), -ESHUTDOWN);
    CHECK_INT(bide_thread_queue_put_threadsafe(queue, &item, 1), -ESHUTDOWN);
    CHECK_INT(bide_gather_all(tasks, 4, NULL), 0);
    char expected[32];
    snprintf(expected, sizeof expected, "a+ c5 b! d%d ", -ESHUTDOWN);
    CHECK_NOTES(expected);
    CHECK_INT(next(queue), 2);
    CHECK_INT(bide_thread_queue_shutdown(queue, BIDE_AT_ONCE), 0);
    CHECK_INT(sum, 4);
    CHECK_INT(next(queue), -ESHUTDOWN);
    CHECK_INT(bide_thread_queue_get(queue, &item), -ESHUTDOWN);
    CHECK_INT(bide_thread_queue_get_threadsafe(queue, &item, 1), -ESHUTDOWN);
    bide_thread_queue_unref(queue);
    bide_thread_queue_unref(empty);
    CHECK_INT(sum, 4);
}

static void *waits_for_the_end(void *data)
{
    int item = 1;
    CHECK_INT(bide_thread_queue_get_threadsafe(data, &item, INFINITY), -ESHUTDOWN);
    CHECK_INT(item, 1);
    bide_thread_queue_unref(data);
    return NULL;
}

BIDE_TEST(references)
{
    int sum = 0;
    struct bide_thread_queue_opts opts = {.drop = count_drop, .data = &sum};
    bide_thread_queue *queue;
    CHECK_INT(bide_thread_queue_new(sizeof(int), &opts, &queue), 0);
    pthread_t thread = start(waits_for_the_end, bide_thread_queue_ref(queue));
    CHECK_INT(bide_thread_queue_shutdown(queue, BIDE_DRAIN), 0);
    join(thread);
    bide_thread_queue_unref(queue);
    CHECK_INT(bide_thread_queue_new(sizeof(int), &opts, &queue), 0);
    CHECK_PTR(bide_thread_queue_ref(queue), queue);
    for (int i = 0; i < 12; i++)
        put(queue, i);
    for (int i = 0; i < 5; i++)
        CHECK_INT(next(queue), i);
    bide_thread_queue_unref(queue);
    CHECK_INT(sum, 0);
    bide_thread_queue_unref(queue);
    CHECK_INT(sum, 5 + 6 + 7 + 8 + 9 + 10 + 11);
}

static bide_async(gets_shielded, (bide_thread_queue *, queue))
{
    int item;
    return bide_shielded(INFINITY, bide_thread_queue_get(queue, &item));
}

static bide_async(puts_shielded, (bide_thread_queue *, queue))
{
    int item = 3;
    return bide_shielded(INFINITY, bide_thread_queue_put(queue, &item));
}

struct two {
    bide_thread_queue *first;
    bide_thread_queue *second;
    int n_reports;
};

static int puts_8_into_the_second(void *data)
{
    put(((struct two *)data)->second, 8);
    return 0;
}

static void puts_on_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    struct two *two = data;
    CHECK_CONTAINS(report->message, "thread queue");
    if (two->n_reports++ > 0)
        return;
    put(two->first, 7);
    CHECK_INT(bide_loop_call_soon(loop, puts_8_into_the_second, two, NULL, NULL), 0);
}

static bide_async(leaves_waiting_tasks, (struct two *, two), (bide_thread_queue *, full))
{
    bide_loop_set_exception_handler(bide_loop_current(), puts_on_report, two);
    bide_detach(bide_spawn(gets_shielded, two->first));
    bide_detach(bide_spawn(gets_shielded, two->second));
    bide_detach(bide_spawn(puts_shielded, full));
    turns(1);
    return 0;
}

/*
 * In the loop's last turn one task is told that it has an item, and does not run any more; another
 * is given one, and not told any more. Both items are there again.
 */
BIDE_TEST(loop_gives_up_tasks_that_wait_or_were_served)
{
    struct bide_loop_opts opts = {.cleanup_seconds = TICKS(1)};
    int sum = 0;
    struct bide_thread_queue_opts dropping = {.drop = count_drop, .data = &sum};
    bide_thread_queue *full = ints_of(1);
    put(full, 0);
    for (int got = 0; got < 2; got++) {
        struct two two = {ints_of(1), NULL, 0};
        CHECK_INT(bide_thread_queue_new(sizeof(int), &dropping, &two.second), 0);
        CHECK_INT(bide_run_with(&opts, leaves_waiting_tasks, &two, full), 0);
        CHECK_INT(two.n_reports, 3);
        CHECK_INT(next(two.first), 7);
        if (got)
            CHECK_INT(next(two.second), 8);
        bide_thread_queue_unref(two.first);
        bide_thread_queue_unref(two.second);
        CHECK_INT(sum, 8);
    }
    CHECK_INT(bide_thread_queue_size(full), 1);
    CHECK_INT(next(full), 0);
    CHECK_INT(next(full), -EAGAIN);
    bide_thread_queue_unref(full);
}

TASK_TEST(without_memory)
{
    bide_thread_queue *queue = NULL;
    int item = 5;
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_thread_queue_new(sizeof(int), NULL, &queue), -ENOMEM);
    CHECK(fault_disarm());
    CHECK_PTR(queue, NULL);
    queue = ints_of(1);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_thread_queue_put(queue, &item), -ENOMEM);
    CHECK(fault_disarm());
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_thread_queue_get(queue, &item), -ENOMEM);
    CHECK(fault_disarm());
    put(queue, 1);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_thread_queue_put(queue, &item), -ENOMEM);
    CHECK(fault_disarm());
    CHECK_INT(next(queue), 1);
    CHECK_INT(item, 5);
    bide_thread_queue_unref(queue);
}

/* Threads and loops, each with several that put and several that get. */
enum { SIDES = 2, TASKS = 4, ITEMS = 1500 };

static struct {
    bide_thread_queue *queue;
    atomic_long sum_put;
    atomic_long sum_got;
    atomic_int n_put;
    atomic_int n_got;
    atomic_int n_putting;
} trade;

static void traded(int rc, int item, bool got)
{
    if (rc < 0)
        return;
    atomic_fetch_add(got ? &trade.sum_got : &trade.sum_put, item);
    atomic_fetch_add(got ? &trade.n_got : &trade.n_put, 1);
}

static void *trader_puts(void *data)
{
    (void)data;
    for (int i = 0; i < ITEMS; i++)
        traded(bide_thread_queue_put_threadsafe(trade.queue, &i, i % 3 ? INFINITY : 0.0001), i,
               false);
    atomic_fetch_sub(&trade.n_putting, 1);
    return NULL;
}

static void *trader_gets(void *data)
{
    (void)data;
    int rc;
    do {
        int item;
        rc = bide_thread_queue_get_threadsafe(trade.queue, &item, 0.0001);
        traded(rc, item, true);
    } while (rc != -ESHUTDOWN);
    return NULL;
}

static bide_async(task_puts, (int, n))
{
    for (int i = 0; i < n; i++) {
        int rc = i % 3 ? bide_thread_queue_put(trade.queue, &i)
                       : bide_within(0.0001, bide_thread_queue_put(trade.queue, &i));
        traded(rc, i, false);
    }
    return 0;
}

static bide_async(task_gets)
{
    int rc;
    do {
        int item = 0;
        rc = bide_within(0.0001, bide_thread_queue_get(trade.queue, &item));
        traded(rc, item, true);
    } while (rc != -ESHUTDOWN);
    return 0;
}

static bide_async(loop_trades)
{
    bide_task *putters[TASKS];
    bide_task *getters[TASKS];
    for (int i = 0; i < TASKS; i++) {
        putters[i] = bide_spawn(task_puts, ITEMS / TASKS);
        getters[i] = bide_spawn(task_gets);
    }
    CHECK_INT(bide_gather(putters, TASKS, NULL), 0);
    atomic_fetch_sub(&trade.n_putting, 1);
    CHECK_INT(bide_gather(getters, TASKS, NULL), 0);
    return 0;
}

static void *runs_trades(void *data)
{
    (void)data;
    CHECK_INT(bide_run_with(NULL, loop_trades), 0);
    return NULL;
}

BIDE_TEST_SECONDS(many_threads_and_loops_lose_nothing, 120)
{
    trade.queue = ints_of(3);
    atomic_init(&trade.n_putting, 2 * SIDES);
    pthread_t threads[3 * SIDES];
    for (int i = 0; i < SIDES; i++) {
        threads[i] = start(trader_puts, NULL);
        threads[SIDES + i] = start(trader_gets, NULL);
        threads[2 * SIDES + i] = start(runs_trades, NULL);
    }
    for (int i = 0; i < SIDES; i++)
        join(threads[i]);
    while (atomic_load(&trade.n_putting) > 0)
        sched_yield();
    CHECK_INT(bide_thread_queue_shutdown(trade.queue, BIDE_DRAIN), 0);
    for (int i = SIDES; i < 3 * SIDES; i++)
        join(threads[i]);
    CHECK_INT(next(trade.queue), -ESHUTDOWN);
    CHECK_INT(trade.n_got, trade.n_put);
    CHECK_INT(trade.sum_got, trade.sum_put);
    CHECK(trade.n_put > SIDES * ITEMS);
    bide_thread_queue_unref(trade.queue);
}
