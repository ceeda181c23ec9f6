/* Servers: listening sockets, and a task for each connection. */
#ifndef BIDE_SERVER_H
#define BIDE_SERVER_H

#include <bide/loop.h>
#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* A server. */
typedef struct bide_server bide_server;
/* A listening port that several servers share (see bide/port.h). */
typedef struct bide_port bide_port;

/*
 * Serves one connection, as a task of its own.
 *
 * stream: borrowed until return; the server closes it then. data: the server's.
 * Its result counts as read; an error is reported to the exception handler, except the usual ones
 * of a connection that the peer broke.
 */
typedef int bide_handler(bide_stream *stream, void *data);

/* How to serve; zeroed fields mean defaults. */
struct bide_server_opts {
    enum bide_family family;
    unsigned file_mode;     /* permissions of a Unix socket's file; 0: as the umask says */
    size_t connections_max; /* further ones wait in the kernel's queue; 0: no limit */
    int backlog;            /* length of that queue; 0: 1,024 */
    bool reuse_port;        /* other loops and processes may listen on the same port */
    bide_port *shared;      /* a port that others serve, too; then there is no host, the port is 0,
                               and family, backlog and reuse_port are not set */
    size_t stack_size;      /* of the connections' tasks; 0: the loop's */
    enum bide_stack stack;  /* likewise; copied ones for many idle connections, see bide/loop.h */
    struct bide_stream_opts stream;
};

/*
 * Listens on every address of the host and starts `handler` for each connection.
 *
 * host: NULL for every interface, IPv4 and IPv6. port: 0 for a free one, the same for all
 * addresses. data: borrowed until the server is closed and its connections have ended. opts:
 * borrowed until return; NULL for defaults. ret_server: returns owned, to be given back with
 * bide_server_free(). Returns 0; -EADDRINUSE, -EACCES, -EADDRNOTAVAIL; an error of bide_resolve();
 * -ECANCELED, -EINVAL, -ENOMEM, -EMFILE, -BIDE_ENOTASK. bide_error_detail() names the address.
 * Suspends: yes, for a name. Cancel: nothing is left. Thread: loop thread only.
 */
BIDE_EXPORT int bide_serve(const char *host, unsigned port, bide_handler *handler, void *data,
                           const struct bide_server_opts *opts, bide_server **ret_server);

/*
 * The port that the server listens on; 0 after it was closed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT unsigned bide_server_port(const bide_server *server);

/*
 * The addresses that the server listens on.
 *
 * ret_addresses: room for `size`. Returns how many there are, also if fewer had room.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_server_addresses(const bide_server *server,
                                         struct bide_address *ret_addresses, size_t size);

/*
 * How many connections are being served.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_server_connections(const bide_server *server);

/*
 * Waits until the server is closed. When the caller is cancelled, the server is closed.
 *
 * Returns 0 once closed, -ECANCELED, -EINVAL, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the server is closed; its connections go on. Thread: loop thread only.
 */
BIDE_EXPORT int bide_server_forever(bide_server *server);

/*
 * Stops listening. Connections that are being served go on.
 *
 * Returns 1, or 0 if it was closed before; -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_server_close(bide_server *server);

/*
 * Cancels the tasks of all connections.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_server_cancel(bide_server *server);

/*
 * Waits until the server is closed, its addresses are free, and every connection has ended.
 *
 * Returns 0, -ECANCELED, -EINVAL, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the wait ends. Thread: loop thread only.
 */
BIDE_EXPORT int bide_server_wait_closed(bide_server *server);

/*
 * Closes the server if need be and gives it back. Connections that are being served go on; the last
 * one takes what is left along.
 *
 * server: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_server_free(bide_server *server);

BIDE_END_DECLARATIONS

#endif
