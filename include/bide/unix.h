/*
 * Unix sockets: streams and servers between processes of one machine, found by a path or an
 * abstract name (see bide_address_unix()).
 */
#ifndef BIDE_UNIX_H
#define BIDE_UNIX_H

#include <bide/server.h>
#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* Who is at the other end of a Unix stream, as it was when it connected or began to listen. */
struct bide_credentials {
    int pid; /* 0: not visible from here, in another namespace */
    unsigned uid;
    unsigned gid;
};

/*
 * Connects to a Unix socket. While the server's queue is full, it waits.
 *
 * path: as in bide_address_unix(), borrowed until return. opts: borrowed until return, NULL for
 * defaults; nothing but `stream` is set. ret_stream: returns owned, to be given back with
 * bide_close().
 * Returns 0; -ENOENT (no such file), -ECONNREFUSED (nobody listens), -EACCES, -EPROTOTYPE (not a
 * stream's); -ENAMETOOLONG; -ECANCELED, -EINVAL, -ENOMEM, -EMFILE, -BIDE_ENOTASK.
 * bide_error_detail() names the path. Suspends: yes. Cancel: no connection is left. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_connect_unix(const char *path, const struct bide_connect_opts *opts,
                                  bide_stream **ret_stream);

/*
 * Listens on a Unix socket and starts `handler` for each connection, as bide_serve().
 *
 * A socket's file on which nobody listens any more is replaced; any other file, or one on which
 * somebody listens, is left alone. Closing the server removes the file, if it is still this
 * server's. Of two servers that start in the very same moment, both may succeed, and the first one
 * is found by nobody.
 *
 * path: as in bide_address_unix(), borrowed until return; a relative one is looked up again when
 * the server is closed. data: borrowed until the server is closed and its connections have ended.
 * opts: borrowed until return; NULL for defaults; `family` and `reuse_port` are not set.
 * ret_server: returns owned, to be given back with bide_server_free(). Returns 0; -EADDRINUSE;
 * -EACCES, -ENOENT, -ENOTDIR, -EROFS for the path; -ENAMETOOLONG; -EINVAL, also where no loop runs;
 * -ENOMEM, -EMFILE, -ESHUTDOWN. bide_error_detail() names the path. Suspends: no. Cancel: not
 * affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_serve_unix(const char *path, bide_handler *handler, void *data,
                                const struct bide_server_opts *opts, bide_server **ret_server);

/*
 * Who is at the other end of a Unix stream; the kernel vouches for it.
 *
 * Returns 0; -EOPNOTSUPP if it is another kind of stream; -ENOTCONN; -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stream_credentials(const bide_stream *stream,
                                        struct bide_credentials *ret_credentials);

BIDE_END_DECLARATIONS

#endif
