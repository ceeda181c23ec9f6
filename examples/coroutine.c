/* A coroutine is a function that may wait. Another one calls it plainly, and main() runs it. */
#include <bide.h>

#include <stdio.h>

bide_async(delay, (double, seconds), (int, result))
{
    printf("sleeping for %g s\n", seconds);
    int rc = bide_sleep(seconds);
    if (rc < 0)
        return rc; /* cancelled: unwind by returning */
    printf("finished sleeping for %g s\n", seconds);
    return result;
}

bide_async(amain)
{
    int first = delay(0.02, 2);
    int second = delay(0.01, 1); /* begins when the first one has returned */
    printf("they returned %d and %d\n", first, second);
    printf("a loop inside of a loop: %s\n", bide_strerror(bide_run_with(NULL, delay, 1, 0)));
    return 0;
}

int main(void)
{
    printf("outside of tasks: %s\n", bide_strerror(bide_sleep(1)));
    printf("the coroutine returned %d\n", bide_run_with(NULL, delay, 0.01, 42));
    return bide_run(amain);
}
