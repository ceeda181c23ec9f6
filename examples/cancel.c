/* Cancelling a task: a request that it meets where it waits, not a kill. */
#include <bide.h>

#include <math.h>
#include <stdio.h>

bide_async(worker)
{
    int rc = bide_sleep(INFINITY);
    printf("the worker's sleep ended: %s (%s)\n", bide_strerror(rc), bide_error_detail());
    printf("any further wait fails at once: %s\n", bide_strerror(bide_sleep(1)));
    return rc;
}

static const char *yes_no(bool yes)
{
    return yes ? "yes" : "no";
}

bide_async(amain)
{
    bide_task *task = bide_spawn(worker);
    bide_sleep(0); /* lets it begin */
    bide_cancel_with(task, "lunch break");
    printf("asked to end; cancelled? %s\n", yes_no(bide_task_cancelled(task)));
    bide_wait(&task, 1, BIDE_ALL_COMPLETED);
    printf("it had its turn; cancelled? %s\n", yes_no(bide_task_cancelled(task)));
    printf("cancelling it again: %d\n", bide_cancel(task));
    printf("the task ended: %s\n", bide_strerror(bide_await(task)));

    task = bide_spawn(worker);
    bide_cancel(task); /* before it began: its body never runs */
    printf("one that never began: %s\n", bide_strerror(bide_await(task)));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
