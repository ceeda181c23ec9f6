/*
 * Tasks and futures: results that are there now or later.
 *
 * A handle is owned: reading its result with bide_await() gives it back, as do bide_detach() and
 * the calls that say so. The loop holds every unfinished task itself. A failure that nobody read is
 * reported, with the place that spawned the task, when its last handle goes.
 */
#ifndef BIDE_TASK_H
#define BIDE_TASK_H

#include <bide/async.h>

BIDE_BEGIN_DECLARATIONS

/* A future: a result that something other than a coroutine delivers. The same handle and the same
 * calls as a task. */
typedef bide_task bide_future;
/* The side of a future that delivers its result. */
typedef struct bide_promise bide_promise;

/* What a task is doing. */
enum bide_task_state {
    BIDE_TASK_CREATED,   /* not started */
    BIDE_TASK_SCHEDULED, /* will run, for the first time or on */
    BIDE_TASK_RUNNING,   /* the current task */
    BIDE_TASK_WAITING,   /* suspended until something happens; a future without a result */
    BIDE_TASK_DONE,      /* has its result */
};

/*
 * Waits until the task is done and takes its result. A task that was not started starts.
 *
 * task: takes, whatever is returned, except with -EDEADLK, -EXDEV and -BIDE_ENOTASK, where it stays
 * the caller's. Returns the task's result, -ECANCELED if it was cancelled, its error otherwise
 * (with its words in bide_error_detail()); -ENOMEM for NULL; -EDEADLK if it is the caller itself or
 * waits for the caller, also by having a group open that holds the caller; -EXDEV if it is another
 * loop's; -BIDE_ENOTASK. Suspends: yes, a join. Cancel: hands the cancel on to the task and waits
 * for its end; its result stands. Thread: loop thread only.
 */
BIDE_EXPORT int bide_await(bide_task *task);

/*
 * Like bide_await(), but a cancel of the caller does not reach the task.
 *
 * task: borrows; it is still the caller's afterwards.
 * Returns as bide_await(), or -ECANCELED if the caller was cancelled, while the task goes on.
 * Suspends: yes. Cancel: the wait ends at once, the task goes on. Thread: loop thread only.
 */
BIDE_EXPORT int bide_shield(bide_task *task);

/*
 * Gives a handle back without reading the result: a started task runs on by itself; one that was
 * never started is closed; a failure is reported.
 *
 * task: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_detach(bide_task *task);

/*
 * Makes a second handle of the same task.
 *
 * Returns owned: the same pointer, to be given back once more; NULL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_task *bide_retain(bide_task *task);

/*
 * Starts a task made by bide_coroutine().
 *
 * Returns 1, 0 if it was started before, -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_start(bide_task *task);

/*
 * Asks a task to end. The request is delivered at its suspending calls, which return -ECANCELED,
 * and stays: each further one fails as well until the task ends or takes all requests back with
 * bide_uncancel(). A task that has not begun never does. A future without a result becomes
 * cancelled.
 *
 * Returns 1, or 0 if the task was done already; -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_cancel(bide_task *task);

/*
 * Like bide_cancel(), with words that say why; the task and who joins it find them in
 * bide_error_detail(). They go with the request if it is taken back before it is delivered.
 *
 * message: copied; NULL for none. Returns as bide_cancel(), or -ENOMEM (then nothing was asked).
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_cancel_with(bide_task *task, const char *message);

/*
 * Takes one cancel request back. Once none is left, the task's suspending calls work again.
 *
 * Returns how many are left; -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_uncancel(bide_task *task);

/*
 * How many cancel requests the task has that were not taken back; -EINVAL for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_cancelling(const bide_task *task);

/*
 * Cancels all of the tasks that are not done, waits for their end, and gives the handles back.
 * Their errors count as read.
 *
 * tasks: n handles, takes; the slots become NULL; NULL slots are skipped.
 * Returns 0; -EDEADLK, -EXDEV, -ENOMEM or -BIDE_ENOTASK with nothing changed.
 * Suspends: yes, a join. Cancel: not affected, the tasks are cancelled anyway. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_cancel_join(bide_task **tasks, size_t n);

/*
 * Whether the task has a result. NULL counts as done.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_task_done(const bide_task *task);

/*
 * Whether the task was cancelled: it returned -ECANCELED or was cancelled before it began. A task
 * that was asked to end but returned a value was not.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_task_cancelled(const bide_task *task);

/*
 * The result, without waiting and without giving the handle back; the failure counts as read.
 *
 * ret_result: set to what bide_await() would return.
 * Returns 0, -BIDE_ENOTDONE, or -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_task_result(bide_task *task, int *ret_result);

/*
 * The words that the task's error came with, or the cancel's message; "" if there are none.
 * Borrowed while the handle is held.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_task_detail(const bide_task *task);

/*
 * What the task is doing.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT enum bide_task_state bide_task_state(const bide_task *task);

/*
 * The task's name. Borrowed while the handle is held and the name is not set anew.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_task_name(bide_task *task);

/*
 * Gives the task another name.
 *
 * name: copied. Returns 0, -ENOMEM or -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_task_set_name(bide_task *task, const char *name);

/*
 * Where the task was spawned; borrowed, static. NULL for a future.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const struct bide_place *bide_task_place(const bide_task *task);

/*
 * Writes a form for people: <Task finished name='Task-2' coro=delay result=42>.
 *
 * buffer: size bytes, always terminated if size > 0. Returns the whole form's length, as
 * snprintf(). Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_task_print(bide_task *task, char *buffer, size_t size);

/* Told that a task is done; the task is borrowed until return. */
typedef void bide_done_callback(bide_task *task, void *data);

/*
 * Calls back on the loop in a later turn once the task is done, in the order in which callbacks and
 * waiters were added.
 *
 * data: released by drop afterwards, or when it is removed; stays the caller's on failure. Returns
 * 0, -ENOMEM, -EINVAL, or -ESHUTDOWN on a closed loop.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_task_add_done_callback(bide_task *task, bide_done_callback *callback,
                                            void *data, bide_drop *drop);

/*
 * Removes done callbacks that were added with this function and data and have not been scheduled
 * yet.
 *
 * Returns how many.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_task_remove_done_callback(bide_task *task, bide_done_callback *callback,
                                               void *data);

/*
 * The task that runs, borrowed; NULL outside tasks.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_task *bide_current_task(void);

/*
 * The loop's tasks that are not done.
 *
 * loop: NULL for the current one. ret_tasks: room for `size` borrowed handles. Returns how many
 * there are, also if fewer had room. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_all_tasks(bide_loop *loop, bide_task **ret_tasks, size_t size);

/*
 * Makes a future and the promise that sets it.
 *
 * loop: NULL for the current one. ret_promise: returns owned, to be given back with
 * bide_promise_free(). ret_future: returns owned, as a task's handle. Returns 0, -ENOMEM, -EINVAL
 * without a loop or for NULL, or -ESHUTDOWN on a closed one. Suspends: no. Cancel: not affected.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_future_new(bide_loop *loop, bide_promise **ret_promise,
                                bide_future **ret_future);

/*
 * Gives the future its result, or its error if negative. Those who wait run in the next turn.
 *
 * detail: words about an error, copied; NULL for none.
 * Returns 0, -EALREADY if it has a result or was cancelled, -EINVAL for NULL, -ENOMEM (no room for
 * the words; the result is not set). Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_promise_set(bide_promise *promise, int result, const char *detail);

/*
 * The promise's future, borrowed while the promise is held.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_future *bide_promise_future(bide_promise *promise);

/*
 * Gives the promise back. If it was never set, its future becomes cancelled.
 *
 * promise: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_promise_free(bide_promise *promise);

/*
 * Suspends the current task for that long; zero or less for one turn; infinity until it is
 * cancelled.
 *
 * Returns 0, -ECANCELED, -EINVAL for NaN, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the sleep ends at once. Thread: loop thread only.
 */
BIDE_EXPORT int bide_sleep(double seconds);

/*
 * The current loop's clock in seconds (see bide_loop_time()); 0 where no loop runs.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT double bide_time(void);

BIDE_END_DECLARATIONS

#endif
