/* The life of a bare socket, and what is asked of it without waiting. The invariants stand in
 * socket.h. */
#include "io/socket/socket.h"

#include "io/stream/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void socket_drop(struct bide__resource *resource);
static void socket_forget(struct bide__resource *resource);

static void socket_unref(bide_socket *socket)
{
    if (--socket->refs > 0)
        return;
    bide_socket_close(socket->spare);
    bide__loop_unref(socket->loop);
    free(socket->piece);
    free(socket);
}

static bool is_pending(const bide_socket *socket)
{
    return bide__operation_pending(&socket->sides[BIDE__SIDE_INPUT].operation) ||
           bide__operation_pending(&socket->sides[BIDE__SIDE_OUTPUT].operation);
}

/* Closes the engine's socket if that is due and possible. Whether it did: then its reference is the
 * caller's to give back. */
static bool close_sock(bide_socket *socket)
{
    if (socket->error == 0 || !socket->sock || is_pending(socket))
        return false;
    bide__socket_ops(socket)->sock_close(socket->sock);
    socket->sock = NULL;
    bide__list_remove(&socket->resource.node);
    return true;
}

static void settle(bide_socket *socket)
{
    if (close_sock(socket))
        socket_unref(socket);
}

static void input_after(struct bide__operation *operation)
{
    settle(bide__container(operation, bide_socket, sides[BIDE__SIDE_INPUT].operation));
}

static void output_after(struct bide__operation *operation)
{
    settle(bide__container(operation, bide_socket, sides[BIDE__SIDE_OUTPUT].operation));
}

bide_socket *bide__socket_new(bide_loop *loop, int type)
{
    bide_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return NULL;
    socket->loop = bide__loop_ref(loop);
    socket->refs = 1;
    socket->type = type;
    socket->resource.drop = socket_drop;
    socket->resource.forget = socket_forget;
    bide__list_init(&socket->resource.node);
    socket->sides[BIDE__SIDE_INPUT].operation.after = input_after;
    socket->sides[BIDE__SIDE_OUTPUT].operation.after = output_after;
    return socket;
}

void bide__socket_take(bide_socket *socket, struct bide_sock *sock)
{
    socket->sock = sock;
    socket->refs++;
    bide__list_append(&socket->loop->resources, &socket->resource.node);
}

/* A structure without a socket of the engine's yet, on the loop that runs. */
static int socket_prepare(int type, bide_socket **ret_socket)
{
    bide_loop *loop = bide__loop_running;
    int rc = bide__loop_open(loop);
    if (rc < 0)
        return rc;
    *ret_socket = bide__socket_new(loop, type);
    return *ret_socket ? 0 : -ENOMEM;
}

int bide_socket_open(int family, int type, int protocol, bide_socket **ret_socket)
{
    struct bide_sock *sock;
    bide_socket *socket;
    int plain_type = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    int rc = ret_socket ? socket_prepare(plain_type, &socket) : -EINVAL;
    if (rc < 0)
        return rc;
    struct bide_engine *engine = socket->loop->engine;
    rc = engine->ops->sock_open(engine, family, plain_type, protocol, &sock);
    if (rc < 0) {
        socket_unref(socket);
        return rc;
    }
    bide__socket_take(socket, sock);
    *ret_socket = socket;
    return 0;
}

static int learn_type(bide_socket *socket)
{
    socklen_t length = sizeof socket->type;
    if (socket->type != 0)
        return 0;
    return bide__socket_ops(socket)->sock_getopt(socket->sock, SOL_SOCKET, SO_TYPE, &socket->type,
                                                 &length);
}

int bide_socket_adopt(int fd, bide_socket **ret_socket)
{
    struct bide_sock *sock;
    bide_socket *socket;
    int rc = ret_socket ? socket_prepare(0, &socket) : -EINVAL;
    if (rc < 0)
        return rc;
    struct bide_engine *engine = socket->loop->engine;
    rc = engine->ops->sock_adopt(engine, fd, BIDE_ADOPT_SOCKET, &sock);
    if (rc < 0) {
        socket_unref(socket);
        return rc;
    }
    bide__socket_take(socket, sock);
    (void)learn_type(socket); /* it is asked again when it has to be known */
    *ret_socket = socket;
    return 0;
}

/* From now on nothing is started; whoever waits is told. */
static void socket_end(bide_socket *socket)
{
    if (socket->error == 0)
        socket->error = -ECONNABORTED;
    for (int side = 0; side < BIDE__SIDES; side++)
        if (bide__operation_pending(&socket->sides[side].operation))
            bide__socket_ops(socket)->cancel(&socket->sides[side].operation.op);
}

void bide_socket_close(bide_socket *socket)
{
    if (!socket)
        return;
    socket_end(socket);
    if (close_sock(socket))
        socket->refs--; /* not the last one */
    socket_unref(socket);
}

/* The tasks that were inside are gone. */
static void socket_abandon(bide_socket *socket)
{
    socket->refs -= socket->inside;
    socket->inside = 0;
}

/* The loop closes. */
static void socket_drop(struct bide__resource *resource)
{
    bide_socket *socket = bide__container(resource, bide_socket, resource);
    socket_abandon(socket);
    socket_end(socket);
    settle(socket);
}

static void socket_forget(struct bide__resource *resource)
{
    bide_socket *socket = bide__container(resource, bide_socket, resource);
    socket_abandon(socket);
    socket->error = -ECONNABORTED;
    socket->sock = NULL;
    bide__list_remove(&resource->node);
    socket_unref(socket);
}

int bide_socket_to_stream(bide_socket *socket, const struct bide_stream_opts *opts,
                          bide_stream **ret_stream)
{
    struct bide_address peer;
    if (!socket || !ret_stream)
        return -EINVAL;
    int rc = bide__socket_refused(socket);
    if (rc == 0)
        rc = learn_type(socket);
    if (rc == 0 && socket->type != SOCK_STREAM)
        rc = -EINVAL;
    if (rc == 0 && socket->inside > 0)
        rc = -EBUSY;
    if (rc == 0)
        rc = bide_socket_peer(socket, &peer);
    if (rc == 0)
        rc = bide__stream_new(socket->loop, socket->sock, opts, ret_stream);
    if (rc < 0)
        return rc;
    socket->sock = NULL;
    bide__list_remove(&socket->resource.node);
    socket->refs--; /* for the engine's socket */
    socket_unref(socket);
    return 0;
}

int bide_socket_setopt(bide_socket *socket, int level, int name, const void *value, unsigned length)
{
    if (!socket || (!value && length > 0))
        return -EINVAL;
    if (socket->error < 0)
        return socket->error;
    return bide__socket_ops(socket)->sock_setopt(socket->sock, level, name, value, length);
}

int bide_socket_getopt(bide_socket *socket, int level, int name, void *ret_value, unsigned *length)
{
    if (!socket || !length || (!ret_value && *length > 0))
        return -EINVAL;
    if (socket->error < 0)
        return socket->error;
    return bide__socket_ops(socket)->sock_getopt(socket->sock, level, name, ret_value, length);
}

bool bide__address_is_valid(const struct bide_address *address)
{
    return address && address->length >= sizeof(sa_family_t) &&
           address->length <= sizeof address->bytes;
}

int bide_socket_bind(bide_socket *socket, const struct bide_address *address)
{
    if (!socket || !bide__address_is_valid(address))
        return -EINVAL;
    if (socket->error < 0)
        return socket->error;
    return bide__socket_ops(socket)->sock_bind(socket->sock, (const void *)address->bytes,
                                               address->length);
}

int bide_socket_listen(bide_socket *socket, int backlog)
{
    if (!socket || backlog < 0)
        return -EINVAL;
    if (socket->error < 0)
        return socket->error;
    return bide__socket_ops(socket)->sock_listen(socket->sock, backlog);
}

int bide_socket_shutdown(bide_socket *socket, int how)
{
    if (!socket || (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR))
        return -EINVAL;
    if (socket->error < 0)
        return socket->error;
    return bide__socket_ops(socket)->sock_shutdown(socket->sock, how);
}

static int socket_address(const bide_socket *socket, bool peer, struct bide_address *ret_address)
{
    if (!socket || !ret_address)
        return -EINVAL;
    if (socket->error < 0)
        return socket->error;
    struct bide_address address = {.length = sizeof address.bytes};
    int rc = bide__socket_ops(socket)->sock_name(socket->sock, peer, (void *)address.bytes,
                                                 &address.length);
    if (rc == 0)
        *ret_address = address;
    return rc;
}

int bide_socket_local(const bide_socket *socket, struct bide_address *ret_address)
{
    return socket_address(socket, false, ret_address);
}

int bide_socket_peer(const bide_socket *socket, struct bide_address *ret_address)
{
    return socket_address(socket, true, ret_address);
}

int bide_socket_fd(const bide_socket *socket)
{
    return socket && socket->sock ? socket->sock->fd : -1;
}

int bide__socket_claim(bide_socket *socket, enum bide__side side)
{
    int rc = bide__socket_refused(socket);
    if (rc == 0 && socket->sides[side].busy)
        rc = -EBUSY;
    if (rc < 0)
        return rc;
    socket->sides[side].busy = true;
    socket->inside++;
    socket->refs++;
    return 0;
}

int bide__socket_begin(bide_socket *socket, enum bide__side side, struct bide__coro **ret_coro)
{
    int rc = bide__suspend(ret_coro);
    return rc < 0 ? rc : bide__socket_claim(socket, side);
}

int bide__socket_end(bide_socket *socket, enum bide__side side, int rc)
{
    socket->sides[side].busy = false;
    socket->inside--;
    socket_unref(socket);
    return rc;
}

int bide__socket_wait(bide_socket *socket, enum bide__side side, struct bide__coro *coro,
                      bide__socket_waiter *waiter, const struct bide__wait_kind *kind)
{
    struct bide__operation *operation = &socket->sides[side].operation;
    int rc = bide__cancel_check(coro);
    if (rc < 0)
        return rc;
    bide__operation_prepare(operation, coro);
    rc = waiter(socket->sock, &operation->op);
    rc = bide__operation_wait(operation, rc, kind);
    return bide__socket_refused(socket) < 0 ? bide__socket_refused(socket) : rc;
}

void bide__socket_tear(bide_socket *socket)
{
    struct bide__operation *input = &socket->sides[BIDE__SIDE_INPUT].operation;
    socket->torn = true;
    if (socket->sock && bide__operation_pending(input))
        bide__socket_ops(socket)->cancel(&input->op);
}
