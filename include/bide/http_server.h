/* HTTP servers. */
#ifndef BIDE_HTTP_SERVER_H
#define BIDE_HTTP_SERVER_H

#include <bide/http_app.h>
#include <bide/server.h>

BIDE_BEGIN_DECLARATIONS

/* See bide/tls.h. */
struct bide_tls_context;

/* An HTTP server. */
typedef struct bide_http_server bide_http_server;

/* How to serve; zeroed fields mean defaults. Times are in seconds, and INFINITY is no limit. */
struct bide_http_server_opts {
    struct bide_server_opts server; /* all but file_mode and stream */
    struct bide_tls_context *tls;   /* serve HTTPS with it; retained. NULL: in clear */
    size_t line_bytes;              /* of the request line, and of each field; 0: 8,192 */
    size_t head_bytes;              /* of a request's head; 0: 32,768 */
    size_t fields_max;              /* in a request's head; 0: 100 */
    size_t body_bytes;              /* that bide_http_read_all() takes by default; 0: 1 MiB */
    double handshake_seconds;       /* of TLS, from connecting on; 0: 10 */
    double idle_seconds;   /* from connecting or the last answer to the next request; 0: 75 */
    double header_seconds; /* from the first byte of a request to the end of its head; 0: 10 */
    double body_seconds;   /* within a body from one byte to the next; 0: 30 */
    double write_seconds; /* how long an answer may wait for the client to take some of it; 0: 60 */
    double handler_seconds; /* that a handler may take, answer included; it does not count for a
                               WebSocket that was accepted; 0: no limit */
    double grace_seconds;   /* bide_http_server_close(): what is being answered may take; 0: 10 */
    const char *name;       /* the field Server; borrowed; NULL: "bide", "": none */
    bool half_close; /* a client that ends its side still wants its answer, and is not gone */
};

/*
 * Serves an application. Its start hooks run first.
 *
 * host, port: as bide_serve(). app: borrowed until the server is closed and its connections have
 * ended. opts: borrowed until return; NULL for defaults. ret_server: returns owned, to be given
 * back with bide_http_server_free(). Returns 0; the error of a hook; -EINVAL, -ENOMEM; -ENOSYS: TLS
 * in a build without; or as bide_serve(). Suspends: yes. Cancel: nothing is left. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_http_serve(bide_http_app *app, const char *host, unsigned port,
                                const struct bide_http_server_opts *opts,
                                bide_http_server **ret_server);

/*
 * The port that the server listens on; 0 after it was closed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT unsigned bide_http_server_port(const bide_http_server *server);

/*
 * How many connections there are.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_http_server_connections(const bide_http_server *server);

/*
 * Waits until the server is closed. When the caller is cancelled, the server is closed.
 *
 * Returns 0 once closed, -ECANCELED, -EINVAL, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the server is closed as by bide_http_server_close(). Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_http_server_forever(bide_http_server *server);

/*
 * Ends a server gently: it listens no more, idle connections are closed, and requests that are
 * being answered may be finished within `grace_seconds`; then their handlers are cancelled.
 *
 * Returns 1, or 0 if it was closed before; -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_server_close(bide_http_server *server);

/*
 * Waits until the server is closed and every connection has ended.
 *
 * Returns 0, -ECANCELED, -EINVAL, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the wait ends. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_server_wait_closed(bide_http_server *server);

/*
 * Closes the server if need be, waits as bide_http_server_wait_closed() does, runs the
 * application's stop hooks if this was its last server, and gives it back. After its loop has ended
 * it only gives back the memory: hooks can't run any more.
 *
 * server: takes; NULL is allowed.
 * Returns as bide_http_server_wait_closed(), or the error of a hook. Suspends: yes, a join. Cancel:
 * handlers are cancelled at once, and waited for. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_server_free(bide_http_server *server);

/*
 * A program's main: serves the application until SIGINT or SIGTERM, and ends gently. A second
 * signal cancels the handlers. In a worker whose signals are not kept (bide/workers.h) its cancel
 * is the signal: the loop's `cleanup_seconds` has to be longer than `grace_seconds`.
 *
 * Otherwise as bide_http_serve(). Prints where it listens to standard error.
 * Suspends: yes. Cancel: ends gently as well. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_serve_until_signal(bide_http_app *app, const char *host, unsigned port,
                                             const struct bide_http_server_opts *opts);

BIDE_END_DECLARATIONS

#endif
