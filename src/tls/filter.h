/*
 * TLS as a socket over a socket: who reads and writes it need not know.
 *
 * Invariants
 *  - The contract of bide/engine.h holds for it exactly. What it starts on the lower socket is its
 * own; an operation of its owner ends from poll(), in the end of one of those or of a job.
 *  - OpenSSL never waits: what it wants to send goes into `filling`, and what it wants to receive
 * is taken from the lower socket there and then.
 *  - `sending` is what the lower socket has been given and does not move. Plain bytes are encrypted
 * only while both are empty, at most BIDE__TLS_BATCH_BYTES of them; so what is held is bounded, and
 * whatever was taken goes out by itself, also if nobody asks any more.
 *  - The handshake runs on the loop's own stack: it needs more than a small task has.
 *  - A failure stays: every later call gets it, with its words.
 */
#ifndef BIDE_TLS_FILTER_H
#define BIDE_TLS_FILTER_H

#include "runtime/loop.h"
#include "tls/context.h"
#include "tls/shared.h"

enum { BIDE__TLS_RECORD_BYTES = 16 * 1024, BIDE__TLS_BATCH_BYTES = 64 * 1024 };

struct bide__tls_output {
    char *data;
    size_t size;
    size_t capacity;
};

struct bide__tls_filter {
    struct bide_sock base;
    struct bide_engine face;    /* what base.engine is */
    struct bide_engine *engine; /* the loop's, for jobs */
    bide_loop *loop;            /* NULL: there is none, in tests of the socket alone */
    struct bide__resource resource;
    struct bide_sock *lower;
    bide_tls_context *context;                   /* NULL: the shared one, which is not there yet */
    struct bide__tls_wait wait;                  /* for that */
    struct bide__tls_certificates *certificates; /* a server's, as they were when it began */
    SSL *ssl;
    struct bide_op *connect, *recv, *send; /* the owner's, pending */
    struct bide_op lower_recv, lower_send;
    struct bide_job kick; /* what is to be done from the next poll() */
    struct bide__tls_output filling, sending;
    struct iovec sending_iov;
    char *server_name; /* a client's: the name that was asked for */
    unsigned port;
    char *session_key; /* a client's: what its sessions are kept under */
    char *words;       /* about `error`, or about the certificate that is being refused */
    struct bide__tls_details *details;
    int error;       /* why nothing works any more */
    int send_error;  /* why nothing goes out any more */
    int wait_error;  /* waiting for the lower socket has failed */
    int lower_end;   /* behind the last byte of the lower socket: 0 or an error */
    unsigned inside; /* callbacks under way that still use it */
    bool kicked;
    bool begun;           /* the handshake */
    bool connected;       /* it is over */
    bool refusing;        /* `words` is about the peer's certificate */
    bool dry;             /* the lower socket has to be waited for */
    bool has_ended;       /* the lower socket is at its end */
    bool recv_wants_send; /* OpenSSL reads on when output is gone */
    bool send_wants_recv; /* and writes on when input has come */
    bool holds_plain;     /* what is held has bytes of the owner's */
    bool has_lost;        /* and such bytes never went out */
    bool parts;           /* the end is said, and nothing comes behind it */
    bool is_parted;       /* the lower socket is told so, too */
    bool closed;
};

/*
 * Makes a filter, which holds a reference of the context; NULL for the one that clients share, for
 * which the handshake waits if need be. `lower` stays the caller's on failure.
 * `server_name`: a client's, checked against the certificate; may be NULL for servers and insecure
 * clients. `port`: part of what sessions are kept under.
 */
int bide__tls_filter_new(bide_loop *loop, struct bide_engine *engine, struct bide_sock *lower,
                         bide_tls_context *context, const char *server_name, unsigned port,
                         struct bide__tls_filter **ret_filter);

/* NULL if the socket is another kind. */
struct bide__tls_filter *bide__tls_filter_of(struct bide_sock *sock);

/* The BIO through which OpenSSL reaches the filter; NULL without memory. Freed with
 * BIO_meth_free().
 */
BIO_METHOD *bide__tls_bio_new(void);

#endif
