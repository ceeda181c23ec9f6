/*
 * The run of a load test: connections that ask, each in its task, until there was enough.
 *
 * Invariants
 *  - Every request that was sent is counted once: as an answer, or as an error of one kind.
 *  - With a rate, the time of an answer counts from the moment at which its request was due: a
 * server that stalls delays requests, and they must not look fast because they were sent late.
 */
#ifndef BIDE_CLI_LOAD_RUN_H
#define BIDE_CLI_LOAD_RUN_H

#include "load_stats.h"

#include <bide.h>

enum load_error {
    LOAD_CONNECT, /* no connection */
    LOAD_TIMEOUT,
    LOAD_BROKEN,   /* the connection ended before the answer did */
    LOAD_PROTOCOL, /* what came is no HTTP/1 */
    LOAD_OTHER,
    LOAD_ERRORS,
};

enum { LOAD_STATUSES = 600 };

struct load_run {
    /* What is wanted */
    const char *host;
    unsigned port;
    bool is_tls;
    struct bide_tls_context *tls;
    const char *request; /* head and body */
    size_t request_size;
    bool is_head;
    uint64_t n_max;  /* requests; UINT64_MAX: no limit */
    double duration; /* seconds; INFINITY: no limit */
    double rate;     /* requests per second; 0: as fast as the answers come */
    unsigned n_connections;
    unsigned pipeline; /* requests that are under way on one connection */
    double timeout;
    bool is_kept_alive;

    /* What came of it */
    double begin, end; /* of bide_time() */
    uint64_t n_begun;
    uint64_t n_answers;
    uint64_t n_bytes;
    uint64_t n_connects;
    uint64_t errors[LOAD_ERRORS];
    uint64_t statuses[LOAD_STATUSES];
    char detail[192]; /* the first error in words */
    struct load_stats stats;
};

/* Returns 0 when all is done or the time is up. Suspends; when cancelled, what was measured stays.
 */
int load_run(struct load_run *run);

/* How far it is: 0 to 1. */
double load_progress(const struct load_run *run);
uint64_t load_n_errors(const struct load_run *run);

#endif
