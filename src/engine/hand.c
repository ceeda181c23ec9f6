/* Doubling descriptors; see hand.h. */
#include "engine/hand.h"

#include <fcntl.h>
#include <unistd.h>

int bide__fd_double(int fd)
{
    int twin = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return twin < 0 ? -errno : twin;
}

int bide__sock_double(const struct bide_sock *sock)
{
    return sock->fd < 0 ? -ENOSYS : bide__fd_double(sock->fd);
}

void bide__fd_close(int fd)
{
    close(fd);
}
