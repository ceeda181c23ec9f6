/*
 * Scenario: stacks taken, filled, overrun, put back, trimmed and taken again, with both kinds of
 * guard and with every call that can fail failing. Claim: a held stack is whole and guarded, the
 * last one put back comes first, and what was given up is the kernel's again.
 */
#include "fiber/stack.h"

#include "base/watched.h"
#include "fault.h"
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, GUARD = 16 * 1024 }; /* of the default size, where pages are 4 KiB */

static struct bide__stack_pool *new_pool(size_t size)
{
    struct bide__stack_pool *pool;
    CHECK_INT(bide__stack_pool_new(size, &pool), 0);
    return pool;
}

static struct bide__stack get(struct bide__stack_pool *pool, size_t size)
{
    struct bide__stack stack;
    CHECK_INT(bide__stack_get(pool, size, &stack), 0);
    return stack;
}

static void use_mprotect(void)
{
    setenv("BIDE_STACK_GUARD", "mprotect", 1);
}

static bool is_mapped(const char *page)
{
    unsigned char resident;
    return mincore((void *)(uintptr_t)page, PAGE, &resident) == 0;
}

/* Pages of a stack, whether it is held or not, that take memory. */
static size_t resident_pages(struct bide__stack stack)
{
    enum { PAGES = BIDE__STACK_SIZE_DEFAULT / PAGE };
    unsigned char resident[PAGES];
    size_t pages = (size_t)(stack.top - stack.low) / PAGE;
    if (mincore(stack.low, pages * PAGE, resident) < 0)
        return 0;
    size_t count = 0;
    for (size_t i = 0; i < pages; i++)
        count += resident[i] & 1;
    return count;
}

/* Pages that the process has mapped. */
static size_t mapped_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file);
    size_t pages;
    CHECK_INT(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    return pages;
}

static void fill(struct bide__stack stack)
{
    memset(stack.low, 0x33, (size_t)(stack.top - stack.low));
}

BIDE_TEST(a_stack_is_whole_aligned_and_apart_from_the_others)
{
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack stacks[200];
    for (int i = 0; i < 200; i++) {
        stacks[i] = get(pool, 0);
        CHECK_INT((uintptr_t)stacks[i].low % PAGE, 0);
        CHECK_INT((uintptr_t)stacks[i].top % PAGE, 0);
        CHECK_INT(stacks[i].top - stacks[i].low, BIDE__STACK_SIZE_DEFAULT - GUARD);
        fill(stacks[i]);
        stacks[i].low[0] = (char)i;
        stacks[i].top[-1] = (char)i;
    }
    CHECK_INT(bide__stack_pool_held(pool), 200);
    for (int i = 0; i < 200; i++) {
        CHECK_INT(stacks[i].low[0], (char)i);
        CHECK_INT(stacks[i].top[-1], (char)i);
        bide__stack_put(pool, stacks[i]);
    }
    CHECK_INT(bide__stack_pool_held(pool), 0);
    CHECK_INT(bide__stack_pool_cached(pool), 200);
    bide__stack_pool_free(pool);
    bide__stack_pool_free(NULL);
}

BIDE_TEST(the_last_one_put_back_comes_first)
{
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack stacks[10];
    for (int i = 0; i < 10; i++)
        stacks[i] = get(pool, 0);
    static const int order[] = {3, 9, 0, 1, 8, 7, 2};
    for (int i = 0; i < 7; i++)
        bide__stack_put(pool, stacks[order[i]]);
    for (int i = 6; i >= 3; i--)
        CHECK_PTR(get(pool, 0).low, stacks[order[i]].low);
    bide__stack_put(pool, stacks[8]);
    CHECK_PTR(get(pool, 0).low, stacks[8].low);
    for (int i = 2; i >= 0; i--)
        CHECK_PTR(get(pool, 0).low, stacks[order[i]].low);
    CHECK_INT(bide__stack_pool_cached(pool), 0);
    for (int i = 0; i < 10; i++)
        bide__stack_put(pool, stacks[i]);
    bide__stack_pool_free(pool);
}

BIDE_TEST(sizes_are_rounded_up_and_bounded)
{
    struct bide__stack_pool *pool;
    CHECK_INT(bide__stack_pool_new(BIDE__STACK_SIZE_MIN - 1, &pool), -EINVAL);
    CHECK_INT(bide__stack_pool_new((size_t)BIDE__STACK_SIZE_MAX + 1, &pool), -EINVAL);
    pool = new_pool(BIDE__STACK_SIZE_MIN + 1);
    struct bide__stack stack = get(pool, 0);
    CHECK_INT(stack.top - stack.low, BIDE__STACK_SIZE_MIN); /* one page more, which is the guard */
    fill(stack);
    struct bide__stack same = get(pool, BIDE__STACK_SIZE_MIN + PAGE);
    CHECK_PTR(same.region, stack.region);
    bide__stack_put(pool, stack);
    struct bide__stack other = {0};
    CHECK_INT(bide__stack_get(pool, 1, &other), -EINVAL);
    CHECK_INT(bide__stack_get(pool, (size_t)BIDE__STACK_SIZE_MAX + 1, &other), -EINVAL);
    CHECK_PTR(other.low, NULL);
    CHECK_INT(bide__stack_pool_held(pool), 1);
    bide__stack_put(pool, same);
    bide__stack_pool_free(pool);
}

BIDE_TEST(a_stack_of_another_size_has_a_mapping_of_its_own)
{
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack usual = get(pool, 0);
    struct bide__stack large = get(pool, (1 << 20) + 1);
    CHECK_INT(large.top - large.low, (1 << 20) + PAGE - 64 * 1024);
    fill(large);
    struct bide__stack largest = get(pool, BIDE__STACK_SIZE_MAX);
    largest.low[0] = 1;
    largest.top[-1] = 1;
    bide__stack_put(pool, large);
    bide__stack_put(pool, largest);
    CHECK(!is_mapped(large.low));
    CHECK(!is_mapped(large.top - PAGE));
    CHECK(!is_mapped(largest.low));
    CHECK_INT(bide__stack_pool_cached(pool), 0);
    CHECK_INT(bide__stack_pool_held(pool), 1);
    bide__stack_put(pool, usual);
    bide__stack_pool_free(pool);
}

BIDE_TEST(a_pool_of_the_largest_size_works)
{
    struct bide__stack_pool *pool = new_pool(BIDE__STACK_SIZE_MAX);
    struct bide__stack one = get(pool, 0);
    struct bide__stack two = get(pool, 0);
    one.low[0] = 1;
    two.top[-1] = 1;
    bide__stack_put(pool, one);
    bide__stack_put(pool, two);
    bide__stack_pool_free(pool);
}

BIDE_TEST(the_guard_is_what_lies_just_below)
{
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack one = get(pool, 0);
    struct bide__stack two = get(pool, 0);
    CHECK(bide__stack_guards(one, one.low - 1));
    CHECK(bide__stack_guards(one, one.low - GUARD));
    CHECK(!bide__stack_guards(one, one.low - GUARD - 1));
    CHECK(!bide__stack_guards(one, one.low));
    CHECK(!bide__stack_guards(one, one.top));
    CHECK(!bide__stack_guards(one, two.low - 1));
    CHECK(!bide__stack_guards(one, NULL));
    bide__stack_put(pool, one);
    bide__stack_put(pool, two);
    bide__stack_pool_free(pool);
}

__attribute__((no_sanitize("address"), no_sanitize("thread"))) static void touch(void *argument)
{
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)argument = 1;
}

static void check_guarded(struct bide__stack stack)
{
    int status = test_child(touch, stack.low - 1, NULL, 0);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGSEGV);
    status = test_child(touch, stack.low - GUARD, NULL, 0);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGSEGV);
    CHECK_INT(test_child(touch, stack.low, NULL, 0), 0);
}

/* Guards made one by one, in lists of every length, and over the ends of regions. */
static void check_many_guards(void)
{
    enum { MANY = 200 };
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack stacks[MANY];
    for (int i = 0; i < MANY; i++)
        stacks[i] = get(pool, 0);
    int thinned = test_slowness() >= 10 ? 20 : 1; /* each death is a process */
    for (int i = 0; i < MANY; i += (i < 70 ? 3 : 13) * thinned)
        check_guarded(stacks[i]);
    for (int i = 0; i < MANY; i++) {
        fill(stacks[i]);
        bide__stack_put(pool, stacks[i]);
    }
    bide__stack_pool_trim(pool, 2);
    for (int i = 0; i < MANY; i++)
        stacks[i] = get(pool, 0);
    for (int i = 0; i < MANY; i += 17 * thinned)
        check_guarded(stacks[i]);
    for (int i = 0; i < MANY; i++)
        bide__stack_put(pool, stacks[i]);
    struct bide__stack single = get(pool, 65 * 1024);
    check_guarded(single);
    bide__stack_put(pool, single);
    bide__stack_pool_free(pool);
}

BIDE_TEST(touching_a_guard_is_death)
{
    check_many_guards();
}

BIDE_TEST(touching_a_protected_guard_is_death)
{
    use_mprotect();
    check_many_guards();
}

static void check_trim_gives_memory_back(void)
{
    enum { MANY = 300, KEPT = 100, PAGES = (BIDE__STACK_SIZE_DEFAULT - GUARD) / PAGE };
    struct bide__stack stacks[MANY];
    struct bide__stack_pool *pool = new_pool(0);
    for (int i = 0; i < MANY; i++) {
        stacks[i] = get(pool, 0);
        fill(stacks[i]);
        CHECK_INT(resident_pages(stacks[i]), PAGES);
    }
    for (int i = 0; i < MANY; i++)
        bide__stack_put(pool, stacks[(i * 7) % MANY]);
    bide__stack_pool_trim(pool, MANY);
    CHECK_INT(bide__stack_pool_cached(pool), MANY);
    bide__stack_pool_trim(pool, KEPT);
    CHECK_INT(bide__stack_pool_cached(pool), KEPT);
    for (int i = 0; i < MANY; i++) {
        size_t expected = i < MANY - KEPT ? 0 : PAGES;
        CHECK_INT(resident_pages(stacks[(i * 7) % MANY]), expected);
    }
    bide__stack_pool_trim(pool, 0);
    CHECK_INT(bide__stack_pool_cached(pool), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(resident_pages(stacks[i]), 0);
        CHECK_INT(is_mapped(stacks[i].low), i < 64); /* the first region stays */
    }
    struct bide__stack again = get(pool, 0);
    fill(again);
    bide__stack_put(pool, again);
    bide__stack_pool_free(pool);
    CHECK(!is_mapped(again.low));
}

BIDE_TEST(a_trim_gives_memory_back)
{
    check_trim_gives_memory_back();
}

BIDE_TEST(a_trim_gives_memory_back_between_protected_guards)
{
    use_mprotect();
    check_trim_gives_memory_back();
}

BIDE_TEST(a_trim_keeps_the_hottest_in_order)
{
    enum { MANY = 50, KEPT = 5 };
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack stacks[MANY];
    for (int i = 0; i < MANY; i++)
        stacks[i] = get(pool, 0);
    for (int i = 0; i < MANY; i++) {
        stacks[i].low[0] = 1;
        bide__stack_put(pool, stacks[i]);
    }
    bide__stack_pool_trim(pool, KEPT);
    CHECK_INT(bide__stack_pool_cached(pool), KEPT);
    bide__stack_pool_trim(pool, KEPT);
    for (int i = 0; i < KEPT; i++) {
        struct bide__stack hot = get(pool, 0);
        CHECK_PTR(hot.low, stacks[MANY - 1 - i].low);
    }
    /* What comes next was used once and given back: zero again, and no new memory. */
    for (int i = 0; i < MANY - KEPT; i++) {
        struct bide__stack cold = get(pool, 0);
        int place = 0;
        while (place < MANY && stacks[place].low != cold.low)
            place++;
        CHECK_RANGE(place, 0, MANY - KEPT - 1);
        if (!bide__on_valgrind()) /* to which it is undefined, as it should be */
            CHECK_INT(cold.low[0], 0);
    }
    for (int i = 0; i < MANY; i++)
        bide__stack_put(pool, stacks[i]);
    bide__stack_pool_free(pool);
}

BIDE_TEST(regions_that_fall_empty_are_unmapped)
{
    enum { MANY = 3000 };
    static struct bide__stack stacks[MANY];
    static char *pages[MANY];
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack first = get(pool, 0);
    for (int i = 0; i < MANY; i++) {
        stacks[i] = get(pool, 0);
        stacks[i].top[-1] = 1;
        pages[i] = stacks[i].low;
    }
    uint64_t random = test_seed();
    for (int left = MANY; left > 0; left--) {
        int i = (int)(test_random(&random) % (uint64_t)left);
        bide__stack_put(pool, stacks[i]);
        stacks[i] = stacks[left - 1];
    }
    /* In steps, as a loop does. Some of the hottest lie in each region, and alone do not keep it.
     */
    for (size_t keep = MANY; keep > 20; keep -= 20)
        bide__stack_pool_trim(pool, keep);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(is_mapped(pages[i]), i < 63); /* but the first region, where one is held */
    CHECK_RANGE(bide__stack_pool_cached(pool), 0, 40);
    for (int i = 0; i < MANY; i++) {
        stacks[i] = get(pool, 0);
        stacks[i].top[-1] = 1;
    }
    for (int i = 0; i < MANY; i++)
        bide__stack_put(pool, stacks[i]);
    bide__stack_put(pool, first);
    bide__stack_pool_free(pool);
}

/* Random gets, puts and trims against a model that knows who holds what. */
BIDE_TEST(any_order_of_gets_puts_and_trims_keeps_stacks_apart)
{
    enum { MANY = 400 };
    static struct bide__stack stacks[MANY];
    size_t held = 0;
    uint64_t random = test_seed();
    struct bide__stack_pool *pool = new_pool(0);
    int steps = test_long() ? 1000000 : 30000;
    for (int step = 0; step < steps; step++) {
        /* The chance of a put swings slowly, so that the pool fills and empties. */
        uint64_t tide = (uint64_t)(step / 1500 % 2 ? 35 : 65);
        uint64_t dice = test_random(&random) % 100;
        if (test_random(&random) % 500 == 0)
            bide__stack_pool_trim(pool, test_random(&random) % 50);
        if (dice < tide && held < MANY) {
            struct bide__stack stack = get(pool, dice == 0 ? 32 * 1024 : 0);
            memcpy(stack.low, &stack, 16);
            memcpy(stack.top - 16, &stack, 16);
            stacks[held++] = stack;
        } else if (held > 0) {
            size_t i = test_random(&random) % held;
            CHECK_MEM(stacks[i].low, &stacks[i], 16);
            CHECK_MEM(stacks[i].top - 16, &stacks[i], 16);
            bide__stack_put(pool, stacks[i]);
            stacks[i] = stacks[--held];
        }
        CHECK_INT(bide__stack_pool_held(pool), held);
    }
    while (held > 0)
        bide__stack_put(pool, stacks[--held]);
    bide__stack_pool_free(pool);
}

BIDE_TEST(used_bytes_count_down_to_the_lowest_page_touched)
{
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack stack = get(pool, 0);
    CHECK_INT(bide__stack_used_bytes(stack), 0);
    stack.top[-1] = 1;
    CHECK_INT(bide__stack_used_bytes(stack), PAGE);
    stack.top[-3 * PAGE - 1] = 1;
    CHECK_INT(bide__stack_used_bytes(stack), 4 * PAGE);
    stack.low[0] = 1;
    CHECK_INT(bide__stack_used_bytes(stack), stack.top - stack.low);
    bide__stack_put(pool, stack);
    struct bide__stack large = get(pool, 4 << 20);
    large.low[2 << 20] = 1;
    CHECK_INT(bide__stack_used_bytes(large), large.top - large.low - (2 << 20));
    bide__stack_put(pool, large);
    bide__stack_pool_free(pool);
}

/* Everything that can fail, from a new pool to its end; on failure nothing must be left. */
static int use_a_pool(void)
{
    enum { SOME = 140 };
    static struct bide__stack stacks[SOME];
    struct bide__stack_pool *pool;
    struct bide__stack single;
    int count = 0;
    int rc = bide__stack_pool_new(0, &pool);
    if (rc < 0)
        return rc;
    while (count < SOME && (rc = bide__stack_get(pool, 0, &stacks[count])) == 0) {
        stacks[count].top[-1] = 1;
        count++;
    }
    if (rc == 0 && (rc = bide__stack_get(pool, 128 * 1024, &single)) == 0) {
        single.low[0] = 1;
        bide__stack_put(pool, single);
    }
    CHECK_INT(bide__stack_pool_held(pool), count);
    while (count > 0)
        bide__stack_put(pool, stacks[--count]);
    bide__stack_pool_trim(pool, 3);
    bide__stack_pool_free(pool);
    return rc;
}

/* Emulators and checkers map memory of their own; the C library may have grown its heap. */
static void check_no_more_mapped(size_t before)
{
    if (test_slowness() == 1)
        CHECK_RANGE(mapped_pages(), 0, before + 34);
}

static void fail_each_allocation(void)
{
    CHECK_INT(use_a_pool(), 0);
    size_t before = mapped_pages();
    int failed = 0;
    for (unsigned long n = 1;; n++) {
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = use_a_pool();
        if (!fault_disarm())
            break;
        /* A region that does not fit is tried at half the size. */
        if (rc != 0 || strncmp(fault_function(), "mmap", 4) != 0)
            CHECK_INT(rc, -ENOMEM);
        failed += rc < 0;
    }
    CHECK_RANGE(failed, 6, 100);
    check_no_more_mapped(before);
}

/* With EINVAL the kernel says that it does not know the advice, and then there is another way. */
static void fail_each_call(int error)
{
    CHECK_INT(use_a_pool(), 0);
    size_t before = mapped_pages();
    for (unsigned long n = 1;; n++) {
        fault_arm(FAULT_SYSTEM, n, error);
        int rc = use_a_pool();
        if (!fault_disarm())
            break;
        bool other_way = error == EINVAL && strcmp(fault_function(), "mprotect") != 0;
        if (rc < 0)
            CHECK_INT(rc, other_way ? 0 : -ENOMEM);
    }
    check_no_more_mapped(before);
}

BIDE_TEST(every_failing_allocation_leaves_nothing)
{
    fail_each_allocation();
    use_mprotect();
    fail_each_allocation();
}

BIDE_TEST(every_failing_call_leaves_nothing)
{
    fail_each_call(ENOMEM);
    fail_each_call(EPERM);
    use_mprotect();
    fail_each_call(ENOMEM);
}

BIDE_TEST(a_kernel_that_refuses_guards_gets_pages_to_protect)
{
    fail_each_call(EINVAL);
}

#if BIDE__ASAN
static void touch_after_put(void *argument)
{
    (void)argument;
    struct bide__stack_pool *pool = new_pool(0);
    struct bide__stack stack = get(pool, 0);
    bide__stack_put(pool, stack);
    stack.low[100] = 1;
}

BIDE_TEST(address_sanitizer_sees_the_use_of_a_stack_that_was_put_back)
{
    char output[4096];
    CHECK(test_child(touch_after_put, NULL, output, sizeof(output)) != 0);
    CHECK_CONTAINS(output, "use-after-poison");
    CHECK_CONTAINS(output, "touch_after_put");
}
#endif
