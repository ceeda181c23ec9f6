/* Contexts: made of options, shared by connections. The invariants stand in context.h. */
#include "tls/context.h"

#include "runtime/task.h"
#include "tls/filter.h"
#include "tls/load.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* What OpenSSL may read at once: several records that came together are one call below. */
enum { READ_BYTES = 32 * 1024 };

static struct bide__tls_filter *filter_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* Callbacks of OpenSSL's */

/* Called for each certificate of the peer's chain, and again for what is wrong. */
static int verify(int is_good, X509_STORE_CTX *chain)
{
    if (is_good)
        return 1;
    SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct bide__tls_filter *filter = filter_of(ssl);
    filter->refusing = true;
    free(filter->words);
    filter->words = bide__tls_words_of_chain(chain, filter->server_name);
    return 0;
}

static int session_new(SSL *ssl, SSL_SESSION *session)
{
    struct bide__tls_filter *filter = filter_of(ssl);
    if (!filter->session_key || SSL_SESSION_is_resumable(session) != 1)
        return 0;
    bide__tls_session_put(filter->context, filter->session_key, session);
    return 1;
}

static int name_asked(SSL *ssl, int *ret_alert, void *data)
{
    const bide_tls_context *context = data;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    if (!context->strict_names || bide__tls_certificates_know(filter_of(ssl)->certificates, name))
        return SSL_TLSEXT_ERR_OK;
    *ret_alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int certificate_needed(SSL *ssl, void *data)
{
    (void)data;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return bide__tls_certificates_use(filter_of(ssl)->certificates, ssl, name) == 0;
}

static int protocol_asked(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_size,
                          const unsigned char *offered, unsigned size, void *data)
{
    const bide_tls_context *context = data;
    unsigned char *name;
    (void)ssl;
    if (SSL_select_next_proto(&name, ret_size, context->alpn, (unsigned)context->alpn_size, offered,
                              size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

/* Making one */

static int version_of(enum bide_tls_version version)
{
    return version == BIDE_TLS_1_2 ? TLS1_2_VERSION : version == BIDE_TLS_1_3 ? TLS1_3_VERSION : 0;
}

static int set_versions(SSL_CTX *ssl, enum bide_tls_version min, enum bide_tls_version max)
{
    if (min > BIDE_TLS_1_3 || max > BIDE_TLS_1_3 || (max != BIDE_TLS_ANY && min > max))
        return -EINVAL;
    if (min == BIDE_TLS_ANY && SSL_CTX_get_min_proto_version(ssl) < TLS1_2_VERSION)
        min = BIDE_TLS_1_2;
    if (min != BIDE_TLS_ANY && SSL_CTX_set_min_proto_version(ssl, version_of(min)) != 1)
        return -EINVAL;
    if (max != BIDE_TLS_ANY && SSL_CTX_set_max_proto_version(ssl, version_of(max)) != 1)
        return -EINVAL;
    return 0;
}

static void set_defaults(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_default_read_buffer_len(ssl, READ_BYTES);
}

static int context_new(const SSL_METHOD *method, bide_tls_context **ret_context)
{
    bide_tls_context *context = calloc(1, sizeof *context);
    if (!context)
        return -ENOMEM;
    atomic_init(&context->refs, 1);
    pthread_mutex_init(&context->lock, NULL);
    bide__list_init(&context->sessions);
    ERR_clear_error();
    context->ssl = SSL_CTX_new(method);
    context->bio = bide__tls_bio_new();
    if (!context->ssl || !context->bio) {
        bide_tls_unref(context);
        return -ENOMEM;
    }
    set_defaults(context->ssl);
    *ret_context = context;
    return 0;
}

static bool is_empty(const struct bide_tls_trust *trust)
{
    return !trust->ca_file && !trust->ca_dir && !trust->ca_pem && !trust->system;
}

static int set_alpn(bide_tls_context *context, const char *const *names)
{
    if (!names)
        return 0;
    int rc = bide__tls_alpn_load(names, &context->alpn, &context->alpn_size);
    if (rc < 0)
        return rc;
    if (context->is_server) {
        SSL_CTX_set_alpn_select_cb(context->ssl, protocol_asked, context);
        return 0;
    }
    return SSL_CTX_set_alpn_protos(context->ssl, context->alpn, (unsigned)context->alpn_size) == 0
               ? 0
               : -ENOMEM;
}

static int set_identity(SSL_CTX *ssl, const struct bide_tls_identity *from)
{
    struct bide__tls_identity identity;
    if (!from->cert_file && !from->cert_pem)
        return from->key_file || from->key_pem ? -EINVAL : 0;
    int rc = bide__tls_identity_load(from, &identity);
    if (rc < 0)
        return rc;
    ERR_clear_error();
    if (SSL_CTX_use_cert_and_key(ssl, identity.certificate, identity.key, identity.chain, 1) != 1)
        rc = bide__tls_load_failed(-BIDE_ECERTIFICATE, "certificate", "the identity");
    bide__tls_identity_fini(&identity);
    return rc;
}

static int client_fill(bide_tls_context *context, const struct bide_tls_client_opts *opts)
{
    struct bide_tls_trust trust = opts->trust;
    trust.system = trust.system || is_empty(&trust);
    context->insecure = opts->insecure_accept_any_certificate;
    context->allow_truncation = opts->allow_truncation;
    context->resumes = !opts->no_resumption;
    int rc = set_versions(context->ssl, opts->version_min, opts->version_max);
    if (rc == 0)
        rc = bide__tls_trust_load(context->ssl, &trust);
    if (rc == 0)
        rc = set_identity(context->ssl, &opts->identity);
    if (rc == 0)
        rc = set_alpn(context, opts->alpn);
    if (!context->insecure)
        SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, verify);
    SSL_CTX_set_session_cache_mode(context->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ssl, session_new);
    return rc;
}

int bide_tls_client_new(const struct bide_tls_client_opts *opts, bide_tls_context **ret_context)
{
    static const struct bide_tls_client_opts defaults;
    bide_tls_context *context;
    int rc = ret_context ? context_new(TLS_client_method(), &context) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = client_fill(context, opts ? opts : &defaults);
    if (rc < 0)
        bide_tls_unref(context);
    else
        *ret_context = context;
    return rc;
}

/* Clients are told whose certificates count. */
static int name_authorities(SSL_CTX *ssl)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (certificate && SSL_CTX_add_client_CA(ssl, certificate) != 1)
            return -ENOMEM;
    }
    return 0;
}

static int set_client_auth(SSL_CTX *ssl, const struct bide_tls_server_opts *opts)
{
    int mode = SSL_VERIFY_PEER;
    if (opts->client_auth == BIDE_TLS_CLIENT_AUTH_NONE)
        return 0;
    if (opts->client_auth > BIDE_TLS_CLIENT_AUTH_REQUIRED || is_empty(&opts->trust))
        return -EINVAL;
    if (opts->client_auth == BIDE_TLS_CLIENT_AUTH_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, mode, verify);
    int rc = bide__tls_trust_load(ssl, &opts->trust);
    return rc == 0 ? name_authorities(ssl) : rc;
}

static int server_fill(bide_tls_context *context, const struct bide_tls_server_opts *opts)
{
    SSL_CTX *ssl = context->ssl;
    context->is_server = true;
    context->strict_names = opts->strict_names;
    context->allow_truncation = opts->allow_truncation;
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* clients keep theirs, in tickets */
    SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"bide", 4);
    SSL_CTX_set_dh_auto(ssl, 1);
    SSL_CTX_set_tlsext_servername_callback(ssl, name_asked);
    SSL_CTX_set_tlsext_servername_arg(ssl, context);
    SSL_CTX_set_cert_cb(ssl, certificate_needed, NULL);
    if (opts->no_resumption) {
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ssl, 0);
    }
    int rc = set_versions(ssl, opts->version_min, opts->version_max);
    if (rc == 0)
        rc = set_client_auth(ssl, opts);
    if (rc == 0)
        rc = set_alpn(context, opts->alpn);
    if (rc == 0)
        rc = bide__tls_certificates_load(opts->identities, opts->n_identities,
                                         &context->certificates);
    return rc;
}

int bide_tls_server_new(const struct bide_tls_server_opts *opts, bide_tls_context **ret_context)
{
    bide_tls_context *context;
    if (!opts || !opts->identities || opts->n_identities == 0 || !ret_context)
        return -EINVAL;
    int rc = context_new(TLS_server_method(), &context);
    if (rc < 0)
        return rc;
    rc = server_fill(context, opts);
    if (rc < 0)
        bide_tls_unref(context);
    else
        *ret_context = context;
    return rc;
}

int bide_tls_server_reload(bide_tls_context *context, const struct bide_tls_identity *identities,
                           size_t n)
{
    struct bide__tls_certificates *fresh;
    if (!context || !context->is_server || !identities || n == 0)
        return -EINVAL;
    int rc = bide__tls_certificates_load(identities, n, &fresh);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&context->lock);
    struct bide__tls_certificates *former = context->certificates;
    context->certificates = fresh;
    pthread_mutex_unlock(&context->lock);
    bide__tls_certificates_unref(former);
    return 0;
}

struct bide__tls_certificates *bide__tls_certificates_of(bide_tls_context *context)
{
    pthread_mutex_lock(&context->lock);
    struct bide__tls_certificates *certificates = context->certificates;
    atomic_fetch_add(&certificates->refs, 1);
    pthread_mutex_unlock(&context->lock);
    return certificates;
}

bool bide__tls_is_server(const bide_tls_context *context)
{
    return context->is_server;
}

/* Sharing it */

bide_tls_context *bide_tls_ref(bide_tls_context *context)
{
    if (context)
        atomic_fetch_add(&context->refs, 1);
    return context;
}

void bide_tls_unref(bide_tls_context *context)
{
    if (!context || atomic_fetch_sub(&context->refs, 1) > 1)
        return;
    bide__tls_sessions_drop(context);
    bide__tls_certificates_unref(context->certificates);
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->bio);
    pthread_mutex_destroy(&context->lock);
    free(context->alpn);
    free(context);
}

void bide__tls_count(bide_tls_context *context, bool failed)
{
    pthread_mutex_lock(&context->lock);
    if (failed)
        context->n_failures++;
    else
        context->n_handshakes++;
    pthread_mutex_unlock(&context->lock);
}

void bide_tls_handshakes(bide_tls_context *context, uint64_t *ret_succeeded, uint64_t *ret_failed)
{
    if (!context)
        return;
    pthread_mutex_lock(&context->lock);
    if (ret_succeeded)
        *ret_succeeded = context->n_handshakes;
    if (ret_failed)
        *ret_failed = context->n_failures;
    pthread_mutex_unlock(&context->lock);
}
