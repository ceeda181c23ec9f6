/*
 * Which proxy a request goes through.
 *
 * Invariant: rules are read once, when a session is made; the environment only if it is asked for.
 */
#ifndef BIDE_HTTP_PROXY_H
#define BIDE_HTTP_PROXY_H

#include <bide/http_client.h>
#include <bide/url.h>

struct bide__http_proxy {
    char *host;
    unsigned port;
    char *credentials; /* the value of Proxy-Authorization; NULL: none */
};

struct bide__http_proxies {
    struct bide__http_proxy *http; /* NULL: directly */
    struct bide__http_proxy *https;
    char *none; /* the hosts that need none; NULL: there are no such */
};

/* 0, -EINVAL in words, -ENOMEM. */
int bide__http_proxies_init(struct bide__http_proxies *proxies,
                            const struct bide_http_session_opts *opts);
void bide__http_proxies_fini(struct bide__http_proxies *proxies);
/* NULL: directly. */
const struct bide__http_proxy *bide__http_proxy_for(const struct bide__http_proxies *proxies,
                                                    bool is_secure, const char *host,
                                                    unsigned port);
/* Whether the list of hosts names this one. */
bool bide__http_proxy_is_listed(const char *list, const char *host, unsigned port);

#endif
