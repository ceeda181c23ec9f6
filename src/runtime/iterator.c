/* Iterators of any kind: asked, ended, closed. The invariants stand in iterator.h. */
#include "runtime/iterator.h"

#include "runtime/coro.h"
#include "runtime/generator.h"

#include <bide/timeout.h>

#include <math.h>
#include <stdlib.h>

bide_iterator *bide_iterator_new(const struct bide_iterator_kind *kind, void *self,
                                 size_t item_size)
{
    if (!kind || !kind->next)
        return NULL;
    bide_iterator *iterator = malloc(sizeof *iterator);
    if (!iterator)
        return NULL;
    bide__iterator_init(iterator, kind, item_size);
    iterator->self = self;
    return iterator;
}

bool bide__iterator_transient(int rc)
{
    return rc == -ECANCELED || rc == -EBUSY || rc == -EXDEV || rc == -ENOMEM || rc == -BIDE_ENOTASK;
}

/* What keeps an iterator from being asked, or 0. */
static int not_now(const bide_iterator *iterator, const void *ret_item, size_t size)
{
    if (iterator->busy)
        return -EBUSY;
    if (iterator->failed < 0)
        return iterator->failed;
    return ret_item && size == iterator->item_size ? 0 : -EINVAL;
}

int bide__next(bide_iterator *iterator, void *ret_item, size_t size)
{
    if (!iterator)
        return -ENOMEM;
    int rc = not_now(iterator, ret_item, size);
    if (rc < 0)
        return rc;
    if (iterator->ended)
        return 0;
    iterator->busy = true;
    if (iterator->kind == &bide__generator_kind) /* as short a way as can be */
        rc = bide__generator_next(iterator->self, ret_item);
    else
        rc = iterator->kind->next(iterator->self, ret_item);
    iterator->busy = false;
    if (rc > 0)
        return 1;
    iterator->ended = !bide__iterator_transient(rc);
    return rc;
}

size_t bide_iterator_item_size(const bide_iterator *iterator)
{
    return iterator ? iterator->item_size : 0;
}

void bide__iterator_own(bide_iterator *iterator, bide_iterator *source)
{
    bide_iterator **link = &iterator->sources;
    while (*link && *link != source)
        link = &(*link)->sibling;
    *link = source;
    source->owned = true;
}

int bide__iterator_closable(const bide_iterator *iterator)
{
    int rc = iterator->closable ? iterator->closable(iterator) : 0;
    for (const bide_iterator *source = iterator->sources; source && rc == 0;
         source = source->sibling)
        rc = bide__iterator_closable(source);
    return rc;
}

static int iterator_close(bide_iterator *iterator)
{
    iterator->busy = true;
    int rc = iterator->kind->close ? iterator->kind->close(iterator->self) : 0;
    while (iterator->sources) {
        int closed = bide__iterator_disown(iterator, iterator->sources);
        if (rc >= 0)
            rc = closed;
    }
    free(iterator);
    return rc < 0 ? rc : 0;
}

int bide__iterator_disown(bide_iterator *iterator, bide_iterator *source)
{
    bide_iterator **link = &iterator->sources;
    while (*link != source)
        link = &(*link)->sibling;
    *link = source->sibling;
    source->owned = false;
    /* The closing loop is ending it: then its block is lost, but nothing else. */
    return source->busy ? -EBUSY : iterator_close(source);
}

int bide_iterator_close(bide_iterator *iterator)
{
    if (!iterator)
        return 0;
    int rc = iterator->busy ? -EBUSY : bide__iterator_closable(iterator);
    return rc < 0 ? rc : iterator_close(iterator);
}

void bide__for_end(struct bide__for *loop)
{
    /* Without memory for the shield, or without a task, it has to do without. */
    bool shielded = bide__shield_begin(INFINITY) == 0;
    int rc = bide_iterator_close(loop->iterator);
    if (shielded)
        rc = bide__scope_end(rc);
    if (*loop->rc >= 0)
        *loop->rc = rc;
}
