/*
 * Injected failures: the n-th allocation, or the n-th system call, of this thread fails. The linker
 * puts the functions of fault.c between the code under test and the C library (see fault_wrapped in
 * tests/meson.build), so that nothing in the library knows of it.
 *
 *     for (unsigned long n = 1;; n++) {
 *         fault_arm(FAULT_ALLOCATION, n, 0);
 *         int rc = scenario();
 *         if (!fault_disarm())
 *             break;              the scenario needs fewer than n: all have failed in turn
 *         CHECK_INT(rc, -ENOMEM);
 *     }
 *
 * Invariants
 *  - Only calls of the thread that armed the fault count and fail, and only one of them fails.
 *  - What the C library does inside itself, and close(), free() and munmap(), never fail.
 */
#ifndef BIDE_TEST_FAULT_H
#define BIDE_TEST_FAULT_H

#include <stdbool.h>

enum fault_kind {
    FAULT_ALLOCATION, /* malloc and its like, strdup, asprintf, mmap */
    FAULT_SYSTEM,     /* what opens, asks for or moves something in the kernel */
};

/* The n-th call from now on, counted from 1, fails; system calls with `error` (a positive errno).
 */
void fault_arm(enum fault_kind kind, unsigned long n, int error);

/* Ends it; returns whether a call failed. */
bool fault_disarm(void);

/* Rings that are made from now on lack these features (IORING_FEAT_…), as on an older kernel. */
void fault_hide_uring_features(unsigned features);

/* The name of the function that failed last on this thread, or NULL. */
const char *fault_function(void);

/* Whether the kernel may interrupt a function of that name (EINTR); then nothing happened, and the
 * call is made again. */
bool fault_is_interruptible(const char *function);

#endif
