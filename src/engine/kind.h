/*
 * The engines that programs bring, as the choice among all of them sees them.
 */
#ifndef BIDE_ENGINE_KIND_H_INTERNAL
#define BIDE_ENGINE_KIND_H_INTERNAL

#include "engine/engine.h"

/* -EINVAL: nobody brought one of that name. Otherwise as bide_engine_open(). */
int bide__kind_open(const char *name, const struct bide_engine_opts *opts,
                    struct bide_engine **ret_engine);
bool bide__kind_is_known(const char *name);
/* Whether the calling thread is inside of some kind's open(). */
bool bide__kind_is_opening(void);

/* Whether the name is one that the library uses itself, also where it lacks that engine. */
bool bide__engine_is_built_in(const char *name);

#endif
