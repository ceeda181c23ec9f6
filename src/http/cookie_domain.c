/* Which hosts and paths a cookie is for: RFC 6265bis, 5.1.3 and 5.1.4, and the public suffixes. */
#include "http/cookies.h"

#include <arpa/inet.h>
#include <string.h>

#if BIDE_HAVE_PSL
#include <libpsl.h>

bool bide__cookie_knows_suffixes(void)
{
    return psl_builtin();
}

bool bide__cookie_is_public_suffix(const char *domain)
{
    const psl_ctx_t *list = psl_builtin();
    return !list || psl_is_public_suffix2(list, domain, PSL_TYPE_ANY);
}
#else
bool bide__cookie_knows_suffixes(void)
{
    return false;
}

bool bide__cookie_is_public_suffix(const char *domain)
{
    (void)domain;
    return true;
}
#endif

bool bide__cookie_is_address(const char *host)
{
    unsigned char address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

bool bide__cookie_domain_matches(const char *host, const char *domain)
{
    size_t host_size = strlen(host), size = strlen(domain);
    if (strcmp(host, domain) == 0)
        return true;
    return size > 0 && host_size > size && strcmp(host + host_size - size, domain) == 0 &&
           host[host_size - size - 1] == '.' && !bide__cookie_is_address(host);
}

bool bide__cookie_path_matches(const char *path, size_t size, const char *cookie_path)
{
    size_t length = strlen(cookie_path);
    if (size < length || memcmp(path, cookie_path, length) != 0)
        return false;
    return size == length || cookie_path[length - 1] == '/' || path[length] == '/';
}
