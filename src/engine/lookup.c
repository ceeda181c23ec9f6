/*
 * Names to addresses, by the C library's resolver on a thread of the resolver's lane.
 */
#include <errno.h>

#include "engine/pool.h"

static void look_up(struct bide_job *job)
{
    struct bide_lookup *lookup = (struct bide_lookup *)job; /* its first member */
    lookup->list = NULL;
    lookup->error = getaddrinfo(lookup->host, lookup->service, &lookup->hints, &lookup->list);
    lookup->system_errno = lookup->error == EAI_SYSTEM ? errno : 0;
}

int bide__lookup_submit(struct bide__pool *pool, struct bide_lookup *lookup)
{
    lookup->job.run = look_up;
    return bide__pool_submit(pool, &lookup->job, BIDE_LANE_RESOLVE);
}

int bide__lookup_as_job(struct bide_engine *engine, struct bide_lookup *lookup)
{
    lookup->job.run = look_up;
    return engine->ops->job_submit(engine, &lookup->job, BIDE_LANE_RESOLVE);
}

void bide__lookup_list_free(struct addrinfo *list)
{
    if (list)
        freeaddrinfo(list);
}
