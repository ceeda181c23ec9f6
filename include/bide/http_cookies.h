/*
 * Cookies of HTTP clients, by RFC 6265bis.
 *
 * A jar keeps what servers set, and knows which of it goes with a request. Where the library was
 * built with the public suffix list (libpsl), a server may set a cookie for the domain that it is
 * in, but not for "com" or "co.uk"; where it was built without, cookies go back to the very host
 * that set them.
 *
 * Limits: 4,096 bytes of name and value, 1,024 of an attribute, 50 cookies of a domain and 3,000 in
 * all; beyond those the one that was used least recently goes. None lives longer than 400 days.
 */
#ifndef BIDE_HTTP_COOKIES_H
#define BIDE_HTTP_COOKIES_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* A jar of cookies. */
typedef struct bide_http_cookies bide_http_cookies;

/* What other sites may make a browser send; kept as it was set, of no effect here. */
enum bide_http_same_site {
    BIDE_HTTP_SAME_SITE_DEFAULT, /* the server said nothing that browsers know */
    BIDE_HTTP_SAME_SITE_NONE,    /* everything */
    BIDE_HTTP_SAME_SITE_LAX,     /* following a link */
    BIDE_HTTP_SAME_SITE_STRICT,  /* nothing */
};

/* One cookie; its texts are borrowed until the jar changes. */
struct bide_http_cookie {
    const char *name;
    const char *value;
    const char *domain;
    const char *path;
    int64_t expires; /* seconds since 1970-01-01 UTC; INT64_MAX: with the session */
    bool host_only;  /* not for the hosts below its domain */
    bool secure;     /* over https only */
    bool http_only;
    enum bide_http_same_site same_site;
};

/*
 * Makes an empty jar.
 *
 * ret_cookies: returns owned, to be given back with bide_http_cookies_free(). Returns 0, -EINVAL,
 * -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_cookies_new(bide_http_cookies **ret_cookies);

/*
 * Gives a jar back.
 *
 * cookies: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT void bide_http_cookies_free(bide_http_cookies *cookies);

/*
 * Takes what a server said in a Set-Cookie field.
 *
 * url: of the request. field: the field's value. now: seconds since 1970-01-01 UTC. Returns 1 if
 * the jar has changed; 0 if the cookie is to be ignored: malformed, too large, for a domain that is
 * not the server's, or against the rules of its name's prefix; -EINVAL: not an HTTP URL; -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_cookies_take(bide_http_cookies *cookies, const char *url,
                                       const char *field, int64_t now);

/*
 * Writes the value of the Cookie field for a request, and marks its cookies as used.
 *
 * buffer: size bytes, always terminated if size > 0. Returns the whole length, as snprintf(), 0 if
 * none goes with it; -EINVAL: not an HTTP URL; -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_cookies_print(bide_http_cookies *cookies, const char *url, int64_t now,
                                        char *buffer, size_t size);

/*
 * How many cookies there are, expired ones included until somebody meets them.
 *
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT size_t bide_http_cookies_count(const bide_http_cookies *cookies);

/*
 * The i-th cookie, in the order in which they were made.
 *
 * Returns 0, or -EINVAL: there are not that many.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_cookies_at(const bide_http_cookies *cookies, size_t i,
                                     struct bide_http_cookie *ret_cookie);

/*
 * Takes out the cookies of a domain and the hosts below it; all of them if it is NULL.
 *
 * Returns how many there were.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_cookies_clear(bide_http_cookies *cookies, const char *domain);

/*
 * Writes all cookies to a file, as Netscape's browser and curl have it, readable by its owner only.
 *
 * path: as bide_file_store(), whose errors it returns; 0. Suspends: yes. Cancel: as
 * bide_file_store(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_cookies_save(const bide_http_cookies *cookies, const char *path);

/*
 * Adds the cookies of such a file to the jar; lines that are no cookies are passed over.
 *
 * now: seconds since 1970-01-01 UTC; what has expired by then is left out. Returns how many were
 * taken, -ENOMEM, or as bide_file_load(). Suspends: yes. Cancel: the jar is as it was. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_http_cookies_load(bide_http_cookies *cookies, const char *path, int64_t now);

BIDE_END_DECLARATIONS

#endif
