/*
 * What a child process does with the loop that it inherited.
 *
 * Invariant: nothing that the parent uses too is touched (the engine's forget() sees to the
 * kernel's side), and nothing runs: neither tasks nor drops. The loop's memory stays, because the
 * calling code may stand on one of its stacks, and handles of its tasks may still be given back.
 */
#include "runtime/coro.h"
#include "runtime/mailbox.h"
#include "runtime/workers.h"

void bide_after_fork(void)
{
    bide_loop *loop = bide__loop_running;
    if (!loop)
        return;
    bide__loop_running = NULL;
    bide__list_each(node, &loop->resources)
    {
        struct bide__resource *resource = bide__container(node, struct bide__resource, node);
        resource->forget(resource);
    }
    bide__coro_disarm(loop);
    bide__mailbox_forget(loop->mailbox);
    loop->engine->ops->forget(loop->engine);
    loop->engine = NULL;
    loop->current = NULL;
    loop->running = false;
    loop->closing = true;
    loop->closed = true;
    loop->exception_handler = NULL;
    bide__worker_forget();
}
