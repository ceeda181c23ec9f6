/*
 * The ends of scoped blocks, deferred releases and scoped tasks.
 *
 * Invariant: what was acquired is released once, whatever becomes of the task and of its memory.
 */
#include "runtime/coro.h"
#include "runtime/report.h"

#include <bide/scoped.h>
#include <bide/timeout.h>

#include <math.h>

static int release_shielded(const struct bide__scoped *scoped)
{
    if (bide__shield_begin(INFINITY) < 0) /* no memory, or no task: then there is no cancel */
        return scoped->release(scoped->resource);
    return bide__scope_end(scoped->release(scoped->resource));
}

void bide__scoped_left(struct bide__scoped *scoped)
{
    if (scoped->state != BIDE__HELD)
        return;
    scoped->state = BIDE__RELEASED;
    int rc = scoped->shielded ? release_shielded(scoped) : scoped->release(scoped->resource);
    if (scoped->rc && rc < 0 && *scoped->rc >= 0)
        *scoped->rc = rc;
}

static int lock_left(void *lock)
{
    return bide_lock_release(lock);
}

static int semaphore_left(void *semaphore)
{
    return bide_semaphore_release(semaphore);
}

struct bide__scoped bide__with_lock_begin(int *rc, bide_lock *lock)
{
    struct bide__scoped scoped = bide__with_begin(rc, bide_lock_acquire(lock), lock_left);
    scoped.resource = lock;
    scoped.shielded = false;
    return scoped;
}

struct bide__scoped bide__with_semaphore_begin(int *rc, bide_semaphore *semaphore)
{
    int acquired = bide_semaphore_acquire(semaphore);
    struct bide__scoped scoped = bide__with_begin(rc, acquired, semaphore_left);
    scoped.resource = semaphore;
    scoped.shielded = false;
    return scoped;
}

void bide__task_scoped_left(bide_task **task)
{
    struct bide__coro *coro = bide__coro_current();
    bide_task *owned = bide_task_steal(task);
    if (!owned)
        return;
    int rc = coro ? bide__task_awaitable(owned, coro) : -BIDE_ENOTASK;
    if (rc == 0) {
        bide_cancel(owned);
        if (bide__shield_begin(INFINITY) < 0)
            bide_await(owned);
        else
            bide__scope_end(bide_await(owned));
    } else {
        bide__report_task(owned, "scoped task could not be joined", rc);
        bide_detach(owned);
    }
}
