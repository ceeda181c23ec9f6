/*
 * The event loop: its turns, and how it is run, stopped and closed. The invariants stand in loop.h.
 *
 * While tasks are ready, asking the kernel each turn would cost ten times what a switch costs. So
 * the engine is asked when nothing is ready, and otherwise after POLL_EVERY_NS or POLL_EVERY_RUNS
 * entries, whichever comes first; the clock itself is read more seldom the shorter the entries turn
 * out to be.
 */
#include "runtime/loop.h"

#include "base/time.h"
#include "runtime/closing.h"
#include "runtime/copied.h"
#include "runtime/coro.h"
#include "runtime/inspect.h"
#include "runtime/mailbox.h"
#include "runtime/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_EVERY_NS = 50 * 1000, POLL_EVERY_RUNS = 1024, CLOCK_EVERY_MAX = 64, STACKS_KEPT = 256 };

_Thread_local bide_loop *bide__loop_running __attribute__((tls_model("initial-exec")));

int bide__loop_open(const bide_loop *loop)
{
    if (!loop)
        return -EINVAL;
    return loop->closing ? -ESHUTDOWN : 0;
}

static void loop_free(bide_loop *loop)
{
    bide__mailbox_close(loop->mailbox);
    if (loop->engine) { /* which waits for jobs */
        bide__loop_wait_begin(loop);
        loop->engine->ops->close(loop->engine, bide__seconds_to_ns(loop->cleanup_seconds));
        bide__loop_wait_end(loop);
    }
    bide__copied_close(loop);
    bide__stack_pool_free(loop->stacks);
    bide__timers_free(loop->timers);
    while (loop->task_cache) {
        bide_task *task = loop->task_cache;
        loop->task_cache = task->cached;
        free(task);
    }
    while (loop->pieces) {
        struct bide__piece *piece = loop->pieces;
        loop->pieces = piece->next;
        free(piece);
    }
    free(loop->watchers);
    free(loop->input);
    loop->exception_handler = NULL; /* its data is the user's again, and handles live on */
    loop->closed = true;
    bide__loop_unref(loop);
}

void bide__loop_free_unused(bide_loop *loop)
{
    if (loop->refs > 0 || loop->n_tasks_held > 0)
        return;
    bide__copied_drop(loop);
    free(loop);
}

void bide__loop_unref(bide_loop *loop)
{
    loop->refs--;
    bide__loop_free_unused(loop);
}

static int loop_parts(bide_loop *loop, const struct bide_loop_opts *opts)
{
    struct bide_engine_opts engine_opts = {.seed = opts->seed,
                                           .user_threads_max = opts->threads_max};
    int rc = bide__engine_open(opts->engine, &engine_opts, &loop->engine);
    if (rc < 0)
        return rc;
    rc = bide__stack_pool_new(opts->stack_size, &loop->stacks);
    if (rc < 0)
        return rc;
    loop->timers = bide__timers_new(bide__loop_now_ns(loop));
    loop->mailbox = bide__mailbox_new(loop);
    return loop->timers && loop->mailbox ? 0 : -ENOMEM;
}

static bool environment_is(const char *name, const char *value)
{
    const char *is = getenv(name);
    return is && strcmp(is, value) == 0;
}

int bide_loop_new(const struct bide_loop_opts *opts, bide_loop **ret_loop)
{
    static const struct bide_loop_opts defaults;
    if (!opts)
        opts = &defaults;
    if (!ret_loop || (unsigned)opts->stack > BIDE_STACK_COPIED || isnan(opts->cleanup_seconds) ||
        opts->cleanup_seconds < 0)
        return -EINVAL;
    bide_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    loop->refs = 1;
    loop->clock_every = 1;
    loop->clock_at = 1;
    loop->copies = opts->stack == BIDE_STACK_COPIED ||
                   (opts->stack == BIDE_STACK_DEFAULT && environment_is("BIDE_STACKS", "copied"));
    loop->debug = opts->debug || environment_is("BIDE_DEBUG", "1");
    loop->cleanup_seconds = opts->cleanup_seconds > 0 ? opts->cleanup_seconds : 10;
    loop->interrupts_last = &loop->interrupts;
    bide__ready_init(&loop->ready);
    bide__list_init(&loop->flushes);
    bide__list_init(&loop->tasks);
    bide__list_init(&loop->promises);
    bide__list_init(&loop->handles);
    bide__list_init(&loop->resources);
    bide__list_init(&loop->generators);
    bide__fiber_init_thread(&loop->fiber);
    int rc = loop_parts(loop, opts);
    if (rc < 0) {
        loop_free(loop);
        return rc;
    }
    *ret_loop = loop;
    return 0;
}

/* Whether the engine's turn has come although something is ready. */
static bool poll_is_due(bide_loop *loop)
{
    if (bide__ready_empty(&loop->ready) || loop->stopping)
        return true;
    if (loop->runs_unpolled < loop->clock_at)
        return false;
    if (loop->runs_unpolled >= POLL_EVERY_RUNS)
        return true;
    loop->clock_at = loop->runs_unpolled + loop->clock_every;
    if (bide__loop_now_ns(loop) - loop->polled_ns < POLL_EVERY_NS) {
        loop->clock_every = loop->clock_every < CLOCK_EVERY_MAX ? loop->clock_every * 2
                                                                : CLOCK_EVERY_MAX;
        return false;
    }
    loop->clock_every = loop->clock_every > 1 ? loop->clock_every / 2 : 1;
    return true;
}

void bide__loop_wait_begin(bide_loop *loop)
{
    if (loop->hooks.before)
        loop->hooks.before(loop->hooks.data);
}

void bide__loop_wait_end(bide_loop *loop)
{
    if (loop->hooks.after)
        loop->hooks.after(loop->hooks.data);
}

static void loop_flush(bide_loop *loop)
{
    struct bide__list *node;
    while ((node = bide__list_pop(&loop->flushes))) {
        struct bide__flush *flush = bide__container(node, struct bide__flush, node);
        flush->flush(flush);
    }
}

__attribute__((noinline)) static int loop_poll(bide_loop *loop)
{
    if (!bide__list_empty(&loop->flushes)) /* from outside of a turn */
        loop_flush(loop);
    bool idle = bide__ready_empty(&loop->ready) && !loop->stopping;
    int64_t deadline_ns = idle ? bide__timers_next_ns(loop->timers) : 0;
    if (idle && bide__stack_pool_cached(loop->stacks) > STACKS_KEPT)
        bide__stack_pool_trim(loop->stacks, STACKS_KEPT);
    bide__loop_wait_begin(loop);
    if (loop->stopping)
        deadline_ns = 0;
    int rc = loop->engine->ops->poll(loop->engine, deadline_ns);
    bide__loop_wait_end(loop);
    loop->polled_ns = bide__loop_now_ns(loop);
    loop->runs_unpolled = 0;
    loop->clock_at = loop->clock_every;
    bide__timers_expire(loop->timers, loop->polled_ns);
    return rc < 0 ? rc : 0;
}

/* Inline where it is repeated, for the reason given in fiber/switch_inline.h: a return from here
 * would be predicted to lead into the task that stopped last. */
__attribute__((always_inline)) static inline int turn(bide_loop *loop)
{
    int rc = poll_is_due(loop) ? loop_poll(loop) : 0;
    if (bide__mailbox_filled(loop->mailbox))
        bide__mailbox_collect(loop->mailbox);
    loop->batch = bide__ready_take_all(&loop->ready);
    struct bide__ready *ready;
    while ((ready = loop->batch)) {
        loop->batch = ready->next;
        bide__look_ahead(ready->next);
        loop->runs_unpolled++;
        if (ready->run == bide__coro_run)
            bide__coro_continue(bide__container(ready, struct bide__coro, ready));
        else
            ready->run(ready);
    }
    if (!bide__list_empty(&loop->flushes))
        loop_flush(loop);
    return rc;
}

int bide__loop_turn(bide_loop *loop)
{
    return turn(loop);
}

int bide__loop_enter(bide_loop *loop)
{
    if (bide__loop_running || loop->running)
        return -EBUSY;
    if (loop->bound && !pthread_equal(loop->thread, pthread_self()))
        return -EPERM;
    if (!loop->bound) {
        loop->bound = true;
        loop->thread = pthread_self();
        bide__mailbox_bind(loop->mailbox);
    }
    loop->running = true;
    bide__fiber_init_thread(&loop->fiber);
    bide__loop_running = loop;
    return 0;
}

void bide__loop_leave(bide_loop *loop)
{
    loop->running = false;
    bide__loop_running = NULL;
}

int bide_loop_run_forever(bide_loop *loop)
{
    int rc = bide__loop_open(loop);
    if (rc == 0)
        rc = bide__loop_enter(loop);
    if (rc < 0)
        return rc;
    if (!bide__list_empty(&loop->tasks)) /* some may have been made elsewhere */
        rc = bide__coro_arm(loop);
    while (rc == 0) {
        rc = turn(loop);
        if (loop->stopping)
            break;
    }
    if (rc == -EDEADLK)
        bide__report_deadlock(loop);
    bide__loop_leave(loop);
    if (rc == 0)
        rc = loop->stop_error;
    loop->stopping = false;
    loop->stop_error = 0;
    return rc;
}

/* When the next turn is due: in the past, at once. */
static int64_t turn_due_ns(bide_loop *loop)
{
    bool is_due = !bide__ready_empty(&loop->ready) || loop->stopping ||
                  !bide__list_empty(&loop->flushes) || bide__mailbox_filled(loop->mailbox);
    return is_due ? 0 : bide__timers_next_ns(loop->timers);
}

int bide_loop_fd(bide_loop *loop, double *ret_seconds)
{
    int rc = ret_seconds ? bide__loop_open(loop) : -EINVAL;
    if (rc == 0)
        rc = bide__loop_enter(loop);
    if (rc < 0)
        return rc;
    int64_t due_ns = turn_due_ns(loop);
    rc = loop->engine->ops->wait_fd(loop->engine, &due_ns);
    bide__loop_leave(loop);
    if (rc < 0)
        return rc;
    double seconds = 0;
    if (due_ns > 0)
        seconds = bide__ns_to_seconds(due_ns - bide__loop_now_ns(loop));
    *ret_seconds = due_ns == BIDE_NO_DEADLINE ? INFINITY : seconds > 0 ? seconds : 0;
    return rc;
}

struct until {
    struct bide__waiter waiter;
    bide_loop *loop;
};

static void until_done(struct bide__waiter *waiter, bide_task *task)
{
    (void)task;
    bide_loop_stop(bide__container(waiter, struct until, waiter)->loop);
}

int bide_loop_run_until_complete(bide_loop *loop, bide_task *task)
{
    int rc = bide__loop_open(loop);
    if (!task)
        return -ENOMEM;
    if (rc == 0 && task->loop != loop)
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    struct until until = {.waiter.notify = until_done, .loop = loop};
    bide__list_init(&until.waiter.node);
    if (!task->done) {
        bide_start(task);
        bide__task_wait(task, &until.waiter);
        rc = bide_loop_run_forever(loop);
        bide__list_remove(&until.waiter.node);
    }
    if (!task->done)
        return rc < 0 ? rc : -BIDE_ESTOPPED;
    if (rc == 0)
        return bide__task_take(task);
    bide__task_unref(task);
    return rc;
}

void bide_loop_stop(bide_loop *loop)
{
    if (loop)
        loop->stopping = true;
}

int bide_loop_stop_with(bide_loop *loop, int error)
{
    if (!loop || error >= 0)
        return -EINVAL;
    loop->stopping = true;
    if (loop->stop_error == 0)
        loop->stop_error = error;
    return 0;
}

int bide_loop_close(bide_loop *loop)
{
    if (!loop)
        return 0;
    if (loop->running)
        return -EBUSY;
    int rc = bide__loop_enter(loop);
    if (rc < 0)
        return rc;
    bide__close_tasks(loop);
    bide__close_generators(loop);
    bide__close_rest(loop);
    bide__loop_leave(loop);
    bide__coro_disarm(loop);
    loop_free(loop);
    return 0;
}

bide_loop *bide_loop_current(void)
{
    return bide__loop_running;
}

bool bide_loop_is_running(const bide_loop *loop)
{
    return loop && loop->running;
}

const char *bide_loop_engine(const bide_loop *loop)
{
    return loop->engine->ops->name;
}

double bide_loop_time(const bide_loop *loop)
{
    return bide__ns_to_seconds(bide__loop_now_ns(loop));
}

void bide_loop_set_wait_hooks(bide_loop *loop, const struct bide_wait_hooks *hooks)
{
    loop->hooks = hooks ? *hooks : (struct bide_wait_hooks){0};
}
