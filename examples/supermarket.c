/* A supermarket: three cashiers, ten customers in one queue. */
#include <bide.h>

#include <stdio.h>

enum { CASHIERS = 3, CUSTOMERS = 10 };

struct customer {
    int id;
    int n_products;
};

BIDE_QUEUE_DEFINE(checkout, struct customer);

bide_async(cashier, (checkout *, queue), (int, id))
{
    struct customer customer;
    int rc;
    while ((rc = checkout_get(queue, &customer)) == 0) {
        printf("cashier %d: customer %d with %d products\n", id, customer.id, customer.n_products);
        for (int i = 0; i < customer.n_products && rc == 0; i++)
            rc = bide_sleep(0); /* one turn of the loop for each product */
        if (rc < 0)
            return rc;
        checkout_task_done(queue);
    }
    return rc;
}

static int let_them_in(checkout *queue)
{
    for (int id = 1; id <= CUSTOMERS; id++) {
        struct customer customer = {id, (id * 7) % 5 + 1};
        int rc = checkout_put(queue, customer);
        if (rc < 0)
            return rc;
    }
    return checkout_join(queue); /* until every customer was served */
}

bide_async(amain)
{
    checkout *queue;
    int rc = checkout_new(NULL, &queue);
    if (rc < 0)
        return rc;
    bide_task *cashiers[CASHIERS];
    for (int i = 0; i < CASHIERS; i++)
        cashiers[i] = bide_spawn(cashier, queue, i);
    rc = let_them_in(queue);
    printf("closing time, %zu customers are left\n", checkout_size(queue));
    bide_cancel_join(cashiers, CASHIERS);
    checkout_free(queue);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
