/*
 * Which engine a loop gets.
 *
 * Invariant: an engine that somebody named, in the program or in BIDE_ENGINE, is opened or the call
 * fails. Only the default is replaced, and only if the kernel lacks it or forbids it. The simulated
 * one is never chosen unless it is named, nor is one that a program brings.
 */
#include "engine/engine.h"

#include "engine/kind.h"

#include <stdlib.h>
#include <string.h>

/* Decided by measurement: docs/decisions. */
static const char default_engine[] = "uring";

static int open_by_name(const char *name, const struct bide_engine_opts *opts,
                        struct bide_engine **ret_engine)
{
    if (strcmp(name, "epoll") == 0)
        return bide__epoll_open(opts, ret_engine);
    if (strcmp(name, "uring") == 0) {
#if BIDE_HAVE_URING
        return bide__uring_open(opts, ret_engine);
#else
        return -ENOSYS;
#endif
    }
    if (strcmp(name, "sim") == 0)
        return bide__sim_open(opts, ret_engine);
    return bide__kind_open(name, opts, ret_engine);
}

bool bide__engine_is_built_in(const char *name)
{
    return strcmp(name, "epoll") == 0 || strcmp(name, "uring") == 0 || strcmp(name, "sim") == 0;
}

/* What the environment names. An engine that is being opened stands on another one than that. */
static const char *name_from_outside(void)
{
    const char *name = getenv("BIDE_ENGINE");
    if (!name || !*name || (bide__kind_is_opening() && bide__kind_is_known(name)))
        return NULL;
    return name;
}

/* What io_uring_setup() and the checks after it say where io_uring is missing, too old, forbidden
 * or not affordable. */
static bool means_missing(int rc)
{
    return rc == -ENOSYS || rc == -EPERM || rc == -EACCES || rc == -EINVAL || rc == -EOPNOTSUPP ||
           rc == -ENOMEM;
}

int bide__engine_open(const char *name, const struct bide_engine_opts *opts,
                      struct bide_engine **ret_engine)
{
    if (name)
        return open_by_name(name, opts, ret_engine);
    name = name_from_outside();
    if (name)
        return open_by_name(name, opts, ret_engine);
    int rc = open_by_name(default_engine, opts, ret_engine);
    return means_missing(rc) ? bide__epoll_open(opts, ret_engine) : rc;
}
