/* A task that works on a local variable of who spawned it: it ends when the variable does, whatever
 * way the function is left. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

bide_async(count, (int *, n), (int, up_to))
{
    int rc = 0;
    while (*n < up_to && (rc = bide_sleep(0)) == 0)
        ++*n;
    printf("  the counter ends at %d: %s\n", *n, bide_strerror(rc));
    return rc < 0 ? rc : *n;
}

bide_async(leaves_early)
{
    int n = 0;
    bide_task_scoped *counter = bide_spawn(count, &n, 1000);
    for (int i = 0; i < 3; i++) {
        int rc = bide_sleep(0);
        if (rc < 0)
            return rc;
    }
    return counter ? -EIO : -ENOMEM; /* the counter is cancelled and awaited first */
}

bide_async(reads_it)
{
    int n = 0;
    bide_task_scoped *counter = bide_spawn(count, &n, 3);
    return bide_await(bide_task_steal(&counter));
}

bide_async(amain)
{
    printf("left early:\n");
    printf("  returned: %s\n", bide_strerror(leaves_early()));
    printf("awaited by hand:\n");
    printf("  returned: %d\n", reads_it());
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
