/*
 * A connection that goes on with another protocol (RFC 9110, 7.8).
 *
 * Invariants
 *  - From the 101 on the stream, and what was read ahead, are the other protocol's, until the
 * handler returns; then `ended` is called, and the server closes the stream.
 *  - Nobody guards the stream meanwhile: the other protocol learns of its end by reading.
 */
#ifndef BIDE_HTTP_UPGRADE_H
#define BIDE_HTTP_UPGRADE_H

#include "http/exchange.h"

#include <bide/stream.h>

/* Lies in whoever has the stream. */
struct bide__http_upgrade {
    /* The server closes gently: the peer is to be told. Must not suspend. */
    void (*closing)(struct bide__http_upgrade *upgrade);
    /* The handler has returned: the stream is gone. */
    void (*ended)(struct bide__http_upgrade *upgrade);
    bide_http_request *request;
};

/*
 * Answers with 101 and the fields that were set. ret_ahead: what the client sent behind its
 * request; borrowed until the handler returns. 0; -EALREADY: there is an answer; -EINVAL: the
 * request has a body, or its protocol knows no upgrade; -ENOMEM; or as bide_write().
 */
int bide__http_upgrade(bide_http_request *request, const char *protocol,
                       struct bide__http_upgrade *upgrade, bide_stream **ret_stream,
                       struct bide__http_segment *ret_ahead);

/* The other protocol is through with the stream before the handler is. */
void bide__http_upgrade_leave(struct bide__http_upgrade *upgrade);

#endif
