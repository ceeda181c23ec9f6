/*
 * The loop as the runtime's files share it.
 *
 * A turn is: wait in the engine (or only look, if something is ready), expire timers, run what was
 * ready when the turn began, hand buffered output to the engine. Invariants
 *  - User code runs only from the ready queue, on the loop's own stack or on a fiber that a queue
 * entry continued; never from the engine's or a timer's callback.
 *  - What a turn makes ready runs in the next one.
 *  - Every unfinished task, pending promise, scheduled handle and registration is in one of the
 * lists, so that closing finds it.
 */
#ifndef BIDE_RUNTIME_LOOP_H
#define BIDE_RUNTIME_LOOP_H

#include "base/list.h"
#include "engine/engine.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"
#include "runtime/ready.h"
#include "runtime/timer.h"

#include <bide/loop.h>

#include <pthread.h>

struct bide__copied;
struct bide__coro;
struct bide__mailbox;
struct bide__watcher;
struct bide__signal_handler;

/* The size of `input`: messages of 64 KiB leave some of it free, see docs/decisions/full-reads.md.
 */
enum { BIDE__LOOP_INPUT_BYTES = 80 * 1024 };

/* Something with buffered output that wants to hand it over before the loop waits. */
struct bide__flush {
    struct bide__list node;
    void (*flush)(struct bide__flush *flush);
};

/* Unused memory that has no owner. */
struct bide__piece {
    struct bide__piece *next;
};

struct bide_loop {
    struct bide__ready_queue ready;
    struct bide__ready *batch;  /* what is left to run in this turn */
    struct bide__coro *current; /* the task that runs; NULL while callbacks do */
    unsigned runs_unpolled;     /* entries run since the engine was last asked */
    unsigned clock_at;          /* read the clock when there were that many */
    struct bide__fiber fiber;   /* the loop's own stack, while a task runs */
    struct bide_engine *engine;
    struct bide__timers *timers;
    struct bide__stack_pool *stacks;
    struct bide__copied *copied; /* of tasks with copied stacks; NULL before the first */
    struct bide__list flushes;
    struct bide__mailbox *mailbox;
    struct bide__piece *pieces; /* what output is collected in, and nobody uses now */
    unsigned n_pieces;
    char *input; /* what transports receive into, one after the other; NULL before the first */

    bool running;
    bool stopping;
    bool closing; /* takes no registrations, posts or tasks */
    bool closed;  /* only the structure is left */
    bool bound;   /* to `thread`, since its first run */
    bool stacks_armed;
    bool copies; /* tasks have copied stacks unless they want their own */
    bool debug;
    int stop_error;
    pthread_t thread;
    int64_t polled_ns;    /* when the engine was last asked */
    unsigned clock_every; /* entries between two looks at the clock */

    struct bide__coro *interrupts; /* parked tasks that a cancel has to reach, see cancel.c */
    struct bide__coro **interrupts_last;
    bool interrupting;

    struct bide__values *values;     /* the context variables of the callback that runs */
    struct bide__list tasks;         /* struct bide__coro */
    struct bide__list promises;      /* struct bide_promise */
    struct bide__list handles;       /* struct bide_handle */
    struct bide__list resources;     /* struct bide__resource */
    struct bide__list generators;    /* struct bide__generator: begun and not ended */
    struct bide__watcher **watchers; /* by descriptor */
    size_t n_watchers;
    struct bide__signal_handler *signals;

    size_t n_lingering;     /* streams that flush in the background: closing waits for them */
    size_t n_tasks_held;    /* task handles; they keep this structure, as the following do */
    size_t refs;            /* its other owners: its user, callback handles, streams, servers */
    uint64_t n_tasks_named; /* for Task-N */
    uint32_t n_tasks_ended; /* the order of their ends */
    bide_task *task_cache;  /* unused handles */
    unsigned n_task_cache;
    double cleanup_seconds;
    bide_exception_handler *exception_handler;
    void *exception_data;
    struct bide_wait_hooks hooks;
};

/* The loop that runs on this thread. */
extern _Thread_local bide_loop *bide__loop_running __attribute__((tls_model("initial-exec")));

static inline int64_t bide__loop_now_ns(const bide_loop *loop)
{
    return loop->engine->ops->now_ns(loop->engine);
}

static inline void bide__loop_ready(bide_loop *loop, struct bide__ready *ready)
{
    bide__ready_push(&loop->ready, ready);
}

/* Has `flush` called at the end of this turn, once. */
static inline void bide__loop_flush_later(bide_loop *loop, struct bide__flush *flush)
{
    if (!bide__list_linked(&flush->node))
        bide__list_append(&loop->flushes, &flush->node);
}

static inline bide_loop *bide__loop_ref(bide_loop *loop)
{
    loop->refs++;
    return loop;
}
void bide__loop_unref(bide_loop *loop);
/* Frees the structure when its last owner has gone. */
void bide__loop_free_unused(bide_loop *loop);

/* 0, or why the loop can take no registration: -EINVAL (no loop), -ESHUTDOWN. */
int bide__loop_open(const bide_loop *loop);

/* One turn. Returns 0 or the engine's error. */
int bide__loop_turn(bide_loop *loop);
/* Around turns: makes the loop the thread's running one; -EBUSY or -EPERM if that can't be. */
int bide__loop_enter(bide_loop *loop);
void bide__loop_leave(bide_loop *loop);

/* Around whatever may block the thread: the user's hooks. */
void bide__loop_wait_begin(bide_loop *loop);
void bide__loop_wait_end(bide_loop *loop);

/* Something that must not outlive the loop's engine: a stream, a server. */
struct bide__resource {
    struct bide__list node;
    /* The loop closes: gives up everything of the engine's at once. Takes itself off the list. */
    void (*drop)(struct bide__resource *resource);
    /* In a child after fork: the engine is gone. Takes itself off the list. */
    void (*forget)(struct bide__resource *resource);
};

/* Parts of closing, each in the file that knows what there is to drop. */
void bide__handles_drop(bide_loop *loop);
void bide__watchers_drop(bide_loop *loop);
void bide__signals_drop(bide_loop *loop);

size_t bide__signals_count(const bide_loop *loop);

#endif
