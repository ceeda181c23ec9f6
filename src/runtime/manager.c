/*
 * Context managers: generators that are continued once. Invariant: `value` is set exactly while the
 * body stands at its yield.
 */
#include "runtime/generator.h"
#include "runtime/task.h"

#include <bide/manager.h>
#include <bide/timeout.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

bide_manager bide_manage(bide_iterator *body)
{
    const struct bide__generator *generator = body && body->kind == &bide__generator_kind
                                                  ? body->self
                                                  : NULL;
    return (bide_manager){.body = body, .place = generator ? generator->place : NULL};
}

/* An error of whoever uses the manager, or wrote it. */
static int misused(const struct bide_place *place, const char *what)
{
    if (place)
        bide__detail_set(-BIDE_EMANAGER, "%s, made at %s:%d in %s, %s", place->coroutine,
                         place->file, place->line, place->function, what);
    else
        bide__detail_set(-BIDE_EMANAGER, "the manager %s", what);
    return -BIDE_EMANAGER;
}

/* Releases a manager that cannot be entered; `rc` stands. */
static int give_up(bide_manager *manager, int rc)
{
    bide_iterator_close(manager->body);
    free(manager->value);
    manager->body = NULL;
    manager->value = NULL;
    return rc;
}

int bide__manager_enter(bide_manager *manager, void *ret_item, size_t size)
{
    if (!manager || !ret_item)
        return -EINVAL;
    if (manager->value)
        return misused(manager->place, "was entered twice");
    if (!manager->body)
        return manager->place ? misused(manager->place, "was exited before") : -ENOMEM;
    if (!manager->place || manager->body->item_size != size)
        return give_up(manager, -EINVAL);
    manager->value = malloc(size + 1);
    if (!manager->value)
        return give_up(manager, -ENOMEM);
    int rc = bide__next(manager->body, manager->value, size);
    if (rc == 0)
        rc = misused(manager->place, "ended without a yield");
    if (rc < 0)
        return give_up(manager, rc);
    memcpy(ret_item, manager->value, size);
    return 0;
}

int bide__manager_value(bide_manager *manager, void *ret_item, size_t size)
{
    if (!manager || !ret_item)
        return -EINVAL;
    if (!manager->value)
        return misused(manager->place, manager->body ? "is not entered" : "was exited before");
    if (size != manager->body->item_size)
        return -EINVAL;
    memcpy(ret_item, manager->value, size);
    return 0;
}

/* Continues the body with `rc`: what it came to. */
static int finish(bide_manager *manager, int rc)
{
    struct bide__generator *generator = manager->body->self;
    if (generator->state != BIDE__GENERATOR_OPEN) /* its loop was closed meanwhile */
        return rc;
    bide__generator_finish(generator, rc, -BIDE_EMANAGER);
    rc = generator->result;
    generator->result = 0;
    return generator->refused ? misused(manager->place, "yielded again") : rc;
}

int bide_manager_exit(bide_manager *manager, int rc)
{
    if (!manager)
        return -EINVAL;
    if (!manager->body)
        return misused(manager->place, "was exited before");
    int now = manager->body->busy ? -EBUSY : bide__iterator_closable(manager->body);
    if (now < 0)
        return now;
    if (manager->value)
        rc = finish(manager, rc);
    free(manager->value);
    manager->value = NULL;
    int closed = bide_iterator_close(manager->body);
    manager->body = NULL;
    return closed < 0 ? closed : rc;
}

int bide_manager_release(void *manager)
{
    int rc = bide_manager_exit(manager, 0);
    return rc < 0 ? rc : 0;
}

bool bide__with_manager_begin(struct bide__with_manager *with, void *ret_item, size_t size)
{
    if (with->entered)
        return false;
    *with->rc = bide__manager_enter(&with->manager, ret_item, size);
    with->entered = *with->rc == 0;
    return with->entered;
}

void bide__with_manager_end(struct bide__with_manager *with)
{
    if (!with->entered)
        return;
    bool shielded = bide__shield_begin(INFINITY) == 0;
    int rc = bide_manager_exit(&with->manager, *with->rc);
    *with->rc = shielded ? bide__scope_end(rc) : rc;
}
