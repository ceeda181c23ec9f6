/*
 * The way from one thread to the loop of another. Only the calls here, all of which end in
 * _threadsafe, and the counting of the handles may be made from any thread.
 *
 * A bide_remote is the only handle that crosses threads: it stands for a loop, or for a task that
 * was started on it from elsewhere, is counted atomically, and stays valid after the loop has
 * closed.
 */
#ifndef BIDE_REMOTE_H
#define BIDE_REMOTE_H

#include <bide/async.h>

BIDE_BEGIN_DECLARATIONS

/*
 * A handle of the loop for other threads.
 *
 * Returns owned, to be given back with bide_remote_unref(); NULL without memory or if the loop
 * is closed. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_remote *bide_loop_remote(bide_loop *loop);

/*
 * Counts one more owner.
 *
 * Returns the same pointer.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_remote *bide_remote_ref(bide_remote *remote);

/*
 * Gives the handle back. A task that it stood for runs on.
 *
 * remote: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_remote_unref(bide_remote *remote);

/*
 * Schedules a callback on the loop and wakes it if it sleeps. Callbacks of one thread run in order.
 *
 * data: drop(data) runs on the loop's thread afterwards, also if the loop closes first.
 * Returns 0, -ESHUTDOWN if the loop is closed (`data` stays the caller's), -ENOMEM, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_call_soon_threadsafe(bide_remote *remote, bide_callback *callback, void *data,
                                          bide_drop *drop);

/*
 * bide_spawn_threadsafe(remote, name, arguments...): starts a coroutine as a task of the remote
 * loop; the arguments are copied.
 *
 * Returns owned: a handle of the task, for the calls below and bide_remote_unref(); NULL without
 * memory or if the loop is closed. Suspends: no. Cancel: not affected. Thread: any.
 */
#define bide_spawn_threadsafe(remote, ...) \
    ((bide_remote *)BIDE__LAUNCH(BIDE__HOW_REMOTE, (remote), NULL, __VA_ARGS__))

/*
 * Blocks the calling thread until the remote task is done.
 *
 * remote: borrows until return. seconds: at most that long; infinity for ever. ret_result: the
 * task's result, -ECANCELED as well if its loop closed before it ran. Returns 0, on any thread if
 * the task is done; -ETIMEDOUT (the task runs on); -EDEADLK if it is not done and its loop belongs
 * to the calling thread, running or stopped, because nobody else could bring it to its end; -EINVAL
 * (no task's handle, NaN, NULL). A loop belongs to the thread of its first run: who means to run it
 * must not wait for it before. Suspends: no (it blocks the thread). Cancel: not affected. Thread:
 * any.
 */
BIDE_EXPORT int bide_wait_threadsafe(bide_remote *remote, double seconds, int *ret_result);

/*
 * Waits, as a task of one loop, for a task of another loop's.
 *
 * remote: borrows until return.
 * Returns the task's result; -EDEADLK if it is of the caller's own loop (await its handle there);
 * -ECANCELED also if its loop closed; -EINVAL, -ENOMEM, -BIDE_ENOTASK. Suspends: yes, a join.
 * Cancel: hands the cancel on to the remote task and waits for its end. Thread: any loop's thread.
 */
BIDE_EXPORT int bide_await_threadsafe(bide_remote *remote);

/*
 * Asks the remote task to end, as bide_cancel() does on its own thread.
 *
 * Requests that come before the first one was delivered count as one.
 * Returns 0, -ESHUTDOWN if the loop is closed, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_cancel_threadsafe(bide_remote *remote);

BIDE_END_DECLARATIONS

#endif
