/* Why a certificate is refused or a handshake failed, for people. */
#include "tls/context.h"
#include "tls/name.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *bide__tls_words_of_names(X509 *certificate)
{
    char *words = NULL;
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        char *name = bide__tls_host_text(sk_GENERAL_NAME_value(all, i));
        char *longer = NULL;
        if (!name)
            continue;
        if (asprintf(&longer, "%s%s%s", words ? words : "", words ? ", " : "", name) < 0)
            longer = NULL;
        free(name);
        free(words);
        words = longer;
    }
    GENERAL_NAMES_free(all);
    return words ? words : bide__tls_common_name(X509_get_subject_name(certificate));
}

/* "example.test (CN=example.test, issued by CN=Some CA)" */
static char *words_of_certificate(X509 *certificate)
{
    char *words = NULL;
    char *name = bide__tls_common_name(X509_get_subject_name(certificate));
    char *subject = bide__tls_name_text(X509_get_subject_name(certificate));
    char *issuer = bide__tls_name_text(X509_get_issuer_name(certificate));
    if (!name || !*name) {
        free(name);
        name = bide__tls_words_of_names(certificate);
    }
    if (name && subject && issuer &&
        asprintf(&words, "%s (%s, issued by %s)", *name ? name : "nobody", subject, issuer) < 0)
        words = NULL;
    free(name);
    free(subject);
    free(issuer);
    return words;
}

static void day_of(const ASN1_TIME *when, char *text, size_t size)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(when, &parts) != 1 || strftime(text, size, "%Y-%m-%d", &parts) == 0)
        snprintf(text, size, "an unreadable date");
}

static char *words_of_mismatch(X509 *certificate, const char *server_name)
{
    char *words = NULL;
    char *names = bide__tls_words_of_names(certificate);
    if (names && asprintf(&words, "host name does not match: wanted %s, certificate is for %s",
                          server_name ? server_name : "another", *names ? names : "no host") < 0)
        words = NULL;
    free(names);
    return words;
}

/* What follows "certificate of …". */
static void reason_of(int error, X509 *certificate, char *text, size_t size)
{
    char day[32];
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        day_of(X509_get0_notAfter(certificate), day, sizeof day);
        snprintf(text, size, " expired on %s", day);
        return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        day_of(X509_get0_notBefore(certificate), day, sizeof day);
        snprintf(text, size, " is not valid before %s", day);
        return;
    case X509_V_ERR_CERT_REVOKED:
        snprintf(text, size, " was revoked by its issuer");
        return;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        snprintf(text, size, ": there is no list of what its issuer has revoked");
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(text, size, " is self-signed and not trusted");
        return;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        snprintf(text, size, " is a self-signed certificate in the chain and not trusted");
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        snprintf(text, size,
                 ": issuer unknown: it is not trusted, or an intermediate certificate "
                 "is missing from what the peer sent");
        return;
    default:
        snprintf(text, size, ": %s", X509_verify_cert_error_string(error));
    }
}

char *bide__tls_words_of_chain(X509_STORE_CTX *chain, const char *server_name)
{
    char reason[160];
    char *words = NULL;
    int error = X509_STORE_CTX_get_error(chain);
    X509 *certificate = X509_STORE_CTX_get_current_cert(chain);
    if (!certificate)
        return strdup(X509_verify_cert_error_string(error));
    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
        return words_of_mismatch(certificate, server_name);
    char *who = words_of_certificate(certificate);
    reason_of(error, certificate, reason, sizeof reason);
    if (who && asprintf(&words, "certificate of %s%s", who, reason) < 0)
        words = NULL;
    free(who);
    return words;
}

/* What the peer complained of, if OpenSSL's reason is an alert. */
static const char *alert_of(int reason)
{
    if (reason == SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED) /* it has no words for this */
        return "certificate required";
    return reason > SSL_AD_REASON_OFFSET ? SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET)
                                         : NULL;
}

char *bide__tls_words_of_queue(int *ret_error)
{
    char *words = NULL;
    const char *data = NULL;
    int flags = 0;
    unsigned long error = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    int reason = ERR_GET_REASON(error);
    const char *alert = ERR_GET_LIB(error) == ERR_LIB_SSL ? alert_of(reason) : NULL;
    const char *known = ERR_reason_error_string(error);
    bool has_data = (flags & ERR_TXT_STRING) && data && *data;
    *ret_error = reason == ERR_R_MALLOC_FAILURE ? -ENOMEM : -BIDE_ETLS;
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        *ret_error = -BIDE_ECERTIFICATE;
    int rc = alert ? asprintf(&words, "the peer ended the session: %s", alert)
                   : asprintf(&words, "%s%s%s", known ? known : "TLS failed", has_data ? ": " : "",
                              has_data ? data : "");
    if (rc < 0)
        words = NULL;
    ERR_clear_error();
    return words;
}
