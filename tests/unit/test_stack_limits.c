/*
 * Scenario: more stacks than anybody needs, up to what the kernel refuses. Claim: guards cost no
 * mappings where the kernel can make them in page tables; where it cannot, the end of the mappings
 * is an ordinary error, after which everything works on.
 */
#include "fiber/stack.h"

#include "base/watched.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static long mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    CHECK(file);
    long lines = 0;
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

/* Takes up to `most` stacks into a new array; returns how many there were. */
static size_t take(struct bide__stack_pool *pool, size_t most, struct bide__stack **ret_stacks,
                   int *ret_error)
{
    struct bide__stack *stacks = malloc(most * sizeof(*stacks));
    CHECK(stacks);
    size_t count = 0;
    *ret_error = 0;
    while (count < most && (*ret_error = bide__stack_get(pool, 0, &stacks[count])) == 0)
        count++;
    *ret_stacks = stacks;
    return count;
}

static void give_back(struct bide__stack_pool *pool, struct bide__stack *stacks, size_t count)
{
    while (count > 0)
        bide__stack_put(pool, stacks[--count]);
    free(stacks);
}

BIDE_TEST(a_hundred_thousand_stacks_are_a_few_mappings)
{
    struct bide__stack_pool *pool;
    struct bide__stack *stacks;
    int error;
    CHECK_INT(bide__stack_pool_new(0, &pool), 0);
    long before = mappings();
    size_t count = take(pool, 64, &stacks, &error);
    CHECK_INT(count, 64);
    long each_is_two = mappings() - before;
    give_back(pool, stacks, count);
    if (each_is_two < 64) { /* or this kernel has no other guards than protected pages */
        size_t many = test_slowness() > 1 ? 20000 : 100000;
        count = take(pool, many, &stacks, &error);
        CHECK_INT(error, 0);
        CHECK_INT(count, many);
        CHECK_INT(bide__stack_pool_held(pool), many);
        CHECK_RANGE(mappings() - before, 0, 100);
        for (size_t i = 0; i < count; i += 1000) {
            stacks[i].low[0] = 1;
            stacks[i].top[-1] = 1;
        }
        give_back(pool, stacks, count);
        bide__stack_pool_trim(pool, 10);
        CHECK_RANGE(mappings() - before, 0, 100);
    }
    bide__stack_pool_free(pool);
}

#if !BIDE__TSAN /* which needs mappings of its own, and dies without */
static long mappings_allowed(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    CHECK(file);
    long count;
    CHECK_INT(fscanf(file, "%ld", &count), 1);
    fclose(file);
    return count;
}

BIDE_TEST_SECONDS(the_end_of_the_mappings_is_an_error_like_another, 60)
{
    setenv("BIDE_STACK_GUARD", "mprotect", 1);
    struct bide__stack_pool *pool;
    struct bide__stack *stacks;
    int error;
    size_t most = (size_t)mappings_allowed();
    CHECK_INT(bide__stack_pool_new(0, &pool), 0);
    long before = mappings();
    size_t count = take(pool, most, &stacks, &error);
    CHECK_INT(error, -ENOMEM);
    CHECK_RANGE(count, most / 2 - 500, most / 2);
    CHECK_INT(bide__stack_pool_held(pool), count);
    for (size_t i = 0; i < count; i += 1000) {
        stacks[i].low[0] = 1;
        stacks[i].top[-1] = 1;
    }
    struct bide__stack refused = {0};
    CHECK_INT(bide__stack_get(pool, 0, &refused), -ENOMEM);
    CHECK_INT(bide__stack_get(pool, 1 << 20, &refused), -ENOMEM);
    CHECK_PTR(refused.low, NULL);
    bide__stack_put(pool, stacks[--count]);
    CHECK_INT(bide__stack_get(pool, 0, &stacks[count++]), 0);
    give_back(pool, stacks, count);
    bide__stack_pool_trim(pool, 0);
    CHECK_RANGE(mappings() - before, 0, 200);
    CHECK_INT(bide__stack_get(pool, 0, &refused), 0);
    refused.low[0] = 1;
    bide__stack_put(pool, refused);
    bide__stack_pool_free(pool);
    CHECK_RANGE(mappings() - before, -10, 100);
}
#endif
