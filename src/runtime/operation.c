/* Waiting for an operation of the engine; see operation.h. */
#include "runtime/operation.h"

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
