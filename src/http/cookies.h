/*
 * Cookies inside the library.
 *
 * Invariants
 *  - A jar has at most one cookie of a name, domain, path and host-only flag.
 *  - Cookies stand in the order in which they were made; one that replaces another has its place.
 */
#ifndef BIDE_HTTP_COOKIES_INTERNAL_H
#define BIDE_HTTP_COOKIES_INTERNAL_H

#include "http/text.h"

#include <bide/http_cookies.h>

/* What a Set-Cookie field says, before anything is decided; pieces of its text. */
struct bide__cookie_part {
    const char *at;
    size_t size;
};

struct bide__cookie_said {
    struct bide__cookie_part name, value, domain, path;
    bool has_domain;
    bool has_path;
    bool has_expires; /* by either attribute */
    int64_t expires;
    bool secure;
    bool http_only;
    enum bide_http_same_site same_site;
};

/* Whether it says a cookie at all. */
bool bide__cookie_parse(const char *field, int64_t now, struct bide__cookie_said *ret_said);
/* A date as RFC 6265 reads it: 0 or -EINVAL. */
int bide__cookie_date(const char *text, size_t size, int64_t *ret_seconds);

/* Whether a server in `domain` has that in common with strangers, as with "co.uk". Where nobody
 * knows, every domain is one. */
bool bide__cookie_is_public_suffix(const char *domain);
/* Whether anybody knows. */
bool bide__cookie_knows_suffixes(void);
bool bide__cookie_is_address(const char *host);
/* Whether the host is in the domain: both in small letters. */
bool bide__cookie_domain_matches(const char *host, const char *domain);
bool bide__cookie_path_matches(const char *path, size_t size, const char *cookie_path);

/* Adds or replaces; what has expired by `now` only removes. 1 if the jar has changed, 0, -ENOMEM.
 */
int bide__cookies_put(bide_http_cookies *cookies, const struct bide_http_cookie *model,
                      int64_t now);

/* Writes the value of the Cookie field. How many cookies are in it, or -EINVAL. */
int bide__cookies_write(bide_http_cookies *cookies, const char *url, int64_t now,
                        struct bide__http_text *text);

#endif
