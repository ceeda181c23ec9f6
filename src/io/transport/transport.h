/*
 * A transport, as its files share it: a channel, and the protocol that is called.
 *
 * Invariants
 *  - The protocol is called from the ready queue alone (transport_run()); whatever happens before
 * leaves a mark here and queues the transport.
 *  - The loop's own reference goes when the protocol has heard of the end and its data is dropped;
 * by then nothing is queued and the engine has nothing of it.
 */
#ifndef BIDE_IO_TRANSPORT_H
#define BIDE_IO_TRANSPORT_H

#include "io/net/connector.h"
#include "io/net/server.h"
#include "io/stream/channel.h"
#include "runtime/context.h"

#include <bide/transport.h>

struct bide_transport {
    struct bide__channel channel;
    struct bide__ready ready;
    struct bide__values *values; /* context variables of who made it */
    struct bide_party party;
    unsigned serial;        /* grows with each change of the protocol */
    unsigned called_serial; /* of the one that is being called */
    bool calling;
    bool queued;
    bool no_input; /* which of the two it is not for */
    bool no_output;

    struct bide__connector *connector;  /* until it is connected */
    struct bide__connection connection; /* of a server */
    bool connect_over;
    int connect_result;

    bool made;    /* connection_made was called */
    bool closing; /* by us, or broken */
    bool aborted; /* by us */
    bool gone;    /* the socket is closed, or there never was one */
    bool lost;    /* the protocol knows */
    bool over;    /* and its data is dropped */
    int loss;     /* what connection_lost will say, if negative */

    bool paused;
    bool input_due; /* try_recv() may have something */
    bool eof_told;
    int input_error;
    char *rest; /* input that a protocol left */
    size_t rest_begin, rest_end;
    struct bide__swap *swap_waiting; /* for the receive to end, or the output to be gone */

    bool above;       /* the high mark was passed, and the low one not yet */
    unsigned n_marks; /* calls of pause_writing and resume_writing that are owed, in turns */
};

/* A call of the protocol, between its begin and end. */
struct bide__call {
    struct bide_party party;
    unsigned serial;
};

struct bide__call bide__call_begin(bide_transport *transport);
void bide__call_end(bide_transport *transport, const struct bide__call *call);

/* In the next turn the protocol hears what there is to hear. */
void bide__transport_queue(bide_transport *transport);
/* It is broken: output is dropped, and connection_lost(error) follows. */
BIDE_EXPORT void bide__transport_fail(bide_transport *transport, int error);
/* Who waits for a swap tries again. */
void bide__transport_swap_ready(bide_transport *transport);

/* Whether the protocol is to get what came. */
static inline bool bide__transport_takes(const bide_transport *transport)
{
    return transport->made && !transport->paused && !transport->closing &&
           !transport->channel.ending && transport->channel.error == 0;
}

/* Whether it will hear of the connection's end by reading. */
static inline bool bide__transport_hears(const bide_transport *transport)
{
    return bide__transport_takes(transport) && !transport->no_input && !transport->channel.eof &&
           !transport->channel.torn;
}

/* Hands over what came, and waits for more. */
void bide__transport_input(bide_transport *transport);
/* Bytes that no protocol has taken. */
static inline size_t bide__transport_rest(const bide_transport *transport)
{
    return transport->rest_end - transport->rest_begin;
}

/* After more or less is buffered: whether a mark was passed. */
void bide__transport_marks(bide_transport *transport);

/* One for a socket of its own, taken on success. `opts` are whole. */
int bide__transport_new(bide_loop *loop, struct bide_sock *sock,
                        const struct bide_stream_opts *opts, const struct bide_party *party,
                        bide_transport **ret_transport);

/* The socket, borrowed; NULL if there is none. For who made it and knows more of it. */
BIDE_EXPORT struct bide_sock *bide__transport_sock(const bide_transport *transport);

/*
 * Another socket in the place of the transport's; see bide__channel_swap_begin(). -EBUSY also:
 * reading is not paused; -EPROTO: the protocol left bytes; BIDE_PENDING: the receive is still to
 * end, or what was written to go out, and then swap->ready() is called, for another try; also if
 * the transport is closed or broken meanwhile.
 */
BIDE_EXPORT int bide__transport_swap_begin(bide_transport *transport, struct bide__swap *swap,
                                           struct bide_sock **ret_sock);
BIDE_EXPORT int bide__transport_swap_end(bide_transport *transport, struct bide_sock *sock,
                                         int error);

#endif
