/*
 * Child processes per second, beside posix_spawn() and waitpid(), which block the thread. By the
 * wall clock, because most of it is the kernel's and the child's; rounds take turns, so that what
 * else the machine does hits both alike.
 */
#include "bench.h"

#include <bide.h>

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

enum { ROUNDS = 15, SPAWNS = 100, AT_ONCE = 10 };

static const char program[] = "/bin/true";

static int64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void keep(struct bench *bench, int64_t begun_ns)
{
    bench->ns[bench->n_rounds++] = (double)(wall_ns() - begun_ns) / SPAWNS;
}

static void raw(struct bench *bench, int at_once)
{
    pid_t pids[AT_ONCE];
    char *arguments[] = {(char *)(uintptr_t)program, NULL};
    int64_t begun_ns = wall_ns();
    for (int n = 0; n < SPAWNS; n += at_once) {
        for (int i = 0; i < at_once; i++)
            if (posix_spawn(&pids[i], program, NULL, NULL, arguments, environ) != 0)
                abort();
        for (int i = 0; i < at_once; i++)
            waitpid(pids[i], NULL, 0);
    }
    keep(bench, begun_ns);
}

static void ours(struct bench *bench, int at_once)
{
    bide_process *processes[AT_ONCE];
    int64_t begun_ns = wall_ns();
    for (int n = 0; n < SPAWNS; n += at_once) {
        for (int i = 0; i < at_once; i++)
            if (bide_process_exec(bide_argv(program), NULL, &processes[i]) < 0)
                abort();
        for (int i = 0; i < at_once; i++)
            if (bide_process_wait(processes[i], NULL) < 0 || bide_process_close(processes[i]) < 0)
                abort();
    }
    keep(bench, begun_ns);
}

static void compare(int at_once)
{
    struct bench of_raw = {.name = "posix_spawn"};
    struct bench of_ours = {.name = "bide_process_exec"};
    for (int round = 0; round < ROUNDS; round++) {
        raw(&of_raw, at_once);
        ours(&of_ours, at_once);
    }
    double raw_ns = bench_median(&of_raw);
    double our_ns = bench_median(&of_ours);
    printf("%2d at a time: posix_spawn %6.0f a second, bide %6.0f a second, %.2f of it\n", at_once,
           1e9 / raw_ns, 1e9 / our_ns, raw_ns / our_ns);
}

bide_async(amain)
{
    compare(1);
    compare(AT_ONCE);
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
