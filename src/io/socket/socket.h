/*
 * A bare socket, as the calls that wait on it share it.
 *
 * Invariants
 *  - `refs` counts the owner's handle, every call that is inside, and the engine's socket: the
 * structure goes when nobody can reach it and the socket is closed. Calls that a closing loop
 * abandoned do not count any more.
 *  - Once `error` is set nothing is started any more, and the engine's socket is closed as soon as
 * neither side's operation is pending.
 *  - A side is one task's from begin to end.
 */
#ifndef BIDE_IO_SOCKET_H
#define BIDE_IO_SOCKET_H

#include "runtime/operation.h"

#include <bide/socket.h>

#include <sys/uio.h>

enum bide__side { BIDE__SIDE_INPUT, BIDE__SIDE_OUTPUT, BIDE__SIDES };

struct bide__socket_side {
    struct bide__operation operation;
    bool busy;
};

struct bide_socket {
    bide_loop *loop;
    struct bide_sock *sock; /* NULL once closed */
    unsigned refs;
    unsigned inside;
    int type;     /* SOCK_STREAM, ...; 0: not known yet */
    int error;    /* why every new call fails: closed */
    bool torn;    /* what the peer sees is not what anybody knows */
    bool starved; /* there was no descriptor for a connection */
    struct bide__resource resource;
    struct bide__socket_side sides[BIDE__SIDES];
    bide_socket *spare;          /* for the next connection; never on a waiting task's stack */
    struct iovec iov;            /* what is being sent */
    char *piece;                 /* of a file, or from a copied stack, that is being sent */
    struct bide_address address; /* what it is being connected to */
};

static inline const struct bide_engine_ops *bide__socket_ops(const bide_socket *socket)
{
    return socket->sock->engine->ops;
}

/* Why nothing may be asked of the socket any more; 0 if it may. */
static inline int bide__socket_refused(const bide_socket *socket)
{
    return socket->error == 0 && socket->torn ? -BIDE_ETORN : socket->error;
}

/* Without a socket of the engine's; NULL without memory. bide_socket_close() is the way back. */
bide_socket *bide__socket_new(bide_loop *loop, int type);
/* Its only one, taken. */
void bide__socket_take(bide_socket *socket, struct bide_sock *sock);

bool bide__address_is_valid(const struct bide_address *address);

/* Around every call that may wait. The socket is not NULL. */
int bide__socket_begin(bide_socket *socket, enum bide__side side, struct bide__coro **ret_coro);
/* The same for who has made sure that it may suspend. */
int bide__socket_claim(bide_socket *socket, enum bide__side side);
/* Returns `rc`. */
int bide__socket_end(bide_socket *socket, enum bide__side side, int rc);

/* An operation of the engine's that only waits. */
typedef int bide__socket_waiter(struct bide_sock *sock, struct bide_op *op);

/* Waits, with the side begun: 0, why the socket can't be used any more, or an error. */
int bide__socket_wait(bide_socket *socket, enum bide__side side, struct bide__coro *coro,
                      bide__socket_waiter *waiter, const struct bide__wait_kind *kind);

/* A part went out, and nobody knows which: nothing but the end is left. */
void bide__socket_tear(bide_socket *socket);

/* Whether the connection would go on after this error, were it known how much went. */
static inline bool bide__socket_goes_on(int rc)
{
    return rc == -ECANCELED || rc == -ENOMEM || rc == -ENOBUFS || rc == -EIO || rc == -EBADF;
}

/* Sends all of `socket->iov`, and adds to `sent` what went, also on failure. */
int bide__socket_send_rest(bide_socket *socket, struct bide__coro *coro, size_t *sent);

#endif
