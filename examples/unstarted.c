/* Coroutines that are made but not started: one begins when it is awaited, one when it is told to,
 * one never does. */
#include <bide.h>

#include <stdio.h>

bide_async(custom, (const char *, name), (int, result))
{
    printf("  %s begins\n", name);
    int rc = bide_sleep(0.001);
    return rc < 0 ? rc : result;
}

bide_async(amain)
{
    bide_task *awaited = bide_coroutine(custom, "awaited", 1);
    bide_task *started = bide_coroutine(custom, "started", 2);
    bide_task *closed = bide_coroutine(custom, "closed", 3);
    bide_sleep(0.001);
    printf("three are made, none has begun\n");

    printf("awaiting one:\n");
    printf("  returned %d\n", bide_await(awaited));

    printf("starting one:\n");
    if (bide_start(started) == 1)
        printf("  a second start changes nothing: %d\n", bide_start(started));
    printf("  returned %d\n", bide_await(started));

    printf("closing one\n");
    bide_detach(closed);
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
