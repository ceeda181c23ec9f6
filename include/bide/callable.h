/*
 * Something to be called later: a coroutine with its arguments, or a plain function. For interfaces
 * that take either: what they are given may suspend or not, and they need not know.
 */
#ifndef BIDE_CALLABLE_H
#define BIDE_CALLABLE_H

#include <bide/async.h>

BIDE_BEGIN_DECLARATIONS

/* A function with its arguments. */
typedef struct bide_callable bide_callable;

/*
 * bide_bind(name, arguments...): keeps a coroutine (see bide_async()) and a copy of its arguments,
 * which the compiler checks.
 *
 * Returns owned, to be given back with bide_callable_free(); NULL without memory. Suspends: no.
 * Cancel: not affected. Thread: any.
 */
#define bide_bind(...) ((bide_callable *)BIDE__LAUNCH(BIDE__HOW_BIND, NULL, NULL, __VA_ARGS__))

/*
 * Keeps a plain function, int function(void *), and its argument.
 *
 * argument: borrowed by each call. Returns as bide_bind(). Suspends: no. Cancel: not affected.
 * Thread: any.
 */
#define bide_bind_fn(function, argument) \
    ((bide_callable *)bide__launch_fn(BIDE__HOW_BIND, BIDE__PLACE(#function), NULL, (function), \
                                      (argument)))

/*
 * Calls it, here and now, as often as wanted.
 *
 * Returns what the function returns; -ENOMEM for NULL.
 * Suspends: if the function does. Cancel: as the function. Thread: any, as the function.
 */
BIDE_EXPORT int bide_call(const bide_callable *callable);

/*
 * Starts it as a task of the current loop; the arguments are copied once more.
 *
 * opts: borrowed until return; NULL for defaults. Returns as bide_spawn(); NULL for NULL. Suspends:
 * no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_task *bide_spawn_callable(const bide_callable *callable,
                                           const struct bide_task_opts *opts);

/*
 * Gives it back. Tasks that were started from it go on.
 *
 * callable: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_callable_free(bide_callable *callable);

BIDE_END_DECLARATIONS

#endif
