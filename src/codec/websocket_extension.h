/*
 * What a WebSocket's handshake says of permessage-deflate (RFC 7692): the terms on which messages
 * are compressed. Pure.
 *
 * Invariant: an offer with anything unknown, doubled or out of range in it is not accepted in part:
 * it counts as not made. An answer of that kind ends the connection.
 */
#ifndef BIDE_CODEC_WEBSOCKET_EXTENSION_H
#define BIDE_CODEC_WEBSOCKET_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BIDE__WS_BITS_MIN = 8, BIDE__WS_BITS_MAX = 15, BIDE__WS_TERMS_MAX = 160 };

/* Of one direction each: how far back its compressed messages may refer, and whether into earlier
 * messages. */
struct bide__ws_terms {
    bool server_forgets; /* server_no_context_takeover */
    bool client_forgets;
    uint8_t server_bits; /* server_max_window_bits */
    uint8_t client_bits;
};

/*
 * A server's choice. offers: the fields' values, separated by commas. wanted: our own limits.
 * Whether one of the offers is acceptable; then ret_answer is what to say, and ret_terms what is
 * agreed.
 */
bool bide__ws_offer_accept(const char *offers, const struct bide__ws_terms *wanted,
                           char ret_answer[BIDE__WS_TERMS_MAX], struct bide__ws_terms *ret_terms);

/* A client's offer of our own limits. */
void bide__ws_offer_write(const struct bide__ws_terms *wanted, char ret_offer[BIDE__WS_TERMS_MAX]);

/* The server's answer to that offer: 0, or -EBADMSG if it is none to it. */
int bide__ws_answer_check(const char *answer, const struct bide__ws_terms *wanted,
                          struct bide__ws_terms *ret_terms);

#endif
