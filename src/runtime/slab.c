/* Pieces, chunks, arenas. The invariants stand in slab.h. */
#include "runtime/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHUNK_BYTES ((size_t)16 << 10)
#define HUGE_BYTES ((size_t)2 << 20)
#define ARENA_BYTES_MIN (CHUNK_BYTES * 4)
#define ARENA_BYTES_MAX ((size_t)32 << 20)
#define ARENA_BYTES_KEPT ((size_t)1 << 20)

struct piece {
    struct piece *next;
};

struct bide__slab_chunk {
    struct bide__slab_arena *arena;
    struct bide__slab_chunk *next; /* in the ring of its class, or in its arena's list of unused */
    struct bide__slab_chunk *prev;
    struct piece *given; /* pieces that were given back */
    uint32_t size;
    uint32_t n_max;
    uint32_t n_fresh; /* pieces from here on were never taken */
    uint32_t n_used;
    uint64_t unused[2]; /* so that the first piece lies at a line's start */
};

_Static_assert(sizeof(struct bide__slab_chunk) == 64, "the pieces are aligned by this");

struct bide__slab_arena {
    struct bide__slab_arena *older;
    struct bide__slab_arena *younger;
    struct bide__slab_chunk *unused;
    char *base;
    size_t bytes;
    size_t n_fresh; /* chunks from here on were never used */
    size_t n_used;
    uint64_t number;
};

static size_t class_of(size_t size)
{
    size = bide__slab_round(size);
    if (size <= BIDE__SLAB_FINE)
        return size / 8 - 1;
    if (size <= BIDE__SLAB_MIDDLE)
        return BIDE__SLAB_FINE / 8 + (size - BIDE__SLAB_FINE) / 16 - 1;
    return BIDE__SLAB_FINE / 8 + (BIDE__SLAB_MIDDLE - BIDE__SLAB_FINE) / 16 +
           (size - BIDE__SLAB_MIDDLE) / 64 - 1;
}

static void ring_add(struct bide__slab_chunk **ring, struct bide__slab_chunk *chunk)
{
    struct bide__slab_chunk *first = *ring;
    if (!first) {
        chunk->next = chunk->prev = chunk;
        *ring = chunk;
        return;
    }
    chunk->next = first;
    chunk->prev = first->prev;
    first->prev->next = chunk;
    first->prev = chunk;
}

static void ring_remove(struct bide__slab_chunk **ring, struct bide__slab_chunk *chunk)
{
    if (chunk->next == chunk) {
        *ring = NULL;
        return;
    }
    chunk->next->prev = chunk->prev;
    chunk->prev->next = chunk->next;
    if (*ring == chunk)
        *ring = chunk->next;
}

/* Large pages where there is much: touching a million tasks page by page costs more than making
 * them. */
static char *map_aligned(size_t bytes)
{
    size_t alignment = bytes >= HUGE_BYTES ? HUGE_BYTES : CHUNK_BYTES;
    char *whole = mmap(NULL, bytes + alignment, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (whole == MAP_FAILED)
        return NULL;
    char *base = (char *)(((uintptr_t)whole + alignment - 1) & ~(uintptr_t)(alignment - 1));
    if (base > whole)
        munmap(whole, (size_t)(base - whole));
    munmap(base + bytes, alignment - (size_t)(base - whole));
    if (bytes >= HUGE_BYTES)
        madvise(base, bytes, MADV_HUGEPAGE);
    return base;
}

static struct bide__slab_arena *arena_new(struct bide__slab *slab)
{
    size_t bytes = ARENA_BYTES_MIN;
    while (bytes < slab->bytes && bytes < ARENA_BYTES_MAX)
        bytes *= 2;
    struct bide__slab_arena *arena = malloc(sizeof *arena);
    char *base = arena ? map_aligned(bytes) : NULL;
    if (!base) {
        free(arena);
        return NULL;
    }
    *arena = (struct bide__slab_arena){.older = slab->youngest, .base = base, .bytes = bytes};
    if (slab->youngest) {
        arena->number = slab->youngest->number + 1;
        slab->youngest->younger = arena;
    } else {
        slab->oldest = arena;
    }
    slab->youngest = arena;
    slab->bytes += bytes;
    return arena;
}

static void arena_free(struct bide__slab *slab, struct bide__slab_arena *arena)
{
    if (arena->younger)
        arena->younger->older = arena->older;
    else
        slab->youngest = arena->older;
    if (arena->older)
        arena->older->younger = arena->younger;
    else
        slab->oldest = arena->younger;
    if (slab->room == arena)
        slab->room = arena->younger;
    slab->bytes -= arena->bytes;
    munmap(arena->base, arena->bytes);
    free(arena);
}

static struct bide__slab_arena *arena_with_room(struct bide__slab *slab)
{
    struct bide__slab_arena *arena = slab->room;
    while (arena && arena->n_used == arena->bytes / CHUNK_BYTES)
        arena = arena->younger;
    if (!arena)
        arena = arena_new(slab);
    if (arena)
        slab->room = arena;
    return arena;
}

static struct bide__slab_chunk *chunk_new(struct bide__slab *slab, size_t size)
{
    struct bide__slab_arena *arena = arena_with_room(slab);
    if (!arena)
        return NULL;
    struct bide__slab_chunk *chunk = arena->unused;
    if (chunk)
        arena->unused = chunk->next;
    else
        chunk = (void *)(arena->base + arena->n_fresh++ * CHUNK_BYTES);
    arena->n_used++;
    *chunk = (struct bide__slab_chunk){
        .arena = arena,
        .size = (uint32_t)size,
        .n_max = (uint32_t)((CHUNK_BYTES - sizeof *chunk) / size),
    };
    return chunk;
}

static void chunk_free(struct bide__slab *slab, struct bide__slab_chunk *chunk)
{
    struct bide__slab_arena *arena = chunk->arena;
    chunk->next = arena->unused;
    arena->unused = chunk;
    arena->n_used--;
    if (!slab->room || arena->number < slab->room->number)
        slab->room = arena;
    if (arena->n_used == 0 && arena->bytes > ARENA_BYTES_KEPT)
        arena_free(slab, arena);
}

void *bide__slab_take(struct bide__slab *slab, size_t size)
{
    assert(size > 0 && size <= BIDE__SLAB_SIZE_MAX);
    struct bide__slab_chunk **ring = &slab->classes[class_of(size)];
    struct bide__slab_chunk *chunk = *ring;
    if (!chunk) {
        chunk = chunk_new(slab, bide__slab_round(size));
        if (!chunk)
            return NULL;
        ring_add(ring, chunk);
    }
    struct piece *piece = chunk->given;
    if (piece)
        chunk->given = piece->next;
    else
        piece = (void *)((char *)(chunk + 1) + (size_t)chunk->n_fresh++ * chunk->size);
    if (++chunk->n_used == chunk->n_max)
        ring_remove(ring, chunk);
    return piece;
}

void bide__slab_give(struct bide__slab *slab, void *memory)
{
    struct piece *piece = memory;
    struct bide__slab_chunk *chunk = (void *)((uintptr_t)memory & ~(uintptr_t)(CHUNK_BYTES - 1));
    struct bide__slab_chunk **ring = &slab->classes[class_of(chunk->size)];
    assert(chunk->n_used > 0);
    piece->next = chunk->given;
    chunk->given = piece;
    if (chunk->n_used-- == chunk->n_max)
        ring_add(ring, chunk);
    if (chunk->n_used > 0)
        return;
    bool is_last = chunk->next == chunk;
    if (is_last && chunk->arena->bytes <= ARENA_BYTES_KEPT) /* it may be wanted at once */
        return;
    ring_remove(ring, chunk);
    chunk_free(slab, chunk);
}

void bide__slab_free(struct bide__slab *slab)
{
    while (slab->oldest)
        arena_free(slab, slab->oldest);
}
