/*
 * One check of `bide status`: asks a web server for one URL and follows where it sends us.
 *
 * Invariant: a probe's connection is closed when probe_run() returns, and `hops` tells how far it
 * came, also when it failed.
 */
#ifndef BIDE_CLI_STATUS_PROBE_H
#define BIDE_CLI_STATUS_PROBE_H

#include <bide.h>

enum { PROBE_HOPS_MAX = 21, PROBE_URL_SIZE = 2048 };

/* What one server answered. */
struct probe_hop {
    char url[PROBE_URL_SIZE];
    int status; /* 0: none came */
    char reason[64];
    double seconds; /* from the beginning of connecting to the end of the answer's head */
};

struct probe_opts {
    double seconds;               /* the time limit of the whole check */
    int redirects_max;            /* how many are followed; below PROBE_HOPS_MAX */
    bool is_head;                 /* asks with HEAD, not GET */
    struct bide_tls_context *tls; /* NULL: the system's trust store */
};

struct probe {
    const struct probe_opts *opts;
    const char *target; /* as the user wrote it */
    struct probe_hop hops[PROBE_HOPS_MAX];
    int n_hops;
    int error; /* why there is no last status; negative */
    char detail[192];
};

/* Checks `probe->target`; what came of it stands in the probe. Returns 0, or -ECANCELED when its
 * task was cancelled. Suspends. */
int probe_run(struct probe *probe);

/* The status that the check ended with, or 0. */
int probe_status(const struct probe *probe);

#endif
