/* Cancelling a task, limiting its time, and protecting one from both. */
#include <bide.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>

static int say_goodbye(void)
{
    int rc = bide_sleep(0.001); /* cleanup that has to wait */
    printf("  said goodbye: %s\n", bide_strerror(rc));
    return rc;
}

bide_async(worker)
{
    int rc = bide_sleep(INFINITY);
    printf("  the worker's sleep ended: %s (%s)\n", bide_strerror(rc), bide_error_detail());
    printf("  any further wait fails at once: %s\n", bide_strerror(bide_sleep(1)));
    bide_shielded(1, say_goodbye());
    return rc;
}

bide_async(answer, (double, seconds))
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : 42;
}

bide_async(amain)
{
    printf("cancel:\n");
    bide_task *task = bide_spawn(worker);
    bide_sleep(0);
    bide_cancel_with(task, "lunch break");
    printf("  the task ended: %s\n", bide_strerror(bide_await(task)));

    printf("time limits:\n");
    printf("  in time: %d\n", bide_within(1, answer(0.001)));
    printf("  too late: %s\n", bide_strerror(bide_within(0.001, answer(1))));
    printf("  the inner limit decides: %s\n",
           bide_strerror(bide_within(1, bide_within(0.001, answer(1)))));

    printf("shield:\n");
    task = bide_spawn(answer, 0.01);
    printf("  we stopped waiting: %s\n", bide_strerror(bide_within(0.001, bide_shield(task))));
    printf("  and the task went on: %d\n", bide_await(task));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
