/* What tasks cost: a switch through the ready queue, spawn and await, a timer set and cancelled. */
#include "bench.h"

#include <bide.h>

enum { ROUNDS = 15, SWITCHES = 400000, SPAWNS = 100000, TIMERS = 200000, MANY = 1000 };

bide_async(turns, (long, n))
{
    for (long i = 0; i < n; i++)
        bide_sleep(0);
    return 0;
}

bide_async(nothing)
{
    return 1;
}

static void bench_switches(const char *name, int n_tasks)
{
    static bide_task *tasks[10000];
    struct bench bench = {.name = name};
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < n_tasks; i++)
            tasks[i] = bide_spawn(turns, SWITCHES / n_tasks);
        bide_sleep(0);
        bench_begin(&bench);
        bide_gather(tasks, (size_t)n_tasks, NULL);
        bench_end(&bench, SWITCHES);
    }
    bench_print(&bench);
}

static void bench_spawn_one(void)
{
    struct bench bench = {.name = "spawn + await, one at a time"};
    for (int round = 0; round < ROUNDS; round++) {
        bench_begin(&bench);
        for (int i = 0; i < SPAWNS; i++)
            bide_await(bide_spawn(nothing));
        bench_end(&bench, SPAWNS);
    }
    bench_print(&bench);
}

static void bench_spawn_many(void)
{
    struct bench bench = {.name = "spawn + await, 1,000 at a time"};
    bide_task *tasks[MANY];
    for (int round = 0; round < ROUNDS; round++) {
        bench_begin(&bench);
        for (int n = 0; n < SPAWNS; n += MANY) {
            for (int i = 0; i < MANY; i++)
                tasks[i] = bide_spawn(nothing);
            for (int i = 0; i < MANY; i++)
                bide_await(tasks[i]);
        }
        bench_end(&bench, SPAWNS);
    }
    bench_print(&bench);
}

static int nobody(void *data)
{
    (void)data;
    return 0;
}

static void bench_timers(void)
{
    struct bench bench = {.name = "timer set + cancelled (call_later)"};
    bide_loop *loop = bide_loop_current();
    for (int round = 0; round < ROUNDS; round++) {
        bench_begin(&bench);
        for (int i = 0; i < TIMERS; i++) {
            bide_handle *handle;
            bide_loop_call_later(loop, 5 + (i & 1023), nobody, NULL, NULL, &handle);
            bide_handle_cancel(handle);
            bide_handle_free(handle);
        }
        bench_end(&bench, TIMERS);
    }
    bench_print(&bench);
}

static void bench_within(void)
{
    struct bench bench = {.name = "time limit begun + ended (bide_within)"};
    for (int round = 0; round < ROUNDS; round++) {
        bench_begin(&bench);
        for (int i = 0; i < TIMERS; i++)
            (void)bide_within(5, nothing());
        bench_end(&bench, TIMERS);
    }
    bench_print(&bench);
}

bide_async(amain)
{
    bench_switches("switch through the ready queue, 2 tasks", 2);
    bench_switches("switch through the ready queue, 100", 100);
    bench_switches("switch through the ready queue, 10,000", 10000);
    bench_spawn_one();
    bench_spawn_many();
    bench_timers();
    bench_within();
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
