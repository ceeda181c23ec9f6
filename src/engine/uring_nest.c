/*
 * The io_uring engine inside of somebody else's wait.
 *
 * A ring with deferred task work tells those who poll its descriptor nothing: only an eventfd that
 * is registered with it does, and that one not of what another eventfd caused. So what is handed
 * out is an epoll set of all that can end a wait: that eventfd, the wake's, and the watches.
 *
 * Invariant: an edge in the set is taken back before the engine looks for work, never after. So
 * what comes in between is either found or makes the set readable.
 */
#include "engine/uring.h"

#include <sys/epoll.h>
#include <unistd.h>

enum { MEMBERS = 3 };

static int member_add(const struct bide__uring *uring, int fd, uint32_t mask)
{
    struct epoll_event event = {.events = mask};
    return epoll_ctl(uring->nest_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int nest_open(struct bide__uring *uring)
{
    int rc = uring->poll_fd < 0 ? bide__uring_open_for_poll(uring) : 0;
    if (rc < 0)
        return rc;
    uring->nest_fd = epoll_create1(EPOLL_CLOEXEC);
    if (uring->nest_fd < 0)
        return -errno;
    rc = member_add(uring, uring->poll_fd, EPOLLIN | EPOLLET);
    if (rc == 0)
        rc = member_add(uring, uring->wake.fd, EPOLLIN | EPOLLET);
    if (rc < 0) {
        close(uring->nest_fd);
        uring->nest_fd = -1;
    }
    return rc;
}

/* A set that was replaced is closed, and so is no member any more. */
static int nest_watches(struct bide__uring *uring)
{
    if (uring->n_nested == uring->n_attached)
        return 0;
    int rc = member_add(uring, uring->watch_fd, EPOLLIN);
    if (rc == 0)
        uring->n_nested = uring->n_attached;
    return rc;
}

int bide__uring_wait_fd(struct bide_engine *engine, int64_t *deadline_ns)
{
    struct bide__uring *uring = bide__uring_of(engine);
    struct epoll_event edges[MEMBERS];
    int64_t until_ns = *deadline_ns;
    int rc = uring->nest_fd < 0 ? nest_open(uring) : 0;
    if (rc == 0)
        rc = nest_watches(uring);
    if (rc < 0)
        return rc;
    while (epoll_wait(uring->nest_fd, edges, MEMBERS, 0) < 0 && errno == EINTR)
        ;
    rc = bide__uring_submit(uring, &until_ns);
    if (rc < 0)
        return rc;
    *deadline_ns = bide__wake_sleep(&uring->wake) ? until_ns : 0;
    return uring->nest_fd;
}
