/*
 * Connections into each other.
 *
 * Bytes wait in the buffer of the stream that they come from until the other one has taken them
 * whole, so that a cancelled relay loses nothing. docs/decisions/relay.md says why no splice(2).
 */
#include "io/stream/stream.h"

#include <bide/async.h>
#include <bide/group.h>
#include <bide/transfer.h>

#include <stdlib.h>

enum { PIECE = 64 * 1024 };

/* What is more than the other one's high-water mark would be torn by a cancel. */
static size_t piece_max(const bide_stream *to)
{
    size_t high = to->channel.opts.write_high_bytes;
    return high < PIECE ? high : PIECE;
}

static int relay(bide_stream *from, bide_stream *to, struct bide__coro *coro, int64_t count,
                 int64_t *relayed)
{
    int rc = 1;
    while (*relayed < count) {
        rc = bide__stream_look(from, coro, PIECE - 1);
        if (rc <= 0)
            break;
        size_t n = (size_t)rc < piece_max(to) ? (size_t)rc : piece_max(to);
        if (count - *relayed < (int64_t)n)
            n = (size_t)(count - *relayed);
        rc = bide_write(to, from->in + from->in_begin, n);
        if (rc < 0)
            break;
        from->in_begin += n;
        *relayed += (int64_t)n;
    }
    return rc < 0 ? rc : 0;
}

static int64_t relay_counted(bide_stream *from, bide_stream *to, int64_t count, int64_t *relayed)
{
    struct bide__coro *coro;
    if (!from || !to || count < BIDE_TO_THE_END)
        return -EINVAL;
    int rc = bide__stream_read_begin(from, &coro);
    if (rc < 0)
        return rc;
    rc = relay(from, to, coro, count == BIDE_TO_THE_END ? INT64_MAX : count, relayed);
    return bide__stream_read_end(from, rc);
}

int64_t bide_relay(bide_stream *from, bide_stream *to, int64_t count)
{
    int64_t relayed = 0;
    int64_t rc = relay_counted(from, to, count, &relayed);
    return rc < 0 ? rc : relayed;
}

static bide_async(relays, (bide_stream *, from), (bide_stream *, to), (int64_t *, relayed))
{
    int rc = (int)relay_counted(from, to, BIDE_TO_THE_END, relayed);
    if (rc == 0)
        rc = bide_write_eof(to);
    return rc == -EALREADY ? 0 : rc;
}

/* What both directions count. Not on a stack, which may be one that is copied away, and the loop's
 * to free if it gives the tasks up. */
struct counts {
    struct bide__resource resource;
    int64_t bytes[2];
};

static void counts_free(struct bide__resource *resource)
{
    bide__list_remove(&resource->node);
    free(bide__container(resource, struct counts, resource));
}

static struct counts *counts_new(void)
{
    struct counts *counts = calloc(1, sizeof *counts);
    if (!counts)
        return NULL;
    counts->resource.drop = counts_free;
    counts->resource.forget = counts_free;
    bide__list_append(&bide__loop_running->resources, &counts->resource.node);
    return counts;
}

int bide_relay_both(bide_stream *a, bide_stream *b, int64_t ret_bytes[2])
{
    bide_group *group;
    if (!a || !b)
        return -EINVAL;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    struct counts *counts = counts_new();
    if (!counts)
        return bide_group_close(group, -ENOMEM);
    rc = bide_group_spawn(group, relays, a, b, &counts->bytes[0]);
    if (rc >= 0)
        rc = relays(b, a, &counts->bytes[1]);
    rc = bide_group_close(group, rc);
    if (ret_bytes) {
        ret_bytes[0] = counts->bytes[0];
        ret_bytes[1] = counts->bytes[1];
    }
    counts_free(&counts->resource);
    return rc < 0 ? rc : 0;
}
