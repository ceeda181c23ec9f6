/* Unix sockets as streams and servers. */
#include "io/net/connect.h"
#include "io/net/server.h"
#include "io/stream/stream.h"

#include <bide/unix.h>

#include <string.h>
#include <sys/socket.h>

static bool only_stream(const struct bide_connect_opts *opts)
{
    return opts->family == BIDE_ANY_FAMILY && !opts->local && opts->resolve_seconds == 0 &&
           opts->attempt_seconds == 0;
}

int bide_connect_unix(const char *path, const struct bide_connect_opts *opts,
                      bide_stream **ret_stream)
{
    static const struct bide_connect_opts defaults;
    struct bide__coro *coro;
    struct bide_address address;
    struct bide_stream_opts all;
    if (!opts)
        opts = &defaults;
    if (!ret_stream || !only_stream(opts) || bide__channel_opts(&opts->stream, &all) < 0)
        return -EINVAL;
    int rc = bide_address_unix(path, &address);
    if (rc < 0)
        return rc;
    rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    struct bide__connect_request request = {.addresses = &address, .n_addresses = 1};
    return bide__connect(coro, &request, &all, ret_stream);
}

int bide_serve_unix(const char *path, bide_handler *handler, void *data,
                    const struct bide_server_opts *opts, bide_server **ret_server)
{
    struct bide_address address;
    struct bide_server_opts all;
    bide_loop *loop = bide__loop_running;
    if (!handler || !ret_server || bide__server_opts(opts, &all) < 0 || all.reuse_port ||
        all.shared || all.family != BIDE_ANY_FAMILY)
        return -EINVAL;
    int rc = bide_address_unix(path, &address);
    if (rc == 0)
        rc = bide__loop_open(loop);
    return rc < 0 ? rc
                  : bide__serve_at(loop, &address, 1, 0, handler, data, NULL, &all, ret_server);
}

int bide_stream_credentials(const bide_stream *stream, struct bide_credentials *ret_credentials)
{
    struct ucred credentials;
    struct bide_address local;
    sa_family_t family;
    socklen_t length = sizeof credentials;
    if (!stream || !ret_credentials)
        return -EINVAL;
    int rc = bide_stream_local(stream, &local);
    if (rc < 0)
        return rc;
    memcpy(&family, local.bytes + offsetof(struct sockaddr, sa_family), sizeof family);
    if (family != AF_UNIX)
        return -EOPNOTSUPP;
    struct bide_sock *sock = stream->channel.sock;
    rc = sock->engine->ops->sock_getopt(sock, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    if (rc < 0)
        return rc;
    *ret_credentials = (struct bide_credentials){
        .pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
    return 0;
}
