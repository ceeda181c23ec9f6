/*
 * Names to addresses.
 *
 * Invariant: a lookup's memory is its own, host name included: a cancelled wait abandons it, and it
 * frees itself on whatever thread it ends.
 */
#include "io/resolve.h"

#include "base/list.h"
#include "runtime/coro.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535, HOST_BYTES_MAX = 1025 };

struct lookup {
    struct bide_lookup lookup;
    const struct bide_engine_ops *ops;
    struct bide__coro *coro;
    char service[8];
    char host[];
};

static const int families[] = {
    [BIDE_ANY_FAMILY] = AF_UNSPEC,
    [BIDE_IPV4] = AF_INET,
    [BIDE_IPV6] = AF_INET6,
};

static struct lookup *lookup_of(struct bide_job *job)
{
    return bide__container(job, struct lookup, lookup.job);
}

static void lookup_drop(struct bide_job *job)
{
    struct lookup *lookup = lookup_of(job);
    if (lookup->lookup.list)
        lookup->ops->lookup_free(NULL, lookup->lookup.list);
    free(lookup);
}

static void lookup_done(struct bide_job *job)
{
    struct lookup *lookup = lookup_of(job);
    if (lookup->coro->wait)
        bide__wake(lookup->coro, 0);
    else /* a closing loop abandoned the task */
        lookup_drop(job);
}

static void lookup_interrupt(struct bide__coro *coro)
{
    struct lookup *lookup = coro->wait_data;
    struct bide_engine *engine = coro->loop->engine;
    engine->ops->job_abandon(engine, &lookup->lookup.job);
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind lookup_wait = {.name = "name lookup",
                                                   .interrupt = lookup_interrupt};

/* What getaddrinfo's answers are here. */
static int lookup_error(const struct bide_lookup *lookup)
{
    switch (lookup->error) {
    case 0:
        return 0;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_AGAIN:
        return -BIDE_ENAMEAGAIN;
    case EAI_SYSTEM:
        return lookup->system_errno > 0 ? -lookup->system_errno : -BIDE_ENAMEFAIL;
    case EAI_FAMILY:
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
    case EAI_SERVICE:
        return -BIDE_ENONAME;
    default:
        return -BIDE_ENAMEFAIL;
    }
}

static int copy_answer(const struct addrinfo *list, struct bide_address *ret_addresses, size_t size)
{
    size_t n = 0;
    for (const struct addrinfo *at = list; at && n < size; at = at->ai_next) {
        if (at->ai_addrlen > sizeof ret_addresses[n].bytes)
            continue;
        memcpy(ret_addresses[n].bytes, at->ai_addr, at->ai_addrlen);
        ret_addresses[n].length = at->ai_addrlen;
        n++;
    }
    return (int)n;
}

static int look_up(struct bide__coro *coro, const char *host, unsigned port,
                   enum bide_family family, struct bide_address *ret_addresses, size_t size)
{
    struct bide_engine *engine = coro->loop->engine;
    size_t host_bytes = strlen(host) + 1;
    struct lookup *lookup = calloc(1, sizeof *lookup + host_bytes);
    if (!lookup)
        return -ENOMEM;
    lookup->ops = engine->ops;
    lookup->coro = coro;
    memcpy(lookup->host, host, host_bytes);
    snprintf(lookup->service, sizeof lookup->service, "%u", port);
    lookup->lookup.job.done = lookup_done;
    lookup->lookup.job.drop = lookup_drop;
    lookup->lookup.host = lookup->host;
    lookup->lookup.service = lookup->service;
    lookup->lookup.hints = (struct addrinfo){
        .ai_family = families[family],
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV,
    };
    int rc = engine->ops->lookup(engine, &lookup->lookup);
    if (rc < 0) {
        free(lookup);
        return rc;
    }
    rc = bide__park(coro, &lookup_wait, lookup);
    if (rc < 0)
        return rc;
    rc = lookup_error(&lookup->lookup);
    if (rc < 0)
        bide__detail_set(rc, "%s: %s", host,
                         lookup->lookup.error == EAI_SYSTEM ? strerrordesc_np(-rc)
                                                            : gai_strerror(lookup->lookup.error));
    else
        rc = copy_answer(lookup->lookup.list, ret_addresses, size);
    lookup_drop(&lookup->lookup.job);
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

/* The answer if no lookup is needed; 0 if one is. */
static int numeric(const char *host, unsigned port, enum bide_family family,
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

int bide__resolve(const char *host, unsigned port, enum bide_family family,
                  struct bide_address *ret_addresses, size_t size)
{
    if (port > PORT_MAX || (unsigned)family > BIDE_IPV6 || !ret_addresses || size == 0 ||
        (host && strlen(host) >= HOST_BYTES_MAX))
        return -EINVAL;
    int n = numeric(host, port, family, ret_addresses, size);
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
