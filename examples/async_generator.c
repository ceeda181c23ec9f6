/* A generator that waits between its values, while other tasks go on. */
#include <bide.h>

#include <stdio.h>

bide_generator(int, positive_integers, (int, until))
{
    for (int i = 1; i < until; i++) {
        int rc = bide_sleep(0.005);
        if (rc >= 0)
            rc = bide_yield(i);
        if (rc < 0)
            return rc;
    }
    return 0;
}

bide_async(consumer, (const char *, name), (int, until))
{
    int rc;
    bide_for (int, n, rc, bide_iterate(positive_integers, until)) {
        printf("%s got %d\n", name, n);
    }
    printf("%s is at the end\n", name);
    return rc;
}

bide_async(amain)
{
    bide_task *tasks[] = {bide_spawn(consumer, "one", 3), bide_spawn(consumer, "two", 5)};
    int rc = bide_gather(tasks, 2, NULL);
    bide_cancel_join(tasks, 2);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
