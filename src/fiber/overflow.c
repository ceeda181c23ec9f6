/*
 * The handler that puts a stack overflow into words, and the stack that it runs on.
 *
 * Invariants
 *  - A disposition that is not the default one, and an alternate stack that somebody else set, are
 *    left alone.
 *  - After the handler has returned the process dies of the signal that it got, however that was
 *    sent.
 */
#include "fiber/overflow.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef _SC_MINSIGSTKSZ
#define _SC_MINSIGSTKSZ 249
#endif

#define HANDLER_BYTES \
    ((size_t)16 << 10) /* for the handler, over what the kernel needs for the frame */
#define MESSAGE_BYTES 512

/* Reserved when the thread is made, so that the handler's first look cannot allocate. */
#define SIGNAL_SAFE_TLS _Thread_local __attribute__((tls_model("initial-exec")))

static SIGNAL_SAFE_TLS bide__overflow_describe *volatile describe_here;
static _Thread_local void *own_stack;
static _Thread_local size_t own_stack_size;

static void write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        size -= (size_t)n;
    }
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    int saved_errno = errno;
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, NULL);
    bide__overflow_describe *describe = describe_here;
    bool sent = info->si_code <= 0;
    if (sent) {
        raise(number); /* does not repeat by itself; stays pending until the handler returns */
    } else if (describe) {
        char message[MESSAGE_BYTES];
        size_t size = describe(info->si_addr, message, sizeof(message) - 1);
        if (size > 0) {
            message[size++] = '\n';
            write_all(message, size);
        }
    }
    errno = saved_errno;
}

static int give_alternate_stack(void)
{
    stack_t present;
    if (sigaltstack(NULL, &present) < 0)
        return -errno;
    if (!(present.ss_flags & SS_DISABLE))
        return 0;
    long frame = sysconf(_SC_MINSIGSTKSZ);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = HANDLER_BYTES + (frame > MINSIGSTKSZ ? (size_t)frame : (size_t)MINSIGSTKSZ);
    size = (size + page - 1) / page * page;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    stack_t ours = {.ss_sp = memory, .ss_size = size};
    if (sigaltstack(&ours, NULL) < 0) {
        int rc = -errno;
        munmap(memory, size);
        return rc;
    }
    if (own_stack)
        munmap(own_stack, own_stack_size); /* somebody took the place of ours and left */
    own_stack = memory;
    own_stack_size = size;
    return 0;
}

static int take_signal(int number)
{
    struct sigaction action;
    if (sigaction(number, NULL, &action) < 0)
        return -errno;
    if ((action.sa_flags & SA_SIGINFO) || action.sa_handler != SIG_DFL)
        return 0;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) < 0 ? -errno : 0;
}

int bide__overflow_arm(bide__overflow_describe *describe)
{
    int rc = give_alternate_stack();
    if (rc >= 0)
        rc = take_signal(SIGSEGV);
    if (rc >= 0)
        rc = take_signal(SIGBUS);
    if (rc < 0) {
        if (!describe_here)
            bide__overflow_disarm();
        return rc;
    }
    describe_here = describe;
    return 0;
}

void bide__overflow_disarm(void)
{
    describe_here = NULL;
    if (!own_stack)
        return;
    stack_t present;
    if (sigaltstack(NULL, &present) == 0 && present.ss_sp == own_stack) {
        stack_t none = {.ss_flags = SS_DISABLE};
        if (sigaltstack(&none, NULL) < 0)
            return; /* in use: on this very stack */
    }
    munmap(own_stack, own_stack_size);
    own_stack = NULL;
}
