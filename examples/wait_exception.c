/* Waiting until one task fails, because then the others have become useless. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 4 };

bide_async(part, (const char *, name), (double, seconds), (int, result))
{
    int rc = bide_sleep(seconds);
    printf("%s: %s\n", name, bide_strerror(rc < 0 ? rc : result));
    return rc < 0 ? rc : result;
}

bide_async(amain)
{
    bide_task *tasks[N] = {
        bide_spawn(part, "one", 60, 0),
        bide_spawn(part, "two", 0.1, -EIO),
        bide_spawn(part, "three", 0.01, 0),
        bide_spawn(part, "four", 60, 0),
    };
    bide_task *all[N];
    for (int i = 0; i < N; i++)
        all[i] = tasks[i];
    int n_done = bide_wait(tasks, N, BIDE_FIRST_EXCEPTION);
    printf("%d done, %d pending\n", n_done, N - n_done);
    for (int i = 0; i < n_done; i++)
        printf("done: %s\n", tasks[i] == all[1] ? "two" : "three");
    return bide_cancel_join(tasks, N);
}

int main(void)
{
    return bide_run(amain);
}
