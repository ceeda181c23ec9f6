/* What a connection tells about itself; see info.h. */
#include "tls/info.h"

#include "io/stream/upgrade.h"
#include "tls/name.h"
#include "tls/start.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bide__tls_details {
    struct bide_tls_info info;
    struct bide_tls_certificate peer;
    char *subject;
    char *issuer;
    char *serial;
    char *alpn;
    char **names;
    size_t n_names;
    unsigned char *der;
};

void bide__tls_details_free(struct bide__tls_details *details)
{
    if (!details)
        return;
    for (size_t i = 0; i < details->n_names; i++)
        free(details->names[i]);
    free(details->names);
    free(details->subject);
    free(details->issuer);
    OPENSSL_free(details->serial);
    free(details->alpn);
    OPENSSL_free(details->der);
    free(details);
}

static char *serial_text(const X509 *certificate)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number ? BN_bn2hex(number) : NULL;
    BN_free(number);
    return text;
}

static int64_t seconds_of(const ASN1_TIME *when)
{
    struct tm parts;
    return ASN1_TIME_to_tm(when, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static int names_fill(struct bide__tls_details *details, const X509 *certificate)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int n = sk_GENERAL_NAME_num(all);
    int rc = 0;
    if (n > 0 && !(details->names = calloc((size_t)n, sizeof *details->names)))
        rc = -ENOMEM;
    for (int i = 0; i < n && rc == 0; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (!bide__tls_is_host(name))
            continue;
        details->names[details->n_names] = bide__tls_host_text(name);
        if (!details->names[details->n_names])
            rc = -ENOMEM;
        else
            details->n_names++;
    }
    GENERAL_NAMES_free(all);
    return rc;
}

static int peer_fill(struct bide__tls_details *details, X509 *certificate)
{
    int rc = names_fill(details, certificate);
    int size = i2d_X509(certificate, &details->der);
    details->subject = bide__tls_name_text(X509_get_subject_name(certificate));
    details->issuer = bide__tls_name_text(X509_get_issuer_name(certificate));
    details->serial = serial_text(certificate);
    if (rc < 0 || size < 0 || !details->subject || !details->issuer || !details->serial)
        return -ENOMEM;
    details->peer = (struct bide_tls_certificate){
        .subject = details->subject,
        .issuer = details->issuer,
        .serial = details->serial,
        .names = (const char *const *)details->names,
        .n_names = details->n_names,
        .not_before = seconds_of(X509_get0_notBefore(certificate)),
        .not_after = seconds_of(X509_get0_notAfter(certificate)),
        .der = details->der,
        .der_size = (size_t)size,
    };
    details->info.peer = &details->peer;
    return 0;
}

static int alpn_fill(struct bide__tls_details *details, const SSL *ssl)
{
    const unsigned char *name;
    unsigned size;
    SSL_get0_alpn_selected(ssl, &name, &size);
    if (size == 0)
        return 0;
    details->alpn = strndup((const char *)name, size);
    details->info.alpn = details->alpn;
    return details->alpn ? 0 : -ENOMEM;
}

static int details_fill(struct bide__tls_details *details, const struct bide__tls_filter *filter)
{
    SSL *ssl = filter->ssl;
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    long verdict = SSL_get_verify_result(ssl);
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    details->info = (struct bide_tls_info){
        .version = SSL_get_version(ssl),
        .cipher = SSL_get_cipher_name(ssl),
        .server_name = filter->context->is_server ? asked : filter->server_name,
        .resumed = SSL_session_reused(ssl) == 1,
        .verified = certificate && verdict == X509_V_OK && !filter->context->insecure,
        .verify_error = certificate && verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                                            : NULL,
    };
    int rc = alpn_fill(details, ssl);
    return rc == 0 && certificate ? peer_fill(details, certificate) : rc;
}

int bide__tls_info(struct bide_sock *sock, struct bide_tls_info *ret_info)
{
    struct bide__tls_filter *filter = bide__tls_filter_of(sock);
    if (!filter || !filter->connected)
        return -ENOTCONN;
    if (!filter->details) {
        struct bide__tls_details *details = calloc(1, sizeof *details);
        int rc = details ? details_fill(details, filter) : -ENOMEM;
        if (rc < 0) {
            bide__tls_details_free(details);
            return rc;
        }
        filter->details = details;
    }
    *ret_info = filter->details->info;
    return 0;
}

int bide_tls_info_get(bide_stream *stream, struct bide_tls_info *ret_info)
{
    return stream && ret_info ? bide__tls_info(bide__stream_sock(stream), ret_info) : -EINVAL;
}
