/* The end of a queue: workers drain it and then end by themselves; or what is left is dropped. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

BIDE_QUEUE_DEFINE(jobs, int);

static void drop(void *item, void *data)
{
    int *job = item;
    (void)data;
    printf("  job %d is dropped\n", *job);
}

bide_async(worker, (jobs *, queue))
{
    int rc, job;
    while ((rc = jobs_get(queue, &job)) == 0) {
        printf("  job %d is done\n", job);
        jobs_task_done(queue);
    }
    printf("  the worker ends: %s\n", bide_strerror(rc));
    return rc == -ESHUTDOWN ? 0 : rc;
}

static int three_jobs(enum bide_queue_end how)
{
    struct bide_queue_opts opts = {.capacity = 3, .drop = drop};
    jobs *queue;
    int rc = jobs_new(&opts, &queue);
    if (rc < 0)
        return rc;
    for (int i = 1; i <= 3; i++)
        jobs_put(queue, i);
    jobs_shutdown(queue, how);
    printf("  one job more: %s\n", bide_strerror(jobs_put(queue, 4)));
    rc = worker(queue);
    jobs_free(queue);
    return rc;
}

bide_async(amain)
{
    printf("drain:\n");
    int rc = three_jobs(BIDE_DRAIN);
    printf("at once:\n");
    return rc < 0 ? rc : three_jobs(BIDE_AT_ONCE);
}

int main(void)
{
    return bide_run(amain);
}
