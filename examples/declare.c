/* Coroutines and generators in several files: declared as in a header, defined elsewhere, and a
 * plain function that is started as a task. */
#include <bide.h>

#include <stdio.h>

/* What would stand in a header. */
bide_async_declare(twice, (int, number));
bide_generator_declare(int, down_from, (int, n));

static int plain(void *data)
{
    int *number = data;
    int rc = bide_sleep(0.001); /* it is a task: it may wait */
    return rc < 0 ? rc : 100 + *number;
}

bide_async(amain)
{
    int rc, number = 5;
    bide_task *task = bide_spawn(twice, 21);
    bide_task *second_handle = bide_retain(task);
    printf("a declared coroutine: %d", bide_await(task));
    printf(", and by a second handle: %d\n", bide_await(second_handle));
    printf("a plain function: %d\n", bide_await(bide_spawn_fn(plain, &number)));
    struct bide_task_opts opts = {.name = "the plain one"};
    task = bide_spawn_fn_with(&opts, plain, &number);
    printf("with options: %s", bide_task_name(task));
    printf(": %d\n", bide_await(task));
    bide_for (int, n, rc, bide_iterate(down_from, 3)) {
        printf("a declared generator: %d\n", n);
    }
    return rc;
}

int main(void)
{
    return bide_run(amain);
}

/* What would stand in another file. */
int twice(int number)
{
    int rc = bide_sleep(0.001);
    return rc < 0 ? rc : 2 * number;
}

bide_generator_body(int, down_from, (int, n))
{
    int rc = 0;
    for (; n > 0 && rc >= 0; n--)
        rc = bide_yield(n);
    return rc;
}
