/* At most three at once: a semaphore limits how many tasks use something. */
#include <bide.h>

#include <stdio.h>

enum { N = 8 };

static bide_semaphore connections = BIDE_SEMAPHORE(3);
static int now, most;

bide_async(fetch, (int, id))
{
    int rc;
    bide_with_semaphore (rc, &connections) {
        if (++now > most)
            most = now;
        printf("%d begins\n", id);
        rc = bide_sleep(0.001);
        now--;
    }
    return rc;
}

bide_async(amain)
{
    bide_task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(fetch, i);
    bide_sleep(0);
    printf("%zu permits left; one more: %s\n", bide_semaphore_value(&connections),
           bide_strerror(bide_semaphore_try(&connections)));
    int rc = bide_gather(tasks, N, NULL);
    bide_cancel_join(tasks, N);
    printf("%d at once at most, %zu permits in the end\n", most,
           bide_semaphore_value(&connections));
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
