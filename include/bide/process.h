/*
 * Child processes.
 *
 *     bide_process *child;
 *     struct bide_communicated said;
 *     struct bide_process_opts opts = {.output.kind = BIDE_STDIO_PIPE};
 *     int rc = bide_process_exec(bide_argv("ls", "-l"), &opts, &child);
 *     if (rc < 0)
 *         return rc;
 *     rc = bide_process_communicate(child, NULL, 0, 0, &said);
 *     ...
 *     bide_process_close(child);
 *
 * A program that cannot be started is an error of the call that starts it. The end of a child is
 * learned from the kernel directly: SIGCHLD and other children of the program are left alone. What
 * the child wrote stays readable after its end. No descriptor but the three standard ones is open
 * in the child, and closing the handle ends the child: none is left behind, dead or alive.
 */
#ifndef BIDE_PROCESS_H
#define BIDE_PROCESS_H

#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* A child process. */
typedef struct bide_process bide_process;

/* What a child has in the place of its standard input, output or error. */
enum bide_stdio_kind {
    BIDE_STDIO_INHERIT, /* what the program itself has */
    BIDE_STDIO_PIPE,    /* a pipe, whose other end is a stream */
    BIDE_STDIO_NULL,    /* /dev/null */
    BIDE_STDIO_FD,      /* a given descriptor */
    BIDE_STDIO_OUTPUT,  /* error only: wherever its standard output goes */
};

/* One of a child's three standard descriptors. */
struct bide_stdio {
    enum bide_stdio_kind kind;
    int fd; /* with BIDE_STDIO_FD: borrowed until the child is started */
};

/* How a program is started and ended; zeroed fields mean defaults. */
struct bide_process_opts {
    struct bide_stdio input;
    struct bide_stdio output;
    struct bide_stdio errors;
    const char *const *environment; /* "NAME=value"..., NULL; NULL: the program's own */
    const char *directory;          /* to run in; NULL: the program's own */
    bool new_group;       /* a process group of its own: signals, and the end, reach all of it */
    bool new_session;     /* a session, and with it a group, of its own */
    double grace_seconds; /* between bide_process_close()'s two signals; 0: 5 */
    struct bide_stream_opts stream; /* of the pipes */
};

/* How a child ended. */
struct bide_exit {
    int status;       /* of its exit, 0 to 255; 0 if a signal killed it */
    int signal;       /* that killed it, or 0 */
    bool dumped_core; /* the signal left a core dump */
};

/* What a child wrote, and how it ended. */
struct bide_communicated {
    char *output; /* terminated by a NUL that is not counted */
    size_t output_bytes;
    char *errors;
    size_t errors_bytes;
    struct bide_exit exit;
};

#ifndef __cplusplus
/* The arguments of a program, as a list for bide_process_exec(). */
#define bide_argv(...) ((const char *const[]){__VA_ARGS__, NULL})
#endif

/*
 * An exit as one number, the way shells and asyncio have it: its status, or the negative of the
 * signal that killed it.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
static inline int bide_exit_code(const struct bide_exit *how)
{
    return how->signal > 0 ? -how->signal : how->status;
}

/*
 * Starts a program.
 *
 * arguments: the program and its arguments, ended by a NULL; a program without a slash is looked
 * for along the child's PATH. Borrowed until return, as opts, which may be NULL. ret_process:
 * returns owned, to be given back with bide_process_close(). The child has no signal blocked; what
 * the program catches, and SIGPIPE, are at their defaults in it; what else the program ignores, it
 * ignores. Returns 0; -ENOENT, -EACCES, -ENOEXEC and the like if the program or the directory
 * cannot be used (bide_error_detail() says which of the two); -EBADF (a given descriptor); -EINVAL,
 * -EMFILE, -EAGAIN, -ENOMEM, -ESHUTDOWN; -ENOSYS in simulation. Suspends: no (the thread stands
 * still until the child runs the program). Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_exec(const char *const *arguments,
                                  const struct bide_process_opts *opts, bide_process **ret_process);

/*
 * Starts a command of the shell, /bin/sh. Never put together from what strangers send.
 *
 * command, opts: borrowed until return. ret_process: returns owned.
 * Returns as bide_process_exec(); what the shell does not find is its exit status, 127.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_shell(const char *command, const struct bide_process_opts *opts,
                                   bide_process **ret_process);

/*
 * The stream that is read by the child as its standard input; bide_write_eof() ends it.
 *
 * Returns borrowed until bide_process_close(), never to be closed by itself; NULL if it is no pipe.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_stream *bide_process_input(const bide_process *process);

/*
 * The stream of what the child writes to its standard output. It ends when nobody has the other end
 * any more: the child, and whatever it started and left behind.
 *
 * Returns borrowed, or NULL, as bide_process_input().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_stream *bide_process_output(const bide_process *process);

/*
 * The same of its standard error.
 *
 * Returns borrowed, or NULL, as bide_process_input().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_stream *bide_process_errors(const bide_process *process);

/*
 * The child's process number. Once the child has ended, others may have it.
 *
 * Returns it, or -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_pid(const bide_process *process);

/*
 * Waits until the child has ended, no matter who has its pipes still. Any number of tasks may.
 *
 * ret_exit: how it ended; NULL if that is not wanted.
 * Returns 0; -ECHILD if it ended, but something else in the program took its status; -ECANCELED,
 * -ECONNABORTED (the loop is gone), -EINVAL, -BIDE_ENOTASK. Suspends: yes. Cancel: the child goes
 * on. Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_wait(bide_process *process, struct bide_exit *ret_exit);

/*
 * Looks whether the child has ended.
 *
 * Returns 1 if it has, with *ret_exit set (which may be NULL); 0 if it runs; or an error of
 * bide_process_wait(). Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_poll(bide_process *process, struct bide_exit *ret_exit);

/*
 * Sends a signal to the child, or to its whole group if it was given one of its own.
 *
 * Returns 0, -ESRCH (it has ended; never does another process get the signal), -EPERM, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_signal(bide_process *process, int signo);

/*
 * Sends SIGTERM.
 *
 * Returns as bide_process_signal().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_terminate(bide_process *process);

/*
 * Sends SIGKILL.
 *
 * Returns as bide_process_signal().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_kill(bide_process *process);

/*
 * Feeds the child's standard input to its end, reads its output and errors to theirs, all at once,
 * and waits for its end. Only what is a pipe takes part. A child that does not want all of its
 * input is no failure. A process that the child left behind, and that has its pipes still, keeps
 * this waiting: put bide_within() around it, or start the child with new_group.
 *
 * input: size bytes, borrowed until return. limit_bytes: of output and errors each; 0: 16 MiB.
 * ret_communicated: returns owned, to be freed with bide_communicated_free().
 * Returns 0; -BIDE_ELIMIT (the child wrote more; it runs still); -EBUSY (another task communicates,
 * or reads one of the streams); -ENOMEM, or as bide_process_wait(). Suspends: yes. Cancel: what was
 * read so far is kept, and so is how far the input went: the same call again goes on from there.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_process_communicate(bide_process *process, const void *input, size_t size,
                                         size_t limit_bytes,
                                         struct bide_communicated *ret_communicated);

/*
 * Frees what is in the structure, and zeroes it.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_communicated_free(struct bide_communicated *communicated);

/*
 * Ends the child and gives the handle back. If the child runs: SIGTERM, the end of its input, and
 * after the grace time SIGKILL. Waits for its end; its pipes are closed after that. Of a child with
 * a group of its own, whatever is left of the group is killed too. Other tasks that wait for the
 * child learn how it ended, those that use its streams get -ECONNABORTED.
 *
 * process: takes, whatever is returned; NULL is allowed.
 * Returns 0, or -ECHILD as bide_process_wait(). Suspends: yes, a join. Cancel: kills the child at
 * once and waits for its end; a cancel that came before the call does not shorten the grace time.
 * Thread: loop thread only; outside tasks it does not wait, and the rest is done in the background.
 */
BIDE_EXPORT int bide_process_close(bide_process *process);

/*
 * bide_process_close() in the form that bide_with() and bide_defer() take.
 *
 * process: a bide_process, takes.
 * Suspends: yes, a join. Cancel: as bide_process_close(). Thread: loop thread only.
 */
static inline int bide_process_release(void *process)
{
    return bide_process_close((bide_process *)process);
}

BIDE_END_DECLARATIONS

#endif
