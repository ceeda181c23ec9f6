/*
 * The control block of an unfinished task, and how a task parks and is woken.
 *
 * The block lies at the top of the task's stack mapping, above every frame: it costs no memory of
 * its own, is not part of the stack proper, and goes with it. What outlives the body (result, name,
 * waiters) is in struct bide_task.
 *
 * Invariants
 *  - A task is in exactly one place: created, in the ready queue, running, or parked with `wait`
 * set.
 *  - Whoever wakes a parked task does so once, with the result of its wait: bide__wake() clears
 * `wait`. A cancel that comes after that changes nothing about the result; it is found by the next
 * suspending call.
 *  - A wait's nodes lie here or were allocated before the wait had any effect, never on the parked
 * stack.
 */
#ifndef BIDE_RUNTIME_CORO_H
#define BIDE_RUNTIME_CORO_H

#include "runtime/context.h"
#include "runtime/loop.h"
#include "runtime/scope.h"
#include "runtime/task.h"

#include <assert.h>

/* Suspending calls in a row that did not have to wait, before a turn is given up. */
enum { BIDE__UNWAITED_MAX = 128 };

/* The search for a circle of waits, under way. */
struct bide__search {
    unsigned mark;
    struct bide__coro *pending;
};

/* What a parked task waits for. */
struct bide__wait_kind {
    const char *name; /* for people: "sleep", "recv" */
    /*
     * A cancel reached the waiting task. Ends the wait now, with bide__wake(), or sees to it that
     * it ends soon; or hands the cancel on. NULL: the wait ends by itself, or what it waits for was
     * asked to end already.
     */
    void (*interrupt)(struct bide__coro *coro);
    /* Shows each task that it waits for to the search. NULL: it does not wait for tasks. */
    void (*targets)(const struct bide__coro *coro, struct bide__search *search);
    bool queued; /* the task is in the ready queue all the while */
    /* A name for what this very task waits for. NULL: the kind's. */
    const char *(*describe)(const struct bide__coro *coro);
};

/* A place in a line, see line.h; lies in its owner. */
struct bide__in_line {
    struct bide__list node;
    /* The place is out of the line by then. Makes things ready, runs no user code. */
    void (*given)(struct bide__in_line *place, int result);
    void *item; /* where what is given goes, or what is taken lies: off the waiting task's stack */
};

struct bide__generator;

/*
 * What a switch touches is the first line of the cache, `fiber.sp` its last word; what a wait for
 * another task touches is the second.
 */
struct bide__coro {
    struct bide__ready ready;
    bide_loop *loop;
    /* From here to `fiber`: zeroed when a task is made. */
    const struct bide__wait_kind *wait; /* set while parked */
    void *wait_data;                    /* the kind's */
    int wake_result;
    uint16_t n_unwaited;
    uint16_t n_refused; /* suspending calls that failed in a row */
    bool deliver;       /* something visible is pending: suspending calls fail */
    bool probed;        /* to be looked at on its parked stack, see inspect.c */
    bool created;       /* not started */
    bool begun;
    bool finished;
    bool interrupt_queued;
    bool woken;                /* before it could park, see awaitable.c */
    bool spinning;             /* reported for ignoring its cancel */
    struct bide__fiber fiber;  /* of the stack that it stands on */
    struct bide__scope *scope; /* the innermost */
    bide_task *task;
    union {                         /* both begin with the node, and are used one at a time */
        struct bide__waiter waiter; /* awaiting one task; its node, queueing for a stream */
        struct bide__in_line in_line;
    };
    /* From here to `node`: zeroed when a task is made. */
    /*
     * Set around waits that leave more than the control block's own node in objects that outlive
     * the loop: takes it back, because the closing loop gives the task up, before its wake-up
     * (`wait` is set) or after it. Runs no user code but drops.
     */
    void (*abandon)(struct bide__coro *coro);
    bide_group *group;
    struct bide__generator *generator; /* the innermost whose body it is inside of */
    char *cancel_message;
    const struct bide_awaitable *awaited;
    struct bide__coro *walk_next;
    unsigned walk_mark; /* deadlock search */
    unsigned n_cancels;
    struct bide__coro *interrupt_next;
    unsigned n_groups; /* open ones */
    bool always_start;
    struct bide__list node;      /* in the loop's tasks */
    struct bide__list sibling;   /* in the group's children */
    struct bide__timer timer;    /* sleeping */
    struct bide__values *values; /* the context variables */
    int (*entry)(void *arguments);
    void *arguments;
    struct bide__stack stack;
    struct bide__scope root;
    struct bide__scope scopes[2]; /* the first timeouts and shields; further ones are allocated */
};

/* Releases an ended task's stack, from another one. */
void bide__coro_free(struct bide__coro *coro);
/* Ends, with -ECANCELED, and releases a task that never began. */
void bide__coro_abandon(struct bide__coro *coro);
_Static_assert(offsetof(struct bide__coro, fiber) + sizeof(void *) <= 64, "one line of the cache");

/* Shows the task's own stack, on which it was continued for that, and parks it again. */
void bide__probe(struct bide__coro *coro);
/* A wait ended with -ECANCELED: the call that waited fails because of what is pending. */
void bide__refused(struct bide__coro *coro);

/* What the ready queue runs for a task. */
void bide__coro_run(struct bide__ready *ready);

/* What a task that will run soon needs of its stack comes into the cache meanwhile. */
static inline void bide__look_ahead(const struct bide__ready *ready)
{
    if (ready && ready->run == bide__coro_run)
        __builtin_prefetch(bide__container(ready, struct bide__coro, ready)->fiber.sp);
}

/* Who runs when the current task stops: the turn's next entry, if that is a task, past the loop;
 * else the loop. */
static inline struct bide__fiber *bide__switch_target(bide_loop *loop)
{
    struct bide__ready *ready = loop->batch;
    if (!ready || ready->run != bide__coro_run)
        return &loop->fiber;
    struct bide__coro *next = bide__container(ready, struct bide__coro, ready);
    loop->batch = ready->next;
    bide__look_ahead(ready->next);
    loop->runs_unpolled++;
    loop->current = next;
    return &next->fiber;
}

/*
 * To whoever is next, until somebody continues this task. This and what calls it on the way from a
 * suspending call is inline for the reason given in fiber/switch_inline.h.
 */
static inline void bide__switch_out(struct bide__coro *coro)
{
    coro->n_unwaited = 0;
    bide__fiber_switch(&coro->fiber, bide__switch_target(coro->loop));
    if (__builtin_expect(coro->probed, 0))
        bide__probe(coro);
}

/* What a parked task waits for, in a word. */
static inline const char *bide__wait_name(const struct bide__coro *coro)
{
    return coro->wait->describe ? coro->wait->describe(coro) : coro->wait->name;
}

/* Stops the running task until bide__wake(); returns what that was given. */
static inline int bide__park(struct bide__coro *coro, const struct bide__wait_kind *kind,
                             void *data)
{
    coro->wait = kind;
    coro->wait_data = data;
    bide__switch_out(coro);
    if (__builtin_expect(coro->wake_result == -ECANCELED, 0))
        bide__refused(coro);
    return coro->wake_result;
}

/* Begins or continues a task from the loop, until it or one that was continued after it switches
 * back. */
static inline void bide__coro_continue(struct bide__coro *coro)
{
    bide_loop *loop = coro->loop;
    loop->current = coro;
    bide__fiber_switch(&loop->fiber, &coro->fiber);
    coro = loop->current;
    loop->current = NULL;
    if (coro->finished)
        bide__coro_free(coro);
}

/* Ends the wait of a parked task. */
static inline void bide__wake(struct bide__coro *coro, int result)
{
    assert(coro->wait);
    coro->wait = NULL;
    coro->wake_result = result;
    bide__loop_ready(coro->loop, &coro->ready);
}

/* The task that runs on this thread; NULL outside tasks. */
static inline struct bide__coro *bide__coro_current(void)
{
    return bide__loop_running ? bide__loop_running->current : NULL;
}

/* Gives up one turn; no cancel shortens that. */
void bide__give_turn(struct bide__coro *coro);

/* The running task's suspending call fails because something pending is visible: -ECANCELED, after
 * slowing down code that ignores it. */
void bide__refuse(struct bide__coro *coro);
/* One more call in a row fails: makes the task, if it goes on all the same, give up turns and then
 * pause, and reports it with these words. */
void bide__slow_down(struct bide__coro *coro, const char *words);

/*
 * Every suspending call begins with this, before any effect: 0 and the current task; -BIDE_ENOTASK;
 * or -ECANCELED.
 */
static inline int bide__suspend(struct bide__coro **ret_coro)
{
    struct bide__coro *coro = bide__coro_current();
    if (!coro)
        return -BIDE_ENOTASK;
    if (++coro->n_unwaited > BIDE__UNWAITED_MAX)
        bide__give_turn(coro);
    if (coro->deliver) {
        bide__refuse(coro);
        if (coro->deliver)
            return -ECANCELED;
    }
    coro->n_refused = 0;
    *ret_coro = coro;
    return 0;
}

/* Between two waits of one call: 0, or -ECANCELED if a cancel came on the way. */
static inline int bide__cancel_check(struct bide__coro *coro)
{
    if (!coro->deliver)
        return 0;
    bide__refused(coro);
    return -ECANCELED;
}

/* The same for a join, which does not fail because of a cancel: it hands it on with
 * bide__join_interrupt(). */
static inline int bide__join(struct bide__coro **ret_coro)
{
    struct bide__coro *coro = bide__coro_current();
    if (!coro)
        return -BIDE_ENOTASK;
    if (++coro->n_unwaited > BIDE__UNWAITED_MAX)
        bide__give_turn(coro);
    *ret_coro = coro;
    return 0;
}

/* Makes a task in state created. `arguments` are copied. Returns NULL without memory. The caller
 * owns one reference. */
struct bide__coro *bide__coro_new(bide_loop *loop, const struct bide_place *place,
                                  const struct bide_task_opts *opts, int (*entry)(void *),
                                  const void *arguments, size_t arguments_size);
/*
 * Prepares the calling thread, on which the loop runs, for reporting overflows of its tasks'
 * stacks, until the other. A loop without tasks leaves signals and stacks of its thread alone.
 */
int bide__coro_arm(bide_loop *loop);
void bide__coro_disarm(bide_loop *loop);
/* The same for the stacks of generators that run on this thread without a loop. */
int bide__coro_arm_thread(void);
void bide__coro_disarm_thread(void);
/* Schedules the first step. */
void bide__coro_start(struct bide__coro *coro);
/* What it runs for one that was cancelled before its first step. */
void bide__coro_run_cancelled(struct bide__ready *ready);
/* Gives the task its result; it runs no more. */
void bide__coro_end(struct bide__coro *coro, int result);

/* Asks for the interruption of a task whose suspending calls are to fail now; harmless if it is not
 * parked. */
void bide__interrupt(struct bide__coro *coro);

/* Whether `task` waits, directly or through others, for `coro`. */
bool bide__waits_for(bide_task *task, struct bide__coro *coro);
/* A task that somebody waits for; NULL is allowed. */
void bide__search_visit(struct bide__search *search, bide_task *task);

#endif
