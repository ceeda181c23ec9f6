/*
 * Scenario: many loops in many threads, each with tasks and timers of its own, that spawn, await,
 * cancel and post on each other in every direction while they open and close. Claim: they share
 * nothing; every remote handle is resolved; nothing that was posted is lost or dropped twice.
 * (ThreadSanitizer checks the rest.)
 */
#include <pthread.h>
#include <stdatomic.h>

#include "task_rig.h"

enum { THREADS = 6, ROUNDS = 30 };

static bide_async(child, (int, n))
{
    int rc = bide_sleep(n % 3 ? 0 : 0.0005);
    return rc < 0 ? rc : n;
}

static bide_async(works, (int, seed))
{
    int sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        bide_task *tasks[8];
        int results[8];
        for (int i = 0; i < 8; i++)
            tasks[i] = bide_spawn(child, seed + i);
        int rc = bide_gather(tasks, 8, results);
        CHECK_INT(rc, 0);
        for (int i = 0; i < 8; i++)
            sum += results[i];
    }
    return sum;
}

static void *runs_its_own(void *data)
{
    int seed = *(int *)data;
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_run_with(NULL, works, seed), ROUNDS * (8 * seed + 28));
    return NULL;
}

BIDE_TEST(loops_in_threads_share_nothing)
{
    pthread_t threads[THREADS];
    int seeds[THREADS];
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = i;
        CHECK_INT(pthread_create(&threads[i], NULL, runs_its_own, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
}

/* The ring: each thread's loop works for the next one's. */
static struct member {
    pthread_t thread;
    _Atomic(bide_remote *) remote;
    atomic_int n_posted;
    atomic_int n_dropped;
    uint64_t random;
} ring[THREADS];

static int ignore(void *data)
{
    (void)data;
    return 0;
}

static void count_drop(void *data)
{
    atomic_fetch_add(&((struct member *)data)->n_dropped, 1);
}

static bide_async(serves, (int, kind), (int, n))
{
    if (kind == 0)
        return n;
    int rc = bide_sleep(kind == 1 ? 0 : kind == 2 ? 0.001 : INFINITY);
    return rc < 0 ? rc : n;
}

static void ask(struct member *self, bide_remote *other, int kind, int n)
{
    if (bide_call_soon_threadsafe(other, ignore, self, count_drop) == 0)
        atomic_fetch_add(&self->n_posted, 1);
    bide_remote *task = bide_spawn_threadsafe(other, serves, kind, n);
    if (!task)
        return;
    if (kind == 3 || test_random(&self->random) % 4 == 0) {
        int rc = bide_cancel_threadsafe(task);
        CHECK(rc == 0 || rc == -ESHUTDOWN);
    }
    int result = -1;
    if (test_random(&self->random) % 2 == 0)
        result = bide_within(0.002, bide_await_threadsafe(task));
    else if (kind < 2)
        result = bide_await_threadsafe(task);
    else
        result = n; /* nobody waits */
    CHECK(result == n || result == -ECANCELED || result == -ETIMEDOUT);
    bide_remote_unref(task);
}

static bide_async(asks, (struct member *, self))
{
    struct member *next = &ring[(self - ring + 1) % THREADS];
    for (int i = 0; i < ROUNDS; i++) {
        bide_remote *other = atomic_load(&next->remote);
        ask(self, other, (int)(test_random(&self->random) % 4), i);
        int rc = bide_sleep(0);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void *takes_part(void *data)
{
    struct member *self = data;
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    bide_remote *before = atomic_exchange(&self->remote, bide_loop_remote(loop));
    CHECK(!before);
    for (size_t i = 0; i < THREADS; i++)
        while (!atomic_load(&ring[i].remote))
            sched_yield();
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, asks, self)), 0);
    CHECK_INT(bide_loop_close(loop), 0); /* while others may still ask */
    return NULL;
}

BIDE_TEST_SECONDS(ring_of_loops_that_work_for_each_other, 60)
{
    uint64_t seed = test_seed();
    printf("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < THREADS; i++) {
        ring[i].random = seed + (uint64_t)i;
        CHECK_INT(pthread_create(&ring[i].thread, NULL, takes_part, &ring[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(ring[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(atomic_load(&ring[i].n_dropped), atomic_load(&ring[i].n_posted));
        bide_remote_unref(ring[i].remote);
    }
}

static void *posts_until_refused(void *data)
{
    struct member *self = data;
    int rc;
    while ((rc = bide_call_soon_threadsafe(self->remote, ignore, self, count_drop)) == 0) {
        atomic_fetch_add(&self->n_posted, 1);
        bide_remote *task = bide_spawn_threadsafe(self->remote, serves, 1, 1);
        if (!task)
            continue;
        int result = 0;
        CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), 0);
        CHECK(result == 1 || result == -ECANCELED);
        bide_remote_unref(task);
    }
    CHECK_INT(rc, -ESHUTDOWN);
    return NULL;
}

BIDE_TEST(posts_race_with_the_close)
{
    for (int round = 0; round < 20; round++) {
        struct member member = {.random = 0};
        pthread_t threads[2];
        bide_loop *loop = rig_loop();
        struct bide_task_opts opts = {.loop = loop};
        member.remote = bide_loop_remote(loop);
        for (int i = 0; i < 2; i++)
            CHECK_INT(pthread_create(&threads[i], NULL, posts_until_refused, &member), 0);
        CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, serves, 2, 1)), 1);
        rig_close(loop);
        for (int i = 0; i < 2; i++)
            CHECK_INT(pthread_join(threads[i], NULL), 0);
        CHECK_INT(atomic_load(&member.n_dropped), atomic_load(&member.n_posted));
        bide_remote_unref(member.remote);
    }
}
