/* How long coroutines take: two at once take as long as the longer one. */
#include <bide.h>

#include <stdio.h>

bide_async(delay, (double, seconds))
{
    int rc = bide_sleep(seconds);
    return rc < 0 ? rc : 0;
}

bide_async(timed_delay, (double, seconds))
{
    return bide_timed(NULL, delay(seconds)); /* the label is the expression itself */
}

static int both(void)
{
    bide_task *short_one = bide_spawn(timed_delay, 0.02);
    bide_task *long_one = bide_spawn(timed_delay, 0.03);
    int rc_short = bide_await(short_one);
    int rc_long = bide_await(long_one);
    return rc_short < 0 ? rc_short : rc_long;
}

bide_async(amain)
{
    return bide_timed_to(stdout, "both", both()); /* any other FILE * as well */
}

int main(void)
{
    return bide_run(amain);
}
