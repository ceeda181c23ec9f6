/* A context manager entered and exited by hand, in bide_with, and used in the wrong order, which is
 * an error in words. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

bide_generator(int, lease, (int, number))
{
    int rc = bide_sleep(0.001);
    if (rc < 0)
        return rc;
    printf("  lease %d begins\n", number);
    rc = bide_yield(number);
    printf("  lease %d ends after: %s\n", number, bide_strerror(rc));
    return rc;
}

bide_generator(int, forgetful)
{
    return 0;
}

static int talk(int number)
{
    int rc = bide_sleep(0.001);
    return rc < 0 ? rc : number == 2 ? -EPIPE : 0;
}

static int by_hand(int number)
{
    int one;
    bide_manager manager = bide_manage(bide_iterate(lease, number));
    int rc = bide_manager_enter(&manager, &one);
    if (rc < 0)
        return rc; /* and nothing to exit */
    return bide_manager_exit(&manager, talk(one));
}

/* As one of several resources; the body sees 0, however the block ends. */
static int in_with(int number)
{
    int rc, one;
    bide_manager manager = bide_manage(bide_iterate(lease, number));
    bide_with (rc, bide_manager_enter(&manager, &one), bide_manager_release, &manager) {
        rc = talk(one);
    }
    return rc;
}

static void told(int rc)
{
    printf("  %s: %s\n", bide_strerror(rc), bide_error_detail());
}

static int in_wrong_order(void)
{
    int one;
    bide_manager manager = bide_manage(bide_iterate(lease, 5));
    told(bide_manager_value(&manager, &one));
    int rc = bide_manager_enter(&manager, &one);
    if (rc < 0)
        return rc;
    rc = bide_manager_exit(&manager, bide_manager_value(&manager, &one));
    told(bide_manager_value(&manager, &one));
    told(bide_manager_exit(&manager, 0));

    manager = bide_manage(bide_iterate(forgetful));
    told(bide_manager_enter(&manager, &one));
    return rc;
}

bide_async(amain)
{
    printf("by hand:\n");
    printf("  came to: %s\n", bide_strerror(by_hand(1)));
    printf("  came to: %s\n", bide_strerror(by_hand(2)));
    printf("in bide_with:\n");
    printf("  came to: %s\n", bide_strerror(in_with(2)));
    printf("in the wrong order:\n");
    return in_wrong_order();
}

int main(void)
{
    return bide_run(amain);
}
