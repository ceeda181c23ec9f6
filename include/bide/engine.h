/*
 * The whole outside world as the runtime sees it: clocks, the wait, descriptors, jobs, watchers,
 * signals. Everything above this header behaves the same on every engine; a simulated engine
 * answers the same calls without a kernel.
 *
 * Invariants that every engine keeps
 *  - One thread, the loop's, calls everything but wake(). No engine function suspends or runs user
 * code.
 *  - An operation (struct bide_op) lives in its owner. Starting it returns either its final result
 * at once, and then `done` is never called, or BIDE_PENDING, and then `done` is called exactly
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
#ifndef BIDE_ENGINE_H
#define BIDE_ENGINE_H

#include <bide/engine_file.h>
#include <bide/engine_work.h>

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

BIDE_BEGIN_DECLARATIONS

/* What starting an operation returns. */
enum {
    BIDE_PENDING = -EINPROGRESS, /* it goes on, and done() is called with its end */
};

/* poll() with this waits for as long as it takes. */
#define BIDE_NO_DEADLINE INT64_MAX

/* An engine's functions. */
struct bide_engine_ops;
/* An operation under way. */
struct bide_op;

/* The end of an operation. */
typedef void bide_op_done(struct bide_op *op);

/* What an operation is doing. */
enum bide_op_state {
    BIDE_OP_IDLE,       /* nothing: not started, or ended */
    BIDE_OP_PENDING,    /* it was started, and done() is still to be called */
    BIDE_OP_CANCELLING, /* pending, and its owner asked for its end */
};

/*
 * The owner zeroes it once, sets `done`, and reads `result` inside done(). The rest is the
 * engine's, to be used as it likes but for two fields: it sets `sock` to the socket and `state` to
 * BIDE_OP_PENDING when it returns BIDE_PENDING, and `state` back to BIDE_OP_IDLE before it calls
 * done(), which may start the operation again or free it. Owners look at both.
 */
struct bide_op {
    bide_op_done *done;
    int result;
    uint8_t state; /* enum bide_op_state */
    uint8_t kind;
    uint16_t generation; /* grows with each start; part of what the kernel hands back */
    struct bide_sock *sock;
    struct bide_op *next;
    struct bide_op **link; /* what points at this one, while it is in a list of the engine's */
    struct bide_op *cancel_next;
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
struct bide_sock {
    struct bide_engine *engine;
    int fd; /* -1 in simulation */
    /*
     * The end must be said in the socket's own words: before sock_close() its owner calls
     * sock_shutdown(SHUT_WR), and then an empty send(), or the peer takes the end for a break.
     */
    bool parting;
};

/* A user's descriptor that is watched for readiness, level-triggered. The engine owns it until
 * watch_close(). */
enum {
    BIDE_WATCH_READ = 1,  /* readable, or at its end */
    BIDE_WATCH_WRITE = 2, /* room to write */
};
/* A watched descriptor. Engines extend it. */
struct bide_watch {
    struct bide_engine *engine; /* whose functions are called on it */
};
/* Called from poll(), at most once per watch and poll. `events`: what is ready of what was asked
 * for; errors and hang-ups count as both. */
typedef void bide_watch_ready(void *data, unsigned events);

/* A signal that is waited for. Engines extend it. */
struct bide_signal {
    struct bide_engine *engine; /* whose functions are called on it */
};
/* Called from poll() once for each time the signal arrived. */
typedef void bide_signal_arrived(void *data);

/* What sock_adopt() insists on. */
enum bide_adopt {
    BIDE_ADOPT_ANY,    /* whatever has readiness: a socket, a pipe, a terminal */
    BIDE_ADOPT_STREAM, /* a stream socket that does not listen */
    BIDE_ADOPT_INPUT,  /* no socket, and open for reading */
    BIDE_ADOPT_OUTPUT, /* no socket, and open for writing */
    BIDE_ADOPT_SHARED, /* a stream socket whose flags belong to others, too: they stay */
    BIDE_ADOPT_SOCKET, /* a socket of any type and state */
};

/* What a shared descriptor is used for. */
enum bide_direction {
    BIDE_INPUT,  /* reading */
    BIDE_OUTPUT, /* writing */
};

/* Which file a local socket is bound to; zero if it has none. */
struct bide_local_file {
    uint64_t device;
    uint64_t inode;
};

/* How an engine is made; zeroed fields mean defaults. */
struct bide_engine_opts {
    unsigned user_threads_max; /* 0: min(32, processors + 4) */
    unsigned queue_entries;    /* 0: the engine's default; small values are for tests */
    uint64_t seed;             /* simulation; 0: what BIDE_SEED says, or a fixed one */
};

/* What every engine begins with. open() of an added one leaves it to the library to set `ops`. */
struct bide_engine {
    const struct bide_engine_ops *ops;
};

/*
 * What holds for all of them stands at the top of this file. The library calls none that is NULL:
 * the gaps of a table that a program adds (bide/engine_kind.h) are filled.
 *  - close(), poll() and wake() have to be there. With these three tasks, timers, callbacks and
 * posts from other threads work.
 *  - now_ns(), wall_ns(), entropy(): the kernel's. forget(): does nothing, and what the engine has
 * stays in the child. wait_fd(): -ENOSYS, and so bide_loop_fd() says.
 *  - pipe(), sock_share(): made of sock_adopt(), of descriptors of the kernel's; sharing needs
 * watches and jobs as well. sock_bind(), sock_listen(), sock_shutdown(), sock_setopt(),
 * sock_getopt(), sock_name(): the system calls, on the socket's `fd`.
 *  - sock_open(), sock_adopt(), the try_ calls and the operations: -ENOSYS, which is what
 * connecting, listening and adopting then return. Whoever has one of the last two kinds has
 * sockets of its own, and needs sock_close() and cancel().
 *  - watch_open(), signal_open(): -ENOSYS, as then bide_loop_add_reader() and its like.
 *  - The calls on processes: made of watch_open() and sock_adopt(); without watches -ENOSYS.
 *  - job_submit(), which needs job_abandon(): -ENOSYS, and nothing works that may block: names,
 * regular files. lookup(): a job; without jobs -ENOSYS, and only numeric addresses are resolved.
 * file_start() and what belongs to it: system calls, in jobs where they may wait; without jobs
 * -ENOSYS.
 * lookup_free(): freeaddrinfo().
 *  - Whatever ends or changes something that an open call returned: is passed to the engine that
 * this belongs to.
 *
 * An engine that stands on another one may hand out what that one opened (sockets, watches,
 * signals, children) without a wrapping of its own, as each names its engine. It then has to call
 * the other one's poll() in its own, which is where the callbacks come from: when the descriptor of
 * wait_fd() is readable, or the time is up.
 */
struct bide_engine_ops {
    const char *name;

    /* Needs: no operation pending, no socket, watch or signal open, no call on a file that was not
     * abandoned. Joins user jobs and such calls for at most `join_ns`, detaches the rest. */
    void (*close)(struct bide_engine *engine, int64_t join_ns);
    /* In a child after fork: releases memory and descriptors without touching state that the parent
     * shares. */
    void (*forget)(struct bide_engine *engine);

    int64_t (*now_ns)(struct bide_engine *engine);  /* monotonic, never 0 or less */
    int64_t (*wall_ns)(struct bide_engine *engine); /* since 1970-01-01 UTC */
    int (*entropy)(struct bide_engine *engine, void *buffer, size_t size);

    /*
     * Submits what was started, waits until `deadline_ns` (monotonic; in the past: does not wait;
     * BIDE_NO_DEADLINE) or until something is complete, ready, arrived or posted, and calls the
     * callbacks that are due. Returns how many it called, 0 when the time is up, or a negative
     * errno after which the engine is unusable; but -EDEADLK, in simulation: it was to wait for
     * ever, and nothing is under way that could end the wait.
     */
    int (*poll)(struct bide_engine *engine, int64_t deadline_ns);
    /* Any thread, and signal handlers: the poll() under way, or else the next one, does not wait.
     */
    void (*wake)(struct bide_engine *engine);
    /*
     * Before each wait that somebody else does in the place of poll(): submits what was started,
     * lowers `deadline_ns` to when poll() has to be called at the latest (in the past: at once),
     * and returns a descriptor, the engine's own and the same each time, which poll(2) reports as
     * readable as soon as poll() has something to do, a wake() included. Then poll() is called.
     * -ENOSYS: there is no such descriptor, as in simulation.
     */
    int (*wait_fd)(struct bide_engine *engine, int64_t *deadline_ns);

    /* Immediate calls on sockets. */
    int (*sock_open)(struct bide_engine *engine, int family, int type, int protocol,
                     struct bide_sock **ret_sock);
    /*
     * Takes a descriptor of the kernel's and makes it non-blocking and close-on-exec. -EBADF: there
     * is none. -EPERM: it has no readiness. If a socket is asked for, -ENOTSOCK: it is none; if a
     * stream, also -EINVAL: a socket of another type, or one that listens; for input or output,
     * -EINVAL: a socket, and -EBADF also: not open for that. -ENOSYS in simulation. Not taken on
     * failure; what is refused for what it is stays as it was.
     */
    int (*sock_adopt)(struct bide_engine *engine, int fd, enum bide_adopt wanted,
                      struct bide_sock **ret_sock);
    /* Both ends of a new pipe. */
    int (*pipe)(struct bide_engine *engine, struct bide_sock **ret_read,
                struct bide_sock **ret_write);
    /*
     * A way of its own to what the descriptor stands for, whatever that is, a regular file among
     * them; the descriptor stays the caller's, and whoever else uses it notices nothing. -EBADF:
     * not open for this direction. -ENOSYS in simulation.
     */
    int (*sock_share)(struct bide_engine *engine, int fd, enum bide_direction direction,
                      struct bide_sock **ret_sock);
    /* Needs: no operation of the owner's pending on it. Closes at once; data that nobody took is
     * dropped. */
    void (*sock_close)(struct bide_sock *sock);
    int (*sock_bind)(struct bide_sock *sock, const struct sockaddr *address, socklen_t length);
    /*
     * As sock_bind() to a name of AF_UNIX (a path with its NUL, or an abstract one). A path gets
     * the permissions `mode` (0: as the umask says), and takes the place of a socket's file that
     * nobody listens on. -EADDRINUSE: somebody does, or it is another kind of file. ret_file: set.
     */
    int (*local_bind)(struct bide_sock *sock, const struct sockaddr *address, socklen_t length,
                      unsigned mode, struct bide_local_file *ret_file);
    /* Removes the file if it is still the one that local_bind() made. */
    void (*local_unbind)(struct bide_sock *sock, const struct sockaddr *address,
                         const struct bide_local_file *file);
    int (*sock_listen)(struct bide_sock *sock, int backlog);
    /* Of what is no socket only the end of writing, where nothing can be read: closes it, and
     * nothing may be pending. Otherwise -ENOTSOCK. */
    int (*sock_shutdown)(struct bide_sock *sock, int how);
    int (*sock_setopt)(struct bide_sock *sock, int level, int name, const void *value,
                       socklen_t length);
    int (*sock_getopt)(struct bide_sock *sock, int level, int name, void *value, socklen_t *length);
    int (*sock_name)(struct bide_sock *sock, bool peer, struct sockaddr *ret_address,
                     socklen_t *length);
    /* Bytes that came (at least 1), 0 at the end of file, -EAGAIN if there is nothing yet, or an
     * error. Of a datagram socket: as much of the next message as fits, the rest of it is lost; 0
     * is an empty message, for there is no end. */
    ssize_t (*try_recv)(struct bide_sock *sock, void *buffer, size_t size);
    /* Bytes that the kernel took (at least 1), -EAGAIN if it takes none now (an engine may answer
     * so to have it batched), or an error. A datagram socket takes all as one message; of nothing
     * there is no message, see try_send_message(). */
    ssize_t (*try_send)(struct bide_sock *sock, const struct iovec *iov, int n_iov);
    /*
     * As recvmsg(2): data together with who sent it and with control data, as much as there is room
     * for; what was lost for want of it, msg_flags tells (MSG_TRUNC, MSG_CTRUNC). Descriptors that
     * come (SCM_RIGHTS) are close-on-exec and the caller's; those that find no room are closed.
     * Returns as try_recv(). An error that an earlier message brought about,
     * -ECONNREFUSED for one, is told once, by whichever call comes first. -ENOTSOCK: what is no
     * socket has no messages.
     */
    ssize_t (*try_recv_message)(struct bide_sock *sock, struct msghdr *message);
    /*
     * As sendmsg(2). A datagram socket takes a message whole (-EMSGSIZE: it is too large), an empty
     * one too; a stream may take a part, and takes the control data with its first byte.
     * Descriptors stay the caller's. -EAGAIN: no room, or the receiver has none; -ENOTSOCK.
     */
    ssize_t (*try_send_message)(struct bide_sock *sock, const struct msghdr *message);
    /*
     * Of a file, from `offset` on: bytes that the kernel took straight out of its own memory (at
     * least 1), or 0 at the end of the file. -EAGAIN: no room; -ENODATA: a disk would have to be
     * waited for; -EOPNOTSUPP: this socket or file can't, and whoever asked reads and sends.
     */
    ssize_t (*try_send_file)(struct bide_sock *sock, int file, int64_t offset, size_t size);
    /* The next connection in order of arrival, or -EAGAIN. EMFILE and its like are returned; the
     * connection stays queued. */
    int (*try_accept)(struct bide_sock *sock, struct bide_sock **ret_sock);

    /* Operations: return the result at once, or BIDE_PENDING. At most one of each kind per socket
     * at a time. */
    int (*connect)(struct bide_sock *sock, struct bide_op *op, const struct sockaddr *address,
                   socklen_t length);
    /* Ends with 0 when try_recv() would answer something other than -EAGAIN. */
    int (*recv_wait)(struct bide_sock *sock, struct bide_op *op);
    /*
     * Ends with 0 when try_send() or try_send_message() would answer something other than -EAGAIN,
     * as far as that can be told: what a Unix datagram socket that is not connected waits for, the
     * kernel does not know, and says at once that there is room. -ENOTSOCK: what threads serve.
     */
    int (*send_wait)(struct bide_sock *sock, struct bide_op *op);
    /* Ends with 0 when try_accept() would answer something other than -EAGAIN. */
    int (*accept_wait)(struct bide_sock *sock, struct bide_op *op);
    /* Sends all of it (the array is used up; n_iov <= IOV_MAX): 0, or an error with op->n_done
     * telling how far it came. Nothing to send (n_iov may be 0, and iov NULL): ends when everything
     * is out that the socket itself holds, with one of the kernel's at once. */
    int (*send)(struct bide_sock *sock, struct bide_op *op, struct iovec *iov, int n_iov);
    void (*cancel)(struct bide_op *op); /* of a pending operation; otherwise nothing happens */

    /* -EEXIST: the descriptor is watched already. -EPERM: it has no readiness (a regular file).
     * -EBADF. */
    int (*watch_open)(struct bide_engine *engine, int fd, unsigned events, bide_watch_ready *ready,
                      void *data, struct bide_watch **ret_watch);
    int (*watch_set)(struct bide_watch *watch, unsigned events); /* 0: none for the time being */
    void (*watch_close)(struct bide_watch *watch); /* ready() is not called any more; also after
                                                       the descriptor was closed */

    /* -EBUSY: another loop of the process has this signal. The former action is back after
     * signal_close(). */
    int (*signal_open)(struct bide_engine *engine, int signo, bide_signal_arrived *arrived,
                       void *data, struct bide_signal **ret_signal);
    void (*signal_close)(struct bide_signal *signal);

    /*
     * Starts a program. `ret_socks[i]`: our end of the pipe, where stdio[i] asks for one, otherwise
     * unchanged. `ret_step` is set on failure: what failed, as far as the child. Nothing but the
     * three descriptors is open in the child; it starts with no signal blocked, and with SIGPIPE
     * and what we catch at their defaults. -ENOSYS in simulation.
     */
    int (*process_start)(struct bide_engine *engine, const struct bide_child_start *start,
                         bide_child_ended *ended, void *data,
                         struct bide_sock *ret_socks[BIDE_CHILD_STDIO_COUNT],
                         enum bide_child_step *ret_step, struct bide_child **ret_process);
    /* To the process, or to its group if it has one of its own. -ESRCH: it has ended. Never reaches
     * another process that has its number now. */
    int (*process_signal)(struct bide_child *process, int signo);
    /* Looks whether it has ended: then `ended` and `end` are set, and the callback comes still. */
    bool (*process_look)(struct bide_child *process);
    /* Kills what is left of it and of its own group, and reaps it, waiting if need be for a moment;
     * the callback is not called any more. */
    void (*process_close)(struct bide_child *process);
    /* In a child after fork: lets go of it without touching it. */
    void (*process_forget)(struct bide_child *process);

    int (*job_submit)(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane);
    void (*job_abandon)(struct bide_engine *engine, struct bide_job *job);
    int (*lookup)(struct bide_engine *engine, struct bide_lookup *lookup);
    /* Any thread; from a job's drop(), where the engine may be gone, with engine NULL. */
    void (*lookup_free)(struct bide_engine *engine, struct addrinfo *list);

    /*
     * Does a call on a file at once if that needs no wait; its buffer may be anybody's, its job is
     * not used. 0: done, `result` is set. -EAGAIN: not now. -EOPNOTSUPP: never with this
     * descriptor.
     */
    int (*file_try)(struct bide_engine *engine, struct bide_file_call *call);
    /* Starts a call. An error: not taken. */
    int (*file_start)(struct bide_engine *engine, struct bide_file_call *call);
    /* As job_abandon(). It may take place all the same. */
    void (*file_abandon)(struct bide_engine *engine, struct bide_file_call *call);
    /*
     * Asks for the end of a call that was started. True: it has not begun and never will, and is
     * its owner's again. False: done() is called still, with the call's result, or with -ECANCELED
     * if it did not take place.
     */
    bool (*file_recall)(struct bide_engine *engine, struct bide_file_call *call);
    /* Closes at once what a call opened. Any thread; from drop(), where the engine may be gone. */
    void (*file_let_go)(struct bide_engine *engine, int fd);
};

BIDE_END_DECLARATIONS

#endif
