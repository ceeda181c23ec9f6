/* Futures without a body: a promise sets them. Invariant: a promise is in its loop's list exactly
 * while its future is pending. */
#include "runtime/coro.h"

#include "runtime/future.h"

#include <stdlib.h>
#include <string.h>

struct bide_promise {
    struct bide__waiter waiter; /* takes the promise off the list when its future is done */
    struct bide__list node;
    bide_future *future;
};

static void promise_kept(struct bide__waiter *waiter, bide_task *task)
{
    (void)task;
    bide__list_remove(&bide__container(waiter, struct bide_promise, waiter)->node);
}

int bide_future_new(bide_loop *loop, bide_promise **ret_promise, bide_future **ret_future)
{
    if (!loop)
        loop = bide__loop_running;
    if (!ret_promise || !ret_future)
        return -EINVAL;
    int rc = bide__loop_open(loop);
    if (rc < 0)
        return rc;
    bide_promise *promise = malloc(sizeof *promise);
    bide_future *future = promise ? bide__task_new(loop, NULL) : NULL;
    if (!future) {
        free(promise);
        return -ENOMEM;
    }
    future->future = true;
    future->refs = 2;
    promise->future = future;
    promise->waiter.notify = promise_kept;
    bide__task_wait(future, &promise->waiter);
    bide__list_append(&loop->promises, &promise->node);
    *ret_promise = promise;
    *ret_future = future;
    return 0;
}

int bide_promise_set(bide_promise *promise, int result, const char *detail)
{
    if (!promise)
        return -EINVAL;
    bide_future *future = promise->future;
    if (future->done)
        return -EALREADY;
    bool has_words = detail && result < 0;
    char *words = has_words && bide__task_words(future) ? strdup(detail) : NULL;
    if (has_words && !words)
        return -ENOMEM;
    bide__task_set_detail(future, result, words);
    bide__task_finish(future, result);
    return 0;
}

bide_future *bide_promise_future(bide_promise *promise)
{
    return promise ? promise->future : NULL;
}

void bide_promise_free(bide_promise *promise)
{
    if (!promise)
        return;
    bide_cancel(promise->future);
    bide__task_unref(promise->future);
    free(promise);
}

void bide__promises_cancel(bide_loop *loop)
{
    struct bide__list *node;
    while ((node = bide__list_first(&loop->promises)))
        bide_cancel(bide__container(node, struct bide_promise, node)->future);
}
