/*
 * Descriptors that travel through a simulated AF_UNIX socket: the kernel's own ones, duplicated
 * when they are sent and closed if nobody takes them, so that whoever passes some sees what Linux
 * would show. Credentials do not travel.
 */
#include "engine/sim_sock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RIGHTS_MAX = 253 }; /* Linux's limit */

static size_t count(const struct cmsghdr *control)
{
    bool is_rights = control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS;
    return is_rights ? (control->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
}

static int duplicate(struct bide__sim_rights *rights, const struct cmsghdr *control)
{
    size_t n = count(control);
    for (size_t i = 0; i < n; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
            return -errno;
        rights->fds[rights->n++] = fd;
    }
    return 0;
}

int bide__sim_rights_new(const struct msghdr *message, struct bide__sim_rights **ret_rights)
{
    struct msghdr *given = (struct msghdr *)(uintptr_t)message; /* CMSG_NXTHDR() insists */
    size_t n = 0;
    struct cmsghdr *control;
    for (control = CMSG_FIRSTHDR(given); control; control = CMSG_NXTHDR(given, control))
        n += count(control);
    *ret_rights = NULL;
    if (n == 0)
        return 0;
    if (n > RIGHTS_MAX)
        return -EINVAL;
    struct bide__sim_rights *rights = malloc(sizeof *rights + n * sizeof(int));
    if (!rights)
        return -ENOMEM;
    rights->n = 0;
    bide__list_init(&rights->node);
    int rc = 0;
    for (control = CMSG_FIRSTHDR(given); control && rc == 0; control = CMSG_NXTHDR(given, control))
        rc = duplicate(rights, control);
    if (rc < 0)
        bide__sim_rights_free(rights);
    else
        *ret_rights = rights;
    return rc;
}

void bide__sim_rights_free(struct bide__sim_rights *rights)
{
    if (!rights)
        return;
    for (int i = 0; i < rights->n; i++)
        close(rights->fds[i]);
    bide__list_remove(&rights->node);
    free(rights);
}

void bide__sim_rights_give(struct bide__sim_rights *rights, struct msghdr *message)
{
    size_t room = message->msg_controllen;
    message->msg_controllen = 0;
    if (!rights)
        return;
    size_t n = room < CMSG_LEN(0) ? 0 : (room - CMSG_LEN(0)) / sizeof(int);
    if (n < (size_t)rights->n)
        message->msg_flags |= MSG_CTRUNC;
    else
        n = (size_t)rights->n;
    if (n > 0) {
        struct cmsghdr control = {.cmsg_len = CMSG_LEN(n * sizeof(int)),
                                  .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS};
        char *at = message->msg_control;
        memcpy(at, &control, sizeof control);
        memcpy(at + CMSG_LEN(0), rights->fds, n * sizeof(int));
        size_t bytes = CMSG_SPACE(n * sizeof(int));
        message->msg_controllen = bytes < room ? bytes : room;
    }
    rights->n -= (int)n;
    memmove(rights->fds, rights->fds + n, (size_t)rights->n * sizeof(int));
    bide__sim_rights_free(rights);
}
