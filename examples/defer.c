/* Cleanup that is noted where it becomes due, and runs when the block is left: the last first. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

static int give_back(void *what)
{
    int rc = bide_sleep(0.001); /* may wait */
    printf("  %s is given back\n", (const char *)what);
    return rc;
}

bide_async(work, (bool, fails))
{
    printf("  takes the hammer\n");
    bide_defer(give_back, "the hammer");
    if (fails)
        return -ENOENT; /* no nails */
    printf("  takes the nails\n");
    bide_defer(give_back, "the rest of the nails");
    printf("  works\n");
    return 0;
}

bide_async(amain)
{
    printf("all is well:\n");
    int rc = work(false);
    printf("it fails on the way:\n");
    printf("  returned: %s\n", bide_strerror(work(true)));
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
