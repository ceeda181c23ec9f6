/*
 * Scenario: pieces of all sizes taken and given back in random order, compared with a list of what
 * is held; many at once and none; no memory. Claim: no two pieces overlap, each is aligned as its
 * size allows and keeps its bytes, a class wastes no more than its rounding, and after a peak
 * nearly all memory goes back.
 */
#include <stdint.h>
#include <string.h>

#include "fault.h"
#include "runtime/slab.h"
#include "test.h"

struct held {
    unsigned char *piece;
    size_t size;
    unsigned char mark;
};

static void check_held(const struct held *held)
{
    for (size_t i = 0; i < held->size; i++)
        CHECK_INT(held->piece[i], held->mark);
}

static struct held take(struct bide__slab *slab, size_t size, unsigned char mark)
{
    struct held held = {bide__slab_take(slab, size), size, mark};
    CHECK(held.piece);
    CHECK_INT((uintptr_t)held.piece % (size % 16 ? 8 : 16), 0);
    memset(held.piece, mark, size);
    return held;
}

BIDE_TEST(pieces_at_random_keep_their_bytes)
{
    enum { HELD = 500, STEPS = 40000 };
    static struct held held[HELD];
    struct bide__slab slab = {0};
    uint64_t state = test_seed();
    for (int step = 0; step < STEPS; step++) {
        struct held *one = &held[test_random(&state) % HELD];
        if (one->piece) {
            check_held(one);
            bide__slab_give(&slab, one->piece);
            one->piece = NULL;
        } else {
            size_t max = test_random(&state) % 3 ? 600 : BIDE__SLAB_SIZE_MAX;
            *one = take(&slab, test_random(&state) % max + 1, (unsigned char)step);
        }
    }
    for (int i = 0; i < HELD; i++) {
        if (!held[i].piece)
            continue;
        check_held(&held[i]);
        bide__slab_give(&slab, held[i].piece);
    }
    bide__slab_free(&slab);
    CHECK_INT(slab.bytes, 0);
}

BIDE_TEST(every_size)
{
    struct bide__slab slab = {0};
    for (size_t size = 1; size <= BIDE__SLAB_SIZE_MAX; size++) {
        struct held a = take(&slab, size, 1);
        struct held b = take(&slab, size, 2);
        check_held(&a);
        check_held(&b);
        CHECK_RANGE(bide__slab_round(size), size, size + 63);
        bide__slab_give(&slab, a.piece);
        bide__slab_give(&slab, b.piece);
    }
    bide__slab_free(&slab);
}

BIDE_TEST(memory_goes_back_after_a_peak)
{
    enum { N = 100000, SIZE = 200 };
    struct bide__slab slab = {0};
    unsigned char **pieces = malloc(N * sizeof *pieces);
    CHECK(pieces);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++)
            pieces[i] = take(&slab, SIZE, (unsigned char)i).piece;
        CHECK_RANGE(slab.bytes, (size_t)N * SIZE, (size_t)N * SIZE * 2 + ((size_t)32 << 20));
        for (int i = 0; i < N; i++) {
            CHECK_INT(pieces[i][SIZE - 1], i % 256);
            bide__slab_give(&slab, pieces[i]);
        }
        CHECK_RANGE(slab.bytes, 0, 4 << 20);
    }
    bide__slab_free(&slab);
    free(pieces);
}

BIDE_TEST(no_memory)
{
    for (unsigned long n = 1;; n++) {
        struct bide__slab slab = {0};
        fault_arm(FAULT_ALLOCATION, n, 0);
        void *piece = bide__slab_take(&slab, 100);
        bool failed = fault_disarm();
        CHECK_INT(!piece, failed);
        piece = bide__slab_take(&slab, 100);
        CHECK(piece);
        bide__slab_free(&slab);
        if (!failed)
            break;
    }
}
