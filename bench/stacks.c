/*
 * What stacks cost: a cached one taken and put back, a new one taken and touched, memory given
 * back, and what a million of them hold while parked. Figures of memory are the kernel's, from
 * /proc/self/status.
 */
#include "bench.h"
#include "fiber/stack.h"

#include <string.h>

enum { ROUNDS = 9, PAIRS = 1000000, NEW = 20000, MANY = 1000000 };

static struct bide__stack *stacks;

static struct bide__stack_pool *new_pool(void)
{
    struct bide__stack_pool *pool;
    if (bide__stack_pool_new(0, &pool) < 0)
        abort();
    return pool;
}

static void take(struct bide__stack_pool *pool, int i)
{
    if (bide__stack_get(pool, 0, &stacks[i]) < 0) {
        printf("no stack after %d\n", i);
        exit(1);
    }
}

static long status_kib(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    if (!file)
        abort();
    char line[256];
    long kib = 0;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, name, strlen(name)) == 0)
            kib = atol(line + strlen(name));
    }
    fclose(file);
    return kib;
}

static long mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    if (!file)
        abort();
    long lines = 0;
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static void bench_cached(int burst)
{
    struct bide__stack_pool *pool = new_pool();
    char name[64];
    snprintf(name, sizeof(name), "get + put, cached, %d at a time", burst);
    struct bench bench = {.name = name};
    for (int round = 0; round <= ROUNDS; round++) {
        bench_begin(&bench);
        for (int n = 0; n < PAIRS; n += burst) {
            for (int i = 0; i < burst; i++)
                take(pool, i);
            for (int i = 0; i < burst; i++)
                bide__stack_put(pool, stacks[i]);
        }
        if (round > 0) /* the first one is not from the cache */
            bench_end(&bench, PAIRS);
    }
    bench_print(&bench);
    bide__stack_pool_free(pool);
}

static void bench_new(void)
{
    struct bench getting = {.name = "get, never used"};
    struct bench touching = {.name = "its first touch"};
    struct bench putting = {.name = "put, not in the processor's caches"};
    struct bench trimming = {.name = "trim"};
    for (int round = 0; round < ROUNDS; round++) {
        struct bide__stack_pool *pool = new_pool();
        bench_begin(&getting);
        for (int i = 0; i < NEW; i++)
            take(pool, i);
        bench_end(&getting, NEW);
        bench_begin(&touching);
        for (int i = 0; i < NEW; i++)
            stacks[i].top[-1] = 1;
        bench_end(&touching, NEW);
        bench_begin(&putting);
        for (int i = 0; i < NEW; i++)
            bide__stack_put(pool, stacks[i]);
        bench_end(&putting, NEW);
        bench_begin(&trimming);
        bide__stack_pool_trim(pool, 0);
        bench_end(&trimming, NEW);
        bide__stack_pool_free(pool);
    }
    bench_print(&getting);
    bench_print(&touching);
    bench_print(&putting);
    bench_print(&trimming);
}

static void bench_million(void)
{
    struct bide__stack_pool *pool = new_pool();
    memset(stacks, 0, MANY * sizeof(*stacks));
    double rss = (double)status_kib("VmRSS:");
    double tables = (double)status_kib("VmPTE:");
    int64_t begun = bench_cpu_ns();
    for (int i = 0; i < MANY; i++) {
        take(pool, i);
        stacks[i].top[-1] = 1;
    }
    double seconds = (double)(bench_cpu_ns() - begun) / 1e9;
    rss = ((double)status_kib("VmRSS:") - rss) * 1024 / MANY;
    tables = ((double)status_kib("VmPTE:") - tables) * 1024 / MANY;
    printf("%d held: %.1f bytes each (%.1f resident, %.1f page tables), %ld mappings, %.2f s\n",
           MANY, rss + tables, rss, tables, mappings(), seconds);
    for (int i = 0; i < MANY; i++)
        bide__stack_put(pool, stacks[i]);
    begun = bench_cpu_ns();
    bide__stack_pool_trim(pool, 1000);
    seconds = (double)(bench_cpu_ns() - begun) / 1e9;
    printf("trimmed to %zu in %.2f s: %ld KiB resident\n", bide__stack_pool_cached(pool), seconds,
           status_kib("VmRSS:"));
    bide__stack_pool_free(pool);
}

int main(void)
{
    stacks = calloc(MANY, sizeof(*stacks));
    if (!stacks)
        abort();
    bench_cached(1);
    bench_cached(100);
    bench_new();
    bench_million();
    free(stacks);
    return 0;
}
