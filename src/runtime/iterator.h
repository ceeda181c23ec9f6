/*
 * Iterators as the runtime's own kinds share them: the block of such a kind begins with this
 * structure, is allocated with malloc() and freed by the close.
 *
 * Invariants
 *  - Whoever is inside next() or close() has `busy` set.
 *  - An iterator owns its sources: they are closed after it, in order.
 */
#ifndef BIDE_RUNTIME_ITERATOR_H
#define BIDE_RUNTIME_ITERATOR_H

#include <bide/iterator.h>

#include <errno.h>

struct bide_iterator {
    const struct bide_iterator_kind *kind;
    void *self;
    size_t item_size;
    int failed; /* what should have been made of it could not be: the error that next() tells */
    bool busy;
    bool ended;
    bool owned; /* is among somebody's sources */
    /* Why it can't be closed here and now, or 0; NULL: it can. */
    int (*closable)(const bide_iterator *iterator);
    bide_iterator *sources;
    bide_iterator *sibling; /* the next one among its owner's sources */
};

static inline void bide__iterator_init(bide_iterator *iterator,
                                       const struct bide_iterator_kind *kind, size_t item_size)
{
    *iterator = (bide_iterator){.kind = kind, .self = iterator, .item_size = item_size};
}

/* Why the iterator and all below can't be closed here and now, or 0. */
int bide__iterator_closable(const bide_iterator *iterator);
/* Becomes the owner of `source`, behind those that it has. */
void bide__iterator_own(bide_iterator *iterator, bide_iterator *source);
/* Closes one source before its owner is closed. Returns as bide_iterator_close(). */
int bide__iterator_disown(bide_iterator *iterator, bide_iterator *source);

/* Whether what failed with this error may succeed later: it says that the moment was wrong, or the
 * place. */
bool bide__iterator_transient(int rc);

/* The next value of a source: its items have the size that `ret_item` has room for. */
static inline int bide__iterator_next(bide_iterator *source, void *ret_item)
{
    return bide__next(source, ret_item, source->item_size);
}

#endif
