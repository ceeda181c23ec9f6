/*
 * Handshakes on live streams; see upgrade.h.
 *
 * Invariant: the stream gets a socket back exactly once: by the task, or, if a closing loop gave
 * that up, there and then or at the handshake's end.
 */
#include "io/stream/upgrade.h"

#include <stdlib.h>

/* On the heap, because the engine uses it while the task is parked. */
struct upgrade {
    struct bide__operation operation;
    struct bide__swap swap;
    bide_stream *stream;
    struct bide_sock *sock;
    bool abandoned;
};

static const struct bide__wait_kind upgrade_wait = {.name = "handshake",
                                                    .interrupt = bide__operation_interrupt};

/* What was on its way makes no sense any more, and no more than that is known of a cancel. */
static int upgrade_end(struct upgrade *upgrade, int rc)
{
    int error = rc == -ECANCELED ? -BIDE_ETORN : rc;
    int ended = bide__stream_swap_end(upgrade->stream, upgrade->sock, error);
    free(upgrade);
    return ended == -ECONNABORTED ? ended : rc;
}

static void upgrade_after(struct bide__operation *operation)
{
    struct upgrade *upgrade = bide__container(operation, struct upgrade, operation);
    if (upgrade->abandoned)
        upgrade_end(upgrade, -ECANCELED);
}

/* The stream is closed or aborted. */
static void upgrade_unwanted(struct bide__swap *swap)
{
    struct upgrade *upgrade = bide__container(swap, struct upgrade, swap);
    if (bide__operation_pending(&upgrade->operation))
        upgrade->sock->engine->ops->cancel(&upgrade->operation.op);
}

/* The loop closes, and the task is gone. */
static void upgrade_abandon(struct bide__coro *coro)
{
    struct upgrade *upgrade = bide__container(coro->wait_data, struct upgrade, operation);
    upgrade->abandoned = true;
    if (!bide__operation_pending(&upgrade->operation))
        upgrade_end(upgrade, -ECANCELED);
}

static int upgrade_run(struct upgrade *upgrade, struct bide__coro *coro)
{
    const struct bide_engine_ops *ops = upgrade->sock->engine->ops;
    bide__operation_prepare(&upgrade->operation, coro);
    int rc = ops->connect(upgrade->sock, &upgrade->operation.op, NULL, 0);
    coro->abandon = upgrade_abandon;
    rc = bide__operation_wait(&upgrade->operation, rc, &upgrade_wait);
    coro->abandon = NULL;
    return rc;
}

static int upgrade_begin(bide_stream *stream, const struct bide__upgrade_kind *kind, void *data,
                         struct upgrade **ret_upgrade)
{
    struct bide_sock *lower;
    struct upgrade *upgrade = calloc(1, sizeof *upgrade);
    if (!upgrade)
        return -ENOMEM;
    upgrade->stream = stream;
    upgrade->operation.after = upgrade_after;
    upgrade->swap.unwanted = upgrade_unwanted;
    int rc = bide__stream_swap_begin(stream, &upgrade->swap, &lower);
    if (rc == 0) {
        rc = kind->wrap(data, stream->channel.loop, lower, &upgrade->sock);
        if (rc < 0)
            bide__stream_swap_end(stream, lower, 0);
    }
    if (rc < 0)
        free(upgrade);
    else
        *ret_upgrade = upgrade;
    return rc;
}

int bide__stream_upgrade(bide_stream *stream, const struct bide__upgrade_kind *kind, void *data)
{
    struct bide__coro *coro;
    struct upgrade *upgrade;
    int rc = stream->channel.plain ? -EBADF : 0;
    if (rc == 0 && bide_stream_pending(stream) > 0)
        rc = bide_drain(stream);
    if (rc == 0)
        rc = bide__suspend(&coro);
    if (rc == 0)
        rc = upgrade_begin(stream, kind, data, &upgrade);
    if (rc != 0)
        return rc;
    rc = upgrade_run(upgrade, coro);
    kind->ended(data, upgrade->sock, rc);
    return upgrade_end(upgrade, rc);
}

struct bide_sock *bide__stream_sock(const bide_stream *stream)
{
    return stream->channel.sock;
}
