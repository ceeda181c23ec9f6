/* Connecting by name: the addresses of the host are tried in turn. Invariant: at most one socket
 * exists, and none when the call fails. */
#include "io/resolve.h"
#include "io/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A connection on its way. On the heap, because the engine uses it while the task is parked. */
struct connecting {
    struct bide__operation operation;
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
};

static const struct bide__wait_kind connect_wait = {.name = "connect",
                                                    .interrupt = bide__operation_interrupt};

static int connect_one(struct bide__coro *coro, struct connecting *connecting,
                       const struct bide_address *address, struct bide__sock **ret_sock)
{
    const struct bide__engine_ops *ops = coro->loop->engine->ops;
    const struct sockaddr *bytes = (const void *)address->bytes;
    struct bide__sock *sock;
    int rc = bide__cancel_check(coro);
    if (rc < 0)
        return rc;
    rc = ops->sock_open(coro->loop->engine, bytes->sa_family, SOCK_STREAM, 0, &sock);
    if (rc < 0)
        return rc;
    bide__operation_prepare(&connecting->operation, coro);
    rc = ops->connect(sock, &connecting->operation.op, bytes, address->length);
    rc = bide__operation_wait(&connecting->operation, rc, &connect_wait);
    if (rc < 0) {
        ops->sock_close(sock);
        return rc;
    }
    *ret_sock = sock;
    return 0;
}

static int connect_any(struct bide__coro *coro, struct connecting *connecting, int n,
                       struct bide__sock **ret_sock)
{
    int rc = -BIDE_ENONAME;
    for (int i = 0; i < n; i++) {
        rc = connect_one(coro, connecting, &connecting->addresses[i], ret_sock);
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
    struct bide__sock *sock = NULL;
    if (!host || !*host || port == 0 || !ret_stream)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    struct connecting *connecting = calloc(1, sizeof *connecting);
    if (!connecting)
        return -ENOMEM;
    rc = bide__resolve(host, port, opts ? opts->family : BIDE_ANY_FAMILY, connecting->addresses,
                       BIDE__ADDRESSES_MAX);
    if (rc > 0)
        rc = connect_any(coro, connecting, rc, &sock);
    free(connecting);
    if (rc < 0)
        return rc;
    rc = bide__stream_new(coro->loop, sock, opts ? &opts->stream : NULL, ret_stream);
    if (rc < 0)
        coro->loop->engine->ops->sock_close(sock);
    return rc;
}
