/* Waiting for several tasks: gather, wait, the next one that is done. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 3 };

bide_async(job, (double, seconds), (int, result))
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : result;
}

static void spawn_all(bide_task **tasks, double seconds, int second)
{
    tasks[0] = bide_spawn(job, 3 * seconds, 30);
    tasks[1] = bide_spawn(job, 0.01, second);
    tasks[2] = bide_spawn(job, 2 * seconds, 20);
}

bide_async(amain)
{
    bide_task *tasks[N];
    int results[N];

    spawn_all(tasks, 0.01, 10);
    int rc = bide_gather(tasks, N, results);
    printf("gather: %s: %d %d %d\n", bide_strerror(rc), results[0], results[1], results[2]);

    spawn_all(tasks, 60, -EHOSTUNREACH);
    rc = bide_gather(tasks, N, results);
    printf("gather with a failure: %s, and %s\n", bide_strerror(rc),
           tasks[0] && tasks[2] ? "the others run on" : "the others are gone");
    bide_cancel_join(tasks, N);

    spawn_all(tasks, 0.01, -EHOSTUNREACH);
    rc = bide_gather_all(tasks, N, results);
    printf("gather_all: %s: %d, %s, %d\n", bide_strerror(rc), results[0], bide_strerror(results[1]),
           results[2]);

    spawn_all(tasks, 0.01, 10);
    int n_done = bide_wait(tasks, N, BIDE_FIRST_COMPLETED);
    printf("wait for the first: %d done, its result is %d\n", n_done, bide_await(tasks[0]));
    tasks[0] = NULL;
    for (int i; (i = bide_next_done(tasks, N)) >= 0; tasks[i] = NULL)
        printf("next done: %d\n", bide_await(tasks[i]));

    spawn_all(tasks, 0.01, 10);
    rc = bide_within(0.015, bide_wait(tasks, N, BIDE_ALL_COMPLETED));
    printf("wait with a limit: %s, %zu done, none cancelled\n", bide_strerror(rc),
           bide_partition_done(tasks, N));
    return bide_cancel_join(tasks, N);
}

int main(void)
{
    return bide_run(amain);
}
