/*
 * Measuring inside one process: processor time of the calling thread, several rounds, the median
 * and the best. Other programs on the machine lengthen the wall clock more than this; differences
 * under a tenth mean nothing all the same.
 *
 * A program that bench/run.py compares begins with bench_options(): with --json it prints an object
 * per workload instead of words, and further arguments are how the wanted workloads' names begin.
 */
#ifndef BIDE_BENCH_BENCH_H
#define BIDE_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BENCH_ROUNDS_MAX = 99 };

struct bench {
    const char *name;
    double ns[BENCH_ROUNDS_MAX]; /* per operation */
    int n_rounds;
    int64_t begun_ns;
};

struct bench_options {
    bool json;
    char **prefixes; /* ends with NULL */
};

static inline struct bench_options *bench_chosen(void)
{
    static struct bench_options options;
    return &options;
}

static inline void bench_options(char **argv)
{
    struct bench_options *options = bench_chosen();
    argv += argv[0] != NULL;
    if (argv[0] && strcmp(argv[0], "--json") == 0) {
        options->json = true;
        argv++;
    }
    options->prefixes = argv;
}

static inline bool bench_wanted(const char *name)
{
    char **prefixes = bench_chosen()->prefixes;
    if (!prefixes || !*prefixes)
        return true;
    for (; *prefixes; prefixes++)
        if (strncmp(name, *prefixes, strlen(*prefixes)) == 0)
            return true;
    return false;
}

static inline int64_t bench_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline void bench_begin(struct bench *bench)
{
    bench->begun_ns = bench_cpu_ns();
}

/* Ends a round of `n` operations. */
static inline void bench_end(struct bench *bench, double n)
{
    double ns = (double)(bench_cpu_ns() - bench->begun_ns) / n;
    if (bench->n_rounds < BENCH_ROUNDS_MAX)
        bench->ns[bench->n_rounds++] = ns;
}

static inline int bench_compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static inline double bench_median(struct bench *bench)
{
    qsort(bench->ns, (size_t)bench->n_rounds, sizeof *bench->ns, bench_compare);
    return bench->ns[bench->n_rounds / 2];
}

static inline void bench_value(const char *name, double value, const char *unit)
{
    if (bench_chosen()->json)
        printf("{\"workload\": \"%s\", \"value\": %.2f, \"unit\": \"%s\"}\n", name, value, unit);
    else
        printf("%-40s %8.1f %s\n", name, value, unit);
    fflush(stdout);
}

static inline void bench_print(struct bench *bench)
{
    double median = bench_median(bench);
    if (bench_chosen()->json)
        bench_value(bench->name, median, "ns");
    else
        printf("%-40s median %8.1f ns  best %8.1f ns  (%d rounds)\n", bench->name, median,
               bench->ns[0], bench->n_rounds);
}

#endif
