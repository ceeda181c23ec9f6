/*
 * Certificates for the tests of TLS, made when they are needed.
 *
 * Invariant: all strings are PEM and stay until the process ends; the same call makes other keys in
 * each process.
 */
#ifndef BIDE_TEST_TLS_CERTS_H
#define BIDE_TEST_TLS_CERTS_H

#include <stdbool.h>

/* One certificate and its key. */
struct tls_cert;

struct tls_cert_opts {
    const char *name;              /* common name; NULL: none */
    const char *hosts;             /* "DNS:a.test,IP:127.0.0.1"; NULL: none */
    const struct tls_cert *issuer; /* NULL: itself */
    bool is_authority;
    bool is_rsa;       /* otherwise P-256 */
    int from_days;     /* valid from then on, from now; 0: since yesterday */
    int until_days;    /* until then; 0: for a year */
    const char *usage; /* extended; NULL: any */
};

struct tls_cert *tls_cert_new(const struct tls_cert_opts *opts);
void tls_cert_free(struct tls_cert *cert);

/* Texts are borrowed from the certificate. */
const char *tls_cert_pem(const struct tls_cert *cert);
const char *tls_cert_key_pem(const struct tls_cert *cert);
/* Encrypted with "secret". */
const char *tls_cert_locked_key_pem(struct tls_cert *cert);

/* Several texts as one, to be freed with free(). The last argument is NULL. */
char *tls_pem_join(const char *first, ...);
/* What the issuer says it has revoked: `revoked`, which may be NULL. To be freed with free(). */
char *tls_crl_pem(const struct tls_cert *issuer, const struct tls_cert *revoked);

/* What most tests use: root → middle → a.test (also 127.0.0.1, ::1, localhost, *.wild.test). */
struct tls_certs {
    struct tls_cert *root, *middle, *leaf, *client;
    char *chain;        /* leaf, middle */
    char *client_chain; /* client, middle */
};
const struct tls_certs *tls_certs(void);

#endif
