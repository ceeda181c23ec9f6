/*
 * The engines that the library brings, behind the contract of bide/engine.h, and how one of them is
 * chosen.
 */
#ifndef BIDE_ENGINE_ENGINE_H
#define BIDE_ENGINE_ENGINE_H

#include <bide/engine.h>

/*
 * Opens the engine called `name`; NULL: what BIDE_ENGINE says, or else the default and, where the
 * kernel does not offer or forbids it, epoll. -EINVAL: no such engine; a name that was asked for is
 * never replaced by another.
 */
int bide__engine_open(const char *name, const struct bide_engine_opts *opts,
                      struct bide_engine **ret_engine);

int bide__epoll_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine);
int bide__uring_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine);
int bide__sim_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine);

#endif
