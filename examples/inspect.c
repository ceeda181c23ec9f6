/* What a loop has at this moment, and what each task waits for. */
#include <bide.h>

#include <stdio.h>

static bide_event never;

bide_async(sleeper)
{
    return bide_sleep(60);
}

bide_async(listener)
{
    return bide_event_wait(&never);
}

bide_async(amain)
{
    bide_task *tasks[] = {
        bide_spawn(sleeper),
        bide_spawn(listener),
        bide_coroutine(listener),
    };
    bide_sleep(0);
    for (int i = 0; i < 3; i++)
        printf("%s of %s waits for: %s\n", bide_task_name(tasks[i]),
               bide_task_place(tasks[i])->coroutine, bide_task_waits_for(tasks[i]));

    struct bide_loop_counts counts;
    int rc = bide_loop_count(NULL, &counts);
    if (rc == 0)
        printf("%zu tasks, %zu callbacks, %zu streams\n", counts.tasks, counts.callbacks,
               counts.streams);
    int joined = bide_cancel_join(tasks, 3);
    return rc < 0 ? rc : joined;
}

int main(void)
{
    return bide_run(amain);
}
