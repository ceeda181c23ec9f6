/* Names in certificates; see name.h. */
#include "tls/name.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

char *bide__tls_name_text(const X509_NAME *name)
{
    char *text = NULL;
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        long size = BIO_get_mem_data(bio, &data);
        text = strndup(data, (size_t)size);
    }
    BIO_free(bio);
    return text;
}

char *bide__tls_common_name(const X509_NAME *name)
{
    char *text = NULL;
    unsigned char *utf8 = NULL;
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0)
        return strdup("");
    int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size >= 0)
        text = strndup((const char *)utf8, (size_t)size);
    OPENSSL_free(utf8);
    return text;
}

int bide__tls_is_host(const GENERAL_NAME *name)
{
    if (name->type == GEN_DNS)
        return 1;
    return name->type == GEN_IPADD && (ASN1_STRING_length(name->d.iPAddress) == 4 ||
                                       ASN1_STRING_length(name->d.iPAddress) == 16);
}

char *bide__tls_host_text(const GENERAL_NAME *name)
{
    char text[INET6_ADDRSTRLEN];
    if (!bide__tls_is_host(name))
        return NULL;
    if (name->type == GEN_DNS)
        return strndup((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                       (size_t)ASN1_STRING_length(name->d.dNSName));
    int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
    inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text);
    return strdup(text);
}
