/* Two delays at once, a third by a plain call: what await and create_task are here. */
#include <bide.h>

#include <stdio.h>

bide_async(delay, (double, seconds), (const char *, name))
{
    printf("%s falls asleep\n", name);
    int rc = bide_sleep(seconds);
    if (rc < 0)
        return rc; /* cancelled: unwind by returning */
    printf("%s wakes up\n", name);
    return (int)(seconds * 100);
}

bide_async(amain)
{
    bide_task *slow = bide_spawn(delay, 0.1, "slow");
    bide_task *fast = bide_spawn_with(&(struct bide_task_opts){.name = "the fast one"}, delay, 0.01,
                                      "fast");
    char text[128];
    bide_task_print(fast, text, sizeof text);
    printf("%s\n", text);

    printf("slow returned %d\n",
           bide_await(slow)); /* waits, takes the result, gives the handle back */
    bide_task_print(fast, text, sizeof text);
    printf("%s\n", text);
    printf("fast returned %d\n", bide_await(fast));
    printf("a plain call returned %d\n", delay(0.01, "direct"));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
