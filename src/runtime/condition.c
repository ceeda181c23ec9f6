/*
 * Conditions.
 *
 * Invariants
 *  - A task in the condition's line was neither notified nor interrupted. Either of these moves it
 * on to the lock, without running it, and with what its call will return: so a notification and a
 * cancel cannot both reach it, and it runs once, with the lock.
 *  - Whoever notifies holds the lock, so notified tasks stand in the lock's line until it is
 * released.
 */
#include "runtime/lock.h"

#include <bide/condition.h>

#include <limits.h>

static void condition_interrupt(struct bide__coro *coro)
{
    bide_condition *condition = coro->wait_data;
    bide__list_remove(&coro->in_line.node);
    bide__lock_rejoin(bide_condition_lock(condition), coro, -ECANCELED);
}

static void condition_given(struct bide__in_line *place, int result)
{
    struct bide__coro *coro = bide__container(place, struct bide__coro, in_line);
    bide_condition *condition = coro->wait_data;
    bide__lock_rejoin(bide_condition_lock(condition), coro, result);
}

static const struct bide__wait_kind condition_wait = {.name = "condition",
                                                      .interrupt = condition_interrupt};

bide_lock *bide_condition_lock(bide_condition *condition)
{
    if (!condition)
        return NULL;
    return condition->shared ? condition->shared : &condition->own;
}

int bide_condition_wait(bide_condition *condition)
{
    struct bide__coro *coro;
    if (!condition)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    bide_lock *lock = bide_condition_lock(condition);
    if (!bide__lock_held_by(lock, coro))
        return -EPERM;
    rc = bide__lend(coro, condition);
    if (rc == 0)
        rc = bide__lend(coro, lock);
    if (rc < 0)
        return rc;
    bide__lock_pass(lock);
    coro->in_line.given = condition_given;
    bide__line_join(&condition->line, &coro->in_line);
    return bide__park(coro, &condition_wait, condition);
}

static bool holds_lock(bide_condition *condition)
{
    const struct bide__coro *coro = bide__coro_current();
    return coro && bide__lock_held_by(bide_condition_lock(condition), coro);
}

int bide_condition_wait_for(bide_condition *condition, bide_predicate *predicate, void *data)
{
    struct bide__coro *coro;
    if (!condition || !predicate)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    if (!holds_lock(condition))
        return -EPERM;
    while (rc == 0 && !predicate(data))
        rc = bide_condition_wait(condition);
    return rc;
}

int bide_condition_notify(bide_condition *condition, size_t n)
{
    if (!condition)
        return -EINVAL;
    if (!holds_lock(condition))
        return -EPERM;
    size_t n_notified = 0;
    while (n_notified < n && bide__line_give(&condition->line, 0))
        n_notified++;
    return n_notified < INT_MAX ? (int)n_notified : INT_MAX;
}

int bide_condition_notify_all(bide_condition *condition)
{
    return bide_condition_notify(condition, SIZE_MAX);
}
