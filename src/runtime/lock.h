/*
 * The inside of locks, for conditions.
 *
 * Invariants
 *  - A free lock has nobody in its line.
 *  - The owner is a task's number, never used again by its loop: a lock that an ended task left
 * held belongs to nobody else by accident.
 */
#ifndef BIDE_RUNTIME_LOCK_H
#define BIDE_RUNTIME_LOCK_H

#include "runtime/line.h"

#include <bide/lock.h>

static inline bool bide__lock_held_by(const bide_lock *lock, const struct bide__coro *coro)
{
    return lock->owner == coro->task->number;
}

/* Hands the lock to the first in the line, or makes it free. */
void bide__lock_pass(bide_lock *lock);

/* A parked task that stands in no line is to have the lock before it wakes with `result`; no cancel
 * keeps it from that. */
void bide__lock_rejoin(bide_lock *lock, struct bide__coro *coro, int result);

#endif
