/*
 * Connecting, without a task: a name is looked up, its addresses are tried (RFC 8305), and the
 * first connection wins.
 *
 * Invariants
 *  - Attempts begin in the order of the addresses, the families taking turns: each one
 * `attempt_ns` after the one before, or at once when one has failed.
 *  - `done` is called once, from the loop, when all is over: by then every attempt has ended, and
 * the winner's socket alone is open.
 *  - A connection that was made before a cancel could reach it wins over the cancel.
 *  - All memory that the engine uses lies here; the connector goes with the last of it. The loop
 * knows it until then.
 */
#ifndef BIDE_IO_CONNECTOR_H
#define BIDE_IO_CONNECTOR_H

#include "runtime/loop.h"

#include <bide/address.h>

struct bide__connector;

/*
 * It is over: 0 and a socket to be taken, or the error. Called from the engine, a timer or the
 * ready queue, never from inside one of the calls below, so it makes things ready and runs no user
 * code. May free the connector.
 */
typedef void bide__connector_done(struct bide__connector *connector, int rc);

/* What is asked for. All of it is borrowed until the start returns. */
struct bide__connect_request {
    const char *host; /* a name or a number; NULL: the addresses below */
    unsigned port;
    enum bide_family family;
    const struct bide_address *addresses;
    unsigned n_addresses;
    const struct bide_address *local; /* to be bound to; NULL: any */
    double resolve_seconds;           /* limit of the lookup; 0: none */
    double attempt_seconds;           /* from one attempt to the next; 0: the default */
    bide__connector_done *done;
    /* The loop closes, and `done` will not be called; the connector is freed behind it. May be
     * NULL. */
    void (*gone)(struct bide__connector *connector);
    void *data;
};

/* Takes the arguments for sensible. Returns owned; -ENOMEM or an error of the engine's. */
int bide__connector_start(bide_loop *loop, const struct bide__connect_request *request,
                          struct bide__connector **ret_connector);

/* Ends it soon: `done` will hear of -ECANCELED, or of what was decided before. */
void bide__connector_cancel(struct bide__connector *connector);

/* Whether it is over, for who would not wait: then `done` is not called any more. */
bool bide__connector_over(struct bide__connector *connector, int *ret_rc);

/* At any time: `done` is not called any more, and a socket that was not taken is closed. */
void bide__connector_free(struct bide__connector *connector);

/* When it is over: the socket, NULL if it failed; the connector's until it is taken. */
struct bide_sock *bide__connector_sock(const struct bide__connector *connector);
void bide__connector_take(struct bide__connector *connector);
/* What there is to say about the failure, taken; may be NULL. */
char *bide__connector_take_words(struct bide__connector *connector);
/* What it waits for at present, in a word. */
const char *bide__connector_stage(const struct bide__connector *connector);
void *bide__connector_data(const struct bide__connector *connector);

#endif
