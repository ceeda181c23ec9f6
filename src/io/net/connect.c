/*
 * Connecting, for tasks: a connector does it, and the task waits.
 *
 * Invariant: no connection is left when the call fails. What a task that a closing loop abandoned
 * has left is the connector's, which the loop knows.
 */
#include "io/net/connect.h"

#include "io/net/lookup.h"
#include "io/net/resolve.h"
#include "io/stream/stream.h"

#include <string.h>
#include <sys/socket.h>

static void connect_interrupt(struct bide__coro *coro)
{
    int rc;
    bide__connector_cancel(coro->wait_data);
    if (bide__connector_over(coro->wait_data, &rc))
        bide__wake(coro, rc);
}

static const char *connect_describe(const struct bide__coro *coro)
{
    return bide__connector_stage(coro->wait_data);
}

static const struct bide__wait_kind connect_wait = {
    .name = "connect", .interrupt = connect_interrupt, .describe = connect_describe};

static void connect_done(struct bide__connector *connector, int rc)
{
    bide__wake(bide__connector_data(connector), rc);
}

int bide__connect(struct bide__coro *coro, struct bide__connect_request *request,
                  const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    struct bide__connector *connector;
    request->done = connect_done;
    request->data = coro;
    int rc = bide__connector_start(coro->loop, request, &connector);
    if (rc < 0)
        return rc;
    if (!bide__connector_over(connector, &rc))
        rc = bide__park(coro, &connect_wait, connector);
    if (rc < 0)
        bide__detail_take(rc, bide__connector_take_words(connector));
    else
        rc = bide__stream_new(coro->loop, bide__connector_sock(connector), opts, ret_stream);
    if (rc == 0)
        bide__connector_take(connector);
    bide__connector_free(connector);
    return rc;
}

static bool is_bindable(const struct bide_address *local)
{
    sa_family_t family = AF_UNSPEC;
    if (!local)
        return true;
    if (local->length < sizeof family || local->length > sizeof local->bytes)
        return false;
    memcpy(&family, local->bytes + offsetof(struct sockaddr, sa_family), sizeof family);
    return family == AF_INET || family == AF_INET6;
}

int bide__connect_request(const char *host, unsigned port, const struct bide_connect_opts *opts,
                          struct bide__connect_request *ret_request,
                          struct bide_stream_opts *ret_opts)
{
    static const struct bide_connect_opts defaults;
    if (!opts)
        opts = &defaults;
    if (!host || !*host || port == 0 || !bide__resolve_sensible(host, port, opts->family) ||
        !(opts->resolve_seconds >= 0) || !(opts->attempt_seconds >= 0) ||
        !is_bindable(opts->local) || bide__channel_opts(&opts->stream, ret_opts) < 0)
        return -EINVAL;
    *ret_request = (struct bide__connect_request){.host = host,
                                                  .port = port,
                                                  .family = opts->family,
                                                  .local = opts->local,
                                                  .resolve_seconds = opts->resolve_seconds,
                                                  .attempt_seconds = opts->attempt_seconds};
    return 0;
}

int bide_connect(const char *host, unsigned port, const struct bide_connect_opts *opts,
                 bide_stream **ret_stream)
{
    struct bide__coro *coro;
    struct bide__connect_request request;
    struct bide_stream_opts all;
    if (!ret_stream || bide__connect_request(host, port, opts, &request, &all) < 0)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    return rc < 0 ? rc : bide__connect(coro, &request, &all, ret_stream);
}
