/*
 * Watchers on users' descriptors: a reader and a writer for each, and tasks that wait for the same,
 * behind one watch of the engine.
 *
 * Invariant: a descriptor has an entry in the loop's table exactly while it has a reader, a writer
 * or a task inside a call that waits for it, and the engine is asked for just those. A task that
 * was woken takes itself out when it goes on: the engine's callback changes no watch.
 */
#include "runtime/coro.h"
#include "runtime/registration.h"

#include <bide/watch.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 2 };

struct bide__watcher {
    struct bide_watch *watch;
    struct bide__registration *sides[SIDES]; /* reader, writer */
    unsigned n_inside[SIDES];                /* tasks, until they have gone on */
    struct bide__list waiting[SIDES];        /* those that were not woken yet */
};

static const unsigned side_events[SIDES] = {BIDE_WATCH_READ, BIDE_WATCH_WRITE};

static unsigned watcher_events(const struct bide__watcher *watcher)
{
    unsigned events = 0;
    for (int side = 0; side < SIDES; side++)
        if (watcher->sides[side] || watcher->n_inside[side] > 0)
            events |= side_events[side];
    return events;
}

static void watcher_ready(void *data, unsigned events)
{
    struct bide__watcher *watcher = data;
    for (int side = 0; side < SIDES; side++) {
        struct bide__list *node;
        if (!(events & side_events[side]))
            continue;
        if (watcher->sides[side])
            bide__registration_due(watcher->sides[side], 1);
        while ((node = bide__list_pop(&watcher->waiting[side])))
            bide__wake(bide__container(node, struct bide__coro, waiter.node), 0);
    }
}

static struct bide__watcher *watcher_of(const bide_loop *loop, int fd)
{
    return fd >= 0 && (size_t)fd < loop->n_watchers ? loop->watchers[fd] : NULL;
}

static int table_grow(bide_loop *loop, int fd)
{
    size_t n = loop->n_watchers ? loop->n_watchers : 64;
    if ((size_t)fd < loop->n_watchers)
        return 0;
    while (n <= (size_t)fd)
        n *= 2;
    struct bide__watcher **table = realloc(loop->watchers, n * sizeof *table);
    if (!table)
        return -ENOMEM;
    memset(table + loop->n_watchers, 0, (n - loop->n_watchers) * sizeof *table);
    loop->watchers = table;
    loop->n_watchers = n;
    return 0;
}

static int watcher_new(bide_loop *loop, int fd, int side, struct bide__watcher **ret_watcher)
{
    int rc = table_grow(loop, fd);
    if (rc < 0)
        return rc;
    struct bide__watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher)
        return -ENOMEM;
    for (int i = 0; i < SIDES; i++)
        bide__list_init(&watcher->waiting[i]);
    rc = loop->engine->ops->watch_open(loop->engine, fd, side_events[side], watcher_ready, watcher,
                                       &watcher->watch);
    if (rc < 0) {
        free(watcher);
        return rc;
    }
    loop->watchers[fd] = watcher;
    *ret_watcher = watcher;
    return 0;
}

/* The descriptor's watcher, asked for this side as well; a new one if there is none. */
static int watcher_get(bide_loop *loop, int fd, int side, struct bide__watcher **ret_watcher)
{
    struct bide__watcher *watcher = watcher_of(loop, fd);
    if (!watcher)
        return watcher_new(loop, fd, side, ret_watcher);
    *ret_watcher = watcher;
    return loop->engine->ops->watch_set(watcher->watch,
                                        watcher_events(watcher) | side_events[side]);
}

/* Asks for less, after somebody went. */
static void watcher_settle(bide_loop *loop, int fd, struct bide__watcher *watcher)
{
    unsigned events = watcher_events(watcher);
    if (events != 0) {
        loop->engine->ops->watch_set(watcher->watch, events);
        return;
    }
    loop->engine->ops->watch_close(watcher->watch);
    loop->watchers[fd] = NULL;
    free(watcher);
}

static int add(bide_loop *loop, int fd, int side, bide_callback *callback, void *data,
               bide_drop *drop)
{
    int rc = callback ? bide__loop_open(loop) : -EINVAL;
    if (rc == 0 && fd < 0)
        rc = -EBADF;
    if (rc < 0)
        return rc;
    struct bide__registration *registration = bide__registration_new(loop, callback, data, drop);
    if (!registration)
        return -ENOMEM;
    struct bide__watcher *watcher;
    rc = watcher_get(loop, fd, side, &watcher);
    if (rc == 0) {
        struct bide__registration *former = watcher->sides[side];
        watcher->sides[side] = registration;
        if (former)
            bide__registration_remove(former); /* last: its drop may change the table */
    }
    if (rc < 0)
        free(registration);
    return rc;
}

static int remove_side(bide_loop *loop, int fd, int side)
{
    struct bide__watcher *watcher = loop ? watcher_of(loop, fd) : NULL;
    if (!watcher || !watcher->sides[side])
        return 0;
    struct bide__registration *registration = watcher->sides[side];
    watcher->sides[side] = NULL;
    watcher_settle(loop, fd, watcher);
    bide__registration_remove(registration);
    return 1;
}

int bide_loop_add_reader(bide_loop *loop, int fd, bide_callback *callback, void *data,
                         bide_drop *drop)
{
    return add(loop, fd, 0, callback, data, drop);
}

int bide_loop_add_writer(bide_loop *loop, int fd, bide_callback *callback, void *data,
                         bide_drop *drop)
{
    return add(loop, fd, 1, callback, data, drop);
}

int bide_loop_remove_reader(bide_loop *loop, int fd)
{
    return remove_side(loop, fd, 0);
}

int bide_loop_remove_writer(bide_loop *loop, int fd)
{
    return remove_side(loop, fd, 1);
}

static void wait_interrupt(struct bide__coro *coro)
{
    bide__list_remove(&coro->waiter.node);
    bide__wake(coro, -ECANCELED);
}

static const struct bide__wait_kind side_waits[SIDES] = {
    {.name = "readable", .interrupt = wait_interrupt},
    {.name = "writable", .interrupt = wait_interrupt},
};

static int wait_side(int fd, int side)
{
    struct bide__watcher *watcher;
    struct bide__coro *coro;
    int rc = bide__suspend(&coro);
    if (rc == 0)
        rc = fd < 0 ? -EBADF : watcher_get(coro->loop, fd, side, &watcher);
    if (rc < 0)
        return rc;
    watcher->n_inside[side]++;
    bide__list_append(&watcher->waiting[side], &coro->waiter.node);
    rc = bide__park(coro, &side_waits[side], watcher);
    watcher->n_inside[side]--;
    watcher_settle(coro->loop, fd, watcher);
    return rc;
}

int bide_wait_readable(int fd)
{
    return wait_side(fd, 0);
}

int bide_wait_writable(int fd)
{
    return wait_side(fd, 1);
}

static void watcher_drop(bide_loop *loop, int fd)
{
    struct bide__watcher *watcher = watcher_of(loop, fd);
    for (int side = 0; watcher && side < SIDES; side++)
        watcher->n_inside[side] = 0; /* the tasks are gone */
    if (watcher && !watcher->sides[0] && !watcher->sides[1])
        watcher_settle(loop, fd, watcher);
    remove_side(loop, fd, 0);
    remove_side(loop, fd, 1);
}

void bide__watchers_drop(bide_loop *loop)
{
    for (size_t fd = 0; fd < loop->n_watchers; fd++)
        watcher_drop(loop, (int)fd);
}
