/* Contexts that are shared; see shared.h. */
#include "tls/shared.h"

#include "runtime/task.h"

#include <bide/awaitable.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic(bide_tls_context *) contexts[BIDE__TLS_SHARED_COUNT];

/* Being made: the job's own memory. */
struct making {
    struct bide_job job;
    struct bide__resource resource;
    struct bide_engine *engine;
    enum bide__tls_shared which;
    struct bide__list waits;
    int result;
    char *words;
};

bide_tls_context *bide__tls_shared_get(enum bide__tls_shared which)
{
    return atomic_load_explicit(&contexts[which], memory_order_acquire);
}

/* On any thread. */
static int make(enum bide__tls_shared which)
{
    static const char *const http1[] = {"http/1.1", NULL};
    struct bide_tls_client_opts opts = {.alpn = which == BIDE__TLS_SHARED_HTTP1 ? http1 : NULL};
    bide_tls_context *context, *none = NULL;
    int rc = bide_tls_client_new(&opts, &context);
    if (rc == 0 && !atomic_compare_exchange_strong(&contexts[which], &none, context))
        bide_tls_unref(context);
    return rc;
}

static void making_run(struct bide_job *job)
{
    struct making *making = bide__container(job, struct making, job);
    making->result = make(making->which);
    if (making->result < 0 && making->result != -ENOMEM) /* which has no words */
        making->words = strdup(bide_error_detail());
}

/* On any thread. */
static void making_free(struct bide_job *job)
{
    struct making *making = bide__container(job, struct making, job);
    free(making->words);
    free(making);
}

static void making_done(struct bide_job *job)
{
    struct making *making = bide__container(job, struct making, job);
    const char *words = making->words ? making->words : "";
    struct bide__list *node;
    bide__list_remove(&making->resource.node);
    while ((node = bide__list_pop(&making->waits))) {
        struct bide__tls_wait *wait = bide__container(node, struct bide__tls_wait, node);
        wait->ready(wait, making->result, words);
    }
    making_free(job);
}

static void forget_waits(struct making *making)
{
    while (bide__list_pop(&making->waits))
        ;
}

static struct making *making_of(struct bide__resource *resource)
{
    return bide__container(resource, struct making, resource);
}

/* What marks it among the loop's resources, too. */
static void making_drop(struct bide__resource *resource);

static struct making *find(bide_loop *loop, enum bide__tls_shared which)
{
    bide__list_each(node, &loop->resources)
    {
        struct bide__resource *resource = bide__container(node, struct bide__resource, node);
        if (resource->drop == making_drop && making_of(resource)->which == which)
            return making_of(resource);
    }
    return NULL;
}

/* The loop closes. The job frees itself, wherever it ends. */
static void making_drop(struct bide__resource *resource)
{
    struct making *making = making_of(resource);
    bide__list_remove(&resource->node);
    forget_waits(making);
    making->engine->ops->job_abandon(making->engine, &making->job);
}

/* The threads are the parent's. */
static void making_forget(struct bide__resource *resource)
{
    struct making *making = making_of(resource);
    bide__list_remove(&resource->node);
    forget_waits(making);
    free(making);
}

/* NULL without memory, or without a thread. */
static struct making *begin(bide_loop *loop, enum bide__tls_shared which)
{
    struct bide_engine *engine = loop->engine;
    struct making *making = malloc(sizeof *making);
    if (!making)
        return NULL;
    *making = (struct making){
        .job = {.run = making_run, .done = making_done, .drop = making_free},
        .resource = {.drop = making_drop, .forget = making_forget},
        .engine = engine,
        .which = which,
    };
    bide__list_init(&making->waits);
    if (engine->ops->job_submit(engine, &making->job, BIDE_LANE_FILE) < 0) {
        free(making);
        return NULL;
    }
    /* In front, where the next one who wants it looks first. */
    bide__list_append(loop->resources.next, &making->resource.node);
    return making;
}

int bide__tls_shared_want(bide_loop *loop, enum bide__tls_shared which, struct bide__tls_wait *wait)
{
    struct making *making = find(loop, which);
    if (!making)
        making = begin(loop, which);
    if (!making) /* then it is made here and now */
        return make(which);
    bide__list_append(&making->waits, &wait->node);
    return BIDE_PENDING;
}

/* Tasks */

/* On the heap, because it is used while the task is parked. */
struct await {
    struct bide__tls_wait wait;
    struct bide__resource resource;
    enum bide__tls_shared which;
    bide_waker *waker;
    char *words;
};

static void await_free(struct await *await)
{
    bide__list_remove(&await->wait.node);
    bide__list_remove(&await->resource.node);
    free(await->words);
    free(await);
}

static void await_ready(struct bide__tls_wait *wait, int error, const char *words)
{
    struct await *await = bide__container(wait, struct await, wait);
    await->words = *words ? strdup(words) : NULL;
    bide_wake(await->waker, error);
}

/* The task is gone. */
static void await_drop(struct bide__resource *resource)
{
    await_free(bide__container(resource, struct await, resource));
}

static int await_start(void *object, bide_waker *waker)
{
    struct await *await = object;
    await->waker = waker;
    int rc = bide__tls_shared_want(bide_loop_current(), await->which, &await->wait);
    return rc == BIDE_PENDING ? -BIDE_EPENDING : rc;
}

static void await_cancel(void *object, bide_waker *waker)
{
    struct await *await = object;
    bide__list_remove(&await->wait.node);
    bide_wake(waker, -ECANCELED);
}

static const struct bide_awaitable await_kind = {
    .name = "TLS context", .start = await_start, .cancel = await_cancel};

static int await_run(enum bide__tls_shared which)
{
    bide_loop *loop = bide_loop_current();
    struct await *await = loop ? malloc(sizeof *await) : NULL;
    if (!await)
        return loop ? -ENOMEM : -BIDE_ENOTASK;
    *await = (struct await){.wait.ready = await_ready,
                            .resource = {.drop = await_drop, .forget = await_drop},
                            .which = which};
    bide__list_init(&await->wait.node);
    bide__list_append(&loop->resources, &await->resource.node);
    int rc = bide_await_object(&await_kind, await);
    if (rc < 0 && await->words)
        bide__detail_set(rc, "%s", await->words);
    await_free(await);
    return rc;
}

int bide__tls_shared_await(enum bide__tls_shared which, bide_tls_context **ret_context)
{
    int rc = bide__tls_shared_get(which) ? 0 : await_run(which);
    if (rc == 0)
        *ret_context = bide__tls_shared_get(which);
    return rc;
}
