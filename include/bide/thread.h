/*
 * Blocking and computing work in threads, for a task to wait for.
 *
 *     static int hash(void *data)      runs on a thread: no calls of the loop's in here
 *     {
 *         struct work *work = data;
 *         work->digest = digest_of(work->bytes, work->size);
 *         return 0;
 *     }
 *
 *     struct work work = {bytes, size};
 *     int rc = bide_to_thread(hash, &work);
 *
 * Each loop has threads of its own for this, started when they are needed, at most `threads_max` of
 * struct bide_loop_opts; further jobs wait in order. The library's own work (files, names) has
 * other threads and does not wait behind them. In simulation jobs run on the loop's thread, at
 * moments that the seed decides.
 *
 * A job sees the context variables (bide/context.h) of who started it; what it sets is seen by
 * nobody else. It may call what is marked `Thread: any` in the headers. Words that it leaves with
 * bide_fail() come with its error.
 */
#ifndef BIDE_THREAD_H
#define BIDE_THREAD_H

#include <bide/task.h>

BIDE_BEGIN_DECLARATIONS

/* A job. Runs on a thread of the loop's, outside of tasks; a negative result is an error. */
typedef int bide_job_function(void *data);

/*
 * Calls function(data) on a thread, and waits for its end.
 *
 * data: lent until the call returns, which is never before the function has. If the loop is closed
 * over it, that waits for the function at most cleanup_seconds; one that may take longer must not
 * use memory of the task's stack.
 * Returns what the function returned; or, and then it was not called, -EAGAIN (no thread could be
 * started), -ENOMEM, -ENOSYS (the loop's engine has no threads), -EINVAL (NULL, or data
 * on the caller's copied stack, see bide/loop.h), -ECANCELED (the task was cancelled before),
 * -BIDE_ENOTASK. Suspends: yes. Cancel: before it, the function is not called;
 * after that a join: nothing can stop a thread, so the call ends with the function, and its result
 * stands. Thread: loop thread only.
 */
BIDE_EXPORT int bide_to_thread(bide_job_function *function, void *data);

/*
 * Starts function(data) on a thread and returns at once.
 *
 * data: released by drop, which may be NULL, exactly once: after the function has returned, or when
 * it is known that it will not be called; on the loop's thread, or, if the job was cancelled
 * meanwhile, on whichever it runs. On failure it stays the caller's. ret_task: returns owned, as
 * the handle of a task: its result is the function's.
 * Cancelling the task ends it at once; a function that has begun goes on for nobody.
 * Returns 0, -EAGAIN (no thread could be started), -ENOMEM, -ENOSYS (the loop's engine has no
 * threads), -EINVAL (NULL, or no loop runs here), -ESHUTDOWN. Suspends: no. Cancel: not affected.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_submit(bide_job_function *function, void *data, bide_drop *drop,
                            bide_task **ret_task);

BIDE_END_DECLARATIONS

#endif
