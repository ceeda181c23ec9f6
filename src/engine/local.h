/*
 * The files that local (AF_UNIX) sockets are bound to: what every engine with a kernel shares.
 *
 * Invariants
 *  - Only a socket's file is ever removed, and only one on which nobody listens, or our own.
 *  - Nobody can connect before the file has its mode, because the socket does not listen yet.
 */
#ifndef BIDE_ENGINE_LOCAL_H
#define BIDE_ENGINE_LOCAL_H

#include "engine/engine.h"

/* As the engine's calls of these names: they need sock->fd only. */
int bide__local_bind(struct bide_sock *sock, const struct sockaddr *address, socklen_t length,
                     unsigned mode, struct bide_local_file *ret_file);
void bide__local_unbind(struct bide_sock *sock, const struct sockaddr *address,
                        const struct bide_local_file *file);

#endif
