/*
 * What tests that run on the kernel's engines and on the simulated one must know about the
 * difference: signals come from whoever the outside world is, and some cases are about the kernel
 * itself.
 */
#ifndef BIDE_TEST_SIM_RIG_H
#define BIDE_TEST_SIM_RIG_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sim.h"
#include "runtime/loop.h"
#include "test.h"

/* The signal comes once. */
static inline void rig_raise_at(struct bide_engine *engine, int signo)
{
    struct bide__sim *sim = bide__sim_of(engine);
    CHECK_INT(sim ? bide__sim_signal(sim, signo) : raise(signo), 0);
}

static inline void rig_raise(bide_loop *loop, int signo)
{
    rig_raise_at(loop->engine, signo);
}

/* For a case that asks the kernel itself for something: ends it as skipped in simulation. */
static inline void rig_needs_kernel(void)
{
    const char *engine = getenv("BIDE_ENGINE");
    if (engine && strcmp(engine, "sim") == 0)
        SKIP("asks the kernel itself");
}

/* For what only the library's engines promise: ends it as skipped on a user's. */
static inline void rig_needs_own_engine(void)
{
    const char *engine = getenv("BIDE_ENGINE");
    if (engine && strcmp(engine, "poll") == 0)
        SKIP("a promise of the library's own engines");
}

#endif
