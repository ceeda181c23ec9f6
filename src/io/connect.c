/*
 * Connecting by name: the addresses of the host are tried in turn.
 *
 * Invariant: at most one socket exists, and none when the call fails. What a task that a closing
 * loop abandoned has left is found by the loop.
 */
#include "io/resolve.h"
#include "io/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A connection on its way. On the heap, because the engine uses it while the task is parked. */
struct connecting {
    struct bide__operation operation;
    struct bide__resource resource;
    const struct bide_engine_ops *ops;
    struct bide_sock *sock; /* while it is being connected */
    bool abandoned;
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
};

static const struct bide__wait_kind connect_wait = {.name = "connect",
                                                    .interrupt = bide__operation_interrupt};

static void connecting_free(struct connecting *connecting)
{
    bide__list_remove(&connecting->resource.node);
    if (connecting->sock)
        connecting->ops->sock_close(connecting->sock);
    free(connecting);
}

static void connecting_after(struct bide__operation *operation)
{
    struct connecting *connecting = bide__container(operation, struct connecting, operation);
    if (connecting->abandoned)
        connecting_free(connecting);
}

/* The loop closes: the task is gone. */
static void connecting_drop(struct bide__resource *resource)
{
    struct connecting *connecting = bide__container(resource, struct connecting, resource);
    connecting->abandoned = true;
    if (bide__operation_pending(&connecting->operation))
        connecting->ops->cancel(&connecting->operation.op);
    else
        connecting_free(connecting);
}

static void connecting_forget(struct bide__resource *resource)
{
    bide__list_remove(&resource->node);
}

static struct connecting *connecting_new(bide_loop *loop)
{
    struct connecting *connecting = calloc(1, sizeof *connecting);
    if (!connecting)
        return NULL;
    connecting->ops = loop->engine->ops;
    connecting->operation.after = connecting_after;
    connecting->resource.drop = connecting_drop;
    connecting->resource.forget = connecting_forget;
    bide__list_append(&loop->resources, &connecting->resource.node);
    return connecting;
}

static int connect_one(struct bide__coro *coro, struct connecting *connecting,
                       const struct bide_address *address)
{
    const struct bide_engine_ops *ops = connecting->ops;
    const struct sockaddr *bytes = (const void *)address->bytes;
    struct bide_sock *sock = NULL;
    int rc = bide__cancel_check(coro);
    if (rc < 0)
        return rc;
    rc = ops->sock_open(coro->loop->engine, bytes->sa_family, SOCK_STREAM, 0, &sock);
    if (rc < 0)
        return rc;
    connecting->sock = sock;
    bide__operation_prepare(&connecting->operation, coro);
    rc = ops->connect(sock, &connecting->operation.op, bytes, address->length);
    rc = bide__operation_wait(&connecting->operation, rc, &connect_wait);
    if (rc < 0) {
        connecting->sock = NULL;
        ops->sock_close(sock);
    }
    return rc;
}

static int connect_any(struct bide__coro *coro, struct connecting *connecting, int n)
{
    int rc = -BIDE_ENONAME;
    for (int i = 0; i < n; i++) {
        rc = connect_one(coro, connecting, &connecting->addresses[i]);
        if (rc == 0 || rc == -ECANCELED)
            return rc;
        char text[BIDE_ADDRESS_TEXT_SIZE];
        bide_address_print(&connecting->addresses[i], text, sizeof text);
        bide__detail_set(rc, "%s", text);
    }
    return rc;
}

int bide_connect(const char *host, unsigned port, const struct bide_connect_opts *opts,
                 bide_stream **ret_stream)
{
    struct bide__coro *coro;
    struct bide_stream_opts all;
    int rc = bide__stream_opts(opts ? &opts->stream : NULL, &all);
    if (rc < 0 || !host || !*host || port == 0 || !ret_stream)
        return -EINVAL;
    rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    struct connecting *connecting = connecting_new(coro->loop);
    if (!connecting)
        return -ENOMEM;
    rc = bide__resolve(host, port, opts ? opts->family : BIDE_ANY_FAMILY, connecting->addresses,
                       BIDE__ADDRESSES_MAX);
    if (rc > 0)
        rc = connect_any(coro, connecting, rc);
    if (rc == 0)
        rc = bide__stream_new(coro->loop, connecting->sock, &all, ret_stream);
    if (rc == 0)
        connecting->sock = NULL;
    connecting_free(connecting);
    return rc;
}
