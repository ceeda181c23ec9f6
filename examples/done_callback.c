/* Callbacks that are told when a task is done: in a later turn, in the order in which they were
 * added, before those who began to wait later. */
#include <bide.h>

#include <stdio.h>

bide_async(work, (int, result))
{
    int rc = bide_sleep(0.001);
    printf("the task ends\n");
    return rc < 0 ? rc : result;
}

static void told(bide_task *task, void *name)
{
    int result;
    if (bide_task_result(task, &result) == 0)
        printf("%s sees %d\n", (const char *)name, result);
}

static void forget(void *name)
{
    printf("%s is dropped\n", (const char *)name);
}

bide_async(amain)
{
    char first[] = "the first callback", second[] = "the second callback", third[] = "the third";
    bide_task *task = bide_spawn(work, 42);
    int rc = bide_task_add_done_callback(task, told, first, forget);
    if (rc >= 0)
        rc = bide_task_add_done_callback(task, told, second, forget);
    if (rc >= 0)
        rc = bide_task_add_done_callback(task, told, third, forget);
    printf("%d removed\n", bide_task_remove_done_callback(task, told, third));
    int result = bide_await(task);
    printf("awaited: %d\n", result);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
