/*
 * URLs by RFC 3986: taken apart, put together again, resolved against another one, and the percent
 * signs in them. Nothing here does I/O or keeps memory.
 *
 * A URL is ASCII. Other characters stand in it as percent escapes, and in a host's name in its
 * xn-- form; whatever is neither is refused.
 */
#ifndef BIDE_URL_H
#define BIDE_URL_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* A piece of a text: not terminated. `data` is NULL where a URL has no such part, which is another
 * thing than an empty one. */
struct bide_url_part {
    const char *data;
    size_t size; /* bytes */
};

/* A URL, or a reference that lacks its beginning: all parts lie in the text that was taken apart,
 * as it was written. */
struct bide_url {
    struct bide_url_part scheme; /* without its colon */
    struct bide_url_part user;   /* name and password, without the @ */
    struct bide_url_part
        host; /* a name, an IPv4 address, or an IPv6 address without its brackets */
    struct bide_url_part port;     /* its digits, without the colon; may be empty */
    struct bide_url_part path;     /* never NULL, often empty */
    struct bide_url_part query;    /* without the question mark */
    struct bide_url_part fragment; /* without the # */
    bool is_ipv6;                  /* the host stands in brackets */
    unsigned port_number;          /* 0 if there is none */
};

/* The longest URL that is taken apart. */
enum {
    BIDE_URL_BYTES_MAX = 65535, /* bytes */
};

/*
 * Takes a URL or a relative reference apart.
 *
 * text: of `size` bytes, need not be terminated; borrowed as long as `ret_url` is used. ret_at: if
 * not NULL, on -EINVAL the place of the first byte that is wrong, `size` if something lacks at the
 * end. Returns 0; -EINVAL: not a URL; -E2BIG: longer than BIDE_URL_BYTES_MAX.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_url_parse(const char *text, size_t size, struct bide_url *ret_url,
                               size_t *ret_at);

/*
 * Writes a URL in its normal form: scheme and host in small letters, no dots as path segments after
 * an authority, no escapes of what needs none, capital hexadecimal digits, no port that is the
 * scheme's own (http 80, https 443, ws 80, wss 443), "/" for an empty path behind a host.
 *
 * buffer: size bytes, always terminated if size > 0. Returns the whole text's length, as
 * snprintf(); -EINVAL, -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_url_print(const struct bide_url *url, char *buffer, size_t size);

/*
 * Resolves a reference against a base, as a browser does with a link and a client with a Location.
 *
 * base: with a scheme. The result is in its normal form, with the fragment of the reference.
 * buffer: size bytes, always terminated if size > 0. Returns the whole text's length, as
 * snprintf(); -EINVAL: the base has no scheme, or a NULL; -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_url_resolve(const struct bide_url *base, const struct bide_url *reference,
                                 char *buffer, size_t size);

/*
 * Takes the percent escapes out of a part.
 *
 * buffer: size bytes, always terminated if size > 0; the result may contain any byte, NUL too.
 * Returns the whole length, as snprintf(); -EINVAL: a percent sign without two hexadecimal digits.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_url_decode(const char *text, size_t text_size, char *buffer, size_t size);

/*
 * Escapes every byte but letters, digits, "-", ".", "_" and "~".
 *
 * buffer: size bytes, always terminated if size > 0; three times text_size and one are enough.
 * Returns the whole length, as snprintf(); -EINVAL; -E2BIG: longer than an int tells.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_url_encode(const char *text, size_t text_size, char *buffer, size_t size);

/*
 * Escapes every byte that may not stand in a URL at all, such as a space or one above 127: for
 * links as people and servers write them. What may stand there stays, percent signs too.
 *
 * Otherwise as bide_url_encode().
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_url_repair(const char *text, size_t text_size, char *buffer, size_t size);

/*
 * The port to connect to: the URL's own, or else the one that its scheme implies, or 0.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT unsigned bide_url_port(const struct bide_url *url);

BIDE_END_DECLARATIONS

#endif
