/*
 * The simulated engine as test code controls it. BIDE_ENGINE=sim, or the name "sim", chooses it;
 * nothing else does.
 *
 * What is simulated is one process and all that it talks to: clocks, sockets, jobs, names and
 * signals. Two runs of one program with one seed are the same run, event by event, as long as the
 * program itself takes nothing from outside: other threads, the kernel's clocks, addresses of
 * memory.
 *
 *  - Time stands still while code runs, moves a little with each poll(), and jumps when nothing is
 *    ready: to the next event, or to the deadline of the poll.
 *  - Everything that completes does so after a delay that the seed decides. What is promised to be
 *    in order (bytes of a connection, jobs of one worker) stays in order.
 *  - A poll() without a deadline when nothing is under way returns -EDEADLK, and the engine stays
 *    usable. Other threads and the real signals are outside the simulation: a wake that has come
 *    counts, one that may come does not. Open signals and watches keep nothing alive either.
 *  - Sockets are memory: TCP and UDP over IPv4 and IPv6, and AF_UNIX, streams and datagrams. Every
 * address is this simulation's, but no multicast and no broadcast ones; connections buffer at most
 * 128 KiB each way, whatever the options say. Descriptors that are passed are the kernel's.
 *  - Watched descriptors are the kernel's. They are asked in each poll() whether they are ready,
 * and never waited for.
 *  - Jobs run inline, from poll().
 *  - Files are in memory and of this simulation: at first there are the directories / and /tmp, and
 * names are looked up from /. Calls fail as on a disk without symbolic links or permissions; reads
 * and writes may be short.
 *
 * Everything here is for the loop's thread.
 */
#ifndef BIDE_ENGINE_SIM_H
#define BIDE_ENGINE_SIM_H

#include "engine/engine.h"

struct bide__sim;

/* What happens to UDP datagrams: to how many of a thousand. */
struct bide__sim_mishaps {
    unsigned lost;
    unsigned doubled;
    unsigned late; /* others may overtake them; without, one sender's keep their order */
};

/* Limits of what the seed decides; every value from 0 to the limit is drawn with equal chance. May
 * be changed at any time. */
struct bide__sim_shape {
    int64_t turn_ns_max;      /* how far time moves with a poll() that need not wait */
    int64_t delay_ns_max;     /* from the moment when something could complete */
    int64_t job_ns_max;       /* how long a job or a lookup takes */
    int64_t latency_ns_max;   /* how long bytes are on their way, where no link is set */
    int64_t oversleep_ns_max; /* how late one of four waits ends, so that several deadlines pass in
                                 one turn */
    struct bide__sim_mishaps mishaps; /* where none are set for the link */
};

/* NULL: this engine is another one. */
struct bide__sim *bide__sim_of(struct bide_engine *engine);

uint64_t bide__sim_seed(const struct bide__sim *sim);

/* The hash of all that happened so far: what, to which object, with which result, when. */
uint64_t bide__sim_trace(const struct bide__sim *sim);

struct bide__sim_shape *bide__sim_shape(struct bide__sim *sim);

/* A signal comes. -ESRCH: nobody has it open. */
int bide__sim_signal(struct bide__sim *sim, int signo);

/* Adds an address, in numbers, to those of a name. -EINVAL: it is none. -ENOMEM. */
int bide__sim_host(struct bide__sim *sim, const char *name, const char *address);

/* Lookups of the name fail with this error of getaddrinfo's (EAI_…). -ENOMEM. */
int bide__sim_host_fails(struct bide__sim *sim, const char *name, int error);

/*
 * How long bytes are on their way between two hosts (addresses in numbers), for connections begun
 * from now on; for those that exist it changes if the link was set before. -EINVAL: no addresses,
 * or not 0 <= min <= max. -ENOMEM.
 */
int bide__sim_link(struct bide__sim *sim, const char *host, const char *other,
                   int64_t latency_ns_min, int64_t latency_ns_max);

/* What happens to datagrams between two hosts; their latency is the link's, and bide__sim_link()
 * comes first. -EINVAL: no addresses, no such link, or more than a thousand of a thousand. */
int bide__sim_link_mishaps_set(struct bide__sim *sim, const char *host, const char *other,
                               const struct bide__sim_mishaps *mishaps);
/* So many bytes more can be stored in files; then a write is -ENOSPC. Negative: no limit. -ENOMEM.
 */
int bide__sim_disk(struct bide__sim *sim, int64_t bytes);

/* The n-th call of this kind from now on, counted from 1, fails with this error (a negative errno)
 * and does nothing. -ENOMEM. */
int bide__sim_file_fails(struct bide__sim *sim, enum bide_file_kind kind, unsigned n, int error);

/* Resets every TCP connection of a host, or all for NULL: both sides see it at once. Returns how
 * many there were, or -EINVAL. */
int bide__sim_reset(struct bide__sim *sim, const char *host);

#endif
