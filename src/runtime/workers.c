/*
 * Running workers.
 *
 * The calling thread makes everything that can fail: the loops, their main tasks, the threads,
 * which wait at a gate until all are there. Then it runs a loop of its own, in which it hears of
 * signals and of workers that ended, until all threads are through.
 *
 * Invariants
 *  - Either all mains begin or none.
 *  - What workers and the calling thread tell each other are posts that lie in `struct workers` and
 * `struct worker`: neither a cancel nor an end can be lost for want of memory. Both structures
 * outlive the threads and the calling thread's loop.
 *  - `error`, `failed`, `cancelled` and `n_running` belong to the calling thread.
 */
#include "runtime/workers.h"

#include "base/time.h"
#include "engine/processors.h"
#include "runtime/coro.h"
#include "runtime/launch.h"
#include "runtime/mailbox.h"

#include <bide/remote.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct workers;

struct worker {
    struct workers *all;
    unsigned index;
    bide_loop *loop;
    bide_task *main;
    bide_remote *remote;
    struct bide__mailbox *mailbox;
    pthread_t thread;
    bool is_over; /* main; of the worker's thread, as is the next */
    struct bide__timer limit;
    struct bide__ready cancel_post; /* to the worker */
    struct bide__ready main_post;   /* from the worker: main ended */
    struct bide__ready thread_post; /* the rest as well */
    int result;
    char words[256]; /* about it */
};

enum gate { GATE_SHUT, GATE_OPEN, GATE_GIVEN_UP };

struct workers {
    unsigned n;
    const struct bide_workers_opts *opts;
    bide_loop *loop; /* the calling thread's */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum gate gate; /* under the lock */
    unsigned n_running;
    bool cancelled;
    int error;
    const struct worker *failed;
    atomic_bool stop_posted;
    struct bide__ready stop_post;
    cpu_set_t allowed;
    struct worker each[];
};

static _Thread_local struct worker *current;

static const int signals[] = {SIGINT, SIGTERM};
enum { N_SIGNALS = sizeof signals / sizeof *signals };

unsigned bide_worker_index(void)
{
    return current ? current->index : 0;
}

unsigned bide_worker_count(void)
{
    return current ? current->all->n : 1;
}

bide_remote *bide_worker_remote(unsigned index)
{
    return current && index < current->all->n ? current->all->each[index].remote : NULL;
}

bool bide__worker_has_signals(void)
{
    return current && !current->all->opts->keep_signals;
}

int bide_workers_stop(void)
{
    if (!current)
        return -EINVAL;
    struct workers *all = current->all;
    if (!atomic_exchange(&all->stop_posted, true))
        bide__mailbox_post(all->loop->mailbox, &all->stop_post);
    return 0;
}

void bide__worker_forget(void)
{
    if (!current)
        return;
    struct bide_engine *engine = current->all->loop->engine;
    current = NULL;
    engine->ops->forget(engine);
}

unsigned bide_processors(void)
{
    cpu_set_t set;
    return bide__processors_quota(bide__processors_allowed(&set), "/proc/self/cgroup",
                                  "/sys/fs/cgroup");
}

/* In a worker */

static void limit_reached(struct bide__timer *timer)
{
    struct worker *worker = bide__container(timer, struct worker, limit);
    bide_loop_stop_with(worker->loop, -ETIMEDOUT);
}

static void cancel_received(struct bide__ready *ready)
{
    struct worker *worker = bide__container(ready, struct worker, cancel_post);
    bide_loop *loop = worker->loop;
    if (worker->is_over)
        return;
    bide_cancel(worker->main);
    bide__timer_set(loop->timers, &worker->limit,
                    bide__deadline_ns(bide__loop_now_ns(loop), loop->cleanup_seconds));
}

static void main_ended(void *data, int result)
{
    struct worker *worker = data;
    worker->is_over = true;
    worker->result = result;
    if (result < 0)
        snprintf(worker->words, sizeof worker->words, "%s", bide__detail_of(result));
    bide__timer_cancel(worker->loop->timers, &worker->limit);
    bide__mailbox_post(worker->all->loop->mailbox, &worker->main_post);
}

static bool pass_gate(struct workers *all)
{
    pthread_mutex_lock(&all->lock);
    while (all->gate == GATE_SHUT)
        pthread_cond_wait(&all->changed, &all->lock);
    bool is_open = all->gate == GATE_OPEN;
    pthread_mutex_unlock(&all->lock);
    return is_open;
}

static void *worker_thread(void *data)
{
    struct worker *worker = data;
    struct workers *all = worker->all;
    char name[16];
    snprintf(name, sizeof name, "%.10s-%u", all->opts->name ? all->opts->name : "worker",
             worker->index);
    pthread_setname_np(pthread_self(), name);
    if (!pass_gate(all))
        return NULL;
    current = worker;
    bide__run_main(worker->main, main_ended, worker);
    current = NULL;
    bide__mailbox_post(all->loop->mailbox, &worker->thread_post);
    return NULL;
}

/* In the calling thread */

static void cancel_all(struct workers *all)
{
    if (all->cancelled)
        return;
    all->cancelled = true;
    for (unsigned i = 0; i < all->n; i++) /* refused by those that have ended */
        bide__mailbox_post(all->each[i].mailbox, &all->each[i].cancel_post);
}

static void main_over(struct bide__ready *ready)
{
    const struct worker *worker = bide__container(ready, struct worker, main_post);
    struct workers *all = worker->all;
    bool is_asked = worker->result == -ECANCELED && all->cancelled;
    if (worker->result >= 0 || is_asked || all->error < 0)
        return;
    all->error = worker->result;
    all->failed = worker;
    cancel_all(all);
}

static void thread_over(struct bide__ready *ready)
{
    struct workers *all = bide__container(ready, struct worker, thread_post)->all;
    if (--all->n_running == 0)
        bide_loop_stop(all->loop);
}

static void stop_received(struct bide__ready *ready)
{
    cancel_all(bide__container(ready, struct workers, stop_post));
}

static int signal_received(void *data)
{
    struct workers *all = data;
    cancel_all(all);
    for (int i = 0; i < N_SIGNALS; i++) /* a second one finds what was there before */
        bide_loop_remove_signal_handler(all->loop, signals[i]);
    return 0;
}

static int worker_open(struct workers *all, unsigned index, const struct bide__launch *launch)
{
    struct worker *worker = &all->each[index];
    worker->all = all;
    worker->index = index;
    worker->cancel_post.run = cancel_received;
    worker->main_post.run = main_over;
    worker->thread_post.run = thread_over;
    bide__timer_init(&worker->limit, limit_reached);
    int rc = bide_loop_new(&all->opts->loop, &worker->loop);
    if (rc < 0)
        return rc;
    worker->mailbox = bide__mailbox_ref(worker->loop->mailbox);
    worker->remote = bide_loop_remote(worker->loop);
    struct bide__coro *coro = worker->remote ? bide__launch_main(worker->loop, launch) : NULL;
    if (!coro)
        return -ENOMEM;
    worker->main = coro->task;
    return 0;
}

/* What the worker's thread did not come to. */
static void worker_unopen(struct worker *worker)
{
    bide_loop_close(worker->loop);
    if (worker->main) {
        worker->main->read = true;
        bide__task_unref(worker->main);
    }
}

static void worker_fini(struct worker *worker)
{
    bide_remote_unref(worker->remote);
    if (worker->mailbox)
        bide__mailbox_unref(worker->mailbox);
}

static int worker_start(struct worker *worker)
{
    struct workers *all = worker->all;
    pthread_attr_t attributes;
    int rc = -pthread_attr_init(&attributes);
    if (rc < 0)
        return rc;
    if (all->opts->pin && CPU_COUNT(&all->allowed) > 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET((size_t)bide__processors_nth(&all->allowed, worker->index), &one);
        rc = -pthread_attr_setaffinity_np(&attributes, sizeof one, &one);
    }
    if (rc == 0)
        rc = -pthread_create(&worker->thread, &attributes, worker_thread, worker);
    pthread_attr_destroy(&attributes);
    return rc;
}

static void open_gate(struct workers *all, enum gate gate)
{
    pthread_mutex_lock(&all->lock);
    all->gate = gate;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
}

static int handle_signals(struct workers *all)
{
    int rc = 0;
    for (int i = 0; i < N_SIGNALS && rc == 0 && !all->opts->keep_signals; i++)
        rc = bide_loop_add_signal_handler(all->loop, signals[i], signal_received, all, NULL);
    return rc;
}

/* Everything but the threads. */
static int workers_open(struct workers *all, const struct bide__launch *launch)
{
    /* Nothing but posts and signals: which engine does not matter, but it has to be a kernel's. */
    const struct bide_loop_opts own = {.engine = "epoll"};
    int rc = bide_loop_new(&own, &all->loop);
    if (rc == 0) /* signals find the alternate stack that valgrind remembers from loops before */
        rc = bide__coro_arm(all->loop);
    if (rc == 0)
        rc = handle_signals(all);
    for (unsigned i = 0; i < all->n && rc == 0; i++)
        rc = worker_open(all, i, launch);
    return rc;
}

static int workers_start(struct workers *all)
{
    int rc = 0;
    unsigned n = 0;
    while (n < all->n && (rc = worker_start(&all->each[n])) == 0)
        n++;
    open_gate(all, rc == 0 ? GATE_OPEN : GATE_GIVEN_UP);
    for (unsigned i = 0; i < n && rc < 0; i++)
        pthread_join(all->each[i].thread, NULL);
    return rc;
}

static int workers_wait(struct workers *all)
{
    all->n_running = all->n;
    int rc = bide_loop_run_forever(all->loop);
    if (rc < 0) /* no engine any more: the workers can still be told to end */
        cancel_all(all);
    for (unsigned i = 0; i < all->n; i++)
        pthread_join(all->each[i].thread, NULL);
    if (rc < 0)
        return rc;
    if (all->error < 0) {
        bide__detail_set(all->error, "%s", all->failed->words);
        return all->error;
    }
    return all->each[0].result == -ECANCELED ? 0 : all->each[0].result;
}

static int workers_run(const struct bide_workers_opts *opts, unsigned n,
                       const struct bide__launch *launch)
{
    struct workers *all = calloc(1, sizeof *all + n * sizeof *all->each);
    if (!all)
        return -ENOMEM;
    all->n = n;
    all->opts = opts;
    all->stop_post.run = stop_received;
    bide__processors_allowed(&all->allowed);
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->changed, NULL);
    int rc = workers_open(all, launch);
    if (rc == 0)
        rc = workers_start(all);
    bool is_started = rc == 0;
    if (is_started)
        rc = workers_wait(all);
    for (unsigned i = 0; i < n && !is_started; i++)
        worker_unopen(&all->each[i]);
    bide_loop_close(all->loop);
    for (unsigned i = 0; i < n; i++)
        worker_fini(&all->each[i]);
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    free(all);
    return rc;
}

void *bide__workers_launch(struct bide__workers_plan *plan, const struct bide__launch *launch)
{
    static const struct bide_workers_opts defaults;
    if (plan->n > BIDE_WORKERS_MAX)
        plan->result = -EINVAL;
    else if (bide__loop_running)
        plan->result = -EBUSY;
    else
        plan->result = workers_run(plan->opts ? plan->opts : &defaults,
                                   plan->n > 0 ? plan->n : bide_processors(), launch);
    return NULL;
}
