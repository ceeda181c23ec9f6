/*
 * Handles that cross threads.
 *
 * Invariants
 *  - `done`, `result` and `awaits` are under the mailbox's lock; `task` belongs to the loop's
 * thread.
 *  - A task's remote has one reference of the loop's side from the moment when its start was posted
 * until it has a result, and one more while a cancel is on its way.
 *  - Cancelling needs no memory, so that a cancel is never lost.
 */
#include "runtime/blocking.h"
#include "runtime/coro.h"
#include "runtime/launch.h"
#include "runtime/mailbox.h"
#include "runtime/report.h"

#include <bide/remote.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A task of another loop that waits for the result; freed where it is received, or where it could
 * not be sent. */
struct await {
    struct bide__ready post;
    struct await *next;
    struct bide__mailbox *home;
    struct bide__coro *coro;
    bide_loop *loop;
    int result;
};

struct bide_remote {
    atomic_uint refs;
    struct bide__mailbox *mailbox;
    bool is_task;
    bool done;
    bool read; /* somebody saw the result */
    int result;
    struct await *awaits;
    const struct bide_place *place; /* of the task that had this result */
    bide_task *task;
    struct bide__waiter waiter;
    struct bide__ready cancel_post;
    atomic_bool cancel_posted;
};

static bide_remote *remote_new(struct bide__mailbox *mailbox, bool is_task)
{
    bide_remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        return NULL;
    atomic_init(&remote->refs, 1);
    remote->mailbox = bide__mailbox_ref(mailbox);
    remote->is_task = is_task;
    return remote;
}

bide_remote *bide_loop_remote(bide_loop *loop)
{
    return bide__loop_open(loop) == 0 ? remote_new(loop->mailbox, false) : NULL;
}

bide_remote *bide_remote_ref(bide_remote *remote)
{
    if (remote)
        atomic_fetch_add_explicit(&remote->refs, 1, memory_order_relaxed);
    return remote;
}

/* On whatever thread the last handle goes: to standard error. */
static void report_unread(const bide_remote *remote)
{
    bide_loop_report(NULL, &(struct bide_report){
                               .message = "remote task failed and nobody read its result",
                               .error = remote->result,
                               .place = remote->place,
                           });
}

void bide_remote_unref(bide_remote *remote)
{
    if (!remote || atomic_fetch_sub_explicit(&remote->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (remote->place && remote->result < 0 && remote->result != -ECANCELED && !remote->read)
        report_unread(remote);
    bide__mailbox_unref(remote->mailbox);
    free(remote);
}

struct call {
    struct bide__ready post;
    struct bide__mailbox *mailbox;
    bide_callback *callback;
    void *data;
    bide_drop *drop;
    struct bide__values *values;
};

static void call_run(struct bide__ready *ready)
{
    struct call *call = bide__container(ready, struct call, post);
    bide_loop *loop = bide__loop_running;
    struct bide__values *outside = bide__context_enter(call->values);
    int rc = loop->closing ? 0 : call->callback(call->data);
    if (rc < 0)
        bide__report_callback(loop, rc);
    if (call->drop)
        call->drop(call->data);
    bide__context_leave(outside);
    bide__values_unref(call->values);
    free(call);
}

int bide_call_soon_threadsafe(bide_remote *remote, bide_callback *callback, void *data,
                              bide_drop *drop)
{
    if (!remote || !callback)
        return -EINVAL;
    struct call *call = malloc(sizeof *call);
    if (!call)
        return -ENOMEM;
    *call = (struct call){.post.run = call_run, .callback = callback, .data = data, .drop = drop};
    call->values = bide__context_inherit();
    int rc = bide__mailbox_post(remote->mailbox, &call->post);
    if (rc < 0) {
        bide__values_unref(call->values);
        free(call);
    }
    return rc;
}

static void await_received(struct bide__ready *ready)
{
    struct await *await = bide__container(ready, struct await, post);
    if (!await->loop->closing)
        bide__wake(await->coro, await->result);
    bide__mailbox_unref(await->home);
    free(await);
}

/* The loop's side is through with the task: everybody who waits is told. Gives the loop's reference
 * back. */
static void remote_resolve(bide_remote *remote, int result)
{
    pthread_mutex_lock(&remote->mailbox->lock);
    remote->done = true;
    remote->result = result;
    struct await *awaits = remote->awaits;
    remote->awaits = NULL;
    pthread_cond_broadcast(&remote->mailbox->changed);
    pthread_mutex_unlock(&remote->mailbox->lock);
    while (awaits) {
        struct await *await = awaits;
        awaits = await->next;
        await->result = result;
        if (bide__mailbox_post(await->home, &await->post) < 0) {
            bide__mailbox_unref(await->home);
            free(await);
        }
    }
    bide_remote_unref(remote);
}

static void remote_task_done(struct bide__waiter *waiter, bide_task *task)
{
    bide_remote *remote = bide__container(waiter, bide_remote, waiter);
    remote->task = NULL;
    task->read = atomic_load_explicit(&remote->refs, memory_order_acquire) > 1;
    if (task->read) /* or rather, whoever holds the remote answers for that */
        remote->place = task->place;
    remote_resolve(remote, task->result);
    bide__task_unref(task);
}

/* A coroutine on its way to its loop, with its arguments behind it. */
struct start {
    struct bide__ready post;
    bide_remote *remote;
    struct bide__values *values;
    struct bide__launch launch;
    max_align_t arguments[];
};

static void start_free(struct start *start)
{
    bide__values_unref(start->values);
    free(start);
}

static void start_run(struct bide__ready *ready)
{
    struct start *start = bide__container(ready, struct start, post);
    bide_remote *remote = start->remote;
    bide_loop *loop = bide__loop_running;
    struct bide__values *outside = bide__context_enter(start->values);
    struct bide__coro *coro = bide__launch_coro(loop, &start->launch);
    bide__context_leave(outside);
    start_free(start);
    if (!coro) {
        remote_resolve(remote, loop->closing ? -ECANCELED : -ENOMEM);
        return;
    }
    remote->task = coro->task;
    remote->waiter.notify = remote_task_done;
    bide__task_wait(coro->task, &remote->waiter);
    bide__coro_start(coro);
}

void *bide__remote_launch(bide_remote *target, const struct bide__launch *launch)
{
    if (!target)
        return NULL;
    struct start *start = malloc(sizeof *start + launch->arguments_size);
    bide_remote *remote = start ? remote_new(target->mailbox, true) : NULL;
    if (!remote) {
        free(start);
        return NULL;
    }
    *start = (struct start){
        .post.run = start_run, .remote = bide_remote_ref(remote), .launch = *launch};
    if (launch->arguments_size > 0)
        memcpy(start->arguments, launch->arguments, launch->arguments_size);
    start->launch.arguments = start->arguments;
    start->launch.opts = NULL;
    start->values = bide__context_inherit();
    if (bide__mailbox_post(remote->mailbox, &start->post) < 0) {
        start_free(start);
        bide_remote_unref(remote);
        bide_remote_unref(remote);
        return NULL;
    }
    return remote;
}

static void cancel_received(struct bide__ready *ready)
{
    bide_remote *remote = bide__container(ready, bide_remote, cancel_post);
    atomic_store_explicit(&remote->cancel_posted, false, memory_order_release);
    if (remote->task)
        bide_cancel(remote->task);
    bide_remote_unref(remote);
}

int bide_cancel_threadsafe(bide_remote *remote)
{
    if (!remote || !remote->is_task)
        return -EINVAL;
    if (atomic_exchange_explicit(&remote->cancel_posted, true, memory_order_acq_rel))
        return 0;
    remote->cancel_post.run = cancel_received;
    bide_remote_ref(remote);
    int rc = bide__mailbox_post(remote->mailbox, &remote->cancel_post);
    if (rc < 0) {
        atomic_store_explicit(&remote->cancel_posted, false, memory_order_release);
        bide_remote_unref(remote);
    }
    return rc;
}

int bide_wait_threadsafe(bide_remote *remote, double seconds, int *ret_result)
{
    if (!remote || !remote->is_task || !ret_result || isnan(seconds))
        return -EINVAL;
    struct timespec until = bide__blocking_until(seconds > 0 ? seconds : 0);
    pthread_mutex_lock(&remote->mailbox->lock);
    /* Also while the loop is stopped: nobody else could run it again. */
    int rc = bide__mailbox_is_own(remote->mailbox) ? -EDEADLK : 0;
    while (!remote->done && rc == 0)
        rc = -pthread_cond_timedwait(&remote->mailbox->changed, &remote->mailbox->lock, &until);
    if (remote->done) {
        *ret_result = remote->result;
        remote->read = true;
        rc = 0;
    }
    pthread_mutex_unlock(&remote->mailbox->lock);
    return rc;
}

static void await_interrupt(struct bide__coro *coro)
{
    bide__scope_mark_delivered(coro);
    bide_cancel_threadsafe(coro->wait_data);
}

static const struct bide__wait_kind await_wait = {.name = "remote task",
                                                  .interrupt = await_interrupt};

int bide_await_threadsafe(bide_remote *remote)
{
    struct bide__coro *coro;
    if (!remote || !remote->is_task)
        return -EINVAL;
    int rc = bide__join(&coro);
    if (rc < 0)
        return rc;
    if (remote->mailbox == coro->loop->mailbox)
        return -EDEADLK;
    struct await *await = malloc(sizeof *await);
    if (!await)
        return -ENOMEM;
    *await = (struct await){.post.run = await_received, .coro = coro, .loop = coro->loop};
    await->home = bide__mailbox_ref(coro->loop->mailbox);
    pthread_mutex_lock(&remote->mailbox->lock);
    bool done = remote->done;
    remote->read = true;
    if (!done) {
        await->next = remote->awaits;
        remote->awaits = await;
    }
    pthread_mutex_unlock(&remote->mailbox->lock);
    if (done) {
        bide__mailbox_unref(await->home);
        free(await);
        return remote->result;
    }
    if (coro->deliver)
        bide_cancel_threadsafe(remote);
    return bide__park(coro, &await_wait, remote);
}
