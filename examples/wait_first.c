/* Dealing with tasks as they end, while the others run: wait for the first, again and again. */
#include <bide.h>

#include <stdio.h>

enum { N = 3 };

bide_async(fetch, (double, seconds), (int, status))
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : status;
}

bide_async(amain)
{
    bide_task *tasks[N] = {
        bide_spawn(fetch, 0.15, 200),
        bide_spawn(fetch, 0.05, 404),
        bide_spawn(fetch, 0.1, 302),
    };
    bide_task **pending = tasks;
    size_t n = N;
    int n_done = 0;
    while (n > 0 && (n_done = bide_wait(pending, n, BIDE_FIRST_COMPLETED)) > 0) {
        for (; n_done > 0; n_done--, n--, pending++) { /* the done ones are at the front */
            printf("status %d\n", bide_await(*pending));
            *pending = NULL;
        }
    }
    bide_cancel_join(tasks, N);
    return n_done;
}

int main(void)
{
    return bide_run(amain);
}
