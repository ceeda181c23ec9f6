/*
 * Scenario: FIFO and LIFO queues and rendezvous of ints and of larger items, with tasks that wait
 * on either side, are cancelled before and after they were served, or meet newcomers. Claim: order
 * is kept, those who wait are served first come, first served, a call that was served returns 0
 * even if a cancel came meanwhile, one that was cancelled before has changed nothing, and
 * allocation failures have no effect.
 */
#include "fault.h"
#include "queue_rig.h"

TASK_TEST(first_in_first_out)
{
    ints *queue = ints_of(3);
    for (int i = 0; i < 100; i++) {
        CHECK(ints_empty(queue));
        for (int k = 0; k < 3; k++) {
            CHECK(!ints_full(queue));
            CHECK_INT(ints_size(queue), k);
            CHECK_INT(ints_put(queue, 3 * i + k), 0);
        }
        CHECK(ints_full(queue));
        CHECK_INT(ints_put_nowait(queue, 1), -EAGAIN);
        int item;
        for (int k = 0; k < 3; k++) {
            CHECK_INT(ints_get(queue, &item), 0);
            CHECK_INT(item, 3 * i + k);
        }
        CHECK_INT(ints_get_nowait(queue, &item), -EAGAIN);
    }
    ints_free(queue);
}

BIDE_TEST(last_in_first_out)
{
    struct bide_queue_opts opts = {.order = BIDE_LIFO, .capacity = 40};
    ints *queue;
    int item;
    CHECK_INT(ints_new(&opts, &queue), 0);
    for (int i = 0; i < 40; i++)
        CHECK_INT(ints_put_nowait(queue, i), 0);
    CHECK_INT(ints_put_nowait(queue, 40), -EAGAIN);
    for (int i = 39; i >= 0; i--) {
        CHECK_INT(ints_get_nowait(queue, &item), 0);
        CHECK_INT(item, i);
    }
    ints_free(queue);
}

BIDE_TEST(made_and_filled_before_any_loop)
{
    ints *queue;
    CHECK_INT(ints_new(NULL, &queue), 0);
    for (int i = 0; i < BIDE_QUEUE_CAPACITY_DEFAULT; i++)
        CHECK_INT(ints_put_nowait(queue, i), 0);
    CHECK_INT(ints_put_nowait(queue, 0), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(bide_run_with(NULL, gets_int, "a", queue), 0);
        rig_end();
    }
    CHECK_NOTES("a-0 a-1 a-2 ");
    CHECK_INT(ints_put(queue, 1), -BIDE_ENOTASK);
    CHECK_INT(ints_join(queue), -BIDE_ENOTASK);
    int item = 7;
    CHECK_INT(ints_get(queue, &item), -BIDE_ENOTASK);
    CHECK_INT(item, 7);
    CHECK_INT(ints_size(queue), BIDE_QUEUE_CAPACITY_DEFAULT - 3);
    ints_free(queue);
}

BIDE_TEST(unlimited)
{
    ints *queue = ints_of(SIZE_MAX);
    int item;
    CHECK_INT(ints_put_nowait(queue, -1), 0);
    CHECK_INT(ints_put_nowait(queue, -2), 0);
    for (int i = -2; i < 100000; i++) { /* the ring's end is at every place when it grows */
        CHECK_INT(ints_put_nowait(queue, 2 * i + 4), 0);
        CHECK_INT(ints_put_nowait(queue, 2 * i + 5), 0);
        CHECK_INT(ints_get_nowait(queue, &item), 0);
        CHECK_INT(item, i < 0 ? -3 - i : i);
        CHECK(!ints_full(queue));
    }
    ints_free(queue);
}

TASK_TEST(senseless_arguments)
{
    struct bide_queue_opts no_compare = {.order = BIDE_PRIORITY};
    struct bide_queue_opts no_order = {.order = (enum bide_queue_order)3};
    struct bide_queue_opts rendezvous_of_two = {.rendezvous = true, .capacity = 2};
    struct bide_queue_opts rendezvous_lifo = {.rendezvous = true, .order = BIDE_LIFO};
    bide_queue *queue = NULL;
    int item = 1;
    CHECK_INT(bide_queue_new(0, NULL, &queue), -EINVAL);
    CHECK_INT(bide_queue_new(4, NULL, NULL), -EINVAL);
    CHECK_INT(bide_queue_new(4, &no_compare, &queue), -EINVAL);
    CHECK_INT(bide_queue_new(4, &no_order, &queue), -EINVAL);
    CHECK_INT(bide_queue_new(4, &rendezvous_of_two, &queue), -EINVAL);
    CHECK_INT(bide_queue_new(4, &rendezvous_lifo, &queue), -EINVAL);
    CHECK_PTR(queue, NULL);
    CHECK_INT(bide_queue_put(NULL, &item), -EINVAL);
    CHECK_INT(bide_queue_get(NULL, &item), -EINVAL);
    CHECK_INT(bide_queue_put_nowait(NULL, &item), -EINVAL);
    CHECK_INT(bide_queue_get_nowait(NULL, &item), -EINVAL);
    CHECK_INT(bide_queue_task_done(NULL), -EINVAL);
    CHECK_INT(bide_queue_join(NULL), -EINVAL);
    CHECK_INT(bide_queue_shutdown(NULL, BIDE_DRAIN), -EINVAL);
    CHECK_INT(bide_queue_size(NULL), 0);
    CHECK(!bide_queue_full(NULL));
    CHECK(bide_queue_empty(NULL));
    bide_queue_free(NULL);
    CHECK_INT(bide_queue_new(4, NULL, &queue), 0);
    CHECK_INT(bide_queue_put(queue, NULL), -EINVAL);
    CHECK_INT(bide_queue_get(queue, NULL), -EINVAL);
    CHECK_INT(bide_queue_put_nowait(queue, NULL), -EINVAL);
    CHECK_INT(bide_queue_get_nowait(queue, NULL), -EINVAL);
    CHECK_INT(bide_queue_shutdown(queue, (enum bide_queue_end)2), -EINVAL);
    CHECK_INT(bide_queue_put(queue, &item), 0);
    bide_queue_free(queue);
    ints *typed;
    CHECK_INT(ints_new(&no_compare, &typed), -EINVAL);
    CHECK_INT(ints_new(NULL, NULL), -EINVAL);
}

struct large {
    char text[1001];
    long number;
};
BIDE_QUEUE_DEFINE(larges, struct large);
BIDE_QUEUE_DEFINE(chars, char);
BIDE_QUEUE_DEFINE(pointers, void *);

static bide_async(puts_large, (larges *, queue), (int, n))
{
    for (int i = 0; i < n; i++) {
        struct large item = {.number = i};
        memset(item.text, 'a' + i % 26, sizeof item.text);
        CHECK_INT(larges_put(queue, item), 0);
        memset(&item, 0, sizeof item);
    }
    return 0;
}

TASK_TEST(items_of_other_sizes)
{
    struct bide_queue_opts two = {.capacity = 2};
    larges *queue;
    CHECK_INT(larges_new(&two, &queue), 0);
    bide_task *task = bide_spawn(puts_large, queue, 50);
    for (int i = 0; i < 50; i++) {
        struct large item;
        CHECK_INT(larges_get(queue, &item), 0);
        CHECK_INT(item.number, i);
        CHECK_INT(item.text[0], 'a' + i % 26);
        CHECK_INT(item.text[1000], 'a' + i % 26);
    }
    CHECK_INT(bide_await(task), 0);
    larges_free(queue);
    chars *letters;
    CHECK_INT(chars_new(NULL, &letters), 0);
    for (const char *c = "abc"; *c; c++)
        CHECK_INT(chars_put(letters, *c), 0);
    for (const char *c = "abc"; *c; c++) {
        char letter[2] = "?!";
        CHECK_INT(chars_get(letters, letter), 0);
        CHECK_INT(letter[0], *c);
        CHECK_INT(letter[1], '!');
    }
    chars_free(letters);
    pointers *addresses;
    void *address;
    CHECK_INT(pointers_new(NULL, &addresses), 0);
    CHECK_INT(pointers_put(addresses, &two), 0);
    CHECK_INT(pointers_get(addresses, &address), 0);
    CHECK_PTR(address, &two);
    pointers_free(addresses);
}

TASK_TEST(getters_are_served_in_order_and_newcomers_wait)
{
    ints *queue = ints_of(2);
    bide_task *tasks[] = {bide_spawn(gets_int, "a", queue), bide_spawn(gets_int, "b", queue)};
    turns(1);
    int item;
    CHECK_INT(ints_put_nowait(queue, 1), 0); /* a's, although it has not run yet */
    CHECK_INT(ints_size(queue), 0);
    CHECK_INT(ints_get_nowait(queue, &item), -EAGAIN);
    for (int i = 2; i <= 4; i++)
        CHECK_INT(ints_put(queue, i), 0);
    CHECK_INT(ints_put_nowait(queue, 5), -EAGAIN);
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(item, 3);
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_NOTES("a-1 b-2 ");
    CHECK_INTS(queue, 4);
    ints_free(queue);
}

TASK_TEST(putters_are_served_in_order_and_newcomers_wait)
{
    ints *queue = ints_of(1);
    CHECK_INT(ints_put(queue, 0), 0);
    bide_task *tasks[] = {bide_spawn(puts_int, "a", queue, 1), bide_spawn(puts_int, "b", queue, 2),
                          bide_spawn(puts_int, "c", queue, 3)};
    turns(1);
    int item;
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(item, 0);
    CHECK_INT(ints_put_nowait(queue, 9), -EAGAIN); /* a has the room */
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(item, 1);
    CHECK_NOTES("");
    turns(1);
    CHECK_NOTES("a+1 b+2 ");
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(item, 2);
    CHECK_INT(bide_gather(tasks, 3, NULL), 0);
    CHECK_NOTES("c+3 ");
    CHECK_INTS(queue, 3);
    ints_free(queue);
}

TASK_TEST(cancelled_get_before_and_after_it_was_served)
{
    ints *queue = ints_of(1);
    bide_task *tasks[] = {bide_spawn(gets_int, "a", queue), bide_spawn(gets_int, "b", queue),
                          bide_spawn(gets_int, "c", queue)};
    turns(1);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(ints_put(queue, 1), 0); /* b's */
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK_INT(ints_put(queue, 2), 0);
    CHECK_INT(ints_put(queue, 3), 0);
    CHECK_INT(bide_await(tasks[0]), -ECANCELED);
    CHECK_INT(bide_await(tasks[1]), 0);
    CHECK_INT(bide_await(tasks[2]), 0);
    CHECK_NOTES("a!c b-1 c-2 ");
    CHECK_INTS(queue, 3);
    ints_free(queue);
}

TASK_TEST(cancelled_put_before_and_after_it_was_served)
{
    ints *queue = ints_of(1);
    CHECK_INT(ints_put(queue, 0), 0);
    bide_task *tasks[] = {bide_spawn(puts_int, "a", queue, 1), bide_spawn(puts_int, "b", queue, 2),
                          bide_spawn(puts_int, "c", queue, 3)};
    turns(1);
    int item;
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(ints_get(queue, &item), 0); /* makes room for b */
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK_INT(bide_await(tasks[0]), -ECANCELED);
    CHECK_INT(bide_await(tasks[1]), 0);
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(item, 2);
    CHECK_INT(bide_await(tasks[2]), 0);
    CHECK_NOTES("a!c b+2 c+3 ");
    CHECK_INTS(queue, 3);
    ints_free(queue);
}

TASK_TEST(calls_in_a_cancelled_task_have_no_effect)
{
    ints *queue = ints_of(1);
    int item = 5;
    CHECK_INT(bide_within(0, ints_put(queue, 1)), -ETIMEDOUT);
    CHECK(ints_empty(queue));
    CHECK_INT(ints_put(queue, 1), 0);
    CHECK_INT(bide_within(0, ints_get(queue, &item)), -ETIMEDOUT);
    CHECK_INT(bide_within(0, ints_join(queue)), -ETIMEDOUT);
    CHECK_INT(bide_within(TICKS(1), ints_put(queue, 2)), -ETIMEDOUT);
    CHECK_INT(bide_within(TICKS(1), ints_join(queue)), -ETIMEDOUT);
    CHECK_INT(item, 5);
    CHECK_INTS(queue, 1);
    CHECK_INT(bide_within(TICKS(1), ints_get(queue, &item)), -ETIMEDOUT);
    CHECK_INT(item, 5);
    ints_free(queue);
}

TASK_TEST(rendezvous_put_waits_for_its_get)
{
    ints *queue = rendezvous_of_ints();
    int item;
    CHECK(ints_full(queue));
    CHECK(ints_empty(queue));
    CHECK_INT(ints_put_nowait(queue, 1), -EAGAIN);
    CHECK_INT(ints_get_nowait(queue, &item), -EAGAIN);
    bide_task *tasks[] = {bide_spawn(puts_int, "a", queue, 1), bide_spawn(puts_int, "b", queue, 2)};
    turns(3);
    CHECK_NOTES("");
    CHECK(!ints_empty(queue));
    CHECK_INT(ints_size(queue), 0);
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(item, 1);
    turns(1);
    CHECK_NOTES("a+1 ");
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK_INT(ints_get_nowait(queue, &item), -EAGAIN);
    CHECK_INT(bide_await(tasks[0]), 0);
    CHECK_INT(bide_await(tasks[1]), -ECANCELED);
    CHECK_NOTES("b!c ");
    bide_task *getter = bide_spawn(gets_int, "g", queue);
    turns(1);
    CHECK(!ints_full(queue));
    CHECK_INT(ints_put(queue, 3), 0);
    CHECK(ints_full(queue));
    CHECK_INT(bide_await(getter), 0);
    CHECK_NOTES("g-3 ");
    ints_free(queue);
}

TASK_TEST(join_waits_for_every_item_put)
{
    ints *queue = ints_of(1);
    CHECK_INT(ints_join(queue), 0);
    CHECK_INT(ints_task_done(queue), -EINVAL);
    CHECK_INT(ints_put(queue, 1), 0);
    bide_task *putter = bide_spawn(puts_int, "p", queue, 2);
    bide_task *joiners[] = {bide_spawn(joins_ints, "a", queue), bide_spawn(joins_ints, "b", queue),
                            bide_spawn(joins_ints, "c", queue)};
    turns(2);
    int item;
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(bide_await(putter), 0);
    CHECK_INT(ints_task_done(queue), 0);
    CHECK_INT(bide_cancel(joiners[0]), 1);
    turns(2);
    CHECK_NOTES("p+2 a!c ");
    CHECK_INT(ints_task_done(queue), 0);
    CHECK_INT(ints_put(queue, 3), 0); /* too late for those who wait to notice */
    CHECK_INT(bide_cancel(joiners[2]), 1);
    CHECK_INT(bide_await(joiners[0]), -ECANCELED);
    CHECK_INT(bide_await(joiners[1]), 0);
    CHECK_INT(bide_await(joiners[2]), 0);
    CHECK_NOTES("b= c= ");
    CHECK_INT(ints_task_done(queue), 0);
    CHECK_INT(ints_task_done(queue), -EINVAL);
    CHECK_INTS(queue, 3);
    ints_free(queue);
}

TASK_TEST(calls_that_need_not_wait_yield_now_and_then)
{
    ints *queue = ints_of(4);
    bide_task *task = bide_spawn(returns, 1);
    int n = 0;
    int item;
    while (!bide_task_done(task)) {
        CHECK_INT(ints_put(queue, n++), 0);
        CHECK_INT(ints_get(queue, &item), 0);
        CHECK(n < 1000);
    }
    CHECK_INT(bide_await(task), 1);
    ints_free(queue);
}

TASK_TEST(freed_while_tasks_wait)
{
    ints *queue = ints_of(1);
    ints *empty = ints_of(1);
    CHECK_INT(ints_put(queue, 1), 0);
    bide_task *tasks[] = {bide_spawn(puts_int, "a", queue, 2), bide_spawn(joins_ints, "j", queue),
                          bide_spawn(gets_int, "g", empty), bide_spawn(gets_int, "h", empty)};
    turns(1);
    CHECK_INT(ints_put(empty, 7), 0); /* g has it */
    ints_free(queue);
    ints_free(empty);
    CHECK_INT(bide_gather_all(tasks, 4, NULL), 0);
    CHECK_NOTES("g-7 a!s j= h!s ");
    queue = ints_of(1);
    CHECK_INT(ints_put(queue, 1), 0);
    int item;
    CHECK_INT(ints_get(queue, &item), 0);
    tasks[0] = bide_spawn(joins_ints, "j", queue);
    turns(1);
    ints_free(queue);
    CHECK_INT(bide_await(tasks[0]), -ESHUTDOWN);
    CHECK_NOTES("j!s ");
}

static bide_async(puts_shielded, (ints *, queue))
{
    return bide_shielded(INFINITY, ints_put(queue, 3));
}

static bide_async(gets_shielded, (ints *, queue))
{
    int item;
    return bide_shielded(INFINITY, ints_get(queue, &item));
}

static bide_async(joins_shielded, (ints *, queue))
{
    return bide_shielded(INFINITY, ints_join(queue));
}

static bide_async(leaves_waiting_tasks, (ints *, full), (ints *, empty))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(bide_spawn(puts_shielded, full));
    bide_detach(bide_spawn(joins_shielded, full));
    bide_detach(bide_spawn(gets_shielded, empty));
    turns(1);
    return 0;
}

/* Tasks that the loop gave up are not in line any more, and their queues can be used and freed. */
BIDE_TEST(outlives_a_loop_that_gave_up_its_tasks)
{
    struct bide_loop_opts opts = {.cleanup_seconds = TICKS(1)};
    static const char *const waits[] = {"queue put", "queue join", "queue get"};
    ints *full = ints_of(1);
    ints *empty = ints_of(1);
    CHECK_INT(ints_put_nowait(full, 0), 0);
    CHECK_INT(bide_run_with(&opts, leaves_waiting_tasks, full, empty), 0);
    for (int i = 0; i < 3; i++)
        CHECK_CONTAINS(take_report(), waits[i]);
    rig_end();
    CHECK_INT(ints_put_nowait(empty, 4), 0);
    CHECK_INTS(empty, 4);
    CHECK_INTS(full, 0);
    CHECK_INT(ints_task_done(full), 0);
    ints_free(full);
    ints_free(empty);
}

struct late {
    ints *served;
    ints *full;
    int n_reports;
};

/* One get and one put are served when it is too late for their tasks to run. */
static int serves_late(void *data)
{
    struct late *late = data;
    int item;
    CHECK_INT(ints_put_nowait(late->served, 7), 0);
    CHECK_INT(ints_put_nowait(late->served, 8), 0);
    CHECK_INT(ints_get_nowait(late->full, &item), 0);
    CHECK_INT(item, 0);
    return 0;
}

static void serves_in_the_last_turn(bide_loop *loop, const struct bide_report *report, void *data)
{
    struct late *late = data;
    CHECK_CONTAINS(report->message, "queue");
    if (late->n_reports++ == 0)
        CHECK_INT(bide_loop_call_soon(loop, serves_late, late, NULL, NULL), 0);
}

static bide_async(leaves_tasks_to_be_served, (struct late *, late))
{
    bide_loop_set_exception_handler(bide_loop_current(), serves_in_the_last_turn, late);
    bide_detach(bide_spawn(gets_shielded, late->served));
    bide_detach(bide_spawn(puts_shielded, late->full));
    turns(1);
    return 0;
}

BIDE_TEST(item_of_a_task_that_was_given_up_is_there_again)
{
    for (int drops = 0; drops < 2; drops++) {
        struct bide_loop_opts opts = {.cleanup_seconds = TICKS(1)};
        struct late late = {ints_of(1), ints_of(1), 0};
        CHECK_INT(ints_put_nowait(late.full, 0), 0);
        CHECK_INT(bide_run_with(&opts, leaves_tasks_to_be_served, &late), 0);
        CHECK_INT(late.n_reports, 2);
        CHECK_INT(ints_size(late.served), 2); /* one more than its capacity, for once */
        CHECK_INT(ints_put_nowait(late.served, 9), -EAGAIN);
        if (!drops) {
            CHECK_INTS(late.served, 7, 8);
            CHECK_INTS(late.full, 3);
        }
        ints_free(late.served);
        ints_free(late.full);
    }
}

static bool failing_put(unsigned long n)
{
    ints *queue = NULL;
    struct bide_queue_opts opts = {.capacity = 20};
    fault_arm(FAULT_ALLOCATION, n, 0);
    int rc = ints_new(&opts, &queue);
    int n_put = 0;
    while (rc == 0 && n_put < 20) {
        rc = ints_put(queue, n_put);
        n_put += rc == 0;
    }
    bool hit = fault_disarm();
    CHECK_INT(rc, hit ? -ENOMEM : 0);
    CHECK_INT(ints_size(queue), n_put);
    for (int i = 0; i < n_put; i++) {
        int item;
        CHECK_INT(ints_get(queue, &item), 0);
        CHECK_INT(item, i);
        CHECK_INT(ints_task_done(queue), 0);
    }
    if (queue)
        CHECK_INT(ints_task_done(queue), -EINVAL);
    ints_free(queue);
    return hit;
}

TASK_TEST(put_without_memory)
{
    unsigned long n = 1;
    while (failing_put(n))
        n++;
    CHECK_INT(n, 5); /* the queue, its ring three times */
}

TASK_TEST(waiting_without_memory)
{
    ints *queue = ints_of(1);
    int item = 5;
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(ints_get(queue, &item), -ENOMEM);
    CHECK(fault_disarm());
    CHECK_INT(ints_put(queue, 1), 0);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(ints_put(queue, 2), -ENOMEM);
    CHECK(fault_disarm());
    CHECK_INT(item, 5);
    CHECK_INTS(queue, 1);
    ints_free(queue);
    CHECK_INT(bide_queue_new(SIZE_MAX, NULL, (bide_queue **)&queue), 0);
    CHECK_INT(bide_queue_put((bide_queue *)queue, &item), -ENOMEM);
    CHECK_INT(bide_queue_get((bide_queue *)queue, &item), -ENOMEM);
    bide_queue_free((bide_queue *)queue);
}
