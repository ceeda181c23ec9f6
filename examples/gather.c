/* Several tasks at once, and their results in the order of the tasks, whichever ended first. */
#include <bide.h>

#include <stdio.h>

enum { N = 3 };

bide_async(job, (const char *, name), (double, seconds), (int, result))
{
    int rc = bide_sleep(seconds);
    printf("%s ends\n", name);
    return rc < 0 ? rc : result;
}

bide_async(amain)
{
    bide_task *tasks[N] = {
        bide_spawn(job, "the slow one", 0.15, 30),
        bide_spawn(job, "the fast one", 0.05, 10),
        bide_spawn(job, "the third one", 0.1, 20),
    };
    int results[N];
    int rc = bide_gather(tasks, N, results);
    if (rc >= 0)
        printf("results: %d %d %d\n", results[0], results[1], results[2]);
    bide_cancel_join(tasks, N); /* nothing to do after a success */
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
