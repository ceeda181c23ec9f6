/*
 * Datagram endpoints for tasks.
 *
 * Invariants
 *  - `refs` counts the owner's handle, every call that is inside, and the socket.
 *  - The socket is closed when the endpoint has an error and neither operation is pending; nothing
 *    starts one after that.
 *  - A message is taken from the kernel, or handed to it, by a running call, at its end: one that
 * is cancelled while it waits has done nothing.
 */
#include "io/datagram/message.h"
#include "io/net/resolve.h"
#include "runtime/coro.h"
#include "runtime/operation.h"

#include <stdlib.h>

struct bide_datagram {
    bide_loop *loop;
    struct bide_sock *sock; /* NULL once closed */
    unsigned refs;
    unsigned inside;
    int error; /* why every call fails */
    bool receiving;
    struct bide__resource resource;
    struct bide__operation recv;
    struct bide__coro *sender; /* has the turn, and waits for room */
    struct bide__list senders; /* wait for the turn */
    struct bide__room room;
};

static void endpoint_unref(bide_datagram *endpoint)
{
    if (--endpoint->refs > 0)
        return;
    bide__loop_unref(endpoint->loop);
    free(endpoint);
}

static void endpoint_enter(bide_datagram *endpoint)
{
    endpoint->inside++;
    endpoint->refs++;
}

static void endpoint_leave(bide_datagram *endpoint)
{
    endpoint->inside--;
    endpoint_unref(endpoint);
}

/* Closes the socket if it is time. Whether it did: then its reference is the caller's to give back.
 */
static bool close_sock(bide_datagram *endpoint)
{
    if (endpoint->error == 0 || !endpoint->sock || bide__operation_pending(&endpoint->recv) ||
        bide__room_pending(&endpoint->room))
        return false;
    endpoint->sock->engine->ops->sock_close(endpoint->sock);
    endpoint->sock = NULL;
    bide__list_remove(&endpoint->resource.node);
    return true;
}

/* The endpoint may be gone then. */
static void endpoint_settle(bide_datagram *endpoint)
{
    if (close_sock(endpoint))
        endpoint_unref(endpoint);
}

static void recv_after(struct bide__operation *operation)
{
    endpoint_settle(bide__container(operation, bide_datagram, recv));
}

static void room_done(struct bide__room *room, int result)
{
    bide_datagram *endpoint = bide__container(room, bide_datagram, room);
    if (endpoint->sender && endpoint->sender->wait)
        bide__wake(endpoint->sender, result);
    endpoint_settle(endpoint);
}

static void endpoint_end(bide_datagram *endpoint)
{
    struct bide__list *node;
    if (endpoint->error < 0)
        return;
    endpoint->error = -ECONNABORTED;
    endpoint->refs++;
    while ((node = bide__list_pop(&endpoint->senders)))
        bide__wake(bide__container(node, struct bide__coro, waiter.node), -ECONNABORTED);
    if (bide__operation_pending(&endpoint->recv))
        endpoint->sock->engine->ops->cancel(&endpoint->recv.op);
    bide__room_cancel(&endpoint->room);
    if (close_sock(endpoint))
        endpoint->refs--; /* not the last one */
    endpoint_unref(endpoint);
}

/* The tasks that were inside are gone. */
static void endpoint_abandon(bide_datagram *endpoint)
{
    endpoint->refs -= endpoint->inside;
    endpoint->inside = 0;
    endpoint->sender = NULL;
    bide__list_init(&endpoint->senders);
}

static void endpoint_drop(struct bide__resource *resource)
{
    bide_datagram *endpoint = bide__container(resource, bide_datagram, resource);
    endpoint_abandon(endpoint);
    endpoint_end(endpoint);
}

static void endpoint_forget(struct bide__resource *resource)
{
    bide_datagram *endpoint = bide__container(resource, bide_datagram, resource);
    endpoint_abandon(endpoint);
    endpoint->error = -ECONNABORTED;
    endpoint->sock = NULL;
    bide__list_remove(&resource->node);
    endpoint_unref(endpoint);
}

/* Opening */

static int endpoint_new(bide_loop *loop, const struct bide_address *local, int family,
                        const struct bide_datagram_opts *opts, bide_datagram **ret_endpoint)
{
    bide_datagram *endpoint = calloc(1, sizeof *endpoint);
    if (!endpoint)
        return -ENOMEM;
    int rc = bide__datagram_sock(loop, local, family, opts, &endpoint->sock);
    if (rc < 0) {
        free(endpoint);
        return rc;
    }
    endpoint->loop = bide__loop_ref(loop);
    endpoint->refs = 2;
    endpoint->resource.drop = endpoint_drop;
    endpoint->resource.forget = endpoint_forget;
    endpoint->recv.after = recv_after;
    bide__list_init(&endpoint->senders);
    bide__room_init(&endpoint->room, loop, room_done);
    bide__list_append(&loop->resources, &endpoint->resource.node);
    *ret_endpoint = endpoint;
    return 0;
}

static enum bide_family wanted_family(const char *host, const struct bide_datagram_opts *opts)
{
    if (opts->family != BIDE_ANY_FAMILY || !opts->peer || (host && *host))
        return opts->family;
    return bide__address_family(opts->peer) == AF_INET6 ? BIDE_IPV6 : BIDE_IPV4;
}

int bide_datagram_open(const char *host, unsigned port, const struct bide_datagram_opts *opts,
                       bide_datagram **ret_endpoint)
{
    struct bide__coro *coro;
    struct bide_datagram_opts all;
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
    if (!ret_endpoint || bide__datagram_opts(opts, &all) < 0)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    int n = bide__resolve(host, port, wanted_family(host, &all), addresses, BIDE__ADDRESSES_MAX);
    if (n < 0)
        return n;
    rc = -EADDRNOTAVAIL;
    for (int i = 0; i < n; i++) {
        char text[BIDE_ADDRESS_TEXT_SIZE];
        int family = bide__address_family(&addresses[i]);
        int tried = endpoint_new(coro->loop, &addresses[i], family, &all, ret_endpoint);
        if (tried == 0)
            return 0;
        if (i > 0) /* the first one's error counts */
            continue;
        rc = tried;
        bide_address_print(&addresses[i], text, sizeof text);
        bide__detail_set(rc, "%s", text);
    }
    return rc;
}

int bide_datagram_unix(const char *path, const struct bide_datagram_opts *opts,
                       bide_datagram **ret_endpoint)
{
    struct bide_datagram_opts all;
    struct bide_address local;
    bide_loop *loop = bide__loop_running;
    int rc = ret_endpoint ? bide__datagram_opts(opts, &all) : -EINVAL;
    if (rc == 0)
        rc = bide__loop_open(loop);
    if (rc == 0 && path)
        rc = *path ? bide_address_unix(path, &local) : bide__address_unix_any(&local);
    return rc < 0 ? rc : endpoint_new(loop, path ? &local : NULL, AF_UNIX, &all, ret_endpoint);
}

/* Receiving */

static const struct bide__wait_kind recv_wait = {.name = "recv",
                                                 .interrupt = bide__operation_interrupt};

static int wait_readable(bide_datagram *endpoint, struct bide__coro *coro)
{
    int rc = bide__cancel_check(coro);
    if (rc < 0)
        return rc;
    bide__operation_prepare(&endpoint->recv, coro);
    rc = endpoint->sock->engine->ops->recv_wait(endpoint->sock, &endpoint->recv.op);
    rc = bide__operation_wait(&endpoint->recv, rc, &recv_wait);
    return endpoint->error < 0 ? endpoint->error : rc;
}

static int try_receive(bide_datagram *endpoint, void *buffer, size_t size,
                       struct bide_address *ret_from, struct bide_fds *fds)
{
    struct bide__message message;
    struct bide_address from;
    bide__message_in(&message, buffer, size, ret_from ? &from : NULL, fds);
    ssize_t n = endpoint->sock->engine->ops->try_recv_message(endpoint->sock, &message.base);
    if (n < 0)
        return (int)n;
    if (ret_from) {
        from.length = message.base.msg_namelen;
        *ret_from = from;
    }
    if (fds)
        bide__message_get_fds(&message, fds);
    return message.base.msg_flags & MSG_TRUNC ? -EMSGSIZE : (int)n;
}

static int receive(bide_datagram *endpoint, void *buffer, size_t size,
                   struct bide_address *ret_from, struct bide_fds *fds)
{
    struct bide__coro *coro;
    if (!endpoint || (!buffer && size > 0))
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = endpoint->error;
    if (rc < 0)
        return rc;
    if (endpoint->receiving)
        return -EBUSY;
    rc = try_receive(endpoint, buffer, size, ret_from, fds);
    if (rc != -EAGAIN)
        return rc;
    endpoint->receiving = true;
    endpoint_enter(endpoint);
    while (rc == -EAGAIN) {
        rc = wait_readable(endpoint, coro);
        if (rc == 0)
            rc = try_receive(endpoint, buffer, size, ret_from, fds);
    }
    endpoint->receiving = false;
    endpoint_leave(endpoint);
    return rc;
}

int bide_datagram_receive(bide_datagram *endpoint, void *buffer, size_t size,
                          struct bide_address *ret_from)
{
    return receive(endpoint, buffer, size, ret_from, NULL);
}

int bide_datagram_receive_fds(bide_datagram *endpoint, void *buffer, size_t size,
                              struct bide_address *ret_from, struct bide_fds *fds)
{
    if (!fds || (!fds->fds && fds->size > 0))
        return -EINVAL;
    return receive(endpoint, buffer, size, ret_from, fds);
}

/* Sending */

/* What is to be sent, the caller's. */
struct outgoing {
    const void *data;
    size_t size;
    const struct bide_address *to;
    const int *fds;
    size_t n_fds;
};

static int check(const bide_datagram *endpoint, const struct outgoing *out)
{
    if (!endpoint || (!out->data && out->size > 0) || (!out->fds && out->n_fds > 0) ||
        out->n_fds > BIDE_FDS_MAX || (out->to && out->to->length > sizeof out->to->bytes))
        return -EINVAL;
    return endpoint->error;
}

static int try_send(bide_datagram *endpoint, const struct outgoing *out)
{
    struct bide__message message;
    bide__message_out(&message, out->data, out->size, out->to);
    bide__message_put_fds(&message, out->fds, out->n_fds);
    ssize_t n = endpoint->sock->engine->ops->try_send_message(endpoint->sock, &message.base);
    return n < 0 ? (int)n : 0;
}

static bool turn_is_free(const bide_datagram *endpoint)
{
    return !endpoint->sender && bide__list_empty(&endpoint->senders);
}

static void turn_interrupt(struct bide__coro *coro)
{
    bide__list_remove(&coro->waiter.node);
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind turn_wait = {.name = "turn to send",
                                                 .interrupt = turn_interrupt};

static void room_interrupt(struct bide__coro *coro)
{
    bide_datagram *endpoint = coro->wait_data;
    bide__room_cancel(&endpoint->room);
}

static const struct bide__wait_kind room_wait = {.name = "room to send",
                                                 .interrupt = room_interrupt};

static int turn_take(bide_datagram *endpoint, struct bide__coro *coro)
{
    if (turn_is_free(endpoint)) {
        endpoint->sender = coro;
        return 0;
    }
    bide__list_append(&endpoint->senders, &coro->waiter.node);
    return bide__park(coro, &turn_wait, endpoint);
}

static void turn_give(bide_datagram *endpoint)
{
    struct bide__list *node = bide__list_pop(&endpoint->senders);
    endpoint->sender = node ? bide__container(node, struct bide__coro, waiter.node) : NULL;
    if (endpoint->sender)
        bide__wake(endpoint->sender, 0);
}

/* With the turn. */
static int send_turn(bide_datagram *endpoint, struct bide__coro *coro, const struct outgoing *out)
{
    for (;;) {
        int rc = endpoint->error;
        if (rc == 0)
            rc = try_send(endpoint, out);
        if (rc != -EAGAIN)
            return rc;
        rc = bide__cancel_check(coro);
        if (rc == 0)
            rc = bide__room_begin(&endpoint->room, endpoint->sock, out->to);
        if (rc == BIDE_PENDING)
            rc = bide__park(coro, &room_wait, endpoint);
        if (rc < 0)
            return endpoint->error < 0 ? endpoint->error : rc;
    }
}

static int send_message(bide_datagram *endpoint, const struct outgoing *out)
{
    struct bide__coro *coro;
    int rc = check(endpoint, out);
    if (rc == -EINVAL)
        return rc;
    rc = bide__suspend(&coro);
    if (rc == 0)
        rc = check(endpoint, out);
    if (rc < 0)
        return rc;
    rc = turn_is_free(endpoint) ? try_send(endpoint, out) : -EAGAIN;
    if (rc != -EAGAIN)
        return rc;
    endpoint_enter(endpoint);
    rc = turn_take(endpoint, coro);
    if (rc == 0) {
        rc = send_turn(endpoint, coro, out);
        turn_give(endpoint);
    }
    endpoint_leave(endpoint);
    return rc;
}

int bide_datagram_send(bide_datagram *endpoint, const void *data, size_t size,
                       const struct bide_address *to)
{
    return send_message(endpoint, &(struct outgoing){data, size, to, NULL, 0});
}

int bide_datagram_send_fds(bide_datagram *endpoint, const void *data, size_t size,
                           const struct bide_address *to, const int *fds, size_t n)
{
    struct bide_address local;
    int rc = endpoint ? bide_datagram_local(endpoint, &local) : -EINVAL;
    if (rc == 0 && bide__address_family(&local) != AF_UNIX)
        return -EINVAL;
    return send_message(endpoint, &(struct outgoing){data, size, to, fds, n});
}

int bide_datagram_offer(bide_datagram *endpoint, const void *data, size_t size,
                        const struct bide_address *to)
{
    struct outgoing out = {data, size, to, NULL, 0};
    int rc = check(endpoint, &out);
    if (rc < 0)
        return rc;
    return turn_is_free(endpoint) ? try_send(endpoint, &out) : -EAGAIN;
}

/* For people and options, and the end */

int bide_datagram_local(const bide_datagram *endpoint, struct bide_address *ret_address)
{
    return endpoint ? bide__sock_address(endpoint->sock, false, ret_address) : -EINVAL;
}

int bide_datagram_peer(const bide_datagram *endpoint, struct bide_address *ret_address)
{
    return endpoint ? bide__sock_address(endpoint->sock, true, ret_address) : -EINVAL;
}

int bide_datagram_fd(const bide_datagram *endpoint)
{
    return endpoint && endpoint->sock ? endpoint->sock->fd : -1;
}

void bide_datagram_abort(bide_datagram *endpoint)
{
    if (endpoint)
        endpoint_end(endpoint);
}

void bide_datagram_close(bide_datagram *endpoint)
{
    if (!endpoint)
        return;
    endpoint_end(endpoint);
    endpoint_unref(endpoint);
}
