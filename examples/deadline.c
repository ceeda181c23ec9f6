/* One limit for several steps: a point in time that is handed on, not a duration for each. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

static int step(const char *name, double seconds, double deadline)
{
    int rc = bide_until(deadline, bide_sleep(seconds));
    printf("  %s: %s\n", name, rc == -ETIMEDOUT ? "no time left" : bide_strerror(rc));
    return rc;
}

static int all_steps(double seconds_of_second, double deadline)
{
    int rc = step("connect", 0.001, deadline);
    if (rc == 0)
        rc = step("ask", seconds_of_second, deadline);
    if (rc == 0)
        rc = step("read", 0.001, deadline);
    return rc;
}

bide_async(amain)
{
    printf("enough time:\n");
    int rc = all_steps(0.001, bide_time() + 60);
    printf("a slow second step:\n");
    if (rc == 0 && all_steps(60, bide_time() + 0.2) != -ETIMEDOUT)
        return 1;
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
