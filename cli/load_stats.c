/* Histograms of times; see load_stats.h. */
#include "load_stats.h"

#include <math.h>

#define NS_PER_S 1e9

/* Times below 64 ns have a range each; above, each doubling has 64. */
static size_t range_of(uint64_t ns)
{
    if (ns < LOAD_STEPS)
        return (size_t)ns;
    unsigned doubling = 63 - (unsigned)__builtin_clzll(ns) - 5; /* 64 = 2^6 is the first */
    size_t range = doubling * LOAD_STEPS + (size_t)(ns >> (doubling - 1)) % LOAD_STEPS;
    return range < LOAD_RANGES ? range : LOAD_RANGES - 1;
}

/* Where the range ends, in seconds. */
static double range_end(size_t range)
{
    if (range < LOAD_STEPS)
        return (double)(range + 1) / NS_PER_S;
    unsigned doubling = (unsigned)(range / LOAD_STEPS);
    return ldexp((double)(LOAD_STEPS + range % LOAD_STEPS + 1), (int)doubling - 1) / NS_PER_S;
}

static uint64_t to_ns(double seconds)
{
    double ns = seconds * NS_PER_S;
    return ns <= 0 ? 0 : ns < 1e18 ? (uint64_t)ns : (uint64_t)1e18;
}

void load_stats_add(struct load_stats *stats, double seconds)
{
    if (stats->n == 0 || seconds < stats->min)
        stats->min = seconds;
    if (stats->n == 0 || seconds > stats->max)
        stats->max = seconds;
    stats->n++;
    stats->sum += seconds;
    stats->sum_of_squares += seconds * seconds;
    stats->counts[range_of(to_ns(seconds))]++;
}

double load_stats_percentile(const struct load_stats *stats, double part)
{
    uint64_t wanted = (uint64_t)ceil(part * (double)stats->n), seen = 0;
    if (stats->n == 0)
        return 0;
    for (size_t i = 0; i < LOAD_RANGES; i++) {
        seen += stats->counts[i];
        if (seen >= wanted && seen > 0)
            return range_end(i) < stats->max ? range_end(i) : stats->max;
    }
    return stats->max;
}

double load_stats_mean(const struct load_stats *stats)
{
    return stats->n > 0 ? stats->sum / (double)stats->n : 0;
}

double load_stats_deviation(const struct load_stats *stats)
{
    double mean = load_stats_mean(stats);
    double variance = stats->n > 0 ? stats->sum_of_squares / (double)stats->n - mean * mean : 0;
    return variance > 0 ? sqrt(variance) : 0;
}

uint64_t load_stats_between(const struct load_stats *stats, double from, double to)
{
    uint64_t n = 0;
    for (size_t i = 0; i < LOAD_RANGES; i++)
        if (range_end(i) > from && range_end(i) <= to)
            n += stats->counts[i];
    return n;
}
