/* A lock: one task at a time, first come first served, also across waits. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

static bide_lock lock; /* zeroed, it is free; made before any loop runs */

bide_async(by_block, (const char *, name))
{
    int rc;
    printf("%s wants the lock\n", name);
    bide_with_lock (rc, &lock) {
        printf("%s has it\n", name);
        rc = bide_sleep(0.001);
        printf("%s gives it back\n", name);
    }
    return rc;
}

bide_async(by_hand, (const char *, name))
{
    printf("%s wants the lock\n", name);
    int rc = bide_lock_acquire(&lock);
    if (rc < 0)
        return rc;
    printf("%s has it; taking it twice: %s\n", name, bide_strerror(bide_lock_acquire(&lock)));
    rc = bide_sleep(0.001);
    printf("%s gives it back\n", name);
    bide_lock_release(&lock);
    return rc;
}

bide_async(amain)
{
    bide_task *tasks[] = {
        bide_spawn(by_block, "one"),
        bide_spawn(by_hand, "two"),
        bide_spawn(by_block, "three"),
    };
    bide_sleep(0);
    printf("main: %s\n", bide_strerror(bide_lock_try(&lock)));
    printf("main, giving it back: %s\n", bide_strerror(bide_lock_release(&lock)));
    bide_cancel(tasks[1]); /* it leaves the line, and the third one moves up */
    int results[3];
    int rc = bide_gather_all(tasks, 3, results);
    printf("the second was %s\n", results[1] == -ECANCELED ? "cancelled" : "served");
    printf("locked? %s\n", bide_lock_locked(&lock) ? "yes" : "no");
    if (rc >= 0)
        rc = by_hand("main");
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
