/*
 * Users' jobs on the loop's threads.
 *
 * Invariants
 *  - A job's memory is its own, and its thread's as long as it runs: what outlasts its task or its
 *    loop frees itself where it ends.
 *  - Users' code (drop) runs from the ready queue, on the job's thread, or while the loop closes;
 *    never from poll() or inside the end of a task.
 */
#include "runtime/coro.h"

#include <bide/thread.h>

#include <stdlib.h>
#include <string.h>

struct job {
    struct bide_job base;
    struct bide__resource resource; /* a closing loop finds it */
    struct bide_engine *engine;
    bide_job_function *function;
    void *data;
    bide_drop *drop;
    struct bide__values *values; /* the context variables */
    int result;
    char *words;
    bool has_ended;          /* the engine has it no more */
    struct bide__coro *coro; /* waits for it; NULL: it was submitted */
    bide_promise *promise;
    struct bide__waiter waiter; /* for the future's end */
    struct bide__ready ready;   /* to settle what was submitted */
    bool is_settling;           /* `ready` is queued */
};

static const struct bide__wait_kind thread_wait = {.name = "thread"};

static struct job *job_of(struct bide_job *base)
{
    return bide__container(base, struct job, base);
}

static void run(struct bide_job *base)
{
    struct job *job = job_of(base);
    struct bide__values *outside = bide__context_enter(job->values);
    bide__detail_take(0, NULL);
    job->result = job->function(job->data);
    const char *words = job->result < 0 ? bide__detail_of(job->result) : "";
    job->words = *words ? strdup(words) : NULL;
    bide__context_leave(outside);
}

/* Any thread. */
static void job_free(struct bide_job *base)
{
    struct job *job = job_of(base);
    if (job->drop)
        job->drop(job->data);
    bide__values_unref(job->values);
    free(job->words);
    free(job);
}

static void done(struct bide_job *base)
{
    struct job *job = job_of(base);
    job->has_ended = true;
    if (job->coro) {
        bide__wake(job->coro, 0);
    } else if (!job->is_settling) {
        job->is_settling = true;
        bide__loop_ready(bide_promise_future(job->promise)->loop, &job->ready);
    }
}

static void job_end(struct job *job)
{
    bide__list_remove(&job->resource.node);
    if (job->has_ended)
        job_free(&job->base);
    else
        job->engine->ops->job_abandon(job->engine, &job->base);
}

static void settle(struct bide__ready *ready)
{
    struct job *job = bide__container(ready, struct job, ready);
    bide__list_remove(&job->waiter.node);
    if (job->has_ended && bide_promise_set(job->promise, job->result, job->words) == -ENOMEM)
        bide_promise_set(job->promise, job->result, NULL);
    bide_promise_free(job->promise);
    job_end(job);
}

/* The future has its end: it was cancelled. */
static void future_done(struct bide__waiter *waiter, bide_task *future)
{
    struct job *job = bide__container(waiter, struct job, waiter);
    if (job->is_settling)
        return;
    job->is_settling = true;
    bide__loop_ready(future->loop, &job->ready);
}

/* The loop closes. What is to be settled still is, in its turn. */
static void resource_drop(struct bide__resource *resource)
{
    struct job *job = bide__container(resource, struct job, resource);
    if (job->is_settling)
        bide__list_remove(&resource->node);
    else
        job_end(job);
}

static void resource_forget(struct bide__resource *resource)
{
    bide__list_remove(&resource->node);
}

static struct job *job_new(bide_loop *loop, bide_job_function *function, void *data)
{
    struct job *job = malloc(sizeof *job);
    if (!job)
        return NULL;
    *job = (struct job){
        .base = {.run = run, .done = done, .drop = job_free},
        .resource = {.drop = resource_drop, .forget = resource_forget},
        .engine = loop->engine,
        .function = function,
        .data = data,
        .values = bide__context_inherit(),
        .waiter.notify = future_done,
        .ready.run = settle,
    };
    bide__list_init(&job->resource.node);
    bide__list_init(&job->waiter.node);
    return job;
}

/* Takes the job on failure. */
static int job_start(bide_loop *loop, struct job *job)
{
    int rc = job->engine->ops->job_submit(job->engine, &job->base, BIDE_LANE_USER);
    if (rc == 0)
        bide__list_append(&loop->resources, &job->resource.node);
    return rc;
}

int bide_to_thread(bide_job_function *function, void *data)
{
    struct bide__coro *coro;
    if (!function)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = bide__lend(coro, data);
    if (rc < 0)
        return rc;
    struct job *job = job_new(coro->loop, function, data);
    if (!job)
        return -ENOMEM;
    job->coro = coro;
    rc = job_start(coro->loop, job);
    if (rc < 0) {
        job_free(&job->base);
        return rc;
    }
    bide__park(coro, &thread_wait, job);
    rc = job->result;
    if (job->words) {
        bide__detail_take(rc, job->words);
        job->words = NULL;
    }
    job_end(job);
    return rc;
}

int bide_submit(bide_job_function *function, void *data, bide_drop *drop, bide_task **ret_task)
{
    bide_loop *loop = bide__loop_running;
    bide_future *future;
    int rc = function && ret_task ? bide__loop_open(loop) : -EINVAL;
    if (rc < 0)
        return rc;
    struct job *job = job_new(loop, function, data);
    if (!job)
        return -ENOMEM;
    rc = bide_future_new(loop, &job->promise, &future);
    if (rc == 0) {
        rc = job_start(loop, job);
        if (rc < 0) {
            bide_promise_free(job->promise);
            bide_detach(future);
        }
    }
    if (rc < 0) {
        job_free(&job->base);
        return rc;
    }
    job->drop = drop;
    bide__task_wait(future, &job->waiter);
    *ret_task = future;
    return 0;
}
