/*
 * Scenario: faults armed for allocations and system calls. Claim: exactly the n-th call of the
 * arming thread fails, in the way in which its function fails, and nothing else does. (Blocks are
 * volatile, or the compiler would leave the allocations out.)
 */
#include "fault.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void *allocate(void *argument)
{
    return malloc(*(size_t *)argument);
}

BIDE_TEST(only_the_nth_allocation_fails)
{
    fault_arm(FAULT_ALLOCATION, 2, 0);
    void *volatile first = malloc(10);
    void *volatile second = calloc(2, 10);
    void *volatile third = malloc(10);
    CHECK(fault_disarm());
    CHECK(first);
    CHECK(!second);
    CHECK(third);
    CHECK_STR(fault_function(), "calloc");
    free(first);
    free(third);
}

BIDE_TEST(too_few_calls_hit_nothing)
{
    fault_arm(FAULT_ALLOCATION, 2, 0);
    void *volatile only = malloc(10);
    CHECK(!fault_disarm());
    CHECK(only);
    CHECK_PTR(fault_function(), NULL);
    free(only);
}

BIDE_TEST(system_calls_fail_with_the_error)
{
    fault_arm(FAULT_SYSTEM, 1, EMFILE);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(errno, EMFILE);
    CHECK_INT(fd, -1);
    CHECK(fault_disarm());
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    close(fd);
}

BIDE_TEST(kinds_do_not_mix)
{
    fault_arm(FAULT_SYSTEM, 1, EMFILE);
    void *volatile block = malloc(10);
    CHECK(block);
    free(block);
    CHECK(!fault_disarm());
}

BIDE_TEST(mappings_and_threads_fail_in_their_own_way)
{
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_PTR(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
    CHECK_INT(errno, ENOMEM);
    CHECK(fault_disarm());
    pthread_t thread;
    fault_arm(FAULT_SYSTEM, 1, EAGAIN);
    CHECK_INT(pthread_create(&thread, NULL, allocate, NULL), EAGAIN);
    CHECK(fault_disarm());
}

BIDE_TEST(other_threads_are_spared)
{
    size_t size = 10;
    pthread_t thread;
    void *block;
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(pthread_create(&thread, NULL, allocate, &size), 0);
    CHECK_INT(pthread_join(thread, &block), 0);
    CHECK(!fault_disarm());
    CHECK(block);
    free(block);
}
