/* Names to addresses, for tasks. */
#include "io/net/resolve.h"

#include "io/net/lookup.h"
#include "runtime/coro.h"

#include <arpa/inet.h>
#include <string.h>

static void lookup_done(struct bide__lookup *lookup)
{
    struct bide__coro *coro = lookup->data;
    if (coro->wait)
        bide__wake(coro, 0);
    else /* a closing loop abandoned the task */
        bide__lookup_free(lookup);
}

static void lookup_interrupt(struct bide__coro *coro)
{
    bide__lookup_abandon(coro->loop, coro->wait_data);
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind lookup_wait = {.name = "name lookup",
                                                   .interrupt = lookup_interrupt};

static int copy_answer(const struct addrinfo *list, struct bide_address *ret_addresses, size_t size)
{
    size_t n = 0;
    for (const struct addrinfo *at = list; at && n < size; at = at->ai_next)
        n += bide__address_copy(at, &ret_addresses[n]);
    return (int)n;
}

static int look_up(struct bide__coro *coro, const char *host, unsigned port,
                   enum bide_family family, struct bide_address *ret_addresses, size_t size)
{
    struct bide__lookup *lookup;
    int rc = bide__lookup_start(coro->loop, host, port, family, lookup_done, coro, &lookup);
    if (rc == 0)
        rc = bide__park(coro, &lookup_wait, lookup);
    if (rc < 0)
        return rc;
    rc = bide__lookup_error(lookup);
    if (rc < 0)
        bide__detail_take(rc, bide__lookup_words(lookup, rc));
    else
        rc = copy_answer(lookup->base.list, ret_addresses, size);
    bide__lookup_free(lookup);
    return rc;
}

static void set_ipv4(struct bide_address *address, struct in_addr host, unsigned port)
{
    struct sockaddr_in ipv4 = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = host};
    memcpy(address->bytes, &ipv4, sizeof ipv4);
    address->length = sizeof ipv4;
}

static void set_ipv6(struct bide_address *address, struct in6_addr host, unsigned port)
{
    struct sockaddr_in6 ipv6 = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = host};
    memcpy(address->bytes, &ipv6, sizeof ipv6);
    address->length = sizeof ipv6;
}

int bide__resolve_numeric(const char *host, unsigned port, enum bide_family family,
                          struct bide_address *ret_addresses, size_t size)
{
    struct in_addr ipv4 = {.s_addr = htonl(INADDR_ANY)};
    struct in6_addr ipv6 = IN6ADDR_ANY_INIT;
    bool any = !host || !*host;
    bool is_ipv4 = any || inet_pton(AF_INET, host, &ipv4) == 1;
    bool is_ipv6 = any || inet_pton(AF_INET6, host, &ipv6) == 1;
    size_t n = 0;
    if (is_ipv4 && family != BIDE_IPV6 && n < size)
        set_ipv4(&ret_addresses[n++], ipv4, port);
    if (is_ipv6 && family != BIDE_IPV4 && n < size)
        set_ipv6(&ret_addresses[n++], ipv6, port);
    return (int)n;
}

bool bide__resolve_sensible(const char *host, unsigned port, enum bide_family family)
{
    return port <= BIDE__PORT_MAX && (unsigned)family <= BIDE_IPV6 &&
           (!host || strlen(host) <= BIDE__HOST_BYTES_MAX);
}

int bide__resolve(const char *host, unsigned port, enum bide_family family,
                  struct bide_address *ret_addresses, size_t size)
{
    if (!bide__resolve_sensible(host, port, family) || !ret_addresses || size == 0)
        return -EINVAL;
    int n = bide__resolve_numeric(host, port, family, ret_addresses, size);
    if (n > 0)
        return n;
    struct bide__coro *coro;
    int rc = bide__suspend(&coro);
    return rc < 0 ? rc : look_up(coro, host, port, family, ret_addresses, size);
}

int bide_resolve(const char *host, unsigned port, enum bide_family family,
                 struct bide_address *ret_addresses, size_t size)
{
    struct bide__coro *coro;
    int rc = bide__suspend(&coro);
    return rc < 0 ? rc : bide__resolve(host, port, family, ret_addresses, size);
}
