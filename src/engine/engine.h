/*
 * The whole outside world as the runtime sees it: clocks, the wait, descriptors, jobs, watchers,
 * signals. Everything above this header behaves the same on every engine; a simulated engine
 * answers the same calls without a kernel.
 *
 * Invariants that every engine keeps
 *  - One thread, the loop's, calls everything but wake(). No engine function suspends or runs user
 * code.
 *  - An operation (struct bide__op) lives in its owner. Starting it returns either its final result
 * at once, and then `done` is never called, or BIDE__PENDING, and then `done` is called exactly
 * once, from poll(), never from inside the call that started or cancelled it. Until then the
 * operation and all memory lent to it stay where they are.
 *  - cancel() is never lost and never hits another operation, also when submission queues are full
 * and memory is reused. The result that the operation had already reached wins; otherwise it ends
 * with -ECANCELED. An operation that ends with -ECANCELED although nobody asked is reported as
 * -ECONNABORTED.
 *  - Errors are negative errno values. Interrupted calls are retried inside.
 *  - Descriptors are close-on-exec and non-blocking, and belong to the engine until closed; in
 * simulation they are not the kernel's.
 */
#ifndef BIDE_ENGINE_ENGINE_H
#define BIDE_ENGINE_ENGINE_H

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { BIDE__PENDING = -EINPROGRESS };

/* poll() with this waits for as long as it takes. */
#define BIDE__NO_DEADLINE INT64_MAX

struct bide__engine;
struct bide__engine_ops;
struct bide__op;
struct bide__pool;

typedef void bide__op_done(struct bide__op *op);

enum bide__op_state {
    BIDE__OP_IDLE,
    BIDE__OP_PENDING,
    BIDE__OP_CANCELLING, /* pending, and its owner asked for its end */
};

/* The owner zeroes it once, sets `done`, and reads `result` inside done(). The rest is the
 * engine's. */
struct bide__op {
    bide__op_done *done;
    int result;
    uint8_t state; /* enum bide__op_state */
    uint8_t kind;
    uint16_t generation; /* grows with each start; part of what the kernel hands back */
    struct bide__sock *sock;
    struct bide__op *next;
    struct bide__op **link; /* what points at this one, while it is in a list of the engine's */
    struct bide__op *cancel_next;
    struct iovec *iov;
    int n_iov;
    size_t n_done; /* send: bytes that the kernel took so far, also when the operation fails or is
                      cancelled */
    const struct sockaddr *address;
    socklen_t address_length;
};

/*
 * A socket or pipe end. Engines extend it. Who holds one calls `engine`'s functions on it and on
 * its operations, which need not be the loop's engine: what threads serve brings functions of its
 * own.
 */
struct bide__sock {
    struct bide__engine *engine;
    int fd; /* -1 in simulation */
};

/* A user's descriptor that is watched for readiness, level-triggered. The engine owns it until
 * watch_close(). */
enum { BIDE__WATCH_READ = 1, BIDE__WATCH_WRITE = 2 };
struct bide__watch;
/* Called from poll(), at most once per watch and poll. `events`: what is ready of what was asked
 * for; errors and hang-ups count as both. */
typedef void bide__watch_ready(void *data, unsigned events);

struct bide__signal;
/* Called from poll() once for each time the signal arrived. */
typedef void bide__signal_arrived(void *data);

/* What sock_adopt() insists on. */
enum bide__adopt {
    BIDE__ADOPT_ANY,    /* whatever has readiness: a socket, a pipe, a terminal */
    BIDE__ADOPT_STREAM, /* a stream socket that does not listen */
    BIDE__ADOPT_INPUT,  /* no socket, and open for reading */
    BIDE__ADOPT_OUTPUT, /* no socket, and open for writing */
    BIDE__ADOPT_SHARED, /* a stream socket whose flags belong to others, too: they stay */
};

/* What a shared descriptor is used for. */
enum bide__direction { BIDE__INPUT, BIDE__OUTPUT };

enum bide__lane {
    BIDE__LANE_USER,    /* whatever users submit: at most `user_threads_max` at once */
    BIDE__LANE_FILE,    /* the library's own blocking work; never waits behind users' jobs */
    BIDE__LANE_RESOLVE, /* names: a lookup that hangs delays no file */
    BIDE__LANE_COUNT,
    BIDE__LANE_NONE, /* nothing to run: done() is called from the next poll() */
};

/*
 * Blocking work. run() happens on a pool thread; then done() on the loop's thread, from poll(), and
 * the job is its owner's again. After job_abandon() done() is not called: drop() is, exactly once,
 * on whichever thread lets go of the job last (if run() had not begun, it never does).
 */
struct bide__job {
    void (*run)(struct bide__job *job);
    void (*done)(struct bide__job *job);
    void (*drop)(struct bide__job *job);
    struct bide__job *next;  /* the pool's, as all below */
    struct bide__job **link; /* what points at this one, while it is in a list of the pool's */
    uint8_t lane;
    uint8_t state;
};

/* A name lookup: a job of the resolver's lane with its arguments and its answer. */
struct bide__lookup {
    struct bide__job job; /* done and drop are the owner's; the engine sets run */
    const char *host;     /* NULL: the wildcard or loopback address, by flags */
    const char *service;  /* number or name; may be NULL */
    struct addrinfo hints;
    int error;             /* 0, or a getaddrinfo error (EAI_…, non-zero) */
    int system_errno;      /* with EAI_SYSTEM */
    struct addrinfo *list; /* to be freed with the engine's lookup_free() */
};

/* What a child process has in the place of its standard input, output or error. */
enum bide__stdio_kind {
    BIDE__STDIO_INHERIT,
    BIDE__STDIO_PIPE,
    BIDE__STDIO_NULL,
    BIDE__STDIO_FD,     /* a descriptor of the caller's */
    BIDE__STDIO_OUTPUT, /* error only: what standard output is */
};

enum { BIDE__STDIO_COUNT = 3 };

/* A program to be started. All of it is borrowed until the call returns. */
struct bide__start {
    const char *const *arguments; /* arguments[0]: the program; without a slash, PATH is searched */
    const char *const *environment; /* NULL: our own */
    const char *directory;          /* NULL: our own */
    struct {
        enum bide__stdio_kind kind;
        int fd;
    } stdio[BIDE__STDIO_COUNT];
    bool new_group; /* signals and the end concern all processes of its group */
    bool new_session;
};

/* How a process ended. */
struct bide__end {
    int error;  /* negative: somebody else took the status */
    int status; /* of its exit */
    int signal; /* that killed it, or 0 */
    bool dumped_core;
};

/* A child process, until process_close(). */
struct bide__process {
    struct bide__engine *engine;
    int pid;
    bool ended;
    struct bide__end end; /* valid once it has ended */
};

/* Called from poll(), once, after `ended` and `end` were set. */
typedef void bide__process_ended(void *data);

/* What process_start() was doing when it failed. */
enum bide__start_step {
    BIDE__START_HERE,      /* in our own process */
    BIDE__START_STDIO,     /* the child's descriptors and groups */
    BIDE__START_DIRECTORY, /* changing to its directory */
    BIDE__START_PROGRAM,   /* executing the program */
};

struct bide__engine_opts {
    unsigned user_threads_max; /* 0: min(32, processors + 4) */
    unsigned queue_entries;    /* 0: the engine's default; small values are for tests */
    uint64_t seed;             /* simulation; 0: what BIDE_SEED says, or a fixed one */
};

struct bide__engine {
    const struct bide__engine_ops *ops;
};

struct bide__engine_ops {
    const char *name;

    /* Needs: no operation pending, no socket, watch or signal open. Joins user jobs for at most
     * `join_ns`, detaches the rest. */
    void (*close)(struct bide__engine *engine, int64_t join_ns);
    /* In a child after fork: releases memory and descriptors without touching state that the parent
     * shares. */
    void (*forget)(struct bide__engine *engine);

    int64_t (*now_ns)(struct bide__engine *engine);  /* monotonic, never 0 or less */
    int64_t (*wall_ns)(struct bide__engine *engine); /* since 1970-01-01 UTC */
    int (*entropy)(struct bide__engine *engine, void *buffer, size_t size);

    /*
     * Submits what was started, waits until `deadline_ns` (monotonic; in the past: does not wait;
     * BIDE__NO_DEADLINE) or until something is complete, ready, arrived or posted, and calls the
     * callbacks that are due. Returns how many it called, 0 when the time is up, or a negative
     * errno after which the engine is unusable; but -EDEADLK, in simulation: it was to wait for
     * ever, and nothing is under way that could end the wait.
     */
    int (*poll)(struct bide__engine *engine, int64_t deadline_ns);
    /* Any thread, and signal handlers: the poll() under way, or else the next one, does not wait.
     */
    void (*wake)(struct bide__engine *engine);

    /* Immediate calls on sockets. */
    int (*sock_open)(struct bide__engine *engine, int family, int type, int protocol,
                     struct bide__sock **ret_sock);
    /*
     * Takes a descriptor of the kernel's and makes it non-blocking and close-on-exec. -EBADF: there
     * is none. -EPERM: it has no readiness. If a stream is asked for, -ENOTSOCK: no socket, and
     * -EINVAL: a socket of another type, or one that listens; for input or output, -EINVAL: a
     * socket, and -EBADF also: not open for that. -ENOSYS in simulation. Not taken on failure; what
     * is refused for what it is stays as it was.
     */
    int (*sock_adopt)(struct bide__engine *engine, int fd, enum bide__adopt wanted,
                      struct bide__sock **ret_sock);
    /* Both ends of a new pipe. */
    int (*pipe)(struct bide__engine *engine, struct bide__sock **ret_read,
                struct bide__sock **ret_write);
    /*
     * A way of its own to what the descriptor stands for, whatever that is, a regular file among
     * them; the descriptor stays the caller's, and whoever else uses it notices nothing. -EBADF:
     * not open for this direction. -ENOSYS in simulation.
     */
    int (*sock_share)(struct bide__engine *engine, int fd, enum bide__direction direction,
                      struct bide__sock **ret_sock);
    /* Needs: no operation of the owner's pending on it. Closes at once; data that nobody took is
     * dropped. */
    void (*sock_close)(struct bide__sock *sock);
    int (*sock_bind)(struct bide__sock *sock, const struct sockaddr *address, socklen_t length);
    int (*sock_listen)(struct bide__sock *sock, int backlog);
    /* Of what is no socket only the end of writing, where nothing can be read: closes it, and
     * nothing may be pending. Otherwise -ENOTSOCK. */
    int (*sock_shutdown)(struct bide__sock *sock, int how);
    int (*sock_setopt)(struct bide__sock *sock, int level, int name, const void *value,
                       socklen_t length);
    int (*sock_getopt)(struct bide__sock *sock, int level, int name, void *value,
                       socklen_t *length);
    int (*sock_name)(struct bide__sock *sock, bool peer, struct sockaddr *ret_address,
                     socklen_t *length);
    /* Bytes that came (at least 1), 0 at the end of file, -EAGAIN if there is nothing yet, or an
     * error. */
    ssize_t (*try_recv)(struct bide__sock *sock, void *buffer, size_t size);
    /* Bytes that the kernel took (at least 1), -EAGAIN if it takes none now (an engine may answer
     * so to have it batched), or an error. */
    ssize_t (*try_send)(struct bide__sock *sock, const struct iovec *iov, int n_iov);
    /* The next connection in order of arrival, or -EAGAIN. EMFILE and its like are returned; the
     * connection stays queued. */
    int (*try_accept)(struct bide__sock *sock, struct bide__sock **ret_sock);

    /* Operations: return the result at once, or BIDE__PENDING. At most one of each kind per socket
     * at a time. */
    int (*connect)(struct bide__sock *sock, struct bide__op *op, const struct sockaddr *address,
                   socklen_t length);
    /* Ends with 0 when try_recv() would answer something other than -EAGAIN. */
    int (*recv_wait)(struct bide__sock *sock, struct bide__op *op);
    /* Ends with 0 when try_accept() would answer something other than -EAGAIN. */
    int (*accept_wait)(struct bide__sock *sock, struct bide__op *op);
    /* Sends all of it (the array is used up; n_iov <= IOV_MAX): 0, or an error with op->n_done
     * telling how far it came. */
    int (*send)(struct bide__sock *sock, struct bide__op *op, struct iovec *iov, int n_iov);
    void (*cancel)(struct bide__op *op); /* of a pending operation; otherwise nothing happens */

    /* -EEXIST: the descriptor is watched already. -EPERM: it has no readiness (a regular file).
     * -EBADF. */
    int (*watch_open)(struct bide__engine *engine, int fd, unsigned events,
                      bide__watch_ready *ready, void *data, struct bide__watch **ret_watch);
    int (*watch_set)(struct bide__watch *watch, unsigned events); /* 0: none for the time being */
    void (*watch_close)(struct bide__watch *watch); /* ready() is not called any more; also after
                                                       the descriptor was closed */

    /* -EBUSY: another loop of the process has this signal. The former action is back after
     * signal_close(). */
    int (*signal_open)(struct bide__engine *engine, int signo, bide__signal_arrived *arrived,
                       void *data, struct bide__signal **ret_signal);
    void (*signal_close)(struct bide__signal *signal);

    /*
     * Starts a program. `ret_socks[i]`: our end of the pipe, where stdio[i] asks for one, otherwise
     * unchanged. `ret_step` is set on failure: what failed, as far as the child. Nothing but the
     * three descriptors is open in the child; it starts with no signal blocked, and with SIGPIPE
     * and what we catch at their defaults. -ENOSYS in simulation.
     */
    int (*process_start)(struct bide__engine *engine, const struct bide__start *start,
                         bide__process_ended *ended, void *data,
                         struct bide__sock *ret_socks[BIDE__STDIO_COUNT],
                         enum bide__start_step *ret_step, struct bide__process **ret_process);
    /* To the process, or to its group if it has one of its own. -ESRCH: it has ended. Never reaches
     * another process that has its number now. */
    int (*process_signal)(struct bide__process *process, int signo);
    /* Looks whether it has ended: then `ended` and `end` are set, and the callback comes still. */
    bool (*process_look)(struct bide__process *process);
    /* Kills what is left of it and of its own group, and reaps it, waiting if need be for a moment;
     * the callback is not called any more. */
    void (*process_close)(struct bide__process *process);
    /* In a child after fork: lets go of it without touching it. */
    void (*process_forget)(struct bide__process *process);

    int (*job_submit)(struct bide__engine *engine, struct bide__job *job, enum bide__lane lane);
    void (*job_abandon)(struct bide__engine *engine, struct bide__job *job);
    int (*lookup)(struct bide__engine *engine, struct bide__lookup *lookup);
    /* Any thread; from a job's drop(), where the engine may be gone, with engine NULL. */
    void (*lookup_free)(struct bide__engine *engine, struct addrinfo *list);
};

/*
 * Opens the engine called `name`; NULL: what BIDE_ENGINE says, or else the default and, where the
 * kernel does not offer or forbids it, epoll. -EINVAL: no such engine; a name that was asked for is
 * never replaced by another.
 */
int bide__engine_open(const char *name, const struct bide__engine_opts *opts,
                      struct bide__engine **ret_engine);

int bide__epoll_open(const struct bide__engine_opts *opts, struct bide__engine **ret_engine);
int bide__uring_open(const struct bide__engine_opts *opts, struct bide__engine **ret_engine);
int bide__sim_open(const struct bide__engine_opts *opts, struct bide__engine **ret_engine);

#endif
