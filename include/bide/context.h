/*
 * Context variables: values that belong to a task and are handed down to what it starts, such as
 * the id of the request that is being served.
 *
 *     static const bide_context_var request_id = {"request_id", "none"};
 *
 *     rc = bide_context_set(&request_id, "17", NULL, NULL);
 *     ... bide_context_get(&request_id) ...
 *
 * A task starts with its spawner's values, and a callback runs with those of who registered it.
 * What either sets is seen by nobody else. Nothing is copied until somebody sets a value.
 */
#ifndef BIDE_CONTEXT_H
#define BIDE_CONTEXT_H

#include <bide/loop.h>

BIDE_BEGIN_DECLARATIONS

/* A variable; its address is what it is known by, so it is defined once, with static storage. */
typedef struct bide_context_var {
    const char *name;  /* for people */
    const void *value; /* where it was never set */
} bide_context_var;

/* A set of values to run something in. */
typedef struct bide_context bide_context;
/* What a variable was before it was set. */
typedef struct bide_context_token bide_context_token;

/*
 * The variable's value in the current task, callback or, outside loops, thread; its default where
 * it was not set. Borrowed until it is set anew; as writable as what was put in.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void *bide_context_get(const bide_context_var *var);

/*
 * Gives the variable a value in the current task, callback or thread.
 *
 * value: released by drop, if that is not NULL, when no context holds it any more, on whichever
 * thread that is; it stays the caller's on failure. ret_token: returns owned, for
 * bide_context_reset(); NULL if it is not wanted. Returns 0, -ENOMEM or -EINVAL. Suspends: no.
 * Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_context_set(const bide_context_var *var, const void *value, bide_drop *drop,
                                 bide_context_token **ret_token);

/*
 * Makes the variable what it was before the call that returned the token, also if that was unset.
 *
 * token: takes, except with -ENOMEM and -EPERM. Returns 0; -EPERM in another task, callback or
 * thread than the one that got the token; -ENOMEM; -EINVAL for NULL. Suspends: no. Cancel: not
 * affected. Thread: any.
 */
BIDE_EXPORT int bide_context_reset(bide_context_token *token);

/*
 * Gives a token back that will not be used.
 *
 * token: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_context_token_free(bide_context_token *token);

/*
 * The values of the current task, callback or thread as they are now.
 *
 * Returns owned, or NULL without memory.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_context *bide_context_copy(void);

/*
 * Calls function(data) in a context: what it sets stays there and is seen by the next call.
 *
 * context: borrows until return. function: must not yield from a generator that calls this: the
 * task that gets the value would go on in the context. Returns what the function returned; -EBUSY
 * if something runs in this context already, -EINVAL for NULL. Suspends: if the function does.
 * Cancel: as the function. Thread: any; one at a time.
 */
BIDE_EXPORT int bide_context_run(bide_context *context, bide_callback *function, void *data);

/*
 * A variable's value in a context, its default where it was not set; borrowed while the context is
 * held and nothing runs in it.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void *bide_context_lookup(const bide_context *context, const bide_context_var *var);

/*
 * Gives a context back in which nothing runs.
 *
 * context: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_context_free(bide_context *context);

BIDE_END_DECLARATIONS

#endif
