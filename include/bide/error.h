/*
 * Errors: negative ints, -errno where one fits, else the negative of one of these constants. Never
 * -1 plus errno, which belongs to the thread and which another task may have overwritten meanwhile.
 */
#ifndef BIDE_ERROR_H
#define BIDE_ERROR_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* Positive, above every errno; functions return their negatives. */
enum bide_error {
    BIDE_ENOTASK = 4096, /* a suspending call outside a task */
    BIDE_ENOTDONE,       /* a result was asked for before there was one */
    BIDE_ESTOPPED,       /* the loop was stopped before the awaited task ended */
    BIDE_ETORN,       /* a stream broke in the middle of a write: only abort and close work on it */
    BIDE_EINCOMPLETE, /* end of file before as much came as was asked for */
    BIDE_ELIMIT,      /* a line or a separated piece is longer than the stream's limit */
    BIDE_ENONAME,     /* the host or service name is not known */
    BIDE_ENAMEAGAIN,  /* the name server did not answer; a later try may work */
    BIDE_ENAMEFAIL,   /* the name server answered with a failure */
    BIDE_EGROUP,      /* the task group has failed or is closing and takes no new tasks */
    BIDE_EPENDING,    /* there is no result yet: somebody will wake the task (bide/awaitable.h) */
    BIDE_EBROKEN,     /* the barrier was broken or reset */
    BIDE_EMANAGER,    /* a context manager did not yield once, or is not entered, or was exited */
    BIDE_ETLS,        /* the TLS handshake or session failed, or the peer refused it */
    BIDE_ECERTIFICATE, /* a certificate is not good, or not for whom it should be */
    BIDE_ETRUNCATED,   /* the connection ended without the end of the TLS session */
};

/*
 * The error's meaning in a few words, such as "Connection refused"; for a value >= 0, "Success".
 *
 * error: a negative result. Returns a borrowed string that stays valid until the calling thread's
 * next call. Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT const char *bide_strerror(int error);

/*
 * More words about the last error that the current task got from a call that has some to add (which
 * host was not found, which tasks of a group failed), or that a task it joined ended with; outside
 * tasks, the loop's.
 *
 * Returns a borrowed string, "" if there are none; valid until the task's next call that leaves
 * words. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_error_detail(void);

/*
 * Leaves words about an error, as the library's calls do: for who joins this task, or waits for
 * this job in a thread.
 *
 *     return bide_fail(-EINVAL, "%s: not a number", text);
 *
 * error: negative; others leave nothing. format: as of printf(3). Returns `error`.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

BIDE_END_DECLARATIONS

#endif
