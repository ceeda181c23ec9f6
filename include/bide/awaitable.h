/*
 * Objects of the user's own that tasks can wait for: a few functions say how such a wait begins and
 * how it is given up.
 */
#ifndef BIDE_AWAITABLE_H
#define BIDE_AWAITABLE_H

#include <bide/error.h>

BIDE_BEGIN_DECLARATIONS

/* A task that waits for an object; valid until it is woken, or until its loop is closed: one that
 * ignores its cancel for too long is given up there without being woken. */
typedef struct bide_waker bide_waker;

/* How a kind of objects is waited for. */
struct bide_awaitable {
    const char *name; /* what a task waits for, in a word, for people */
    /*
     * Begins the wait. Returns the result if it is there; otherwise -BIDE_EPENDING, after having
     * seen to it that bide_wake() will be called exactly once. Must not suspend.
     */
    int (*start)(void *object, bide_waker *waker);
    /*
     * The waiting task is cancelled: gives up the wait with bide_wake(waker, -ECANCELED), now or
     * soon, or with a result that was reached before. Called once at most; must not suspend. NULL:
     * the wait can't be given up.
     */
    void (*cancel)(void *object, bide_waker *waker);
};

/*
 * Waits for an object.
 *
 * kind, object: borrowed until return.
 * Returns the result: what start() returned or bide_wake() was given; -ECANCELED; -EINVAL, also for
 * what lies on the caller's own stack if that is copied; -BIDE_ENOTASK. Suspends: yes. Cancel: as
 * kind->cancel does. Thread: loop thread only.
 */
BIDE_EXPORT int bide_await_object(const struct bide_awaitable *kind, void *object);

/*
 * Ends a task's wait for an object. The task runs on in the loop's next turn.
 *
 * waker: takes. result: what bide_await_object() returns.
 * Suspends: no. Cancel: not affected. Thread: loop thread only; another thread posts a callback
 * that does it (see bide/remote.h).
 */
BIDE_EXPORT void bide_wake(bide_waker *waker, int result);

BIDE_END_DECLARATIONS

#endif
