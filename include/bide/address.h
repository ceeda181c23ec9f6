/* Addresses of sockets, and the names that lead to them. */
#ifndef BIDE_ADDRESS_H
#define BIDE_ADDRESS_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* Which addresses are wanted. */
enum bide_family {
    BIDE_ANY_FAMILY, /* either */
    BIDE_IPV4,       /* IPv4 alone */
    BIDE_IPV6,       /* IPv6 alone */
};

/* A socket address of any kind: the bytes of a struct sockaddr_… and how many. */
struct bide_address {
    unsigned char bytes[128] __attribute__((aligned(8)));
    unsigned length;
};

/* Room for the text of any address, its port and the terminator. */
enum {
    BIDE_ADDRESS_TEXT_SIZE = 112, /* bytes */
};

/*
 * Looks up the addresses of a host. Numeric addresses are answered at once; names on a thread of
 * the resolver's own, so that neither the loop nor other blocking work waits for them.
 *
 * host: a name or a numeric address; NULL or "": the addresses of every interface, for listening.
 * ret_addresses: room for `size` addresses, most preferable first; only as many as are returned are
 * set. Returns how many there are, at most `size`; -BIDE_ENONAME, -BIDE_ENAMEAGAIN, -BIDE_ENAMEFAIL
 * or the resolver's own errno (bide_error_detail() names the host); -ECANCELED, -EINVAL, -ENOMEM,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: the wait ends at once; the lookup itself finishes unseen.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_resolve(const char *host, unsigned port, enum bide_family family,
                             struct bide_address *ret_addresses, size_t size);

/*
 * Makes the address of a Unix socket.
 *
 * path: copied; 1 to 107 bytes. A path in the file system; or "@name", a name of Linux's abstract
 * kind, which has no file and goes with its last socket ("./@name" is the file of that name).
 * Returns 0; -ENAMETOOLONG; -EINVAL for "", "@" and NULL. Suspends: no. Cancel: not affected.
 * Thread: any.
 */
BIDE_EXPORT int bide_address_unix(const char *path, struct bide_address *ret_address);

/*
 * Writes an address for people: 127.0.0.1:8000, [::1]:8000, /run/name, @name; "unix" for a Unix
 * socket without a name. Control characters in a name become "?".
 *
 * buffer: size bytes, always terminated if size > 0; BIDE_ADDRESS_TEXT_SIZE is enough.
 * Returns the whole text's length, as snprintf().
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_address_print(const struct bide_address *address, char *buffer, size_t size);

/*
 * The port of an IPv4 or IPv6 address; 0 for others.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT unsigned bide_address_port(const struct bide_address *address);

BIDE_END_DECLARATIONS

#endif
