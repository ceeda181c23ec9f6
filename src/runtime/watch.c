/*
 * Watchers on users' descriptors: a reader and a writer for each, behind one watch of the engine.
 *
 * Invariant: a descriptor has an entry in the loop's table exactly while it has a reader or a
 * writer, and the engine is asked for just those.
 */
#include "runtime/loop.h"
#include "runtime/registration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 2 };

struct bide__watcher {
    struct bide_watch *watch;
    struct bide__registration *sides[SIDES]; /* reader, writer */
};

static const unsigned side_events[SIDES] = {BIDE_WATCH_READ, BIDE_WATCH_WRITE};

static unsigned watcher_events(const struct bide__watcher *watcher)
{
    unsigned events = 0;
    for (int side = 0; side < SIDES; side++)
        if (watcher->sides[side])
            events |= side_events[side];
    return events;
}

static void watcher_ready(void *data, unsigned events)
{
    struct bide__watcher *watcher = data;
    for (int side = 0; side < SIDES; side++)
        if (watcher->sides[side] && (events & side_events[side]))
            bide__registration_due(watcher->sides[side], 1);
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

static int watcher_new(bide_loop *loop, int fd, int side, struct bide__registration *registration)
{
    int rc = table_grow(loop, fd);
    if (rc < 0)
        return rc;
    struct bide__watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher)
        return -ENOMEM;
    watcher->sides[side] = registration;
    rc = loop->engine->ops->watch_open(loop->engine, fd, side_events[side], watcher_ready, watcher,
                                       &watcher->watch);
    if (rc < 0) {
        free(watcher);
        return rc;
    }
    loop->watchers[fd] = watcher;
    return 0;
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
    struct bide__watcher *watcher = watcher_of(loop, fd);
    if (!watcher) {
        rc = watcher_new(loop, fd, side, registration);
    } else {
        rc = watcher->watch->engine->ops->watch_set(watcher->watch,
                                                    watcher_events(watcher) | side_events[side]);
        if (rc == 0) {
            struct bide__registration *former = watcher->sides[side];
            watcher->sides[side] = registration;
            bide__registration_remove(former); /* last: its drop may change the table */
        }
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
    if (watcher_events(watcher) == 0) {
        watcher->watch->engine->ops->watch_close(watcher->watch);
        loop->watchers[fd] = NULL;
        free(watcher);
    } else {
        watcher->watch->engine->ops->watch_set(watcher->watch, watcher_events(watcher));
    }
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

void bide__watchers_drop(bide_loop *loop)
{
    for (size_t fd = 0; fd < loop->n_watchers; fd++) {
        remove_side(loop, (int)fd, 0);
        remove_side(loop, (int)fd, 1);
    }
}
