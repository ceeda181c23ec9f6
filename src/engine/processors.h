/*
 * How many processors the process may use: what a thread for each of them has to know. It is the
 * process's affair, not an engine's.
 */
#ifndef BIDE_ENGINE_PROCESSORS_H
#define BIDE_ENGINE_PROCESSORS_H

#include <bide/engine.h>

#include <sched.h>

/* Those that the calling thread may run on. Returns how many, at least 1; with more than the set
 * has room for, the set is empty. */
unsigned bide__processors_allowed(cpu_set_t *ret_set);

/*
 * What the control groups leave of `n`: a quota of CPU time, rounded up to whole processors, of the
 * process's group or one above it. At least 1. `list` as /proc/self/cgroup, `root` as
 * /sys/fs/cgroup; what can't be read limits nothing.
 */
BIDE_EXPORT unsigned bide__processors_quota(unsigned n, const char *list, const char *root);

/* The n-th of the set, counted around; the set is not empty. */
BIDE_EXPORT int bide__processors_nth(const cpu_set_t *set, unsigned n);

#endif
