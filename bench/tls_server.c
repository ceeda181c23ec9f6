/* bide's side of the TLS benchmark. See raw_tls.c. */
#include "tls_common.h"

#include <bide.h>
#include <bide/tls.h>

#include <signal.h>

static int serve_one(bide_stream *stream, void *data)
{
    char wanted;
    char *buffer = data;
    int rc = bide_read(stream, &wanted, 1);
    if (rc <= 0)
        return rc;
    do {
        rc = wanted == 's' ? bide_write(stream, buffer, TLS_WRITE_BYTES)
                           : bide_read(stream, buffer, TLS_WRITE_BYTES);
    } while (wanted == 's' ? rc == 0 : rc > 0);
    return rc;
}

static char *pem_of(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    return strndup(data, (size_t)size);
}

static int context_new(bide_tls_context **ret_context)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *certificate = BIO_new(BIO_s_mem());
    BIO *secret = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(certificate, tls_certificate(key));
    PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL);
    struct bide_tls_identity identity = {.cert_pem = pem_of(certificate),
                                         .key_pem = pem_of(secret)};
    struct bide_tls_server_opts opts = {.identities = &identity, .n_identities = 1};
    return bide_tls_server_new(&opts, ret_context);
}

static int stop(void *data)
{
    bide_cancel(data);
    return 0;
}

bide_async(amain)
{
    static char buffer[TLS_WRITE_BYTES];
    bide_server *server;
    bide_tls_context *context;
    int rc = context_new(&context);
    if (rc == 0)
        rc = bide_tls_serve("127.0.0.1", 0, context, serve_one, buffer, NULL, &server);
    if (rc < 0)
        return rc;
    bide_loop_add_signal_handler(bide_loop_current(), SIGTERM, stop, bide_current_task(), NULL);
    tls_say_port(bide_server_port(server));
    bide_server_forever(server);
    bide_server_free(server);
    bide_tls_unref(context);
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
