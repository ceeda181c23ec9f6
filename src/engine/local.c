/* The files of local sockets; local.h states the invariants. */
#include "engine/local.h"

#include "engine/socket.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *path_of(const struct sockaddr *address)
{
    return ((const struct sockaddr_un *)(const void *)address)->sun_path;
}

static bool same_file(const struct stat *status, const struct bide_local_file *file)
{
    return status->st_dev == file->device && status->st_ino == file->inode;
}

/* Whether it is certain that nobody listens: 1, 0, or why that can't be found out. */
static int is_deserted(int fd, const struct sockaddr *address, socklen_t length)
{
    int type;
    socklen_t type_length = sizeof type;
    unsigned traits;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) < 0)
        return -errno;
    int probe = bide__fd_socket(AF_UNIX, type, 0, &traits);
    if (probe < 0)
        return probe;
    int rc = bide__fd_connect(probe, address, length);
    close(probe);
    return rc == -ECONNREFUSED;
}

/* Removes what nobody uses. Somebody may take the name between two steps: then it is another file,
 * unless that happens between the last look and the removal. */
static int make_way(int fd, const struct sockaddr *address, socklen_t length)
{
    struct stat before;
    struct stat after;
    const char *path = path_of(address);
    if (lstat(path, &before) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(before.st_mode))
        return -EADDRINUSE;
    int rc = is_deserted(fd, address, length);
    if (rc <= 0)
        return rc < 0 ? rc : -EADDRINUSE;
    if (lstat(path, &after) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
        return -EADDRINUSE;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int bide__local_bind(struct bide_sock *sock, const struct sockaddr *address, socklen_t length,
                     unsigned mode, struct bide_local_file *ret_file)
{
    struct stat status;
    const char *path = path_of(address);
    *ret_file = (struct bide_local_file){0};
    int rc = bide__socket_bind(sock, address, length);
    if (*path == '\0')
        return rc;
    if (rc == -EADDRINUSE) {
        rc = make_way(sock->fd, address, length);
        if (rc == 0)
            rc = bide__socket_bind(sock, address, length);
    }
    if (rc < 0)
        return rc;
    if ((mode != 0 && chmod(path, (mode_t)mode) < 0) || lstat(path, &status) < 0) {
        rc = -errno;
        unlink(path);
        return rc;
    }
    *ret_file = (struct bide_local_file){.device = status.st_dev, .inode = status.st_ino};
    return 0;
}

void bide__local_unbind(struct bide_sock *sock, const struct sockaddr *address,
                        const struct bide_local_file *file)
{
    struct stat status;
    const char *path = path_of(address);
    (void)sock;
    if (file->inode != 0 && lstat(path, &status) == 0 && same_file(&status, file))
        unlink(path);
}
