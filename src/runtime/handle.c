/*
 * Scheduled callbacks.
 *
 * Invariants: a handle is in the loop's list while it may still run, and is then either in the
 * ready queue or set as a timer. It has up to two owners, the loop and the user. Its data is
 * dropped once: when it ran, was cancelled, or the loop closed.
 */
#include "base/time.h"
#include "runtime/context.h"
#include "runtime/loop.h"
#include "runtime/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct bide_handle {
    struct bide__ready ready;
    struct bide__timer timer;
    struct bide__list node;
    bide_loop *loop;
    bide_callback *callback;
    void *data;
    bide_drop *drop;
    struct bide__values *values;
    unsigned refs;
    bool queued;
};

static void handle_unref(bide_handle *handle)
{
    if (--handle->refs > 0)
        return;
    bide__values_unref(handle->values);
    bide__loop_unref(handle->loop);
    free(handle);
}

/* It will not run any more. The callback's data goes last, when the handle's state is settled. */
static void handle_settle(bide_handle *handle)
{
    bide__list_remove(&handle->node);
    if (handle->drop)
        handle->drop(handle->data);
}

static void handle_run(struct bide__ready *ready)
{
    bide_handle *handle = bide__container(ready, bide_handle, ready);
    bide_loop *loop = handle->loop;
    handle->queued = false;
    if (bide__list_linked(&handle->node)) {
        bide__list_remove(&handle->node);
        struct bide__values *outside = bide__context_enter(handle->values);
        int rc = handle->callback(handle->data);
        if (rc < 0)
            bide__report_callback(loop, rc);
        if (handle->drop)
            handle->drop(handle->data);
        bide__context_leave(outside);
    }
    handle_unref(handle);
}

static void handle_expired(struct bide__timer *timer)
{
    bide_handle *handle = bide__container(timer, bide_handle, timer);
    handle->queued = true;
    bide__loop_ready(handle->loop, &handle->ready);
}

static int handle_new(bide_loop *loop, bide_callback *callback, void *data, bide_drop *drop,
                      bide_handle **ret_handle, bide_handle **ret_new)
{
    int rc = callback ? bide__loop_open(loop) : -EINVAL;
    if (rc < 0)
        return rc;
    bide_handle *handle = malloc(sizeof *handle);
    if (!handle)
        return -ENOMEM;
    *handle = (bide_handle){
        .ready.run = handle_run,
        .loop = bide__loop_ref(loop),
        .callback = callback,
        .data = data,
        .drop = drop,
        .values = bide__context_inherit(),
        .refs = ret_handle ? 2 : 1,
    };
    bide__timer_init(&handle->timer, handle_expired);
    bide__list_append(&loop->handles, &handle->node);
    if (ret_handle)
        *ret_handle = handle;
    *ret_new = handle;
    return 0;
}

int bide_loop_call_soon(bide_loop *loop, bide_callback *callback, void *data, bide_drop *drop,
                        bide_handle **ret_handle)
{
    bide_handle *handle;
    int rc = handle_new(loop, callback, data, drop, ret_handle, &handle);
    if (rc == 0)
        handle_expired(&handle->timer);
    return rc;
}

static int call_at_ns(bide_loop *loop, int64_t deadline_ns, bide_callback *callback, void *data,
                      bide_drop *drop, bide_handle **ret_handle)
{
    bide_handle *handle;
    int rc = handle_new(loop, callback, data, drop, ret_handle, &handle);
    if (rc == 0)
        bide__timer_set(loop->timers, &handle->timer, deadline_ns);
    return rc;
}

int bide_loop_call_later(bide_loop *loop, double seconds, bide_callback *callback, void *data,
                         bide_drop *drop, bide_handle **ret_handle)
{
    if (!loop || loop->closing || isnan(seconds))
        return loop && loop->closing ? -ESHUTDOWN : -EINVAL;
    int64_t now_ns = bide__loop_now_ns(loop);
    return call_at_ns(loop, bide__deadline_ns(now_ns, seconds), callback, data, drop, ret_handle);
}

int bide_loop_call_at(bide_loop *loop, double deadline, bide_callback *callback, void *data,
                      bide_drop *drop, bide_handle **ret_handle)
{
    if (isnan(deadline))
        return -EINVAL;
    return call_at_ns(loop, bide__seconds_to_ns(deadline), callback, data, drop, ret_handle);
}

int bide_handle_cancel(bide_handle *handle)
{
    if (!handle)
        return -EINVAL;
    if (!bide__list_linked(&handle->node))
        return 0;
    handle_settle(handle);
    if (!handle->queued) {
        bide__timer_cancel(handle->loop->timers, &handle->timer);
        handle_unref(handle);
    }
    return 1;
}

void bide_handle_free(bide_handle *handle)
{
    if (handle)
        handle_unref(handle);
}

void bide__handles_drop(bide_loop *loop)
{
    struct bide__list *node;
    while ((node = bide__list_first(&loop->handles)))
        bide_handle_cancel(bide__container(node, bide_handle, node));
}
