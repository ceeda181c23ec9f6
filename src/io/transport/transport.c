/* The life of a transport: made, told of its steps, ended. The invariants stand in transport.h. */
#include "io/transport/transport.h"

#include "io/net/connect.h"

#include <stdlib.h>

void bide__transport_queue(bide_transport *transport)
{
    if (transport->queued || transport->over)
        return;
    transport->queued = true;
    bide__loop_ready(transport->channel.loop, &transport->ready);
}

static void party_drop(const struct bide_party *party)
{
    if (party->drop)
        party->drop(party->data);
}

struct bide__call bide__call_begin(bide_transport *transport)
{
    transport->calling = true;
    transport->called_serial = transport->serial;
    return (struct bide__call){.party = transport->party, .serial = transport->serial};
}

void bide__call_end(bide_transport *transport, const struct bide__call *call)
{
    transport->calling = false;
    if (transport->serial != call->serial)
        party_drop(&call->party);
}

void bide__transport_swap_ready(bide_transport *transport)
{
    struct bide__swap *swap = transport->swap_waiting;
    transport->swap_waiting = NULL;
    if (swap)
        swap->ready(swap);
}

/* Nothing is to go out, or nothing will. */
static bool is_flushed(const struct bide__channel *channel)
{
    return bide__channel_broken(channel) < 0 ||
           (bide__channel_pending(channel) == 0 && channel->send.state == BIDE_OP_IDLE);
}

static void transport_moved(struct bide__channel *channel)
{
    bide_transport *transport = bide__container(channel, bide_transport, channel);
    if (is_flushed(channel))
        bide__transport_swap_ready(transport);
    if (bide__channel_broken(channel) < 0)
        bide__transport_queue(transport);
    else
        bide__transport_marks(transport);
}

static void transport_closed(struct bide__channel *channel)
{
    bide_transport *transport = bide__container(channel, bide_transport, channel);
    transport->gone = true;
    bide__transport_queue(transport);
}

/* No task is ever inside. */
static void transport_abandon(struct bide__channel *channel)
{
    (void)channel;
}

static void transport_free(struct bide__channel *channel)
{
    bide_transport *transport = bide__container(channel, bide_transport, channel);
    bide__values_unref(transport->values);
    free(transport->rest);
    bide__channel_fini(channel);
    free(transport);
}

static const struct bide__channel_kind transport_kind = {.moved = transport_moved,
                                                         .closed = transport_closed,
                                                         .abandon = transport_abandon,
                                                         .free = transport_free};

void bide__transport_fail(bide_transport *transport, int error)
{
    transport->loss = error;
    transport->closing = true;
    bide__channel_fail_output(&transport->channel, error);
    bide__channel_end(&transport->channel);
}

/* The steps of a life */

static void tell_made(bide_transport *transport)
{
    transport->made = true;
    struct bide__call call = bide__call_begin(transport);
    call.party.protocol->connection_made(call.party.data, transport);
    bide__call_end(transport, &call);
}

static void tell_failed(bide_transport *transport, int error)
{
    transport->gone = true;
    transport->lost = true;
    struct bide__call call = bide__call_begin(transport);
    if (call.party.protocol->connection_failed)
        call.party.protocol->connection_failed(call.party.data, error);
    bide__call_end(transport, &call);
}

static void tell_lost(bide_transport *transport)
{
    transport->lost = true;
    if (transport->loss == 0 && !transport->aborted)
        transport->loss = bide__channel_broken(&transport->channel);
    struct bide__call call = bide__call_begin(transport);
    if (call.party.protocol->connection_lost)
        call.party.protocol->connection_lost(call.party.data, transport->loss);
    bide__call_end(transport, &call);
}

/* What was owed when it begins; calls that these cause wait for the next turn. */
static void tell_marks(bide_transport *transport)
{
    for (unsigned n = transport->n_marks; n > 0; n--) {
        bool pause = (transport->n_marks % 2 == 1) == transport->above;
        struct bide__call call = bide__call_begin(transport);
        const struct bide_protocol *protocol = call.party.protocol;
        transport->n_marks--;
        if (pause && protocol->pause_writing)
            protocol->pause_writing(call.party.data);
        else if (!pause && protocol->resume_writing)
            protocol->resume_writing(call.party.data);
        bide__call_end(transport, &call);
    }
}

static void connect_end(bide_transport *transport)
{
    struct bide__connector *connector = transport->connector;
    int rc = transport->closing ? -ECANCELED : transport->connect_result;
    transport->connector = NULL;
    if (rc == 0) {
        bide__channel_open(&transport->channel, bide__connector_sock(connector));
        bide__connector_take(connector);
    } else {
        bide__detail_take(rc, bide__connector_take_words(connector));
    }
    bide__connector_free(connector);
    if (rc < 0)
        tell_failed(transport, rc);
}

static void transport_step(bide_transport *transport)
{
    struct bide__channel *channel = &transport->channel;
    bool gone = transport->gone; /* what a call below causes is told in another turn */
    if (transport->connector) {
        if (!transport->connect_over)
            return;
        connect_end(transport);
    }
    if (transport->lost)
        return;
    if (!transport->made)
        tell_made(transport);
    tell_marks(transport);
    int broken = transport->input_error < 0 ? transport->input_error
                                            : bide__channel_broken(channel);
    if (broken < 0 && !transport->closing &&
        (transport->input_error < 0 || !bide__transport_hears(transport)))
        bide__transport_fail(transport, broken);
    bide__transport_input(transport);
    if (gone)
        tell_lost(transport);
    else if (transport->n_marks > 0)
        bide__transport_queue(transport);
}

/* Nobody is called any more. */
static void transport_finish(bide_transport *transport)
{
    struct bide_party party = transport->party;
    transport->over = true;
    transport->party = (struct bide_party){0};
    party_drop(&party);
    bide__connection_leave(&transport->connection);
    bide__channel_unref(&transport->channel);
}

static void transport_run(struct bide__ready *ready)
{
    bide_transport *transport = bide__container(ready, bide_transport, ready);
    bool calls = !transport->channel.loop->closing;
    transport->queued = false;
    struct bide__values *outside = bide__context_enter(transport->values);
    if (calls)
        transport_step(transport);
    if (transport->gone && (transport->lost || !calls) && !transport->queued)
        transport_finish(transport);
    bide__context_leave(outside);
}

/* Making */

/* Without a socket; bide__channel_unref() is the way back. */
static int transport_make(bide_loop *loop, const struct bide_stream_opts *opts,
                          const struct bide_party *party, bide_transport **ret_transport)
{
    int rc = bide__loop_open(loop);
    if (rc < 0)
        return rc;
    if (!loop->input)
        loop->input = malloc(BIDE__LOOP_INPUT_BYTES);
    bide_transport *transport = loop->input ? calloc(1, sizeof *transport) : NULL;
    if (!transport)
        return -ENOMEM;
    bide__channel_init(&transport->channel, &transport_kind, loop, opts);
    transport->ready.run = transport_run;
    transport->party = *party;
    transport->values = bide__context_inherit();
    bide__list_init(&transport->connection.node);
    *ret_transport = transport;
    return 0;
}

static void transport_begin(bide_transport *transport, struct bide_sock *sock)
{
    bide__channel_open(&transport->channel, sock);
    bide__transport_queue(transport);
}

int bide__transport_new(bide_loop *loop, struct bide_sock *sock,
                        const struct bide_stream_opts *opts, const struct bide_party *party,
                        bide_transport **ret_transport)
{
    int rc = transport_make(loop, opts, party, ret_transport);
    if (rc == 0)
        transport_begin(*ret_transport, sock);
    return rc;
}

static bool is_protocol(const struct bide_protocol *protocol)
{
    return protocol && protocol->connection_made;
}

/* How a descriptor becomes a socket of the engine's. */
enum way { ADOPT, SHARE_INPUT, SHARE_OUTPUT };

static int sock_of(bide_loop *loop, int fd, enum way way, struct bide_sock **ret_sock)
{
    struct bide_engine *engine = loop->engine;
    if (way == ADOPT)
        return engine->ops->sock_adopt(engine, fd, BIDE_ADOPT_STREAM, ret_sock);
    return engine->ops->sock_share(engine, fd, way == SHARE_INPUT ? BIDE_INPUT : BIDE_OUTPUT,
                                   ret_sock);
}

static int transport_of(bide_loop *loop, int fd, enum way way, const struct bide_stream_opts *opts,
                        const struct bide_party *party, bide_transport **ret_transport)
{
    struct bide_stream_opts all;
    bide_transport *transport;
    struct bide_sock *sock;
    if (!is_protocol(party->protocol) || bide__channel_opts(opts, &all) < 0)
        return -EINVAL;
    int rc = transport_make(loop, &all, party, &transport);
    if (rc < 0)
        return rc;
    rc = sock_of(loop, fd, way, &sock);
    if (rc < 0) {
        bide__channel_unref(&transport->channel);
        return rc;
    }
    transport->channel.plain = way != ADOPT;
    transport->no_input = way == SHARE_OUTPUT;
    transport->no_output = way == SHARE_INPUT;
    transport_begin(transport, sock);
    if (ret_transport)
        *ret_transport = transport;
    return 0;
}

int bide_transport_adopt(bide_loop *loop, int fd, const struct bide_stream_opts *opts,
                         const struct bide_protocol *protocol, void *data, bide_drop *drop,
                         bide_transport **ret_transport)
{
    struct bide_party party = {.protocol = protocol, .data = data, .drop = drop};
    return transport_of(loop, fd, ADOPT, opts, &party, ret_transport);
}

int bide_transport_input(bide_loop *loop, int fd, const struct bide_stream_opts *opts,
                         const struct bide_protocol *protocol, void *data, bide_drop *drop,
                         bide_transport **ret_transport)
{
    struct bide_party party = {.protocol = protocol, .data = data, .drop = drop};
    return transport_of(loop, fd, SHARE_INPUT, opts, &party, ret_transport);
}

int bide_transport_output(bide_loop *loop, int fd, const struct bide_stream_opts *opts,
                          const struct bide_protocol *protocol, void *data, bide_drop *drop,
                          bide_transport **ret_transport)
{
    struct bide_party party = {.protocol = protocol, .data = data, .drop = drop};
    return transport_of(loop, fd, SHARE_OUTPUT, opts, &party, ret_transport);
}

static void connect_done(struct bide__connector *connector, int rc)
{
    bide_transport *transport = bide__connector_data(connector);
    transport->connect_over = true;
    transport->connect_result = rc;
    bide__transport_queue(transport);
}

/* The loop closes. */
static void connect_gone(struct bide__connector *connector)
{
    bide_transport *transport = bide__connector_data(connector);
    transport->connector = NULL;
    transport->gone = true;
    bide__transport_queue(transport);
}

int bide_loop_connect(bide_loop *loop, const char *host, unsigned port,
                      const struct bide_connect_opts *opts, const struct bide_protocol *protocol,
                      void *data, bide_drop *drop, bide_transport **ret_transport)
{
    struct bide_party party = {.protocol = protocol, .data = data, .drop = drop};
    struct bide__connect_request request;
    struct bide_stream_opts all;
    bide_transport *transport;
    if (!is_protocol(protocol) || bide__connect_request(host, port, opts, &request, &all) < 0)
        return -EINVAL;
    int rc = transport_make(loop, &all, &party, &transport);
    if (rc < 0)
        return rc;
    request.done = connect_done;
    request.gone = connect_gone;
    request.data = transport;
    rc = bide__connector_start(loop, &request, &transport->connector);
    if (rc < 0) {
        bide__channel_unref(&transport->channel);
        return rc;
    }
    transport->connect_over = bide__connector_over(transport->connector,
                                                   &transport->connect_result);
    if (transport->connect_over)
        bide__transport_queue(transport);
    if (ret_transport)
        *ret_transport = transport;
    return 0;
}

bide_transport *bide_transport_ref(bide_transport *transport)
{
    if (transport)
        bide__channel_ref(&transport->channel);
    return transport;
}

void bide_transport_unref(bide_transport *transport)
{
    if (transport)
        bide__channel_unref(&transport->channel);
}

/* Ending */

/* An attempt to connect is given up. */
static void connect_stop(bide_transport *transport)
{
    bide__connector_cancel(transport->connector);
    if (bide__connector_over(transport->connector, &transport->connect_result))
        connect_done(transport->connector, transport->connect_result);
}

static bool begin_closing(bide_transport *transport)
{
    if (!transport || transport->closing || transport->gone)
        return false;
    transport->closing = true;
    bide__transport_swap_ready(transport);
    if (transport->connector)
        connect_stop(transport);
    return transport->channel.sock || transport->channel.swap;
}

void bide_transport_close(bide_transport *transport)
{
    if (!begin_closing(transport))
        return;
    struct bide__channel *channel = &transport->channel;
    transport->aborted = channel->swap; /* then there is no other way to end */
    bide__channel_cancel_recv(channel);
    bide__channel_flush(channel);
    bide__channel_farewell(channel);
    if (!channel->ending)
        bide__channel_linger(channel, bide__transport_rest(transport) > 0);
}

void bide_transport_abort(bide_transport *transport)
{
    if (!transport || transport->over)
        return;
    begin_closing(transport);
    transport->aborted = transport->aborted || transport->loss == 0;
    if (transport->channel.sock || transport->channel.swap)
        bide__channel_abort(&transport->channel);
}

bool bide_transport_is_closing(const bide_transport *transport)
{
    return transport && (transport->closing || transport->gone);
}

int bide_transport_set_protocol(bide_transport *transport, const struct bide_protocol *protocol,
                                void *data, bide_drop *drop)
{
    if (!transport || !is_protocol(protocol))
        return -EINVAL;
    if (transport->lost || transport->over)
        return -ENOTCONN;
    struct bide_party former = transport->party;
    bool in_call = transport->calling && transport->called_serial == transport->serial;
    transport->party = (struct bide_party){.protocol = protocol, .data = data, .drop = drop};
    transport->serial++;
    if (!in_call)
        party_drop(&former);
    return 0;
}

/* Extra information */

void *bide_transport_data(const bide_transport *transport)
{
    return transport ? transport->party.data : NULL;
}

bide_loop *bide_transport_loop(const bide_transport *transport)
{
    return transport ? transport->channel.loop : NULL;
}

struct bide_sock *bide__transport_sock(const bide_transport *transport)
{
    return transport->channel.sock;
}

int bide_transport_fd(const bide_transport *transport)
{
    return transport && transport->channel.sock ? transport->channel.sock->fd : -1;
}

int bide_transport_peer(const bide_transport *transport, struct bide_address *ret_address)
{
    return transport && ret_address ? bide__channel_address(&transport->channel, true, ret_address)
                                    : -EINVAL;
}

int bide_transport_local(const bide_transport *transport, struct bide_address *ret_address)
{
    return transport && ret_address ? bide__channel_address(&transport->channel, false, ret_address)
                                    : -EINVAL;
}

int bide__transport_swap_begin(bide_transport *transport, struct bide__swap *swap,
                               struct bide_sock **ret_sock)
{
    struct bide__channel *channel = &transport->channel;
    if (!transport->paused || transport->closing || transport->swap_waiting)
        return -EBUSY;
    if (bide__transport_rest(transport) > 0)
        return -EPROTO;
    bool is_receiving = bide__operation_pending(&channel->recv);
    if (swap->ready && (is_receiving || !is_flushed(channel))) {
        transport->swap_waiting = swap;
        bide__channel_cancel_recv(channel);
        return BIDE_PENDING;
    }
    return bide__channel_swap_begin(channel, swap, ret_sock);
}

int bide__transport_swap_end(bide_transport *transport, struct bide_sock *sock, int error)
{
    int rc = bide__channel_swap_end(&transport->channel, sock, error);
    transport->input_due = false;
    bide__transport_queue(transport);
    return rc;
}
