/*
 * What callbacks at a time cost while a million are pending: set, cancelled at random, and expired
 * all at once by a loop that was held up. The timers' own share of it is in timer.c.
 *
 *     call_later [--json] [PREFIX...]
 */
#include "bench.h"

#include <bide.h>

enum { PENDING = 1000000, PAIRS = 200000, ROUNDS = 9 };

static bide_handle *handles[PENDING];
static long n_expired;

static uint64_t random_below(uint64_t n)
{
    static uint64_t state = 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static int expired(void *data)
{
    (void)data;
    if (++n_expired == PENDING)
        bide_loop_stop(bide_loop_current());
    return 0;
}

static void shuffle(void)
{
    for (size_t i = PENDING - 1; i > 0; i--) {
        size_t other = random_below(i + 1);
        bide_handle *handle = handles[i];
        handles[i] = handles[other];
        handles[other] = handle;
    }
}

static void insert(bide_loop *loop, const char *name, double after_seconds)
{
    int64_t begun_ns = bench_cpu_ns();
    for (int i = 0; i < PENDING; i++) {
        double seconds = after_seconds + 0.001 + (double)random_below(1000000) / 1e6;
        if (bide_loop_call_later(loop, seconds, expired, NULL, NULL, &handles[i]) < 0)
            abort();
    }
    if (name)
        bench_value(name, (double)(bench_cpu_ns() - begun_ns) / PENDING, "ns");
}

static void bench_million(bide_loop *loop)
{
    memset(handles, 1, sizeof handles); /* the first touch is not theirs */
    insert(loop, "timers/insert", 60);
    shuffle();
    int64_t begun_ns = bench_cpu_ns();
    for (int i = 0; i < PENDING; i++) {
        bide_handle_cancel(handles[i]);
        bide_handle_free(handles[i]);
    }
    bench_value("timers/cancel", (double)(bench_cpu_ns() - begun_ns) / PENDING, "ns");

    insert(loop, NULL, 0);
    struct timespec until_all_are_due = {.tv_sec = 1, .tv_nsec = 100000000};
    nanosleep(&until_all_are_due, NULL);
    begun_ns = bench_cpu_ns();
    bide_loop_run_forever(loop);
    bench_value("timers/expire", (double)(bench_cpu_ns() - begun_ns) / PENDING, "ns");
    for (int i = 0; i < PENDING; i++)
        bide_handle_free(handles[i]);
}

static void bench_pairs(bide_loop *loop)
{
    struct bench bench = {.name = "timers/set+cancel"};
    for (int round = 0; round < ROUNDS; round++) {
        bench_begin(&bench);
        for (int i = 0; i < PAIRS; i++) {
            bide_handle *handle;
            bide_loop_call_later(loop, 5 + (i & 1023), expired, NULL, NULL, &handle);
            bide_handle_cancel(handle);
            bide_handle_free(handle);
        }
        bench_end(&bench, PAIRS);
    }
    bench_print(&bench);
}

int main(int argc, char **argv)
{
    (void)argc;
    bide_loop *loop;
    bench_options(argv);
    if (bide_loop_new(NULL, &loop) < 0)
        return 1;
    if (bench_wanted("timers/set+cancel"))
        bench_pairs(loop);
    if (bench_wanted("timers"))
        bench_million(loop);
    bide_loop_close(loop);
    return 0;
}
