/*
 * The eventfd side of wake.h, which states the invariants.
 */
#include "engine/wake.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bide__wake_open(struct bide__wake *wake)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    atomic_init(&wake->state, 0);
    wake->fd = fd;
    return 0;
}

void bide__wake_close(struct bide__wake *wake)
{
    if (wake->fd >= 0)
        close(wake->fd);
    wake->fd = -1;
}

void bide__wake_post(struct bide__wake *wake)
{
    if (atomic_fetch_or(&wake->state, BIDE__WAKE_PENDING) != BIDE__WAKE_SLEEPING)
        return;
    int errno_before = errno;
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(wake->fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
    errno = errno_before;
}
