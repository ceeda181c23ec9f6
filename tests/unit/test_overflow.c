/*
 * Scenario: fibers that recurse into their guard with small and with large frames, other faults,
 * signals that were sent, and programs with handlers and alternate stacks of their own. Claim: an
 * overflow, and nothing else, is told in words; the process dies as it would have; what others
 * installed stays.
 */
#include "fiber/overflow.h"

#include "fault.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bide__fiber thread;
static struct bide__fiber fiber;
static struct bide__stack stack;

static size_t describe(const void *address, char *buffer, size_t size)
{
    static const char words[] = "task sieve overflowed its stack";
    if (!bide__stack_guards(stack, address))
        return 0;
    CHECK(size >= sizeof(words));
    memcpy(buffer, words, sizeof(words) - 1);
    return sizeof(words) - 1;
}

/* Runs entry on a fiber, with the report armed. */
static void run_armed(void (*entry)(void *))
{
    struct bide__stack_pool *pool;
    CHECK_INT(bide__overflow_arm(describe), 0);
    CHECK_INT(bide__stack_pool_new(0, &pool), 0);
    CHECK_INT(bide__stack_get(pool, 0, &stack), 0);
    bide__fiber_init_thread(&thread);
    bide__fiber_init(&fiber, stack.low, stack.top, entry, NULL);
    bide__fiber_switch(&thread, &fiber);
}

static int recurse(int depth);
static int recurse_in_strides(int depth);
static int (*volatile deeper)(int) = recurse;
static int (*volatile further)(int) = recurse_in_strides;

static int recurse(int depth)
{
    volatile char frame[100];
    frame[depth % 100] = 1;
    return deeper(depth + 1) + frame[depth % 100];
}

/* Two of these frames are larger than a page. */
static int recurse_in_strides(int depth)
{
    volatile char frame[3000];
    return further(depth + 1) + frame[depth % 3000];
}

static void overflow(void *argument)
{
    (void)argument;
    deeper(0);
}

static void overflow_in_strides(void *argument)
{
    (void)argument;
    further(0);
}

static void touch_what_is_not_ours(void *argument)
{
    (void)argument;
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    *(volatile char *)page = 1;
}

static void die(void *entry)
{
    run_armed(*(void (**)(void *))entry);
}

static int child_of(void (*entry)(void *), char *output, size_t size)
{
    return test_child(die, &entry, output, size);
}

/* Sanitizers have their own handler, which stays, and their own words. */
static void check_death(int status, const char *output, bool overflowed)
{
#if BIDE__SANITIZED
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    CHECK_CONTAINS(output, overflowed ? "Sanitizer: stack-overflow" : "Sanitizer: SEGV");
    CHECK(!strstr(output, "task sieve"));
#else
    if (overflowed) {
        const char *report = strstr(output, "task sieve overflowed its stack\n");
        CHECK(report);
        CHECK(!strstr(report + 1, "task sieve"));
    } else {
        CHECK(!strstr(output, "sieve"));
    }
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGSEGV);
#endif
}

BIDE_TEST(an_overflow_is_told_and_then_kills)
{
    char output[8192];
    int status = child_of(overflow, output, sizeof(output));
    check_death(status, output, true);
    status = child_of(overflow_in_strides, output, sizeof(output));
    check_death(status, output, true);
}

BIDE_TEST(an_overflow_into_a_protected_page_is_told)
{
    setenv("BIDE_STACK_GUARD", "mprotect", 1);
    char output[8192];
    int status = child_of(overflow, output, sizeof(output));
    check_death(status, output, true);
}

BIDE_TEST(another_fault_kills_without_these_words)
{
    char output[8192];
    int status = child_of(touch_what_is_not_ours, output, sizeof(output));
    check_death(status, output, false);
}

#if !BIDE__SANITIZED /* what follows looks at dispositions, which sanitizers own */
static size_t describe_otherwise(const void *address, char *buffer, size_t size)
{
    (void)address;
    (void)size;
    buffer[0] = '?';
    return 1;
}

static void send_to_self(void *argument)
{
    int number = *(int *)argument;
    CHECK_INT(bide__overflow_arm(describe), 0);
    kill(getpid(), number);
    sigset_t none;
    sigemptyset(&none);
    sigsuspend(&none);
}

BIDE_TEST(a_signal_that_was_sent_kills_silently)
{
    char output[1024];
    for (int i = 0; i < 2; i++) {
        int number = i ? SIGBUS : SIGSEGV;
        int status = test_child(send_to_self, &number, output, sizeof(output));
        CHECK(WIFSIGNALED(status));
        CHECK_INT(WTERMSIG(status), number);
        CHECK(!strstr(output, "sieve"));
    }
}

static void never(int number)
{
    (void)number;
}

static void never_with_info(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
}

static bool handler_is(int number, void (*handler)(int))
{
    struct sigaction action;
    CHECK_INT(sigaction(number, NULL, &action), 0);
    return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == handler;
}

static stack_t alternate_stack(void)
{
    stack_t present;
    CHECK_INT(sigaltstack(NULL, &present), 0);
    return present;
}

BIDE_TEST(what_is_installed_stays)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = never_with_info;
    action.sa_flags = SA_SIGINFO;
    CHECK_INT(sigaction(SIGSEGV, &action, NULL), 0);
    signal(SIGBUS, SIG_IGN);
    static char memory[65536];
    stack_t theirs = {.ss_sp = memory, .ss_size = sizeof(memory)};
    CHECK_INT(sigaltstack(&theirs, NULL), 0);
    CHECK_INT(bide__overflow_arm(describe), 0);
    CHECK(handler_is(SIGBUS, SIG_IGN));
    CHECK_INT(sigaction(SIGSEGV, NULL, &action), 0);
    CHECK(action.sa_sigaction == never_with_info);
    CHECK_PTR(alternate_stack().ss_sp, memory);
    bide__overflow_disarm();
    CHECK_PTR(alternate_stack().ss_sp, memory);
    CHECK_INT(alternate_stack().ss_flags, 0);
}

BIDE_TEST(a_handler_that_comes_later_stays)
{
    CHECK_INT(bide__overflow_arm(describe), 0);
    signal(SIGSEGV, never);
    CHECK_INT(bide__overflow_arm(describe), 0);
    CHECK(handler_is(SIGSEGV, never));
    CHECK(!handler_is(SIGBUS, SIG_DFL));
    bide__overflow_disarm();
    CHECK(handler_is(SIGSEGV, never));
}

BIDE_TEST(arming_twice_is_arming_once)
{
    CHECK_INT(alternate_stack().ss_flags, SS_DISABLE);
    CHECK_INT(bide__overflow_arm(describe_otherwise), 0);
    stack_t first = alternate_stack();
    CHECK_INT(first.ss_flags, 0);
    CHECK_RANGE(first.ss_size, sysconf(_SC_MINSIGSTKSZ) + (16 << 10), 1 << 20);
    CHECK_INT(bide__overflow_arm(describe), 0);
    CHECK_PTR(alternate_stack().ss_sp, first.ss_sp);
    bide__overflow_disarm();
    CHECK_INT(alternate_stack().ss_flags, SS_DISABLE);
    bide__overflow_disarm();
    CHECK_INT(bide__overflow_arm(describe), 0);
    CHECK_INT(alternate_stack().ss_flags, 0);
    bide__overflow_disarm();
}

BIDE_TEST(a_stack_set_over_ours_stays_when_ours_goes)
{
    CHECK_INT(bide__overflow_arm(describe), 0);
    static char memory[65536];
    stack_t theirs = {.ss_sp = memory, .ss_size = sizeof(memory)};
    CHECK_INT(sigaltstack(&theirs, NULL), 0);
    stack_t none = {.ss_flags = SS_DISABLE};
    CHECK_INT(sigaltstack(&none, NULL), 0);
    CHECK_INT(bide__overflow_arm(describe), 0);
    CHECK(alternate_stack().ss_sp != memory);
    CHECK_INT(sigaltstack(&theirs, NULL), 0);
    bide__overflow_disarm();
    CHECK_PTR(alternate_stack().ss_sp, memory);
}

static void *overflow_in_thread(void *argument)
{
    (void)argument;
    run_armed(overflow);
    return NULL;
}

static void die_in_thread(void *argument)
{
    (void)argument;
    CHECK_INT(bide__overflow_arm(describe_otherwise), 0);
    pthread_t other;
    CHECK_INT(pthread_create(&other, NULL, overflow_in_thread, NULL), 0);
    pthread_join(other, NULL);
}

BIDE_TEST(each_thread_describes_its_own)
{
    char output[8192];
    int status = test_child(die_in_thread, NULL, output, sizeof(output));
    check_death(status, output, true);
    CHECK(!strstr(output, "?\n"));
}

BIDE_TEST(what_fails_leaves_the_thread_as_it_was)
{
    unsigned long failures = 0;
    fault_arm(FAULT_ALLOCATION, 1, 0);
    int rc = bide__overflow_arm(describe);
    CHECK(fault_disarm());
    CHECK_INT(rc, -ENOMEM);
    CHECK_INT(alternate_stack().ss_flags, SS_DISABLE);
    for (unsigned long n = 1;; n++) {
        fault_arm(FAULT_SYSTEM, n, EPERM);
        rc = bide__overflow_arm(describe);
        if (!fault_disarm())
            break;
        failures++;
        CHECK_INT(rc, -EPERM);
        CHECK_INT(alternate_stack().ss_flags, SS_DISABLE);
    }
    CHECK_INT(rc, 0);
    CHECK_RANGE(failures, 4, 6);
    fault_arm(FAULT_SYSTEM, 1, EPERM);
    CHECK_INT(bide__overflow_arm(describe_otherwise), -EPERM);
    fault_disarm();
    CHECK_INT(alternate_stack().ss_flags, 0); /* armed it was, and armed it stays */
    bide__overflow_disarm();
}
#endif
