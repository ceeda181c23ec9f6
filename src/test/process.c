/* Further processes whose output is caught, and what the environment says about tests. */
#include "base/watched.h"
#include "test/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

long long bide__test_number(const char *name, long long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoll(text, NULL, 0) : otherwise;
}

uint64_t bide_test_seed(void)
{
    return (uint64_t)bide__test_number("BIDE_TEST_SEED", 20261122);
}

uint64_t bide_test_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

int bide_test_slowness(void)
{
    long long slow = bide__test_number("BIDE_TEST_SLOW", BIDE__SANITIZED ? 4 : 1);
    return slow < 1 ? 1 : (int)slow;
}

int bide__test_output(void)
{
    int fd = memfd_create("test-output", MFD_CLOEXEC);
    if (fd < 0) {
        perror("memfd_create");
        exit(2);
    }
    return fd;
}

pid_t bide__test_fork(int output)
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

int bide_test_child(void (*body)(void *), void *argument, char *output, size_t size)
{
    int fd = bide__test_output();
    pid_t pid = bide__test_fork(fd);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        bide__case_forget();
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
