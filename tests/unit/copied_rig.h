/*
 * What the tests of copied stacks share: tasks of that kind, and others of it that leave nothing on
 * the shared stack as it was.
 */
#ifndef BIDE_TEST_COPIED_RIG_H
#define BIDE_TEST_COPIED_RIG_H

#include "base/watched.h"
#include "task_rig.h"

static const struct bide_task_opts copied RIG_UNUSED = {.stack = BIDE_STACK_COPIED};

/* Whether tasks get copied stacks here, as they want. */
static RIG_UNUSED bool copies_here(void)
{
    return !BIDE__SANITIZED && !bide__on_valgrind();
}

/* Writes over `depth` KiB of stack below. */
static RIG_UNUSED __attribute__((noinline)) int trample(int depth)
{
    volatile char frame[1024];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)0xa5;
    return depth > 0 ? trample(depth - 1) + frame[depth % 7] : frame[3];
}

static RIG_UNUSED bide_async(tramples)
{
    trample(40);
    int rc = bide_sleep(0);
    trample(40);
    return rc;
}

/* Lets another copied task write over the stack of whoever is parked meanwhile. */
static RIG_UNUSED bide_task *spawn_trampler(void)
{
    return bide_spawn_with(&copied, tramples);
}

#endif
