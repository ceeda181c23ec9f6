/* A producer and workers: join waits until each item was dealt with, not only taken. */
#include <bide.h>

#include <stdio.h>

enum { WORKERS = 2, JOBS = 5 };

BIDE_QUEUE_DEFINE(jobs, int);

static int n_dealt_with;

bide_async(worker, (jobs *, queue))
{
    int rc, job;
    while ((rc = jobs_get(queue, &job)) == 0) {
        rc = bide_sleep(0.001);
        if (rc < 0)
            return rc;
        n_dealt_with++;
        jobs_task_done(queue);
    }
    return rc;
}

static int produce(jobs *queue)
{
    int rc = 0;
    for (int i = 0; i < JOBS && rc == 0; i++)
        rc = jobs_put_nowait(queue, i);
    printf("%zu jobs in the queue\n", jobs_size(queue));
    while (rc == 0 && !jobs_empty(queue))
        rc = bide_sleep(0);
    printf("all are taken; all are dealt with? %s\n", n_dealt_with == JOBS ? "yes" : "no");
    if (rc == 0)
        rc = jobs_join(queue);
    printf("all are joined; all are dealt with? %s\n", n_dealt_with == JOBS ? "yes" : "no");
    return rc;
}

bide_async(amain)
{
    jobs *queue;
    bide_task *workers[WORKERS];
    int rc = jobs_new(NULL, &queue);
    if (rc < 0)
        return rc;
    for (int i = 0; i < WORKERS; i++)
        workers[i] = bide_spawn(worker, queue);
    rc = produce(queue);
    bide_cancel_join(workers, WORKERS); /* they would wait for ever */
    printf("one more than there were: %s\n", bide_strerror(jobs_task_done(queue)));
    jobs_free(queue);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
