/*
 * What the files of the io_uring engine share.
 *
 * Invariants
 *  - The submission queue is filled by poll(), and by sock_close() with a cancel; nobody else. In
 *    between all work waits in intrusive lists of any length, so that the queue's size limits no
 *    one: what was started and not yet submitted is cancelled without the kernel ever hearing of
 *    it, and a cancel waits for its place in the queue as long as it takes.
 *  - An operation is in at most one list. PENDING and linked: not submitted. PENDING or CANCELLING
 *    and not linked: the kernel has it and owes exactly one final completion. CANCELLING and
 *    linked: its cancel is not submitted, or (in `finished`) it ends with the next poll().
 *  - user_data is the operation's address with its generation in the top 16 bits. The memory
 *    behind it stays until the final completion; the generation keeps a late cancel from an
 *    operation that lives at the same place later.
 *  - The ring runs completions only inside our own calls (DEFER_TASKRUN): between them the kernel
 *    reads no socket, uses no buffer and drops no reference.
 */
#ifndef BIDE_ENGINE_URING_H
#define BIDE_ENGINE_URING_H

#include <liburing.h>

#include "base/list.h"
#include "engine/engine.h"
#include "engine/pool.h"
#include "engine/signal.h"
#include "engine/socket.h"
#include "engine/wake.h"
#include "engine/watch.h"

enum bide__uring_kind {
    /* The owner's. The first two wait for the socket's own request, and are never the kernel's. */
    BIDE__URING_RECV_WAIT,
    BIDE__URING_ACCEPT_WAIT,
    BIDE__URING_CONNECT,
    BIDE__URING_SEND,
    BIDE__URING_WRITE, /* as SEND, of what is not TCP: waits for room and writes */
    BIDE__URING_SEND_WAIT,
    BIDE__URING_FILE, /* a call on a file */
    /* The engine's. */
    BIDE__URING_REQUEST_RECV, /* multishot */
    BIDE__URING_REQUEST_POLL, /* one readiness */
    BIDE__URING_REQUEST_WAKE, /* multishot */
    BIDE__URING_REQUEST_WATCHES,
};

struct bide__uring_list {
    struct bide_op *first;
    struct bide_op **end;
};

/* A buffer that the kernel filled, and where it stands in its socket's queue. */
struct bide__uring_chunk {
    uint32_t size; /* what is left */
    uint32_t offset;
    uint16_t next; /* valid unless it is the last */
};

/*
 * The buffers for multishot receives. Those that are not `provided` yet have never been touched and
 * cost no memory.
 */
struct bide__uring_buffers {
    struct io_uring_buf_ring *ring;
    char *memory;
    struct bide__uring_chunk *chunks; /* by buffer number */
    unsigned n_max;                   /* a power of two */
    unsigned n_provided; /* buffers in use at all: with the kernel, or queued on a socket */
    unsigned n_free;     /* with the kernel, as far as its completions were seen */
};

struct bide__uring {
    struct bide_engine base;
    struct io_uring ring;
    bool is_enabled;
    bool is_watch_ready;
    int poll_fd; /* tells poll(2) of the ring; -1: nobody needs that */
    int nest_fd; /* an epoll set of all that ends a wait; -1: nobody else waits */
    struct bide__wake wake;
    struct bide_op wake_request;
    struct bide_op watch_request;
    struct bide__watch_set watches;
    int watch_fd;        /* the set's, to be polled */
    unsigned n_attached; /* sets so far */
    unsigned n_nested;   /* how many there were when `nest_fd` learnt of one */
    struct bide__signals signals;
    struct bide__pool *pool;
    struct bide__uring_list starts;   /* not submitted, in order */
    struct bide__uring_list cancels;  /* not submitted */
    struct bide__uring_list finished; /* decided without the kernel; done() is due */
    struct bide__list socks;          /* all that have memory, closed ones too */
    struct bide__list cached;         /* memory for further ones */
    unsigned n_cached;
    struct bide__list full;    /* receivers that may have queued more than their share */
    struct bide__list resting; /* listeners that starved */
    int64_t rest_end_ns;       /* of all that rest */
    unsigned n_closes;
    unsigned n_files;    /* calls that are the ring's, and not called back or dropped */
    uint64_t file_kinds; /* bits: which calls this kernel does */
    struct bide__uring_buffers buffers;
    int n_called; /* by the poll() under way, or the last one */
};

struct bide__uring_sock {
    struct bide_sock base;
    unsigned traits;      /* enum bide__fd_traits */
    unsigned n_chunks;    /* that are queued */
    uint16_t first_chunk; /* valid if there are any, as last_chunk */
    uint16_t last_chunk;
    bool is_closed;         /* only the final completion of `request` is waited for */
    bool has_ended;         /* behind what is queued comes `end` */
    bool is_bulk;           /* much came at a time, so that a copy costs more than a call */
    bool is_drained;        /* the last direct read took all; said once */
    unsigned n_small;       /* direct reads in a row that took little */
    bool is_sending;        /* the owner's send is pending */
    bool had_room;          /* a wait for room has ended: the next send is not batched */
    bool has_starved;       /* a listener that found no descriptor or memory for a connection */
    int end;                /* 0, the end of file, or an error */
    int lost;               /* why the connection went down, if a call was told */
    unsigned n_closes_seen; /* when it starved */
    unsigned n_refused;     /* waits for readiness in a row that ended for no reason */
    struct bide_op *waiter; /* the owner's recv_wait or accept_wait */
    struct bide_op request; /* for data or readiness to read; ends the waiter */
    struct bide__list node; /* in the engine's `socks` */
    struct bide__list full_node; /* in `full` */
    struct bide__list rest_node; /* in `resting` */
    struct msghdr message;       /* of the send that is being submitted */
};

/* uring.c */
void bide__uring_list_init(struct bide__uring_list *list);
void bide__uring_list_append(struct bide__uring_list *list, struct bide_op *op);
void bide__uring_list_remove(struct bide__uring_list *list, struct bide_op *op);
/* Puts an operation that the kernel does not have in the queue for it. */
void bide__uring_start(struct bide__uring *uring, struct bide_op *op);
/* Asks for the end of an operation that is started; if the kernel has it, its final completion
 * still comes. */
void bide__uring_stop(struct bide__uring *uring, struct bide_op *op);
/* Lets an operation that is in no list and not the kernel's end with the next poll(). */
void bide__uring_finish(struct bide__uring *uring, struct bide_op *op, int result);
/* Runs done(); only inside poll(). */
void bide__uring_complete(struct bide__uring *uring, struct bide_op *op, int result);
/*
 * Takes an operation of the engine's own back from the kernel now, as far as its references to the
 * file go, instead of with the next poll. The final completion still comes. -EBUSY, -EEXIST
 * (another thread) and the like: it did not work.
 */
int bide__uring_detach(struct bide__uring *uring, struct bide_op *op);

/* Makes what poll(2) is told of the ring by. */
int bide__uring_open_for_poll(struct bide__uring *uring);
/* Hands the kernel all that waits for it; `deadline_ns` as in wait_fd(). */
int bide__uring_submit(struct bide__uring *uring, int64_t *deadline_ns);

/* uring_nest.c */
int bide__uring_wait_fd(struct bide_engine *engine, int64_t *deadline_ns);

/* uring_sock.c */
int bide__uring_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                          struct bide_sock **ret_sock);
int bide__uring_sock_adopt(struct bide_engine *engine, int fd, enum bide_adopt wanted,
                           struct bide_sock **ret_sock);
void bide__uring_sock_close(struct bide_sock *base);
int bide__uring_sock_shutdown(struct bide_sock *base, int how);
/* Nobody refers to it any more. */
void bide__uring_sock_release(struct bide__uring_sock *sock);
int bide__uring_connect(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                        socklen_t length);
int bide__uring_try_accept(struct bide_sock *base, struct bide_sock **ret_sock);
int bide__uring_accept_wait(struct bide_sock *base, struct bide_op *op);
ssize_t bide__uring_try_send(struct bide_sock *base, const struct iovec *iov, int n_iov);
ssize_t bide__uring_try_send_message(struct bide_sock *base, const struct msghdr *message);
ssize_t bide__uring_try_send_file(struct bide_sock *base, int file, int64_t offset, size_t size);
int bide__uring_send_wait(struct bide_sock *base, struct bide_op *op);
int bide__uring_send(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov);
void bide__uring_cancel(struct bide_op *op);
/* Final completions. */
void bide__uring_connect_done(struct bide_op *op, int result);
void bide__uring_send_done(struct bide_op *op, int result);
void bide__uring_write_done(struct bide_op *op, int result);
void bide__uring_send_wait_done(struct bide_op *op, int result);
/* Ends the rest of the listeners that starved. */
void bide__uring_rise(struct bide__uring *uring);
/* Remembers the error if it means that the connection is gone; returns it. */
ssize_t bide__uring_note_loss(struct bide__uring_sock *sock, ssize_t rc);

/* Likewise, of an error that the kernel swallowed. */
void bide__uring_note_silent_loss(struct bide__uring_sock *sock);

/* uring_recv.c */
int bide__uring_buffers_init(struct bide__uring_buffers *buffers, struct io_uring *ring,
                             unsigned n_max);
void bide__uring_buffers_fini(struct bide__uring_buffers *buffers);
ssize_t bide__uring_try_recv(struct bide_sock *base, void *buffer, size_t size);
ssize_t bide__uring_try_recv_message(struct bide_sock *base, struct msghdr *message);
int bide__uring_recv_wait(struct bide_sock *base, struct bide_op *op);
/* Makes `op` the one that the socket's request ends. */
void bide__uring_wait(struct bide__uring_sock *sock, struct bide_op *op,
                      enum bide__uring_kind kind);
/* Starts the socket's request if somebody waits for it and it is not started, unless the socket
 * rests. */
void bide__uring_request(struct bide__uring_sock *sock);
/* Forgets what is queued. */
void bide__uring_recv_drop(struct bide__uring_sock *sock);
/* Stops the receivers that queued more than their share and whose owners did not take it since. */
void bide__uring_recv_throttle(struct bide__uring *uring);
/* Completions of a socket's request. */
void bide__uring_recv_done(struct bide__uring_sock *sock, const struct io_uring_cqe *cqe);
void bide__uring_poll_done(struct bide__uring_sock *sock, int result);

/* uring_file.c */
/* Asks the kernel which calls it does; a ring that can't be asked has none. */
void bide__uring_files_init(struct bide__uring *uring);
int bide__uring_file_start(struct bide_engine *engine, struct bide_file_call *call);
void bide__uring_file_abandon(struct bide_engine *engine, struct bide_file_call *call);
bool bide__uring_file_recall(struct bide_engine *engine, struct bide_file_call *call);
void bide__uring_file_prepare(struct io_uring_sqe *sqe, struct bide_op *op);
/* A final completion. */
void bide__uring_file_done(struct bide__uring *uring, struct bide_op *op, int result);

static inline struct bide__uring *bide__uring_of(struct bide_engine *engine)
{
    return (struct bide__uring *)(void *)engine;
}

static inline struct bide__uring_sock *bide__uring_sock_of(struct bide_sock *sock)
{
    return (struct bide__uring_sock *)(void *)sock;
}

#endif
