/*
 * How long things took, as a histogram: a count for each of many ranges, narrow where times are
 * short, so that percentiles are exact to 1.6 % and a billion of them cost no memory.
 */
#ifndef BIDE_CLI_LOAD_STATS_H
#define BIDE_CLI_LOAD_STATS_H

#include <stddef.h>
#include <stdint.h>

enum { LOAD_STEPS = 64, LOAD_DOUBLINGS = 40, LOAD_RANGES = LOAD_STEPS * LOAD_DOUBLINGS };

struct load_stats {
    uint64_t n;
    uint64_t counts[LOAD_RANGES];
    double sum, sum_of_squares; /* seconds */
    double min, max;
};

void load_stats_add(struct load_stats *stats, double seconds);

/* The time that this part of all (0 to 1) stays within; 0 if there are none. */
double load_stats_percentile(const struct load_stats *stats, double part);

double load_stats_mean(const struct load_stats *stats);
double load_stats_deviation(const struct load_stats *stats);

/* How many took longer than `from` and not longer than `to` seconds, to the nearest range. */
uint64_t load_stats_between(const struct load_stats *stats, double from, double to);

#endif
