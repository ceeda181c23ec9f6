/*
 * Task groups.
 *
 * Invariants
 *  - A child is in the list until it has its result; the group holds its handle.
 *  - The group is freed by bide_group_close() when no child is left; only a group whose scope was
 * left open is freed by its last child.
 *  - While the body runs, a failure makes the group's scope ask for the body's end. While the group
 * joins its children, the scope is off the stack: what is further out reaches the join, which hands
 * it on.
 */
#include "runtime/group.h"

#include "runtime/coro.h"
#include "runtime/launch.h"

#include <bide/group.h>

#include <stdio.h>
#include <stdlib.h>

struct bide_group {
    struct bide__scope scope;
    bide_loop *loop;
    struct bide__list children;
    size_t n_children;
    int failure; /* the first */
    int spawn_error;
    bool stopped; /* takes no new children */
    bool joining;
    bool cut_off;    /* what is further out asked for the end while children ran */
    bool incomplete; /* one of those children ended as cancelled */
    bool abandoned;
    char *words; /* every child that failed */
};

int bide_group_open(bide_group **ret_group)
{
    struct bide__coro *coro = bide__coro_current();
    if (!ret_group)
        return -EINVAL;
    if (!coro)
        return -BIDE_ENOTASK;
    bide_group *group = calloc(1, sizeof *group);
    if (!group)
        return -ENOMEM;
    bide__list_init(&group->children);
    group->loop = coro->loop;
    bide__scope_push(coro, &group->scope, BIDE__SCOPE_GROUP);
    *ret_group = group;
    return 0;
}

static void group_free(bide_group *group)
{
    free(group->words);
    free(group);
}

/* Cancels the children, once: who takes its request back is not asked again for the same reason. */
static void group_stop(bide_group *group)
{
    if (group->stopped)
        return;
    group->stopped = true;
    bide__list_each(node, &group->children) bide_cancel(bide__coro_of_sibling(node)->task);
}

/* Takes `words` for what bide_group_close() will tell; without memory a child goes unnamed. */
static void group_note(bide_group *group, bide_task *child)
{
    char *words;
    const char *detail = bide_task_detail(child);
    int length = asprintf(&words, "%s%s%s (%s): %s%s%s", group->words ? group->words : "",
                          group->words ? "; " : "", bide_task_name(child), child->place->coroutine,
                          bide_strerror(child->result), *detail ? ": " : "", detail);
    if (length < 0)
        return;
    free(group->words);
    group->words = words;
}

static void visit_children(const bide_group *group, struct bide__search *search)
{
    bide__list_each(node, &group->children)
    {
        bide__search_visit(search, bide__coro_of_sibling(node)->task);
    }
}

void bide__group_targets(const struct bide__scope *scope, struct bide__search *search)
{
    visit_children(bide__container(scope, bide_group, scope), search);
}

static void group_targets(const struct bide__coro *coro, struct bide__search *search)
{
    visit_children(coro->wait_data, search);
}

/* The parent's cancel, while it joins. */
static void group_hand_on(bide_group *group)
{
    bide__scope_mark_delivered(group->scope.coro);
    group->cut_off = true;
    group_stop(group);
}

static void group_interrupt(struct bide__coro *coro)
{
    group_hand_on(coro->wait_data);
}

static const struct bide__wait_kind group_wait = {
    .name = "group", .interrupt = group_interrupt, .targets = group_targets};

void bide__group_child_ended(struct bide__coro *child)
{
    bide_group *group = child->more->group;
    bide_task *task = child->task;
    bide__list_remove(&child->more->sibling);
    group->n_children--;
    task->read = !group->abandoned;
    if (task->result == -ECANCELED && group->cut_off)
        group->incomplete = true;
    if (task->result < 0 && task->result != -ECANCELED) {
        group_note(group, task);
        if (group->failure == 0) {
            group->failure = task->result;
            group_stop(group);
            if (!group->joining && !group->abandoned)
                bide__scope_demand(&group->scope);
        }
    }
    bide__task_unref(task);
    if (group->n_children > 0)
        return;
    if (group->abandoned) {
        group_free(group);
    } else if (group->joining && group->scope.coro->wait) {
        group->stopped = true; /* nobody waits for what would come now */
        bide__wake(group->scope.coro, 0);
    }
}

void bide__group_abandon(struct bide__scope *scope)
{
    bide_group *group = bide__container(scope, bide_group, scope);
    group->abandoned = true;
    group_stop(group);
    if (group->n_children == 0)
        group_free(group);
}

void bide_group_cancel(bide_group *group)
{
    if (!group || group->stopped)
        return;
    group_stop(group);
    if (!group->joining)
        bide__scope_demand(&group->scope);
}

size_t bide_group_size(const bide_group *group)
{
    return group ? group->n_children : 0;
}

int bide_group_close(bide_group *group, int rc)
{
    struct bide__coro *coro;
    if (!group || !group->scope.coro)
        return -EINVAL;
    int joined = bide__join(&coro);
    if (joined < 0)
        return joined;
    if (group->scope.coro != coro)
        return -EINVAL;
    bide__scope_pop(&group->scope);
    group->joining = true;
    if (rc < 0 && rc != -ECANCELED && group->failure == 0)
        group->failure = rc;
    if (coro->deliver && group->n_children > 0)
        group_hand_on(group);
    else if (rc < 0)
        group_stop(group);
    if (group->n_children > 0)
        bide__park(coro, &group_wait, group);
    if (group->failure < 0) {
        rc = group->failure;
        if (group->words) {
            bide__detail_take(rc, group->words);
            group->words = NULL;
        }
    } else {
        rc = bide__scope_edge(&group->scope, rc, 0);
        if (rc >= 0 && group->incomplete)
            rc = -ECANCELED;
    }
    group_free(group);
    return rc;
}

void *bide__group_launch(bide_group *group, const struct bide__launch *launch)
{
    if (!group)
        return NULL;
    group->spawn_error = group->stopped || group->abandoned ? -BIDE_EGROUP : -ENOMEM;
    if (group->spawn_error != -ENOMEM)
        return NULL;
    struct bide__coro *coro = bide__launch_coro(group->loop, launch);
    if (!coro)
        return NULL;
    struct bide__coro_more *more = bide__coro_more(coro);
    if (!more) {
        bide__coro_unmake(coro);
        return NULL;
    }
    more->group = group;
    bide__list_append(&group->children, &more->sibling);
    group->n_children++;
    bide__coro_start(coro);
    return coro->task;
}

int bide__group_spawned(bide_group *group, void *task)
{
    if (task)
        return 0;
    return group ? group->spawn_error : -EINVAL;
}
