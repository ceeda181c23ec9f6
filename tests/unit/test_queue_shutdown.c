/*
 * Scenario: queues of every kind are shut down, to be drained or at once, while tasks wait to put,
 * to get and to join, were just served, or come later. Claim: a put that was not done fails and its
 * item stays the caller's, one that was done is delivered or dropped like every other item; gets
 * drain what is left; drop() sees each item that nobody got once; join still needs every task_done
 * for what was not dropped.
 */
#include "queue_rig.h"

TASK_TEST(drain_fails_puts_and_lets_gets_have_the_rest)
{
    ints *queue = ints_of(2);
    CHECK_INT(ints_put(queue, 1), 0);
    CHECK_INT(ints_put(queue, 2), 0);
    bide_task *tasks[] = {bide_spawn(puts_int, "a", queue, 3), bide_spawn(puts_int, "b", queue, 4)};
    turns(1);
    int item;
    CHECK_INT(ints_get(queue, &item), 0); /* a's put is done now */
    CHECK_INT(ints_shutdown(queue, BIDE_DRAIN), 0);
    CHECK_INT(ints_put(queue, 5), -ESHUTDOWN);
    CHECK_INT(ints_put_nowait(queue, 5), -ESHUTDOWN);
    CHECK_INT(bide_gather_all(tasks, 2, NULL), 0);
    CHECK_NOTES("a+3 b!s ");
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(item, 2);
    CHECK_INT(ints_get_nowait(queue, &item), 0);
    CHECK_INT(item, 3);
    CHECK_INT(ints_get(queue, &item), -ESHUTDOWN);
    CHECK_INT(ints_get_nowait(queue, &item), -ESHUTDOWN);
    CHECK_INT(ints_shutdown(queue, BIDE_DRAIN), 0);
    ints_free(queue);
}

TASK_TEST(gets_that_wait_fail_and_one_that_was_served_does_not)
{
    for (enum bide_queue_end how = BIDE_DRAIN; how <= BIDE_AT_ONCE; how++) {
        ints *queue = ints_of(2);
        bide_task *tasks[] = {bide_spawn(gets_int, "a", queue), bide_spawn(gets_int, "b", queue)};
        turns(1);
        CHECK_INT(ints_put(queue, 1), 0);
        CHECK_INT(ints_shutdown(queue, how), 0);
        CHECK_INT(bide_gather_all(tasks, 2, NULL), 0);
        CHECK_NOTES("a-1 b!s ");
        CHECK_INT(ints_task_done(queue), 0); /* it was got */
        CHECK_INT(ints_task_done(queue), -EINVAL);
        ints_free(queue);
    }
}

TASK_TEST(cancel_after_the_shutdown_changes_nothing)
{
    ints *queue = ints_of(1);
    ints *empty = ints_of(1);
    CHECK_INT(ints_put(queue, 1), 0);
    bide_task *tasks[] = {bide_spawn(puts_int, "a", queue, 2), bide_spawn(gets_int, "b", empty),
                          bide_spawn(puts_int, "c", queue, 2), bide_spawn(gets_int, "d", empty)};
    turns(1);
    CHECK_INT(bide_cancel(tasks[2]), 1);
    CHECK_INT(bide_cancel(tasks[3]), 1);
    CHECK_INT(ints_shutdown(queue, BIDE_DRAIN), 0);
    CHECK_INT(ints_shutdown(empty, BIDE_DRAIN), 0);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK_INT(bide_gather_all(tasks, 4, NULL), 0);
    CHECK_NOTES("c!c d!c a!s b!s ");
    ints_free(queue);
    ints_free(empty);
}

TASK_TEST(join_after_a_drain_needs_every_task_done)
{
    ints *queue = ints_of(2);
    CHECK_INT(ints_put(queue, 1), 0);
    CHECK_INT(ints_put(queue, 2), 0);
    bide_task *joiner = bide_spawn(joins_ints, "j", queue);
    turns(1);
    CHECK_INT(ints_shutdown(queue, BIDE_DRAIN), 0);
    int item;
    for (int i = 0; i < 2; i++) {
        turns(2);
        CHECK(!bide_task_done(joiner));
        CHECK_INT(ints_get(queue, &item), 0);
        turns(2);
        CHECK(!bide_task_done(joiner));
        CHECK_INT(ints_task_done(queue), 0);
    }
    CHECK_INT(bide_await(joiner), 0);
    CHECK_NOTES("j= ");
    ints_free(queue);
}

static void note_drop(void *item, void *data)
{
    char word[16];
    snprintf(word, sizeof word, "%s%d ", (const char *)data, *(int *)item);
    note(word);
}

static int by_value(const void *left, const void *right, void *data)
{
    (void)data;
    return *(const int *)left - *(const int *)right;
}

static ints *dropping(size_t capacity, enum bide_queue_order order)
{
    struct bide_queue_opts opts = {.capacity = capacity,
                                   .order = order,
                                   .compare = by_value,
                                   .drop = note_drop,
                                   .data = (void *)(uintptr_t) "d"};
    ints *queue;
    CHECK_INT(ints_new(&opts, &queue), 0);
    return queue;
}

TASK_TEST(at_once_drops_what_nobody_got)
{
    ints *queue = dropping(3, BIDE_FIFO);
    int item;
    for (int i = 0; i < 3; i++)
        CHECK_INT(ints_put(queue, i), 0);
    bide_task *tasks[] = {bide_spawn(puts_int, "a", queue, 3), bide_spawn(puts_int, "b", queue, 4),
                          bide_spawn(joins_ints, "j", queue)};
    turns(1);
    CHECK_INT(ints_get(queue, &item), 0); /* a's put is done: 1, 2, 3 are there */
    CHECK_INT(ints_shutdown(queue, BIDE_AT_ONCE), 0);
    CHECK_NOTES("d1 d2 d3 ");
    CHECK_INT(ints_size(queue), 0);
    CHECK_INT(ints_get(queue, &item), -ESHUTDOWN);
    CHECK_INT(ints_put(queue, 1), -ESHUTDOWN);
    CHECK_INT(bide_await(tasks[0]), 0);
    CHECK_INT(bide_await(tasks[1]), -ESHUTDOWN);
    turns(2);
    CHECK_NOTES("a+3 b!s ");
    CHECK_INT(ints_task_done(queue), 0); /* for item 0, the only one that was got */
    CHECK_INT(ints_task_done(queue), -EINVAL);
    CHECK_INT(bide_await(tasks[2]), 0);
    CHECK_NOTES("j= ");
    ints_free(queue);
    CHECK_NOTES("");
}

TASK_TEST(drain_and_then_at_once)
{
    ints *queue = dropping(0, BIDE_LIFO);
    for (int i = 0; i < 3; i++)
        CHECK_INT(ints_put(queue, i), 0);
    bide_task *joiner = bide_spawn(joins_ints, "j", queue);
    turns(1);
    CHECK_INT(ints_shutdown(queue, BIDE_DRAIN), 0);
    int item;
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(item, 2);
    CHECK_INT(ints_task_done(queue), 0);
    CHECK_INT(ints_shutdown(queue, BIDE_AT_ONCE), 0);
    CHECK_INT(bide_await(joiner), 0);
    CHECK_NOTES("d0 d1 j= ");
    CHECK_INT(ints_shutdown(queue, BIDE_AT_ONCE), 0);
    ints_free(queue);
}

/* task_done() for items that nobody got yet: they are not counted twice. */
TASK_TEST(at_once_after_too_many_task_dones)
{
    ints *queue = dropping(0, BIDE_FIFO);
    for (int i = 0; i < 3; i++)
        CHECK_INT(ints_put(queue, i), 0);
    CHECK_INT(ints_task_done(queue), 0);
    CHECK_INT(ints_task_done(queue), 0);
    CHECK_INT(ints_shutdown(queue, BIDE_AT_ONCE), 0);
    CHECK_INT(ints_task_done(queue), -EINVAL);
    CHECK_INT(ints_join(queue), 0);
    CHECK_NOTES("d0 d1 d2 ");
    ints_free(queue);
}

BIDE_TEST(free_drops_what_is_left)
{
    int item;
    for (enum bide_queue_order order = BIDE_FIFO; order <= BIDE_PRIORITY; order++) {
        ints *queue = dropping(0, order);
        for (int i = 0; i < 9; i++)
            CHECK_INT(ints_put_nowait(queue, i % 3), 0);
        for (int i = 0; i < 7; i++)
            CHECK_INT(ints_get_nowait(queue, &item), 0);
        if (order == BIDE_FIFO) /* the ring's end lies between them */
            for (int i = 3; i < 12; i++)
                CHECK_INT(ints_put_nowait(queue, i), 0);
        ints_free(queue);
        CHECK_NOTES(order == BIDE_FIFO   ? "d1 d2 d3 d4 d5 d6 d7 d8 d9 d10 d11 "
                    : order == BIDE_LIFO ? "d0 d1 "
                                         : "d2 d2 ");
    }
}

struct curious {
    ints *queue;
    int n_drops;
};

static void uses_the_queue(void *item, void *data)
{
    struct curious *curious = data;
    int other;
    CHECK_INT(*(int *)item, curious->n_drops++);
    CHECK_INT(ints_size(curious->queue), 0);
    CHECK_INT(ints_put_nowait(curious->queue, 1), -ESHUTDOWN);
    CHECK_INT(ints_get_nowait(curious->queue, &other), -ESHUTDOWN);
    CHECK_INT(ints_shutdown(curious->queue, BIDE_AT_ONCE), 0);
    CHECK_INT(ints_task_done(curious->queue), -EINVAL);
}

BIDE_TEST(drop_may_use_the_queue)
{
    for (int frees = 0; frees <= 1; frees++) {
        struct curious curious = {0};
        struct bide_queue_opts opts = {.drop = uses_the_queue, .data = &curious};
        CHECK_INT(ints_new(&opts, &curious.queue), 0);
        for (int i = 0; i < 5; i++)
            CHECK_INT(ints_put_nowait(curious.queue, i), 0);
        if (!frees)
            CHECK_INT(ints_shutdown(curious.queue, BIDE_AT_ONCE), 0);
        ints_free(curious.queue);
        CHECK_INT(curious.n_drops, 5);
    }
}

TASK_TEST(rendezvous)
{
    ints *queue = rendezvous_of_ints();
    bide_task *tasks[] = {bide_spawn(puts_int, "a", queue, 1), bide_spawn(puts_int, "b", queue, 2)};
    turns(1);
    int item;
    CHECK_INT(ints_get(queue, &item), 0);
    CHECK_INT(ints_shutdown(queue, BIDE_DRAIN), 0);
    CHECK_INT(ints_get(queue, &item), -ESHUTDOWN);
    CHECK_INT(bide_gather_all(tasks, 2, NULL), 0);
    CHECK_NOTES("a+1 b!s ");
    CHECK_INT(ints_task_done(queue), 0);
    CHECK_INT(ints_task_done(queue), -EINVAL);
    ints_free(queue);
}

static void frees_it(void *item, void *data)
{
    static int n;
    (void)item;
    if (++n % 2 == 1)
        ints_free(*(ints **)data);
}

TASK_TEST(drop_that_frees_the_queue)
{
    ints *queue;
    struct bide_queue_opts opts = {.drop = frees_it, .data = &queue};
    CHECK_INT(ints_new(&opts, &queue), 0);
    CHECK_INT(ints_put_nowait(queue, 1), 0);
    CHECK_INT(ints_put_nowait(queue, 2), 0);
    CHECK_INT(ints_shutdown(queue, BIDE_AT_ONCE), 0);
}
