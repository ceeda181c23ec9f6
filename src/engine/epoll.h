/*
 * The engine on epoll(7): the system call first, and the wait only if the kernel has nothing to
 * give.
 *
 * Invariants
 *  - A socket is registered once, edge-triggered, before it is first waited for. From then on
 * `readable` and `writable` say whether a system call may succeed: cleared by the call that found
 * the end, set by the event that follows. Before, they are not trusted.
 *  - poll() first applies all events to sockets and operations, then calls back. So no event is
 * looked at after user code could have closed something, and no event is older than the operation
 * that it completes.
 *  - An operation waits in its socket's `ops`, or is decided and waits in the engine's `due` list
 * for poll() to call it.
 *  - Events name a slot and its serial, not memory: one that arrives for a socket that was closed
 * (its file may live on in a forked child) finds nobody.
 */
#ifndef BIDE_ENGINE_EPOLL_H
#define BIDE_ENGINE_EPOLL_H

#include <sys/epoll.h>

#include "engine/engine.h"
#include "engine/pool.h"
#include "engine/signal.h"
#include "engine/socket.h"
#include "engine/wake.h"
#include "engine/watch.h"

/* Of one poll(). */
enum { BIDE__EPOLL_EVENTS_MAX = 256 };

enum bide__epoll_op {
    BIDE__EPOLL_RECV,
    BIDE__EPOLL_ACCEPT,
    BIDE__EPOLL_SEND,
    BIDE__EPOLL_SEND_WAIT,
    BIDE__EPOLL_CONNECT,
    BIDE__EPOLL_KINDS,
    BIDE__EPOLL_DECIDED = BIDE__EPOLL_KINDS
};

/* Slots that name no socket. */
#define BIDE__EPOLL_SLOT_WAKE (UINT32_MAX - 1)
#define BIDE__EPOLL_SLOT_WATCHES UINT32_MAX

struct bide__epoll_sock {
    struct bide_sock base;
    struct bide_op *ops[BIDE__EPOLL_KINDS];
    uint32_t slot;
    uint8_t traits; /* enum bide__fd_traits */
    bool registered;
    bool readable;
    bool writable;
    bool uneven; /* the end, an error or urgent data came: a short read proves nothing any more */
    bool adopted;
    bool resting;         /* a listener that found no descriptor or memory for a connection */
    uint32_t closes_seen; /* resting: the engine's count of them at that time */
    int lost;             /* why the connection went down, if a call was told */
    struct bide__epoll_sock *next_cached;
};

struct bide__epoll_slot {
    struct bide__epoll_sock *sock;
    uint32_t serial;
    uint32_t next_free;
};

struct bide__epoll {
    struct bide_engine base;
    int fd;
    bool coarse; /* the kernel has no epoll_pwait2() */
    bool nested; /* somebody else waits: what made `fd` readable has to be collected */
    bool watches_ready;
    struct bide__wake wake;
    struct bide__watch_set watches;
    struct bide__signals signals;
    struct bide__pool *pool;
    struct bide_op *due;
    struct bide_op **due_end;
    struct bide_op *resting;
    int64_t rest_until_ns;
    uint32_t n_closes;
    size_t n_registered;
    struct bide__epoll_slot *slots;
    uint32_t n_slots;
    uint32_t free_slot; /* n_slots: none */
    struct bide__epoll_sock *cached;
    unsigned n_cached;
    int n_events_max;
    struct epoll_event events[BIDE__EPOLL_EVENTS_MAX];
};

static inline struct bide__epoll *bide__epoll_of(struct bide_engine *engine)
{
    return (struct bide__epoll *)engine;
}

/* epoll.c */

/* Adds a descriptor to the kernel's set. */
int bide__epoll_set_add(struct bide__epoll *epoll, int fd, uint32_t mask, uint32_t slot,
                        uint32_t serial);

/* epoll_sock.c: the engine's calls of these names, and what an event changes. */

int bide__epoll_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                          struct bide_sock **ret_sock);
int bide__epoll_sock_adopt(struct bide_engine *engine, int fd, enum bide_adopt wanted,
                           struct bide_sock **ret_sock);
void bide__epoll_sock_close(struct bide_sock *base);
int bide__epoll_sock_shutdown(struct bide_sock *base, int how);
int bide__epoll_sock_setopt(struct bide_sock *base, int level, int name, const void *value,
                            socklen_t length);
ssize_t bide__epoll_try_recv(struct bide_sock *base, void *buffer, size_t size);
ssize_t bide__epoll_try_send(struct bide_sock *base, const struct iovec *iov, int n_iov);
ssize_t bide__epoll_try_recv_message(struct bide_sock *base, struct msghdr *message);
ssize_t bide__epoll_try_send_message(struct bide_sock *base, const struct msghdr *message);
ssize_t bide__epoll_try_send_file(struct bide_sock *base, int file, int64_t offset, size_t size);
int bide__epoll_send(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov);
int bide__epoll_connect(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                        socklen_t length);
int bide__epoll_recv_wait(struct bide_sock *base, struct bide_op *op);
int bide__epoll_send_wait(struct bide_sock *base, struct bide_op *op);
int bide__epoll_try_accept(struct bide_sock *base, struct bide_sock **ret_sock);
int bide__epoll_accept_wait(struct bide_sock *base, struct bide_op *op);
void bide__epoll_cancel(struct bide_op *op);

/* Notes what the event says, and decides what waited for that. */
void bide__epoll_apply(struct bide__epoll *epoll, const struct epoll_event *event);
/* Lets listeners that starved try again, if it is time. */
void bide__epoll_end_rest(struct bide__epoll *epoll);

#endif
