/* An iterator of one's own: an object with a function that waits for its next value, and one that
 * ends it. */
#include <bide.h>

#include <stdio.h>

struct counter {
    int value;
    int last;
};

static int counter_next(void *self, void *ret_item)
{
    struct counter *counter = self;
    if (counter->value == counter->last)
        return 0; /* the end */
    int rc = bide_sleep(0.001);
    if (rc < 0)
        return rc; /* nothing is lost: the next call goes on here */
    *(int *)ret_item = ++counter->value;
    return 1;
}

static int counter_close(void *self)
{
    struct counter *counter = self;
    printf("closed at %d\n", counter->value);
    return 0;
}

static const struct bide_iterator_kind counter_kind = {"counter", counter_next, counter_close};

bide_async(amain)
{
    struct counter counter = {0, 3};
    int rc;
    bide_for (int, n, rc, bide_iterator_new(&counter_kind, &counter, sizeof(int))) {
        printf("got %d\n", n);
    }
    if (rc < 0)
        return rc;
    counter = (struct counter){0, 1000};
    bide_for (int, n, rc, bide_iterator_new(&counter_kind, &counter, sizeof(int))) {
        printf("got %d, enough\n", n);
        break;
    }
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
