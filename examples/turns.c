/* Tasks give way only where they suspend: bide_sleep(0) lets the others have a turn, and a task
 * that computes without it holds them all up. */
#include <bide.h>

#include <stdbool.h>
#include <stdio.h>

bide_async(compute, (const char *, name), (int, steps), (bool, gives_way))
{
    for (int step = 1; step <= steps; step++) {
        printf("  %s: step %d\n", name, step);
        int rc = gives_way ? bide_sleep(0) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int both(bool give_way)
{
    bide_task *tasks[] = {
        bide_spawn(compute, "one", 3, give_way),
        bide_spawn(compute, "two", 3, give_way),
    };
    int rc = bide_gather(tasks, 2, NULL);
    bide_cancel_join(tasks, 2);
    return rc;
}

bide_async(amain)
{
    printf("without giving way:\n");
    int rc = both(false);
    if (rc < 0)
        return rc;
    printf("with bide_sleep(0):\n");
    return both(true);
}

int main(void)
{
    return bide_run(amain);
}
