/*
 * Contexts with the defaults, which those share that bring none. Reading what the system trusts
 * takes its time: one is made by a job, when somebody first wants it, and stays until the process
 * ends.
 *
 * Invariants
 *  - A loop makes one at a time, whoever waits. Of two loops that make the same one the first to
 * be through is kept.
 *  - A failure is told to who waits, and kept by nobody: who comes next has it tried again.
 *  - There is no lock, so that a child after fork finds none taken.
 */
#ifndef BIDE_TLS_SHARED_H
#define BIDE_TLS_SHARED_H

#include "runtime/loop.h"

#include <bide/tls.h>

enum bide__tls_shared {
    BIDE__TLS_SHARED_PLAIN, /* no protocol is offered */
    BIDE__TLS_SHARED_HTTP1, /* "http/1.1" is */
    BIDE__TLS_SHARED_COUNT,
};

/* Lies in who waits. Its node is in a list while it does; taking it out gives the wait up. When the
 * loop closes nothing comes any more. */
struct bide__tls_wait {
    struct bide__list node;
    /* Called from the loop's poll(). error: 0, or why there is none; words: about it, borrowed. */
    void (*ready)(struct bide__tls_wait *wait, int error, const char *words);
};

/* What is there already, borrowed for ever; NULL. */
bide_tls_context *bide__tls_shared_get(enum bide__tls_shared which);

/* Not there yet: 0 if it is now, BIDE_PENDING if `wait` will be told, or an error. */
int bide__tls_shared_want(bide_loop *loop, enum bide__tls_shared which,
                          struct bide__tls_wait *wait);

/*
 * For tasks: waits for it if need be. ret_context: borrowed for ever. 0, or an error of
 * bide_tls_client_new() with its words; -ECANCELED, -BIDE_ENOTASK.
 */
BIDE_EXPORT int bide__tls_shared_await(enum bide__tls_shared which, bide_tls_context **ret_context);

/* Whether it is one of servers. */
BIDE_EXPORT bool bide__tls_is_server(const bide_tls_context *context);

#endif
