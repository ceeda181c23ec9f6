/*
 * The harness's runner: one process per case, TAP on stdout.
 *
 * Invariant: nothing that a case does reaches another case. It has its own process group, which is
 * killed when the case ends, its own output file, and no input.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define STATUS_TIMED_OUT (-1)
#define EXIT_SKIPPED 77

static struct test_case *cases;
static struct test_case **cases_end = &cases;

void test_register(struct test_case *test)
{
    *cases_end = test;
    cases_end = &test->next;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fflush(stdout);
    fprintf(stderr, "%s:%d: %s\n", file, line, text);
    fflush(stderr);
    _exit(1);
}

void test_skip(const char *reason)
{
    fprintf(stderr, "%s\n", reason);
    _exit(EXIT_SKIPPED);
}

void test_check_int(const char *file, int line, const char *what, long long actual,
                    const char *expected_text, long long expected)
{
    if (actual != expected)
        test_fail(file, line, "%s is %lld, expected %s = %lld", what, actual, expected_text,
                  expected);
}

void test_check_range(const char *file, int line, const char *what, long long actual, long long low,
                      long long high)
{
    if (actual < low || actual > high)
        test_fail(file, line, "%s is %lld, expected %lld to %lld", what, actual, low, high);
}

void test_check_ptr(const char *file, int line, const char *what, const void *actual,
                    const char *expected_text, const void *expected)
{
    if (actual != expected)
        test_fail(file, line, "%s is %p, expected %s = %p", what, actual, expected_text, expected);
}

void test_check_str(const char *file, int line, const char *what, const char *actual,
                    const char *expected_text, const char *expected)
{
    if (!actual || !expected ? actual != expected : strcmp(actual, expected) != 0)
        test_fail(file, line, "%s is \"%s\", expected %s = \"%s\"", what,
                  actual ? actual : "(null)", expected_text, expected ? expected : "(null)");
}

void test_check_mem(const char *file, int line, const char *what, const void *actual,
                    const char *expected_text, const void *expected, size_t size)
{
    const unsigned char *a = actual;
    const unsigned char *e = expected;
    for (size_t i = 0; i < size; i++) {
        if (a[i] != e[i])
            test_fail(file, line, "%s and %s differ at byte %zu of %zu: %02x, expected %02x", what,
                      expected_text, i, size, a[i], e[i]);
    }
}

void test_check_contains(const char *file, int line, const char *what, const char *text,
                         const char *part)
{
    if (!text || !strstr(text, part))
        test_fail(file, line, "%s is \"%s\", which lacks \"%s\"", what, text ? text : "(null)",
                  part);
}

static long long environment_number(const char *name, long long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoll(text, NULL, 0) : otherwise;
}

bool test_long(void)
{
    return environment_number("BIDE_TEST_LONG", 0) != 0;
}

uint64_t test_seed(void)
{
    return (uint64_t)environment_number("BIDE_TEST_SEED", 20261122);
}

uint64_t test_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

int test_slowness(void)
{
    long long slow = environment_number("BIDE_TEST_SLOW", SANITIZED ? 4 : 1);
    return slow < 1 ? 1 : (int)slow;
}

static int new_output(void)
{
    int fd = memfd_create("test-output", MFD_CLOEXEC);
    if (fd < 0) {
        perror("memfd_create");
        exit(2);
    }
    return fd;
}

/* A child that writes to `output` and has no input; 0 in the child. */
static pid_t fork_with_output(int output)
{
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        close(null);
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        close(output);
    }
    return pid;
}

int test_child(void (*body)(void *), void *argument, char *output, size_t size)
{
    int fd = new_output();
    pid_t pid = fork_with_output(fd);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        body(argument);
        exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (output && size > 0) {
        ssize_t n = pread(fd, output, size - 1, 0);
        output[n > 0 ? n : 0] = '\0';
    }
    close(fd);
    return status;
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

static int run_case(const struct test_case *test, int seconds, int output)
{
    sigset_t child_ends;
    sigset_t before;
    sigemptyset(&child_ends);
    sigaddset(&child_ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ends, &before);
    pid_t pid = fork_with_output(output);
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

static bool report(const struct test_case *test, int number, int status, int seconds, int output)
{
    bool skipped = status != STATUS_TIMED_OUT && WIFEXITED(status) &&
                   WEXITSTATUS(status) == EXIT_SKIPPED;
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

static bool chosen(const struct test_case *test, char **names)
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

int test_run(char **names)
{
    bool here = *names && strcmp(*names, "--here") == 0;
    bool list = *names && strcmp(*names, "--list") == 0;
    names += here || list;
    if (list) {
        for (const struct test_case *test = cases; test; test = test->next)
            puts(test->name);
        return 0;
    }
    if (engine_is_missing()) {
        puts("1..0 # SKIP io_uring is missing or forbidden on this machine");
        return 0;
    }
    int run = 0;
    int failed = 0;
    for (const struct test_case *test = cases; test; test = test->next) {
        if (!chosen(test, names))
            continue;
        run++;
        if (here) {
            test->body();
            continue;
        }
        int output = new_output();
        int seconds = test->seconds * test_slowness();
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

int main(int argc, char **argv)
{
    (void)argc;
    return test_run(argv + 1);
}
