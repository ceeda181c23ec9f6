/* SIGINT cancels all tasks, and the program ends when they have cleaned up. */
#include <bide.h>

#include <signal.h>
#include <stdio.h>

static int cancel_all(void *data)
{
    bide_task *tasks[16];
    size_t n = bide_all_tasks(NULL, tasks, 16);
    (void)data;
    printf("got SIGINT, %zu tasks to cancel\n", n);
    for (size_t i = 0; i < n && i < 16; i++)
        bide_cancel(tasks[i]);
    return 0;
}

bide_async(worker, (const char *, name))
{
    int rc = bide_sleep(60);
    printf("%s cleans up: %s\n", name, bide_strerror(rc));
    return rc;
}

static int press_ctrl_c(void *data)
{
    (void)data;
    return raise(SIGINT);
}

bide_async(amain)
{
    bide_loop *loop = bide_loop_current();
    int rc = bide_loop_add_signal_handler(loop, SIGINT, cancel_all, NULL, NULL);
    if (rc < 0)
        return rc;
    bide_task *tasks[] = {bide_spawn(worker, "one"), bide_spawn(worker, "two")};
    rc = bide_loop_call_later(loop, 0.01, press_ctrl_c, NULL, NULL, NULL);
    if (rc >= 0)
        rc = bide_gather(tasks, 2, NULL);
    bide_cancel_join(tasks, 2);
    bide_loop_remove_signal_handler(loop, SIGINT);
    return rc;
}

int main(void)
{
    int rc = bide_run_with(NULL, amain);
    printf("the program ends: %s\n", bide_strerror(rc));
    return 0;
}
