/*
 * The set behind watch.h, which states the invariants.
 *
 * epoll(7) knows an entry by file and number together. While a watch owns its number's entry,
 * at[fd] is that watch, and an event names the number and the watch's serial, so that a late event
 * is recognised. What remains is an entry whose number was closed while its file lives on: nothing
 * can change or remove it, only a new set can leave it behind.
 */
#include "engine/watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_PER_DISPATCH_MAX = 128 };

struct bide__watch {
    struct bide_watch base;
    struct bide__list node;
    struct bide__watch_set *set;
    int fd;
    uint32_t serial;
    unsigned events;
    bool owns_entry; /* otherwise its number was closed, and nothing comes any more */
    bide_watch_ready *ready;
    void *data;
};

void bide__watch_set_init(struct bide__watch_set *set, struct bide_engine *engine,
                          int (*attach)(struct bide_engine *engine, int fd))
{
    *set = (struct bide__watch_set){.fd = -1, .attach = attach, .engine = engine};
    bide__list_init(&set->watches);
}

void bide__watch_set_fini(struct bide__watch_set *set)
{
    bide__list_each(node, &set->watches) free(bide__container(node, struct bide__watch, node));
    free(set->at);
    if (set->fd >= 0)
        close(set->fd);
    bide__watch_set_init(set, set->engine, set->attach);
}

/* Nothing wanted: the entry stays, to keep its file known, and reports a hang-up at most once
 * instead of for ever. */
static struct epoll_event entry(const struct bide__watch *watch)
{
    uint32_t mask = watch->events == 0 ? EPOLLET : 0;
    if (watch->events & BIDE_WATCH_READ)
        mask |= EPOLLIN;
    if (watch->events & BIDE_WATCH_WRITE)
        mask |= EPOLLOUT;
    return (struct epoll_event){.events = mask,
                                .data.u64 = (uint64_t)watch->serial << 32 | (uint32_t)watch->fd};
}

static int control(int set_fd, int operation, const struct bide__watch *watch)
{
    struct epoll_event event = entry(watch);
    return epoll_ctl(set_fd, operation, watch->fd, &event) < 0 ? -errno : 0;
}

/* What the kernel says when the number stands for nothing, or for a file that is not in the set. */
static bool means_gone(int rc)
{
    return rc == -ENOENT || rc == -EBADF || rc == -EPERM || rc == -EINVAL;
}

static void disown(struct bide__watch *watch)
{
    watch->owns_entry = false;
    watch->set->at[watch->fd] = NULL;
}

static int create(struct bide__watch_set *set)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = set->attach(set->engine, fd);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    set->fd = fd;
    return 0;
}

static int make_room(struct bide__watch_set *set, size_t n)
{
    if (n <= set->n_at)
        return 0;
    size_t n_at = set->n_at < 32 ? 64 : 2 * set->n_at;
    if (n_at < n)
        n_at = n;
    struct bide__watch **at = realloc(set->at, n_at * sizeof(*at));
    if (!at)
        return -ENOMEM;
    memset(at + set->n_at, 0, (n_at - set->n_at) * sizeof(*at));
    set->at = at;
    set->n_at = n_at;
    return 0;
}

/* Makes the number's entry this watch's. */
static int enter(struct bide__watch_set *set, struct bide__watch *watch)
{
    struct bide__watch *former = set->at[watch->fd];
    int rc = control(set->fd, EPOLL_CTL_ADD, watch);
    /* Left behind by a watch whose number was closed, and is the same file's again. */
    if (rc == -EEXIST && !former)
        rc = control(set->fd, EPOLL_CTL_MOD, watch);
    if (rc < 0)
        return rc;
    if (former) { /* for a file that the number stood for before */
        disown(former);
        set->n_suspect++;
    }
    set->at[watch->fd] = watch;
    watch->owns_entry = true;
    return 0;
}

int bide__watch_set_add(struct bide__watch_set *set, int fd, unsigned events,
                        bide_watch_ready *ready, void *data, struct bide_watch **ret_watch)
{
    if (fd < 0)
        return -EBADF;
    int rc = set->fd < 0 ? create(set) : 0;
    if (rc < 0)
        return rc;
    rc = make_room(set, (size_t)fd + 1);
    if (rc < 0)
        return rc;
    struct bide__watch *watch = malloc(sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    *watch = (struct bide__watch){.base.engine = set->engine,
                                  .set = set,
                                  .fd = fd,
                                  .serial = ++set->serial,
                                  .events = events,
                                  .ready = ready,
                                  .data = data};
    rc = enter(set, watch);
    if (rc < 0) {
        free(watch);
        return rc;
    }
    bide__list_append(&set->watches, &watch->node);
    *ret_watch = &watch->base;
    return 0;
}

int bide__watch_change(struct bide_watch *base, unsigned events)
{
    struct bide__watch *watch = bide__container(base, struct bide__watch, base);
    if (!watch->owns_entry)
        return -EBADF;
    unsigned before = watch->events;
    if (events == before)
        return 0;
    watch->events = events;
    int rc = control(watch->set->fd, EPOLL_CTL_MOD, watch);
    if (rc < 0)
        watch->events = before;
    return means_gone(rc) ? -EBADF : rc;
}

void bide__watch_remove(struct bide_watch *base)
{
    struct bide__watch *watch = bide__container(base, struct bide__watch, base);
    struct bide__watch_set *set = watch->set;
    if (watch->owns_entry) {
        disown(watch);
        if (control(set->fd, EPOLL_CTL_DEL, watch) < 0)
            set->n_suspect++;
    }
    bide__list_remove(&watch->node);
    free(watch);
}

/* Whether the entry still is what it was is asked by changing it into itself. */
static int move(struct bide__watch *watch, int new_fd)
{
    if (!watch->owns_entry)
        return 0;
    int rc = control(watch->set->fd, EPOLL_CTL_MOD, watch);
    if (means_gone(rc)) {
        disown(watch);
        return 0;
    }
    return rc < 0 ? rc : control(new_fd, EPOLL_CTL_ADD, watch);
}

/* Whoever's entry can still be reached moves to a new set. On failure the old one is kept, and the
 * next stray event retries. */
static void rebuild(struct bide__watch_set *set)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return;
    int rc = 0;
    bide__list_each(node, &set->watches)
    {
        if (rc == 0)
            rc = move(bide__container(node, struct bide__watch, node), fd);
    }
    if (rc == 0)
        rc = set->attach(set->engine, fd);
    if (rc < 0) {
        close(fd);
        return;
    }
    close(set->fd);
    set->fd = fd;
    set->n_suspect = 0;
}

static unsigned readiness(uint32_t mask)
{
    unsigned events = 0;
    if (mask & (EPOLLIN | EPOLLHUP | EPOLLERR))
        events |= BIDE_WATCH_READ;
    if (mask & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        events |= BIDE_WATCH_WRITE;
    return events;
}

static struct bide__watch *find(const struct bide__watch_set *set, uint64_t name)
{
    size_t fd = (uint32_t)name;
    struct bide__watch *watch = fd < set->n_at ? set->at[fd] : NULL;
    return watch && watch->serial == name >> 32 ? watch : NULL;
}

int bide__watch_set_dispatch(struct bide__watch_set *set)
{
    struct epoll_event events[EVENTS_PER_DISPATCH_MAX];
    int n_events = epoll_wait(set->fd, events, EVENTS_PER_DISPATCH_MAX, 0);
    if (n_events < 0)
        return errno == EINTR ? 0 : -errno;
    int n = 0;
    bool stray = false;
    for (int i = 0; i < n_events; i++) {
        struct bide__watch *watch = find(set, events[i].data.u64);
        if (!watch) {
            stray = true; /* or closed by a callback just now, which costs nothing unless something
                             is suspect */
            continue;
        }
        unsigned ready = readiness(events[i].events) & watch->events;
        if (ready) {
            watch->ready(watch->data, ready);
            n++;
        }
    }
    if (stray && set->n_suspect > 0)
        rebuild(set);
    return n;
}
