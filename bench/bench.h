/*
 * Measuring inside one process: processor time of the calling thread, several rounds, the median
 * and the best. Other programs on the machine lengthen the wall clock more than this; differences
 * under a tenth mean nothing all the same.
 */
#ifndef BIDE_BENCH_BENCH_H
#define BIDE_BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BENCH_ROUNDS_MAX = 99 };

struct bench {
    const char *name;
    double ns[BENCH_ROUNDS_MAX]; /* per operation */
    int n_rounds;
    int64_t begun_ns;
};

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

static inline void bench_print(struct bench *bench)
{
    double median = bench_median(bench);
    printf("%-40s median %8.1f ns  best %8.1f ns  (%d rounds)\n", bench->name, median, bench->ns[0],
           bench->n_rounds);
}

#endif
