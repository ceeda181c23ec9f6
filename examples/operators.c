/* Operators: iterators made of iterators. Each asks its source for a value when it is asked itself,
 * so that an endless source is no harm. */
#include <bide.h>

#include <stdio.h>

bide_generator(int, count_from, (int, n))
{
    for (;; n++) {
        int rc = bide_yield(n);
        if (rc < 0)
            return rc;
    }
}

struct numbered {
    size_t index;
    int item;
};

struct chunk {
    size_t n;
    int items[4];
};

struct pair {
    int left, right;
};

static int add(void *sum, const void *item, void *data)
{
    (void)data;
    *(int *)sum += *(const int *)item;
    return 0;
}

int main(void)
{
    int rc, sum = 0;
    printf("skip and take:");
    bide_for (int, n, rc, bide_take(bide_skip(bide_iterate(count_from, 1), 10), 3)) {
        printf(" %d", n);
    }
    printf("\nenumerate:");
    bide_iterator *three = bide_take(bide_iterate(count_from, 7), 3);
    bide_for (struct numbered, one, rc, bide_enumerate(three, struct numbered)) {
        printf(" %zu:%d", one.index, one.item);
    }
    printf("\nchunks:");
    bide_iterator *ten = bide_take(bide_iterate(count_from, 1), 10);
    bide_for (struct chunk, chunk, rc, bide_chunks(ten, struct chunk)) {
        printf(" %d..%d", chunk.items[0], chunk.items[chunk.n - 1]);
    }
    printf("\nzip:");
    bide_iterator *pairs = bide_zip(struct pair, (left, bide_take(bide_iterate(count_from, 1), 3)),
                                    (right, bide_iterate(count_from, 100)));
    bide_for (struct pair, pair, rc, pairs) {
        printf(" %d+%d", pair.left, pair.right);
    }
    printf("\nchain:");
    bide_iterator *parts[] = {
        bide_take(bide_iterate(count_from, 1), 2),
        bide_take(bide_iterate(count_from, 50), 2),
    };
    bide_for (int, n, rc, bide_chain(parts, 2)) {
        printf(" %d", n);
    }
    rc = bide_reduce(bide_take(bide_iterate(count_from, 1), 100), add, &sum, NULL);
    printf("\nreduce: %d\n", sum);
    return rc < 0;
}
