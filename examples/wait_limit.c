/* Waiting for so long at most: the tasks that are not done then go on, until told otherwise. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 3 };

bide_async(fetch, (double, seconds), (int, status))
{
    int rc = bide_sleep(seconds);
    if (rc == -ECANCELED)
        printf("the one with status %d is cancelled\n", status);
    return rc < 0 ? rc : status;
}

bide_async(amain)
{
    bide_task *tasks[N] = {
        bide_spawn(fetch, 60, 200),
        bide_spawn(fetch, 0.001, 404),
        bide_spawn(fetch, 60, 302),
    };
    int rc = bide_within(0.2, bide_wait(tasks, N, BIDE_ALL_COMPLETED));
    size_t n_done = bide_partition_done(tasks, N);
    printf("%s: %zu done, %zu pending\n", bide_strerror(rc), n_done, N - n_done);
    printf("status %d\n", bide_await(tasks[0]));
    tasks[0] = NULL;
    return bide_cancel_join(tasks, N);
}

int main(void)
{
    return bide_run(amain);
}
