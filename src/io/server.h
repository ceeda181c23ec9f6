/* Serving for what is built on servers. */
#ifndef BIDE_IO_SERVER_H
#define BIDE_IO_SERVER_H

#include <bide/server.h>

/* bide_serve(); on success `drop`, which may be NULL, is called with `data` when the server and its
 * last connection have gone, not in a child after fork. */
BIDE_EXPORT int bide__serve(const char *host, unsigned port, bide_handler *handler, void *data,
                            void (*drop)(void *data), const struct bide_server_opts *opts,
                            bide_server **ret_server);

#endif
