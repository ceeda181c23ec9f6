/* One call on a file and the wait for it; file.h states the invariants. */
#include "io/file/file.h"

#include <stdlib.h>
#include <string.h>

static struct bide__file_work *work_of(struct bide_job *job)
{
    return bide__container(job, struct bide__file_work, call.job);
}

/* Any thread. What an opening call opened and a closing one did not close goes with it. */
static void work_drop(struct bide_job *job)
{
    struct bide__file_work *work = work_of(job);
    const struct bide_file_call *call = &work->call;
    if (call->kind == BIDE_CALL_OPEN && call->result >= 0)
        work->ops->file_let_go(call->engine, (int)call->result);
    if (call->kind == BIDE_CALL_CLOSE && call->result == BIDE_PENDING)
        work->ops->file_let_go(call->engine, call->fd);
    if (work->fd)
        bide__file_fd_unref(work->fd);
    if (work->opening) {
        free(work->opening->fd);
        free(work->opening);
    }
    free(work);
}

void bide__file_work_free(struct bide__file_work *work)
{
    bide__list_remove(&work->resource.node);
    work_drop(&work->call.job);
}

static void work_done(struct bide_job *job)
{
    struct bide__file_work *work = work_of(job);
    bool is_cancelled = work->call.result == -ECANCELED;
    work->has_ended = true;
    bide__wake(work->coro, is_cancelled ? -ECANCELED : 0);
}

static void work_abandon(struct bide__file_work *work)
{
    bide__list_remove(&work->resource.node);
    if (work->has_ended)
        work_drop(&work->call.job);
    else
        work->ops->file_abandon(work->call.engine, &work->call);
}

/* The loop closes: the task is gone. */
static void resource_drop(struct bide__resource *resource)
{
    work_abandon(bide__container(resource, struct bide__file_work, resource));
}

static void resource_forget(struct bide__resource *resource)
{
    bide__list_remove(&resource->node);
}

static void interrupt_leave(struct bide__coro *coro)
{
    work_abandon(coro->wait_data);
    bide__wake(coro, -ECANCELED);
}

static void interrupt_recall(struct bide__coro *coro)
{
    struct bide__file_work *work = coro->wait_data;
    if (!work->ops->file_recall(work->call.engine, &work->call))
        return;
    work->has_ended = true;
    bide__wake(coro, -ECANCELED);
}

static const char *describe(const struct bide__coro *coro)
{
    static const char *const names[] = {
        [BIDE_CALL_OPEN] = "opening a file",
        [BIDE_CALL_CLOSE] = "closing a file",
        [BIDE_CALL_READ] = "reading a file",
        [BIDE_CALL_WRITE] = "writing a file",
        [BIDE_CALL_SYNC] = "syncing a file",
        [BIDE_CALL_SYNC_DATA] = "syncing a file",
        [BIDE_CALL_TRUNCATE] = "truncating a file",
        [BIDE_CALL_STAT] = "a file's status",
        [BIDE_CALL_LIST] = "listing a directory",
        [BIDE_CALL_RENAME] = "renaming a file",
        [BIDE_CALL_UNLINK] = "unlinking a file",
        [BIDE_CALL_MAKE_DIRECTORY] = "making a directory",
        [BIDE_CALL_REMOVE_DIRECTORY] = "removing a directory",
    };
    const struct bide__file_work *work = coro->wait_data;
    return names[work->call.kind];
}

static const struct bide__wait_kind waits[] = {
    [BIDE__FILE_LEAVE] = {.name = "file", .interrupt = interrupt_leave, .describe = describe},
    [BIDE__FILE_RECALL] = {.name = "file", .interrupt = interrupt_recall, .describe = describe},
    [BIDE__FILE_STAY] = {.name = "file", .describe = describe},
};

struct bide__file_work *bide__file_work_new(struct bide__coro *coro, enum bide_file_kind kind,
                                            struct bide__file_fd *fd, size_t n_bytes)
{
    struct bide__file_work *work = malloc(sizeof *work + n_bytes);
    if (!work)
        return NULL;
    *work = (struct bide__file_work){
        .call = {.job = {.done = work_done, .drop = work_drop},
                 .kind = kind,
                 .fd = fd ? fd->fd : -1,
                 .buffer = work->bytes,
                 .size = n_bytes,
                 .result = BIDE_PENDING,
                 .engine = coro->loop->engine},
        .resource = {.drop = resource_drop, .forget = resource_forget},
        .ops = coro->loop->engine->ops,
        .coro = coro,
        .fd = fd,
    };
    if (fd)
        atomic_fetch_add_explicit(&fd->refs, 1, memory_order_relaxed);
    bide__list_append(&coro->loop->resources, &work->resource.node);
    return work;
}

int bide__file_work_do(struct bide__file_work *work, enum bide__file_wait wait)
{
    int rc = work->ops->file_start(work->call.engine, &work->call);
    if (rc < 0) {
        bide__file_work_free(work);
        return rc;
    }
    rc = bide__park(work->coro, &waits[wait], work);
    if (rc < 0 && wait != BIDE__FILE_LEAVE)
        bide__file_work_free(work);
    return rc;
}

void bide__file_work_again(struct bide__file_work *work)
{
    work->has_ended = false;
    work->call.result = BIDE_PENDING;
}

int64_t bide__file_work_number(struct bide__file_work *work, enum bide__file_wait wait)
{
    if (!work)
        return -ENOMEM;
    int64_t result = bide__file_work_do(work, wait);
    if (result < 0)
        return result;
    result = work->call.result;
    bide__file_work_free(work);
    return result;
}

int bide__file_names_do(struct bide__coro *coro, const struct bide__file_names *names,
                        enum bide__file_wait wait, struct bide_file_status *ret_status)
{
    size_t size = strlen(names->path) + 1;
    size_t other_size = names->other ? strlen(names->other) + 1 : 0;
    struct bide__file_work *work = bide__file_work_new(coro, names->kind, NULL, size + other_size);
    if (!work)
        return -ENOMEM;
    work->call.path = memcpy(work->bytes, names->path, size);
    if (names->other)
        work->call.other_path = memcpy(work->bytes + size, names->other, other_size);
    work->call.mode = names->mode;
    work->call.flags = names->flags;
    int rc = bide__file_work_do(work, wait);
    if (rc < 0)
        return rc;
    rc = (int)work->call.result;
    if (rc == 0 && ret_status)
        *ret_status = work->call.status;
    bide__file_work_free(work);
    return rc;
}

int64_t bide__file_fail(int64_t error, const char *path)
{
    if (error >= 0 || error == -ECANCELED)
        return error;
    if (error == -ESPIPE)
        bide__detail_set((int)error, "%s: not a file with positions; for a FIFO see bide_input()",
                         path);
    else
        bide__detail_set((int)error, "%s: %s", path, bide_strerror((int)error));
    return error;
}
