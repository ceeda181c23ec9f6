/* Certificates with their keys: loading them, and which of them is for a name. */
#include "tls/load.h"
#include "tls/name.h"

#include "runtime/task.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The key's password; without one, encrypted keys fail instead of asking at the terminal. */
static int give_password(char *buffer, int size, int is_writing, void *data)
{
    const char *password = data;
    (void)is_writing;
    int length = password ? snprintf(buffer, (size_t)size, "%s", password) : -1;
    return length < size ? length : -1;
}

static int load_chain(BIO *bio, struct bide__tls_identity *identity)
{
    X509 *issuer;
    identity->certificate = PEM_read_bio_X509_AUX(bio, NULL, give_password, NULL);
    if (!identity->certificate)
        return -BIDE_ECERTIFICATE;
    identity->chain = sk_X509_new_null();
    if (!identity->chain)
        return -ENOMEM;
    while ((issuer = PEM_read_bio_X509(bio, NULL, give_password, NULL)))
        if (sk_X509_push(identity->chain, issuer) <= 0) {
            X509_free(issuer);
            return -ENOMEM;
        }
    bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return is_end ? 0 : -BIDE_ECERTIFICATE;
}

/* Of the file or the text; exactly one must be given. */
static BIO *source_open(const char *file, const char *pem, int *ret_error)
{
    BIO *bio = pem ? BIO_new_mem_buf(pem, -1) : NULL;
    if (!pem)
        return bide__tls_file_open(file, ret_error);
    *ret_error = -ENOMEM;
    return bio;
}

static const char *source_name(const char *file)
{
    return file ? file : "the text given";
}

static int load_certificates(const struct bide_tls_identity *from,
                             struct bide__tls_identity *identity)
{
    int rc;
    BIO *bio = source_open(from->cert_file, from->cert_pem, &rc);
    if (!bio)
        return rc;
    rc = load_chain(bio, identity);
    BIO_free(bio);
    return bide__tls_load_failed(rc, "certificate", source_name(from->cert_file));
}

static int load_key(const struct bide_tls_identity *from, struct bide__tls_identity *identity)
{
    int rc;
    const char *file = from->key_file || from->key_pem ? from->key_file : from->cert_file;
    const char *pem = from->key_file || from->key_pem ? from->key_pem : from->cert_pem;
    BIO *bio = source_open(file, pem, &rc);
    if (!bio)
        return rc;
    identity->key = PEM_read_bio_PrivateKey(bio, NULL, give_password,
                                            (void *)(uintptr_t)from->key_password);
    BIO_free(bio);
    return bide__tls_load_failed(identity->key ? 0 : -BIDE_ECERTIFICATE, "key", source_name(file));
}

int bide__tls_identity_load(const struct bide_tls_identity *from,
                            struct bide__tls_identity *ret_identity)
{
    struct bide__tls_identity identity = {0};
    if (!from->cert_file == !from->cert_pem || (from->key_file && from->key_pem))
        return -EINVAL;
    ERR_clear_error();
    int rc = load_certificates(from, &identity);
    if (rc == 0)
        rc = load_key(from, &identity);
    if (rc == 0 && X509_check_private_key(identity.certificate, identity.key) != 1)
        rc = bide__tls_load_failed(-BIDE_ECERTIFICATE, "key", source_name(from->key_file));
    if (rc < 0)
        bide__tls_identity_fini(&identity);
    else
        *ret_identity = identity;
    return rc;
}

void bide__tls_identity_fini(struct bide__tls_identity *identity)
{
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    *identity = (struct bide__tls_identity){0};
}

int bide__tls_certificates_load(const struct bide_tls_identity *from, size_t n,
                                struct bide__tls_certificates **ret_certificates)
{
    struct bide__tls_certificates *all = calloc(1, sizeof *all + n * sizeof all->identities[0]);
    if (!all)
        return -ENOMEM;
    atomic_init(&all->refs, 1);
    for (size_t i = 0; i < n; i++) {
        int rc = bide__tls_identity_load(&from[i], &all->identities[i]);
        if (rc < 0) {
            bide__tls_certificates_unref(all);
            return rc;
        }
        all->n++;
    }
    *ret_certificates = all;
    return 0;
}

void bide__tls_certificates_unref(struct bide__tls_certificates *certificates)
{
    if (!certificates || atomic_fetch_sub(&certificates->refs, 1) > 1)
        return;
    for (size_t i = 0; i < certificates->n; i++)
        bide__tls_identity_fini(&certificates->identities[i]);
    free(certificates);
}

/* Exactly, or by a name with a wildcard for its first label. */
static bool is_for(const struct bide__tls_identity *identity, const char *name)
{
    return X509_check_host(identity->certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                           NULL) == 1;
}

bool bide__tls_certificates_know(const struct bide__tls_certificates *certificates,
                                 const char *name)
{
    for (size_t i = 0; i < certificates->n; i++)
        if (is_for(&certificates->identities[i], name))
            return true;
    return false;
}

static int use(const struct bide__tls_identity *identity, SSL *ssl)
{
    return SSL_use_cert_and_key(ssl, identity->certificate, identity->key, identity->chain, 1) == 1
               ? 0
               : -ENOMEM;
}

static bool is_same_kind(const struct bide__tls_identity *a, const struct bide__tls_identity *b)
{
    return EVP_PKEY_get_base_id(a->key) == EVP_PKEY_get_base_id(b->key);
}

/* Of several for one name that have the same kind of key the first counts; with other kinds, each
 * is for the clients that prefer it. */
static bool is_first(const struct bide__tls_certificates *certificates, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (is_for(&certificates->identities[i], name) &&
            is_same_kind(&certificates->identities[i], &certificates->identities[n]))
            return false;
    return true;
}

int bide__tls_certificates_use(const struct bide__tls_certificates *certificates, SSL *ssl,
                               const char *name)
{
    if (certificates->n == 1 || !name || !bide__tls_certificates_know(certificates, name))
        return use(&certificates->identities[0], ssl);
    int rc = 0;
    for (size_t i = 0; i < certificates->n && rc == 0; i++)
        if (is_for(&certificates->identities[i], name) && is_first(certificates, i, name))
            rc = use(&certificates->identities[i], ssl);
    return rc;
}
