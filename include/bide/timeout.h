/*
 * Time limits and protection from them: scopes on the current task. When a limit passes, the
 * suspending calls inside fail with -ECANCELED, and at its edge, if nothing further out asks for
 * the end too, that becomes -ETIMEDOUT. A result >= 0, or another error, stands.
 */
#ifndef BIDE_TIMEOUT_H
#define BIDE_TIMEOUT_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* A time limit around a block. */
typedef struct bide_timeout bide_timeout;

/*
 * bide_within(seconds, expression): evaluates an int expression under a time limit. Infinity for
 * none.
 *
 * Returns the expression's value; -ETIMEDOUT if the limit ended it; -EINVAL for NaN, -ENOMEM and
 * -BIDE_ENOTASK without evaluating it. Suspends: if the expression does. Cancel: as the expression.
 * Thread: loop thread only.
 */
#define bide_within(seconds, expression) \
    (__extension__(bide__within_begin(seconds) ?: bide__scope_end(expression)))

/*
 * bide_until(deadline, expression): like bide_within() with a point of bide_time().
 */
#define bide_until(deadline, expression) \
    (__extension__(bide__until_begin(deadline) ?: bide__scope_end(expression)))

/*
 * bide_shielded(seconds, expression): evaluates an int expression that no cancel and no limit from
 * outside reaches, with a limit of its own: for cleanup that has to suspend. Infinity for no limit.
 *
 * Returns as bide_within().
 * Suspends: if the expression does. Cancel: delivered after it, at the next suspending call.
 * Thread: loop thread only.
 */
#define bide_shielded(seconds, expression) \
    (__extension__(bide__shield_begin(seconds) ?: bide__scope_end(expression)))

/*
 * Begins a time limit around the code that follows, up to bide_timeout_end(). Scopes end in reverse
 * order.
 *
 * seconds: from now; infinity for no limit yet. ret_timeout: returns owned, to be ended by the same
 * task. Returns 0, -EINVAL for NaN or NULL, -ENOMEM, -BIDE_ENOTASK. Suspends: no. Cancel: not
 * affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_timeout_begin(double seconds, bide_timeout **ret_timeout);

/*
 * Moves a limit that has not expired.
 *
 * deadline: a point of bide_time(); infinity for none. Returns 0, -EALREADY if it expired, -EINVAL
 * for NaN or NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_timeout_move(bide_timeout *timeout, double deadline);

/*
 * The limit as a point of bide_time(); infinity if there is none, and for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT double bide_timeout_deadline(const bide_timeout *timeout);

/*
 * Whether the limit has passed and ended what was inside: tells its -ETIMEDOUT from one of the
 * network's. NULL has not.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_timeout_expired(const bide_timeout *timeout);

/*
 * Ends a time limit. Scopes that were begun inside and not ended are ended, and reported.
 *
 * timeout: takes. rc: what the block came to.
 * Returns rc, or -ETIMEDOUT instead of -ECANCELED if this limit caused it and nothing further out
 * asks for the end; -EINVAL for NULL. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_timeout_end(bide_timeout *timeout, int rc);

/* What the macros above expand to. Suspends: no. Cancel: not affected. Thread: loop thread only. */
BIDE_EXPORT int bide__within_begin(double seconds);
/* Suspends: no. Cancel: not affected. Thread: loop thread only. */
BIDE_EXPORT int bide__until_begin(double deadline);
/* Suspends: no. Cancel: not affected. Thread: loop thread only. */
BIDE_EXPORT int bide__shield_begin(double seconds);
/* Suspends: no. Cancel: not affected. Thread: loop thread only. */
BIDE_EXPORT int bide__scope_end(int rc);

BIDE_END_DECLARATIONS

#endif
