/*
 * What connections share: OpenSSL's context, certificates, remembered sessions.
 *
 * Invariants
 *  - Any thread may use it. What changes after it was made (certificates, sessions, counts) is
 * under the lock; OpenSSL's context is not touched any more but through functions that lock
 * themselves.
 *  - A set of certificates never changes. Connections keep the one that they began with.
 */
#ifndef BIDE_TLS_CONTEXT_H
#define BIDE_TLS_CONTEXT_H

#include "base/list.h"

#include <bide/error.h>
#include <bide/tls.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

/* One certificate with its chain and key. */
struct bide__tls_identity {
    X509 *certificate;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

/* A server's, in order. */
struct bide__tls_certificates {
    atomic_uint refs;
    size_t n;
    struct bide__tls_identity identities[];
};

struct bide_tls_context {
    atomic_uint refs;
    bool is_server;
    bool insecure;
    bool strict_names;
    bool allow_truncation;
    bool resumes; /* a client that keeps sessions */
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    unsigned char *alpn; /* in the wire's format */
    size_t alpn_size;
    pthread_mutex_t lock;
    struct bide__tls_certificates *certificates;
    struct bide__list sessions; /* the latest first */
    size_t n_sessions;
    uint64_t n_handshakes, n_failures;
};

/* Certificates */

int bide__tls_identity_load(const struct bide_tls_identity *from,
                            struct bide__tls_identity *ret_identity);
void bide__tls_identity_fini(struct bide__tls_identity *identity);
int bide__tls_certificates_load(const struct bide_tls_identity *from, size_t n,
                                struct bide__tls_certificates **ret_certificates);
void bide__tls_certificates_unref(struct bide__tls_certificates *certificates);
/* The context's present ones; returns a reference. */
struct bide__tls_certificates *bide__tls_certificates_of(bide_tls_context *context);
/* Whether some certificate is for this name. */
bool bide__tls_certificates_know(const struct bide__tls_certificates *certificates,
                                 const char *name);
/* Gives the connection those for the name, or else those of the default. 0 or -ENOMEM. */
int bide__tls_certificates_use(const struct bide__tls_certificates *certificates, SSL *ssl,
                               const char *name);

/* Sessions, of which clients keep a few for each key. */

/* Takes the session. */
void bide__tls_session_put(bide_tls_context *context, const char *key, SSL_SESSION *session);
/* Returns owned; NULL if there is none. One of TLS 1.3 is given out once. */
SSL_SESSION *bide__tls_session_take(bide_tls_context *context, const char *key);
void bide__tls_sessions_drop(bide_tls_context *context);

/* Counts a handshake that ended. */
void bide__tls_count(bide_tls_context *context, bool failed);

/* Words; each returns owned, NULL without memory. */

/* Why the chain that is being verified is refused. */
char *bide__tls_words_of_chain(X509_STORE_CTX *chain, const char *server_name);
/* The first error in OpenSSL's queue, which is empty afterwards; `ret_error` is -BIDE_ETLS or
 * -ENOMEM. */
char *bide__tls_words_of_queue(int *ret_error);
/* A certificate's names for the host, comma-separated; its common name if it has none. */
char *bide__tls_words_of_names(X509 *certificate);

#endif
