/* The life of child processes; process.h states the invariants. */
#include "engine/process.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"

enum { KERNEL_P_PIDFD = 3, KILLED_WAIT_MS = 1000 };

struct process {
    struct bide_child base;
    int fd; /* the pidfd */
    struct bide_watch *watch;
    bide_child_ended *ended;
    void *data;
    bool has_group;
    bool is_reaped;
};

static struct process *of(struct bide_child *process)
{
    return bide__container(process, struct process, base);
}

/* 1: it has ended, `info` says how; 0: it runs; or an error. */
static int ask(const struct process *process, int options, siginfo_t *info)
{
    int rc;
    *info = (siginfo_t){0};
    do
        rc = waitid((idtype_t)KERNEL_P_PIDFD, (id_t)process->fd, info, WEXITED | options);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : info->si_pid != 0;
}

/* Children that have a group of their own stay unreaped until they are closed: as long their number
 * is the group's and no one else's. */
bool bide__process_look(struct bide_child *base)
{
    struct process *process = of(base);
    siginfo_t info;
    if (base->ended)
        return true;
    int rc = ask(process, WNOHANG | (process->has_group ? WNOWAIT : 0), &info);
    if (rc == 0)
        return false;
    process->is_reaped = rc == -ECHILD || (rc > 0 && !process->has_group);
    base->ended = true;
    base->end = (struct bide_child_end){.error = rc < 0 ? rc : 0};
    if (rc < 0)
        return true;
    if (info.si_code == CLD_EXITED)
        base->end.status = info.si_status;
    else
        base->end.signal = info.si_status;
    base->end.dumped_core = info.si_code == CLD_DUMPED;
    return true;
}

static void pidfd_ready(void *data, unsigned events)
{
    struct process *process = data;
    (void)events;
    if (!bide__process_look(&process->base))
        return;
    process->watch->engine->ops->watch_close(process->watch);
    process->watch = NULL;
    process->ended(process->data);
}

/* The child is not reaped: its number is its own, too, and valgrind does not know of the other. */
static int send_signal(const struct process *process, int signo)
{
    if (process->has_group)
        return kill(-process->base.pid, signo) < 0 ? -errno : 0;
    long rc = syscall(SYS_pidfd_send_signal, process->fd, signo, NULL, 0);
    if (rc < 0 && errno == ENOSYS)
        rc = kill(process->base.pid, signo);
    return rc < 0 ? -errno : 0;
}

int bide__process_signal(struct bide_child *base, int signo)
{
    return bide__process_look(base) ? -ESRCH : send_signal(of(base), signo);
}

static void reap(struct process *process)
{
    siginfo_t info;
    if (process->has_group)
        kill(-process->base.pid, SIGKILL);
    else if (!process->base.ended)
        send_signal(process, SIGKILL);
    struct pollfd ended = {.fd = process->fd, .events = POLLIN};
    while (poll(&ended, 1, KILLED_WAIT_MS) < 0 && errno == EINTR)
        ;
    if (ask(process, WNOHANG, &info) < 0) /* what is not reaped stays as long as the program does */
        ask(process, WNOHANG, &info);
}

void bide__process_close(struct bide_child *base)
{
    struct process *process = of(base);
    if (process->watch)
        process->watch->engine->ops->watch_close(process->watch);
    if (!process->is_reaped)
        reap(process);
    close(process->fd);
    free(process);
}

/* Its watch goes with the set. */
void bide__process_forget(struct bide_child *base)
{
    close(of(base)->fd);
    free(of(base));
}

/* What the child has as its i-th descriptor; `ret_sock` gets the other end of a pipe. */
static int stdio_open(struct bide_engine *engine, const struct bide_child_start *start, int i,
                      int *ret_fd, struct bide_sock **ret_sock)
{
    int fds[2];
    bool is_input = i == STDIN_FILENO;
    switch (start->stdio[i].kind) {
    case BIDE_CHILD_INHERIT:
    case BIDE_CHILD_OUTPUT:
        return 0;
    case BIDE_CHILD_FD:
        *ret_fd = start->stdio[i].fd;
        return fcntl(*ret_fd, F_GETFD) < 0 ? -errno : 0;
    case BIDE_CHILD_NULL:
        *ret_fd = open("/dev/null", (is_input ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
    case BIDE_CHILD_PIPE:
        break;
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    int rc = engine->ops->sock_adopt(engine, fds[is_input], BIDE_ADOPT_ANY, ret_sock);
    if (rc < 0)
        close(fds[is_input]);
    *ret_fd = fds[!is_input];
    return rc;
}

/* The child has them now, or never will. */
static void stdio_close(const struct bide_child_start *start, const int fds[BIDE_CHILD_STDIO_COUNT])
{
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++)
        if (fds[i] >= 0 && start->stdio[i].kind != BIDE_CHILD_FD)
            close(fds[i]);
}

static int process_spawn(struct process *process, const struct bide_child_start *start,
                         const int fds[BIDE_CHILD_STDIO_COUNT], enum bide_child_step *ret_step)
{
    int rc = bide__spawn(start, fds, &process->fd, &process->base.pid, ret_step);
    if (rc < 0)
        return rc;
    process->has_group = start->new_group || start->new_session;
    struct bide_engine *engine = process->base.engine;
    rc = engine->ops->watch_open(engine, process->fd, BIDE_WATCH_READ, pidfd_ready, process,
                                 &process->watch);
    if (rc == 0)
        return 0;
    reap(process);
    close(process->fd);
    return rc;
}

int bide__process_start(struct bide_engine *engine, const struct bide_child_start *start,
                        bide_child_ended *ended, void *data,
                        struct bide_sock *ret_socks[BIDE_CHILD_STDIO_COUNT],
                        enum bide_child_step *ret_step, struct bide_child **ret_process)
{
    int fds[BIDE_CHILD_STDIO_COUNT] = {-1, -1, -1};
    struct bide_sock *socks[BIDE_CHILD_STDIO_COUNT] = {NULL};
    int rc = 0;
    *ret_step = BIDE_CHILD_STEP_HERE;
    struct process *process = calloc(1, sizeof *process);
    if (!process)
        return -ENOMEM;
    process->base.engine = engine;
    process->ended = ended;
    process->data = data;
    for (int i = 0; rc == 0 && i < BIDE_CHILD_STDIO_COUNT; i++)
        rc = stdio_open(engine, start, i, &fds[i], &socks[i]);
    if (rc == 0)
        rc = process_spawn(process, start, fds, ret_step);
    stdio_close(start, fds);
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++) {
        if (!socks[i])
            continue;
        if (rc == 0)
            ret_socks[i] = socks[i];
        else
            socks[i]->engine->ops->sock_close(socks[i]);
    }
    if (rc < 0) {
        free(process);
        return rc;
    }
    *ret_process = &process->base;
    return 0;
}
