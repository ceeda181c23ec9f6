/* A permit given back too often: a plain semaphore grows, a bounded one refuses it. */
#include <bide.h>

#include <stdio.h>

static int twice(bide_semaphore *semaphore)
{
    int rc = bide_semaphore_acquire(semaphore);
    if (rc < 0)
        return rc;
    printf("  given back: %s\n", bide_strerror(bide_semaphore_release(semaphore)));
    printf("  and again: %s\n", bide_strerror(bide_semaphore_release(semaphore)));
    printf("  permits: %zu\n", bide_semaphore_value(semaphore));
    return 0;
}

bide_async(amain)
{
    bide_semaphore plain = BIDE_SEMAPHORE(2);
    bide_semaphore bounded = BIDE_BOUNDED_SEMAPHORE(2);
    printf("a semaphore of 2:\n");
    int rc = twice(&plain);
    printf("a bounded semaphore of 2:\n");
    return rc < 0 ? rc : twice(&bounded);
}

int main(void)
{
    return bide_run(amain);
}
