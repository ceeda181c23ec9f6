/*
 * Scenario: queues in the order of a user's function, from two items to many, filled and emptied at
 * random and beside a plain reference, with waiting puts. Claim: the first in order comes first, of
 * equal ones the one that was put first; the function sees whole, aligned items; an allocation
 * failure has no effect.
 */
#include <stdint.h>

#include "fault.h"
#include "queue_rig.h"

struct job {
    int urgency; /* higher ones first */
    int number;
};
BIDE_QUEUE_DEFINE(jobs, struct job);

static int by_urgency(const void *left, const void *right, void *data)
{
    const struct job *a = left;
    const struct job *b = right;
    CHECK_INT((uintptr_t)left % _Alignof(struct job), 0);
    CHECK_INT((uintptr_t)right % _Alignof(struct job), 0);
    ++*(int *)data;
    return (b->urgency > a->urgency) - (b->urgency < a->urgency);
}

static jobs *jobs_of(size_t capacity)
{
    static int n_compared;
    struct bide_queue_opts opts = {
        .capacity = capacity, .order = BIDE_PRIORITY, .compare = by_urgency, .data = &n_compared};
    jobs *queue;
    CHECK_INT(jobs_new(&opts, &queue), 0);
    return queue;
}

static void put(jobs *queue, int urgency, int number)
{
    CHECK_INT(jobs_put_nowait(queue, (struct job){urgency, number}), 0);
}

static void check_next(jobs *queue, int urgency, int number)
{
    struct job job = {0};
    CHECK_INT(jobs_get_nowait(queue, &job), 0);
    CHECK_INT(job.urgency, urgency);
    CHECK_INT(job.number, number);
}

BIDE_TEST(first_in_order_comes_first)
{
    jobs *queue = jobs_of(0);
    static const int urgencies[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5};
    static const int order[] = {5, 7, 4, 8, 10, 2, 0, 9, 6, 1, 3};
    for (int i = 0; i < 11; i++)
        put(queue, urgencies[i], i);
    for (int i = 0; i < 11; i++)
        check_next(queue, urgencies[order[i]], order[i]);
    CHECK(jobs_empty(queue));
    jobs_free(queue);
}

enum { MANY = 3000 };

/* Among few different urgencies; the reference looks through all. */
BIDE_TEST(random_puts_and_gets_beside_a_reference)
{
    uint64_t seed = test_seed();
    printf("# seed %llu\n", (unsigned long long)seed);
    static struct job reference[MANY];
    jobs *queue = jobs_of(SIZE_MAX);
    int n = 0;
    int n_put = 0;
    for (int step = 0; step < 6 * MANY; step++) {
        bool fills = step < 3 * MANY ? test_random(&seed) % 3 > 0 : test_random(&seed) % 3 == 0;
        if (fills && n < MANY) {
            reference[n] = (struct job){(int)(test_random(&seed) % 7), n_put++};
            put(queue, reference[n].urgency, reference[n].number);
            n++;
        } else if (n > 0) {
            int next = 0;
            for (int i = 1; i < n; i++)
                if (reference[i].urgency > reference[next].urgency)
                    next = i;
            check_next(queue, reference[next].urgency, reference[next].number);
            memmove(reference + next, reference + next + 1,
                    (size_t)(--n - next) * sizeof *reference);
        }
        CHECK_INT(jobs_size(queue), n);
    }
    jobs_free(queue);
}

static bide_async(puts_job, (jobs *, queue), (int, urgency), (int, number))
{
    return jobs_put(queue, (struct job){urgency, number});
}

/* A put that waited counts from when there was room for it. */
TASK_TEST(waiting_puts_enter_in_the_order_in_which_they_came)
{
    jobs *queue = jobs_of(2);
    put(queue, 1, 1);
    put(queue, 5, 2);
    bide_task *tasks[] = {bide_spawn(puts_job, queue, 3, 3), bide_spawn(puts_job, queue, 9, 4),
                          bide_spawn(puts_job, queue, 5, 5)};
    turns(1);
    CHECK_INT(jobs_put_nowait(queue, (struct job){9, 6}), -EAGAIN);
    check_next(queue, 5, 2);
    check_next(queue, 3, 3);
    check_next(queue, 9, 4);
    check_next(queue, 5, 5);
    check_next(queue, 1, 1);
    CHECK_INT(bide_gather(tasks, 3, NULL), 0);
    jobs_free(queue);
}

static bide_async(gets_job, (jobs *, queue), (int, number))
{
    struct job job;
    CHECK_INT(jobs_get(queue, &job), 0);
    CHECK_INT(job.number, number);
    return 0;
}

/* Not the most urgent one that there is by the time when it runs. */
TASK_TEST(waiting_get_keeps_the_item_that_it_was_given)
{
    jobs *queue = jobs_of(0);
    bide_task *task = bide_spawn(gets_job, queue, 1);
    turns(1);
    put(queue, 1, 1);
    put(queue, 9, 2);
    CHECK_INT(bide_await(task), 0);
    check_next(queue, 9, 2);
    jobs_free(queue);
}

struct wide {
    char bytes[24];
    int rank;
};
BIDE_QUEUE_DEFINE(wides, struct wide);

static int by_rank(const void *left, const void *right, void *data)
{
    (void)data;
    return ((const struct wide *)left)->rank - ((const struct wide *)right)->rank;
}

static bool fills_without_memory(unsigned long n)
{
    struct bide_queue_opts opts = {.order = BIDE_PRIORITY, .compare = by_rank};
    wides *queue;
    struct wide item = {0};
    CHECK_INT(wides_new(&opts, &queue), 0);
    int rc = 0;
    int n_put = 0;
    fault_arm(FAULT_ALLOCATION, n, 0);
    while (rc == 0 && n_put < 20) {
        item.rank = -n_put;
        memset(item.bytes, 'a' + n_put, sizeof item.bytes);
        rc = wides_put_nowait(queue, item);
        n_put += rc == 0;
    }
    bool hit = fault_disarm();
    CHECK_INT(rc, hit ? -ENOMEM : 0);
    CHECK_INT(wides_size(queue), n_put);
    while (n_put-- > 0) {
        CHECK_INT(wides_get_nowait(queue, &item), 0);
        CHECK_INT(item.rank, -n_put);
        CHECK_INT(item.bytes[23], 'a' + n_put);
    }
    wides_free(queue);
    return hit;
}

BIDE_TEST(put_without_memory)
{
    unsigned long n = 1;
    while (fills_without_memory(n))
        n++;
    CHECK_INT(n, 7); /* two blocks, three times */
}
