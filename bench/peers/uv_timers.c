/*
 * What bench/call_later.c and parked.c measure, with libuv, which has callbacks and no tasks:
 * timers, and as a sleeper the smallest thing that waits, a timer with its callback. Prints a JSON
 * object per workload.
 *
 *     uv_timers timers | sleepers
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum { PENDING = 1000000, PAIRS = 200000 };

static uv_timer_t *timers;
static uv_timer_t **shuffled;
static long n_expired, n_closed;

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const char *workload, double value, const char *unit)
{
    printf("{\"workload\": \"%s\", \"value\": %.2f, \"unit\": \"%s\"}\n", workload, value, unit);
}

static void report_ns(const char *workload, double begun, int n)
{
    report(workload, (cpu_seconds() - begun) * 1e9 / n, "ns");
}

static uint64_t random_below(uint64_t n)
{
    static uint64_t state = 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static void expired(uv_timer_t *timer)
{
    (void)timer;
    n_expired++;
}

static void closed(uv_handle_t *handle)
{
    (void)handle;
    n_closed++;
}

static void shuffle(void)
{
    for (size_t i = 0; i < PENDING; i++)
        shuffled[i] = &timers[i];
    for (size_t i = PENDING - 1; i > 0; i--) {
        size_t other = random_below(i + 1);
        uv_timer_t *timer = shuffled[i];
        shuffled[i] = shuffled[other];
        shuffled[other] = timer;
    }
}

/* Whole milliseconds are what libuv has. */
static void insert(uint64_t after_ms)
{
    for (int i = 0; i < PENDING; i++)
        uv_timer_start(&timers[i], expired, after_ms + 1 + random_below(1000), 0);
}

static void measure_timers(uv_loop_t *loop)
{
    double begun = cpu_seconds();
    for (int i = 0; i < PAIRS; i++) {
        uv_timer_start(&timers[0], expired, 5000 + ((unsigned)i & 1023), 0);
        uv_timer_stop(&timers[0]);
    }
    report_ns("timers/set+cancel", begun, PAIRS);
    begun = cpu_seconds();
    insert(60000);
    report_ns("timers/insert", begun, PENDING);
    shuffle();
    begun = cpu_seconds();
    for (int i = 0; i < PENDING; i++)
        uv_timer_stop(shuffled[i]);
    report_ns("timers/cancel", begun, PENDING);
    uv_update_time(loop);
    insert(0);
    struct timespec until_all_are_due = {.tv_sec = 1, .tv_nsec = 100000000};
    nanosleep(&until_all_are_due, NULL);
    begun = cpu_seconds();
    while (n_expired < PENDING)
        uv_run(loop, UV_RUN_ONCE);
    report_ns("timers/expire", begun, PENDING);
}

static double status_bytes(void)
{
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmPTE:", 6) == 0)
            kib += strtol(line + 6, NULL, 10);
    if (status)
        fclose(status);
    return 1024.0 * (double)kib;
}

static void measure_sleepers(uv_loop_t *loop)
{
    double before = status_bytes(), begun = cpu_seconds();
    for (int i = 0; i < PENDING; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], expired, 3600000, 0);
    }
    uv_run(loop, UV_RUN_NOWAIT);
    report("sleepers/bytes", (status_bytes() - before) / PENDING, "B");
    for (int i = 0; i < PENDING; i++)
        uv_close((uv_handle_t *)&timers[i], closed);
    while (n_closed < PENDING)
        uv_run(loop, UV_RUN_NOWAIT);
    report("sleepers/cpu", cpu_seconds() - begun, "s");
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    timers = calloc(PENDING, sizeof *timers);
    shuffled = calloc(PENDING, sizeof(uv_timer_t *));
    if (!timers || !shuffled || argc != 2)
        return 2;
    if (strcmp(argv[1], "sleepers") == 0) {
        measure_sleepers(loop);
    } else {
        for (int i = 0; i < PENDING; i++)
            uv_timer_init(loop, &timers[i]);
        memset(shuffled, 1, PENDING * sizeof(uv_timer_t *)); /* the first touch is not libuv's */
        measure_timers(loop);
    }
    free(timers);
    free(shuffled);
    return 0;
}
