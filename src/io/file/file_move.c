/*
 * Reading and writing files; file.h states the invariants.
 *
 * Each piece is tried at once first, straight between the kernel's memory and the caller's. Only
 * what would have to wait goes through memory of the call's own: a copy more, of what took a disk
 * or a thread anyway. docs/decisions/files.md has the figures.
 */
#include "io/file/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { AHEAD_READ_MAX = BIDE__FILE_AHEAD / 4 }; /* what is asked for at once and still buffered */

static const struct bide__wait_kind turn_wait = {.name = "turn on a file",
                                                 .interrupt = bide__line_interrupt};

static bool has_positions(const bide_file *file)
{
    return file->type == BIDE_FILE_REGULAR || file->type == BIDE_FILE_DISK;
}

static void give_turn(bide_file *file)
{
    if (!bide__line_give(&file->turns, 0))
        file->is_taken = false;
}

/* 0, and the turn is the caller's; -EBADF: the file was closed meanwhile. */
static int take_turn(bide_file *file, struct bide__coro *coro)
{
    int rc = 0;
    if (file->is_taken)
        rc = bide__line_wait(&file->turns, coro, &turn_wait, file);
    if (rc < 0)
        return rc;
    file->is_taken = true;
    if (file->fd)
        return 0;
    give_turn(file);
    return -EBADF;
}

static void forget_ahead(bide_file *file)
{
    file->ahead_begin = file->ahead_end = 0;
    file->n_changes++;
}

/* Reading */

ssize_t bide__file_read_piece(struct bide__coro *coro, bide_file *file, void *buffer, size_t size,
                              int64_t offset)
{
    if (size > BIDE__FILE_PIECE)
        size = BIDE__FILE_PIECE;
    if (!file->fd)
        return -EBADF;
    if (!file->no_try_read) {
        struct bide_file_call call = {.kind = BIDE_CALL_READ,
                                      .fd = file->fd->fd,
                                      .offset = offset,
                                      .buffer = buffer,
                                      .size = size,
                                      .result = BIDE_PENDING};
        int rc = file->fd->ops->file_try(file->fd->engine, &call);
        if (rc == 0)
            return (ssize_t)call.result;
        file->no_try_read = rc == -EOPNOTSUPP;
    }
    struct bide__file_work *work = bide__file_work_new(coro, BIDE_CALL_READ, file->fd, size);
    if (!work)
        return -ENOMEM;
    work->call.offset = offset;
    int rc = bide__file_work_do(work, BIDE__FILE_LEAVE);
    if (rc < 0)
        return rc;
    ssize_t n = (ssize_t)work->call.result;
    if (n > 0)
        memcpy(buffer, work->bytes, (size_t)n);
    bide__file_work_free(work);
    return n;
}

/* Until the buffer is full or the file ends. An error after some bytes is told next time. */
static ssize_t read_full(struct bide__coro *coro, bide_file *file, char *buffer, size_t size,
                         int64_t offset)
{
    size_t n_done = 0;
    while (n_done < size) {
        int rc = n_done > 0 ? bide__suspend(&coro) : 0;
        if (rc < 0)
            return rc;
        ssize_t n = bide__file_read_piece(coro, file, buffer + n_done, size - n_done,
                                          offset + (int64_t)n_done);
        if (n == -ECANCELED || (n < 0 && n_done == 0))
            return n;
        if (n <= 0)
            break;
        n_done += (size_t)n;
    }
    return (ssize_t)n_done;
}

/* Reads ahead, of which at least one byte is there afterwards unless 0 or an error is returned. */
static ssize_t fill_ahead(struct bide__coro *coro, bide_file *file)
{
    if (!file->ahead)
        file->ahead = malloc(BIDE__FILE_AHEAD);
    if (!file->ahead)
        return -ENOMEM;
    ssize_t n = bide__file_read_piece(coro, file, file->ahead, BIDE__FILE_AHEAD, file->position);
    file->ahead_begin = 0;
    file->ahead_end = n > 0 ? (size_t)n : 0;
    return n;
}

static size_t take_ahead(bide_file *file, char *buffer, size_t size)
{
    size_t n = file->ahead_end - file->ahead_begin;
    if (n > size)
        n = size;
    if (n > 0)
        memcpy(buffer, file->ahead + file->ahead_begin, n);
    file->ahead_begin += n;
    file->position += (int64_t)n;
    return n;
}

/* The position moves back if the call fails on the way because of a cancel. */
static ssize_t read_small(struct bide__coro *coro, bide_file *file, char *buffer, size_t size)
{
    int64_t start = file->position;
    size_t n_done = take_ahead(file, buffer, size);
    while (n_done < size) {
        unsigned n_changes = file->n_changes;
        ssize_t n = fill_ahead(coro, file);
        if (n == -ECANCELED) {
            file->position = start;
            forget_ahead(file);
        }
        if (n == -ECANCELED || (n < 0 && n_done == 0))
            return n;
        if (n <= 0)
            break;
        n_done += take_ahead(file, buffer + n_done, size - n_done);
        if (file->n_changes != n_changes)
            forget_ahead(file);
    }
    return (ssize_t)n_done;
}

static ssize_t read_here(struct bide__coro *coro, bide_file *file, char *buffer, size_t size)
{
    if (!has_positions(file))
        return bide__file_read_piece(coro, file, buffer, size, BIDE_FILE_HERE);
    size_t n_ahead = file->ahead_end - file->ahead_begin;
    if (size <= n_ahead || size - n_ahead <= AHEAD_READ_MAX)
        return read_small(coro, file, buffer, size);
    if (n_ahead > 0)
        memcpy(buffer, file->ahead + file->ahead_begin, n_ahead);
    ssize_t n = read_full(coro, file, buffer + n_ahead, size - n_ahead,
                          file->position + (int64_t)n_ahead);
    if (n < 0 && (n == -ECANCELED || n_ahead == 0))
        return n;
    n = (n > 0 ? n : 0) + (ssize_t)n_ahead;
    file->position += n;
    file->ahead_begin = file->ahead_end = 0;
    return n;
}

ssize_t bide_file_read(bide_file *file, void *buffer, size_t size)
{
    struct bide__coro *coro;
    if (!file || (!buffer && size > 0) || size > SSIZE_MAX)
        return -EINVAL;
    ssize_t n = bide__file_enter(file, &coro);
    if (n < 0)
        return n;
    n = take_turn(file, coro);
    if (n == 0) {
        n = read_here(coro, file, buffer, size);
        give_turn(file);
    }
    n = (ssize_t)bide__file_fail(n, file->path);
    bide__file_leave(file);
    return n;
}

ssize_t bide_file_read_at(bide_file *file, void *buffer, size_t size, int64_t offset)
{
    struct bide__coro *coro;
    if (!file || (!buffer && size > 0) || size > SSIZE_MAX || offset < 0)
        return -EINVAL;
    ssize_t n = bide__file_enter(file, &coro);
    if (n < 0)
        return n;
    n = file->type == BIDE_FILE_DEVICE ? -ESPIPE : read_full(coro, file, buffer, size, offset);
    n = (ssize_t)bide__file_fail(n, file->path);
    bide__file_leave(file);
    return n;
}

/* Writing */

/* -EAGAIN: it would have to wait. */
static ssize_t write_quickly(bide_file *file, const char *data, size_t size, int64_t offset)
{
    if (file->no_try_write)
        return -EAGAIN;
    struct bide_file_call call = {.kind = BIDE_CALL_WRITE,
                                  .fd = file->fd->fd,
                                  .offset = offset,
                                  .buffer = (void *)(uintptr_t)data,
                                  .size = size,
                                  .result = BIDE_PENDING};
    int rc = file->fd->ops->file_try(file->fd->engine, &call);
    file->no_try_write = rc == -EOPNOTSUPP;
    return rc == 0 ? (ssize_t)call.result : -EAGAIN;
}

/* `work`: the last piece's, whose memory serves again; NULL, and taken on failure. */
static ssize_t write_slowly(struct bide__coro *coro, bide_file *file, const char *data, size_t size,
                            int64_t offset, struct bide__file_work **work)
{
    if (*work)
        bide__file_work_again(*work);
    else
        *work = bide__file_work_new(coro, BIDE_CALL_WRITE, file->fd, size);
    if (!*work)
        return -ENOMEM;
    memcpy((*work)->bytes, data, size);
    (*work)->call.size = size;
    (*work)->call.offset = offset;
    int rc = bide__file_work_do(*work, BIDE__FILE_RECALL);
    if (rc < 0) {
        *work = NULL;
        return rc;
    }
    return (ssize_t)(*work)->call.result;
}

/* The first piece that has to wait is the largest. */
static ssize_t write_piece(struct bide__coro *coro, bide_file *file, const char *data, size_t size,
                           int64_t offset, struct bide__file_work **work)
{
    if (size > BIDE__FILE_PIECE)
        size = BIDE__FILE_PIECE;
    if (!file->fd)
        return -EBADF;
    ssize_t n = write_quickly(file, data, size, offset);
    return n == -EAGAIN ? write_slowly(coro, file, data, size, offset, work) : n;
}

int bide__file_write_all(struct bide__coro *coro, bide_file *file, const char *data, size_t size,
                         int64_t offset, size_t *ret_written)
{
    struct bide__file_work *work = NULL;
    size_t n_done = 0;
    int rc = 0;
    file->is_light = false;
    while (n_done < size && rc == 0) {
        int64_t at = offset == BIDE_FILE_HERE ? offset : offset + (int64_t)n_done;
        ssize_t n = write_piece(coro, file, data + n_done, size - n_done, at, &work);
        forget_ahead(file);
        if (n > 0)
            n_done += (size_t)n;
        else
            rc = n < 0 ? (int)n : -EIO;
        if (rc == 0 && n_done < size)
            rc = bide__suspend(&coro);
    }
    if (work)
        bide__file_work_free(work);
    *ret_written = n_done;
    return rc;
}

int bide_file_write(bide_file *file, const void *data, size_t size, size_t *ret_written)
{
    struct bide__coro *coro;
    size_t n = 0;
    if (!file || (!data && size > 0) || size > SSIZE_MAX)
        return -EINVAL;
    int rc = bide__file_enter(file, &coro);
    if (rc == 0) {
        rc = take_turn(file, coro);
        if (rc == 0) {
            bool here = !has_positions(file);
            rc = bide__file_write_all(coro, file, data, size,
                                      here ? BIDE_FILE_HERE : file->position, &n);
            if (!here && !file->is_append)
                file->position += (int64_t)n;
            give_turn(file);
        }
        rc = (int)bide__file_fail(rc, file->path);
        bide__file_leave(file);
    }
    if (ret_written)
        *ret_written = n;
    return rc;
}

int bide_file_write_at(bide_file *file, const void *data, size_t size, int64_t offset,
                       size_t *ret_written)
{
    struct bide__coro *coro;
    size_t n = 0;
    if (!file || (!data && size > 0) || size > SSIZE_MAX || offset < 0)
        return -EINVAL;
    int rc = bide__file_enter(file, &coro);
    if (rc == 0) {
        rc = file->type == BIDE_FILE_DEVICE
                 ? -ESPIPE
                 : bide__file_write_all(coro, file, data, size, offset, &n);
        rc = (int)bide__file_fail(rc, file->path);
        bide__file_leave(file);
    }
    if (ret_written)
        *ret_written = n;
    return rc;
}

/* The position */

static int64_t seek_base(struct bide__coro *coro, bide_file *file, int whence)
{
    if (whence == SEEK_SET)
        return 0;
    if (whence == SEEK_CUR)
        return file->position;
    struct bide__file_work *work = bide__file_work_new(coro, BIDE_CALL_STAT, file->fd, 0);
    if (!work)
        return -ENOMEM;
    int rc = bide__file_work_do(work, BIDE__FILE_LEAVE);
    if (rc < 0)
        return rc;
    int64_t base = work->call.result < 0 ? work->call.result
                                         : (int64_t)work->call.status.size_bytes;
    bide__file_work_free(work);
    return base;
}

static int64_t seek(struct bide__coro *coro, bide_file *file, int64_t offset, int whence)
{
    int64_t position;
    if (!has_positions(file))
        return -ESPIPE;
    int64_t base = seek_base(coro, file, whence);
    if (base < 0)
        return base;
    if (__builtin_add_overflow(base, offset, &position))
        return -EOVERFLOW;
    if (position < 0)
        return -EINVAL;
    int64_t ahead = (int64_t)(file->ahead_end - file->ahead_begin);
    if (position >= file->position && position - file->position <= ahead)
        file->ahead_begin += (size_t)(position - file->position);
    else
        file->ahead_begin = file->ahead_end = 0;
    file->position = position;
    return position;
}

int64_t bide_file_seek(bide_file *file, int64_t offset, int whence)
{
    struct bide__coro *coro;
    if (!file || (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END))
        return -EINVAL;
    int64_t position = bide__file_enter(file, &coro);
    if (position < 0)
        return position;
    position = take_turn(file, coro);
    if (position == 0) {
        position = seek(coro, file, offset, whence);
        give_turn(file);
    }
    position = bide__file_fail(position, file->path);
    bide__file_leave(file);
    return position;
}

int64_t bide_file_tell(const bide_file *file)
{
    return file ? file->position : -EINVAL;
}

/* The rest */

static int on_file(bide_file *file, enum bide_file_kind kind, int64_t size,
                   enum bide__file_wait wait)
{
    struct bide__coro *coro;
    if (!file)
        return -EINVAL;
    int rc = bide__file_enter(file, &coro);
    if (rc < 0)
        return rc;
    struct bide__file_work *work = bide__file_work_new(coro, kind, file->fd, 0);
    if (work)
        work->call.offset = size;
    rc = (int)bide__file_fail(bide__file_work_number(work, wait), file->path);
    bide__file_leave(file);
    return rc;
}

int bide_file_sync(bide_file *file)
{
    return on_file(file, BIDE_CALL_SYNC, 0, BIDE__FILE_LEAVE);
}

int bide_file_sync_data(bide_file *file)
{
    return on_file(file, BIDE_CALL_SYNC_DATA, 0, BIDE__FILE_LEAVE);
}

int bide_file_truncate(bide_file *file, int64_t size_bytes)
{
    if (!file || size_bytes < 0)
        return -EINVAL;
    file->is_light = false;
    int rc = on_file(file, BIDE_CALL_TRUNCATE, size_bytes, BIDE__FILE_RECALL);
    if (rc != -BIDE_ENOTASK && rc != -EXDEV && rc != -ESHUTDOWN && rc != -EBADF)
        forget_ahead(file);
    return rc;
}

static int stat_by(bide_file *file, int flags, struct bide_file_status *ret_status)
{
    struct bide__coro *coro;
    if (!file || !ret_status)
        return -EINVAL;
    int rc = bide__file_enter(file, &coro);
    if (rc < 0)
        return rc;
    struct bide__file_work *work = bide__file_work_new(coro, BIDE_CALL_STAT, file->fd, 0);
    rc = -ENOMEM;
    if (work) {
        work->call.flags = flags;
        rc = work->ops->file_try(work->call.engine, &work->call);
        if (rc < 0)
            rc = bide__file_work_do(work, BIDE__FILE_LEAVE);
    }
    if (rc == 0) {
        rc = (int)work->call.result;
        if (rc == 0)
            *ret_status = work->call.status;
        bide__file_work_free(work);
    }
    rc = (int)bide__file_fail(rc, file->path);
    bide__file_leave(file);
    return rc;
}

int bide_file_stat(bide_file *file, struct bide_file_status *ret_status)
{
    return stat_by(file, 0, ret_status);
}

int bide__file_stat_known(bide_file *file, struct bide_file_status *ret_status)
{
    return stat_by(file, BIDE_FILE_KNOWN, ret_status);
}
