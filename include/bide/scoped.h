/*
 * Blocks that release what they hold on every way out: at their end, by return, break, continue or
 * goto, after an error, after a cancel. A release may suspend, and no cancel and no time limit from
 * outside the block keeps it from its work.
 *
 *     bide_async(visit, (pool *, pool))
 *     {
 *         connection *one = NULL;
 *         int rc;
 *         bide_with (rc, pool_get(pool, &one), pool_put, one) {
 *             rc = talk(one);
 *             if (rc == -EPIPE)
 *                 return 0;
 *         }
 *         return rc;
 *     }
 *
 * The blocks are loops that run once: break and continue inside leave the block, not a loop around
 * it.
 */
#ifndef BIDE_SCOPED_H
#define BIDE_SCOPED_H

#include <bide/condition.h>
#include <bide/lock.h>
#include <bide/semaphore.h>
#include <bide/task.h>

BIDE_BEGIN_DECLARATIONS

/*
 * bide_with (rc, acquire, release, resource) { body }
 *
 * Evaluates the int expression `acquire` into the int variable `rc`. If that is negative, nothing
 * is held, and the body is skipped. Otherwise evaluates `resource`, runs the body, and on every way
 * out of it calls release(resource), a function int (*)(void *), once, shielded as by
 * bide_shielded(INFINITY, ...); without memory for the shield it is called all the same.
 *
 * rc: what the acquire expression returned; the body may give it another value. After the block, if
 * rc is >= 0 but the release failed, it has the release's error. A body that leaves by `return rc`
 * returns what rc was before the release.
 * resource: must not end before the block does.
 * Suspends: if acquire or release does. Cancel: as acquire; the release is not affected. Thread:
 * loop thread only.
 */
#define bide_with(rc, acquire, release, resource) \
    BIDE__WITH(BIDE__CAT(bide__with_, __COUNTER__), resource, \
               bide__with_begin(&(rc), (acquire), (release)))

/*
 * bide_with_lock (rc, lock) { body }: holds a bide_lock around the body, see bide_lock_acquire().
 * After the block rc is -EPERM if the body released the lock itself.
 */
#define bide_with_lock(rc, lock) \
    BIDE__WITH_TYPED(BIDE__CAT(bide__with_, __COUNTER__), bide__with_lock_begin(&(rc), (lock)))

/* bide_with_condition (rc, condition) { body }: holds the lock of a bide_condition around the body.
 */
#define bide_with_condition(rc, condition) bide_with_lock (rc, bide_condition_lock(condition))

/*
 * bide_with_semaphore (rc, semaphore) { body }: holds a permit of a bide_semaphore around the body,
 * see bide_semaphore_acquire(). After the block rc is -EOVERFLOW if a bounded one had all its
 * permits already.
 */
#define bide_with_semaphore(rc, semaphore) \
    BIDE__WITH_TYPED(BIDE__CAT(bide__with_, __COUNTER__), \
                     bide__with_semaphore_begin(&(rc), (semaphore)))

/*
 * bide_defer(release, resource);
 *
 * A declaration: when the enclosing block is left, by whatever way, release(resource) is called,
 * shielded as in bide_with(). Of several, the last is called first. `release` is a function
 * int (*)(void *); its result is lost. `resource` is evaluated at once.
 */
#define bide_defer(release, resource) \
    BIDE__DEFER(BIDE__CAT(bide__deferred_, __COUNTER__), (release), (resource))

/*
 * bide_task_scoped *task = bide_spawn(...);
 *
 * Declares a bide_task * that owns its task: when the enclosing block is left, by whatever way, the
 * task is cancelled and its end awaited, shielded, and its result dropped. NULL is allowed. To
 * await the task by hand, take it out of the variable with bide_task_steal(). A task that lends
 * addresses of its locals to another one uses this, so that the other has ended before the locals
 * have.
 */
#define bide_task_scoped __attribute__((cleanup(bide__task_scoped_left))) bide_task

/*
 * Takes the handle out of a variable, which becomes NULL: bide_await(bide_task_steal(&task)).
 *
 * task: the variable. Returns owned: what it held.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
static inline bide_task *bide_task_steal(bide_task **task)
{
    bide_task *stolen = *task;
    *task = NULL;
    return stolen;
}

/* From here on: what the macros above expand to. Not to be used directly. */

enum bide__scoped_state { BIDE__NOT_ACQUIRED, BIDE__ACQUIRED, BIDE__HELD, BIDE__RELEASED };

struct bide__scoped {
    int *rc; /* of a block; NULL: the release's result is lost */
    int (*release)(void *);
    void *resource;
    enum bide__scoped_state state;
    bool shielded; /* the release may suspend */
};

/* Suspends: yes. Cancel: nothing was acquired. Thread: loop thread only. */
BIDE_EXPORT struct bide__scoped bide__with_lock_begin(int *rc, bide_lock *lock);
/* Suspends: yes. Cancel: nothing was acquired. Thread: loop thread only. */
BIDE_EXPORT struct bide__scoped bide__with_semaphore_begin(int *rc, bide_semaphore *semaphore);
/* Releases what is held still. Suspends: as the release. Cancel: not affected. Thread: loop thread
 * only. */
BIDE_EXPORT void bide__scoped_left(struct bide__scoped *scoped);
/* Suspends: yes. Cancel: not affected. Thread: loop thread only. */
BIDE_EXPORT void bide__task_scoped_left(bide_task **task);

static inline struct bide__scoped bide__with_begin(int *rc, int acquired, int (*release)(void *))
{
    struct bide__scoped scoped = {rc, release, NULL, BIDE__NOT_ACQUIRED, true};
    *rc = acquired;
    if (acquired >= 0)
        scoped.state = BIDE__ACQUIRED;
    return scoped;
}

static inline bool bide__with_holds(struct bide__scoped *scoped, void *resource)
{
    scoped->resource = resource;
    scoped->state = BIDE__HELD;
    return true;
}

#define BIDE__WITH(scoped, resource, begin) \
    for (struct bide__scoped scoped __attribute__((cleanup(bide__scoped_left))) = begin; \
         scoped.state == BIDE__ACQUIRED && bide__with_holds(&scoped, (resource)); \
         bide__scoped_left(&scoped))
#define BIDE__WITH_TYPED(scoped, begin) BIDE__WITH(scoped, scoped.resource, begin)
#define BIDE__DEFER(deferred, release, resource) \
    struct bide__scoped deferred __attribute__((cleanup(bide__scoped_left), unused)) = { \
        NULL, release, resource, BIDE__HELD, true}

BIDE_END_DECLARATIONS

#endif
