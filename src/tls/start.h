/* Beginning TLS: what streams and transports have in common. */
#ifndef BIDE_TLS_START_H
#define BIDE_TLS_START_H

#include "tls/filter.h"

/* What a filter is made of. */
struct bide__tls_start {
    bide_tls_context *context; /* NULL: the one that clients share */
    const char *server_name;
    unsigned port;
};

/* Checks what a client gave, and puts defaults in the place of what it did not. Borrows all of it.
 */
int bide__tls_start_client(bide_tls_context *context, const struct bide_tls_opts *opts,
                           struct bide__tls_start *ret_start, double *ret_seconds);
/* The same for servers. */
int bide__tls_start_server(bide_tls_context *context, const struct bide_tls_opts *opts,
                           struct bide__tls_start *ret_start, double *ret_seconds);

/* Makes a filter over `lower`, taken on success. */
int bide__tls_wrap(const struct bide__tls_start *start, bide_loop *loop, struct bide_sock *lower,
                   struct bide_sock **ret_sock);

/* What the socket's handshake agreed on; -ENOTCONN if it is no filter. */
int bide__tls_info(struct bide_sock *sock, struct bide_tls_info *ret_info);

#endif
