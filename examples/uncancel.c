/* A task that refuses to be cancelled: it takes the requests back, one by one. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

bide_async(stubborn)
{
    bide_task *self = bide_current_task();
    int rc = bide_sleep(60);
    if (rc != -ECANCELED)
        return rc;
    printf("%d requests to end\n", bide_cancelling(self));
    printf("one taken back, %d left\n", bide_uncancel(self));
    printf("a wait with one left: %s\n", bide_strerror(bide_sleep(0.001)));
    printf("the other taken back, %d left\n", bide_uncancel(self));
    rc = bide_sleep(0.001);
    printf("a wait with none left: %s\n", bide_strerror(rc));
    return rc < 0 ? rc : 7;
}

bide_async(amain)
{
    bide_task *task = bide_spawn(stubborn);
    bide_sleep(0);
    bide_cancel(task);
    bide_cancel(task);
    int result = bide_await(task);
    printf("it returned %d\n", result);
    return result < 0 ? result : 0;
}

int main(void)
{
    return bide_run(amain);
}
