/* All values of an iterator at once, filtered and changed on the way: what a comprehension is. */
#include <bide.h>

#include <stdio.h>
#include <stdlib.h>

bide_generator(int, count_to, (int, n))
{
    for (int i = 1; i <= n; i++) {
        int rc = bide_sleep(0);
        if (rc >= 0)
            rc = bide_yield(i);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int is_even(const void *item, void *data)
{
    (void)data;
    return *(const int *)item % 2 == 0;
}

static int square(const void *item, void *ret_item, void *data)
{
    int n = *(const int *)item;
    (void)data;
    *(int *)ret_item = n * n;
    return 0;
}

bide_async(amain)
{
    bide_iterator *even = bide_filter(bide_iterate(count_to, 10), is_even, NULL);
    bide_iterator *squares = bide_map(even, sizeof(int), square, NULL);
    int *numbers = NULL;
    size_t n = 0;
    int rc = bide_collect(squares, &numbers, &n, 0);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        printf("%d ", numbers[i]);
    printf("\n");
    free(numbers);

    rc = bide_collect(bide_iterate(count_to, 1000), &numbers, &n, 100);
    printf("a thousand, at most a hundred: %s\n", bide_strerror(rc));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
