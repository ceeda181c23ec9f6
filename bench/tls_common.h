/*
 * What the servers of the TLS benchmark share: a certificate of their own, and what clients ask
 * for. A client's first byte says what it wants: 's', to be sent bytes until it goes; 'r', to send
 * until it ends. Who just ends wanted the handshake.
 */
#ifndef BIDE_BENCH_TLS_COMMON_H
#define BIDE_BENCH_TLS_COMMON_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TLS_WRITE_BYTES = 64 * 1024 };

static inline void tls_say_port(unsigned port)
{
    printf("%u\n", port);
    fflush(stdout);
}

/* P-256, self-signed. */
static inline X509 *tls_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    return certificate;
}

#endif
