/* A task that others wait for but can't end: a shield lets only the waiting be cancelled. */
#include <bide.h>

#include <stdio.h>

bide_async(pay, (int, euros))
{
    int rc = bide_sleep(0.03);
    printf("  %d euros %s\n", euros, rc < 0 ? "kept" : "paid");
    return rc < 0 ? rc : euros;
}

bide_async(wait_for, (bide_task *, payment))
{
    int rc = bide_shield(payment);
    printf("  no longer waiting: %s\n", bide_strerror(rc));
    return rc;
}

bide_async(amain)
{
    printf("a time limit:\n");
    bide_task *payment = bide_spawn(pay, 5);
    int rc = bide_within(0.001, bide_shield(payment));
    printf("  no longer waiting: %s\n", bide_strerror(rc));
    printf("  the payment went on: %d\n", bide_await(payment));

    printf("the waiting task is cancelled:\n");
    payment = bide_spawn(pay, 6);
    bide_task *waiter = bide_spawn(wait_for, payment);
    bide_sleep(0);
    bide_cancel(waiter);
    bide_await(waiter);
    printf("  the payment went on: %d\n", bide_await(payment));

    printf("the payment itself is cancelled:\n");
    payment = bide_spawn(pay, 7);
    waiter = bide_spawn(wait_for, payment);
    bide_sleep(0);
    bide_cancel(payment);
    bide_await(waiter);
    printf("  the payment ended: %s\n", bide_strerror(bide_await(payment)));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
