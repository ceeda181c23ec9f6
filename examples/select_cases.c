/* What else a select can wait for: room in a queue, a permit, a lock, an event; and asking without
 * waiting. Exactly one of them is taken. */
#include <bide.h>

#include <stdio.h>

enum { ROOM, PERMIT, LOCK, EVENT, END, N };

static const char *const names[] = {"room", "permit", "lock", "event", "end"};

struct things {
    bide_queue *queue;
    bide_semaphore permits;
    bide_lock lock;
    bide_event event;
};

static int first_of(struct things *things, int (*wait)(struct bide_case *, size_t))
{
    int item = 2;
    struct bide_case cases[N] = {
        [ROOM] = bide_case_put(things->queue, &item),
        [PERMIT] = bide_case_acquire(&things->permits),
        [LOCK] = bide_case_lock(&things->lock),
        [EVENT] = bide_case_event(&things->event),
        [END] = bide_case_until(bide_time() + 0.01),
    };
    int which = wait(cases, N);
    printf("%s\n", which < 0 ? bide_strerror(which) : names[which]);
    return which;
}

bide_async(owner, (struct things *, things))
{
    int rc;
    bide_with_lock (rc, &things->lock) {
        rc = bide_sleep(60);
    }
    return rc;
}

bide_async(use, (struct things *, things))
{
    int item = 1;
    int rc = bide_queue_put(things->queue, &item); /* now it is full */
    if (rc < 0)
        return rc;
    bide_task_scoped *task = bide_spawn(owner, things);
    bide_sleep(0); /* now the lock is held */
    first_of(things, bide_select_nowait);
    first_of(things, bide_select);
    bide_semaphore_release(&things->permits);
    first_of(things, bide_select);
    bide_event_set(&things->event);
    first_of(things, bide_select);
    rc = bide_queue_get(things->queue, &item);
    first_of(things, bide_select); /* room again, which stands before the event */
    return task ? rc : -1;
}

bide_async(amain)
{
    struct things things = {0}; /* no permits, a free lock, an event that is not set */
    struct bide_queue_opts opts = {.capacity = 1};
    int rc = bide_queue_new(sizeof(int), &opts, &things.queue);
    if (rc < 0)
        return rc;
    rc = use(&things);
    bide_queue_free(things.queue);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
