/* Reading what a context is made of; see load.h. */
#include "tls/load.h"

#include "runtime/task.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

BIO *bide__tls_file_open(const char *file, int *ret_error)
{
    errno = 0;
    BIO *bio = BIO_new_file(file, "r");
    if (bio)
        return bio;
    *ret_error = errno > 0 ? -errno : -ENOMEM;
    ERR_clear_error();
    bide__detail_set(*ret_error, "%s", file);
    return NULL;
}

int bide__tls_load_failed(int rc, const char *what, const char *source)
{
    if (rc >= 0)
        return rc;
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_reason_error_string(error);
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
        rc = -ENOMEM;
    bide__detail_set(rc, "%s in %s: %s", what, source, reason ? reason : "it is not readable");
    ERR_clear_error();
    return rc;
}

/* Adds every certificate and every revocation list; counts them. */
static int add_all(X509_STORE *store, BIO *bio, int *ret_certificates, int *ret_lists)
{
    STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
    int rc = all ? 0 : -BIDE_ECERTIFICATE;
    *ret_certificates = 0;
    *ret_lists = 0;
    for (int i = 0; i < sk_X509_INFO_num(all) && rc == 0; i++) {
        const X509_INFO *info = sk_X509_INFO_value(all, i);
        if (info->x509 && X509_STORE_add_cert(store, info->x509) != 1)
            rc = -ENOMEM;
        if (info->crl && X509_STORE_add_crl(store, info->crl) != 1)
            rc = -ENOMEM;
        *ret_certificates += info->x509 != NULL;
        *ret_lists += info->crl != NULL;
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    return rc;
}

static int add_from(SSL_CTX *ssl, BIO *bio, const char *what, const char *source)
{
    int n_certificates;
    int n_lists;
    bool is_lists = strcmp(what, "revocation list") == 0;
    int rc = add_all(SSL_CTX_get_cert_store(ssl), bio, &n_certificates, &n_lists);
    BIO_free(bio);
    if (rc == 0 && (is_lists ? n_lists : n_certificates) == 0)
        rc = -BIDE_ECERTIFICATE;
    return bide__tls_load_failed(rc, what, source);
}

static int add_file(SSL_CTX *ssl, const char *file, const char *what)
{
    int rc;
    BIO *bio = bide__tls_file_open(file, &rc);
    return bio ? add_from(ssl, bio, what, file) : rc;
}

static int add_text(SSL_CTX *ssl, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    return bio ? add_from(ssl, bio, "authority", "the text given") : -ENOMEM;
}

int bide__tls_trust_load(SSL_CTX *ssl, const struct bide_tls_trust *trust)
{
    int rc = 0;
    ERR_clear_error();
    if (trust->ca_file)
        rc = add_file(ssl, trust->ca_file, "authority");
    if (rc == 0 && trust->ca_pem)
        rc = add_text(ssl, trust->ca_pem);
    if (rc == 0 && trust->ca_dir && SSL_CTX_load_verify_dir(ssl, trust->ca_dir) != 1)
        rc = bide__tls_load_failed(-ENOMEM, "authority", trust->ca_dir);
    if (rc == 0 && trust->system && SSL_CTX_set_default_verify_paths(ssl) != 1)
        rc = bide__tls_load_failed(-ENOMEM, "authority", "the system's trust store");
    if (rc < 0 || !trust->crl_file)
        return rc;
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ssl),
                         X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return add_file(ssl, trust->crl_file, "revocation list");
}

int bide__tls_alpn_load(const char *const *names, unsigned char **ret_wire, size_t *ret_size)
{
    size_t size = 0;
    for (size_t i = 0; names[i]; i++) {
        size_t length = strlen(names[i]);
        if (length == 0 || length > 255)
            return -EINVAL;
        size += 1 + length;
    }
    if (size == 0 || size > 65535)
        return -EINVAL;
    unsigned char *wire = malloc(size);
    if (!wire)
        return -ENOMEM;
    *ret_wire = wire;
    *ret_size = size;
    for (size_t i = 0; names[i]; i++) {
        size_t length = strlen(names[i]);
        *wire = (unsigned char)length;
        memcpy(wire + 1, names[i], length);
        wire += 1 + length;
    }
    return 0;
}
