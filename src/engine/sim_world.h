/*
 * The simulated engine as its files share it. sim.h tells what it promises.
 *
 * Invariants
 *  - All chance comes from `chance`, which only the seed determines, and is drawn in the order of
 *    the simulation's own steps.
 *  - Everything that is going to happen is an event in `queue`; nothing is under way without one.
 *  - Objects are numbered as they are made; no address of memory influences anything.
 */
#ifndef BIDE_ENGINE_SIM_WORLD_H
#define BIDE_ENGINE_SIM_WORLD_H

#include "base/list.h"
#include "engine/engine.h"
#include "engine/sim.h"
#include "engine/sim_event.h"
#include "engine/watch.h"

#include <stdatomic.h>

struct bide__sim_host;
struct bide__sim_files;

/* The workers of a lane of jobs, of which only the number is simulated. */
struct bide__sim_lane {
    struct bide__list queued; /* no worker is free */
    unsigned n_busy;
    unsigned n_workers;
};

struct bide__sim {
    struct bide_engine base;
    uint64_t seed;
    uint64_t chance;
    uint64_t entropy;
    int64_t now_ns;
    struct bide__sim_queue queue;
    struct bide__sim_shape shape;
    uint64_t trace;
    bool trace_printed;
    unsigned n_objects;
    unsigned n_ports; /* drawn for sockets that did not care */
    struct bide__list socks;
    struct bide__list bound; /* those with names of their own */
    struct bide__list conns;
    struct bide__list datagrams; /* that are on their way */
    struct bide__sim_link *links;
    atomic_bool woken;
    struct bide__watch_set watches;
    struct bide__list signals;
    struct bide__list jobs; /* all that were not released */
    struct bide__sim_lane lanes[BIDE_LANE_COUNT];
    struct bide_job *unrun, **unrun_end; /* those of no lane */
    struct bide__sim_event unrun_event;  /* scheduled while there is one */
    struct bide__sim_host *hosts;
    struct bide__sim_files *files; /* NULL: nobody has asked for one yet */
};

static inline uint64_t bide__sim_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* 0 to `max`. */
static inline int64_t bide__sim_draw(struct bide__sim *sim, int64_t max)
{
    return (int64_t)(bide__sim_random(&sim->chance) % ((uint64_t)max + 1));
}

/* Has it happen after a seeded delay. */
static inline void bide__sim_soon(struct bide__sim *sim, struct bide__sim_event *event,
                                  int64_t delay_ns_max)
{
    bide__sim_event_add(&sim->queue, event, sim->now_ns + bide__sim_draw(sim, delay_ns_max));
}

/* Takes down what happened. */
void bide__sim_note(struct bide__sim *sim, const char *what, unsigned object, long long result);

void bide__sim_jobs_init(struct bide__sim *sim, const struct bide_engine_opts *opts);
void bide__sim_jobs_drop(struct bide__sim *sim);
/* In a child after fork: they are the parent's. */
void bide__sim_jobs_forget(struct bide__sim *sim);
int bide__sim_job_submit(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane);
void bide__sim_job_abandon(struct bide_engine *engine, struct bide_job *job);

/* As bide__pool_recall(). */
bool bide__sim_job_recall(struct bide__sim *sim, struct bide_job *job);

int bide__sim_file_try(struct bide_engine *engine, struct bide_file_call *call);
int bide__sim_file_start(struct bide_engine *engine, struct bide_file_call *call);
void bide__sim_file_abandon(struct bide_engine *engine, struct bide_file_call *call);
bool bide__sim_file_recall(struct bide_engine *engine, struct bide_file_call *call);
void bide__sim_file_let_go(struct bide_engine *engine, int fd);
void bide__sim_files_free(struct bide__sim *sim);

int bide__sim_lookup(struct bide_engine *engine, struct bide_lookup *lookup);
/* Gives the answer. */
void bide__sim_look_up(struct bide__sim *sim, struct bide_lookup *lookup);
void bide__sim_lookup_free(struct bide_engine *engine, struct addrinfo *list);
void bide__sim_hosts_free(struct bide__sim *sim);

#endif
