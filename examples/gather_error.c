/* gather when a task fails: the error comes at once, and the others are still yours. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 3 };

bide_async(job, (double, seconds), (int, result))
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : result;
}

static int gather_three(bide_task **tasks, double seconds)
{
    tasks[0] = bide_spawn(job, seconds, 10);
    tasks[1] = bide_spawn(job, 0.001, -EHOSTUNREACH);
    tasks[2] = bide_spawn(job, seconds, 20);
    return bide_gather(tasks, N, NULL);
}

bide_async(amain)
{
    bide_task *tasks[N];
    printf("gather: %s\n", bide_strerror(gather_three(tasks, 0.1)));
    for (int i = 0; i < N; i++)
        printf("task %d %s\n", i, tasks[i] ? "runs on" : "was read");
    printf("await the others all the same: %d", bide_await(tasks[0]));
    printf(" %d\n", bide_await(tasks[2]));

    printf("gather: %s\n", bide_strerror(gather_three(tasks, 60)));
    int rc = bide_cancel_join(tasks, N);
    printf("or cancel them: %s\n", tasks[0] || tasks[2] ? "some are left" : "all are gone");
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
