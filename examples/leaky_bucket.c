/* Requests at even distances, however they come: a leaky bucket, with room for three who wait. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 6 };

static const double distance = 0.1;
static bide_limiter limiter;

bide_async(request, (int, id), (double, begin))
{
    int rc = bide_limiter_acquire(&limiter, 1);
    if (rc == -EAGAIN) {
        printf("request %d: too many wait\n", id);
        return 0;
    }
    if (rc < 0)
        return rc;
    bool early = bide_time() - begin < id * distance - 0.001;
    printf("request %d goes out%s\n", id, early ? ", too early" : "");
    return 0;
}

bide_async(amain)
{
    struct bide_limiter_opts opts = {
        .kind = BIDE_LEAKY_BUCKET, .permits = 1, .period_seconds = distance, .waiting_max = 3};
    int rc = bide_limiter_init(&limiter, &opts);
    if (rc < 0)
        return rc;
    bide_task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(request, i, bide_time());
    bide_sleep(0);
    printf("%u wait\n", bide_limiter_n_waiting(&limiter));
    rc = bide_gather(tasks, N, NULL);
    bide_cancel_join(tasks, N);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
