/*
 * Small pieces of memory of one loop, in exact sizes: no header, and hardly any rounding. What a
 * million parked tasks consist of lies here.
 *
 * Invariants
 *  - Belongs to one thread; no locks.
 *  - A piece lies in a chunk of pieces of its class, and finds it by its address.
 *  - Chunks without pieces serve any class again; an arena without pieces goes back to the kernel,
 *    but for the first, small ones.
 */
#ifndef BIDE_RUNTIME_SLAB_H
#define BIDE_RUNTIME_SLAB_H

#include <stddef.h>

enum {
    BIDE__SLAB_FINE = 512,      /* up to here classes are 8 bytes apart */
    BIDE__SLAB_MIDDLE = 1024,   /* 16 bytes; beyond, 64 */
    BIDE__SLAB_SIZE_MAX = 4352, /* and no larger pieces */
    BIDE__SLAB_CLASSES = 148,
};

struct bide__slab_chunk;
struct bide__slab_arena;

/* Zeroed when made. */
struct bide__slab {
    struct bide__slab_chunk *classes[BIDE__SLAB_CLASSES]; /* rings of chunks that have room */
    struct bide__slab_arena *oldest;
    struct bide__slab_arena *youngest;
    struct bide__slab_arena *room; /* no older one has an unused chunk; NULL: none has */
    size_t bytes;                  /* of all arenas */
};

/* What a piece of this size really takes; beyond BIDE__SLAB_SIZE_MAX in whole KiB. */
static inline size_t bide__slab_round(size_t size)
{
    size_t unit = size <= BIDE__SLAB_FINE       ? 8
                  : size <= BIDE__SLAB_MIDDLE   ? 16
                  : size <= BIDE__SLAB_SIZE_MAX ? 64
                                                : 1024;
    return (size + unit - 1) / unit * unit;
}

/* 0 < size <= BIDE__SLAB_SIZE_MAX. Aligned to 16 bytes if the size is a multiple of that. NULL
 * without memory. */
void *bide__slab_take(struct bide__slab *slab, size_t size);
void bide__slab_give(struct bide__slab *slab, void *memory);
/* Everything at once, whatever is taken. */
void bide__slab_free(struct bide__slab *slab);

#endif
