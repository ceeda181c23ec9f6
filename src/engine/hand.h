/*
 * Sockets of the kernel's on their way from one engine to another, on another thread: the
 * descriptor is doubled, the first engine closes its socket, and the second adopts the double.
 */
#ifndef BIDE_ENGINE_HAND_H
#define BIDE_ENGINE_HAND_H

#include <bide/engine.h>

/* Another descriptor, close-on-exec, for what this one stands for; or an error. Any thread. */
int bide__fd_double(int fd);
/* The same of a socket; -ENOSYS: it is not the kernel's. */
int bide__sock_double(const struct bide_sock *sock);
/* Closes what nobody adopted. Any thread. */
void bide__fd_close(int fd);

#endif
