/*
 * What the servers of the TLS benchmark share: a certificate of their own, what clients ask for,
 * and the figures at the end. A client's first byte says what it wants: 's', to be sent bytes until
 * it goes; 'r', to send until it ends. Who just ends wanted the handshake.
 */
#ifndef BIDE_BENCH_TLS_COMMON_H
#define BIDE_BENCH_TLS_COMMON_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { TLS_WRITE_BYTES = 64 * 1024 };

static inline void tls_pin(int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    sched_setaffinity(0, sizeof set, &set);
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

static inline double tls_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static inline void tls_report(unsigned long n_handshakes, double n_bytes, double cpu_begun)
{
    double cpu = tls_cpu_seconds() - cpu_begun;
    printf("handshakes_per_cpu_s %.1f mb_per_cpu_s %.2f\n", (double)n_handshakes / cpu,
           n_bytes / 1e6 / cpu);
    fflush(stdout);
}

#endif
