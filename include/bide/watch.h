/*
 * Waiting until a descriptor of the user's is ready: for libraries that do their own reading and
 * writing, and only have to know when. For what the library itself reads and writes there are
 * streams and sockets; for callbacks, bide_loop_add_reader().
 *
 * Readiness is told by level, not by edge: a call returns at once, after one turn of the loop, if
 * the descriptor was ready before. Several tasks may wait for the same descriptor, in the same
 * direction too, and next to callbacks: all of them are told, and one of them may have taken what
 * there was when another one looks. So whoever was told has to try without blocking, and wait
 * again after -EAGAIN.
 */
#ifndef BIDE_WATCH_H
#define BIDE_WATCH_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/*
 * Waits until a descriptor is readable: there is data, the end of file, or an error to be read.
 *
 * fd: borrowed until return, and stays open as long; not one that the loop's own streams use.
 * Returns 0, -ECANCELED, -EBADF, -EPERM (it is always ready: a regular file), -EEXIST (in use by
 * something else of this loop), -ENOMEM, -BIDE_ENOTASK. Suspends: yes. Cancel: the wait ends,
 * nothing was read. Thread: loop thread only.
 */
BIDE_EXPORT int bide_wait_readable(int fd);

/*
 * Waits until a descriptor can be written to, or an error is to be told.
 *
 * fd: as for bide_wait_readable().
 * Returns as bide_wait_readable(). Suspends: yes. Cancel: the wait ends, nothing was written.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_wait_writable(int fd);

BIDE_END_DECLARATIONS

#endif
