/*
 * Stacks for fibers, cut from regions. A slot of a region is fresh (never handed out), held, hot
 * (put back, its pages still there, linked into the pool's list) or cold (put back, its pages given
 * to the kernel, a bit in the region).
 *
 * Invariants
 *  - Slots are handed out hot first, then cold, then fresh, and from older regions before younger
 *    ones, so that younger regions fall empty.
 *  - Slots below region->guarded have their guard; those from region->fresh on have never been
 *    touched.
 *  - A hot stack's link is in its own top page, which is resident anyhow. Nothing else in an unused
 *    stack is read or written.
 *  - pool->regions is sorted from old to young, and none before pool->room has a slot to hand out.
 */
#include "fiber/stack.h"

#include "base/watched.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#if BIDE__ASAN
#include <sanitizer/asan_interface.h>
#endif
#if BIDE__VALGRIND
#include <valgrind/memcheck.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
/* One call for many guards; where the C library lacks it they are made one by one. */
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 36)
#define HAVE_PROCESS_MADVISE 1
#else
#define HAVE_PROCESS_MADVISE 0
#endif

#define PIDFD_OWN_PROCESS (-10000) /* PIDFD_SELF_THREAD_GROUP */
#define REGION_SLOTS_MIN 64
#define REGION_BYTES_MAX ((size_t)256 << 20)
#define GUARD_BYTES_MAX ((size_t)64 << 10)
#define GUARD_BATCH 16
#define SPARSE_FRACTION 8

/* How guards are made. Each is tried until the kernel refuses it, then the next. */
enum guard_method { GUARD_UNTRIED, GUARD_BATCHES, GUARD_SINGLY, GUARD_MPROTECT };

struct bide__stack_region {
    char *base;
    size_t slots;
    size_t guarded;
    size_t fresh;
    size_t cold;  /* bits in the first bitmap */
    size_t stale; /* bits in the second: slots on their way from hot to cold */
    size_t hot;   /* counted by a trim, when it needs it */
    size_t guard_size;
    bool single; /* one stack of a size of its own; not among the pool's regions */
    bool queued;
    struct bide__stack_region *next_queued;
    uint64_t bits[]; /* two bitmaps */
};

/* The end of a hot stack. */
struct link {
    struct link *above; /* hotter; not maintained in the hottest */
    struct link *below; /* colder; NULL in the coldest */
    struct bide__stack_region *region;
    void *unused; /* keeps what lies above aligned */
};

struct bide__stack_pool {
    struct link *hottest;
    struct link *coldest; /* undefined while there is no hot stack */
    size_t hot;
    size_t busy; /* held or hot, so that taking a hot one changes one number only */
    size_t size; /* of a slot: guard and usable */
    size_t usable;
    size_t guard_size;
    size_t page_size;
    enum guard_method guard_method;
    struct bide__stack_region **regions;
    size_t region_count;
    size_t region_capacity;
    size_t room;
    size_t slots;
    size_t trimmed; /* since strays were last given up */
    bool on_valgrind;
};

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

static size_t guard_size_for(size_t size, size_t page_size)
{
    size_t quarter = size / 4 / page_size * page_size;
    if (quarter > GUARD_BYTES_MAX)
        quarter = GUARD_BYTES_MAX;
    return quarter > page_size ? quarter : page_size;
}

static size_t bitmap_words(const struct bide__stack_region *region)
{
    return (region->slots + 63) / 64;
}

static uint64_t *cold_bits(struct bide__stack_region *region)
{
    return region->bits;
}

static uint64_t *stale_bits(struct bide__stack_region *region)
{
    return region->bits + bitmap_words(region);
}

/*
 * The memory checkers' view: an unused stack is out of bounds, but for its link; a new owner finds
 * no old values.
 */
static void mark_new(const struct bide__stack_pool *pool, struct bide__stack stack)
{
    (void)pool;
    (void)stack;
#if BIDE__VALGRIND
    if (pool->on_valgrind)
        VALGRIND_MAKE_MEM_UNDEFINED(stack.low, stack.top - stack.low);
#endif
}

static bool is_watched(const struct bide__stack_pool *pool)
{
    return BIDE__ASAN || pool->on_valgrind;
}

__attribute__((cold, noinline)) static void mark_used(const struct bide__stack_pool *pool,
                                                      struct bide__stack stack)
{
#if BIDE__ASAN
    __asan_unpoison_memory_region(stack.low, (size_t)(stack.top - stack.low));
#endif
    mark_new(pool, stack);
}

__attribute__((cold, noinline)) static void mark_unused(const struct bide__stack_pool *pool,
                                                        struct bide__stack stack)
{
    mark_used(pool, stack);
#if BIDE__ASAN
    __asan_poison_memory_region(stack.low, pool->usable - sizeof(struct link));
#endif
#if BIDE__VALGRIND
    if (pool->on_valgrind)
        VALGRIND_MAKE_MEM_NOACCESS(stack.low, pool->usable - sizeof(struct link));
#endif
}

static void unmap(char *base, size_t size)
{
#if BIDE__ASAN
    __asan_unpoison_memory_region(base, size);
#endif
    /* Splitting a mapping can fail for want of another; then the memory goes back, and only
     * addresses are lost. */
    if (munmap(base, size) < 0)
        madvise(base, size, MADV_DONTNEED);
}

static char *map(size_t size)
{
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    madvise(base, size, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses it, rightly */
    return base;
}

/* Emulators answer success to advice that they do not know. A system call that should write into
 * the guard must fault. */
static bool guard_is_there(void *guard)
{
    return getrusage(RUSAGE_SELF, guard) < 0 && errno == EFAULT;
}

/* Valgrind does not know the call that takes a list, and would say so each time. */
static bool takes_lists(const struct bide__stack_pool *pool)
{
#if BIDE__VALGRIND
    if (pool->on_valgrind)
        return false;
#endif
    (void)pool;
    return HAVE_PROCESS_MADVISE;
}

static int guard_one(struct bide__stack_pool *pool, char *guard, size_t size)
{
    while (pool->guard_method != GUARD_MPROTECT) {
        if (madvise(guard, size, MADV_GUARD_INSTALL) == 0) {
            if (pool->guard_method != GUARD_UNTRIED)
                return 0;
            if (guard_is_there(guard)) {
                pool->guard_method = takes_lists(pool) ? GUARD_BATCHES : GUARD_SINGLY;
                return 0;
            }
        } else if (errno != EINVAL) {
            return -ENOMEM;
        }
        pool->guard_method = GUARD_MPROTECT;
    }
    return mprotect(guard, size, PROT_NONE) < 0 ? -ENOMEM : 0;
}

/*
 * Guards as many slots ahead as the region has guarded already, up to a limit: a list costs 640 ns
 * a guard, single calls 1,000. Returns whether it guarded any.
 */
static bool guard_batch(struct bide__stack_pool *pool, struct bide__stack_region *region)
{
    size_t count = region->guarded < GUARD_BATCH ? region->guarded : GUARD_BATCH;
    if (count > region->slots - region->guarded)
        count = region->slots - region->guarded;
    if (pool->guard_method != GUARD_BATCHES || count < 2)
        return false;
#if HAVE_PROCESS_MADVISE
    struct iovec list[GUARD_BATCH];
    for (size_t i = 0; i < count; i++) {
        list[i].iov_base = region->base + (region->guarded + i) * pool->size;
        list[i].iov_len = region->guard_size;
    }
    ssize_t done = process_madvise(PIDFD_OWN_PROCESS, list, count, MADV_GUARD_INSTALL, 0);
    if (done >= (ssize_t)region->guard_size) {
        region->guarded += (size_t)done / region->guard_size;
        return true;
    }
#endif
    pool->guard_method = GUARD_SINGLY;
    return false;
}

static int guard_next(struct bide__stack_pool *pool, struct bide__stack_region *region)
{
    if (guard_batch(pool, region))
        return 0;
    int rc = guard_one(pool, region->base + region->guarded * pool->size, region->guard_size);
    if (rc < 0)
        return rc;
    region->guarded++;
    return 0;
}

static struct bide__stack_region *region_new(size_t slots)
{
    size_t words = (slots + 63) / 64 * 2;
    struct bide__stack_region *region = malloc(sizeof(*region) + words * sizeof(uint64_t));
    if (!region)
        return NULL;
    *region = (struct bide__stack_region){.slots = slots};
    memset(region->bits, 0, words * sizeof(uint64_t));
    return region;
}

static int grow_region_array(struct bide__stack_pool *pool)
{
    if (pool->region_count < pool->region_capacity)
        return 0;
    size_t capacity = pool->region_capacity ? pool->region_capacity * 2 : 8;
    struct bide__stack_region **regions = realloc(pool->regions, capacity * sizeof(*regions));
    if (!regions)
        return -ENOMEM;
    pool->regions = regions;
    pool->region_capacity = capacity;
    return 0;
}

/* Doubles the pool, within limits; where address space is short, takes what there is. */
static int add_region(struct bide__stack_pool *pool, struct bide__stack_region **ret_region)
{
    if (grow_region_array(pool) < 0)
        return -ENOMEM;
    size_t most = REGION_BYTES_MAX / pool->size;
    size_t slots = pool->slots > REGION_SLOTS_MIN ? pool->slots : REGION_SLOTS_MIN;
    if (slots > most)
        slots = most > 0 ? most : 1;
    struct bide__stack_region *region = region_new(slots);
    if (!region)
        return -ENOMEM;
    while (!(region->base = map(region->slots * pool->size)) && region->slots > 1)
        region->slots /= 2;
    if (!region->base) {
        free(region);
        return -ENOMEM;
    }
    region->guard_size = pool->guard_size;
    pool->slots += region->slots;
    pool->regions[pool->region_count++] = region;
    *ret_region = region;
    return 0;
}

static void free_region(struct bide__stack_pool *pool, struct bide__stack_region *region)
{
    unmap(region->base, region->slots * pool->size);
    free(region);
}

static size_t take_cold(struct bide__stack_region *region)
{
    uint64_t *word = cold_bits(region);
    while (*word == 0)
        word++;
    size_t slot = (size_t)(word - cold_bits(region)) * 64 + (size_t)__builtin_ctzll(*word);
    *word &= *word - 1;
    region->cold--;
    return slot;
}

static int get_from_region(struct bide__stack_pool *pool, struct bide__stack *ret_stack)
{
    struct bide__stack_region *region = NULL;
    while (pool->room < pool->region_count && !region) {
        struct bide__stack_region *next = pool->regions[pool->room];
        if (next->cold > 0 || next->fresh < next->slots)
            region = next;
        else
            pool->room++;
    }
    if (!region && add_region(pool, &region) < 0)
        return -ENOMEM;
    size_t slot;
    bool used_before = region->cold > 0;
    if (used_before) {
        slot = take_cold(region);
    } else {
        if (region->fresh == region->guarded && guard_next(pool, region) < 0)
            return -ENOMEM;
        slot = region->fresh++;
    }
    *ret_stack = (struct bide__stack){
        .region = region,
        .low = region->base + slot * pool->size + region->guard_size,
        .top = region->base + (slot + 1) * pool->size,
    };
    if (used_before)
        mark_used(pool, *ret_stack);
    else
        mark_new(pool, *ret_stack);
    pool->busy++;
    return 0;
}

static int get_single(struct bide__stack_pool *pool, size_t size, struct bide__stack *ret_stack)
{
    struct bide__stack_region *region = region_new(1);
    if (!region)
        return -ENOMEM;
    region->single = true;
    region->guard_size = guard_size_for(size, pool->page_size);
    region->base = map(size);
    if (!region->base) {
        free(region);
        return -ENOMEM;
    }
    int rc = guard_one(pool, region->base, region->guard_size);
    if (rc < 0) {
        unmap(region->base, size);
        free(region);
        return rc;
    }
    *ret_stack = (struct bide__stack){
        .region = region,
        .low = region->base + region->guard_size,
        .top = region->base + size,
    };
    mark_new(pool, *ret_stack);
    pool->busy++;
    return 0;
}

static int whole_size(size_t size, size_t page_size, size_t *ret_size)
{
    if (size < BIDE__STACK_SIZE_MIN || size > BIDE__STACK_SIZE_MAX)
        return -EINVAL;
    size = round_up(size, page_size);
    *ret_size = size > 2 * page_size ? size : 2 * page_size;
    return 0;
}

__attribute__((noinline)) static int get_slowly(struct bide__stack_pool *pool, size_t size,
                                                struct bide__stack *ret_stack)
{
    if (size != 0) {
        int rc = whole_size(size, pool->page_size, &size);
        if (rc < 0)
            return rc;
        if (size != pool->size)
            return get_single(pool, size, ret_stack);
        if (pool->hottest)
            return bide__stack_get(pool, 0, ret_stack);
    }
    return get_from_region(pool, ret_stack);
}

int bide__stack_get(struct bide__stack_pool *pool, size_t size, struct bide__stack *ret_stack)
{
    struct link *link = pool->hottest;
    if (size != 0 || !link)
        return get_slowly(pool, size, ret_stack);
    pool->hottest = link->below;
    pool->hot--;
    char *top = (char *)(link + 1);
    ret_stack->top = top;
    ret_stack->low = top - pool->usable;
    ret_stack->region = link->region;
    if (is_watched(pool))
        mark_used(pool, *ret_stack);
    return 0;
}

__attribute__((cold, noinline)) static void put_single(struct bide__stack_pool *pool,
                                                       struct bide__stack stack)
{
    pool->busy--;
    unmap(stack.region->base, (size_t)(stack.top - stack.region->base));
    free(stack.region);
}

void bide__stack_put(struct bide__stack_pool *pool, struct bide__stack stack)
{
    assert(pool->busy > pool->hot);
    if (stack.region->single) {
        put_single(pool, stack);
        return;
    }
    if (is_watched(pool))
        mark_unused(pool, stack);
    struct link *link = (struct link *)(void *)stack.top - 1;
    link->below = pool->hottest;
    link->region = stack.region;
    if (pool->hottest)
        pool->hottest->above = link;
    else
        pool->coldest = link;
    pool->hottest = link;
    pool->hot++;
}

/* Takes a hot stack that has been unlinked out of use, and queues its region for what comes after.
 */
static void make_stale(struct bide__stack_pool *pool, const struct link *link,
                       struct bide__stack_region **queue)
{
    struct bide__stack_region *region = link->region;
    size_t slot = (size_t)((const char *)link - region->base) / pool->size;
    stale_bits(region)[slot / 64] |= (uint64_t)1 << slot % 64;
    region->stale++;
    pool->hot--;
    pool->busy--;
    if (!region->queued) {
        region->queued = true;
        region->next_queued = *queue;
        *queue = region;
    }
}

static bool is_stale(struct bide__stack_region *region, size_t slot)
{
    return stale_bits(region)[slot / 64] >> slot % 64 & 1;
}

/* Gives the pages of stale slots back, neighbours in one call: that is several times cheaper than
 * one by one. */
static void release_stale(struct bide__stack_pool *pool, struct bide__stack_region *region)
{
    for (size_t slot = 0; slot < region->fresh; slot++) {
        if (stale_bits(region)[slot / 64] == 0) {
            slot |= 63;
            continue;
        }
        if (!is_stale(region, slot))
            continue;
        size_t first = slot;
        while (slot < region->fresh && is_stale(region, slot))
            slot++;
        madvise(region->base + first * pool->size + region->guard_size,
                (slot - first) * pool->size - region->guard_size, MADV_DONTNEED);
    }
    for (size_t i = 0; i < bitmap_words(region); i++) {
        cold_bits(region)[i] |= stale_bits(region)[i];
        stale_bits(region)[i] = 0;
    }
    region->cold += region->stale;
    region->stale = 0;
}

/* Pages of the regions in the queue go back to the kernel, and regions of which nothing is in use
 * any more, with them. */
static void settle(struct bide__stack_pool *pool, struct bide__stack_region *queue)
{
    bool emptied = false;
    for (; queue; queue = queue->next_queued) {
        queue->queued = false;
        if (queue->cold + queue->stale < queue->fresh || queue == pool->regions[0])
            release_stale(pool, queue);
        else
            emptied = true;
    }
    pool->room = 0;
    if (!emptied)
        return;
    size_t kept = 1;
    for (size_t i = 1; i < pool->region_count; i++) {
        struct bide__stack_region *region = pool->regions[i];
        if (region->cold + region->stale == region->fresh && region->stale > 0) {
            pool->slots -= region->slots;
            free_region(pool, region);
        } else {
            pool->regions[kept++] = region;
        }
    }
    pool->region_count = kept;
}

/* A peak is over: most of what is mapped is unused, and there was enough trimming to pay for a look
 * at what is left. */
static bool is_sparse(const struct bide__stack_pool *pool)
{
    return pool->region_count > 1 && pool->trimmed >= pool->hot &&
           pool->slots / SPARSE_FRACTION > pool->busy;
}

static bool worth_keeping(const struct bide__stack_pool *pool,
                          const struct bide__stack_region *region)
{
    bool nothing_held = region->cold + region->hot == region->fresh;
    return region == pool->regions[0] || !nothing_held ||
           region->hot >= region->slots / SPARSE_FRACTION;
}

/* After a peak the hottest stacks are strewn over all regions, and their page tables would stay for
 * a few stacks each. */
static void give_up_strays(struct bide__stack_pool *pool)
{
    pool->trimmed = 0;
    for (size_t i = 0; i < pool->region_count; i++)
        pool->regions[i]->hot = 0;
    for (struct link *link = pool->hottest; link; link = link->below)
        link->region->hot++;
    struct bide__stack_region *queue = NULL;
    struct link *kept = NULL;
    struct link *below;
    for (struct link *link = pool->hottest; link; link = below) {
        below = link->below;
        if (!worth_keeping(pool, link->region)) {
            make_stale(pool, link, &queue);
            continue;
        }
        link->above = kept;
        if (kept)
            kept->below = link;
        else
            pool->hottest = link;
        kept = link;
    }
    if (kept)
        kept->below = NULL;
    else
        pool->hottest = NULL;
    pool->coldest = kept;
    settle(pool, queue);
}

void bide__stack_pool_trim(struct bide__stack_pool *pool, size_t keep)
{
    if (pool->hot <= keep)
        return;
    pool->trimmed += pool->hot - keep;
    struct bide__stack_region *queue = NULL;
    while (pool->hot > keep) {
        struct link *link = pool->coldest;
        pool->coldest = link->above;
        make_stale(pool, link, &queue);
    }
    if (keep > 0)
        pool->coldest->below = NULL;
    else
        pool->hottest = NULL;
    settle(pool, queue);
    if (is_sparse(pool))
        give_up_strays(pool);
}

int bide__stack_pool_new(size_t size_default, struct bide__stack_pool **ret_pool)
{
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    size_t size;
    int rc = whole_size(size_default ? size_default : BIDE__STACK_SIZE_DEFAULT, page_size, &size);
    if (rc < 0)
        return rc;
    struct bide__stack_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->page_size = page_size;
    pool->size = size;
    pool->guard_size = guard_size_for(size, page_size);
    pool->usable = size - pool->guard_size;
    const char *guard = getenv("BIDE_STACK_GUARD");
    if (guard && strcmp(guard, "mprotect") == 0)
        pool->guard_method = GUARD_MPROTECT;
    pool->on_valgrind = bide__on_valgrind();
    *ret_pool = pool;
    return 0;
}

void bide__stack_pool_free(struct bide__stack_pool *pool)
{
    if (!pool)
        return;
    assert(pool->busy == pool->hot);
    for (size_t i = 0; i < pool->region_count; i++)
        free_region(pool, pool->regions[i]);
    free(pool->regions);
    free(pool);
}

size_t bide__stack_pool_held(const struct bide__stack_pool *pool)
{
    return pool->busy - pool->hot;
}

size_t bide__stack_pool_cached(const struct bide__stack_pool *pool)
{
    return pool->hot;
}

bool bide__stack_guards(struct bide__stack stack, const void *address)
{
    uintptr_t low = (uintptr_t)stack.low;
    uintptr_t at = (uintptr_t)address;
    return at < low && at >= low - stack.region->guard_size;
}

size_t bide__stack_used_bytes(struct bide__stack stack)
{
    enum { PAGES_AT_ONCE = 256 };
    unsigned char resident[PAGES_AT_ONCE];
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = ((size_t)(stack.top - stack.low) + page_size - 1) / page_size;
    for (size_t done = 0; done < pages; done += PAGES_AT_ONCE) {
        size_t count = pages - done < PAGES_AT_ONCE ? pages - done : PAGES_AT_ONCE;
        char *from = stack.low + done * page_size;
        if (mincore(from, count * page_size, resident) < 0)
            return 0;
        for (size_t i = 0; i < count; i++) {
            if (resident[i] & 1)
                return (size_t)(stack.top - from) - i * page_size;
        }
    }
    return 0;
}
