/* Serving by protocols. */
#include "io/net/resolve.h"
#include "io/net/server.h"
#include "io/transport/transport.h"
#include "runtime/report.h"

static bide_transport *transport_of(struct bide__connection *connection)
{
    return bide__container(connection, bide_transport, connection);
}

static int make(bide_server *server, struct bide_sock *sock)
{
    struct bide_party party = {0};
    bide_transport *transport;
    bide_loop *loop = server->listeners.loop;
    int rc = server->factory(server->data, &party);
    if (rc >= 0 && !(party.protocol && party.protocol->connection_made))
        rc = -EINVAL;
    if (rc < 0) {
        bide__report_callback(loop, rc);
        sock->engine->ops->sock_close(sock);
        return 0;
    }
    rc = bide__transport_new(loop, sock, &server->opts.stream, &party, &transport);
    if (rc == 0) {
        bide__connection_enter(server, &transport->connection);
        return 0;
    }
    sock->engine->ops->sock_close(sock);
    if (party.drop)
        party.drop(party.data);
    return rc;
}

static int begin(bide_server *server, struct bide_sock *sock)
{
    struct bide__values *outside = bide__context_enter(server->values);
    bide__server_hold(server);
    int rc = make(server, sock);
    bide__server_release(server);
    bide__context_leave(outside);
    return rc;
}

static void cancel(struct bide__connection *connection)
{
    bide_transport_abort(transport_of(connection));
}

static const struct bide__server_kind protocols_serve = {.begin = begin, .cancel = cancel};

int bide_loop_listen(bide_loop *loop, const char *host, unsigned port,
                     const struct bide_server_opts *opts, bide_protocol_factory *factory,
                     void *data, bide_drop *drop, bide_server **ret_server)
{
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
    struct bide_server_opts all;
    bide_server *server;
    int rc = bide__loop_open(loop);
    if (rc < 0)
        return rc;
    if (!factory || !ret_server || bide__server_opts(opts, &all) < 0 ||
        !bide__resolve_sensible(host, port, all.family) || (all.shared && (host || port != 0)))
        return -EINVAL;
    int n = all.shared
                ? 0
                : bide__resolve_numeric(host, port, all.family, addresses, BIDE__ADDRESSES_MAX);
    if (n < 0 || (n == 0 && !all.shared))
        return -EINVAL;
    rc = bide__server_new(loop, &protocols_serve, &all, addresses, n, port, &server);
    if (rc < 0)
        return rc;
    server->factory = factory;
    server->data = data;
    server->drop = drop;
    *ret_server = server;
    return 0;
}
