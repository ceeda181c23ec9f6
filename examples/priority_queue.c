/* A queue by priority, in an order of one's own; of equal ones, the one that was put first. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

struct work_item {
    int priority; /* 1 is the most urgent */
    const char *what;
};

BIDE_QUEUE_DEFINE(work, struct work_item);

static int compare(const void *left, const void *right, void *data)
{
    const struct work_item *a = left, *b = right;
    (void)data;
    return (a->priority > b->priority) - (a->priority < b->priority);
}

bide_async(amain)
{
    static const struct work_item items[] = {
        {3, "sweep the floor"},  {1, "put out the fire"},   {2, "answer the phone"},
        {1, "call the doctor"},  {3, "water the plants"},   {2, "open the door"},
        {1, "close the window"}, {3, "read the newspaper"},
    };
    struct bide_queue_opts opts = {.order = BIDE_PRIORITY, .compare = compare};
    work *queue;
    int rc = work_new(&opts, &queue);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof items / sizeof *items && rc == 0; i++)
        rc = work_put(queue, items[i]);
    struct work_item item;
    while (rc == 0 && (rc = work_get_nowait(queue, &item)) == 0)
        printf("%d: %s\n", item.priority, item.what);
    work_free(queue);
    return rc == -EAGAIN ? 0 : rc;
}

int main(void)
{
    return bide_run(amain);
}
