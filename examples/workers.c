/*
 * One loop per core: the same main in several threads. Each counts the primes of its share, and
 * sends what it found to worker 0, whose loop alone touches the total, so that nothing is locked.
 */
#include <bide.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>

enum { BELOW = 100000 };

/* Of worker 0's loop. */
static struct {
    int primes;
    unsigned n_heard;
    bide_event all_heard;
} total;

bide_async(hear_of, (int, primes))
{
    total.primes += primes;
    if (++total.n_heard == bide_worker_count())
        bide_event_set(&total.all_heard);
    return 0;
}

static bool is_prime(int n)
{
    for (int i = 2; i * i <= n; i++)
        if (n % i == 0)
            return false;
    return n >= 2;
}

bide_async(count_share)
{
    int primes = 0;
    for (int n = (int)bide_worker_index(); n < BELOW; n += (int)bide_worker_count())
        primes += is_prime(n);
    if (bide_worker_index() == 0) {
        hear_of(primes);
        return bide_event_wait(&total.all_heard);
    }
    bide_remote *heard = bide_spawn_threadsafe(bide_worker_remote(0), hear_of, primes);
    int rc = heard ? bide_await_threadsafe(heard) : -ENOMEM;
    bide_remote_unref(heard);
    return rc;
}

bide_async(one_fails)
{
    if (bide_worker_index() == 2)
        return bide_fail(-EIO, "worker 2 has had enough");
    return bide_sleep(INFINITY); /* until it is cancelled for that */
}

int main(void)
{
    printf("%s\n", bide_processors() > 0 ? "counting in four workers" : "no processor?");
    int status = bide_run_workers(4, count_share);
    printf("%d primes below %d, status %d\n", total.primes, BELOW, status);

    int rc = bide_run_workers_with(NULL, 4, one_fails);
    printf("%s: %s\n", bide_strerror(rc), bide_error_detail());
    return status;
}
