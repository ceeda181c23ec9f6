/*
 * Waiting for an operation of the engine.
 *
 * The operation lies in its owner (a stream, a server), never on the stack. A cancel of the waiting
 * task cancels the operation; the wait ends only with the operation's final completion, whose
 * result stands.
 */
#ifndef BIDE_RUNTIME_OPERATION_H
#define BIDE_RUNTIME_OPERATION_H

#include "runtime/coro.h"

#include <sys/uio.h>

/* An operation that one task waits for. Zeroed when made. */
struct bide__operation {
    struct bide_op op;
    struct bide__coro *coro; /* waits for it; NULL if nobody does */
    /* Called with the final completion, after the task was woken; may be NULL. */
    void (*after)(struct bide__operation *operation);
};

static inline bool bide__operation_pending(const struct bide__operation *operation)
{
    return operation->op.state != BIDE_OP_IDLE;
}

/* Before the operation is started: it will wake the current task. */
void bide__operation_prepare(struct bide__operation *operation, struct bide__coro *coro);

/*
 * `rc` is what starting it returned. Waits if that is BIDE_PENDING, and returns the result.
 */
static inline int bide__operation_wait(struct bide__operation *operation, int rc,
                                       const struct bide__wait_kind *kind)
{
    if (rc == BIDE_PENDING)
        return bide__park(operation->coro, kind, operation);
    operation->coro = NULL;
    return rc;
}

/* How the kinds of waits for operations are interrupted. */
void bide__operation_interrupt(struct bide__coro *coro);

/*
 * What an operation sends while its task is parked: the pieces, with copies in the place of what
 * lies on a copied stack. To be freed; NULL without memory.
 */
struct iovec *bide__pieces_lend(const struct bide__coro *coro, const struct iovec *pieces, int n);

#endif
