/*
 * Scopes: what may ask for the end of the code inside them. Every task has a stack of them: the
 * task itself outermost, then timeouts, groups and shields as they were opened.
 *
 * Invariants
 *  - Scopes close in reverse order, by the task that opened them; only the scopes of expressions
 * may outlast what was opened before them.
 *  - What a generator's body opened is on the stack of the task that is inside the body. Between
 * two steps it is cut off: it belongs to no task then, and may become pending all the same.
 *  - `pending` is what asks for the end; it is visible from inside out to the nearest shield, whose
 * own limit counts still.
 *  - `delivered` is set once a pending, visible scope has made a suspending call fail or was handed
 * on by a join. Only such a scope substitutes its own error at its edge, and only if nothing
 * further out is pending and visible; otherwise the edge hands the delivery on to what is.
 */
#ifndef BIDE_RUNTIME_SCOPE_H
#define BIDE_RUNTIME_SCOPE_H

#include "runtime/timer.h"

#include <bide/loop.h>
#include <bide/timeout.h>

#include <stdbool.h>
#include <stdint.h>

struct bide__coro;

enum bide__scope_kind {
    BIDE__SCOPE_TASK,
    BIDE__SCOPE_TIMEOUT,
    BIDE__SCOPE_SHIELD,
    BIDE__SCOPE_GROUP,
};

struct bide__scope {
    uint8_t kind; /* enum bide__scope_kind */
    bool pending;
    bool delivered;
    bool taken;      /* a limit that is one of the control block's own, and in use */
    bool expression; /* ends with the expression that it stands around */
    struct bide__scope *outer;
    struct bide__coro *coro; /* NULL while it is cut off */
};

/* A time limit, or a shield with its own. */
struct bide__limit {
    struct bide__scope scope;
    int64_t deadline_ns;
    struct bide__timer timer;
    bide_loop *loop;
};

/*
 * Puts off a limit that is moved very often: costs no more than a store as long as it does not
 * become earlier. The loop may wake once at the old moment, which is why bide_timeout_move() does
 * not do it. -EALREADY: it has expired.
 */
BIDE_EXPORT int bide__timeout_postpone(bide_timeout *timeout, int64_t deadline_ns);

/* Puts the scope on the task's stack. */
void bide__scope_push(struct bide__coro *coro, struct bide__scope *scope,
                      enum bide__scope_kind kind);
/*
 * Takes it off, and before it whatever was left open inside, which is reported. Scopes of
 * expressions inside stay: theirs is being evaluated, as in bide_within(1, bide_group_close(...)).
 */
void bide__scope_pop(struct bide__scope *scope);
/* The task has ended: whatever it left open. */
void bide__scope_pop_all(struct bide__coro *coro);

/* Ends and reports what is open inside of `base`. */
void bide__scope_pop_to(struct bide__coro *coro, struct bide__scope *base);

/* Cuts off what is open inside of `base`. Returns the innermost one; NULL if there is none. */
struct bide__scope *bide__scope_cut(struct bide__coro *coro, struct bide__scope *base);
/* Puts what was cut off on top of the task's stack. */
void bide__scope_graft(struct bide__coro *coro, struct bide__scope *innermost);
/* Ends what was cut off and will not be put back. */
void bide__scope_drop(struct bide__scope *innermost);

/* Makes the scope ask for the end of what is inside; interrupts the task if that is visible where
 * it waits. */
void bide__scope_demand(struct bide__scope *scope);

/* Whether something visible from just outside `scope` is pending. */
bool bide__scope_outer_pending(const struct bide__scope *scope);

/* What `scope` makes of rc at its edge when its own error is `own`: rc or own. */
int bide__scope_edge(const struct bide__scope *scope, int rc, int own);

/* Every pending scope that is visible where the task is now has caused a delivery. */
void bide__scope_mark_delivered(struct bide__coro *coro);

/* Recomputes whether the task's suspending calls are to fail. */
void bide__scope_refresh(struct bide__coro *coro);

#endif
