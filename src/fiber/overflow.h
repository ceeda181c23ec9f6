/*
 * Reporting a stack overflow in words before the process dies of it.
 *
 * The first loop that makes a task in a process installs a SIGSEGV/SIGBUS handler, only where none
 * is installed yet, and gives each thread that runs tasks an alternate signal stack, only where it
 * has none. The handler asks the `describe` function of the thread whether the faulting address
 * belongs to a task; if so it writes the report to standard error with write(2) alone. In every
 * case it restores the default action and returns, so that the fault repeats and the process dies
 * of it as it would have (core file and exit status included). A signal that somebody sent is
 * raised again for that.
 */
#ifndef BIDE_FIBER_OVERFLOW_H
#define BIDE_FIBER_OVERFLOW_H

#include <stddef.h>

/*
 * Async-signal-safe. Writes a message (no newline at the end) of at most `size` bytes into `buffer`
 * if the address lies in the guard of the stack that this thread runs on, and returns its length; 0
 * if it does not.
 */
typedef size_t bide__overflow_describe(const void *address, char *buffer, size_t size);

/*
 * Prepares process and calling thread; idempotent. Fails with -ENOMEM or the error of
 * sigaltstack/sigaction, and then this thread is as it was.
 */
int bide__overflow_arm(bide__overflow_describe *describe);
/* Takes the calling thread's alternate stack back if bide__overflow_arm() gave it one. */
void bide__overflow_disarm(void);

#endif
