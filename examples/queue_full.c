/* A queue with room for two: who puts into a full one waits, who must not wait is told. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

BIDE_QUEUE_DEFINE(numbers, int);

bide_async(producer, (numbers *, queue))
{
    int rc = 0;
    for (int i = 1; i <= 4 && rc == 0; i++) {
        rc = numbers_put(queue, i);
        printf("put %d: %s\n", i, bide_strerror(rc));
    }
    return rc;
}

bide_async(amain)
{
    numbers *queue;
    int number;
    int rc = numbers_new(&(struct bide_queue_opts){.capacity = 2}, &queue);
    if (rc < 0)
        return rc;
    rc = numbers_get_nowait(queue, &number);
    printf("empty? %s: %s\n", numbers_empty(queue) ? "yes" : "no", bide_strerror(rc));
    bide_task *task = bide_spawn(producer, queue);
    bide_sleep(0);
    rc = numbers_put_nowait(queue, 5);
    printf("full? %s: %s\n", numbers_full(queue) ? "yes" : "no", bide_strerror(rc));
    for (int i = 0; i < 4 && numbers_get(queue, &number) == 0; i++)
        printf("got %d\n", number);
    bide_cancel_join(&task, 1);

    rc = bide_within(0.001, numbers_get(queue, &number));
    printf("nothing comes: %s\n", bide_strerror(rc));
    numbers_free(queue);
    return rc == -ETIMEDOUT ? 0 : rc;
}

int main(void)
{
    return bide_run(amain);
}
