/*
 * What queues cost: an item to and fro between two tasks, an item from one to the other, and many
 * items through many workers. The same as bench/channels.go does with channels; queue.py runs both
 * side by side.
 *
 * Arguments: a number of rounds, and the numbers alone are printed, for queue.py.
 */
#include "bench.h"

#include <bide.h>

#include <errno.h>

enum { ROUNDS = 9, TRIPS = 500000, ITEMS = 1000000, WORKERS = 100 };

BIDE_QUEUE_DEFINE(longs, long);

static int n_rounds = ROUNDS;
static bool plain;

static void show(struct bench *bench)
{
    if (plain)
        printf("%s\t%.2f\n", bench->name, bench_median(bench));
    else
        bench_print(bench);
}

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
    longs *to = queue_of(capacity);
    longs *fro = queue_of(capacity);
    for (int round = 0; round < n_rounds; round++) {
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
    show(&bench);
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
    longs *queue = queue_of(capacity);
    for (int round = 0; round < n_rounds; round++) {
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
    show(&bench);
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
    for (int round = 0; round < n_rounds; round++) {
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
    show(&bench);
}

/* A select between two queues, of which one never has anything. */
static void bench_select(const char *name)
{
    struct bench bench = {.name = name};
    longs *to = queue_of(1);
    longs *fro = queue_of(1);
    longs *never = queue_of(1);
    for (int round = 0; round < n_rounds; round++) {
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
    show(&bench);
}

bide_async(amain)
{
    bench_ping_pong("round trip, capacity 1", 1);
    bench_ping_pong("round trip, rendezvous", 0);
    bench_one_way("one way, capacity 1", 1);
    bench_one_way("one way, capacity 100", 100);
    bench_workers("through 100 workers, capacity 1", 1);
    bench_workers("through 100 workers, capacity 100", 100);
    bench_select("round trip, one side selects from 2");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        n_rounds = atoi(argv[1]);
        plain = true;
    }
    if (n_rounds < 1 || n_rounds > BENCH_ROUNDS_MAX)
        return 2;
    return bide_run(amain);
}
