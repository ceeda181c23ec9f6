/* What a program can ask about its tasks: the current one, all of them, their states and printed
 * forms, and a coroutine that is made but not started. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

static void show(const char *when, bide_task *task)
{
    static const char *const states[] = {"created", "scheduled", "running", "waiting", "done"};
    char text[160];
    bide_task_print(task, text, sizeof text);
    printf("%s: %s, %s\n", when, states[bide_task_state(task)], text);
}

bide_async(custom, (int, value))
{
    show("inside", bide_current_task());
    int rc = bide_sleep(0.005);
    return rc < 0 ? rc : value;
}

bide_async(amain)
{
    bide_task *main_task = bide_current_task();
    bide_task_set_name(main_task, "main");
    show("the main task", main_task);

    bide_task *task = bide_coroutine(custom, 42);
    bide_task_set_name(task, "custom");
    show("made", task);
    bide_start(task);
    show("started", task);
    bide_sleep(0);
    show("after a turn", task);

    bide_task *all[4];
    size_t n = bide_all_tasks(NULL, all, 4);
    printf("%zu tasks:", n);
    for (size_t i = 0; i < n; i++)
        printf(" %s", bide_task_name(all[i]));
    printf("\n");

    int result;
    printf("too early: %s\n", bide_strerror(bide_task_result(task, &result)));
    bide_wait(&task, 1, BIDE_ALL_COMPLETED);
    show("done", task);
    printf("its result: %d\n", bide_await(task));

    task = bide_spawn(custom, 1);
    bide_task_set_name(task, "unlucky");
    bide_cancel(task);
    bide_wait(&task, 1, BIDE_ALL_COMPLETED);
    show("cancelled before it began", task);
    bide_await(task);

    bide_detach(bide_coroutine(custom, 2)); /* closed without having run */
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
