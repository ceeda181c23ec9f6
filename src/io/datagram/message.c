/* Messages, as message.h has them. */
#include "io/datagram/message.h"

#include "base/time.h"

#include <assert.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

enum { BYTES_DEFAULT = 64 * 1024 };
#define RETRY_NS (BIDE__NS_PER_S / 1000)

void bide__message_out(struct bide__message *message, const void *data, size_t size,
                       const struct bide_address *to)
{
    message->iov = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    message->base = (struct msghdr){.msg_iov = &message->iov, .msg_iovlen = 1};
    if (to) {
        message->base.msg_name = (void *)(uintptr_t)to->bytes;
        message->base.msg_namelen = to->length;
    }
}

void bide__message_put_fds(struct bide__message *message, const int *fds, size_t n)
{
    size_t bytes = n * sizeof *fds;
    if (n == 0)
        return;
    memset(message->control, 0, CMSG_SPACE(bytes));
    message->base.msg_control = message->control;
    message->base.msg_controllen = CMSG_SPACE(bytes);
    struct cmsghdr *control = CMSG_FIRSTHDR(&message->base);
    control->cmsg_len = CMSG_LEN(bytes);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(control), fds, bytes);
}

/* The room for control data is exact: rounded up, the kernel might find a place for one more. */
void bide__message_in(struct bide__message *message, void *buffer, size_t size,
                      struct bide_address *from, const struct bide_fds *fds)
{
    message->iov = (struct iovec){.iov_base = buffer, .iov_len = size < INT_MAX ? size : INT_MAX};
    message->base = (struct msghdr){.msg_iov = &message->iov, .msg_iovlen = 1};
    if (from) {
        message->base.msg_name = from->bytes;
        message->base.msg_namelen = sizeof from->bytes;
    }
    if (fds && fds->size > 0) {
        size_t n = fds->size < BIDE_FDS_MAX ? fds->size : BIDE_FDS_MAX;
        message->base.msg_control = message->control;
        message->base.msg_controllen = CMSG_LEN(n * sizeof(int));
    }
}

void bide__message_get_fds(const struct bide__message *message, struct bide_fds *fds)
{
    fds->n = 0;
    fds->lost = message->base.msg_flags & MSG_CTRUNC;
    const struct cmsghdr *control = CMSG_FIRSTHDR(&message->base);
    if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
        return;
    fds->n = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds->fds, CMSG_DATA(control), fds->n * sizeof(int));
}

/* Sockets */

int bide__address_family(const struct bide_address *address)
{
    sa_family_t family = AF_UNSPEC;
    if (address->length >= sizeof family)
        memcpy(&family, address->bytes + offsetof(struct sockaddr, sa_family), sizeof family);
    return family;
}

int bide__address_unix_any(struct bide_address *ret_address)
{
    const sa_family_t family = AF_UNIX;
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address->bytes + offsetof(struct sockaddr, sa_family), &family, sizeof family);
    ret_address->length = sizeof family;
    return 0;
}

int bide__datagram_opts(const struct bide_datagram_opts *opts, struct bide_datagram_opts *ret_opts)
{
    struct bide_datagram_opts all = opts ? *opts : (struct bide_datagram_opts){0};
    if ((unsigned)all.family > BIDE_IPV6 || all.receive_buffer_bytes < 0 ||
        all.send_buffer_bytes < 0 || all.message_bytes_max > INT_MAX)
        return -EINVAL;
    if (all.message_bytes_max == 0)
        all.message_bytes_max = BYTES_DEFAULT;
    if (all.write_high_bytes == 0)
        all.write_high_bytes = BYTES_DEFAULT;
    if (all.write_low_bytes == 0)
        all.write_low_bytes = all.write_high_bytes / 4;
    if (all.write_low_bytes > all.write_high_bytes)
        return -EINVAL;
    *ret_opts = all;
    return 0;
}

static int set_option(struct bide_sock *sock, int name, int value)
{
    return sock->engine->ops->sock_setopt(sock, SOL_SOCKET, name, &value, sizeof value);
}

static int connect_now(struct bide_sock *sock, struct bide_op *op, const struct bide_address *peer)
{
    int rc = sock->engine->ops->connect(sock, op, (const void *)peer->bytes, peer->length);
    assert(rc != BIDE_PENDING); /* there is nothing to wait for */
    return rc;
}

static int furnish(struct bide_sock *sock, const struct bide_address *local,
                   const struct bide_datagram_opts *opts)
{
    struct bide_op op = {0};
    int rc = 0;
    if (opts->reuse_port)
        rc = set_option(sock, SO_REUSEPORT, 1);
    if (rc == 0 && opts->broadcast)
        rc = set_option(sock, SO_BROADCAST, 1);
    if (rc == 0 && opts->receive_buffer_bytes > 0)
        rc = set_option(sock, SO_RCVBUF, opts->receive_buffer_bytes);
    if (rc == 0 && opts->send_buffer_bytes > 0)
        rc = set_option(sock, SO_SNDBUF, opts->send_buffer_bytes);
    if (rc == 0 && local)
        rc = sock->engine->ops->sock_bind(sock, (const void *)local->bytes, local->length);
    return rc == 0 && opts->peer ? connect_now(sock, &op, opts->peer) : rc;
}

int bide__datagram_sock(bide_loop *loop, const struct bide_address *local, int family,
                        const struct bide_datagram_opts *opts, struct bide_sock **ret_sock)
{
    const struct bide_engine_ops *ops = loop->engine->ops;
    struct bide_sock *sock;
    if (opts->peer && bide__address_family(opts->peer) != family)
        return -EAFNOSUPPORT;
    int rc = ops->sock_open(loop->engine, family, SOCK_DGRAM, 0, &sock);
    if (rc < 0)
        return rc;
    rc = furnish(sock, local, opts);
    if (rc == 0)
        *ret_sock = sock;
    else
        ops->sock_close(sock);
    return rc;
}

int bide__sock_address(const struct bide_sock *sock, bool peer, struct bide_address *ret_address)
{
    struct bide_address address = {.length = sizeof address.bytes};
    if (!ret_address)
        return -EINVAL;
    if (!sock)
        return -ENOTCONN;
    int rc = sock->engine->ops->sock_name((struct bide_sock *)(uintptr_t)sock, peer,
                                          (void *)address.bytes, &address.length);
    if (rc == 0)
        *ret_address = address;
    return rc;
}

/* Room */

static void room_close(struct bide__room *room)
{
    if (room->through)
        room->through->engine->ops->sock_close(room->through);
    room->through = NULL;
}

static void room_op_done(struct bide_op *op)
{
    struct bide__room *room = bide__container(op, struct bide__room, op);
    int rc = op->result;
    room_close(room);
    room->done(room, rc);
}

static void room_retry(struct bide__timer *timer)
{
    struct bide__room *room = bide__container(timer, struct bide__room, retry);
    room->done(room, 0);
}

void bide__room_init(struct bide__room *room, bide_loop *loop,
                     void (*done)(struct bide__room *room, int result))
{
    room->loop = loop;
    room->done = done;
    room->op.done = room_op_done;
    bide__timer_init(&room->retry, room_retry);
}

/* A receiver that is connected lets nobody else wait for it. */
static int wait_through(struct bide__room *room, const struct bide_address *to)
{
    const struct bide_engine_ops *ops = room->loop->engine->ops;
    int rc = ops->sock_open(room->loop->engine, AF_UNIX, SOCK_DGRAM, 0, &room->through);
    if (rc == 0)
        rc = connect_now(room->through, &room->op, to);
    if (rc == 0)
        rc = ops->send_wait(room->through, &room->op);
    if (rc == BIDE_PENDING)
        return rc;
    room_close(room);
    if (rc == 0 || rc == -ECONNREFUSED || rc == -ENOENT) /* sending will say so */
        return 0;
    bide__timer_set(room->loop->timers, &room->retry, bide__loop_now_ns(room->loop) + RETRY_NS);
    return BIDE_PENDING;
}

int bide__room_begin(struct bide__room *room, struct bide_sock *sock, const struct bide_address *to)
{
    if (to && bide__address_family(to) == AF_UNIX)
        return wait_through(room, to);
    return sock->engine->ops->send_wait(sock, &room->op);
}

bool bide__room_pending(const struct bide__room *room)
{
    return room->op.state != BIDE_OP_IDLE || bide__timer_is_set(&room->retry);
}

void bide__room_cancel(struct bide__room *room)
{
    if (room->op.state != BIDE_OP_IDLE) {
        room->op.sock->engine->ops->cancel(&room->op);
    } else if (bide__timer_is_set(&room->retry)) {
        bide__timer_cancel(room->loop->timers, &room->retry);
        room->done(room, -ECANCELED);
    }
}
