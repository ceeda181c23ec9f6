/*
 * Pipes, and descriptors that others use too: standard input and output above all. The same for
 * every engine that has a kernel. How a descriptor is shared without its flags being changed for
 * others, and why, is in docs/decisions/stdio.md.
 */
#ifndef BIDE_ENGINE_SHARE_H
#define BIDE_ENGINE_SHARE_H

#include "engine/engine.h"

/* As the engine's pipe() and sock_share(). */
int bide__pipe_open(struct bide__engine *engine, struct bide__sock **ret_read,
                    struct bide__sock **ret_write);
int bide__sock_share(struct bide__engine *engine, int fd, enum bide__direction direction,
                     struct bide__sock **ret_sock);

#endif
