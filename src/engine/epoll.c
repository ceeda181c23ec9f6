/*
 * The engine on epoll(7): the wait, the beginning and the end. The invariants stand in epoll.h.
 */
#include "engine/epoll.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/watched.h"
#include "engine/file.h"
#include "engine/local.h"
#include "engine/process.h"
#include "engine/share.h"

/* Of each kind: a socket's event may end a receive, a send and a wait for room. */
enum { CALLS_PER_POLL_MAX = 3 * BIDE__EPOLL_EVENTS_MAX };

int bide__epoll_set_add(struct bide__epoll *epoll, int fd, uint32_t mask, uint32_t slot,
                        uint32_t serial)
{
    struct epoll_event event = {.events = mask, .data.u64 = (uint64_t)serial << 32 | slot};
    if (epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    /* A file that was adopted, closed and adopted again, and that somebody else held meanwhile. */
    if (errno == EEXIST && epoll_ctl(epoll->fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return -errno;
}

/* Whether a call is due that needs nothing from the kernel any more. */
static bool has_due(const struct bide__epoll *epoll)
{
    return epoll->due || bide__pool_finished(epoll->pool) || bide__signals_raised(&epoll->signals);
}

/* How long to wait: 0 for not at all, negative for ever. */
static int64_t wait_ns(struct bide__epoll *epoll, int64_t deadline_ns)
{
    if (has_due(epoll))
        return 0;
    if (epoll->resting && epoll->rest_until_ns < deadline_ns)
        deadline_ns = epoll->rest_until_ns;
    if (deadline_ns <= 0)
        return 0;
    if (deadline_ns == BIDE_NO_DEADLINE)
        return -1;
    int64_t left_ns = deadline_ns - bide__kernel_now_ns(&epoll->base);
    return left_ns > 0 ? left_ns : 0;
}

static int wait_kernel(struct bide__epoll *epoll, int64_t timeout_ns)
{
    if (timeout_ns > 0 && !epoll->coarse) {
        struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        int n = epoll_pwait2(epoll->fd, epoll->events, epoll->n_events_max, &timeout, NULL);
        if (n >= 0 ||
            (errno != ENOSYS && errno != EPERM)) /* a sandbox may refuse what it does not know */
            return n;
        epoll->coarse = true;
    }
    int timeout_ms = timeout_ns < 0 ? -1 : INT32_MAX;
    if (timeout_ns >= 0 && timeout_ns < INT64_C(1000000) * INT32_MAX)
        timeout_ms = (int)((timeout_ns + 999999) / 1000000);
    return epoll_wait(epoll->fd, epoll->events, epoll->n_events_max, timeout_ms);
}

static int harvest(struct bide__epoll *epoll, int64_t deadline_ns)
{
    int n;
    do {
        int64_t timeout_ns = wait_ns(epoll, deadline_ns);
        if (timeout_ns != 0 && !bide__wake_sleep(&epoll->wake))
            timeout_ns = 0;
        bool nothing_to_ask = timeout_ns == 0 && epoll->n_registered == 0 && !epoll->nested &&
                              bide__watch_set_empty(&epoll->watches);
        n = nothing_to_ask ? 0 : wait_kernel(epoll, timeout_ns);
    } while (n < 0 && errno == EINTR);
    bide__wake_consume(&epoll->wake);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++)
        bide__epoll_apply(epoll, &epoll->events[i]);
    if (epoll->resting)
        bide__epoll_end_rest(epoll);
    return 0;
}

static int call_due(struct bide__epoll *epoll)
{
    int n = 0;
    for (; epoll->due && n < CALLS_PER_POLL_MAX; n++) {
        struct bide_op *op = epoll->due;
        epoll->due = op->next;
        if (!epoll->due)
            epoll->due_end = &epoll->due;
        op->state = BIDE_OP_IDLE;
        op->done(op);
    }
    return n;
}

static int epoll_poll(struct bide_engine *engine, int64_t deadline_ns)
{
    struct bide__epoll *epoll = bide__epoll_of(engine);
    int rc = harvest(epoll, deadline_ns);
    if (rc < 0)
        return rc;
    int n = call_due(epoll);
    if (epoll->watches_ready) {
        epoll->watches_ready = false;
        rc = bide__watch_set_dispatch(&epoll->watches);
        if (rc < 0)
            return rc;
        n += rc;
    }
    if (bide__signals_raised(&epoll->signals))
        n += bide__signals_dispatch(&epoll->signals, CALLS_PER_POLL_MAX);
    if (bide__pool_finished(epoll->pool))
        n += bide__pool_reap(epoll->pool, CALLS_PER_POLL_MAX);
    return n;
}

static void epoll_wake(struct bide_engine *engine)
{
    bide__wake_post(&bide__epoll_of(engine)->wake);
}

static int epoll_wait_fd(struct bide_engine *engine, int64_t *deadline_ns)
{
    struct bide__epoll *epoll = bide__epoll_of(engine);
    epoll->nested = true;
    if (epoll->resting && epoll->rest_until_ns < *deadline_ns)
        *deadline_ns = epoll->rest_until_ns;
    if (has_due(epoll) || !bide__wake_sleep(&epoll->wake))
        *deadline_ns = 0;
    return epoll->fd;
}

/* Watchers, signals, jobs */

static int attach_watches(struct bide_engine *engine, int fd)
{
    struct bide__epoll *epoll = bide__epoll_of(engine);
    int rc = bide__epoll_set_add(epoll, fd, EPOLLIN, BIDE__EPOLL_SLOT_WATCHES, 0);
    if (rc == 0 && epoll->watches.fd >= 0)
        epoll_ctl(epoll->fd, EPOLL_CTL_DEL, epoll->watches.fd, NULL);
    return rc;
}

static int epoll_watch_open(struct bide_engine *engine, int fd, unsigned events,
                            bide_watch_ready *ready, void *data, struct bide_watch **ret_watch)
{
    return bide__watch_set_add(&bide__epoll_of(engine)->watches, fd, events, ready, data,
                               ret_watch);
}

static int epoll_signal_open(struct bide_engine *engine, int signo, bide_signal_arrived *arrived,
                             void *data, struct bide_signal **ret_signal)
{
    return bide__signals_add(&bide__epoll_of(engine)->signals, signo, arrived, data, ret_signal);
}

static int epoll_job_submit(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane)
{
    return bide__pool_submit(bide__epoll_of(engine)->pool, job, lane);
}

static void epoll_job_abandon(struct bide_engine *engine, struct bide_job *job)
{
    bide__pool_abandon(bide__epoll_of(engine)->pool, job);
}

static int epoll_lookup(struct bide_engine *engine, struct bide_lookup *lookup)
{
    return bide__lookup_submit(bide__epoll_of(engine)->pool, lookup);
}

static void epoll_lookup_free(struct bide_engine *engine, struct addrinfo *list)
{
    (void)engine;
    bide__lookup_list_free(list);
}

static int epoll_file_start(struct bide_engine *engine, struct bide_file_call *call)
{
    return bide__file_submit(bide__epoll_of(engine)->pool, call);
}

static void epoll_file_abandon(struct bide_engine *engine, struct bide_file_call *call)
{
    bide__pool_abandon(bide__epoll_of(engine)->pool, &call->job);
}

static bool epoll_file_recall(struct bide_engine *engine, struct bide_file_call *call)
{
    return bide__pool_recall(bide__epoll_of(engine)->pool, &call->job);
}

/* Beginning and end */

static void release_all(struct bide__epoll *epoll)
{
    bide__watch_set_fini(&epoll->watches);
    bide__wake_close(&epoll->wake);
    if (epoll->fd >= 0)
        close(epoll->fd);
    while (epoll->cached) {
        struct bide__epoll_sock *sock = epoll->cached;
        epoll->cached = sock->next_cached;
        free(sock);
    }
    free(epoll->slots);
    free(epoll);
}

static void epoll_close(struct bide_engine *engine, int64_t join_ns)
{
    struct bide__epoll *epoll = bide__epoll_of(engine);
    assert(!epoll->due && !epoll->resting && !epoll->signals.first);
    assert(bide__watch_set_empty(&epoll->watches));
    for (uint32_t i = 0; i < epoll->n_slots; i++)
        assert(!epoll->slots[i].sock);
    bide__pool_close(epoll->pool, join_ns);
    release_all(epoll);
}

static void epoll_forget(struct bide_engine *engine)
{
    struct bide__epoll *epoll = bide__epoll_of(engine);
    for (uint32_t i = 0; i < epoll->n_slots; i++) {
        struct bide__epoll_sock *sock = epoll->slots[i].sock;
        if (sock) {
            if (sock->base.fd >= 0)
                close(sock->base.fd);
            free(sock);
        }
    }
    bide__signals_forget(&epoll->signals);
    bide__pool_forget(epoll->pool);
    release_all(epoll);
}

static const struct bide_engine_ops epoll_ops = {
    .name = "epoll",
    .close = epoll_close,
    .forget = epoll_forget,
    .now_ns = bide__kernel_now_ns,
    .wall_ns = bide__kernel_wall_ns,
    .entropy = bide__kernel_entropy,
    .poll = epoll_poll,
    .wake = epoll_wake,
    .wait_fd = epoll_wait_fd,
    .sock_open = bide__epoll_sock_open,
    .sock_adopt = bide__epoll_sock_adopt,
    .pipe = bide__pipe_open,
    .sock_share = bide__sock_share,
    .sock_close = bide__epoll_sock_close,
    .sock_bind = bide__socket_bind,
    .local_bind = bide__local_bind,
    .local_unbind = bide__local_unbind,
    .sock_listen = bide__socket_listen,
    .sock_shutdown = bide__epoll_sock_shutdown,
    .sock_setopt = bide__epoll_sock_setopt,
    .sock_getopt = bide__socket_getopt,
    .sock_name = bide__socket_name,
    .try_recv = bide__epoll_try_recv,
    .try_send = bide__epoll_try_send,
    .try_recv_message = bide__epoll_try_recv_message,
    .try_send_message = bide__epoll_try_send_message,
    .try_send_file = bide__epoll_try_send_file,
    .try_accept = bide__epoll_try_accept,
    .connect = bide__epoll_connect,
    .recv_wait = bide__epoll_recv_wait,
    .send_wait = bide__epoll_send_wait,
    .accept_wait = bide__epoll_accept_wait,
    .send = bide__epoll_send,
    .cancel = bide__epoll_cancel,
    .watch_open = epoll_watch_open,
    .watch_set = bide__watch_change,
    .watch_close = bide__watch_remove,
    .signal_open = epoll_signal_open,
    .signal_close = bide__signals_remove,
    .process_start = bide__process_start,
    .process_signal = bide__process_signal,
    .process_look = bide__process_look,
    .process_close = bide__process_close,
    .process_forget = bide__process_forget,
    .job_submit = epoll_job_submit,
    .job_abandon = epoll_job_abandon,
    .lookup = epoll_lookup,
    .lookup_free = epoll_lookup_free,
    .file_try = bide__file_try,
    .file_start = epoll_file_start,
    .file_abandon = epoll_file_abandon,
    .file_recall = epoll_file_recall,
    .file_let_go = bide__file_let_go,
};

int bide__epoll_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    static const struct bide_engine_opts defaults;
    if (!opts)
        opts = &defaults;
    struct bide__epoll *epoll = calloc(1, sizeof(*epoll));
    if (!epoll)
        return -ENOMEM;
    epoll->base.ops = &epoll_ops;
    /* ThreadSanitizer keeps signal handlers back during calls that it does not know. */
    epoll->coarse = BIDE__TSAN;
    epoll->due_end = &epoll->due;
    epoll->n_events_max = BIDE__EPOLL_EVENTS_MAX;
    if (opts->queue_entries > 0 && opts->queue_entries < BIDE__EPOLL_EVENTS_MAX)
        epoll->n_events_max = (int)opts->queue_entries;
    epoll->wake.fd = -1;
    bide__watch_set_init(&epoll->watches, &epoll->base, attach_watches);
    bide__signals_init(&epoll->signals, &epoll->base);
    int rc = bide__wake_open(&epoll->wake);
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->fd < 0)
        rc = -errno;
    if (rc == 0)
        rc = bide__epoll_set_add(epoll, epoll->wake.fd, EPOLLIN | EPOLLET, BIDE__EPOLL_SLOT_WAKE,
                                 0);
    if (rc == 0)
        rc = bide__pool_open(&epoll->base, opts->user_threads_max, &epoll->pool);
    if (rc < 0) {
        release_all(epoll);
        return rc;
    }
    *ret_engine = &epoll->base;
    return 0;
}
