/*
 * Closing a loop.
 *
 * First the loop still works in full: tasks are cancelled and unwind, cleanup may post, wait and
 * write; then the same for generators that were left open. Then it refuses: whatever is left is
 * dropped in an order in which nothing that is dropped is reached by what goes after it. Tasks that
 * ignored their cancel for too long end without unwinding; their stacks go last, when no list leads
 * to them any more.
 */
#include "runtime/closing.h"

#include "base/time.h"
#include "runtime/coro.h"
#include "runtime/future.h"
#include "runtime/generator.h"
#include "runtime/inspect.h"
#include "runtime/mailbox.h"

static void limit_reached(struct bide__timer *timer)
{
    (void)timer;
}

static void cancel_tasks(bide_loop *loop)
{
    bide__list_each(node, &loop->tasks)
    {
        struct bide__coro *coro = bide__container(node, struct bide__coro, node);
        if (coro->n_cancels == 0)
            bide_cancel(coro->task);
        if (coro->created)
            bide__coro_start(coro);
    }
}

void bide__close_tasks(bide_loop *loop)
{
    struct bide__timer limit;
    int64_t limit_ns = bide__deadline_ns(bide__loop_now_ns(loop), loop->cleanup_seconds);
    bide__timer_init(&limit, limit_reached);
    bide__timer_set(loop->timers, &limit, limit_ns);
    while (!(bide__list_empty(&loop->tasks) && loop->n_lingering == 0)) {
        if (bide__loop_now_ns(loop) >= limit_ns)
            break;
        cancel_tasks(loop);
        loop->stopping = false; /* or the loop would not wait for what the tasks wait for */
        /* Without its engine a loop goes on as long as something is ready. */
        if (bide__loop_turn(loop) < 0 && bide__ready_empty(&loop->ready))
            break;
    }
    bide__timer_cancel(loop->timers, &limit);
    bide__list_each(node, &loop->tasks)
        bide__report_stuck(bide__container(node, struct bide__coro, node));
    loop->stopping = true;
    bide__loop_turn(loop);
}

/* Tasks that close generators: so many cleanups wait at the same time. */
enum { CLOSERS_MAX = 64 };

static const struct bide_place closer_place = {.coroutine = "close_generators",
                                               .file = __FILE__,
                                               .function = "bide_loop_close",
                                               .line = __LINE__};

struct closers {
    bide_loop *loop;
    bool owned; /* it is the turn of those that are an operator's sources */
    unsigned n; /* not ended */
};

/* One that is to be closed now. An operator in the body of another generator closes its sources
 * itself, so they come last: they are left only if the operator was left open too. */
static struct bide__generator *next_open(const struct closers *closers)
{
    bide__list_each(node, &closers->loop->generators)
    {
        struct bide__generator *generator = bide__container(node, struct bide__generator, node);
        if (closers->owned || !generator->iterator.owned)
            return generator;
    }
    return NULL;
}

static int close_generators(void *arguments)
{
    struct closers *closers = *(struct closers **)arguments;
    struct bide__generator *generator;
    while ((generator = next_open(closers))) {
        bide__list_remove(&generator->node);
        /* Else the task that is inside was reported already. */
        if (!generator->iterator.busy)
            bide__generator_shut(generator);
    }
    closers->n--;
    return 0;
}

static void spawn_closers(struct closers *closers)
{
    static const struct bide_task_opts opts = {.always_start = true};
    bide__list_each(node, &closers->loop->generators)
    {
        if (closers->n == CLOSERS_MAX)
            return;
        if (bide__container(node, struct bide__generator, node)->iterator.owned != closers->owned)
            continue;
        bide_task *task = bide__launch(BIDE__HOW_SPAWN, NULL, &opts, &closer_place,
                                       close_generators, &closers, sizeof closers);
        if (!task)
            return;
        closers->n++;
        bide_detach(task);
    }
}

/* Whether there is still something to wait for. */
static bool at_work(struct closers *closers)
{
    if (closers->n == 0 && !closers->owned) {
        closers->owned = true;
        spawn_closers(closers);
    }
    return closers->n > 0;
}

static void report_closers(bide_loop *loop)
{
    bide__list_each(node, &loop->tasks)
    {
        struct bide__coro *coro = bide__container(node, struct bide__coro, node);
        if (coro->task->place == &closer_place)
            bide__report_stuck(coro);
    }
}

void bide__close_generators(bide_loop *loop)
{
    int64_t limit_ns = bide__deadline_ns(bide__loop_now_ns(loop), loop->cleanup_seconds);
    struct closers closers = {.loop = loop};
    struct bide__timer limit;
    bool cancelled = false;
    if (bide__list_empty(&loop->generators))
        return;
    spawn_closers(&closers);
    bide__timer_init(&limit, limit_reached);
    bide__timer_set(loop->timers, &limit, limit_ns);
    while (at_work(&closers)) {
        if (bide__loop_now_ns(loop) >= limit_ns) {
            if (cancelled)
                break;
            cancelled = true;
            cancel_tasks(loop);
            limit_ns = bide__deadline_ns(limit_ns, loop->cleanup_seconds);
            bide__timer_cancel(loop->timers, &limit);
            bide__timer_set(loop->timers, &limit, limit_ns);
        }
        loop->stopping = false;
        if (bide__loop_turn(loop) < 0 && bide__ready_empty(&loop->ready))
            break;
    }
    bide__timer_cancel(loop->timers, &limit);
    report_closers(loop);
    loop->stopping = true;
    bide__loop_turn(loop);
}

static void drop_resources(bide_loop *loop)
{
    int64_t limit_ns = bide__deadline_ns(bide__loop_now_ns(loop), 1);
    int rc = 0;
    bide__list_each(node, &loop->resources)
    {
        struct bide__resource *resource = bide__container(node, struct bide__resource, node);
        resource->drop(resource);
    }
    while (rc >= 0 && !bide__list_empty(&loop->resources) && bide__loop_now_ns(loop) < limit_ns) {
        bide__loop_wait_begin(loop);
        rc = loop->engine->ops->poll(loop->engine, limit_ns);
        bide__loop_wait_end(loop);
    }
}

void bide__close_rest(bide_loop *loop)
{
    struct bide__list abandoned;
    struct bide__list lost;
    struct bide__list *node;
    bide__list_init(&abandoned);
    bide__list_init(&lost);
    bide__list_splice(&lost, &loop->generators);
    loop->closing = true;
    while ((node = bide__list_first(&loop->tasks))) {
        struct bide__coro *coro = bide__container(node, struct bide__coro, node);
        if (coro->begun && coro->abandon)
            coro->abandon(coro);
        bide__coro_end(coro, -ECANCELED);
        bide__list_append(&abandoned, node);
    }
    bide__promises_cancel(loop);
    bide__watchers_drop(loop);
    bide__signals_drop(loop);
    bide__handles_drop(loop);
    drop_resources(loop);
    bide__mailbox_refuse(loop->mailbox);
    struct bide__ready *ready;
    while ((ready = bide__ready_pop(&loop->ready)))
        ready->run(ready);
    while ((node = bide__list_pop(&lost)))
        bide__generator_lose(bide__container(node, struct bide__generator, node));
    while ((node = bide__list_pop(&abandoned))) {
        struct bide__coro *coro = bide__container(node, struct bide__coro, node);
        bide__generators_lose(coro);
        bide__coro_free(coro);
    }
}
