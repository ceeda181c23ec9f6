/*
 * Waiting for objects of the user's.
 *
 * Invariants
 *  - The waker is the waiting task's control block. It may be used from the call of start() until
 * the wake-up, also before start() has returned: then the task does not park.
 *  - cancel() is called once at most per wait, and not after the wake-up.
 */
#include "runtime/coro.h"

#include <bide/awaitable.h>

static const char *object_name(const struct bide__coro *coro)
{
    return coro->awaited->name;
}

static const struct bide__wait_kind given_up_wait = {.name = "object", .describe = object_name};

static void give_up(struct bide__coro *coro, void *object)
{
    if (coro->awaited->cancel)
        coro->awaited->cancel(object, (bide_waker *)coro);
}

static void object_interrupt(struct bide__coro *coro)
{
    coro->wait = &given_up_wait;
    give_up(coro, coro->wait_data);
}

static const struct bide__wait_kind object_wait = {
    .name = "object", .interrupt = object_interrupt, .describe = object_name};

int bide_await_object(const struct bide_awaitable *kind, void *object)
{
    struct bide__coro *coro;
    if (!kind || !kind->start || !kind->name)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = bide__lend(coro, kind);
    if (rc == 0)
        rc = bide__lend(coro, object);
    if (rc < 0)
        return rc;
    const struct bide__wait_kind *wait = &object_wait;
    coro->awaited = kind;
    coro->woken = false;
    rc = kind->start(object, (bide_waker *)coro);
    if (rc != -BIDE_EPENDING)
        return rc;
    if (coro->deliver && !coro->woken) { /* cancelled by start() itself */
        wait = &given_up_wait;
        give_up(coro, object);
    }
    if (!coro->woken)
        return bide__park(coro, wait, object);
    if (coro->wake_result == -ECANCELED)
        bide__refused(coro);
    return coro->wake_result;
}

void bide_wake(bide_waker *waker, int result)
{
    struct bide__coro *coro = (struct bide__coro *)waker;
    if (!coro)
        return;
    if (coro->wait) {
        bide__wake(coro, result);
        return;
    }
    assert(!coro->woken);
    coro->woken = true;
    coro->wake_result = result;
}
