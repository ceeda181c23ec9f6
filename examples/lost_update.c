/* Why tasks of one thread need locks too: what is read before a wait may be old after it. */
#include <bide.h>

#include <stdio.h>

enum { N_TASKS = 5, N_TIMES = 10 };

struct account {
    bide_lock lock;
    int balance;
};

static int pay_in(struct account *account)
{
    int balance = account->balance;
    int rc = bide_sleep(0); /* in place of a question to the bank: the others go on meanwhile */
    if (rc < 0)
        return rc;
    account->balance = balance + 1;
    return 0;
}

bide_async(careless, (struct account *, account))
{
    int rc = 0;
    for (int i = 0; i < N_TIMES && rc >= 0; i++)
        rc = pay_in(account);
    return rc;
}

bide_async(careful, (struct account *, account))
{
    int rc = 0;
    for (int i = 0; i < N_TIMES && rc >= 0; i++) {
        bide_with_lock (rc, &account->lock) {
            rc = pay_in(account);
        }
    }
    return rc;
}

static int pay_in_by_five(bide_task **tasks, struct account *account, const char *how)
{
    int rc = bide_gather(tasks, N_TASKS, NULL);
    bide_cancel_join(tasks, N_TASKS);
    printf("%s: %d of %d\n", how, account->balance, N_TASKS * N_TIMES);
    return rc;
}

bide_async(amain)
{
    struct account one = {0}, two = {0}; /* a zeroed lock is free */
    bide_task *tasks[N_TASKS];
    for (int i = 0; i < N_TASKS; i++)
        tasks[i] = bide_spawn(careless, &one);
    int rc = pay_in_by_five(tasks, &one, "without a lock");
    if (rc < 0)
        return rc;
    for (int i = 0; i < N_TASKS; i++)
        tasks[i] = bide_spawn(careful, &two);
    return pay_in_by_five(tasks, &two, "with a lock");
}

int main(void)
{
    return bide_run(amain);
}
