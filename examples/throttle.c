/* Values that come too fast are slowed down, and a source that is silent for too long is given up.
 */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

bide_generator(int, readings, (double, seconds_of_third))
{
    int rc = 0;
    for (int i = 1; i <= 4 && rc >= 0; i++) {
        rc = i == 3 ? bide_sleep(seconds_of_third) : 0;
        if (rc >= 0)
            rc = bide_yield(20 + i);
    }
    return rc;
}

bide_async(amain)
{
    int rc, n = 0;
    double begin = bide_time();
    bide_for (int, reading, rc, bide_throttle(bide_iterate(readings, 0), 0.005)) {
        printf("%d\n", reading);
        n++;
    }
    bool fast = bide_time() - begin < (n - 1) * 0.005 - 0.001;
    printf("%d readings, too fast? %s\n", n, fast ? "yes" : "no");

    bide_for (int, reading, rc, bide_each_within(bide_iterate(readings, 60), 0.2)) {
        printf("%d\n", reading);
    }
    printf("%s\n", bide_strerror(rc));
    return rc == -ETIMEDOUT ? 0 : rc;
}

int main(void)
{
    return bide_run(amain);
}
