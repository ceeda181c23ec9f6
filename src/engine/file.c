/* Calls on files by plain system calls; see file.h. */
#include "engine/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/watched.h"

#define NS_PER_S INT64_C(1000000000)

enum { STAT_MASK = STATX_BASIC_STATS, MODE_BITS = 07777 };

int bide__file_open_flags(const struct bide_file_call *call)
{
    return call->flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
}

unsigned bide__file_stat_mask(void)
{
    return STAT_MASK;
}

int bide__file_stat_flags(const struct bide_file_call *call)
{
    if (!call->path)
        return AT_EMPTY_PATH | (call->flags & BIDE_FILE_KNOWN ? AT_STATX_DONT_SYNC : 0);
    return call->flags & BIDE_FILE_NO_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
}

static enum bide_file_type type_of(unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return BIDE_FILE_REGULAR;
    case S_IFDIR:
        return BIDE_FILE_DIRECTORY;
    case S_IFLNK:
        return BIDE_FILE_SYMLINK;
    case S_IFCHR:
        return BIDE_FILE_DEVICE;
    case S_IFBLK:
        return BIDE_FILE_DISK;
    case S_IFIFO:
        return BIDE_FILE_FIFO;
    case S_IFSOCK:
        return BIDE_FILE_SOCKET;
    default: /* of no other type are inodes of an eventfd and the like */
        return BIDE_FILE_UNKNOWN;
    }
}

static int64_t moment_ns(const struct statx_timestamp *moment)
{
    return moment->tv_sec * NS_PER_S + moment->tv_nsec;
}

void bide__file_stated(struct bide_file_call *call, const struct statx *statx)
{
    call->status = (struct bide_file_status){
        .type = type_of(statx->stx_mode),
        .mode = statx->stx_mode & MODE_BITS,
        .uid = statx->stx_uid,
        .gid = statx->stx_gid,
        .size_bytes = statx->stx_size,
        .disk_bytes = statx->stx_blocks * 512,
        .device = (uint64_t)statx->stx_dev_major << 32 | statx->stx_dev_minor,
        .inode = statx->stx_ino,
        .n_links = statx->stx_nlink,
        .accessed_ns = moment_ns(&statx->stx_atime),
        .modified_ns = moment_ns(&statx->stx_mtime),
        .changed_ns = moment_ns(&statx->stx_ctime),
    };
}

/*
 * What the kernel remembers of an open file is enough, so that this does not wait. O_NONBLOCK is
 * for opening only: io_uring would fail reads of some file systems because of it. A device keeps
 * it, so that no thread hangs in a read of a terminal.
 */
void bide__file_opened(struct bide_file_call *call, int fd)
{
    struct statx statx_now;
    int rc = statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_NLINK,
                   &statx_now);
    if (rc < 0) {
        rc = -errno;
        close(fd);
        call->result = rc;
        return;
    }
    call->status.type = type_of(statx_now.stx_mode);
    call->status.n_links = statx_now.stx_nlink;
    call->result = fd;
    switch (call->status.type) {
    case BIDE_FILE_DEVICE:
        return;
    case BIDE_FILE_REGULAR:
    case BIDE_FILE_DIRECTORY:
    case BIDE_FILE_DISK:
        rc = fcntl(fd, F_GETFL);
        if (rc >= 0)
            rc = fcntl(fd, F_SETFL, rc & ~O_NONBLOCK);
        if (rc < 0)
            call->result = -errno;
        break;
    default:
        call->result = -ESPIPE;
    }
    if (call->result < 0)
        close(fd);
}

/* By openat2(2). -1 and errno. */
static int open_inside(const struct bide_file_call *call, uint64_t resolve)
{
    struct open_how folder_how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = resolve};
    struct open_how how = {.flags = (unsigned)bide__file_open_flags(call) & ~(unsigned)O_NOFOLLOW,
                           .resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    if (call->flags & O_NOFOLLOW)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    long folder = syscall(SYS_openat2, AT_FDCWD, call->path, &folder_how, sizeof folder_how);
    if (folder < 0)
        return -1;
    long fd = syscall(SYS_openat2, (int)folder, call->other_path, &how, sizeof how);
    int error = errno;
    close((int)folder);
    errno = error;
    return (int)fd;
}

/* One step of a path, links not followed. Closes `folder`. */
static int step_inside(int folder, const char *name, size_t n, int flags)
{
    char copy[NAME_MAX + 1];
    int fd = -1;
    if (n > NAME_MAX) {
        errno = ENAMETOOLONG;
    } else if (n == 2 && memcmp(name, "..", 2) == 0) {
        errno = EXDEV;
    } else {
        memcpy(copy, name, n);
        copy[n] = '\0';
        fd = openat(folder, copy, flags | O_NOFOLLOW);
    }
    int error = errno;
    close(folder);
    errno = error;
    return fd;
}

/* Where openat2(2) is missing or forbidden: step by step, so that no link is followed at all. */
static int walk_inside(const struct bide_file_call *call)
{
    const char *at = call->other_path;
    int fd = open(call->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && *at == '/') {
        close(fd);
        errno = EXDEV;
        return -1;
    }
    while (fd >= 0) {
        size_t n = strcspn(at, "/");
        const char *next = at + n + strspn(at + n, "/");
        if (*next == '\0')
            return step_inside(fd, n > 0 ? at : ".", n > 0 ? n : 1,
                               bide__file_open_flags(call) | (at[n] ? O_DIRECTORY : 0));
        fd = step_inside(fd, at, n, O_PATH | O_DIRECTORY | O_CLOEXEC);
        at = next;
    }
    return fd;
}

static int open_any(const struct bide_file_call *call)
{
    enum { TRIES_MAX = 100 };
    if (!call->other_path)
        return open(call->path, bide__file_open_flags(call), call->mode);
    int fd = -1;
    errno = ENOSYS;
    /* EAGAIN: something was renamed meanwhile, so that nobody can tell where ".." leads. */
    for (int i = 0; i < TRIES_MAX && !bide__on_valgrind(); i++) {
        fd = open_inside(call, 0);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 && (errno == ENOSYS || errno == EPERM) ? walk_inside(call) : fd;
}

static void do_open(struct bide_file_call *call)
{
    int fd = open_any(call);
    if (fd >= 0) {
        bide__file_opened(call, fd);
        return;
    }
    struct stat status;
    call->result = -errno;
    if (call->result == -ENXIO && !call->other_path && stat(call->path, &status) == 0 &&
        (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)))
        call->result = -ESPIPE; /* as with a FIFO that has a reader */
}

static void do_stat(struct bide_file_call *call)
{
    struct statx statx_now;
    call->result = statx(call->path ? AT_FDCWD : call->fd, call->path ? call->path : "",
                         bide__file_stat_flags(call), STAT_MASK, &statx_now);
    if (call->result == 0)
        bide__file_stated(call, &statx_now);
}

static ssize_t do_move(const struct bide_file_call *call, int flags)
{
    struct iovec iov = {.iov_base = call->buffer, .iov_len = call->size};
    return call->kind == BIDE_CALL_READ ? preadv2(call->fd, &iov, 1, call->offset, flags)
                                        : pwritev2(call->fd, &iov, 1, call->offset, flags);
}

/* -1 and errno on failure, or else opening and looking. */
static void do_call(struct bide_file_call *call)
{
    switch (call->kind) {
    case BIDE_CALL_OPEN:
        break;
    case BIDE_CALL_CLOSE:
        call->result = close(call->fd);
        break;
    case BIDE_CALL_READ:
    case BIDE_CALL_WRITE:
        call->result = do_move(call, 0);
        break;
    case BIDE_CALL_SYNC:
        call->result = fsync(call->fd);
        break;
    case BIDE_CALL_SYNC_DATA:
        call->result = fdatasync(call->fd);
        break;
    case BIDE_CALL_TRUNCATE:
        call->result = ftruncate(call->fd, call->offset);
        break;
    case BIDE_CALL_STAT:
        do_stat(call);
        break;
    case BIDE_CALL_LIST:
        call->result = getdents64(call->fd, call->buffer, call->size);
        break;
    case BIDE_CALL_RENAME:
        call->result = rename(call->path, call->other_path);
        break;
    case BIDE_CALL_UNLINK:
        call->result = unlink(call->path);
        break;
    case BIDE_CALL_MAKE_DIRECTORY:
        call->result = mkdir(call->path, call->mode);
        break;
    case BIDE_CALL_REMOVE_DIRECTORY:
        call->result = rmdir(call->path);
        break;
    }
    if (call->result < 0)
        call->result = -errno;
}

static void run(struct bide_job *job)
{
    struct bide_file_call *call = (struct bide_file_call *)job; /* its first member */
    do {
        if (call->kind == BIDE_CALL_OPEN)
            do_open(call);
        else
            do_call(call);
        /* An interrupted close() has closed it. */
    } while (call->result == -EINTR && call->kind != BIDE_CALL_CLOSE);
    if (call->result == -EINTR)
        call->result = 0;
}

int bide__file_submit(struct bide__pool *pool, struct bide_file_call *call)
{
    call->job.run = run;
    return bide__pool_submit(pool, &call->job, BIDE_LANE_FILE);
}

int bide__file_as_job(struct bide_engine *engine, struct bide_file_call *call)
{
    call->engine = engine;
    call->job.run = run;
    return engine->ops->job_submit(engine, &call->job, BIDE_LANE_FILE);
}

/* Only if all that it takes is in memory. What else may be the matter the real call tells. */
static int try_open(struct bide_file_call *call)
{
    static const int slow = O_CREAT | O_TRUNC | O_TMPFILE;
    struct open_how how = {.flags = (unsigned)bide__file_open_flags(call),
                           .resolve = RESOLVE_CACHED};
    if ((call->flags & slow & ~O_DIRECTORY) || bide__on_valgrind()) /* which knows no openat2() */
        return -EAGAIN;
    long fd = call->other_path ? open_inside(call, RESOLVE_CACHED)
                               : syscall(SYS_openat2, AT_FDCWD, call->path, &how, sizeof how);
    if (fd < 0 && errno != ENOENT)
        return -EAGAIN;
    if (fd < 0)
        call->result = -ENOENT;
    else
        bide__file_opened(call, (int)fd);
    return 0;
}

static int try_move(struct bide_file_call *call)
{
    ssize_t n;
    do
        n = do_move(call, RWF_NOWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM))
        return -EOPNOTSUPP;
    if (n < 0 && errno == EAGAIN)
        return -EAGAIN;
    call->result = n < 0 ? -errno : n;
    return 0;
}

int bide__file_try(struct bide_engine *engine, struct bide_file_call *call)
{
    (void)engine;
    switch (call->kind) {
    case BIDE_CALL_OPEN:
        return try_open(call);
    case BIDE_CALL_READ:
    case BIDE_CALL_WRITE:
        return try_move(call);
    case BIDE_CALL_CLOSE:
        if (!(call->flags & BIDE_FILE_LIGHT))
            return -EAGAIN;
        do_call(call);
        return 0;
    case BIDE_CALL_STAT:
        if (call->path || !(call->flags & BIDE_FILE_KNOWN))
            return -EAGAIN;
        do_call(call);
        return 0;
    default:
        return -EAGAIN;
    }
}

void bide__file_let_go(struct bide_engine *engine, int fd)
{
    (void)engine;
    close(fd);
}
