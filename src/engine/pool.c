/*
 * The threads behind pool.h, which states the invariants.
 *
 * How the end works: a worker is busy while it is inside run() or drop(). Everybody else is either
 * asleep or about to look at `closing`, so the closer may wait for those without a limit, and for
 * busy ones as long as it was told. Busy workers that it gives up become detached; each of them
 * holds a reference to the pool.
 */
#include "engine/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FILE_THREADS_MAX = 4 };
/* A lookup that hangs has a thread to itself for as long as the resolver likes. So each lookup gets
 * one at once, up to a number that only protects the machine; few stay when there is nothing to do.
 */
enum { RESOLVE_THREADS_MAX = 256, RESOLVE_THREADS_KEPT = 8 };

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_ABANDONED, /* running, and nobody waits for it */
    JOB_FINISHED,  /* waiting for done() */
    JOB_RELEASED,  /* its owner's again */
};

struct job_list {
    struct bide_job *first;
    struct bide_job **end;
};

struct worker {
    struct bide__pool *pool;
    struct lane *lane;
    pthread_t thread;
    struct bide_job *job; /* which runs */
    bool present;         /* a thread was started here, and nobody has joined it */
    bool busy;            /* in its run() or drop() */
    bool exited;          /* touches nothing any more, or is about to */
};

struct lane {
    struct job_list queued;
    size_t n_queued;
    pthread_cond_t work; /* something is queued, or the pool is closing */
    unsigned n_idle;     /* asleep on `work`, and not signalled for a job yet */
    unsigned n_idle_max; /* further ones leave */
    unsigned n_workers;  /* that did not exit */
    unsigned n_left;     /* that did, before the close, and are to be joined */
    unsigned n_workers_max;
    struct worker *workers; /* the places for them */
};

static const char *const lane_names[BIDE_LANE_COUNT] = {
    [BIDE_LANE_USER] = "bide-user",
    [BIDE_LANE_FILE] = "bide-file",
    [BIDE_LANE_RESOLVE] = "bide-resolve",
};

struct bide__pool {
    pthread_mutex_t lock;
    pthread_cond_t worker_exited; /* on the monotonic clock */
    struct bide_engine *engine;
    struct lane lanes[BIDE_LANE_COUNT];
    struct job_list finished;
    atomic_bool any_finished;
    bool closing;
    unsigned n_users; /* the opener, and the threads that were detached */
    struct worker workers[];
};

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_append(struct job_list *list, struct bide_job *job)
{
    job->next = NULL;
    job->link = list->end;
    *list->end = job;
    list->end = &job->next;
}

static void list_remove(struct job_list *list, struct bide_job *job)
{
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    else
        list->end = job->link;
}

static unsigned default_user_threads(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 1)
        processors = 1;
    return processors + 4 < 32 ? (unsigned)processors + 4 : 32;
}

static int init_conditions(struct bide__pool *pool)
{
    pthread_condattr_t monotonic;
    int rc = pthread_condattr_init(&monotonic);
    if (rc != 0)
        return -rc;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    rc = pthread_cond_init(&pool->worker_exited, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (int i = 0; rc == 0 && i < BIDE_LANE_COUNT; i++)
        rc = pthread_cond_init(&pool->lanes[i].work, NULL);
    if (rc == 0)
        rc = pthread_mutex_init(&pool->lock, NULL);
    return -rc;
}

int bide__pool_open(struct bide_engine *engine, unsigned user_threads_max,
                    struct bide__pool **ret_pool)
{
    unsigned n_max[BIDE_LANE_COUNT] = {
        [BIDE_LANE_USER] = user_threads_max > 0 ? user_threads_max : default_user_threads(),
        [BIDE_LANE_FILE] = FILE_THREADS_MAX,
        [BIDE_LANE_RESOLVE] = RESOLVE_THREADS_MAX,
    };
    size_t n_workers = 0;
    for (int i = 0; i < BIDE_LANE_COUNT; i++)
        n_workers += n_max[i];
    struct bide__pool *pool = calloc(1, sizeof(*pool) + n_workers * sizeof(pool->workers[0]));
    if (!pool)
        return -ENOMEM;
    int rc = init_conditions(pool);
    if (rc < 0) {
        free(pool);
        return rc;
    }
    pool->engine = engine;
    pool->n_users = 1;
    list_init(&pool->finished);
    struct worker *workers = pool->workers;
    for (int i = 0; i < BIDE_LANE_COUNT; i++) {
        list_init(&pool->lanes[i].queued);
        pool->lanes[i].workers = workers;
        pool->lanes[i].n_workers_max = n_max[i];
        pool->lanes[i].n_idle_max = i == BIDE_LANE_RESOLVE ? RESOLVE_THREADS_KEPT : n_max[i];
        workers += n_max[i];
    }
    *ret_pool = pool;
    return 0;
}

/* With the lock held, which is released. */
static void pool_unref(struct bide__pool *pool)
{
    bool last = --pool->n_users == 0;
    pthread_mutex_unlock(&pool->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->worker_exited);
    for (int i = 0; i < BIDE_LANE_COUNT; i++)
        pthread_cond_destroy(&pool->lanes[i].work);
    free(pool);
}

/* With the lock held; it is released while the job runs and while the loop is woken. */
static void run_next(struct worker *worker)
{
    struct bide__pool *pool = worker->pool;
    struct lane *lane = worker->lane;
    struct bide_job *job = lane->queued.first;
    list_remove(&lane->queued, job);
    lane->n_queued--;
    job->state = JOB_RUNNING;
    worker->job = job;
    worker->busy = true;
    pthread_mutex_unlock(&pool->lock);
    job->run(job);
    pthread_mutex_lock(&pool->lock);
    worker->job = NULL;
    if (job->state == JOB_ABANDONED) {
        pthread_mutex_unlock(&pool->lock);
        job->drop(job);
        pthread_mutex_lock(&pool->lock);
        worker->busy = false;
        return;
    }
    job->state = JOB_FINISHED;
    worker->busy = false; /* the closer waits for us from here on, so that the engine lives while it
                             is woken */
    list_append(&pool->finished, job);
    bool first = !atomic_exchange_explicit(&pool->any_finished, true, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
    if (first)
        pool->engine->ops->wake(pool->engine);
    pthread_mutex_lock(&pool->lock);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct bide__pool *pool = worker->pool;
    struct lane *lane = worker->lane;
    pthread_setname_np(pthread_self(), lane_names[lane - pool->lanes]);
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing) {
        if (lane->queued.first) {
            run_next(worker);
            continue;
        }
        if (lane->n_idle == lane->n_idle_max) {
            lane->n_left++;
            break;
        }
        lane->n_idle++;
        pthread_cond_wait(&lane->work, &pool->lock);
        lane->n_idle--;
    }
    lane->n_workers--;
    worker->exited = true;
    pthread_cond_signal(&pool->worker_exited);
    pool_unref(pool);
    return NULL;
}

/*
 * Faults of the job's own code stay deliverable, so that a crash handler can tell about them;
 * everything else is for the program's own threads.
 */
static int start_thread(struct worker *worker)
{
    sigset_t held_back;
    sigset_t before;
    sigfillset(&held_back);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&held_back, faults[i]);
    pthread_sigmask(SIG_BLOCK, &held_back, &before);
    int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

/* With the lock held, which those that leave need no more. */
static void join_left(struct lane *lane)
{
    for (struct worker *at = lane->workers; lane->n_left > 0; at++) {
        if (!at->present || !at->exited)
            continue;
        pthread_join(at->thread, NULL);
        at->present = false;
        lane->n_left--;
    }
}

/* With the lock held. Fails only if the lane has no thread at all. */
static int staff(struct bide__pool *pool, struct lane *lane)
{
    join_left(lane);
    if (lane->n_idle > lane->n_queued || lane->n_workers == lane->n_workers_max)
        return 0;
    struct worker *worker = lane->workers;
    while (worker->present)
        worker++;
    *worker = (struct worker){.pool = pool, .lane = lane, .present = true};
    pool->n_users++;
    int rc = start_thread(worker);
    if (rc < 0) {
        worker->present = false;
        pool->n_users--;
        return lane->n_workers > 0 ? 0 : rc;
    }
    lane->n_workers++;
    return 0;
}

static void finish_unrun(struct bide__pool *pool, struct bide_job *job)
{
    pthread_mutex_lock(&pool->lock);
    job->state = JOB_FINISHED;
    list_append(&pool->finished, job);
    atomic_store_explicit(&pool->any_finished, true, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
}

int bide__pool_submit(struct bide__pool *pool, struct bide_job *job, enum bide_lane lane_id)
{
    if (lane_id == BIDE_LANE_NONE) {
        finish_unrun(pool, job);
        return 0;
    }
    assert(job->run && job->done && job->drop);
    struct lane *lane = &pool->lanes[lane_id];
    job->lane = (uint8_t)lane_id;
    pthread_mutex_lock(&pool->lock);
    assert(!pool->closing);
    int rc = staff(pool, lane);
    if (rc == 0) {
        job->state = JOB_QUEUED;
        list_append(&lane->queued, job);
        lane->n_queued++;
        pthread_cond_signal(&lane->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

/* With the lock held. Whether the caller has to drop the job, after it released the lock. */
static bool let_go(struct bide__pool *pool, struct bide_job *job)
{
    switch ((enum job_state)job->state) {
    case JOB_QUEUED:
        list_remove(&pool->lanes[job->lane].queued, job);
        pool->lanes[job->lane].n_queued--;
        break;
    case JOB_FINISHED:
        list_remove(&pool->finished, job);
        break;
    case JOB_RUNNING:
        job->state = JOB_ABANDONED;
        return false;
    case JOB_ABANDONED:
    case JOB_RELEASED:
        assert(false); /* abandoned twice, or after done() */
    }
    job->state = JOB_RELEASED;
    return true;
}

void bide__pool_abandon(struct bide__pool *pool, struct bide_job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool drop = let_go(pool, job);
    pthread_mutex_unlock(&pool->lock);
    if (drop)
        job->drop(job);
}

bool bide__pool_recall(struct bide__pool *pool, struct bide_job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool is_queued = job->state == JOB_QUEUED;
    if (is_queued)
        let_go(pool, job);
    pthread_mutex_unlock(&pool->lock);
    return is_queued;
}

bool bide__pool_finished(const struct bide__pool *pool)
{
    return atomic_load_explicit(&pool->any_finished, memory_order_relaxed);
}

int bide__pool_reap(struct bide__pool *pool, int max)
{
    int n = 0;
    while (n < max) {
        pthread_mutex_lock(&pool->lock);
        struct bide_job *job = pool->finished.first;
        if (job) {
            list_remove(&pool->finished, job);
            job->state = JOB_RELEASED;
        } else {
            atomic_store_explicit(&pool->any_finished, false, memory_order_relaxed);
        }
        pthread_mutex_unlock(&pool->lock);
        if (!job)
            break;
        job->done(job);
        n++;
    }
    return n;
}

/* With the lock held: moves what nobody runs to `dropped`, and leaves the rest to who runs it. */
static void abandon_all(struct bide__pool *pool, struct job_list *dropped)
{
    for (int i = 0; i < BIDE_LANE_COUNT; i++) {
        struct lane *lane = &pool->lanes[i];
        for (struct bide_job *job; (job = lane->queued.first);) {
            let_go(pool, job);
            list_append(dropped, job);
        }
        for (unsigned j = 0; j < lane->n_workers_max; j++) {
            struct bide_job *job = lane->workers[j].job;
            if (job && job->state == JOB_RUNNING)
                let_go(pool, job);
        }
        pthread_cond_broadcast(&lane->work);
    }
    for (struct bide_job *job; (job = pool->finished.first);) {
        let_go(pool, job);
        list_append(dropped, job);
    }
}

/* With the lock held. Whether the closer has to wait for some thread: for how long depends on what
 * it does. */
static bool awaited(const struct bide__pool *pool, bool time_is_up)
{
    for (int i = 0; i < BIDE_LANE_COUNT; i++) {
        const struct lane *lane = &pool->lanes[i];
        bool patient = !time_is_up && i != BIDE_LANE_RESOLVE;
        for (unsigned j = 0; j < lane->n_workers_max; j++) {
            const struct worker *worker = &lane->workers[j];
            if (worker->present && !worker->exited && (patient || !worker->busy))
                return true;
        }
    }
    return false;
}

/* With the lock held, which is released meanwhile. */
static void await_workers(struct bide__pool *pool, int64_t join_ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t join_s = join_ns / 1000000000;
    until.tv_sec += (time_t)(join_s < INT32_MAX ? join_s : INT32_MAX);
    until.tv_nsec += (long)(join_ns % 1000000000);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    bool time_is_up = join_ns <= 0;
    while (awaited(pool, time_is_up)) {
        if (time_is_up)
            pthread_cond_wait(&pool->worker_exited, &pool->lock);
        else
            time_is_up = pthread_cond_timedwait(&pool->worker_exited, &pool->lock, &until) != 0;
    }
}

void bide__pool_close(struct bide__pool *pool, int64_t join_ns)
{
    if (!pool)
        return;
    struct job_list dropped;
    list_init(&dropped);
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    abandon_all(pool, &dropped);
    pthread_mutex_unlock(&pool->lock);
    for (struct bide_job *job; (job = dropped.first);) {
        list_remove(&dropped, job);
        job->drop(job);
    }
    pthread_mutex_lock(&pool->lock);
    await_workers(pool, join_ns);
    for (int i = 0; i < BIDE_LANE_COUNT; i++) {
        for (unsigned j = 0; j < pool->lanes[i].n_workers_max; j++) {
            const struct worker *worker = &pool->lanes[i].workers[j];
            if (worker->present && worker->exited)
                pthread_join(worker->thread, NULL);
            else if (worker->present)
                pthread_detach(worker->thread);
        }
    }
    pool_unref(pool);
}

void bide__pool_forget(struct bide__pool *pool)
{
    free(pool);
}
