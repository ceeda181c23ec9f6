/*
 * Servers, for what connections are served by.
 *
 * Invariants
 *  - `refs` counts the user's handle, every connection, every listening socket and every call that
 * waits. The structure goes with the last. The loop knows it while anything but the handle is left.
 *  - `drop` is called with `data`, from the ready queue, when the server is closed and has no
 * connection any more.
 */
#ifndef BIDE_IO_SERVER_H
#define BIDE_IO_SERVER_H

#include "io/net/listener.h"
#include "io/stream/channel.h"

#include <bide/server.h>

struct bide__values;
struct bide_party;

/* What a server knows of a connection; lies in that. */
struct bide__connection {
    struct bide__list node;
    bide_server *server; /* NULL: of none */
};

struct bide__server_kind {
    /* Serves a connection: takes the socket, whatever it returns. Negative: something is lacking
     * for now. */
    int (*begin)(bide_server *server, struct bide_sock *sock);
    void (*cancel)(struct bide__connection *connection);
    /* The loop closes, and the task that served it is gone. NULL: no tasks serve. */
    void (*abandon)(struct bide__connection *connection);
};

struct bide_server {
    struct bide__listeners listeners;
    const struct bide__server_kind *kind;
    union {
        bide_handler *handler;
        int (*factory)(void *data, struct bide_party *ret_party);
    };
    void *data;
    bide_drop *drop; /* may be NULL */
    struct bide__ready ready;
    bool dropping;
    struct bide__values *values; /* context variables that connections start with */
    struct bide_server_opts opts;
    struct bide__resource resource;
    size_t refs;
    size_t n_waiting; /* calls of forever and wait_closed */
    struct bide__list connections;
    struct bide__list waiters; /* tasks in forever and wait_closed */
};

/* Puts the defaults in the place of zeroes; `opts` may be NULL. 0 or -EINVAL. */
int bide__server_opts(const struct bide_server_opts *opts, struct bide_server_opts *ret_opts);
/* Listens. What the kind needs besides is set before anything else runs. */
int bide__server_new(bide_loop *loop, const struct bide__server_kind *kind,
                     const struct bide_server_opts *opts, struct bide_address *addresses, int n,
                     unsigned port, bide_server **ret_server);
void bide__server_unref(bide_server *server);

/* Counts as a connection: around what may close the server before there is one. */
void bide__server_hold(bide_server *server);
void bide__server_release(bide_server *server);

void bide__connection_enter(bide_server *server, struct bide__connection *connection);
/* Harmless for one that is of no server. */
void bide__connection_leave(struct bide__connection *connection);

/* bide_serve(); on success `drop`, which may be NULL, takes `data`, not in a child after fork. */
BIDE_EXPORT int bide__serve(const char *host, unsigned port, bide_handler *handler, void *data,
                            bide_drop *drop, const struct bide_server_opts *opts,
                            bide_server **ret_server);
/* The same on addresses that are known. opts: without zeroes. With port 0, all get the port that
 * the first one was given. */
int bide__serve_at(bide_loop *loop, struct bide_address *addresses, int n, unsigned port,
                   bide_handler *handler, void *data, bide_drop *drop,
                   const struct bide_server_opts *opts, bide_server **ret_server);

#endif
