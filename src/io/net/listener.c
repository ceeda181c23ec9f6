/* Listening sockets; the invariants stand in listener.h. */
#include "io/net/listener.h"

#include "base/time.h"
#include "io/net/port.h"
#include "runtime/task.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { ACCEPTS_PER_TURN = 64, PORT_TRIES = 16 };
#define RETRY_NS (BIDE__NS_PER_S / 10)

static void listener_queue(struct bide__listener *listener)
{
    if (listener->queued || !listener->sock)
        return;
    listener->queued = true;
    bide__loop_ready(listener->set->loop, &listener->ready);
}

static void listener_settle(struct bide__listener *listener)
{
    struct bide__listeners *set = listener->set;
    if (!listener->sock || listener->op.state != BIDE_OP_IDLE)
        return;
    bide__timer_cancel(set->loop->timers, &listener->retry);
    listener->sock->engine->ops->sock_close(listener->sock);
    listener->sock = NULL;
    set->n_open--;
    set->kind->closed(set);
    if (!listener->queued && !listener->serving)
        set->kind->released(set);
}

static void listener_woken(struct bide_op *op)
{
    struct bide__listener *listener = bide__container(op, struct bide__listener, op);
    if (listener->set->is_closed)
        listener_settle(listener);
    else
        listener_queue(listener);
}

static void listener_starved(struct bide__listener *listener, int error)
{
    char text[BIDE_ADDRESS_TEXT_SIZE];
    if (listener->starved)
        return;
    listener->starved = true;
    bide_address_print(&listener->address, text, sizeof text);
    bide_loop_report(listener->set->loop,
                     &(struct bide_report){.message = "server can't accept connections for now",
                                           .error = error,
                                           .detail = text});
}

void bide__listeners_starved(struct bide__listeners *set, int error)
{
    listener_starved(&set->each[0], error);
}

bool bide__listeners_full(const struct bide__listeners *set)
{
    if (set->member)
        return bide__port_full(set->member);
    return set->connections_max > 0 && set->n_connections >= set->connections_max;
}

/* Takes connections until none is left, the server is full, or it has had its share of the turn. */
static int listener_accept(struct bide__listener *listener)
{
    struct bide__listeners *set = listener->set;
    const struct bide_engine_ops *ops = listener->sock->engine->ops;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct bide_sock *sock;
        if (set->is_closed || bide__listeners_full(set))
            return 0;
        int rc = ops->try_accept(listener->sock, &sock);
        if (rc == 0)
            rc = set->member ? bide__port_hand(set->member, sock) : set->kind->accepted(set, sock);
        if (rc < 0)
            return rc;
    }
    listener_queue(listener);
    return 0;
}

static void listener_serve(struct bide__listener *listener)
{
    struct bide__listeners *set = listener->set;
    int rc = listener_accept(listener);
    if (rc == -EAGAIN) /* nobody waits: whatever was lacking is there again */
        listener->starved = false;
    else if (rc < 0)
        listener_starved(listener, rc);
    if (listener->queued || set->is_closed)
        return;
    if (bide__listeners_full(set)) {
        if (set->member)
            bide__port_rest(set->member);
        return;
    }
    rc = listener->sock->engine->ops->accept_wait(listener->sock, &listener->op);
    if (rc == 0)
        listener_queue(listener);
    if (rc == 0 || rc == BIDE_PENDING)
        return;
    listener_starved(listener, rc);
    bide__timer_set(set->loop->timers, &listener->retry, bide__loop_now_ns(set->loop) + RETRY_NS);
}

static void listener_run(struct bide__ready *ready)
{
    struct bide__listener *listener = bide__container(ready, struct bide__listener, ready);
    struct bide__listeners *set = listener->set;
    listener->queued = false;
    if (!set->is_closed && listener->op.state == BIDE_OP_IDLE) {
        listener->serving = true;
        listener_serve(listener);
        listener->serving = false;
    }
    if (!listener->sock && !listener->queued)
        set->kind->released(set);
}

static void listener_retry(struct bide__timer *timer)
{
    listener_queue(bide__container(timer, struct bide__listener, retry));
}

/* Nobody finds it any more, where it is found by a file. */
static void listener_unbind(struct bide__listener *listener, struct bide_sock *sock)
{
    if (listener->file.inode != 0)
        sock->engine->ops->local_unbind(sock, (const void *)listener->address.bytes,
                                        &listener->file);
    listener->file = (struct bide_local_file){0};
}

static void listener_close(struct bide__listener *listener)
{
    if (!listener->sock)
        return;
    listener_unbind(listener, listener->sock);
    if (listener->op.state != BIDE_OP_IDLE)
        listener->sock->engine->ops->cancel(&listener->op);
    listener_settle(listener);
}

static int bind_at(struct bide__listener *listener, struct bide_sock *sock)
{
    const struct bide__listeners *set = listener->set;
    const struct bide_engine_ops *ops = sock->engine->ops;
    const struct sockaddr *bytes = (const void *)listener->address.bytes;
    const int on = 1;
    if (bytes->sa_family == AF_UNIX)
        return ops->local_bind(sock, bytes, listener->address.length, set->file_mode,
                               &listener->file);
    int rc = ops->sock_setopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (rc == 0 && set->reuse_port)
        rc = ops->sock_setopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (rc == 0 && bytes->sa_family == AF_INET6)
        rc = ops->sock_setopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return rc < 0 ? rc : ops->sock_bind(sock, bytes, listener->address.length);
}

/* Listens, and learns the name that it has. */
static int listen_on(struct bide__listener *listener, struct bide_sock *sock)
{
    const struct bide_engine_ops *ops = sock->engine->ops;
    struct bide_address named = {.length = sizeof named.bytes};
    int rc = bind_at(listener, sock);
    if (rc == 0 && !listener->set->binds_only)
        rc = ops->sock_listen(sock, listener->set->backlog);
    if (rc == 0)
        rc = ops->sock_name(sock, false, (void *)named.bytes, &named.length);
    if (rc == 0)
        listener->address = named;
    else
        listener_unbind(listener, sock);
    return rc;
}

static void listener_put(struct bide__listener *listener, struct bide_sock *sock)
{
    struct bide__listeners *set = listener->set;
    listener->op.done = listener_woken;
    listener->ready.run = listener_run;
    bide__timer_init(&listener->retry, listener_retry);
    listener->sock = sock;
    set->n++;
    set->n_open++;
}

void bide__listeners_put(struct bide__listeners *set, struct bide_sock *sock,
                         const struct bide_address *address)
{
    struct bide__listener *listener = &set->each[set->n];
    listener->set = set;
    listener->address = *address;
    listener_put(listener, sock);
}

static int listener_add(struct bide__listeners *set, const struct bide_address *address)
{
    struct bide_engine *engine = set->loop->engine;
    const struct sockaddr *bytes = (const void *)address->bytes;
    struct bide__listener *listener = &set->each[set->n];
    struct bide_sock *sock;
    int rc = engine->ops->sock_open(engine, bytes->sa_family, SOCK_STREAM, 0, &sock);
    if (rc < 0)
        return rc;
    listener->set = set;
    listener->address = *address;
    rc = listen_on(listener, sock);
    if (rc < 0)
        sock->engine->ops->sock_close(sock);
    else
        listener_put(listener, sock);
    return rc;
}

void bide__listeners_undo(struct bide__listeners *set)
{
    for (; set->n > 0; set->n--) {
        struct bide_sock *sock = set->each[set->n - 1].sock;
        listener_unbind(&set->each[set->n - 1], sock);
        sock->engine->ops->sock_close(sock);
        set->each[set->n - 1] = (struct bide__listener){0};
    }
    set->n_open = 0;
}

static void set_port(struct bide_address *address, unsigned port)
{
    /* The port of either kind of address stands at the same place. */
    _Static_assert(
        offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "port");
    uint16_t wire = htons((uint16_t)port);
    memcpy(address->bytes + offsetof(struct sockaddr_in, sin_port), &wire, sizeof wire);
}

/* An address family that the machine lacks is no error if another address works. */
static bool is_lacking(int rc)
{
    return rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL;
}

/* Listens on all addresses; with port 0, on the one that the first of them was given. */
static int listeners_add(struct bide__listeners *set, struct bide_address *addresses, int n,
                         unsigned port)
{
    int lacking = 0;
    for (int i = 0; i < n; i++) {
        if (port == 0 && set->n > 0)
            set_port(&addresses[i], bide_address_port(&set->each[0].address));
        int rc = listener_add(set, &addresses[i]);
        if (rc < 0) {
            char text[BIDE_ADDRESS_TEXT_SIZE];
            bide_address_print(&addresses[i], text, sizeof text);
            bide__detail_set(rc, "%s", text);
        }
        if (is_lacking(rc)) {
            lacking = rc;
        } else if (rc < 0) {
            bide__listeners_undo(set);
            return rc;
        }
    }
    return set->n > 0 ? 0 : lacking;
}

int bide__listeners_open(struct bide__listeners *set, struct bide_address *addresses, int n,
                         unsigned port)
{
    int rc = listeners_add(set, addresses, n, port);
    /* The first one's free port may be in use at another address. */
    for (int i = 0; rc == -EADDRINUSE && port == 0 && n > 1 && i < PORT_TRIES; i++) {
        set_port(&addresses[0], 0);
        rc = listeners_add(set, addresses, n, port);
    }
    return rc;
}

void bide__listeners_go_on(struct bide__listeners *set)
{
    if (set->member)
        bide__port_go_on(set->member);
    for (size_t i = 0; i < set->n; i++)
        if (set->each[i].op.state == BIDE_OP_IDLE)
            listener_queue(&set->each[i]);
}

void bide__listeners_close(struct bide__listeners *set)
{
    size_t n = set->n;
    set->is_closed = true;
    if (set->member)
        bide__port_leave(set);
    for (size_t i = 0; i < n; i++)
        listener_close(&set->each[i]);
}
