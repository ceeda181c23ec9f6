/*
 * What operators over iterators have in common.
 *
 * Invariant: an operator that was asked for with sources always comes to something that owns them
 * all.
 */
#ifndef BIDE_RUNTIME_FLOW_H
#define BIDE_RUNTIME_FLOW_H

#include "runtime/iterator.h"

/* 0, or why nothing can be built on these sources: one is missing, spoiled, or has values of
 * another size than item_size. */
int bide__flow_check(bide_iterator *const *sources, size_t n, size_t item_size);

/* The first source, owner of the others, and spoiled: asked for a value it fails with `error`. NULL
 * if there is none. */
bide_iterator *bide__flow_spoil(bide_iterator *const *sources, size_t n, int error);

/* A zeroed operator of `size` bytes, beginning with its iterator, that owns the sources. If `error`
 * is negative or there is no memory, NULL, and *ret_spoiled is the spoiled first source. */
void *bide__flow_new(const struct bide_iterator_kind *kind, size_t size, size_t item_size,
                     bide_iterator *const *sources, size_t n, int error,
                     bide_iterator **ret_spoiled);

#endif
