/* An event: tasks wait for a start signal, which a callback gives. */
#include <bide.h>

#include <stdio.h>

static bide_event start;

static int give_signal(void *data)
{
    (void)data;
    printf("ready, steady, go\n");
    bide_event_set(&start);
    return 0;
}

bide_async(runner, (const char *, name))
{
    printf("%s waits for the signal\n", name);
    int rc = bide_event_wait(&start);
    if (rc < 0)
        return rc;
    printf("%s runs\n", name);
    return bide_sleep(0);
}

bide_async(amain)
{
    bide_task *tasks[] = {bide_spawn(runner, "one"), bide_spawn(runner, "two")};
    int rc = bide_loop_call_later(bide_loop_current(), 0.01, give_signal, NULL, NULL, NULL);
    if (rc >= 0)
        rc = bide_gather(tasks, 2, NULL);
    bide_cancel_join(tasks, 2);
    if (rc < 0)
        return rc;
    rc = runner("a late one"); /* the event is still set */
    bide_event_clear(&start);
    printf("set? %s\n", bide_event_is_set(&start) ? "yes" : "no");
    printf("too late: %s\n", bide_strerror(bide_within(0.001, runner("one who is too late"))));
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
