/*
 * What tasks cost: a switch through the ready queue, spawn and await, a time limit.
 *
 *     tasks [--json] [PREFIX...]
 */
#include "bench.h"

#include <bide.h>

enum { ROUNDS = 9, SWITCHES = 400000, SPAWNS = 100000, LIMITS = 200000, MANY = 1000 };

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
    if (!bench_wanted(name))
        return;
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

static void bench_spawns(const char *name, int at_a_time)
{
    struct bench bench = {.name = name};
    bide_task *tasks[MANY];
    if (!bench_wanted(name))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        bench_begin(&bench);
        for (int n = 0; n < SPAWNS; n += at_a_time) {
            for (int i = 0; i < at_a_time; i++)
                tasks[i] = bide_spawn(nothing);
            for (int i = 0; i < at_a_time; i++)
                bide_await(tasks[i]);
        }
        bench_end(&bench, SPAWNS);
    }
    bench_print(&bench);
}

static void bench_within(const char *name)
{
    struct bench bench = {.name = name};
    if (!bench_wanted(name))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        bench_begin(&bench);
        for (int i = 0; i < LIMITS; i++)
            (void)bide_within(5, nothing());
        bench_end(&bench, LIMITS);
    }
    bench_print(&bench);
}

bide_async(amain)
{
    bench_switches("switch/2", 2);
    bench_switches("switch/100", 100);
    bench_switches("switch/1000", 1000);
    bench_switches("switch/10000", 10000);
    bench_spawns("spawn/1", 1);
    bench_spawns("spawn/1000", MANY);
    bench_within("within");
    return 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    bench_options(argv);
    return bide_run(amain);
}
