/*
 * Scopes, and with them time limits and shields. The invariants stand in scope.h.
 *
 * A scope that only an expression uses (bide_within, bide_shielded) or that bide_timeout_begin()
 * hands out lies in the task's control block while one of its two places is free, otherwise on the
 * heap; always there if a generator's body opens it, which may go on in another task.
 */
#include "runtime/scope.h"

#include "base/time.h"
#include "runtime/coro.h"
#include "runtime/group.h"
#include "runtime/report.h"

#include <bide/timeout.h>

#include <math.h>
#include <stdlib.h>

struct bide_timeout {
    struct bide__limit limit;
};

static struct bide__limit *limit_of(struct bide__scope *scope)
{
    return bide__container(scope, struct bide__limit, scope);
}

void bide__scope_refresh(struct bide__coro *coro)
{
    coro->deliver = false;
    for (const struct bide__scope *scope = coro->scope; scope; scope = scope->outer) {
        if (scope->pending)
            coro->deliver = true;
        if (scope->pending || scope->kind == BIDE__SCOPE_SHIELD)
            return;
    }
}

/* From `scope` outwards. */
static void mark_delivered(struct bide__scope *scope)
{
    for (; scope; scope = scope->outer) {
        if (scope->pending)
            scope->delivered = true;
        if (scope->kind == BIDE__SCOPE_SHIELD)
            return;
    }
}

void bide__scope_mark_delivered(struct bide__coro *coro)
{
    mark_delivered(coro->scope);
}

bool bide__scope_outer_pending(const struct bide__scope *scope)
{
    for (scope = scope->outer; scope; scope = scope->outer) {
        if (scope->pending)
            return true;
        if (scope->kind == BIDE__SCOPE_SHIELD)
            return false;
    }
    return false;
}

int bide__scope_edge(const struct bide__scope *scope, int rc, int own)
{
    if (rc != -ECANCELED || !scope->pending || !scope->delivered)
        return rc;
    if (!bide__scope_outer_pending(scope))
        return own;
    mark_delivered(scope->outer);
    return rc;
}

void bide__scope_push(struct bide__coro *coro, struct bide__scope *scope,
                      enum bide__scope_kind kind)
{
    scope->coro = coro;
    scope->kind = (uint8_t)kind;
    scope->pending = false;
    scope->delivered = false;
    scope->expression = false;
    scope->outer = coro->scope;
    coro->scope = scope;
    coro->n_groups += kind == BIDE__SCOPE_GROUP;
    if (kind == BIDE__SCOPE_SHIELD)
        bide__scope_refresh(coro);
}

static void limit_release(struct bide__limit *limit)
{
    bide__timer_cancel(limit->loop->timers, &limit->timer);
    if (limit->scope.taken)
        limit->scope.taken = false;
    else
        free(limit);
}

static void unlink_scope(struct bide__scope **link)
{
    struct bide__scope *scope = *link;
    if (scope->coro)
        scope->coro->n_groups -= scope->kind == BIDE__SCOPE_GROUP;
    *link = scope->outer;
}

static void scope_abandon(struct bide__scope **link)
{
    struct bide__scope *scope = *link;
    if (scope->coro && !scope->coro->loop->closing) /* then it is not the task's fault */
        bide__report_task(scope->coro->task, "scope was left open", 0);
    unlink_scope(link);
    if (scope->kind == BIDE__SCOPE_GROUP)
        bide__group_abandon(scope);
    else
        limit_release(limit_of(scope));
}

void bide__scope_pop(struct bide__scope *scope)
{
    struct bide__coro *coro = scope->coro;
    struct bide__scope **link = &coro->scope;
    while (*link != scope) {
        assert(*link);
        if ((*link)->expression)
            link = &(*link)->outer;
        else
            scope_abandon(link);
    }
    unlink_scope(link);
    bide__scope_refresh(coro);
}

void bide__scope_pop_all(struct bide__coro *coro)
{
    while (coro->scope != &coro->root)
        scope_abandon(&coro->scope);
}

/* Whether `base` is on the task's stack: a generator's body may have ended what it does not own. */
static bool is_open(const struct bide__coro *coro, const struct bide__scope *base)
{
    const struct bide__scope *at = coro->scope;
    while (at && at != base)
        at = at->outer;
    return at;
}

void bide__scope_pop_to(struct bide__coro *coro, struct bide__scope *base)
{
    if (coro->scope == base || !is_open(coro, base))
        return;
    while (coro->scope != base)
        scope_abandon(&coro->scope);
    bide__scope_refresh(coro);
}

struct bide__scope *bide__scope_cut(struct bide__coro *coro, struct bide__scope *base)
{
    struct bide__scope *innermost = coro->scope;
    if (innermost == base || !is_open(coro, base))
        return NULL;
    struct bide__scope **link = &coro->scope;
    while (*link != base) {
        struct bide__scope *scope = *link;
        coro->n_groups -= scope->kind == BIDE__SCOPE_GROUP;
        scope->coro = NULL;
        link = &scope->outer;
    }
    *link = NULL;
    coro->scope = base;
    bide__scope_refresh(coro);
    return innermost;
}

void bide__scope_graft(struct bide__coro *coro, struct bide__scope *innermost)
{
    struct bide__scope **link = &innermost;
    for (; *link; link = &(*link)->outer) {
        (*link)->coro = coro;
        coro->n_groups += (*link)->kind == BIDE__SCOPE_GROUP;
    }
    *link = coro->scope;
    coro->scope = innermost;
    bide__scope_refresh(coro);
}

void bide__scope_drop(struct bide__scope *innermost)
{
    while (innermost)
        scope_abandon(&innermost);
}

/* From inside: no shield stands between. */
static bool is_visible(const struct bide__scope *scope)
{
    for (const struct bide__scope *at = scope->coro->scope; at; at = at->outer) {
        if (at == scope)
            return true;
        if (at->kind == BIDE__SCOPE_SHIELD)
            return false;
    }
    return false;
}

void bide__scope_demand(struct bide__scope *scope)
{
    scope->pending = true;
    if (!scope->coro)
        return;
    bide__scope_refresh(scope->coro);
    if (is_visible(scope))
        bide__interrupt(scope->coro);
}

static void limit_expired(struct bide__timer *timer)
{
    struct bide__limit *limit = bide__container(timer, struct bide__limit, timer);
    if (limit->deadline_ns <= timer->deadline_ns)
        bide__scope_demand(&limit->scope);
    else if (limit->deadline_ns != BIDE__NEVER) /* it was postponed */
        bide__timer_set(limit->loop->timers, timer, limit->deadline_ns);
}

/* Whether the scope has passed its limit decides itself at once if the moment lies in the past. */
static void set_deadline(struct bide__limit *limit, int64_t now_ns, int64_t deadline_ns)
{
    struct bide__timers *timers = limit->loop->timers;
    bide__timer_cancel(timers, &limit->timer);
    limit->deadline_ns = deadline_ns;
    if (deadline_ns == BIDE__NEVER)
        return;
    if (deadline_ns <= now_ns)
        bide__scope_demand(&limit->scope);
    else
        bide__timer_set(timers, &limit->timer, deadline_ns);
}

static struct bide__limit *limit_take(struct bide__coro *coro)
{
    struct bide__limit *own = bide__coro_limits(coro);
    for (size_t i = 0; own && !coro->generator && i < BIDE__CORO_LIMITS; i++) {
        if (!own[i].scope.taken) {
            own[i].scope.taken = true;
            return &own[i];
        }
    }
    struct bide__limit *limit = malloc(sizeof *limit);
    if (limit)
        limit->scope.taken = false;
    return limit;
}

static int limit_begin(enum bide__scope_kind kind, double when, bool absolute,
                       struct bide__limit **ret_limit)
{
    struct bide__coro *coro = bide__coro_current();
    if (!coro)
        return -BIDE_ENOTASK;
    if (isnan(when))
        return -EINVAL;
    struct bide__limit *limit = limit_take(coro);
    if (!limit)
        return -ENOMEM;
    limit->loop = coro->loop;
    bide__timer_init(&limit->timer, limit_expired);
    bide__scope_push(coro, &limit->scope, kind);
    int64_t now_ns = bide__loop_now_ns(coro->loop);
    set_deadline(limit, now_ns,
                 absolute ? bide__seconds_to_ns(when) : bide__deadline_ns(now_ns, when));
    *ret_limit = limit;
    return 0;
}

static int limit_end(struct bide__limit *limit, int rc)
{
    rc = bide__scope_edge(&limit->scope, rc, -ETIMEDOUT);
    bide__scope_pop(&limit->scope);
    limit_release(limit);
    return rc;
}

static int expression_begin(enum bide__scope_kind kind, double when, bool absolute)
{
    struct bide__limit *limit;
    int rc = limit_begin(kind, when, absolute, &limit);
    if (rc == 0)
        limit->scope.expression = true;
    return rc;
}

int bide__within_begin(double seconds)
{
    return expression_begin(BIDE__SCOPE_TIMEOUT, seconds, false);
}

int bide__until_begin(double deadline)
{
    return expression_begin(BIDE__SCOPE_TIMEOUT, deadline, true);
}

int bide__shield_begin(double seconds)
{
    return expression_begin(BIDE__SCOPE_SHIELD, seconds, false);
}

int bide__scope_end(int rc)
{
    struct bide__coro *coro = bide__coro_current();
    if (!coro) /* a child after fork, whose loop was dropped inside */
        return rc;
    struct bide__scope *scope = coro->scope;
    while (!scope->expression)
        scope = scope->outer;
    return limit_end(limit_of(scope), rc);
}

int bide_timeout_begin(double seconds, bide_timeout **ret_timeout)
{
    if (!ret_timeout)
        return -EINVAL;
    struct bide__limit *limit;
    int rc = limit_begin(BIDE__SCOPE_TIMEOUT, seconds, false, &limit);
    if (rc == 0)
        *ret_timeout = bide__container(limit, bide_timeout, limit);
    return rc;
}

int bide_timeout_move(bide_timeout *timeout, double deadline)
{
    if (!timeout || isnan(deadline))
        return -EINVAL;
    if (timeout->limit.scope.pending)
        return -EALREADY;
    set_deadline(&timeout->limit, bide__loop_now_ns(timeout->limit.loop),
                 bide__seconds_to_ns(deadline));
    return 0;
}

int bide__timeout_postpone(bide_timeout *timeout, int64_t deadline_ns)
{
    struct bide__limit *limit = &timeout->limit;
    if (limit->scope.pending)
        return -EALREADY;
    bool is_timed = bide__timer_is_set(&limit->timer);
    if (is_timed ? limit->timer.deadline_ns <= deadline_ns : deadline_ns == BIDE__NEVER) {
        limit->deadline_ns = deadline_ns;
        return 0;
    }
    set_deadline(limit, 0, deadline_ns);
    return 0;
}

double bide_timeout_deadline(const bide_timeout *timeout)
{
    return timeout ? bide__ns_to_seconds(timeout->limit.deadline_ns) : INFINITY;
}

bool bide_timeout_expired(const bide_timeout *timeout)
{
    return timeout && timeout->limit.scope.pending && timeout->limit.scope.delivered;
}

int bide_timeout_end(bide_timeout *timeout, int rc)
{
    return timeout && timeout->limit.scope.coro ? limit_end(&timeout->limit, rc) : -EINVAL;
}
