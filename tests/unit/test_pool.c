/*
 * Scenario: jobs of all lanes finish, hang, and are abandoned before, while and after they run,
 * also while the pool is closed. Claim: what pool.h says: exactly one of done() and drop() per job,
 * on the right thread, lanes that do not delay each other, and threads that leave nothing behind.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/pool.h"
#include "fault.h"
#include "test.h"

#define SECOND_NS INT64_C(1000000000)

/* All of an engine that a pool needs. */
struct fake_engine {
    struct bide_engine base;
    sem_t woken;
    atomic_bool slow; /* wake() takes its time */
    atomic_bool slow_done;
};

static void fake_wake(struct bide_engine *engine)
{
    struct fake_engine *fake = (struct fake_engine *)engine;
    sem_post(&fake->woken);
    if (!atomic_load(&fake->slow))
        return;
    for (int i = 0; i < 1000; i++)
        sched_yield();
    atomic_store(&fake->slow_done, true);
}

static const struct bide_engine_ops fake_ops = {.name = "fake", .wake = fake_wake};

static void sem_wait_through(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0)
        CHECK_INT(errno, EINTR);
}

static struct fake_engine *fake_new(void)
{
    struct fake_engine *fake = calloc(1, sizeof(*fake));
    CHECK(fake);
    fake->base.ops = &fake_ops;
    CHECK_INT(sem_init(&fake->woken, 0, 0), 0);
    return fake;
}

static void fake_free(struct fake_engine *fake)
{
    sem_destroy(&fake->woken);
    memset(fake, 0xee, sizeof(*fake)); /* a late wake would jump into nowhere */
    free(fake);
}

struct work {
    struct bide_job job;
    sem_t *started;        /* posted when run() begins */
    sem_t *gate;           /* waited for by run() */
    sem_t *dropped;        /* posted by drop() */
    struct work *abandons; /* by done() */
    struct bide__pool *pool;
    pthread_t thread_run;
    pthread_t thread_end;
    int detach_state; /* of the thread that drops it */
    atomic_int n_runs;
    atomic_int n_done;
    atomic_int n_drops;
};

static void work_run(struct bide_job *job)
{
    struct work *work = (struct work *)job;
    work->thread_run = pthread_self();
    if (work->started)
        sem_post(work->started);
    if (work->gate)
        sem_wait_through(work->gate);
    atomic_fetch_add(&work->n_runs, 1);
}

static void work_done(struct bide_job *job)
{
    struct work *work = (struct work *)job;
    work->thread_end = pthread_self();
    atomic_fetch_add(&work->n_done, 1);
    if (work->abandons)
        bide__pool_abandon(work->pool, &work->abandons->job);
}

static void work_drop(struct bide_job *job)
{
    struct work *work = (struct work *)job;
    sem_t *dropped = work->dropped;
    work->thread_end = pthread_self();
    pthread_attr_t attributes;
    CHECK_INT(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_INT(pthread_attr_getdetachstate(&attributes, &work->detach_state), 0);
    pthread_attr_destroy(&attributes);
    atomic_fetch_add(&work->n_drops, 1);
    if (dropped)
        sem_post(dropped); /* the last touch: its owner may free it now */
}

static void work_init(struct work *work)
{
    *work = (struct work){.job = {.run = work_run, .done = work_done, .drop = work_drop}};
}

static void check_ends(const struct work *work, int n_runs, int n_done, int n_drops)
{
    CHECK_INT(atomic_load(&work->n_runs), n_runs);
    CHECK_INT(atomic_load(&work->n_done), n_done);
    CHECK_INT(atomic_load(&work->n_drops), n_drops);
}

static void reap_until_done(struct fake_engine *fake, struct bide__pool *pool, struct work *work)
{
    while (atomic_load(&work->n_done) == 0) {
        if (bide__pool_reap(pool, 100) == 0)
            sem_wait_through(&fake->woken);
    }
}

/* The pool's threads, which are known by their names. */
static int count_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    CHECK(folder);
    int n = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[300];
        char name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file)
            continue; /* or it has ended by now */
        n += fgets(name, sizeof(name), file) && strncmp(name, "bide-", 5) == 0;
        fclose(file);
    }
    closedir(folder);
    return n;
}

/* A thread that has ended is still counted for a moment; one that has not hangs the test. */
static void await_no_threads(void)
{
    while (count_threads() > 0)
        sched_yield();
}

static struct bide__pool *pool_open(struct fake_engine *fake, unsigned user_threads_max)
{
    struct bide__pool *pool;
    CHECK_INT(bide__pool_open(&fake->base, user_threads_max, &pool), 0);
    return pool;
}

BIDE_TEST(jobs_run_elsewhere_and_end_here)
{
    struct fake_engine *fake = fake_new();
    struct bide__pool *pool = pool_open(fake, 0);
    for (int lane = 0; lane < BIDE_LANE_COUNT; lane++) {
        struct work work;
        work_init(&work);
        CHECK_INT(bide__pool_submit(pool, &work.job, (enum bide_lane)lane), 0);
        reap_until_done(fake, pool, &work);
        check_ends(&work, 1, 1, 0);
        CHECK(!pthread_equal(work.thread_run, pthread_self()));
        CHECK(pthread_equal(work.thread_end, pthread_self()));
        CHECK(!bide__pool_finished(pool) || bide__pool_reap(pool, 1) == 0);
    }
    bide__pool_close(pool, SECOND_NS);
    fake_free(fake);
}

BIDE_TEST(threads_start_when_they_are_needed_and_are_used_again)
{
    struct fake_engine *fake = fake_new();
    struct bide__pool *pool = pool_open(fake, 4);
    CHECK_INT(count_threads(), 0);
    sem_t started;
    sem_t gate;
    CHECK_INT(sem_init(&started, 0, 0), 0);
    CHECK_INT(sem_init(&gate, 0, 0), 0);
    struct work works[6];
    for (int i = 0; i < 6; i++) {
        work_init(&works[i]);
        works[i].started = &started;
        works[i].gate = &gate;
        CHECK_INT(bide__pool_submit(pool, &works[i].job, BIDE_LANE_USER), 0);
        if (i < 4)
            sem_wait_through(&started);
        CHECK_INT(count_threads(), i < 4 ? i + 1 : 4);
    }
    for (int i = 0; i < 6; i++)
        sem_post(&gate);
    for (int i = 0; i < 6; i++)
        reap_until_done(fake, pool, &works[i]);
    CHECK_INT(count_threads(), 4);
    bide__pool_close(pool, SECOND_NS);
    await_no_threads();
    fake_free(fake);
}

/* One idle thread is enough for one of two jobs, also while it has not taken it yet. */
BIDE_TEST(an_idle_thread_is_not_counted_on_twice)
{
    for (int round = 0; round < 50; round++) {
        struct fake_engine *fake = fake_new();
        struct bide__pool *pool = pool_open(fake, 4);
        struct work first;
        work_init(&first);
        CHECK_INT(bide__pool_submit(pool, &first.job, BIDE_LANE_USER), 0);
        reap_until_done(fake, pool, &first);
        for (int i = 0; i < round; i++)
            sched_yield();
        sem_t started;
        sem_t gate;
        CHECK_INT(sem_init(&started, 0, 0), 0);
        CHECK_INT(sem_init(&gate, 0, 0), 0);
        struct work works[2];
        for (int i = 0; i < 2; i++) {
            work_init(&works[i]);
            works[i].started = &started;
            works[i].gate = &gate;
            CHECK_INT(bide__pool_submit(pool, &works[i].job, BIDE_LANE_USER), 0);
        }
        for (int i = 0; i < 2; i++) /* both run at once */
            sem_wait_through(&started);
        for (int i = 0; i < 2; i++)
            sem_post(&gate);
        bide__pool_close(pool, 20 * SECOND_NS);
        fake_free(fake);
    }
}

static void check_mask(struct bide_job *job)
{
    (void)job;
    sigset_t blocked;
    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    static const int asynchronous[] = {SIGINT,  SIGTERM, SIGCHLD, SIGUSR1,
                                       SIGALRM, SIGPIPE, SIGPROF};
    for (size_t i = 0; i < sizeof(asynchronous) / sizeof(asynchronous[0]); i++)
        CHECK_INT(sigismember(&blocked, asynchronous[i]), 1);
    CHECK_INT(sigismember(&blocked, SIGSEGV), 0);
    CHECK_INT(sigismember(&blocked, SIGABRT), 0);
}

BIDE_TEST(threads_take_no_asynchronous_signals)
{
    struct fake_engine *fake = fake_new();
    struct bide__pool *pool = pool_open(fake, 1);
    sigset_t before;
    sigset_t after;
    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    struct work work;
    work_init(&work);
    work.job.run = check_mask;
    CHECK_INT(bide__pool_submit(pool, &work.job, BIDE_LANE_USER), 0);
    reap_until_done(fake, pool, &work);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    for (int signo = 1; signo < 32; signo++)
        CHECK_INT(sigismember(&after, signo), sigismember(&before, signo));
    bide__pool_close(pool, SECOND_NS);
    fake_free(fake);
}

/* One thread that is held at a gate, so that everything behind it stays queued. */
struct held {
    struct fake_engine *fake;
    struct bide__pool *pool;
    sem_t started;
    sem_t gate;
    struct work holder;
};

static void held_open(struct held *held)
{
    held->fake = fake_new();
    held->pool = pool_open(held->fake, 1);
    CHECK_INT(sem_init(&held->started, 0, 0), 0);
    CHECK_INT(sem_init(&held->gate, 0, 0), 0);
    work_init(&held->holder);
    held->holder.started = &held->started;
    held->holder.gate = &held->gate;
    CHECK_INT(bide__pool_submit(held->pool, &held->holder.job, BIDE_LANE_USER), 0);
    sem_wait_through(&held->started);
}

static void held_close(struct held *held)
{
    bide__pool_close(held->pool, 10 * SECOND_NS);
    fake_free(held->fake);
}

BIDE_TEST(queued_jobs_run_in_order_and_finish_in_order)
{
    struct held held;
    held_open(&held);
    enum { N = 100 };
    static struct work works[N];
    for (int i = 0; i < N; i++) {
        work_init(&works[i]);
        CHECK_INT(bide__pool_submit(held.pool, &works[i].job, BIDE_LANE_USER), 0);
    }
    sem_post(&held.gate);
    for (int i = 0; i < N; i++) {
        reap_until_done(held.fake, held.pool, &works[i]);
        for (int j = i + 1; j < N; j++) {
            if (atomic_load(&works[j].n_done) > atomic_load(&works[j - 1].n_done))
                FAIL("job %d ended before job %d", j, j - 1);
        }
    }
    held_close(&held);
}

BIDE_TEST(reaping_is_bounded)
{
    struct held held;
    held_open(&held);
    struct work works[10];
    for (int i = 0; i < 10; i++) {
        work_init(&works[i]);
        CHECK_INT(bide__pool_submit(held.pool, &works[i].job, BIDE_LANE_USER), 0);
    }
    sem_post(&held.gate);
    while (atomic_load(&works[9].n_runs) == 0)
        sched_yield();
    reap_until_done(held.fake, held.pool, &held.holder);
    for (int i = 0; i < 10; i++)
        reap_until_done(held.fake, held.pool, &works[i]);
    CHECK_INT(bide__pool_reap(held.pool, 100), 0);
    held_close(&held);

    held_open(&held);
    for (int i = 0; i < 10; i++) {
        work_init(&works[i]);
        CHECK_INT(bide__pool_submit(held.pool, &works[i].job, BIDE_LANE_FILE), 0);
    }
    int n_done = 0;
    while (n_done < 10) {
        int n = bide__pool_reap(held.pool, 3);
        CHECK_RANGE(n, 0, 3);
        n_done += n;
        CHECK(n < 3 || bide__pool_finished(held.pool)); /* until a reap found nothing */
    }
    sem_post(&held.gate);
    held_close(&held);
}

BIDE_TEST(a_job_abandoned_in_the_queue_never_runs)
{
    struct held held;
    held_open(&held);
    struct work works[3];
    for (int i = 0; i < 3; i++) {
        work_init(&works[i]);
        CHECK_INT(bide__pool_submit(held.pool, &works[i].job, BIDE_LANE_USER), 0);
    }
    bide__pool_abandon(held.pool, &works[1].job);
    check_ends(&works[1], 0, 0, 1);
    CHECK(pthread_equal(works[1].thread_end, pthread_self()));
    bide__pool_abandon(held.pool, &works[2].job); /* the last of the queue */
    check_ends(&works[2], 0, 0, 1);
    work_init(&works[2]);
    CHECK_INT(bide__pool_submit(held.pool, &works[2].job, BIDE_LANE_USER), 0);
    sem_post(&held.gate);
    reap_until_done(held.fake, held.pool, &works[2]);
    check_ends(&works[0], 1, 1, 0);
    check_ends(&works[1], 0, 0, 1);
    check_ends(&works[2], 1, 1, 0);
    held_close(&held);
}

BIDE_TEST(a_job_abandoned_while_it_runs_is_dropped_by_its_thread)
{
    struct held held;
    held_open(&held);
    sem_t dropped;
    CHECK_INT(sem_init(&dropped, 0, 0), 0);
    held.holder.dropped = &dropped;
    bide__pool_abandon(held.pool, &held.holder.job);
    check_ends(&held.holder, 0, 0, 0);
    sem_post(&held.gate);
    sem_wait_through(&dropped);
    check_ends(&held.holder, 1, 0, 1);
    CHECK(pthread_equal(held.holder.thread_end, held.holder.thread_run));
    CHECK_INT(bide__pool_reap(held.pool, 100), 0);
    struct work next; /* the thread goes on */
    work_init(&next);
    CHECK_INT(bide__pool_submit(held.pool, &next.job, BIDE_LANE_USER), 0);
    reap_until_done(held.fake, held.pool, &next);
    held_close(&held);
}

BIDE_TEST(a_job_abandoned_after_it_ran_is_dropped_here)
{
    struct held held;
    held_open(&held);
    sem_post(&held.gate);
    sem_wait_through(&held.fake->woken); /* it is finished */
    bide__pool_abandon(held.pool, &held.holder.job);
    check_ends(&held.holder, 1, 0, 1);
    CHECK(pthread_equal(held.holder.thread_end, pthread_self()));
    CHECK_INT(bide__pool_reap(held.pool, 100), 0);
    held_close(&held);
}

BIDE_TEST(done_may_abandon_a_job_that_would_be_next)
{
    struct held held;
    held_open(&held);
    struct work works[2];
    for (int i = 0; i < 2; i++) {
        work_init(&works[i]);
        CHECK_INT(bide__pool_submit(held.pool, &works[i].job, BIDE_LANE_USER), 0);
    }
    works[0].pool = held.pool;
    works[0].abandons = &works[1];
    sem_post(&held.gate);
    while (atomic_load(&works[1].n_runs) == 0)
        sched_yield();
    reap_until_done(held.fake, held.pool, &works[0]);
    CHECK_INT(bide__pool_reap(held.pool, 100), 0);
    bide__pool_close(held.pool, 10 * SECOND_NS);
    check_ends(&works[0], 1, 1, 0);
    check_ends(&works[1], 1, 0, 1);
    fake_free(held.fake);
}

BIDE_TEST(closing_waits_for_what_runs_and_drops_the_rest)
{
    struct held held;
    held_open(&held);
    struct work finished;
    struct work queued;
    work_init(&finished);
    work_init(&queued);
    CHECK_INT(bide__pool_submit(held.pool, &finished.job, BIDE_LANE_FILE), 0);
    sem_wait_through(&held.fake->woken);
    queued.dropped = &held.gate; /* the close itself lets the holder go on */
    CHECK_INT(bide__pool_submit(held.pool, &queued.job, BIDE_LANE_USER), 0);
    bide__pool_close(held.pool, 20 * SECOND_NS);
    check_ends(&finished, 1, 0, 1);
    check_ends(&held.holder, 1, 0, 1);
    check_ends(&queued, 0, 0, 1);
    await_no_threads();
    fake_free(held.fake);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* The engine is gone when the job ends at last: it is dropped, and the pool goes with its thread.
 */
static void outlast_close(enum bide_lane lane, int64_t join_ns)
{
    struct fake_engine *fake = fake_new();
    struct bide__pool *pool = pool_open(fake, 2);
    sem_t started;
    sem_t gate;
    sem_t dropped;
    CHECK_INT(sem_init(&started, 0, 0), 0);
    CHECK_INT(sem_init(&gate, 0, 0), 0);
    CHECK_INT(sem_init(&dropped, 0, 0), 0);
    struct work works[2];
    for (int i = 0; i < 2; i++) {
        work_init(&works[i]);
        works[i].started = &started;
        works[i].gate = &gate;
        works[i].dropped = &dropped;
        CHECK_INT(bide__pool_submit(pool, &works[i].job, lane), 0);
        sem_wait_through(&started);
    }
    bide__pool_abandon(pool, &works[1].job); /* the close finds one that is abandoned already */
    int64_t start_ns = now_ns();
    bide__pool_close(pool, join_ns);
    CHECK(now_ns() - start_ns < 10 * SECOND_NS);
    fake_free(fake);
    for (int i = 0; i < 2; i++)
        check_ends(&works[i], 0, 0, 0);
    for (int i = 0; i < 2; i++)
        sem_post(&gate);
    for (int i = 0; i < 2; i++)
        sem_wait_through(&dropped);
    for (int i = 0; i < 2; i++) {
        check_ends(&works[i], 1, 0, 1);
        CHECK_INT(works[i].detach_state, PTHREAD_CREATE_DETACHED);
    }
    await_no_threads();
}

BIDE_TEST(a_job_that_hangs_outlasts_the_close)
{
    outlast_close(BIDE_LANE_USER, 0);
    outlast_close(BIDE_LANE_USER, SECOND_NS / 100);
    outlast_close(BIDE_LANE_FILE, SECOND_NS / 100);
}

BIDE_TEST(closing_does_not_wait_for_lookups)
{
    outlast_close(BIDE_LANE_RESOLVE, 20 * SECOND_NS);
}

BIDE_TEST(closing_waits_for_a_thread_that_wakes_the_engine)
{
    for (int lane = 0; lane < BIDE_LANE_COUNT; lane++) {
        struct fake_engine *fake = fake_new();
        atomic_store(&fake->slow, true);
        struct bide__pool *pool = pool_open(fake, 1);
        struct work work;
        work_init(&work);
        CHECK_INT(bide__pool_submit(pool, &work.job, (enum bide_lane)lane), 0);
        sem_wait_through(&fake->woken);
        bide__pool_close(pool, 0);
        CHECK(atomic_load(&fake->slow_done));
        check_ends(&work, 1, 0, 1);
        fake_free(fake);
    }
}

BIDE_TEST(closing_waits_without_a_limit_if_told_so)
{
    struct held held;
    held_open(&held);
    struct work queued;
    work_init(&queued);
    queued.dropped = &held.gate;
    CHECK_INT(bide__pool_submit(held.pool, &queued.job, BIDE_LANE_USER), 0);
    bide__pool_close(held.pool, INT64_MAX);
    check_ends(&held.holder, 1, 0, 1);
    fake_free(held.fake);
}

BIDE_TEST(without_a_thread_a_job_is_refused_and_with_one_it_is_queued)
{
    struct fake_engine *fake = fake_new();
    struct bide__pool *pool = pool_open(fake, 4);
    struct work work;
    work_init(&work);
    fault_arm(FAULT_SYSTEM, 1, EAGAIN);
    CHECK_INT(bide__pool_submit(pool, &work.job, BIDE_LANE_USER), -EAGAIN);
    CHECK(fault_disarm());
    CHECK_STR(fault_function(), "pthread_create");
    CHECK_INT(bide__pool_submit(pool, &work.job, BIDE_LANE_USER), 0); /* it was not taken */
    reap_until_done(fake, pool, &work);
    check_ends(&work, 1, 1, 0);

    sem_t started;
    sem_t gate;
    CHECK_INT(sem_init(&started, 0, 0), 0);
    CHECK_INT(sem_init(&gate, 0, 0), 0);
    work_init(&work);
    work.started = &started;
    work.gate = &gate;
    CHECK_INT(bide__pool_submit(pool, &work.job, BIDE_LANE_FILE), 0);
    sem_wait_through(&started);
    struct work behind;
    work_init(&behind);
    fault_arm(FAULT_SYSTEM, 1, EAGAIN);
    CHECK_INT(bide__pool_submit(pool, &behind.job, BIDE_LANE_FILE), 0);
    CHECK(fault_disarm());
    CHECK_INT(atomic_load(&behind.n_runs), 0);
    sem_post(&gate);
    reap_until_done(fake, pool, &behind);
    check_ends(&work, 1, 1, 0);
    bide__pool_close(pool, SECOND_NS);
    fake_free(fake);
}

BIDE_TEST(without_memory_there_is_no_pool)
{
    struct fake_engine *fake = fake_new();
    struct bide__pool *pool = NULL;
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide__pool_open(&fake->base, 0, &pool), -ENOMEM);
    CHECK(fault_disarm());
    CHECK_PTR(pool, NULL);
    bide__pool_close(NULL, 0);
    fake_free(fake);
}

BIDE_TEST(a_forked_child_forgets_the_pool)
{
    struct held held;
    held_open(&held);
    struct work queued;
    work_init(&queued);
    CHECK_INT(bide__pool_submit(held.pool, &queued.job, BIDE_LANE_USER), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bide__pool_forget(held.pool);
        _exit(atomic_load(&queued.n_drops) == 0 ? 0 : 1);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    sem_post(&held.gate);
    reap_until_done(held.fake, held.pool, &queued);
    check_ends(&held.holder, 1, 1, 0);
    held_close(&held);
}

/* Submits and abandons at random on all lanes; in the end every job has had exactly one end. */
BIDE_TEST(every_job_ends_once_whatever_happens)
{
    uint64_t random = test_seed();
    enum { N = 3000 };
    for (int round = 0; round < 3; round++) {
        struct fake_engine *fake = fake_new();
        struct bide__pool *pool = pool_open(fake, 3);
        struct work *works = calloc(N, sizeof(*works));
        CHECK(works);
        bool abandoned[N] = {false};
        for (int i = 0; i < N; i++) {
            uint64_t dice = test_random(&random);
            work_init(&works[i]);
            enum bide_lane lane = (enum bide_lane)(dice % BIDE_LANE_COUNT);
            CHECK_INT(bide__pool_submit(pool, &works[i].job, lane), 0);
            if (dice / 8 % 3 == 0) {
                int victim = (int)(dice / 64 % (uint64_t)(i + 1));
                if (!abandoned[victim] && atomic_load(&works[victim].n_done) == 0) {
                    abandoned[victim] = true;
                    bide__pool_abandon(pool, &works[victim].job);
                }
            }
            if (dice / 1024 % 16 == 0)
                bide__pool_reap(pool, (int)(dice / 65536 % 20));
        }
        bide__pool_close(pool, 20 * SECOND_NS);
        for (int i = 0; i < N; i++) {
            int n_done = atomic_load(&works[i].n_done);
            int n_drops = atomic_load(&works[i].n_drops);
            if (n_done + n_drops != 1 || (abandoned[i] && n_done > 0) ||
                (n_done > 0 && atomic_load(&works[i].n_runs) != 1))
                FAIL("job %d: %d done, %d dropped", i, n_done, n_drops);
        }
        free(works);
        fake_free(fake);
    }
}
