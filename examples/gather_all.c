/* gather with errors as results among others: it waits for all tasks. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 3 };

bide_async(job, (double, seconds), (int, result))
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : result;
}

bide_async(amain)
{
    bide_task *tasks[N] = {
        bide_spawn(job, 0.02, 20),
        bide_spawn(job, 0.001, -EHOSTUNREACH),
        bide_spawn(job, 0.01, 10),
    };
    int results[N];
    int rc = bide_gather_all(tasks, N, results);
    if (rc < 0)
        return rc;
    for (int i = 0; i < N; i++) {
        if (results[i] < 0)
            printf("task %d failed: %s\n", i, bide_strerror(results[i]));
        else
            printf("task %d returned %d\n", i, results[i]);
    }
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
