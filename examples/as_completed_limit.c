/* Results in the order in which the tasks end, with one time limit for all of them. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 3 };

bide_async(fetch, (double, seconds), (int, status))
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : status;
}

bide_async(amain)
{
    bide_task *tasks[N] = {
        bide_spawn(fetch, 60, 200),
        bide_spawn(fetch, 0.001, 404),
        bide_spawn(fetch, 0.002, 302),
    };
    double end = bide_time() + 0.2; /* for the whole loop */
    int i;
    while ((i = bide_until(end, bide_next_done(tasks, N))) >= 0) {
        printf("task %d: status %d\n", i, bide_await(tasks[i]));
        tasks[i] = NULL;
    }
    printf("%s\n", bide_strerror(i));
    for (i = 0; i < N; i++)
        if (tasks[i])
            printf("task %d is still running\n", i);
    return bide_cancel_join(tasks, N);
}

int main(void)
{
    return bide_run(amain);
}
