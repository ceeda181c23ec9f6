/* Time limits around an expression: wait_for, without a task of its own. */
#include <bide.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>

bide_async(answer, (double, seconds))
{
    int rc = bide_sleep(seconds);
    if (rc == -ECANCELED)
        printf("  cancelled on the way\n");
    return rc < 0 ? rc : 42;
}

bide_async(amain)
{
    printf("in time: %d\n", bide_within(60, answer(0.001)));
    printf("no limit: %d\n", bide_within(INFINITY, answer(0.001)));
    printf("too late:\n");
    int rc = bide_within(0.001, answer(60));
    printf("  %s\n", bide_strerror(rc));

    printf("around a task, which is cancelled and waited for:\n");
    bide_task *task = bide_spawn(answer, 60);
    rc = bide_within(0.001, bide_await(task));
    printf("  %s\n", bide_strerror(rc));

    printf("the inner limit passes first, and the outer one does not notice:\n");
    rc = bide_within(60, bide_within(0.001, answer(60)));
    printf("  %s\n", bide_strerror(rc));
    printf("the outer limit passes first, through the inner one:\n");
    int inner = 0;
    rc = bide_within(0.001, inner = bide_within(60, answer(60)));
    printf("  inside %s, outside %s\n", bide_strerror(inner), bide_strerror(rc));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
