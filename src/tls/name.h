/* Names in certificates as text. Each returns owned, NULL without memory. */
#ifndef BIDE_TLS_NAME_H
#define BIDE_TLS_NAME_H

#include <openssl/x509v3.h>

/* A distinguished name: "CN=example.org,O=Example". */
char *bide__tls_name_text(const X509_NAME *name);
/* Its common name, "" if it has none. */
char *bide__tls_common_name(const X509_NAME *name);
/* A host or an address as text; NULL also if it is neither, which bide__tls_is_host() tells. */
char *bide__tls_host_text(const GENERAL_NAME *name);
int bide__tls_is_host(const GENERAL_NAME *name);

#endif
