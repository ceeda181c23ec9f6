/* Certificates for the tests of TLS; see tls_certs.h. */
#include "tls_certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

enum { DAY_SECONDS = 24 * 60 * 60 };

struct tls_cert {
    X509 *certificate;
    EVP_PKEY *key;
    char *pem;
    char *key_pem;
    char *locked_pem;
};

static char *text_of(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)size);
    BIO_free(bio);
    return text;
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    if (!value)
        return;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    CHECK(extension);
    CHECK_INT(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static long serial(void)
{
    static long last = 0x1000;
    return ++last;
}

static X509 *make(const struct tls_cert_opts *opts, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509 *issuer = opts->issuer ? opts->issuer->certificate : certificate;
    X509_NAME *name = X509_get_subject_name(certificate);
    CHECK_INT(X509_set_version(certificate, X509_VERSION_3), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial());
    X509_gmtime_adj(X509_getm_notBefore(certificate),
                    (opts->from_days ? opts->from_days : -1L) * DAY_SECONDS);
    X509_gmtime_adj(X509_getm_notAfter(certificate),
                    (opts->until_days ? opts->until_days : 365L) * DAY_SECONDS);
    if (opts->name)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)opts->name, -1,
                                   -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    X509_set_pubkey(certificate, key);
    extend(certificate, issuer, NID_basic_constraints,
           opts->is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    extend(certificate, issuer, NID_key_usage,
           opts->is_authority ? "critical,keyCertSign,cRLSign"
                              : "digitalSignature,keyEncipherment");
    extend(certificate, issuer, NID_subject_key_identifier, "hash");
    if (opts->issuer)
        extend(certificate, issuer, NID_authority_key_identifier, "keyid");
    extend(certificate, issuer, NID_ext_key_usage, opts->usage);
    extend(certificate, issuer, NID_subject_alt_name, opts->hosts);
    CHECK(X509_sign(certificate, opts->issuer ? opts->issuer->key : key, EVP_sha256()) > 0);
    return certificate;
}

struct tls_cert *tls_cert_new(const struct tls_cert_opts *opts)
{
    struct tls_cert *cert = calloc(1, sizeof *cert);
    CHECK(cert);
    cert->key = opts->is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    CHECK(cert->key);
    cert->certificate = make(opts, cert->key);
    BIO *bio = BIO_new(BIO_s_mem());
    CHECK_INT(PEM_write_bio_X509(bio, cert->certificate), 1);
    cert->pem = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    CHECK_INT(PEM_write_bio_PrivateKey(bio, cert->key, NULL, NULL, 0, NULL, NULL), 1);
    cert->key_pem = text_of(bio);
    return cert;
}

void tls_cert_free(struct tls_cert *cert)
{
    X509_free(cert->certificate);
    EVP_PKEY_free(cert->key);
    free(cert->pem);
    free(cert->key_pem);
    free(cert->locked_pem);
    free(cert);
}

const char *tls_cert_pem(const struct tls_cert *cert)
{
    return cert->pem;
}

const char *tls_cert_key_pem(const struct tls_cert *cert)
{
    return cert->key_pem;
}

const char *tls_cert_locked_key_pem(struct tls_cert *cert)
{
    if (!cert->locked_pem) {
        BIO *bio = BIO_new(BIO_s_mem());
        CHECK_INT(PEM_write_bio_PrivateKey(bio, cert->key, EVP_aes_128_cbc(),
                                           (const unsigned char *)"secret", 6, NULL, NULL),
                  1);
        cert->locked_pem = text_of(bio);
    }
    return cert->locked_pem;
}

char *tls_pem_join(const char *first, ...)
{
    size_t size = strlen(first) + 1;
    char *all = strdup(first);
    va_list more;
    va_start(more, first);
    for (const char *text; (text = va_arg(more, const char *));) {
        size += strlen(text);
        all = realloc(all, size);
        CHECK(all);
        strcat(all, text);
    }
    va_end(more);
    return all;
}

char *tls_crl_pem(const struct tls_cert *issuer, const struct tls_cert *revoked)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *when = X509_gmtime_adj(NULL, -DAY_SECONDS);
    CHECK_INT(X509_CRL_set_version(list, X509_CRL_VERSION_2), 1);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->certificate));
    X509_CRL_set1_lastUpdate(list, when);
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->certificate));
        X509_REVOKED_set_revocationDate(entry, when);
        X509_CRL_add0_revoked(list, entry);
    }
    X509_gmtime_adj(when, 30L * DAY_SECONDS);
    X509_CRL_set1_nextUpdate(list, when);
    CHECK(X509_CRL_sign(list, issuer->key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    CHECK_INT(PEM_write_bio_X509_CRL(bio, list), 1);
    ASN1_TIME_free(when);
    X509_CRL_free(list);
    return text_of(bio);
}

const struct tls_certs *tls_certs(void)
{
    static struct tls_certs certs;
    if (certs.root)
        return &certs;
    certs.root = tls_cert_new(&(struct tls_cert_opts){.name = "Test Root", .is_authority = true});
    certs.middle = tls_cert_new(
        &(struct tls_cert_opts){.name = "Test Middle", .is_authority = true, .issuer = certs.root});
    certs.leaf = tls_cert_new(&(struct tls_cert_opts){
        .name = "a.test",
        .hosts = "DNS:a.test,DNS:localhost,DNS:*.wild.test,IP:127.0.0.1,IP:::1",
        .issuer = certs.middle});
    certs.client = tls_cert_new(
        &(struct tls_cert_opts){.name = "some client", .issuer = certs.middle});
    certs.chain = tls_pem_join(certs.leaf->pem, certs.middle->pem, NULL);
    certs.client_chain = tls_pem_join(certs.client->pem, certs.middle->pem, NULL);
    return &certs;
}
