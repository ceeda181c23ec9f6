/*
 * The control block of an unfinished task, and how a task parks and is woken.
 *
 * The block lies at the top of the task's stack mapping, above every frame: it costs no memory of
 * its own, is not part of the stack proper, and goes with it. What outlives the body (result, name,
 * waiters) is in struct bide_task. What every parked task needs is in struct bide__coro, what is
 * rare behind `more`.
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
    bool timed;  /* what is linked is the control block's timer */
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

/* What few tasks need. */
struct bide__coro_more {
    struct bide__coro *coro;
    bide_group *group;
    struct bide__list sibling; /* in the group's children */
    char *cancel_message;
    struct bide__values *values; /* the context variables */
    struct bide__timer timer;    /* of who waits in a line and for a time */
};

/*
 * What every task needs, parked or not: as small as can be. What a switch touches is the first line
 * of the cache, `fiber.sp` its last word; what a wait for another task touches is the second.
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
    union {             /* a suspending call looks at both at once */
        struct {
            bool deliver; /* something visible is pending: suspending calls fail */
            bool copied;  /* runs on the stack that its loop's tasks of this kind share, copied.h */
        };
        uint16_t attention;
    };
    bool probed;  /* to be looked at on its parked stack, see inspect.c */
    bool created; /* not started */
    bool begun;
    bool finished;
    bool interrupt_queued : 1;
    bool woken : 1;    /* before it could park, see awaitable.c */
    bool spinning : 1; /* reported for ignoring its cancel */
    bool always_start : 1;
    bool guarded : 1;          /* a copied one in debug mode: locked while it is parked */
    struct bide__fiber fiber;  /* of the stack that it stands on */
    struct bide__scope *scope; /* the innermost */
    bide_task *task;
    union { /* all begin with a node, and are used one at a time */
        struct bide__list linked;
        struct bide__waiter waiter; /* awaiting one task; its node, queueing for a stream */
        struct bide__in_line in_line;
        struct bide__timer timer; /* the kind of wait says so: `timed` */
        struct {
            struct bide__list unlinked;
            const struct bide_awaitable *awaited;
        };
    };
    /* From here to `node`: zeroed when a task is made. */
    union {
        int (*entry)(void *arguments); /* until it is begun */
        /*
         * Set around waits that leave more than the control block's own node in objects that
         * outlive the loop: takes it back, because the closing loop gives the task up, before its
         * wake-up (`wait` is set) or after it. Runs no user code but drops.
         */
        void (*abandon)(struct bide__coro *coro);
    };
    struct bide__generator *generator; /* the innermost whose body it is inside of */
    union {                            /* a search begins when no interrupt is under way */
        struct bide__coro *walk_next;
        struct bide__coro *interrupt_next;
    };
    unsigned walk_mark; /* deadlock search */
    unsigned n_cancels;
    unsigned n_groups;            /* open ones */
    struct bide__list node;       /* in the loop's tasks */
    struct bide__coro_more *more; /* may be NULL, see bide__coro_more() */
    struct bide__scope root;
};

enum { BIDE__CORO_LIMITS = 2 };

/* The block at the top of a stack. */
struct bide__coro_private {
    struct bide__coro coro;
    struct bide__coro_more more;
    struct bide__stack stack;
    void *arguments;
    unsigned watched;                             /* what bide__fiber_init() returned */
    struct bide__limit limits[BIDE__CORO_LIMITS]; /* further ones are allocated */
};

static inline struct bide__coro_private *bide__coro_private(const struct bide__coro *coro)
{
    return bide__container(coro, struct bide__coro_private, coro);
}

/* The stack that its frames are on when it runs, but for those of generators' bodies. */
struct bide__stack bide__coro_stack(const struct bide__coro *coro);

void *bide__coro_arguments(const struct bide__coro *coro);

/* Places for limits that cost no allocation; NULL if there are none. */
static inline struct bide__limit *bide__coro_limits(struct bide__coro *coro)
{
    return coro->copied ? NULL : bide__coro_private(coro)->limits;
}

struct bide__coro_more *bide__coro_more_new(struct bide__coro *coro);

/* Made if need be; NULL without memory. A task on a stack of its own has it. */
static inline struct bide__coro_more *bide__coro_more(struct bide__coro *coro)
{
    return coro->more ? coro->more : bide__coro_more_new(coro);
}

static inline struct bide__coro *bide__coro_of_sibling(struct bide__list *sibling)
{
    return bide__container(sibling, struct bide__coro_more, sibling)->coro;
}

/* Gives a task that has not begun other context variables: takes them. 0 or -ENOMEM. */
int bide__coro_set_values(struct bide__coro *coro, struct bide__values *values);

/* Whether the memory lies on the stack of this copied task. */
bool bide__copied_holds(const struct bide__coro *coro, const void *memory);

/* Releases an ended task's stack, from another one. */
void bide__coro_free(struct bide__coro *coro);
/* Ends, with -ECANCELED, and releases a task that never began. */
void bide__coro_abandon(struct bide__coro *coro);
/* The same with the handle that its maker has: the task never was. */
void bide__coro_unmake(struct bide__coro *coro);
_Static_assert(offsetof(struct bide__coro, fiber) + sizeof(void *) <= 64, "one line of the cache");

/* Shows the task's own stack, on which it was continued for that, and parks it again. */
void bide__probe(struct bide__coro *coro);
/* A wait ended with -ECANCELED: the call that waited fails because of what is pending. */
void bide__refused(struct bide__coro *coro);

/* What the ready queue runs for a task on a stack of its own. */
void bide__coro_run(struct bide__ready *ready);
/* The same where every task is continued by the loop itself: in debug mode. */
void bide__coro_run_alone(struct bide__ready *ready);

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

/* What a parked task leaves on its stack nobody may look at: a copied one's is another's then. */
static inline bool bide__is_lendable(const struct bide__coro *coro, const void *memory)
{
    return __builtin_expect(!coro->copied, 1) || !bide__copied_holds(coro, memory);
}

/* Why memory can't be lent, in words: -EINVAL. */
int bide__unlendable(void);

/* Before a call lends it: 0 or -EINVAL. */
static inline int bide__lend(const struct bide__coro *coro, const void *memory)
{
    return bide__is_lendable(coro, memory) ? 0 : bide__unlendable();
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
/* What few suspending calls have to look at: 0, -ECANCELED, or -ENOMEM: a copied task has no room
 * to park. */
int bide__attend(struct bide__coro *coro);
/* One more call in a row fails: makes the task, if it goes on all the same, give up turns and then
 * pause, and reports it with these words. */
void bide__slow_down(struct bide__coro *coro, const char *words);

/*
 * Every suspending call begins with this, before any effect: 0 and the current task; -BIDE_ENOTASK,
 * -ECANCELED or -ENOMEM.
 */
static inline int bide__suspend(struct bide__coro **ret_coro)
{
    struct bide__coro *coro = bide__coro_current();
    if (!coro)
        return -BIDE_ENOTASK;
    *ret_coro = coro;
    if (++coro->n_unwaited > BIDE__UNWAITED_MAX)
        bide__give_turn(coro);
    if (coro->attention) {
        int rc = bide__attend(coro);
        if (rc < 0)
            return rc;
    }
    coro->n_refused = 0;
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

/* Fills the block of a task in state created. */
void bide__coro_init(struct bide__coro *coro, bide_loop *loop, bide_task *task,
                     int (*entry)(void *), const struct bide_task_opts *opts);
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
