/*
 * Task groups: children never outlive the scope that started them. The first failure cancels the
 * siblings and the body, and is what closing the group returns.
 */
#ifndef BIDE_GROUP_H
#define BIDE_GROUP_H

#include <bide/async.h>

BIDE_BEGIN_DECLARATIONS

/*
 * Opens a group around the code that follows, up to bide_group_close(). Scopes end in reverse
 * order.
 *
 * ret_group: returns owned, to be closed by the same task.
 * Returns 0, -ENOMEM, -EINVAL for NULL, -BIDE_ENOTASK.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_group_open(bide_group **ret_group);

/*
 * bide_group_spawn(group, name, arguments...): starts a coroutine as a child of the group, from the
 * task that opened it or from a child.
 *
 * Returns 0; -BIDE_EGROUP if the group has failed, is cancelled, or is closing and has no children
 * left (the coroutine never runs); -ENOMEM, also on a loop that is closing; -EINVAL for NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
#define bide_group_spawn(group, ...) \
    bide__group_spawned((group), BIDE__LAUNCH(BIDE__HOW_GROUP, (group), NULL, __VA_ARGS__))

/* bide_group_spawn_with(group, opts, name, arguments...): bide_group_spawn() with options for the
 * task. */
#define bide_group_spawn_with(group, opts, ...) \
    bide__group_spawned((group), BIDE__LAUNCH(BIDE__HOW_GROUP, (group), (opts), __VA_ARGS__))

/*
 * Cancels the children and the body of the group, as a failure would, but without being one.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_group_cancel(bide_group *group);

/*
 * How many children are not done.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_group_size(const bide_group *group);

/*
 * Waits for all children and ends the group.
 *
 * group: takes, except with -EINVAL and -BIDE_ENOTASK. rc: what the body came to; a negative one
 * cancels the children first.
 * Returns the first failure, the body's or a child's (a child that was cancelled is none);
 * otherwise rc, or -ECANCELED instead of a value if the caller was cancelled meanwhile and a child
 * ended by that; -EINVAL for NULL, a group that was abandoned or that another task has open;
 * -BIDE_ENOTASK. bide_error_detail() names every child that failed. Suspends: yes, a join: with
 * bide_within() around it, its limit cancels the children. Cancel: cancels the children and waits
 * for their end. Thread: loop thread only.
 */
BIDE_EXPORT int bide_group_close(bide_group *group, int rc);

/* What bide_group_spawn() expands to. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide__group_spawned(bide_group *group, void *task);

BIDE_END_DECLARATIONS

#endif
