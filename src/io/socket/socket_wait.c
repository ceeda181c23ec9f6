/*
 * The calls on a bare socket that wait: what the kernel would block for.
 *
 * Each tries first and waits only if there is nothing to take, or no room. A wait that is cancelled
 * has taken nothing; only what sends in several steps may have sent a part.
 */
#include "io/socket/socket.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>

/* How often the kernel is believed that a datagram has room now, and the pause between attempts
 * then. */
enum { WAITS_MAX = 2 };
#define ROOM_SECONDS 0.001

static const struct bide__wait_kind recv_wait = {.name = "recv",
                                                 .interrupt = bide__operation_interrupt};
static const struct bide__wait_kind send_wait = {.name = "send",
                                                 .interrupt = bide__operation_interrupt};
static const struct bide__wait_kind accept_wait = {.name = "accept",
                                                   .interrupt = bide__operation_interrupt};
static const struct bide__wait_kind connect_wait = {.name = "connect",
                                                    .interrupt = bide__operation_interrupt};

static size_t at_most(size_t size)
{
    return size < INT_MAX ? size : INT_MAX;
}

static bool is_starving(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

static int accept_next(bide_socket *socket, struct bide__coro *coro, struct bide_sock **ret_sock)
{
    for (;;) {
        if (!socket->starved) {
            int rc = bide__socket_ops(socket)->try_accept(socket->sock, ret_sock);
            socket->starved = is_starving(rc);
            if (rc != -EAGAIN)
                return rc;
        }
        int rc = bide__socket_wait(socket, BIDE__SIDE_INPUT, coro,
                                   bide__socket_ops(socket)->accept_wait, &accept_wait);
        if (rc < 0)
            return rc;
        socket->starved = false;
    }
}

int bide_socket_accept(bide_socket *socket, bide_socket **ret_connection,
                       struct bide_address *ret_address)
{
    struct bide__coro *coro;
    struct bide_sock *sock;
    int rc = socket && ret_connection ? bide__socket_begin(socket, BIDE__SIDE_INPUT, &coro)
                                      : -EINVAL;
    if (rc < 0)
        return rc;
    if (!socket->spare)
        socket->spare = bide__socket_new(socket->loop, socket->type);
    rc = socket->spare ? accept_next(socket, coro, &sock) : -ENOMEM;
    if (rc == 0) {
        bide_socket *connection = socket->spare;
        socket->spare = NULL;
        bide__socket_take(connection, sock);
        if (ret_address && bide_socket_peer(connection, ret_address) < 0)
            ret_address->length = 0;
        *ret_connection = connection;
    }
    return bide__socket_end(socket, BIDE__SIDE_INPUT, rc);
}

static int connect_to(bide_socket *socket, struct bide__coro *coro,
                      const struct bide_address *address)
{
    struct bide__operation *operation = &socket->sides[BIDE__SIDE_OUTPUT].operation;
    socket->address = *address;
    bide__operation_prepare(operation, coro);
    int rc = bide__socket_ops(socket)->connect(
        socket->sock, &operation->op, (const void *)socket->address.bytes, socket->address.length);
    rc = bide__operation_wait(operation, rc, &connect_wait);
    if (rc == -ECANCELED)
        bide__socket_tear(socket);
    return socket->error < 0 ? socket->error : rc;
}

int bide_socket_connect(bide_socket *socket, const struct bide_address *address)
{
    struct bide__coro *coro;
    int rc = socket && bide__address_is_valid(address)
                 ? bide__socket_begin(socket, BIDE__SIDE_OUTPUT, &coro)
                 : -EINVAL;
    if (rc < 0)
        return rc;
    rc = connect_to(socket, coro, address);
    return bide__socket_end(socket, BIDE__SIDE_OUTPUT, rc);
}

static int receive(bide_socket *socket, struct bide__coro *coro, void *buffer, size_t size)
{
    for (;;) {
        ssize_t n = bide__socket_ops(socket)->try_recv(socket->sock, buffer, size);
        if (n != -EAGAIN)
            return (int)n;
        int rc = bide__socket_wait(socket, BIDE__SIDE_INPUT, coro,
                                   bide__socket_ops(socket)->recv_wait, &recv_wait);
        if (rc < 0)
            return rc;
    }
}

int bide_socket_receive(bide_socket *socket, void *buffer, size_t size)
{
    struct bide__coro *coro;
    int rc = socket && (buffer || size == 0) ? bide__socket_begin(socket, BIDE__SIDE_INPUT, &coro)
                                             : -EINVAL;
    if (rc < 0)
        return rc;
    if (size > 0)
        rc = receive(socket, coro, buffer, at_most(size));
    return bide__socket_end(socket, BIDE__SIDE_INPUT, rc);
}

int bide__socket_send_rest(bide_socket *socket, struct bide__coro *coro, size_t *sent)
{
    struct bide__operation *operation = &socket->sides[BIDE__SIDE_OUTPUT].operation;
    int rc = bide__cancel_check(coro);
    if (rc < 0)
        return rc;
    bide__operation_prepare(operation, coro);
    rc = bide__socket_ops(socket)->send(socket->sock, &operation->op, &socket->iov, 1);
    rc = bide__operation_wait(operation, rc, &send_wait);
    *sent += operation->op.n_done;
    return rc < 0 && socket->error < 0 ? socket->error : rc;
}

static int send_all(bide_socket *socket, struct bide__coro *coro, size_t *sent)
{
    ssize_t n = bide__socket_ops(socket)->try_send(socket->sock, &socket->iov, 1);
    if (n < 0 && n != -EAGAIN)
        return (int)n;
    if (n > 0) {
        *sent = (size_t)n;
        if (*sent == socket->iov.iov_len)
            return 0;
        socket->iov.iov_base = (char *)socket->iov.iov_base + n;
        socket->iov.iov_len -= (size_t)n;
    }
    if (bide__is_lendable(coro, socket->iov.iov_base))
        return bide__socket_send_rest(socket, coro, sent);
    struct iovec *copy = bide__pieces_lend(coro, &socket->iov, 1);
    if (!copy)
        return -ENOMEM;
    socket->piece = (char *)copy;
    socket->iov = *copy;
    int rc = bide__socket_send_rest(socket, coro, sent);
    socket->piece = NULL;
    free(copy);
    return rc;
}

int bide_socket_send_all(bide_socket *socket, const void *data, size_t size, size_t *ret_sent)
{
    struct bide__coro *coro;
    size_t sent = 0;
    int rc = socket && (data || size == 0) ? bide__socket_begin(socket, BIDE__SIDE_OUTPUT, &coro)
                                           : -EINVAL;
    if (rc == 0) {
        socket->iov = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
        if (size > 0)
            rc = send_all(socket, coro, &sent);
        if (bide__socket_goes_on(rc) && sent > 0 && !ret_sent)
            bide__socket_tear(socket);
        rc = bide__socket_end(socket, BIDE__SIDE_OUTPUT, rc);
    }
    if (ret_sent)
        *ret_sent = sent;
    return rc;
}

/* Where there is room only in a receiver's queue nobody tells when, and it is asked time and again.
 */
static int wait_for_room(bide_socket *socket, struct bide__coro *coro, int n_waits)
{
    if (n_waits < WAITS_MAX || socket->type == SOCK_STREAM)
        return bide__socket_wait(socket, BIDE__SIDE_OUTPUT, coro,
                                 bide__socket_ops(socket)->send_wait, &send_wait);
    int rc = bide_sleep(ROOM_SECONDS);
    return bide__socket_refused(socket) < 0 ? bide__socket_refused(socket) : rc;
}

static int send_message(bide_socket *socket, struct bide__coro *coro, const void *data, size_t size,
                        const struct bide_address *to)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = at_most(size)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (to) {
        message.msg_name = (void *)(uintptr_t)to->bytes;
        message.msg_namelen = to->length;
    }
    for (int n_waits = 0;; n_waits++) {
        ssize_t n = bide__socket_ops(socket)->try_send_message(socket->sock, &message);
        if (n != -EAGAIN)
            return (int)n;
        int rc = wait_for_room(socket, coro, n_waits);
        if (rc < 0)
            return rc;
    }
}

int bide_socket_send(bide_socket *socket, const void *data, size_t size)
{
    struct bide__coro *coro;
    int rc = socket && (data || size == 0) ? bide__socket_begin(socket, BIDE__SIDE_OUTPUT, &coro)
                                           : -EINVAL;
    if (rc < 0)
        return rc;
    if (size > 0 || socket->type != SOCK_STREAM)
        rc = send_message(socket, coro, data, size, NULL);
    return bide__socket_end(socket, BIDE__SIDE_OUTPUT, rc);
}

int bide_socket_send_to(bide_socket *socket, const void *data, size_t size,
                        const struct bide_address *to)
{
    struct bide__coro *coro;
    int rc = socket && (data || size == 0) && bide__address_is_valid(to)
                 ? bide__socket_begin(socket, BIDE__SIDE_OUTPUT, &coro)
                 : -EINVAL;
    if (rc < 0)
        return rc;
    rc = send_message(socket, coro, data, size, to);
    return bide__socket_end(socket, BIDE__SIDE_OUTPUT, rc);
}

static int receive_message(bide_socket *socket, struct bide__coro *coro, const struct iovec *piece,
                           struct bide_address *ret_from)
{
    for (;;) {
        struct iovec room = *piece;
        struct msghdr message = {.msg_iov = &room, .msg_iovlen = 1};
        if (ret_from) {
            message.msg_name = ret_from->bytes;
            message.msg_namelen = sizeof ret_from->bytes;
        }
        ssize_t n = bide__socket_ops(socket)->try_recv_message(socket->sock, &message);
        if (n >= 0 && ret_from)
            ret_from->length = message.msg_namelen;
        if (n >= 0 && (message.msg_flags & MSG_TRUNC))
            return -EMSGSIZE;
        if (n != -EAGAIN)
            return (int)n;
        int rc = bide__socket_wait(socket, BIDE__SIDE_INPUT, coro,
                                   bide__socket_ops(socket)->recv_wait, &recv_wait);
        if (rc < 0)
            return rc;
    }
}

int bide_socket_receive_from(bide_socket *socket, void *buffer, size_t size,
                             struct bide_address *ret_from)
{
    struct bide__coro *coro;
    struct iovec piece = {.iov_base = buffer, .iov_len = at_most(size)};
    int rc = socket && (buffer || size == 0) ? bide__socket_begin(socket, BIDE__SIDE_INPUT, &coro)
                                             : -EINVAL;
    if (rc < 0)
        return rc;
    if (size > 0 || socket->type != SOCK_STREAM)
        rc = receive_message(socket, coro, &piece, ret_from);
    return bide__socket_end(socket, BIDE__SIDE_INPUT, rc);
}
