/*
 * One name lookup, for whoever waits for it with a task or without one.
 *
 * Invariant: its memory is its own, host name included. It belongs to who started it until it is
 * abandoned, which frees it on whatever thread it ends.
 */
#ifndef BIDE_IO_LOOKUP_H
#define BIDE_IO_LOOKUP_H

#include "runtime/loop.h"

#include <bide/address.h>

struct bide__lookup;

/* It ended. Called from the engine, so it makes things ready and runs no user code. */
typedef void bide__lookup_done(struct bide__lookup *lookup);

struct bide__lookup {
    struct bide_lookup base;
    const struct bide_engine_ops *ops;
    bide__lookup_done *done;
    void *data; /* the owner's */
    char service[8];
    char host[];
};

/* Names longer than that are none. */
enum { BIDE__HOST_BYTES_MAX = 1024, BIDE__PORT_MAX = 65535 };

/* -ENOMEM, or why the engine takes no lookup. */
int bide__lookup_start(bide_loop *loop, const char *host, unsigned port, enum bide_family family,
                       bide__lookup_done *done, void *data, struct bide__lookup **ret_lookup);

/* Before its end: nobody waits for it any more. */
void bide__lookup_abandon(bide_loop *loop, struct bide__lookup *lookup);

/* After its end. */
void bide__lookup_free(struct bide__lookup *lookup);

/* What getaddrinfo's answer is here: 0 or an error of bide_resolve(). */
int bide__lookup_error(const struct bide__lookup *lookup);
/* Says why; `error` is the above. NULL without memory; to be freed. */
char *bide__lookup_words(const struct bide__lookup *lookup, int error);

/* False: of a kind that has no room. */
bool bide__address_copy(const struct addrinfo *info, struct bide_address *ret_address);

#endif
