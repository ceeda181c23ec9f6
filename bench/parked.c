/*
 * What a parked task costs: many sleeping tasks at once, each on a guarded stack of its own, and
 * then with copied stacks. Memory is what is resident, with the page tables for it; time is the
 * thread's processor time from the first spawn to the last join.
 *
 *     parked [--json] [N]      N tasks, 1,000,000 unless told; from 4,000,000 on copied ones only
 */
#include "bench.h"

#include <bide.h>

#include <math.h>

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

static int park(size_t n, enum bide_stack stack, const char *bytes_name, const char *cpu_name)
{
    struct bide_task_opts opts = {.stack = stack};
    bide_task **tasks = malloc(n * sizeof *tasks);
    if (!tasks)
        return -1;
    memset(tasks, 0, n * sizeof *tasks);
    long rss = status_kib("VmRSS:");
    long tables = status_kib("VmPTE:");
    int64_t begun_ns = bench_cpu_ns();
    for (size_t i = 0; i < n; i++) {
        tasks[i] = bide_spawn_with(&opts, sleeper);
        if (!tasks[i]) {
            fprintf(stderr, "no more than %zu tasks\n", i);
            return -1;
        }
    }
    bide_sleep(0);
    bide_sleep(0);
    double made_s = (double)(bench_cpu_ns() - begun_ns) / 1e9;
    rss = status_kib("VmRSS:") - rss;
    tables = status_kib("VmPTE:") - tables;
    bide_cancel_join(tasks, n);
    double all_s = (double)(bench_cpu_ns() - begun_ns) / 1e9;
    bench_value(bytes_name, 1024.0 * (double)(rss + tables) / (double)n, "B");
    bench_value(cpu_name, all_s, "s");
    if (!bench_chosen()->json)
        printf("%zu tasks: %.0f bytes of page tables each; made in %.0f ns each\n", n,
               1024.0 * (double)tables / (double)n, 1e9 * made_s / (double)n);
    free(tasks);
    return 0;
}

bide_async(amain, (size_t, n))
{
    enum { PRIVATE_MAX = 4000000 };
    int rc = 0;
    if (n < PRIVATE_MAX)
        rc = park(n, BIDE_STACK_PRIVATE, "sleepers/bytes", "sleepers/cpu");
    if (rc == 0)
        rc = park(n, BIDE_STACK_COPIED, "sleepers/copied/bytes", "sleepers/copied/cpu");
    return rc;
}

int main(int argc, char **argv)
{
    (void)argc;
    bench_options(argv);
    char **rest = bench_chosen()->prefixes;
    size_t n = *rest ? (size_t)strtoul(*rest, NULL, 10) : 0;
    return bide_run(amain, n > 0 ? n : 1000000);
}
