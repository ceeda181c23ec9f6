/* What an event does not keep: one that is set and cleared while a task is busy has never been, as
 * far as that task knows. Where each one counts, use a queue. */
#include <bide.h>

#include <stdio.h>

static bide_event arrived;
static int n_handled;

bide_async(handler)
{
    int rc;
    while ((rc = bide_event_wait(&arrived)) == 0) {
        printf("something has arrived\n");
        n_handled++;
        for (int i = 0; i < 3; i++) /* busy for three turns */
            if ((rc = bide_sleep(0)) < 0)
                return rc;
    }
    return rc;
}

bide_async(amain)
{
    int rc = 0, n_sent = 0;
    bide_task *task = bide_spawn(handler);
    bide_sleep(0);
    for (; n_sent < 6 && rc >= 0; n_sent++) {
        bide_event_set(&arrived); /* who waits now will see it, whatever comes after */
        bide_event_clear(&arrived);
        rc = bide_sleep(0);
    }
    bide_cancel_join(&task, 1);
    printf("%d sent, %d handled\n", n_sent, n_handled);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
