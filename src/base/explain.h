/*
 * Faults that the kernel meets in a caller's memory, in words: a layer above may know whose memory
 * it is.
 *
 * Invariant: what is said goes to standard error; the call fails with -EFAULT all the same.
 */
#ifndef BIDE_BASE_EXPLAIN_H
#define BIDE_BASE_EXPLAIN_H

/* Tells what it knows of the address. */
typedef void bide__explain_fault(const void *address);

/* Sets who is asked; the same one in every thread. */
void bide__explain_by(bide__explain_fault *explain);
/* After a system call that failed with EFAULT. */
void bide__explain(const void *address);

#endif
