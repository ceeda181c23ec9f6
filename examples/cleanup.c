/* Cleanup of a cancelled task that has to wait itself: shielded, with a limit of its own. */
#include <bide.h>

#include <math.h>
#include <stdio.h>

static int say_goodbye(double seconds)
{
    int rc = bide_sleep(seconds); /* in place of a message to a peer */
    printf("  said goodbye: %s\n", bide_strerror(rc));
    return rc;
}

bide_async(worker, (double, seconds))
{
    int rc = bide_sleep(INFINITY);
    printf("  cancelled\n");
    if (bide_shielded(0.2, say_goodbye(seconds)) < 0)
        printf("  the peer was too slow\n");
    return rc;
}

static int end(bide_task *task)
{
    bide_sleep(0);
    bide_cancel(task);
    return bide_await(task);
}

bide_async(amain)
{
    printf("a quick peer:\n");
    printf("  the task ended: %s\n", bide_strerror(end(bide_spawn(worker, 0.001))));
    printf("a slow peer:\n");
    printf("  the task ended: %s\n", bide_strerror(end(bide_spawn(worker, 60))));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
