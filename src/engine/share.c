/*
 * Pipes and shared descriptors; see share.h.
 *
 * A descriptor's O_NONBLOCK belongs to its open file, which a shell, a parent or a child may use at
 * the same time: it is never set on one that we did not open. A socket needs none (MSG_DONTWAIT). A
 * pipe or terminal is opened once more. What is left (regular files, devices, terminals that may
 * not be opened) is served by threads.
 */
#include "engine/share.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/threaded.h"

/* The numbers of the standard descriptors are never ours, also where the program closed them. */
enum { FD_MIN = 3, UNIX98_PTY_FIRST = 136, UNIX98_PTY_LAST = 143, TTY_FIRST = 4, TTY_LAST = 5 };

int bide__pipe_open(struct bide_engine *engine, struct bide_sock **ret_read,
                    struct bide_sock **ret_write)
{
    int fds[2];
    struct bide_sock *ends[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    int rc = engine->ops->sock_adopt(engine, fds[0], BIDE_ADOPT_ANY, &ends[0]);
    if (rc < 0) {
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    rc = engine->ops->sock_adopt(engine, fds[1], BIDE_ADOPT_ANY, &ends[1]);
    if (rc < 0) {
        ends[0]->engine->ops->sock_close(ends[0]);
        close(fds[1]);
        return rc;
    }
    *ret_read = ends[0];
    *ret_write = ends[1];
    return 0;
}

/* A terminal whose device is the very thing that opening it again opens: not a pty's master. */
static bool is_terminal(const struct stat *status)
{
    unsigned kind = major(status->st_rdev);
    bool is_master = kind == TTY_LAST && minor(status->st_rdev) == 2;
    return S_ISCHR(status->st_mode) && !is_master &&
           ((kind >= TTY_FIRST && kind <= TTY_LAST) ||
            (kind >= UNIX98_PTY_FIRST && kind <= UNIX98_PTY_LAST));
}

/* An open file of our own for the same pipe or terminal, or an error. */
static int reopen(int fd, const struct stat *status, int access)
{
    char path[sizeof "/proc/self/fd/" + 3 * sizeof fd];
    struct stat opened;
    if (!S_ISFIFO(status->st_mode) && !is_terminal(status))
        return -ENOTTY;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (again < 0)
        return -errno;
    if (fstat(again, &opened) == 0 && opened.st_dev == status->st_dev &&
        opened.st_ino == status->st_ino && opened.st_rdev == status->st_rdev)
        return again;
    close(again);
    return -ENOTTY;
}

/* Takes `copy` on success. */
static int share_by_adopting(struct bide_engine *engine, int copy, enum bide_adopt wanted,
                             struct bide_sock **ret_sock)
{
    int rc = engine->ops->sock_adopt(engine, copy, wanted, ret_sock);
    if (rc < 0)
        close(copy);
    return rc;
}

int bide__sock_share(struct bide_engine *engine, int fd, enum bide_direction direction,
                     struct bide_sock **ret_sock)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &status) < 0)
        return -errno;
    int access = direction == BIDE_INPUT ? O_RDONLY : O_WRONLY;
    if ((flags & O_ACCMODE) != access && (flags & O_ACCMODE) != O_RDWR)
        return -EBADF;
    int again = reopen(fd, &status, access);
    if (again >= 0)
        return share_by_adopting(engine, again, BIDE_ADOPT_ANY, ret_sock);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);
    if (copy < 0)
        return -errno;
    if (S_ISSOCK(status.st_mode))
        return share_by_adopting(engine, copy, BIDE_ADOPT_SHARED, ret_sock);
    int rc = bide__threaded_open(engine, copy, direction, ret_sock);
    if (rc < 0)
        close(copy);
    return rc;
}
