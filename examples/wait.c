/* Waiting for all tasks without handing on their errors: each is looked at for itself. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 3 };

bide_async(fetch, (const char *, scheme), (double, seconds))
{
    int rc = bide_sleep(seconds);
    if (rc < 0)
        return rc;
    return scheme[0] == 'h' ? 200 : -EPROTONOSUPPORT;
}

bide_async(amain)
{
    bide_task *tasks[N] = {
        bide_spawn(fetch, "http", 0.02),
        bide_spawn(fetch, "python", 0.001),
        bide_spawn(fetch, "https", 0.01),
    };
    int n_done = bide_wait(tasks, N, BIDE_ALL_COMPLETED);
    printf("%d of %d are done\n", n_done, N);
    for (int i = 0; i < n_done; i++) {
        int result;
        int rc = bide_task_result(tasks[i], &result);
        if (rc < 0)
            return rc;
        if (result < 0)
            printf("failed: %s\n", bide_strerror(result));
        else
            printf("status %d\n", result);
    }
    return bide_cancel_join(tasks, N); /* gives the handles back */
}

int main(void)
{
    return bide_run(amain);
}
