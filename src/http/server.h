/*
 * A server, as its connections see it.
 *
 * Invariants
 *  - Every peer is in `peers` from its beginning to its end, and the server outlives them.
 *  - A closing loop finds the server among its resources, and what tasks that are no more had of it
 * is freed there.
 */
#ifndef BIDE_HTTP_SERVER_INTERNAL_H
#define BIDE_HTTP_SERVER_INTERNAL_H

#include "base/list.h"
#include "runtime/loop.h"

#include <bide/http_server.h>

enum { BIDE__HTTP_COMMON_SIZE = 128 };

struct bide_http_server {
    bide_loop *loop; /* NULL behind its end */
    struct bide__resource resource;
    bide_http_app *app;
    bide_server *listener;
    struct bide_http_server_opts opts; /* without zeroes */
    char *name;
    struct bide__list peers;             /* struct bide__http_peer */
    struct bide__http_connection *spare; /* for the next request of any peer */
    unsigned n_spare;
    bool is_closing;
    bool is_freed; /* nobody knows it but who is freeing it */
    bool is_app_begun;
    bide_handle *grace;

    /* The fields that every answer has, Server and Date, good until that moment. */
    int64_t common_until_ns;
    size_t common_size;
    char common[BIDE__HTTP_COMMON_SIZE];
};

void bide__http_server_renew(bide_http_server *server);

/* What `common` is now, to a turn of the loop. */
static inline void bide__http_server_refresh(bide_http_server *server)
{
    if (server->loop->polled_ns >= server->common_until_ns)
        bide__http_server_renew(server);
}

#endif
