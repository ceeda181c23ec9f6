/* Reading what a context is made of, with words about what is wrong with it. */
#ifndef BIDE_TLS_LOAD_H
#define BIDE_TLS_LOAD_H

#include "tls/context.h"

/* NULL, the error, and words that name the file. */
BIO *bide__tls_file_open(const char *file, int *ret_error);

/* Leaves words for a failure: which thing of which source, and OpenSSL's reason. Returns `rc`, or
 * -ENOMEM if that was the reason. */
int bide__tls_load_failed(int rc, const char *what, const char *source);

/* What the context trusts, into its store. */
int bide__tls_trust_load(SSL_CTX *ssl, const struct bide_tls_trust *trust);

/* NULL-terminated names into the wire's format; -EINVAL for an empty or too long one. */
int bide__tls_alpn_load(const char *const *names, unsigned char **ret_wire, size_t *ret_size);

#endif
