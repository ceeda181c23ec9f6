/* What the end of a task and the end of a scope tell a task group. */
#ifndef BIDE_RUNTIME_GROUP_H
#define BIDE_RUNTIME_GROUP_H

struct bide__coro;
struct bide__scope;
struct bide__search;

/* A child has its result; its handle is the group's until return. */
void bide__group_child_ended(struct bide__coro *child);
/* The group's scope was left without closing the group: its children are cancelled, and the last of
 * them takes it along. */
void bide__group_abandon(struct bide__scope *scope);
/* Shows the children of the open group to the search for circles. */
void bide__group_targets(const struct bide__scope *scope, struct bide__search *search);

#endif
