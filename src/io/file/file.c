/* The life of an open file: opened, closed, dropped with its loop; file.h states the invariants. */
#include "io/file/file.h"

#include <stdlib.h>
#include <string.h>

void bide__file_fd_unref(struct bide__file_fd *fd)
{
    if (atomic_fetch_sub_explicit(&fd->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (fd->fd >= 0)
        fd->ops->file_let_go(fd->engine, fd->fd);
    free(fd);
}

void bide__file_unref(bide_file *file)
{
    if (--file->refs > 0)
        return;
    if (file->fd)
        bide__file_fd_unref(file->fd);
    bide__list_remove(&file->resource.node);
    free(file->ahead);
    free(file);
}

static void file_lose_loop(bide_file *file)
{
    bide__list_remove(&file->resource.node);
    file->loop = NULL;
    file->refs -= file->n_inside;
    file->n_inside = 0;
    if (file->fd)
        bide__file_fd_unref(file->fd);
    file->fd = NULL;
    if (file->refs == 0 || file->is_orphan) {
        file->refs = 1;
        bide__file_unref(file);
    }
}

static void file_drop(struct bide__resource *resource)
{
    file_lose_loop(bide__container(resource, bide_file, resource));
}

/* Nothing in the child uses the number: the threads are the parent's, and so is the ring. */
static void file_forget(struct bide__resource *resource)
{
    bide_file *file = bide__container(resource, bide_file, resource);
    if (file->fd && file->fd->fd >= 0) {
        file->fd->ops->file_let_go(file->fd->engine, file->fd->fd);
        file->fd->fd = -1;
    }
    file_lose_loop(file);
}

void bide__file_orphan(bide_file *file)
{
    if (file->loop)
        file->is_orphan = true;
    else
        bide__file_unref(file);
}

static bide_file *file_new(bide_loop *loop, const char *path, int flags)
{
    size_t path_bytes = strlen(path) + 1;
    bide_file *file = malloc(sizeof *file + path_bytes);
    struct bide__file_fd *fd = malloc(sizeof *fd);
    if (!file || !fd) {
        free(file);
        free(fd);
        return NULL;
    }
    *fd = (struct bide__file_fd){
        .refs = 1, .fd = -1, .ops = loop->engine->ops, .engine = loop->engine};
    *file = (bide_file){
        .refs = 1,
        .loop = loop,
        .fd = fd,
        .resource = {.drop = file_drop, .forget = file_forget},
        .is_append = flags & O_APPEND,
        .is_light = true,
    };
    memcpy(file->path, path, path_bytes);
    bide__list_init(&file->resource.node);
    return file;
}

static void file_take(bide_file *file, const struct bide_file_call *call)
{
    file->fd->fd = (int)call->result;
    file->type = call->status.type;
    if (call->status.n_links == 0)
        file->is_light = false;
    bide__list_append(&file->loop->resources, &file->resource.node);
}

/* Does as much as needs no wait. -EAGAIN: nothing. */
static int open_quickly(struct bide__coro *coro, const struct bide__file_names *names,
                        bide_file **ret_file)
{
    struct bide_engine *engine = coro->loop->engine;
    struct bide_file_call call = {.kind = BIDE_CALL_OPEN,
                                  .fd = -1,
                                  .flags = names->flags,
                                  .path = names->path,
                                  .other_path = names->other,
                                  .result = BIDE_PENDING};
    int rc = engine->ops->file_try(engine, &call);
    if (rc < 0)
        return -EAGAIN;
    if (call.result < 0)
        return (int)call.result;
    bide_file *file = file_new(coro->loop, names->other ? names->other : names->path, names->flags);
    if (!file) {
        engine->ops->file_let_go(engine, (int)call.result);
        return -ENOMEM;
    }
    file_take(file, &call);
    *ret_file = file;
    return 0;
}

static int open_slowly(struct bide__coro *coro, const struct bide__file_names *names,
                       bide_file **ret_file)
{
    size_t size = strlen(names->path) + 1;
    size_t other_size = names->other ? strlen(names->other) + 1 : 0;
    bool changes = names->flags & (O_CREAT | O_TRUNC);
    struct bide__file_work *work = bide__file_work_new(coro, BIDE_CALL_OPEN, NULL,
                                                       size + other_size);
    if (!work)
        return -ENOMEM;
    work->call.path = memcpy(work->bytes, names->path, size);
    if (names->other)
        work->call.other_path = memcpy(work->bytes + size, names->other, other_size);
    work->call.flags = names->flags;
    work->call.mode = names->mode;
    work->opening = file_new(coro->loop, names->other ? names->other : names->path, names->flags);
    if (!work->opening) {
        bide__file_work_free(work);
        return -ENOMEM;
    }
    int rc = bide__file_work_do(work, changes ? BIDE__FILE_RECALL : BIDE__FILE_LEAVE);
    if (rc < 0)
        return rc;
    rc = work->call.result < 0 ? (int)work->call.result : 0;
    if (rc == 0) {
        *ret_file = work->opening;
        file_take(work->opening, &work->call);
        work->opening = NULL;
        work->call.result = -EBADF; /* it is the file's */
    }
    bide__file_work_free(work);
    return rc;
}

int bide__file_open(struct bide__coro *coro, const char *path, int flags, unsigned mode,
                    bide_file **ret_file)
{
    const struct bide__file_names names = {.path = path, .flags = flags, .mode = mode};
    int rc = open_quickly(coro, &names, ret_file);
    if (rc == -EAGAIN)
        rc = open_slowly(coro, &names, ret_file);
    return (int)bide__file_fail(rc, path);
}

int bide_file_open(const char *path, int flags, unsigned mode, bide_file **ret_file)
{
    struct bide__coro *coro;
    if (!path || !ret_file || (flags & O_PATH) || (flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    return rc < 0 ? rc : bide__file_open(coro, path, flags, mode, ret_file);
}

int bide_file_open_inside(const char *folder, const char *path, int flags, bide_file **ret_file)
{
    struct bide__coro *coro;
    const struct bide__file_names names = {.path = folder, .other = path, .flags = flags};
    if (!folder || !path || !ret_file || (flags & (O_PATH | O_CREAT | O_TRUNC)) ||
        (flags & O_TMPFILE) == O_TMPFILE || (flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = open_quickly(coro, &names, ret_file);
    if (rc == -EAGAIN)
        rc = open_slowly(coro, &names, ret_file);
    return (int)bide__file_fail(rc, path);
}

/* Nobody else has the descriptor: what closing finds is told. */
static int close_alone(struct bide__coro *coro, bide_file *file)
{
    struct bide__file_fd *fd = file->fd;
    struct bide_file_call call = {.kind = BIDE_CALL_CLOSE,
                                  .fd = fd->fd,
                                  .flags = file->is_light ? BIDE_FILE_LIGHT : 0,
                                  .result = BIDE_PENDING};
    if (fd->ops->file_try(fd->engine, &call) == 0) {
        fd->fd = -1;
        return (int)call.result;
    }
    struct bide__file_work *work = bide__file_work_new(coro, BIDE_CALL_CLOSE, NULL, 0);
    if (!work)
        return -ENOMEM;
    work->call.fd = fd->fd;
    fd->fd = -1;
    return (int)bide__file_work_number(work, BIDE__FILE_STAY);
}

int bide__file_close(struct bide__coro *coro, bide_file *file)
{
    int rc = 0;
    file->n_inside++; /* the handle's reference is this call's now */
    if (atomic_load_explicit(&file->fd->refs, memory_order_acquire) == 1 && file->n_inside == 1)
        rc = close_alone(coro, file);
    rc = (int)bide__file_fail(rc, file->path);
    if (file->fd)
        bide__file_fd_unref(file->fd);
    file->fd = NULL;
    bide__file_leave(file);
    return rc;
}

int bide_file_close(bide_file *file)
{
    struct bide__coro *coro;
    if (!file)
        return 0;
    if (!file->loop) {
        bide__file_unref(file);
        return -ESHUTDOWN;
    }
    int rc = bide__join(&coro);
    if (rc < 0)
        return rc;
    return file->loop == coro->loop ? bide__file_close(coro, file) : -EXDEV;
}

void bide_file_abort(bide_file *file)
{
    if (!file)
        return;
    if (file->fd)
        bide__file_fd_unref(file->fd);
    file->fd = NULL;
    bide__file_unref(file);
}

int bide__file_enter(bide_file *file, struct bide__coro **ret_coro)
{
    int rc = bide__suspend(ret_coro);
    if (rc < 0)
        return rc;
    if (file->loop != (*ret_coro)->loop)
        return file->loop ? -EXDEV : -ESHUTDOWN;
    if (!file->fd)
        return -EBADF;
    file->refs++;
    file->n_inside++;
    return 0;
}

void bide__file_leave(bide_file *file)
{
    file->n_inside--;
    bide__file_unref(file);
}
