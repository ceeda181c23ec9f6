/*
 * Times as a histogram: 64 ranges for each doubling, so that a percentile is exact to 1.6 % however
 * many times there are, and adding one costs no more than finding its highest bit.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

enum { LATENCY_BITS = 6, LATENCY_STEPS = 1 << LATENCY_BITS, LATENCY_RANGES = 64 * LATENCY_STEPS };

struct latency {
    uint64_t n;
    uint64_t counts[LATENCY_RANGES];
};

/* Up to LATENCY_STEPS each value has its own range; from there on 64 share a doubling. */
static inline void latency_add(struct latency *latency, int64_t ns)
{
    uint64_t value = ns < 0 ? 0 : (uint64_t)ns;
    unsigned range = (unsigned)value;
    if (value >= LATENCY_STEPS) {
        unsigned shift = 63 - (unsigned)__builtin_clzll(value) - LATENCY_BITS;
        range = (shift + 1) * LATENCY_STEPS + (unsigned)(value >> shift) - LATENCY_STEPS;
    }
    latency->counts[range]++;
    latency->n++;
}

/* Nanoseconds that this part of all (0 to 1) stays below or at; the middle of a range. */
static inline double latency_percentile(const struct latency *latency, double part)
{
    double wanted = part * (double)latency->n;
    uint64_t seen = 0;
    for (unsigned range = 0; range < LATENCY_RANGES; range++) {
        seen += latency->counts[range];
        if (latency->counts[range] == 0 || (double)seen < wanted)
            continue;
        if (range < LATENCY_STEPS)
            return range;
        unsigned shift = range / LATENCY_STEPS - 1;
        double width = (double)(UINT64_C(1) << shift);
        return (LATENCY_STEPS + range % LATENCY_STEPS) * width + (width - 1) / 2;
    }
    return 0;
}

#endif
