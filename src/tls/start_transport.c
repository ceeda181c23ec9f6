/*
 * TLS on transports: a handshake without a task.
 *
 * Invariants
 *  - `started` is called once, from the ready queue, unless the loop closes first; `drop` once in
 * any case.
 *  - The transport gets a socket back exactly once, if it gave one. Its protocol gets nothing
 * between the start and `started`.
 */
#include "io/transport/transport.h"
#include "runtime/task.h"
#include "tls/filter.h"
#include "tls/start.h"

#include <bide/transport.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum phase {
    BEGINNING, /* the transport has its socket still */
    SHAKING,   /* the handshake is under way */
    ENDED,     /* `result` is to be told */
};

struct upgrade {
    struct bide__swap swap;
    struct bide_op op;
    struct bide__ready ready;
    struct bide__resource resource;
    bide_transport *transport;
    bide_loop *loop;
    struct bide_sock *sock; /* the filter, while it shakes hands */
    struct bide__tls_start start;
    char *server_name;
    char *words;
    bide_handle *limit;
    bide_tls_started *started;
    void *data;
    bide_drop *drop;
    enum phase phase;
    int result;
    bool queued;
    bool resumes; /* reading was not paused before */
    bool is_over_time;
    bool is_dropped; /* the loop closes */
};

static void queue(struct upgrade *upgrade)
{
    if (upgrade->queued)
        return;
    upgrade->queued = true;
    bide__loop_ready(upgrade->loop, &upgrade->ready);
}

static void handle_end(bide_handle *handle)
{
    if (!handle)
        return;
    bide_handle_cancel(handle);
    bide_handle_free(handle);
}

static void upgrade_free(struct upgrade *upgrade)
{
    bide__list_remove(&upgrade->resource.node);
    if (upgrade->transport->swap_waiting == &upgrade->swap)
        upgrade->transport->swap_waiting = NULL;
    handle_end(upgrade->limit);
    bide_tls_unref(upgrade->start.context);
    bide_transport_unref(upgrade->transport);
    if (upgrade->drop)
        upgrade->drop(upgrade->data);
    free(upgrade->server_name);
    free(upgrade->words);
    free(upgrade);
}

static void end(struct upgrade *upgrade, int result)
{
    upgrade->phase = ENDED;
    upgrade->result = result;
    queue(upgrade);
}

/* Gives the transport the filter, and takes what there is to say. */
static void give_back(struct upgrade *upgrade)
{
    const struct bide__tls_filter *filter = bide__tls_filter_of(upgrade->sock);
    int rc = upgrade->op.result;
    if (rc < 0 && filter->words && filter->error == rc)
        upgrade->words = strdup(filter->words);
    if (rc == -ECANCELED)
        rc = upgrade->is_over_time ? -ETIMEDOUT : -BIDE_ETORN;
    int ended = bide__transport_swap_end(upgrade->transport, upgrade->sock, rc);
    upgrade->sock = NULL;
    end(upgrade, ended);
}

static void shaken(struct bide_op *op)
{
    struct upgrade *upgrade = bide__container(op, struct upgrade, op);
    if (upgrade->is_dropped)
        give_back(upgrade);
    else
        queue(upgrade);
}

static void break_off(struct upgrade *upgrade)
{
    if (upgrade->op.state != BIDE_OP_IDLE)
        upgrade->sock->engine->ops->cancel(&upgrade->op);
}

static void unwanted(struct bide__swap *swap)
{
    break_off(bide__container(swap, struct upgrade, swap));
}

static void begin_again(struct bide__swap *swap)
{
    queue(bide__container(swap, struct upgrade, swap));
}

static int over_time(void *data)
{
    struct upgrade *upgrade = data;
    upgrade->is_over_time = true;
    break_off(upgrade);
    if (upgrade->phase == BEGINNING)
        queue(upgrade);
    return 0;
}

/* Takes the socket and begins the handshake: 0, BIDE_PENDING if begin_again() will be called, or an
 * error. */
static int begin(struct upgrade *upgrade)
{
    struct bide_sock *lower;
    if (upgrade->is_over_time)
        return -ETIMEDOUT;
    if (bide_transport_is_closing(upgrade->transport))
        return -ECONNABORTED;
    int rc = bide__transport_swap_begin(upgrade->transport, &upgrade->swap, &lower);
    if (rc < 0)
        return rc;
    rc = bide__tls_wrap(&upgrade->start, upgrade->loop, lower, &upgrade->sock);
    if (rc < 0) {
        bide__transport_swap_end(upgrade->transport, lower, 0);
        return rc;
    }
    upgrade->phase = SHAKING;
    upgrade->op.done = shaken;
    rc = upgrade->sock->engine->ops->connect(upgrade->sock, &upgrade->op, NULL, 0);
    if (rc == BIDE_PENDING)
        return 0;
    upgrade->op.result = rc;
    give_back(upgrade);
    return 0;
}

static void tell(struct upgrade *upgrade)
{
    if (!upgrade->is_dropped) {
        if (upgrade->words)
            bide__detail_set(upgrade->result, "%s", upgrade->words);
        upgrade->started(upgrade->transport, upgrade->result, upgrade->data);
        if (upgrade->resumes)
            bide_transport_resume_reading(upgrade->transport);
    }
    upgrade_free(upgrade);
}

/* What is left is a transport that works, or none; its loss is told behind this. */
static void not_begun(struct upgrade *upgrade, int error)
{
    bide_transport *transport = bide_transport_ref(upgrade->transport);
    bool is_broken = error != -EBUSY && error != -EPROTO && !upgrade->is_dropped;
    upgrade->phase = ENDED;
    upgrade->result = error;
    tell(upgrade);
    if (is_broken && !bide_transport_is_closing(transport))
        bide__transport_fail(transport, error);
    bide_transport_unref(transport);
}

static void run(struct bide__ready *ready)
{
    struct upgrade *upgrade = bide__container(ready, struct upgrade, ready);
    upgrade->queued = false;
    if (upgrade->phase == BEGINNING) {
        int rc = upgrade->is_dropped ? -ECANCELED : begin(upgrade);
        if (rc < 0 && rc != BIDE_PENDING)
            not_begun(upgrade, rc);
    } else if (upgrade->phase == SHAKING) {
        give_back(upgrade);
    } else {
        tell(upgrade);
    }
}

/* The loop closes. What is under way ends with the transport, which breaks it off. */
static void drop(struct bide__resource *resource)
{
    struct upgrade *upgrade = bide__container(resource, struct upgrade, resource);
    upgrade->is_dropped = true;
    bide__list_remove(&resource->node);
    if (upgrade->phase == BEGINNING)
        end(upgrade, -ECANCELED);
    else if (upgrade->phase == SHAKING && upgrade->op.state == BIDE_OP_IDLE)
        give_back(upgrade);
}

static void forget(struct bide__resource *resource)
{
    bide__list_remove(&resource->node);
}

static int upgrade_new(bide_transport *transport, struct bide__tls_start *start, double seconds,
                       struct upgrade **ret_upgrade)
{
    struct upgrade *upgrade = calloc(1, sizeof *upgrade);
    if (!upgrade)
        return -ENOMEM;
    upgrade->swap = (struct bide__swap){.unwanted = unwanted, .ready = begin_again};
    upgrade->ready.run = run;
    upgrade->resource = (struct bide__resource){.drop = drop, .forget = forget};
    bide__list_init(&upgrade->resource.node);
    upgrade->loop = bide_transport_loop(transport);
    upgrade->transport = bide_transport_ref(transport);
    upgrade->start = *start;
    bide_tls_ref(start->context);
    if (start->server_name) {
        upgrade->server_name = strdup(start->server_name);
        upgrade->start.server_name = upgrade->server_name;
    }
    int rc = start->server_name && !upgrade->server_name ? -ENOMEM : 0;
    if (rc == 0)
        rc = bide_loop_call_later(upgrade->loop, seconds, over_time, upgrade, NULL,
                                  &upgrade->limit);
    if (rc < 0)
        upgrade_free(upgrade);
    else
        *ret_upgrade = upgrade;
    return rc;
}

static int start(bide_transport *transport, struct bide__tls_start *how, double seconds,
                 const struct bide_tls_party *party)
{
    struct upgrade *upgrade;
    if (!bide_transport_loop(transport) || bide_transport_is_closing(transport))
        return -ENOTCONN;
    if (transport->channel.plain)
        return -EBADF;
    if (!transport->channel.sock)
        return transport->channel.swap ? -EBUSY : -ENOTCONN;
    int rc = upgrade_new(transport, how, seconds, &upgrade);
    if (rc < 0)
        return rc;
    upgrade->started = party->started;
    upgrade->data = party->data;
    upgrade->drop = party->drop;
    upgrade->resumes = bide_transport_is_reading(transport);
    bide_transport_pause_reading(transport);
    bide__list_append(&upgrade->loop->resources, &upgrade->resource.node);
    queue(upgrade);
    return 0;
}

int bide_tls_transport_client(bide_transport *transport, bide_tls_context *context,
                              const struct bide_tls_opts *opts, const struct bide_tls_party *party)
{
    struct bide__tls_start how;
    double seconds;
    if (!transport || !party || !party->started)
        return -EINVAL;
    int rc = bide__tls_start_client(context, opts, &how, &seconds);
    if (rc < 0)
        return rc;
    struct bide_address address;
    if (bide_transport_peer(transport, &address) == 0)
        how.port = bide_address_port(&address);
    return start(transport, &how, seconds, party);
}

int bide_tls_transport_server(bide_transport *transport, bide_tls_context *context,
                              const struct bide_tls_opts *opts, const struct bide_tls_party *party)
{
    struct bide__tls_start how;
    double seconds;
    if (!transport || !party || !party->started)
        return -EINVAL;
    int rc = bide__tls_start_server(context, opts, &how, &seconds);
    return rc < 0 ? rc : start(transport, &how, seconds, party);
}

int bide_tls_transport_info(bide_transport *transport, struct bide_tls_info *ret_info)
{
    return transport && ret_info ? bide__tls_info(bide__transport_sock(transport), ret_info)
                                 : -EINVAL;
}
