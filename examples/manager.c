/* A context manager made from one function: what stands before its yield acquires, what stands
 * behind it releases, and the yield tells it how the block ended. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

struct account {
    bool locked;
    int balance;
};

/* All of it or nothing. */
bide_generator(struct account *, transaction, (struct account *, account))
{
    if (account->locked)
        return -EBUSY; /* nothing is acquired, and so the block does not run */
    int rc = bide_sleep(0.001);
    if (rc < 0)
        return rc;
    struct account before = *account;
    account->locked = true;
    printf("  begun\n");

    rc = bide_yield(account);

    printf("  the block came to: %s\n", bide_strerror(rc));
    int cleaned = bide_sleep(0.001); /* no cancel from outside keeps it from this */
    if (rc < 0)
        *account = before;
    account->locked = false;
    printf("  %s\n", rc < 0 ? "rolled back" : "committed");
    if (rc == -ENODATA)
        return 0; /* dealt with */
    return rc < 0 ? rc : cleaned;
}

static int withdraw(struct account *account, int amount)
{
    account->balance -= amount;
    return account->balance < 0 ? -ERANGE : 0;
}

enum way { TO_THE_END, BREAK, RETURN, ERROR, NO_NEWS, CANCEL };

bide_async(use, (struct account *, account), (enum way, way))
{
    int rc;
    bide_with_manager (struct account *, mine, rc, bide_iterate(transaction, account)) {
        rc = withdraw(mine, way == ERROR ? 1000 : 10);
        if (way == BREAK)
            break;
        if (way == RETURN)
            return mine->balance;
        if (way == NO_NEWS)
            rc = -ENODATA;
        if (way == CANCEL)
            rc = bide_sleep(60);
    }
    return rc;
}

bide_async(amain)
{
    static const char *const ways[] = {"to the end", "break", "return", "error", "no news"};
    struct account account = {.balance = 100};
    for (enum way way = TO_THE_END; way <= NO_NEWS; way++) {
        printf("%s:\n", ways[way]);
        int rc = use(&account, way);
        printf("  %s, balance %d\n", bide_strerror(rc), account.balance);
    }
    printf("cancel:\n");
    int rc = bide_within(0.1, use(&account, CANCEL));
    printf("  %s, balance %d\n", bide_strerror(rc), account.balance);

    printf("cannot be entered:\n");
    account.locked = true;
    printf("  %s\n", bide_strerror(use(&account, TO_THE_END)));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
