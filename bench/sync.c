/*
 * What tasks pay for locks and their like: taken when nobody else wants them, handed from task to
 * task, and an event that wakes many; of 100 tasks where they take turns.
 *
 *     sync [--json] [PREFIX...]
 */
#include "bench.h"

#include <bide.h>

enum { ROUNDS = 9, FREE = 1000000, HANDED = 400000, MANY = 100 };

static bide_lock lock;
static bide_semaphore semaphore = BIDE_SEMAPHORE(1);
static bide_condition condition;
static bide_event event;
static bide_barrier barrier = BIDE_BARRIER(MANY);

bide_async(locks, (long, n))
{
    for (long i = 0; i < n; i++) {
        bide_lock_acquire(&lock);
        bide_lock_release(&lock);
    }
    return 0;
}

/* Suspends while it holds the lock, so that all others queue. */
bide_async(locks_and_yields, (long, n))
{
    for (long i = 0; i < n; i++) {
        bide_lock_acquire(&lock);
        bide_sleep(0);
        bide_lock_release(&lock);
    }
    return 0;
}

bide_async(locks_in_blocks, (long, n))
{
    int rc = 0;
    for (long i = 0; i < n; i++)
        bide_with_lock (rc, &lock)
            rc = 0;
    return rc;
}

bide_async(takes_permits, (long, n))
{
    for (long i = 0; i < n; i++) {
        bide_semaphore_acquire(&semaphore);
        bide_semaphore_release(&semaphore);
    }
    return 0;
}

bide_async(takes_permits_and_yields, (long, n))
{
    for (long i = 0; i < n; i++) {
        bide_semaphore_acquire(&semaphore);
        bide_sleep(0);
        bide_semaphore_release(&semaphore);
    }
    return 0;
}

bide_async(notifies, (long, n))
{
    bide_lock_acquire(bide_condition_lock(&condition));
    for (long i = 0; i < n; i++) {
        bide_condition_notify(&condition, 1);
        bide_condition_wait(&condition);
    }
    bide_condition_notify(&condition, 1);
    bide_lock_release(bide_condition_lock(&condition));
    return 0;
}

bide_async(waits_for_event, (long, n))
{
    for (long i = 0; i < n; i++)
        bide_event_wait(&event);
    return 0;
}

bide_async(sets_event, (long, n))
{
    for (long i = 0; i < n; i++) {
        bide_event_set(&event);
        bide_event_clear(&event);
        bide_sleep(0);
    }
    return 0;
}

bide_async(meets, (long, n))
{
    for (long i = 0; i < n; i++)
        bide_barrier_wait(&barrier);
    return 0;
}

bide_async(takes_rated, (long, n))
{
    struct bide_limiter_opts opts = {.permits = 1000000000, .burst = 1000000000};
    bide_limiter limiter;
    bide_limiter_init(&limiter, &opts);
    for (long i = 0; i < n; i++)
        bide_limiter_acquire(&limiter, 1);
    return 0;
}

/* `n` operations in all, done by `n_tasks`. */
#define BENCH(title, coroutine, n_tasks, n) \
    do { \
        struct bench bench = {.name = title}; \
        if (!bench_wanted(title)) \
            break; \
        for (int round = 0; round < ROUNDS; round++) { \
            bide_task *tasks[MANY]; \
            for (int i = 0; i < (n_tasks); i++) \
                tasks[i] = bide_spawn(coroutine, (n) / (n_tasks)); \
            bench_begin(&bench); \
            bide_gather(tasks, (n_tasks), NULL); \
            bench_end(&bench, (n)); \
        } \
        bench_print(&bench); \
    } while (0)

static void bench_event(void)
{
    struct bench bench = {.name = "event/100"};
    if (!bench_wanted(bench.name))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        bide_task *tasks[MANY];
        for (int i = 0; i < MANY; i++)
            tasks[i] = bide_spawn(waits_for_event, HANDED / MANY);
        bide_sleep(0);
        bench_begin(&bench);
        bide_await(bide_spawn(sets_event, HANDED / MANY));
        bench_end(&bench, HANDED);
        bide_gather(tasks, MANY, NULL);
    }
    bench_print(&bench);
}

bide_async(amain)
{
    BENCH("lock/free", locks, 1, FREE);
    BENCH("lock/block", locks_in_blocks, 1, FREE);
    BENCH("lock/handed", locks_and_yields, MANY, HANDED);
    BENCH("semaphore/free", takes_permits, 1, FREE);
    BENCH("semaphore/handed", takes_permits_and_yields, MANY, HANDED);
    BENCH("condition/2", notifies, 2, HANDED);
    bench_event();
    BENCH("barrier/100", meets, MANY, HANDED);
    BENCH("limiter/free", takes_rated, 1, FREE);
    return 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    bench_options(argv);
    return bide_run(amain);
}
