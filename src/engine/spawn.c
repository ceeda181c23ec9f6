/*
 * Making a child process (docs/decisions/spawn.md).
 *
 * Invariants
 *  - Until it executes its program the child shares our memory, on a stack of its own, while our
 * thread stands still and with every signal blocked. So it calls nothing but the kernel, and it
 * changes nothing but its stack and its report.
 *  - Its report comes through that memory. Where that is a copy instead (valgrind, qemu,
 * ThreadSanitizer), it comes through a pipe, whose end means that the program runs.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/watched.h"
#include "engine/process.h"

enum {
    STACK_BYTES = 32 * 1024,
    PATH_BYTES = 4096,
    SIGNALS_END = 65,
    SIGNAL_SET_BYTES = 8,
    FD_MIN = 3, /* below are the child's own */
    CLOSE_RANGE_ON_EXEC = 4,
};

/* Sanitizers keep records of calls that the child begins and never ends. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined"), noinline))

struct report {
    int error; /* 0 as long as nothing failed */
    enum bide_child_step step;
};

struct child {
    const struct bide_child_start *start;
    const char *search; /* where programs are looked for; NULL: the name is a path */
    char *path;         /* room for one of them, PATH_BYTES */
    int fds[BIDE_CHILD_STDIO_COUNT];
    int report_fd;
    volatile bool shares_memory;
    volatile struct report report;
};

/* As the kernel has it, with room for what follows on other architectures. */
struct kernel_action {
    void (*handler)(int);
    unsigned long rest[7];
};

/* The child */

static IN_CHILD long fail(volatile struct child *child, enum bide_child_step step, long error)
{
    child->report.step = step;
    child->report.error = (int)error;
    return -1;
}

static IN_CHILD int restore_signals(void)
{
    const struct kernel_action to_default = {0};
    for (int signo = 1; signo < SIGNALS_END; signo++) {
        struct kernel_action action = {0};
        if (syscall(SYS_rt_sigaction, signo, NULL, &action, SIGNAL_SET_BYTES) < 0)
            return errno;
        bool is_ours = action.handler != SIG_DFL && action.handler != SIG_IGN;
        if (!is_ours && !(signo == SIGPIPE && action.handler == SIG_IGN))
            continue;
        if (syscall(SYS_rt_sigaction, signo, &to_default, NULL, SIGNAL_SET_BYTES) < 0)
            return errno;
    }
    const uint64_t none = 0;
    return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGNAL_SET_BYTES) < 0 ? errno : 0;
}

/* Out of the way of the three numbers that the child is to have. */
static IN_CHILD int move_up(int fd)
{
    return (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FD_MIN);
}

static IN_CHILD int place_fds(struct child *child)
{
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++) {
        int fd = child->fds[i];
        if (fd >= 0 && fd < FD_MIN && fd != i && (child->fds[i] = move_up(fd)) < 0)
            return errno;
    }
    if (child->report_fd < FD_MIN && (child->report_fd = move_up(child->report_fd)) < 0)
        return errno;
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++) {
        int fd = child->start->stdio[i].kind == BIDE_CHILD_OUTPUT ? STDOUT_FILENO : child->fds[i];
        long rc = 0;
        if (fd == i)
            rc = syscall(SYS_fcntl, fd, F_SETFD, 0);
        else if (fd >= 0)
            rc = syscall(SYS_dup3, fd, i, 0);
        if (rc < 0)
            return errno;
    }
    return 0;
}

struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char kind;
    char name[];
};

/* For kernels older than 5.11. */
static IN_CHILD int close_listed(int folder)
{
    union {
        struct entry first;
        char bytes[2048];
    } list;
    long size;
    while ((size = syscall(SYS_getdents64, folder, &list, sizeof list)) > 0) {
        for (long at = 0; at < size;) {
            const struct entry *entry = (const void *)(list.bytes + at);
            int fd = 0;
            for (const char *c = entry->name; *c >= '0' && *c <= '9'; c++)
                fd = fd * 10 + (*c - '0');
            if (fd >= FD_MIN && syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC) < 0)
                return errno;
            at += entry->size;
        }
    }
    return size < 0 ? errno : 0;
}

/* Descriptors that the program, or some library, left open for children. */
static IN_CHILD int close_others(void)
{
    if (syscall(SYS_close_range, FD_MIN, ~0u, CLOSE_RANGE_ON_EXEC) == 0)
        return 0;
    if (errno != ENOSYS && errno != EINVAL)
        return errno;
    long folder = syscall(SYS_openat, AT_FDCWD, "/proc/self/fd",
                          O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return errno;
    return close_listed((int)folder);
}

static IN_CHILD int execute_path(const struct bide_child_start *start, const char *path)
{
    const void *environment = start->environment ? (const void *)start->environment : environ;
    syscall(SYS_execve, path, start->arguments, environment);
    return errno;
}

/* Tries each folder; "not allowed" counts only if it is found nowhere else, as with execvp(). */
static IN_CHILD int execute_found(const struct child *child)
{
    const struct bide_child_start *start = child->start;
    char *path = child->path;
    int error = ENOENT;
    for (const char *from = child->search;;) {
        size_t n = 0;
        bool fits = true;
        for (; *from && *from != ':'; from++)
            if ((fits = fits && n < PATH_BYTES - 1))
                path[n++] = *from;
        if (n > 0 && fits && (fits = n < PATH_BYTES - 1))
            path[n++] = '/';
        for (const char *c = start->arguments[0]; *c; c++)
            if ((fits = fits && n < PATH_BYTES - 1))
                path[n++] = *c;
        path[n] = '\0';
        int tried = fits ? execute_path(start, path) : ENAMETOOLONG;
        if (tried == EACCES)
            error = tried;
        else if (tried != ENOENT && tried != ENOTDIR && tried != ENAMETOOLONG)
            return tried;
        if (*from++ == '\0')
            return error;
    }
}

static IN_CHILD long prepare(struct child *child)
{
    const struct bide_child_start *start = child->start;
    int error = restore_signals();
    if (error == 0 && (start->new_session || start->new_group)) {
        long rc = start->new_session ? syscall(SYS_setsid) : syscall(SYS_setpgid, 0, 0);
        error = rc < 0 ? errno : 0;
    }
    if (error == 0)
        error = place_fds(child);
    if (error == 0)
        error = close_others();
    if (error > 0)
        return fail(child, BIDE_CHILD_STEP_STDIO, error);
    if (start->directory && syscall(SYS_chdir, start->directory) < 0)
        return fail(child, BIDE_CHILD_STEP_DIRECTORY, errno);
    return 0;
}

static IN_CHILD int child_main(void *data)
{
    struct child *child = data;
    child->shares_memory = true;
    if (prepare(child) == 0)
        fail(child, BIDE_CHILD_STEP_PROGRAM,
             child->search ? execute_found(child)
                           : execute_path(child->start, child->start->arguments[0]));
    struct report report = {.error = child->report.error, .step = child->report.step};
    syscall(SYS_write, child->report_fd, &report, sizeof report);
    syscall(SYS_exit_group, 127);
    return 0;
}

/* Our side */

/* PATH as the child has it. */
static const char *search_path(const struct bide_child_start *start)
{
    static const char name[] = "PATH=";
    if (strchr(start->arguments[0], '/'))
        return NULL;
    const char *const *at = start->environment ? start->environment
                                               : (const char *const *)(const void *)environ;
    for (; at && *at; at++)
        if (strncmp(*at, name, sizeof name - 1) == 0)
            return *at + sizeof name - 1;
    return "/usr/local/bin:/usr/bin:/bin";
}

/* The child's number, or an error. A kernel (or its stand-in) may not know of pidfds this way. */
static int clone_child(struct child *child, char *stack, int *ret_pidfd)
{
    /* ThreadSanitizer's clone() forgets our threads and fibers in the child. */
    int flags = (BIDE__TSAN ? 0 : CLONE_VM) | CLONE_VFORK | SIGCHLD;
    int pid = clone(child_main, stack + STACK_BYTES, flags | CLONE_PIDFD, child, ret_pidfd, NULL,
                    NULL);
    if (pid >= 0 || errno != EINVAL)
        return pid >= 0 ? pid : -errno;
    pid = clone(child_main, stack + STACK_BYTES, flags, child, NULL, NULL, NULL);
    if (pid < 0)
        return -errno;
    *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return pid;
}

static int reap(int pid)
{
    int status;
    while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
        ;
    return 0;
}

/* How the child fared, after it shares our memory no more. */
static struct report report_of(struct child *child, int fd)
{
    struct report report = {.error = child->report.error, .step = child->report.step};
    if (child->shares_memory)
        return report;
    ssize_t n;
    do
        n = read(fd, &report, sizeof report);
    while (n < 0 && errno == EINTR);
    return n == sizeof report ? report : (struct report){0};
}

/* With the report's pipe. */
static int spawn(struct child *child, const int report_fds[2], int *ret_pidfd, int *ret_pid,
                 enum bide_child_step *ret_step)
{
    uint64_t all = UINT64_MAX;
    uint64_t before;
    char *stack = malloc(STACK_BYTES + PATH_BYTES);
    if (!stack) {
        close(report_fds[1]);
        return -ENOMEM;
    }
    child->path = stack + STACK_BYTES;
    int pidfd = -1;
    int rc = 0;
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_SET_BYTES) < 0)
        rc = -errno;
    if (rc == 0) {
        rc = clone_child(child, stack, &pidfd);
        pthread_sigmask(SIG_SETMASK, (const sigset_t *)(const void *)&(uint64_t[16]){before}, NULL);
    }
    close(report_fds[1]);
    free(stack);
    if (rc < 0)
        return rc;
    struct report report = report_of(child, report_fds[0]);
    if (report.error == 0 && pidfd >= 0) {
        *ret_pidfd = pidfd;
        *ret_pid = rc;
        return 0;
    }
    if (report.error == 0) { /* it runs, but could not be followed */
        kill(rc, SIGKILL);
        report.error = EMFILE;
    }
    if (pidfd >= 0)
        close(pidfd);
    reap(rc);
    *ret_step = report.step;
    return -report.error;
}

int bide__spawn(const struct bide_child_start *start, const int fds[BIDE_CHILD_STDIO_COUNT],
                int *ret_pidfd, int *ret_pid, enum bide_child_step *ret_step)
{
    int report_fds[2];
    *ret_step = BIDE_CHILD_STEP_HERE;
    if (pipe2(report_fds, O_CLOEXEC) < 0)
        return -errno;
    struct child child = {
        .start = start,
        .search = search_path(start),
        .fds = {fds[0], fds[1], fds[2]},
        .report_fd = report_fds[1],
    };
    int rc = *start->arguments[0] ? spawn(&child, report_fds, ret_pidfd, ret_pid, ret_step)
                                  : -ENOENT;
    if (!*start->arguments[0])
        close(report_fds[1]);
    close(report_fds[0]);
    return rc;
}
