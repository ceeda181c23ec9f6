/*
 * Listening ports that servers of several loops share: above all, workers' (bide/workers.h).
 *
 *     bide_async(amain, (bide_port *, port))
 *     {
 *         const struct bide_server_opts opts = {.shared = port};
 *         rc = bide_serve(NULL, 0, handler, NULL, &opts, &server);
 *         ...
 *
 * The port is opened once, before the workers; with port 0, all get the same free one. Each server
 * on it, of whatever kind, names it in its options, and takes its part of the connections. A server
 * that closes leaves them to the others, with those that were meant for it and that it has not
 * begun to serve.
 */
#ifndef BIDE_PORT_H
#define BIDE_PORT_H

#include <bide/server.h>

BIDE_BEGIN_DECLARATIONS

/* Who gets a connection. */
enum bide_port_way {
    /* Whichever server has the fewest that have not ended, in turn where several have the same. One
     * of them takes it from the kernel and hands it over. */
    BIDE_PORT_HANDED,
    /* Whichever the kernel chooses by the addresses (SO_REUSEPORT): each server has a queue of its
     * own. Cheaper, but even only if there are many; a server that is busy keeps what is in its
     * queue, and one that closes loses it. */
    BIDE_PORT_REUSED,
};

/* How a port is opened; zeroed fields mean defaults. */
struct bide_port_opts {
    enum bide_family family;
    enum bide_port_way way; /* 0: BIDE_PORT_HANDED */
    int backlog;            /* length of the kernel's queue; 0: 1,024 */
};

/*
 * Opens a port for servers to share. From now on connections wait in the kernel's queue, but with
 * BIDE_PORT_REUSED: there the first server listens. When the last server has closed, the port
 * listens no more, until there is one again.
 *
 * host, port: as bide_serve(). opts: borrowed until return; NULL for defaults. ret_port: returns
 * owned, to be given back with bide_port_unref(). Returns 0; as bide_serve(); -ENOSYS where sockets
 * are not the kernel's ("sim"). Suspends: yes, for a name, if a loop runs on this thread;
 * otherwise it blocks the thread. Cancel: nothing is left. Thread: any.
 */
BIDE_EXPORT int bide_port_open(const char *host, unsigned port, const struct bide_port_opts *opts,
                               bide_port **ret_port);

/*
 * The port's number; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT unsigned bide_port_number(const bide_port *port);

/*
 * Counts one more owner. A server on the port is one until it is closed.
 *
 * Returns the same pointer.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_port *bide_port_ref(bide_port *port);

/*
 * Gives the port back. With the last owner it listens no more.
 *
 * port: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_port_unref(bide_port *port);

BIDE_END_DECLARATIONS

#endif
