/*
 * Datagram sockets that call back.
 *
 * Invariants
 *  - Every callback is made by run(), from the ready queue; the engine's and a timer's completions
 *    only note what is due.
 *  - What waits to be sent goes out in order. While something waits, the room for its first message
 *    is waited for.
 *  - Once the socket is closed, one run() remains: connection_lost, drop, and nothing after them.
 */
#include "io/datagram/message.h"
#include "runtime/context.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES_PER_TURN = 64 };

struct waiting {
    struct bide__list node;
    bool has_address;
    struct bide_address to;
    size_t size;
    char bytes[];
};

struct bide_datagram_transport {
    bide_loop *loop;
    struct bide_sock *sock; /* NULL once closed */
    const struct bide_datagram_protocol *protocol;
    void *data;
    bide_drop *drop;
    struct bide__values *values; /* the context variables of who made it */
    struct bide_datagram_opts opts;
    struct bide__ready ready;
    struct bide__resource resource;
    struct bide_op recv;
    struct bide__room room;
    struct bide__list out; /* struct waiting */
    size_t out_bytes;
    bool queued;
    bool running;
    bool made; /* connection_made was called */
    bool is_inet;
    bool readable;  /* as far as is known */
    bool closing;   /* by its user */
    bool ending;    /* the socket is closed as soon as nothing is pending */
    bool is_paused; /* writing, as the protocol knows it */
    int reason;     /* for connection_lost */
    int error;      /* for error_received; 0: none */
    char *buffer;
};

typedef struct bide_datagram_transport transport_t;

static void queue(transport_t *transport)
{
    if (transport->queued || transport->running)
        return;
    transport->queued = true;
    bide__loop_ready(transport->loop, &transport->ready);
}

static void settle(transport_t *transport)
{
    if (!transport->ending || !transport->sock || transport->recv.state != BIDE_OP_IDLE ||
        bide__room_pending(&transport->room))
        return;
    transport->sock->engine->ops->sock_close(transport->sock);
    transport->sock = NULL;
    bide__list_remove(&transport->resource.node); /* a loop that closes runs what is queued */
    queue(transport);
}

static void drop_output(transport_t *transport)
{
    struct bide__list *node;
    while ((node = bide__list_pop(&transport->out)))
        free(bide__container(node, struct waiting, node));
    transport->out_bytes = 0;
}

static void end(transport_t *transport, int reason)
{
    if (transport->ending)
        return;
    transport->ending = true;
    transport->reason = reason;
    drop_output(transport);
    if (transport->recv.state != BIDE_OP_IDLE)
        transport->sock->engine->ops->cancel(&transport->recv);
    bide__room_cancel(&transport->room);
    settle(transport);
}

static void note_error(transport_t *transport, int error)
{
    transport->error = error;
    queue(transport);
}

/* Sending */

/* A UDP socket is told of an earlier message's fate by the next call, which has done nothing then.
 */
static int send_one(transport_t *transport, const void *data, size_t size,
                    const struct bide_address *to)
{
    struct bide__message message;
    bide__message_out(&message, data, size, to);
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        ssize_t n = transport->sock->engine->ops->try_send_message(transport->sock, &message.base);
        rc = n < 0 ? (int)n : 0;
        if (rc != -ECONNREFUSED || !transport->is_inet)
            break;
        note_error(transport, rc);
    }
    return rc;
}

static struct waiting *first_waiting(const transport_t *transport)
{
    struct bide__list *node = bide__list_first(&transport->out);
    return node ? bide__container(node, struct waiting, node) : NULL;
}

static void pop_waiting(transport_t *transport, struct waiting *waiting)
{
    transport->out_bytes -= waiting->size;
    bide__list_remove(&waiting->node);
    free(waiting);
}

/* Sends what waits, as far as there is room. */
static void flush(transport_t *transport)
{
    struct waiting *waiting;
    while (!bide__room_pending(&transport->room) && (waiting = first_waiting(transport))) {
        const struct bide_address *to = waiting->has_address ? &waiting->to : NULL;
        int rc = send_one(transport, waiting->bytes, waiting->size, to);
        if (rc == -EAGAIN) {
            rc = bide__room_begin(&transport->room, transport->sock, to);
            if (rc == BIDE_PENDING)
                return;
            if (rc == 0)
                continue;
        }
        if (rc < 0)
            note_error(transport, rc);
        pop_waiting(transport, waiting);
    }
    queue(transport);
}

static void room_done(struct bide__room *room, int result)
{
    transport_t *transport = bide__container(room, transport_t, room);
    (void)result; /* the next try tells */
    if (transport->ending)
        settle(transport);
    else
        flush(transport);
}

static int append(transport_t *transport, const void *data, size_t size,
                  const struct bide_address *to)
{
    struct waiting *waiting = malloc(sizeof *waiting + size);
    if (!waiting)
        return -ENOMEM;
    waiting->has_address = to != NULL;
    if (to)
        waiting->to = *to;
    waiting->size = size;
    if (size > 0)
        memcpy(waiting->bytes, data, size);
    bide__list_append(&transport->out, &waiting->node);
    transport->out_bytes += size;
    return 0;
}

int bide_datagram_transport_send(bide_datagram_transport *transport, const void *data, size_t size,
                                 const struct bide_address *to)
{
    if (!transport || (!data && size > 0) || (to && to->length > sizeof to->bytes))
        return -EINVAL;
    if (transport->closing || transport->ending)
        return -EPIPE;
    int rc = bide__list_empty(&transport->out) ? send_one(transport, data, size, to) : -EAGAIN;
    if (rc != -EAGAIN)
        return rc;
    rc = append(transport, data, size, to);
    if (rc == 0)
        flush(transport);
    return rc;
}

/* Receiving */

static void recv_done(struct bide_op *op)
{
    transport_t *transport = bide__container(op, transport_t, recv);
    transport->readable = true;
    settle(transport);
    queue(transport);
}

static bool receives(const transport_t *transport)
{
    return !transport->closing && !transport->ending;
}

static void wait_readable(transport_t *transport)
{
    transport->readable = false;
    int rc = transport->sock->engine->ops->recv_wait(transport->sock, &transport->recv);
    if (rc == 0)
        transport->readable = true;
    else if (rc != BIDE_PENDING)
        end(transport, rc);
}

static void receive_one(transport_t *transport)
{
    const struct bide_datagram_protocol *protocol = transport->protocol;
    struct bide_address from;
    struct bide__message message;
    bide__message_in(&message, transport->buffer, transport->opts.message_bytes_max, &from, NULL);
    ssize_t n = transport->sock->engine->ops->try_recv_message(transport->sock, &message.base);
    from.length = message.base.msg_namelen;
    if (n == -EAGAIN)
        wait_readable(transport);
    else if (n == -ENOTCONN || n == -ENOTSOCK || n == -EBADF)
        end(transport, (int)n);
    else if (n < 0 || (message.base.msg_flags & MSG_TRUNC))
        transport->error = n < 0 ? (int)n : -EMSGSIZE;
    else if (protocol->datagram_received)
        protocol->datagram_received(transport->data, transport->buffer, (size_t)n, &from);
}

/* Telling */

static void tell_room(transport_t *transport)
{
    const struct bide_datagram_protocol *protocol = transport->protocol;
    size_t bytes = transport->out_bytes;
    if (!transport->is_paused && bytes > transport->opts.write_high_bytes) {
        transport->is_paused = true;
        if (protocol->pause_writing)
            protocol->pause_writing(transport->data);
    } else if (transport->is_paused && bytes <= transport->opts.write_low_bytes) {
        transport->is_paused = false;
        if (protocol->resume_writing && !transport->ending)
            protocol->resume_writing(transport->data);
    }
}

static void tell_error(transport_t *transport)
{
    int error = transport->error;
    transport->error = 0;
    if (error < 0 && transport->protocol->error_received)
        transport->protocol->error_received(transport->data, error);
}

static bool is_due(const transport_t *transport)
{
    bool tells = transport->is_paused ? transport->out_bytes <= transport->opts.write_low_bytes
                                      : transport->out_bytes > transport->opts.write_high_bytes;
    return !transport->sock || transport->error < 0 || tells ||
           (transport->readable && receives(transport));
}

static void transport_free(transport_t *transport)
{
    bide__values_unref(transport->values);
    bide__loop_unref(transport->loop);
    drop_output(transport);
    free(transport->buffer);
    free(transport);
}

/* The last of all. */
static void tell_end(transport_t *transport)
{
    struct bide__values *outside = bide__context_enter(transport->values);
    if (transport->made && transport->protocol->connection_lost)
        transport->protocol->connection_lost(transport->data, transport->reason);
    if (transport->drop)
        transport->drop(transport->data);
    bide__context_leave(outside);
    transport_free(transport);
}

static void call_back(transport_t *transport)
{
    if (!transport->made) {
        transport->made = true;
        if (transport->protocol->connection_made)
            transport->protocol->connection_made(transport->data, transport);
    }
    tell_room(transport);
    tell_error(transport);
    for (int i = 0; i < MESSAGES_PER_TURN && transport->readable && receives(transport); i++) {
        receive_one(transport);
        tell_error(transport);
        tell_room(transport);
    }
    if (transport->closing && bide__list_empty(&transport->out))
        end(transport, 0);
}

static void run(struct bide__ready *ready)
{
    transport_t *transport = bide__container(ready, transport_t, ready);
    transport->queued = false;
    if (!transport->sock) {
        tell_end(transport);
        return;
    }
    transport->running = true;
    struct bide__values *outside = bide__context_enter(transport->values);
    call_back(transport);
    bide__context_leave(outside);
    transport->running = false;
    if (is_due(transport))
        queue(transport);
}

/* Life */

static void transport_drop(struct bide__resource *resource)
{
    transport_t *transport = bide__container(resource, transport_t, resource);
    end(transport, -ECONNABORTED);
}

/* The memory stays, as the loop's does: pointers to it may be used still. */
static void transport_forget(struct bide__resource *resource)
{
    transport_t *transport = bide__container(resource, transport_t, resource);
    bide__list_remove(&resource->node);
    transport->ending = true;
    transport->closing = true;
    transport->sock = NULL;
}

/* NULL without memory. */
static transport_t *transport_new(bide_loop *loop, const struct bide_datagram_opts *opts)
{
    transport_t *transport = calloc(1, sizeof *transport);
    char *buffer = malloc(opts->message_bytes_max);
    if (!transport || !buffer) {
        free(transport);
        free(buffer);
        return NULL;
    }
    *transport = (transport_t){.loop = bide__loop_ref(loop),
                               .values = bide__context_inherit(),
                               .opts = *opts,
                               .ready.run = run,
                               .resource = {.drop = transport_drop, .forget = transport_forget},
                               .recv.done = recv_done,
                               .readable = true,
                               .buffer = buffer};
    transport->opts.peer = NULL; /* was borrowed */
    bide__list_init(&transport->out);
    bide__list_init(&transport->resource.node);
    bide__room_init(&transport->room, loop, room_done);
    return transport;
}

static int family_of(const struct bide_address *local, const struct bide_datagram_opts *opts)
{
    if (local)
        return bide__address_family(local);
    if (opts->peer)
        return bide__address_family(opts->peer);
    return opts->family == BIDE_IPV6 ? AF_INET6 : AF_INET;
}

int bide_loop_datagram(bide_loop *loop, const struct bide_address *local,
                       const struct bide_datagram_opts *opts,
                       const struct bide_datagram_protocol *protocol, void *data, bide_drop *drop,
                       bide_datagram_transport **ret_transport)
{
    struct bide_datagram_opts all;
    int rc = protocol ? bide__datagram_opts(opts, &all) : -EINVAL;
    if (rc == 0)
        rc = bide__loop_open(loop);
    if (rc < 0)
        return rc;
    transport_t *transport = transport_new(loop, &all);
    if (!transport)
        return -ENOMEM;
    int family = family_of(local, &all);
    struct bide_address any = {.length = family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                            : sizeof(struct sockaddr_in)};
    if (!local && family != AF_UNIX) {
        memcpy(any.bytes + offsetof(struct sockaddr, sa_family),
               &(sa_family_t){(sa_family_t)family}, sizeof(sa_family_t));
        local = &any;
    }
    rc = bide__datagram_sock(loop, local, family, &all, &transport->sock);
    if (rc < 0) {
        transport_free(transport);
        return rc;
    }
    transport->is_inet = family != AF_UNIX;
    transport->protocol = protocol;
    transport->data = data;
    transport->drop = drop;
    bide__list_append(&loop->resources, &transport->resource.node);
    queue(transport);
    if (ret_transport)
        *ret_transport = transport;
    return 0;
}

size_t bide_datagram_transport_pending(const bide_datagram_transport *transport)
{
    return transport ? transport->out_bytes : 0;
}

int bide_datagram_transport_local(const bide_datagram_transport *transport,
                                  struct bide_address *ret_address)
{
    return transport ? bide__sock_address(transport->sock, false, ret_address) : -EINVAL;
}

int bide_datagram_transport_peer(const bide_datagram_transport *transport,
                                 struct bide_address *ret_address)
{
    return transport ? bide__sock_address(transport->sock, true, ret_address) : -EINVAL;
}

int bide_datagram_transport_fd(const bide_datagram_transport *transport)
{
    return transport && transport->sock ? transport->sock->fd : -1;
}

void bide_datagram_transport_close(bide_datagram_transport *transport)
{
    if (!transport || transport->closing)
        return;
    transport->closing = true;
    queue(transport);
}

void bide_datagram_transport_abort(bide_datagram_transport *transport)
{
    if (transport)
        end(transport, -ECONNABORTED);
}
