/*
 * Pipes, and descriptors that others use too: standard input and output above all. The same for
 * every engine that has a kernel. How a descriptor is shared without its flags being changed for
 * others, and why, is in docs/decisions/stdio.md.
 */
#ifndef BIDE_ENGINE_SHARE_H
#define BIDE_ENGINE_SHARE_H

#include "engine/engine.h"

/* As the engine's pipe() and sock_share(). */
int bide__pipe_open(struct bide_engine *engine, struct bide_sock **ret_read,
                    struct bide_sock **ret_write);
int bide__sock_share(struct bide_engine *engine, int fd, enum bide_direction direction,
                     struct bide_sock **ret_sock);

#endif
