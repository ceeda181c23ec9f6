/* A condition: workers wait until something has changed, and have the lock when they are told; some
 * of them are told, or all. */
#include <bide.h>

#include <stdio.h>

enum { N = 4 };

static bide_condition changed; /* with a lock of its own */
static int work;

bide_async(worker, (int, id))
{
    int rc;
    bide_with_condition (rc, &changed) {
        while (work == 0 && (rc = bide_condition_wait(&changed)) == 0)
            printf("worker %d is told, with the lock\n", id);
        if (rc == 0) {
            rc = bide_sleep(0.001); /* still with the lock: nobody comes between */
            printf("worker %d leaves %d\n", id, --work);
        }
    }
    return rc;
}

static int bring(int pieces, size_t n_told)
{
    int rc;
    bide_with_condition (rc, &changed) {
        work += pieces;
        printf("%d pieces: %d told\n", pieces, bide_condition_notify(&changed, n_told));
    }
    return rc;
}

bide_async(amain)
{
    bide_task *tasks[N];
    printf("without the lock: %s\n", bide_strerror(bide_condition_notify_all(&changed)));
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(worker, i);
    bide_sleep(0);
    int rc = bring(1, 2); /* the second one finds nothing, and waits again */
    if (rc >= 0)
        rc = bring(3, N);
    if (rc >= 0)
        rc = bide_gather(tasks, N, NULL);
    bide_cancel_join(tasks, N);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
