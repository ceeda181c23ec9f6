/*
 * A program outside the project: it sees only what is installed. It is compiled as C and as C++,
 * and uses the public macros in each of their forms.
 */
#include <bide.h>

#include <stdio.h>

bide_async_declare(twice, (int, number));

bide_async(delay, (double, seconds), (int, result))
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : result;
}

bide_async(nothing)
{
    return bide_sleep(0);
}

int twice(int number)
{
    return 2 * number;
}

bide_async(amain)
{
    bide_task *one = bide_spawn(delay, 0.001, 1);
    bide_task *two = bide_spawn(twice, 1);
    bide_task *none = bide_spawn(nothing);
    int direct = delay(0, 3);
    int late = bide_within(0.001, delay(60, 4));
    printf("%d %d %d %d %s\n", bide_await(one), bide_await(two), bide_await(none), direct,
           bide_strerror(late));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
