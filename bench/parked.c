/*
 * What a parked task costs in memory: many sleeping tasks at once, each on a guarded stack of its
 * own.
 *
 *     parked [N]      N tasks, 1,000,000 unless told
 */
#include "bench.h"

#include <bide.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A figure of /proc/self/status in KiB. */
static long status_kib(const char *name)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name), NULL, 10);
    if (status)
        fclose(status);
    return kib;
}

bide_async(sleeper)
{
    return bide_sleep(INFINITY);
}

bide_async(amain, (size_t, n))
{
    bide_task **tasks = malloc(n * sizeof *tasks);
    if (!tasks)
        return -1;
    memset(tasks, 0, n * sizeof *tasks);
    long rss = status_kib("VmRSS:");
    long tables = status_kib("VmPTE:");
    int64_t begun_ns = bench_cpu_ns();
    for (size_t i = 0; i < n; i++) {
        tasks[i] = bide_spawn(sleeper);
        if (!tasks[i]) {
            fprintf(stderr, "no more than %zu tasks\n", i);
            return -1;
        }
    }
    bide_sleep(0);
    bide_sleep(0);
    double spawned = (double)(bench_cpu_ns() - begun_ns) / (double)n;
    double bytes = 1024.0 * (double)(status_kib("VmRSS:") - rss) / (double)n;
    double table_bytes = 1024.0 * (double)(status_kib("VmPTE:") - tables) / (double)n;
    printf("%zu tasks parked: %.0f bytes each, and %.0f of page tables; made in %.0f ns each\n", n,
           bytes, table_bytes, spawned);
    begun_ns = bench_cpu_ns();
    bide_cancel_join(tasks, n);
    printf("cancelled and joined in %.0f ns each\n",
           (double)(bench_cpu_ns() - begun_ns) / (double)n);
    free(tasks);
    return 0;
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 1000000;
    return bide_run(amain, n);
}
