/*
 * What the parts of the load generator share: options, a connected socket, clocks, and the stretch
 * of time over which everything is taken.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "latency.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum load_mode { LOAD_ECHO, LOAD_LINE, LOAD_HTTP, LOAD_CONNECT, LOAD_IDLE, LOAD_MODES };

struct load_options {
    enum load_mode mode;
    int port;
    int server; /* its process */
    int n_connections;
    size_t size;
    unsigned n_at_once;
    double per_second; /* 0: as many as it takes */
    double seconds;
};

/* What the clocks say; what they have moved on once it is closed. */
struct load_window {
    int64_t elapsed_ns;
    int64_t server_ns; /* of processor time */
    int64_t client_ns;
};

/* Ends the program with errno's words, or with the words alone. */
void require(bool condition, const char *what);
void fail_unless(bool condition, const char *what);

void load_parse(struct load_options *options, int argc, char **argv);

int64_t clock_ns(clockid_t clock);

/* A socket to the server, connected, or connecting if SOCK_NONBLOCK is in `flags`; from one of
 * several addresses, so that ports do not run out. */
int load_connect(const struct load_options *options, int number, int flags);

void window_open(struct load_window *window, const struct load_options *options);
void window_close(struct load_window *window, const struct load_options *options);
void window_print(const struct load_window *window, uint64_t n_requests,
                  const struct latency *latency);

/* Of the process, in memory. */
double resident_bytes(int process);

/* The whole of `load connect`: load_connections.c. */
void load_connections(const struct load_options *options);

#endif
