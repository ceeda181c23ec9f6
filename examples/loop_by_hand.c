/* A loop that is made, run and closed by hand: until a task is done, for one turn, until a callback
 * ends it with an error, and once more. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

bide_async(answer, (int, number))
{
    int rc = bide_sleep(0.001);
    return rc < 0 ? rc : number;
}

static int say(void *text)
{
    printf("%s\n", (const char *)text);
    return 0;
}

static int fail(void *loop)
{
    return bide_loop_stop_with(loop, -EINTR);
}

static int use(bide_loop *loop)
{
    struct bide_task_opts opts = {.loop = loop};
    for (int i = 1; i <= 2; i++)
        printf("run_until_complete: %d\n",
               bide_loop_run_until_complete(loop, bide_spawn_with(&opts, answer, i)));

    int rc = bide_loop_call_soon(loop, say, "one turn", NULL, NULL);
    if (rc < 0)
        return rc;
    bide_loop_stop(loop); /* before the run: exactly one turn */
    printf("run_forever: %s\n", bide_strerror(bide_loop_run_forever(loop)));

    rc = bide_loop_call_soon(loop, fail, loop, NULL, NULL);
    if (rc < 0)
        return rc;
    bide_task *task = bide_spawn_with(&opts, answer, 3);
    printf("ended early: %s\n", bide_strerror(bide_loop_run_until_complete(loop, task)));
    printf("the same task, later: %d\n", bide_loop_run_until_complete(loop, task));
    return 0;
}

int main(void)
{
    bide_loop *loop;
    if (bide_loop_new(NULL, &loop) < 0)
        return 1;
    printf("running? %s\n", bide_loop_is_running(loop) ? "yes" : "no");
    int rc = use(loop);
    return bide_loop_close(loop) < 0 || rc < 0;
}
