/*
 * A hundred thousand tasks that mostly wait: with copied stacks they cost a few hundred bytes each.
 * Nobody else knows of their locals, so that these may be anywhere while a task waits.
 */
#include <bide.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 100000 };

bide_async(device, (int, number), (bide_event *, alarm))
{
    char name[16]; /* its own: kept for it while it waits */
    snprintf(name, sizeof name, "device %d", number);
    int rc = bide_event_wait(alarm);
    if (rc < 0)
        return rc;
    return strcmp(name, "device 4711") == 0 ? 1 : 0;
}

bide_async(amain)
{
    static bide_event alarm; /* others set it, so it is not on a copied stack */
    struct bide_task_opts opts = {.stack = BIDE_STACK_COPIED};
    bide_task **devices = calloc(N, sizeof *devices);
    if (!devices)
        return -1;
    for (int i = 0; i < N; i++)
        devices[i] = bide_spawn_with(&opts, device, i, &alarm);
    int rc = bide_sleep(0);
    bide_event_set(&alarm);
    int found = 0;
    for (int i = 0; i < N; i++)
        found += bide_await(devices[i]);
    printf("%d of %d is it\n", found, (int)N);
    free(devices);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
