/* Waiting for an operation of the engine; see operation.h. */
#include "runtime/operation.h"

#include <stdlib.h>
#include <string.h>

static void operation_done(struct bide_op *op)
{
    struct bide__operation *operation = bide__container(op, struct bide__operation, op);
    struct bide__coro *coro = operation->coro;
    operation->coro = NULL;
    if (coro->wait) /* not if it was abandoned by a closing loop */
        bide__wake(coro, op->result);
    if (operation->after)
        operation->after(operation);
}

void bide__operation_prepare(struct bide__operation *operation, struct bide__coro *coro)
{
    operation->op.done = operation_done;
    operation->coro = coro;
}

void bide__operation_interrupt(struct bide__coro *coro)
{
    struct bide__operation *operation = coro->wait_data;
    operation->op.sock->engine->ops->cancel(&operation->op);
}

struct iovec *bide__pieces_lend(const struct bide__coro *coro, const struct iovec *pieces, int n)
{
    size_t array_bytes = (size_t)n * sizeof *pieces;
    size_t bytes = array_bytes;
    for (int i = 0; i < n; i++)
        if (!bide__is_lendable(coro, pieces[i].iov_base))
            bytes += pieces[i].iov_len;
    struct iovec *lent = malloc(bytes);
    if (!lent)
        return NULL;
    memcpy(lent, pieces, array_bytes);
    char *at = (char *)lent + array_bytes;
    for (int i = 0; i < n; i++) {
        if (bide__is_lendable(coro, pieces[i].iov_base))
            continue;
        lent[i].iov_base = memcpy(at, pieces[i].iov_base, pieces[i].iov_len);
        at += pieces[i].iov_len;
    }
    return lent;
}
