/* A barrier: a computation in rounds, where nobody begins a round before all have ended the one
 * before. */
#include <bide.h>

#include <stdio.h>

enum { N = 3, ROUNDS = 2 };

static bide_barrier round_done = BIDE_BARRIER(N);

bide_async(worker, (int, id))
{
    for (int round = 1; round <= ROUNDS; round++) {
        int rc = bide_sleep(0.005 * (id + 1)); /* some are faster */
        if (rc < 0)
            return rc;
        printf("worker %d has ended round %d\n", id, round);
        int index = bide_barrier_wait(&round_done);
        if (index < 0)
            return index;
        if (index == 0) /* one of them does what is to be done once */
            printf("round %d is over\n", round);
    }
    return 0;
}

bide_async(one_too_few)
{
    int rc = bide_barrier_wait(&round_done);
    printf("one too few: %s\n", bide_strerror(rc));
    return rc;
}

bide_async(amain)
{
    bide_task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(worker, i);
    int rc = bide_gather(tasks, N, NULL);
    bide_cancel_join(tasks, N);

    bide_task *task = bide_spawn(one_too_few);
    bide_sleep(0);
    printf("%u of %u wait\n", bide_barrier_n_waiting(&round_done),
           bide_barrier_parties(&round_done));
    bide_barrier_abort(&round_done);
    bide_cancel_join(&task, 1);
    printf("broken? %s\n", bide_barrier_broken(&round_done) ? "yes" : "no");
    bide_barrier_reset(&round_done);
    printf("broken after a reset? %s\n", bide_barrier_broken(&round_done) ? "yes" : "no");
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
