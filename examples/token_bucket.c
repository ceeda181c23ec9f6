/* So many requests per time, and after a rest up to three at once: a token bucket. */
#include <bide.h>

#include <stdio.h>

enum { N = 6 };

static bide_limiter limiter;

bide_async(request, (int, id))
{
    int rc = bide_limiter_acquire(&limiter, 1);
    if (rc >= 0)
        printf("request %d goes out\n", id);
    return rc;
}

bide_async(amain)
{
    struct bide_limiter_opts opts = {.permits = 10, .period_seconds = 0.1, .burst = 3};
    int rc = bide_limiter_init(&limiter, &opts);
    if (rc < 0)
        return rc;
    bide_task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(request, i);
    double begin = bide_time();
    rc = bide_gather(tasks, N, NULL);
    bide_cancel_join(tasks, N);
    double needed = (N - 3) * opts.period_seconds / opts.permits; /* three pass at once */
    printf("too fast? %s\n", bide_time() - begin < needed - 0.001 ? "yes" : "no");

    opts.period_seconds = 3600;
    rc = rc < 0 ? rc : bide_limiter_init(&limiter, &opts);
    int n = 0;
    while (rc == 0 && bide_limiter_try(&limiter, 1) == 0)
        n++;
    printf("%d at once, then: %s\n", n, bide_strerror(bide_limiter_try(&limiter, 1)));
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
