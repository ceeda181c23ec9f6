/*
 * The event loop, explicitly: for programs and language bindings that work with callbacks, and
 * under everything else.
 *
 * A loop belongs to the thread that first runs it; a process may have many loops in many threads.
 * Callbacks run on the thread's own stack, one at a time, never from inside the call that caused
 * them, and with no lock held. Each registration's `drop` runs exactly once, when the loop no
 * longer needs `data`: after the callback ran, was cancelled or removed, or when the loop closes.
 */
#ifndef BIDE_LOOP_H
#define BIDE_LOOP_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* An event loop. */
typedef struct bide_loop bide_loop;
/* A callback that is scheduled and can be cancelled. */
typedef struct bide_handle bide_handle;
/* A task or future (see bide/task.h). */
typedef struct bide_task bide_task;

/* A scheduled function. A negative result is an error that goes to the loop's exception handler;
 * others are ignored. */
typedef int bide_callback(void *data);
/* Releases what a registration's `data` points at. May be NULL where there is nothing to release.
 */
typedef void bide_drop(void *data);

/*
 * Where a task's frames are kept.
 *
 * A task with a copied stack costs a few hundred bytes while it is suspended, and not the page or
 * more that a stack of its own takes: all such tasks of a loop run on one stack (256 KiB), and what
 * a suspended one has on it is kept elsewhere. For that nobody else may touch its locals while it
 * is suspended: no other task, callback or thread may have been given their addresses, be it of an
 * array of bytes, a lock, an event or a result that others set. What the calls of this library are
 * given is no matter, they copy what has to be copied; a few that can't return -EINVAL and say so.
 * Besides, any suspending call that is not a join may return -ENOMEM, before it has done anything.
 * With `debug` in the loop's options (or BIDE_DEBUG=1), who touches such a stack is told of, and
 * the process dies of it. Under valgrind and the sanitizers all stacks are private.
 */
enum bide_stack {
    BIDE_STACK_DEFAULT, /* as the loop has it; private if it says nothing */
    BIDE_STACK_PRIVATE, /* a stack of its own with a guard */
    BIDE_STACK_COPIED,  /* kept elsewhere while the task is suspended */
};

/* How a loop is made; zeroed fields mean defaults. */
struct bide_loop_opts {
    const char *engine;     /* "epoll", "uring", "sim", or one that was added (bide/engine_kind.h);
                               NULL: the environment's BIDE_ENGINE, or what the kernel does best */
    size_t stack_size;      /* bytes per task, guard page included; 0: 65,536 */
    double cleanup_seconds; /* how long closing waits for cancelled tasks and jobs before it reports
                               them; 0: 10 */
    unsigned threads_max;  /* for blocking work, see bide/thread.h; 0: processors + 4, at most 32 */
    uint64_t seed;         /* what the engine "sim" decides by, so that one seed is one run; 0: the
                              environment's BIDE_SEED, or a fixed one */
    enum bide_stack stack; /* of tasks that ask for none, the main one excepted; DEFAULT: private
                              ones, or copied if the environment's BIDE_STACKS is "copied" */
    bool debug; /* find what a program may not do, at some cost; also if the environment's
                   BIDE_DEBUG is "1" */
};

/*
 * Makes a loop. It does not run yet; callbacks, watchers and tasks may be added before it does.
 *
 * opts: borrowed until return; NULL for defaults. ret_loop: returns owned, to be closed with
 * bide_loop_close(). Returns 0, -EINVAL (unknown engine, senseless option), -ENOMEM, or the
 * engine's error, such as -EMFILE, or -ENOSYS where it was asked for by name and is not offered.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_loop_new(const struct bide_loop_opts *opts, bide_loop **ret_loop);

/*
 * Ends a loop that is not running: cancels what is left and awaits it, refuses posts, drops what is
 * queued, frees everything. Handles of finished tasks stay valid until they are given back.
 *
 * loop: takes; NULL is allowed.
 * Returns 0; -EBUSY if it is running or another loop runs on this thread, -EPERM if it belongs to
 * another thread (then nothing happened).
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_close(bide_loop *loop);

/*
 * Runs the loop until bide_loop_stop(). A stop that came before makes it run exactly one turn.
 *
 * Returns 0, the error of bide_loop_stop_with(), -EBUSY (this loop or another one runs on this
 * thread), -EPERM (it belongs to another thread), or the engine's error; with the engine "sim",
 * -EDEADLK: everybody waits, and nothing is under way that could end a wait (each task has been
 * reported with what it waits for). Suspends: no (it occupies the thread). Cancel: not affected.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_run_forever(bide_loop *loop);

/*
 * Runs the loop until a task or future is done and returns its result.
 *
 * task: takes if it is done when this returns; otherwise it stays the caller's.
 * Returns the task's result, -BIDE_ESTOPPED if the loop was stopped before, the error of
 * bide_loop_stop_with(), or as bide_loop_run_forever(); -ENOMEM for a NULL task, -EINVAL if it is
 * another loop's. Suspends: no (it occupies the thread). Cancel: not affected. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_loop_run_until_complete(bide_loop *loop, bide_task *task);

/*
 * Makes the loop return after the present turn, or after one turn if it does not run yet.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_loop_stop(bide_loop *loop);

/*
 * Like bide_loop_stop(), and the running call returns `error`. The loop stays usable: what was
 * queued runs when it runs again.
 *
 * error: negative. Returns 0 or -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_stop_with(bide_loop *loop, int error);

/*
 * The loop that runs on the calling thread, borrowed; NULL if none does.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_loop *bide_loop_current(void);

/*
 * Whether the loop is inside one of the run calls.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_loop_is_running(const bide_loop *loop);

/*
 * Lets another event loop wait for this one. That one watches the descriptor for reading, and when
 * it is readable or the time is up it has this loop run one turn without waiting:
 *
 *     bide_loop_stop(loop);
 *     rc = bide_loop_run_forever(loop);
 *
 * To be called before each wait, because what the loop has to do changes with each turn, and with
 * each call that schedules something from outside of it.
 *
 * ret_seconds: how long to wait at most; 0: not at all, INFINITY: for as long as it takes.
 * Returns the descriptor (borrowed until the loop is closed, the same each time; a post from
 * another thread and a signal make it readable, too); -EINVAL, -ESHUTDOWN (closed), -EBUSY (this
 * loop or another one runs on this thread), -EPERM (it belongs to another thread), -ENOSYS (its
 * engine has none: "sim"), or the engine's error. Suspends: no. Cancel: not affected. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_loop_fd(bide_loop *loop, double *ret_seconds);

/*
 * The name of the loop's engine, as "epoll" or "uring"; borrowed, static.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT const char *bide_loop_engine(const bide_loop *loop);

/*
 * The loop's monotonic clock in seconds. Its zero is of no meaning; deadlines are points on it.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT double bide_loop_time(const bide_loop *loop);

/*
 * Schedules a callback for the loop's next turn, behind everything that is queued already.
 *
 * callback: called once as callback(data) unless cancelled. drop: takes `data` afterwards; may be
 * NULL. ret_handle: returns owned (give it back with bide_handle_free()); NULL if it is not wanted.
 * Returns 0, -ENOMEM, -EINVAL, or -ESHUTDOWN on a closed loop; on failure `data` stays the
 * caller's. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_call_soon(bide_loop *loop, bide_callback *callback, void *data,
                                    bide_drop *drop, bide_handle **ret_handle);

/*
 * Schedules a callback to run in `seconds` from now. Zero or less: as soon as the loop looks at its
 * timers. Infinity: never.
 *
 * Otherwise as bide_loop_call_soon(); -EINVAL for NaN as well.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_call_later(bide_loop *loop, double seconds, bide_callback *callback,
                                     void *data, bide_drop *drop, bide_handle **ret_handle);

/*
 * Schedules a callback for the moment `deadline` of bide_loop_time(). Callbacks with equal
 * deadlines run in the order in which they were set.
 *
 * Otherwise as bide_loop_call_later().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_call_at(bide_loop *loop, double deadline, bide_callback *callback,
                                  void *data, bide_drop *drop, bide_handle **ret_handle);

/*
 * Cancels a scheduled callback: it does not run any more, and its data is dropped before this
 * returns.
 *
 * handle: borrows until return. Returns 1 if it was still to run, 0 if it ran or was cancelled
 * before; -EINVAL for NULL. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_handle_cancel(bide_handle *handle);

/*
 * Gives a handle back without cancelling the callback. Also after the loop was closed.
 *
 * handle: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_handle_free(bide_handle *handle);

/*
 * Calls back in every turn in which the descriptor is readable (data, end of file, or an error to
 * be read), until removed. A second call for the same descriptor replaces the callback.
 *
 * fd: borrowed until removed; not one that the loop's own streams use. callback, data, drop: as
 * bide_loop_call_soon(), but called as often as it is ready. Returns 0, -EBADF, -EPERM (the
 * descriptor is always ready: a regular file), -EEXIST (in use by something else of this loop),
 * -ENOMEM, -EINVAL, -ESHUTDOWN. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_add_reader(bide_loop *loop, int fd, bide_callback *callback, void *data,
                                     bide_drop *drop);

/*
 * Like bide_loop_add_reader() for a descriptor that can be written to.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_add_writer(bide_loop *loop, int fd, bide_callback *callback, void *data,
                                     bide_drop *drop);

/*
 * Ends bide_loop_add_reader(): the callback does not run any more, also if it was about to. To be
 * called before the descriptor is closed.
 *
 * Returns 1 if there was one, 0 if not.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_remove_reader(bide_loop *loop, int fd);

/*
 * Like bide_loop_remove_reader() for bide_loop_add_writer().
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_remove_writer(bide_loop *loop, int fd);

/*
 * Calls back on the loop each time the process gets the signal (two signals, two calls). Replaces
 * the signal's action until removed, and an earlier callback of this loop for it.
 *
 * signo: as SIGINT. callback, data, drop: as bide_loop_add_reader(). A callback may end the run
 * with bide_loop_stop_with(). Returns 0, -EINVAL (no such signal, or one that can't be caught),
 * -EBUSY (another loop of the process has it), -ENOMEM, -ESHUTDOWN. Suspends: no. Cancel: not
 * affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_add_signal_handler(bide_loop *loop, int signo, bide_callback *callback,
                                             void *data, bide_drop *drop);

/*
 * Removes a signal callback and puts the former action back.
 *
 * Returns 1 if there was one, 0 if not.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_loop_remove_signal_handler(bide_loop *loop, int signo);

/* Where a coroutine was spawned. */
struct bide_place {
    const char *coroutine; /* the coroutine's name */
    const char *file;
    const char *function; /* the function that contains the spawn */
    int line;
};

/* What went wrong where nobody could be told by a return value. All pointers are borrowed until the
 * handler returns. */
struct bide_report {
    const char *message;            /* such as "task failed and nobody read its result" */
    int error;                      /* negative, or 0 if there is none */
    const char *detail;             /* words that the error came with, or "" */
    const char *task_name;          /* NULL if no task is concerned */
    const struct bide_place *place; /* where that task was spawned; NULL if unknown */
};

/* Receives reports, on whatever stack they come up: a task's as well. Must not suspend nor close
 * the loop. */
typedef void bide_exception_handler(bide_loop *loop, const struct bide_report *report, void *data);

/*
 * Sets what receives the loop's reports; NULL restores the default, which writes them to standard
 * error.
 *
 * data: borrows until replaced or the loop is closed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_loop_set_exception_handler(bide_loop *loop, bide_exception_handler *handler,
                                                 void *data);

/*
 * Hands a report to the loop's exception handler, as the library itself does.
 *
 * report: borrows until return.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_loop_report(bide_loop *loop, const struct bide_report *report);

/* Called around each wait in the kernel, closing's as well, with no other code of the loop between:
 * where a binding releases its global lock. */
struct bide_wait_hooks {
    void (*before)(void *data);
    void (*after)(void *data);
    void *data; /* borrowed until replaced or the loop is closed */
};

/*
 * Sets the functions around the kernel wait; NULL removes them. A hook may call bide_loop_stop()
 * and bide_loop_stop_with().
 *
 * hooks: copies.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_loop_set_wait_hooks(bide_loop *loop, const struct bide_wait_hooks *hooks);

/*
 * In a child process after fork: drops the loop that runs on the calling thread, and all that it
 * holds, without touching the kernel objects that the parent still uses. Tasks do not unwind, and
 * no `drop` is called. Afterwards the child may run a loop of its own, in place, and then has to
 * exec or _exit: it must not return into the old one, which is closed for it. Handles of its tasks
 * and remotes can be given back, and nothing else. A child that only execs or exits needs no call.
 *
 * Suspends: no. Cancel: not affected. Thread: the one that forked, in the child.
 */
BIDE_EXPORT void bide_after_fork(void);

BIDE_END_DECLARATIONS

#endif
