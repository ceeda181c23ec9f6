/* An interface that takes a coroutine or a plain function, and need not know which: `retry` calls
 * what it is given until it succeeds. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

static int retry(const bide_callable *callable, int attempts, double pause)
{
    int rc = -EINVAL;
    for (int i = 1; i <= attempts; i++) {
        rc = bide_call(callable);
        printf("  attempt %d: %s\n", i, rc < 0 ? bide_strerror(rc) : "well");
        if (rc >= 0 || rc == -ECANCELED)
            break;
        int slept = bide_sleep(pause);
        if (slept < 0)
            return slept;
    }
    return rc;
}

/* A coroutine with typed arguments. */
bide_async(connect_to, (const char *, host), (int *, n_down))
{
    printf("  connecting to %s\n", host);
    int rc = bide_sleep(0.001);
    if (rc < 0)
        return rc;
    return (*n_down)-- > 0 ? -ECONNREFUSED : 7;
}

/* A plain function. */
static int toss(void *data)
{
    int *n = data;
    return --*n > 0 ? -EAGAIN : 3;
}

bide_async(amain)
{
    int n_down = 2;
    int n = 2;
    bide_callable *coroutine = bide_bind(connect_to, "db.example", &n_down);
    bide_callable *function = bide_bind_fn(toss, &n);
    printf("a coroutine:\n");
    printf("  returned %d\n", retry(coroutine, 5, 0.001));
    printf("a plain function:\n");
    printf("  returned %d\n", retry(function, 5, 0.001));
    printf("as a task:\n");
    printf("  returned %d\n", bide_await(bide_spawn_callable(coroutine, NULL)));
    bide_callable_free(function);
    bide_callable_free(coroutine);
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
