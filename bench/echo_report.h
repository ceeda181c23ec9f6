/* What bide's echo servers for bench/echo.py share: their options, and the report of the raw loops.
 */
#ifndef BIDE_BENCH_ECHO_REPORT_H
#define BIDE_BENCH_ECHO_REPORT_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static double n_bytes;

static inline void say_port(unsigned port)
{
    printf("listening on %u\n", port);
    fflush(stdout);
}

static inline void report(double message_bytes)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double user_s = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
    double cpu_s = user_s + (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    double n = n_bytes / message_bytes;
    printf("requests %.0f cpu_s %.3f user_s %.3f requests_per_cpu_s %.0f\n", n, cpu_s, user_s,
           cpu_s > 0 ? n / cpu_s : 0);
}

/* -k cpu: runs there. Returns the value of -s, the size of a message; 0: other options. */
static inline double echo_options(int argc, char **argv)
{
    double message_bytes = 64;
    for (int option; (option = getopt(argc, argv, "k:s:")) != -1;) {
        cpu_set_t set;
        CPU_ZERO(&set);
        if (option == 'k') {
            CPU_SET((size_t)atoi(optarg), &set);
            sched_setaffinity(0, sizeof set, &set);
        } else if (option == 's') {
            message_bytes = atof(optarg);
        } else {
            return 0;
        }
    }
    return message_bytes;
}

#endif
