/* Results in the order in which the tasks end. */
#include <bide.h>

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
        bide_spawn(fetch, 0.15, 200),
        bide_spawn(fetch, 0.05, 404),
        bide_spawn(fetch, 0.1, 302),
    };
    int rc;
    bide_for (size_t, i, rc, bide_as_completed(tasks, N)) {
        printf("task %zu: status %d\n", i, bide_await(tasks[i]));
        tasks[i] = NULL;
    }
    bide_cancel_join(tasks, N); /* if the loop ended early */
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
