/* Name lookups; see lookup.h. */
#include "io/net/lookup.h"

#include <bide/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const int families[] = {
    [BIDE_ANY_FAMILY] = AF_UNSPEC,
    [BIDE_IPV4] = AF_INET,
    [BIDE_IPV6] = AF_INET6,
};

static struct bide__lookup *lookup_of(struct bide_job *job)
{
    return bide__container(job, struct bide__lookup, base.job);
}

static void lookup_drop(struct bide_job *job)
{
    bide__lookup_free(lookup_of(job));
}

static void lookup_done(struct bide_job *job)
{
    struct bide__lookup *lookup = lookup_of(job);
    lookup->done(lookup);
}

void bide__lookup_free(struct bide__lookup *lookup)
{
    if (lookup->base.list)
        lookup->ops->lookup_free(NULL, lookup->base.list);
    free(lookup);
}

int bide__lookup_start(bide_loop *loop, const char *host, unsigned port, enum bide_family family,
                       bide__lookup_done *done, void *data, struct bide__lookup **ret_lookup)
{
    struct bide_engine *engine = loop->engine;
    size_t host_bytes = strlen(host) + 1;
    struct bide__lookup *lookup = calloc(1, sizeof *lookup + host_bytes);
    if (!lookup)
        return -ENOMEM;
    lookup->ops = engine->ops;
    lookup->done = done;
    lookup->data = data;
    memcpy(lookup->host, host, host_bytes);
    snprintf(lookup->service, sizeof lookup->service, "%u", port);
    lookup->base.job.done = lookup_done;
    lookup->base.job.drop = lookup_drop;
    lookup->base.host = lookup->host;
    lookup->base.service = lookup->service;
    lookup->base.hints = (struct addrinfo){
        .ai_family = families[family],
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV,
    };
    int rc = engine->ops->lookup(engine, &lookup->base);
    if (rc < 0) {
        free(lookup);
        return rc;
    }
    *ret_lookup = lookup;
    return 0;
}

void bide__lookup_abandon(bide_loop *loop, struct bide__lookup *lookup)
{
    loop->engine->ops->job_abandon(loop->engine, &lookup->base.job);
}

int bide__lookup_error(const struct bide__lookup *lookup)
{
    const struct bide_lookup *base = &lookup->base;
    switch (base->error) {
    case 0:
        return 0;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_AGAIN:
        return -BIDE_ENAMEAGAIN;
    case EAI_SYSTEM:
        return base->system_errno > 0 ? -base->system_errno : -BIDE_ENAMEFAIL;
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

char *bide__lookup_words(const struct bide__lookup *lookup, int error)
{
    char *words;
    const char *reason = lookup->base.error == EAI_SYSTEM ? strerrordesc_np(-error)
                                                          : gai_strerror(lookup->base.error);
    return asprintf(&words, "%s: %s", lookup->host, reason) < 0 ? NULL : words;
}

bool bide__address_copy(const struct addrinfo *info, struct bide_address *ret_address)
{
    if (info->ai_addrlen > sizeof ret_address->bytes)
        return false;
    memcpy(ret_address->bytes, info->ai_addr, info->ai_addrlen);
    ret_address->length = info->ai_addrlen;
    return true;
}
