/*
 * One loop per core: the same coroutine as the main task of several loops, each in a thread of its
 * own.
 *
 *     bide_async(amain, (bide_port *, port))
 *     {
 *         ...serves the port, see bide/port.h; bide_worker_index() tells which worker this is...
 *     }
 *
 *     int main(void) { ... return bide_run_workers(0, amain, port); }
 *
 * Workers share nothing but what they are given: each has its loop, its tasks, its pool of threads.
 * They send each other work through bide_worker_remote(), and items through a bide_thread_queue.
 *
 * How it ends. Each worker ends as bide_run() does, for itself: a main that returns 0 or more ends
 * its worker and no other. A main that fails ends all: those of the others are cancelled. So does
 * SIGINT or SIGTERM, unless `keep_signals` says that the program sees to these itself; then a
 * second signal finds the action that was there before, and so usually ends the process at once. A
 * main that was cancelled in one of these ways has its loop's `cleanup_seconds` to end; then its
 * loop is closed, which reports where the main stands. A worker that never comes back to its loop
 * can't be ended.
 */
#ifndef BIDE_WORKERS_H
#define BIDE_WORKERS_H

#include <bide/async.h>

BIDE_BEGIN_DECLARATIONS

/* Limits. */
enum {
    BIDE_WORKERS_MAX = 1024, /* workers */
};

/* How workers are run; zeroed fields mean defaults. */
struct bide_workers_opts {
    struct bide_loop_opts loop; /* each worker's */
    const char *name;  /* of the threads, with the worker's number behind it; at most ten bytes
                          count; NULL: "worker" */
    bool pin;          /* each worker stays on one processor, in turn of those that the caller may
                          use; threads that it starts do as well */
    bool keep_signals; /* SIGINT and SIGTERM are not touched */
};

/*
 * bide_run_workers(n, name, arguments...): runs the coroutine in n workers, and returns when all
 * have ended. All get the same arguments. The calling thread only waits, and handles signals.
 *
 * n: 0: bide_processors().
 * Returns an exit status, as bide_run(): the result of worker 0 (at most 255; 0 if it was cancelled
 * by a signal), or 1 after an error, which is told on standard error. Suspends: no (it occupies the
 * thread). Cancel: not affected. Thread: any that runs no loop.
 */
#define bide_run_workers(n, ...) bide__run_status(bide_run_workers_with(NULL, n, __VA_ARGS__))

/*
 * bide_run_workers_with(opts, n, name, arguments...): bide_run_workers() with options (const struct
 * bide_workers_opts *, borrowed until return; NULL for defaults).
 *
 * Returns worker 0's result (0 if a signal or bide_workers_stop() cancelled it), or the error of
 * the main that failed first, whose words bide_error_detail() has; -ETIMEDOUT: a main ignored its
 * cancel and nothing else failed. If not all workers can be made, none runs: -EINVAL (more than
 * BIDE_WORKERS_MAX, a senseless option), -EBUSY (a loop runs on this thread, or another loop of the
 * process has one of the signals), -EAGAIN (no more threads), -ENOMEM, or as bide_loop_new(). Tells
 * nothing. Suspends: no (it occupies the thread). Cancel: not affected. Thread: any that runs no
 * loop.
 */
#define bide_run_workers_with(opts, n, ...) \
    (__extension__({ \
        struct bide__workers_plan bide__plan = {(opts), (n), 0}; \
        (void)BIDE__LAUNCH(BIDE__HOW_WORKERS, &bide__plan, NULL, __VA_ARGS__); \
        bide__plan.result; \
    }))

/*
 * The number of the worker that the calling thread is, counted from 0; 0 also on any other thread,
 * so that the same main runs under bide_run() as well.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT unsigned bide_worker_index(void);

/*
 * How many workers there are, those that have ended included; 1 on a thread that is none.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT unsigned bide_worker_count(void);

/*
 * The loop of a worker, for calls from the others (bide/remote.h). All are there before any main
 * begins. To one that has ended nothing can be posted (-ESHUTDOWN).
 *
 * Returns borrowed, until the calling worker's main has ended; NULL if there is no such worker, and
 * on a thread that is none. Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_remote *bide_worker_remote(unsigned index);

/*
 * Ends all workers as a first SIGTERM does: each main is cancelled.
 *
 * Returns 0, or -EINVAL on a thread that is no worker. Suspends: no. Cancel: the caller is
 * cancelled a moment later as well. Thread: any worker's.
 */
BIDE_EXPORT int bide_workers_stop(void);

/*
 * How many processors there are for workers: those that the calling thread may run on, and no more
 * than the CPU time that its control groups grant, rounded up. At least 1.
 *
 * Suspends: no (it reads some small files of the kernel's). Cancel: not affected. Thread: any.
 */
BIDE_EXPORT unsigned bide_processors(void);

/* From here on: what the macros above expand to. Not to be used directly. */

struct bide__workers_plan {
    const struct bide_workers_opts *opts;
    unsigned n;
    int result;
};

/* Suspends: no. Cancel: not affected. Thread: any. */
BIDE_EXPORT int bide__run_status(int result);

BIDE_END_DECLARATIONS

#endif
