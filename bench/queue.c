/*
 * What queues cost: an item to and fro between two tasks, an item from one to the other, and many
 * items through many workers.
 *
 *     queue [--json] [PREFIX...]
 */
#include "bench.h"

#include <bide.h>

#include <errno.h>

enum { ROUNDS = 5, TRIPS = 200000, ITEMS = 400000, WORKERS = 100 };

BIDE_QUEUE_DEFINE(longs, long);

static longs *queue_of(size_t capacity)
{
    struct bide_queue_opts opts = {.capacity = capacity, .rendezvous = capacity == 0};
    longs *queue = NULL;
    if (longs_new(&opts, &queue) < 0)
        abort();
    return queue;
}

bide_async(answers, (longs *, questions), (longs *, answers_to), (long, n))
{
    long item;
    for (long i = 0; i < n; i++)
        if (longs_get(questions, &item) < 0 || longs_put(answers_to, item + 1) < 0)
            abort();
    return 0;
}

/* An item to the other task and back: two transfers. */
static void bench_ping_pong(const char *name, size_t capacity)
{
    struct bench bench = {.name = name};
    if (!bench_wanted(name))
        return;
    longs *to = queue_of(capacity);
    longs *fro = queue_of(capacity);
    for (int round = 0; round < ROUNDS; round++) {
        bide_task *task = bide_spawn(answers, to, fro, TRIPS);
        bide_sleep(0);
        bench_begin(&bench);
        for (long i = 0; i < TRIPS; i++) {
            long item = i;
            if (longs_put(to, i) < 0 || longs_get(fro, &item) < 0 || item != i + 1)
                abort();
        }
        bench_end(&bench, TRIPS);
        bide_await(task);
    }
    longs_free(to);
    longs_free(fro);
    bench_print(&bench);
}

bide_async(takes, (longs *, queue), (long, n))
{
    long item;
    for (long i = 0; i < n; i++)
        if (longs_get(queue, &item) < 0 || item != i)
            abort();
    return 0;
}

/* One task puts, another gets. */
static void bench_one_way(const char *name, size_t capacity)
{
    struct bench bench = {.name = name};
    if (!bench_wanted(name))
        return;
    longs *queue = queue_of(capacity);
    for (int round = 0; round < ROUNDS; round++) {
        bide_task *task = bide_spawn(takes, queue, ITEMS);
        bide_sleep(0);
        bench_begin(&bench);
        for (long i = 0; i < ITEMS; i++)
            if (longs_put(queue, i) < 0)
                abort();
        bide_await(task);
        bench_end(&bench, ITEMS);
    }
    longs_free(queue);
    bench_print(&bench);
}

bide_async(works, (longs *, jobs), (longs *, results))
{
    long job;
    int rc;
    while ((rc = longs_get(jobs, &job)) == 0)
        if (longs_put(results, 2 * job) < 0)
            abort();
    return rc == -ESHUTDOWN ? 0 : rc;
}

bide_async(gives_jobs, (longs *, jobs), (long, n))
{
    for (long i = 0; i < n; i++)
        if (longs_put(jobs, i) < 0)
            abort();
    return longs_shutdown(jobs, BIDE_DRAIN);
}

static void bench_workers(const char *name, size_t capacity)
{
    struct bench bench = {.name = name};
    if (!bench_wanted(name))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        longs *jobs = queue_of(capacity);
        longs *results = queue_of(capacity);
        bide_task *tasks[WORKERS + 1];
        long sum = 0;
        bench_begin(&bench);
        for (int i = 0; i < WORKERS; i++)
            tasks[i] = bide_spawn(works, jobs, results);
        tasks[WORKERS] = bide_spawn(gives_jobs, jobs, ITEMS);
        for (long i = 0; i < ITEMS; i++) {
            long result;
            if (longs_get(results, &result) < 0)
                abort();
            sum += result;
        }
        bide_gather(tasks, WORKERS + 1, NULL);
        bench_end(&bench, ITEMS);
        if (sum != (long)ITEMS * (ITEMS - 1))
            abort();
        longs_free(jobs);
        longs_free(results);
    }
    bench_print(&bench);
}

/* A select between two queues, of which one never has anything. */
static void bench_select(const char *name)
{
    struct bench bench = {.name = name};
    if (!bench_wanted(name))
        return;
    longs *to = queue_of(1);
    longs *fro = queue_of(1);
    longs *never = queue_of(1);
    for (int round = 0; round < ROUNDS; round++) {
        bide_task *task = bide_spawn(answers, to, fro, TRIPS);
        bide_sleep(0);
        bench_begin(&bench);
        for (long i = 0; i < TRIPS; i++) {
            long item;
            if (longs_put(to, i) < 0)
                abort();
            struct bide_case cases[] = {bide_case_get(longs_untyped(never), &item),
                                        bide_case_get(longs_untyped(fro), &item)};
            if (bide_select(cases, 2) != 1)
                abort();
        }
        bench_end(&bench, TRIPS);
        bide_await(task);
    }
    longs_free(to);
    longs_free(fro);
    longs_free(never);
    bench_print(&bench);
}

bide_async(amain)
{
    bench_ping_pong("queue/round-trip", 1);
    bench_ping_pong("queue/rendezvous", 0);
    bench_one_way("queue/one-way/1", 1);
    bench_one_way("queue/one-way/100", 100);
    bench_workers("queue/workers/1", 1);
    bench_workers("queue/workers/100", 100);
    bench_select("queue/select");
    return 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    bench_options(argv);
    return bide_run(amain);
}
