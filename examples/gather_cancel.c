/* gather when its caller is cancelled or runs out of time: all the tasks are, and it waits for
 * their end. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 2 };

bide_async(job, (const char *, name))
{
    int rc = bide_sleep(60);
    printf("  %s: %s\n", name, bide_strerror(rc));
    return rc;
}

bide_async(both)
{
    bide_task *tasks[N] = {bide_spawn(job, "one"), bide_spawn(job, "two")};
    int rc = bide_gather(tasks, N, NULL);
    bide_cancel_join(tasks, N);
    return rc;
}

bide_async(amain)
{
    printf("a time limit:\n");
    int rc = bide_within(0.001, both());
    printf("  gather: %s\n", bide_strerror(rc));

    printf("a cancel:\n");
    bide_task *task = bide_spawn(both);
    bide_sleep(0); /* it starts the two */
    bide_sleep(0); /* they begin to sleep */
    bide_cancel(task);
    rc = bide_await(task);
    printf("  gather: %s\n", bide_strerror(rc));
    return rc == -ECANCELED ? 0 : rc;
}

int main(void)
{
    return bide_run(amain);
}
