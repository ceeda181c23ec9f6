/*
 * The runner: one process per test, TAP on stdout.
 *
 * Invariant: nothing that a test does reaches another test. It has its own process group, which is
 * killed when the test ends, its own output file, and no input.
 */
#include "test/runner.h"

#include <bide/test.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_DEFAULT 30
#define STATUS_TIMED_OUT (-1)

static struct bide__test *tests;
static struct bide__test **tests_end = &tests;

void bide__test_add(struct bide__test *test, const char *name, void (*body)(void))
{
    test->name = name;
    test->body = body;
    if (test->opts.seconds <= 0)
        test->opts.seconds = SECONDS_DEFAULT;
    *tests_end = test;
    tests_end = &test->next;
}

/* SIGCHLD is blocked in the runner, so that a child's end cannot slip in before the wait. */
static int wait_for_case(pid_t pid, int seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time_t deadline = now.tv_sec + seconds;
    sigset_t child_ends;
    sigemptyset(&child_ends);
    sigaddset(&child_ends, SIGCHLD);
    for (;;) {
        int status;
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec >= deadline)
            return STATUS_TIMED_OUT;
        struct timespec left = {deadline - now.tv_sec, 0};
        sigtimedwait(&child_ends, NULL, &left);
    }
}

static int run_case(const struct bide__test *test, int seconds, int output)
{
    sigset_t child_ends;
    sigset_t before;
    sigemptyset(&child_ends);
    sigaddset(&child_ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ends, &before);
    pid_t pid = bide__test_fork(output);
    if (pid == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        test->body();
        exit(0);
    }
    setpgid(pid, pid); /* both do it: whoever comes first */
    int status = wait_for_case(pid, seconds);
    kill(-pid, SIGKILL); /* the case, if it hangs, and what it left running */
    if (status == STATUS_TIMED_OUT)
        waitpid(pid, NULL, 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

/* The last line that a skipped case wrote is its reason. */
static void print_reason(int output)
{
    char tail[200] = "";
    off_t size = lseek(output, 0, SEEK_END);
    off_t start = size < (off_t)sizeof(tail) ? 0 : size - (off_t)sizeof(tail) + 1;
    ssize_t n = pread(output, tail, sizeof(tail) - 1, start);
    if (n <= 0)
        return;
    tail[n - 1] = '\0'; /* the newline */
    const char *line = strrchr(tail, '\n');
    printf(" # SKIP %s", line ? line + 1 : tail);
}

static void print_as_comment(int output)
{
    char chunk[1024];
    bool line_start = true;
    off_t at = 0;
    ssize_t n;
    while ((n = pread(output, chunk, sizeof(chunk), at)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (line_start)
                fputs("# ", stdout);
            putchar(chunk[i]);
            line_start = chunk[i] == '\n';
        }
        at += n;
    }
    if (!line_start)
        putchar('\n');
}

static bool report(const struct bide__test *test, int number, int status, int seconds, int output)
{
    bool skipped = status != STATUS_TIMED_OUT && WIFEXITED(status) &&
                   WEXITSTATUS(status) == BIDE__TEST_EXIT_SKIPPED;
    bool passed = status == 0 || skipped;
    printf("%s %d - %s", passed ? "ok" : "not ok", number, test->name);
    if (skipped)
        print_reason(output);
    putchar('\n');
    if (!passed) {
        print_as_comment(output);
        if (status == STATUS_TIMED_OUT)
            printf("# still running after %d s\n", seconds);
        else if (WIFSIGNALED(status))
            printf("# killed by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
            printf("# exit status %d\n", WEXITSTATUS(status));
    }
    fflush(stdout);
    return passed;
}

static bool chosen(const struct bide__test *test, char **names)
{
    if (!*names)
        return true;
    for (; *names; names++) {
        if (strcmp(*names, test->name) == 0)
            return true;
    }
    return false;
}

/* The engine was asked for, and this kernel or container refuses it: nothing here could pass. */
static bool engine_is_missing(void)
{
    const char *engine = getenv("BIDE_ENGINE");
    if (!engine || strcmp(engine, "uring") != 0)
        return false;
    return syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM);
}

int bide_test_main(int argc, char **argv)
{
    (void)argc;
    char **names = argv + 1;
    bool here = *names && strcmp(*names, "--here") == 0;
    bool list = *names && strcmp(*names, "--list") == 0;
    names += here || list;
    if (list) {
        for (const struct bide__test *test = tests; test; test = test->next)
            puts(test->name);
        return 0;
    }
    if (engine_is_missing()) {
        puts("1..0 # SKIP io_uring is missing or forbidden on this machine");
        return 0;
    }
    int run = 0;
    int failed = 0;
    for (const struct bide__test *test = tests; test; test = test->next) {
        if (!chosen(test, names))
            continue;
        run++;
        if (here) {
            test->body();
            continue;
        }
        int output = bide__test_output();
        int seconds = test->opts.seconds * bide_test_slowness();
        failed += !report(test, run, run_case(test, seconds, output), seconds, output);
        close(output);
    }
    if (run == 0) {
        fprintf(stderr, "no such case\n");
        return 2;
    }
    if (!here)
        printf("1..%d\n", run);
    return failed > 0;
}
