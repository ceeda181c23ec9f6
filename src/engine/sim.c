/*
 * The engine without a kernel: virtual time, the wait, watches and signals. sim.h tells what it
 * promises, sim_world.h states the invariants.
 */
#include "engine/sim_sock.h"
#include "engine/sim_world.h"
#include "engine/socket.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_PER_POLL_MAX = 512 };

#define SEED_DEFAULT 1
#define START_NS INT64_C(1000000000)
#define START_WALL_NS (INT64_C(1893456000) * 1000000000) /* 2030-01-01 */
#define TIME_NS_MAX (INT64_MAX / 2)                      /* what is later never comes */

#define TRACE_START 0xcbf29ce484222325u /* FNV-1a */
#define TRACE_FACTOR 0x100000001b3u

struct sim_signal {
    struct bide_signal base;
    struct bide__list node;
    struct bide__sim *sim;
    struct bide__sim_event event;
    bide_signal_arrived *arrived;
    void *data;
    int signo;
    unsigned n_due; /* calls, beside the one that the event is */
};

static const struct bide_engine_ops sim_ops;

static struct bide__sim *of(struct bide_engine *engine)
{
    return (struct bide__sim *)engine;
}

/* The trace */

static void trace_word(struct bide__sim *sim, uint64_t word)
{
    for (int i = 0; i < 8; i++) {
        sim->trace = (sim->trace ^ (word & 0xff)) * TRACE_FACTOR;
        word >>= 8;
    }
}

void bide__sim_note(struct bide__sim *sim, const char *what, unsigned object, long long result)
{
    for (const char *c = what; *c; c++)
        sim->trace = (sim->trace ^ (unsigned char)*c) * TRACE_FACTOR;
    trace_word(sim, object);
    trace_word(sim, (uint64_t)result);
    trace_word(sim, (uint64_t)sim->now_ns);
    if (sim->trace_printed)
        fprintf(stderr, "sim: %" PRId64 ".%09" PRId64 " %s #%u: %lld\n", sim->now_ns / 1000000000,
                sim->now_ns % 1000000000, what, object, result);
}

/* The clocks */

static int64_t sim_now_ns(struct bide_engine *engine)
{
    return of(engine)->now_ns;
}

static int64_t sim_wall_ns(struct bide_engine *engine)
{
    return START_WALL_NS + (of(engine)->now_ns - START_NS);
}

static int sim_entropy(struct bide_engine *engine, void *buffer, size_t size)
{
    unsigned char *bytes = buffer;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)bide__sim_random(&of(engine)->entropy);
    return 0;
}

/* The wait */

static int sleep_until(struct bide__sim *sim, int64_t deadline_ns)
{
    const struct bide__sim_event *first = sim->queue.first;
    int64_t until_ns = first && first->at_ns < deadline_ns ? first->at_ns : deadline_ns;
    if (until_ns <= sim->now_ns)
        return 0;
    if (until_ns > TIME_NS_MAX)
        return -EDEADLK;
    sim->now_ns = until_ns + 1; /* late, as every wait: seconds as doubles are not that exact */
    if (bide__sim_draw(sim, 3) == 0)
        sim->now_ns += bide__sim_draw(sim, sim->shape.oversleep_ns_max);
    return 0;
}

static int sim_poll(struct bide_engine *engine, int64_t deadline_ns)
{
    struct bide__sim *sim = of(engine);
    bool woken = atomic_exchange(&sim->woken, false);
    bool watched = !bide__watch_set_empty(&sim->watches) && bide__fd_ready(sim->watches.fd, POLLIN);
    sim->now_ns += bide__sim_draw(sim, sim->shape.turn_ns_max);
    if (!woken && !watched) {
        int rc = sleep_until(sim, deadline_ns);
        if (rc < 0)
            return rc;
    }
    int n = 0;
    struct bide__sim_event *event;
    while (n < CALLS_PER_POLL_MAX && (event = sim->queue.first) && event->at_ns <= sim->now_ns) {
        bide__sim_event_remove(&sim->queue, event);
        n += event->happen(event);
    }
    if (watched) {
        int rc = bide__watch_set_dispatch(&sim->watches);
        if (rc < 0)
            return rc;
        n += rc;
    }
    bide__sim_note(sim, "poll", 0, n);
    return n;
}

static void sim_wake(struct bide_engine *engine)
{
    atomic_store(&of(engine)->woken, true);
}

/* Nobody can wait for what happens without time going by. */
static int sim_wait_fd(struct bide_engine *engine, int64_t *deadline_ns)
{
    (void)engine;
    (void)deadline_ns;
    return -ENOSYS;
}

/* Sockets */

static int sim_sock_adopt(struct bide_engine *engine, int fd, enum bide_adopt wanted,
                          struct bide_sock **ret_sock)
{
    (void)engine;
    (void)fd;
    (void)wanted;
    (void)ret_sock;
    return -ENOSYS;
}

static int sim_sock_share(struct bide_engine *engine, int fd, enum bide_direction direction,
                          struct bide_sock **ret_sock)
{
    (void)engine;
    (void)fd;
    (void)direction;
    (void)ret_sock;
    return -ENOSYS;
}

static int sim_process_start(struct bide_engine *engine, const struct bide_child_start *start,
                             bide_child_ended *ended, void *data,
                             struct bide_sock *ret_socks[BIDE_CHILD_STDIO_COUNT],
                             enum bide_child_step *ret_step, struct bide_child **ret_process)
{
    (void)engine;
    (void)start;
    (void)ended;
    (void)data;
    (void)ret_socks;
    (void)ret_process;
    *ret_step = BIDE_CHILD_STEP_HERE;
    return -ENOSYS;
}

/* Watches */

static int attach_watches(struct bide_engine *engine, int fd)
{
    (void)engine;
    (void)fd;
    return 0; /* each poll() asks for the set's present descriptor */
}

static int sim_watch_open(struct bide_engine *engine, int fd, unsigned events,
                          bide_watch_ready *ready, void *data, struct bide_watch **ret_watch)
{
    return bide__watch_set_add(&of(engine)->watches, fd, events, ready, data, ret_watch);
}

/* Signals */

static struct sim_signal *find_signal(struct bide__sim *sim, int signo)
{
    bide__list_each(node, &sim->signals)
    {
        struct sim_signal *signal = bide__container(node, struct sim_signal, node);
        if (signal->signo == signo)
            return signal;
    }
    return NULL;
}

static int signal_arrives(struct bide__sim_event *event)
{
    struct sim_signal *signal = bide__container(event, struct sim_signal, event);
    struct bide__sim *sim = signal->sim;
    bide__sim_note(sim, "signal", (unsigned)signal->signo, 0);
    if (signal->n_due > 0) {
        signal->n_due--;
        bide__sim_soon(sim, event, sim->shape.delay_ns_max);
    }
    signal->arrived(signal->data); /* last: it may close the signal */
    return 1;
}

/* Those that the other engines refuse, too. */
static bool can_be_caught(int signo)
{
    static const int refused[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (signo == refused[i])
            return false;
    return signo > 0 && signo < NSIG && (signo < 32 || signo >= SIGRTMIN);
}

static int sim_signal_open(struct bide_engine *engine, int signo, bide_signal_arrived *arrived,
                           void *data, struct bide_signal **ret_signal)
{
    struct bide__sim *sim = of(engine);
    if (!can_be_caught(signo))
        return -EINVAL;
    if (find_signal(sim, signo))
        return -EBUSY;
    struct sim_signal *signal = malloc(sizeof *signal);
    if (!signal)
        return -ENOMEM;
    *signal = (struct sim_signal){.base.engine = &sim->base,
                                  .sim = sim,
                                  .event.happen = signal_arrives,
                                  .arrived = arrived,
                                  .data = data,
                                  .signo = signo};
    bide__list_append(&sim->signals, &signal->node);
    *ret_signal = &signal->base;
    return 0;
}

static void sim_signal_close(struct bide_signal *base)
{
    struct sim_signal *signal = bide__container(base, struct sim_signal, base);
    bide__sim_event_remove(&signal->sim->queue, &signal->event);
    bide__list_remove(&signal->node);
    free(signal);
}

int bide__sim_signal(struct bide__sim *sim, int signo)
{
    struct sim_signal *signal = find_signal(sim, signo);
    if (!signal)
        return -ESRCH;
    if (signal->event.scheduled)
        signal->n_due++;
    else
        bide__sim_soon(sim, &signal->event, sim->shape.delay_ns_max);
    return 0;
}

/* Beginning and end */

struct bide__sim *bide__sim_of(struct bide_engine *engine)
{
    return engine->ops == &sim_ops ? of(engine) : NULL;
}

uint64_t bide__sim_seed(const struct bide__sim *sim)
{
    return sim->seed;
}

uint64_t bide__sim_trace(const struct bide__sim *sim)
{
    return sim->trace;
}

struct bide__sim_shape *bide__sim_shape(struct bide__sim *sim)
{
    return &sim->shape;
}

static void release_all(struct bide__sim *sim)
{
    struct bide__list *node;
    while ((node = bide__list_first(&sim->conns)))
        bide__sim_conn_free(bide__container(node, struct bide__sim_conn, node));
    bide__sim_datagrams_free(sim);
    bide__watch_set_fini(&sim->watches);
    bide__sim_hosts_free(sim);
    bide__sim_files_free(sim);
    bide__sim_links_free(sim);
    assert(!sim->queue.first);
    free(sim);
}

static void sim_close(struct bide_engine *engine, int64_t join_ns)
{
    (void)join_ns; /* a job that runs has ended before anybody can close the engine */
    struct bide__sim *sim = of(engine);
    assert(bide__watch_set_empty(&sim->watches) && bide__list_empty(&sim->signals));
    assert(bide__list_empty(&sim->socks));
    bide__sim_jobs_drop(sim);
    release_all(sim);
}

static void sim_forget(struct bide_engine *engine)
{
    struct bide__sim *sim = of(engine);
    struct bide__list *node;
    while ((node = bide__list_first(&sim->signals)))
        sim_signal_close(&bide__container(node, struct sim_signal, node)->base);
    while ((node = bide__list_first(&sim->socks)))
        bide__sim_sock_free(bide__container(node, struct bide__sim_sock, node));
    bide__sim_jobs_forget(sim);
    release_all(sim);
}

static const struct bide_engine_ops sim_ops = {
    .name = "sim",
    .close = sim_close,
    .forget = sim_forget,
    .now_ns = sim_now_ns,
    .wall_ns = sim_wall_ns,
    .entropy = sim_entropy,
    .poll = sim_poll,
    .wake = sim_wake,
    .wait_fd = sim_wait_fd,
    .sock_open = bide__sim_sock_open,
    .sock_adopt = sim_sock_adopt,
    .pipe = bide__sim_pipe,
    .sock_share = sim_sock_share,
    .process_start = sim_process_start,
    .sock_close = bide__sim_sock_close,
    .sock_bind = bide__sim_bind,
    .local_bind = bide__sim_local_bind,
    .local_unbind = bide__sim_local_unbind,
    .sock_listen = bide__sim_listen,
    .sock_shutdown = bide__sim_shutdown,
    .sock_setopt = bide__sim_setopt,
    .sock_getopt = bide__sim_getopt,
    .sock_name = bide__sim_sock_name,
    .try_recv = bide__sim_try_recv,
    .try_send = bide__sim_try_send,
    .try_recv_message = bide__sim_try_recv_message,
    .try_send_message = bide__sim_try_send_message,
    .try_accept = bide__sim_try_accept,
    .connect = bide__sim_connect,
    .recv_wait = bide__sim_recv_wait,
    .send_wait = bide__sim_send_wait,
    .accept_wait = bide__sim_accept_wait,
    .send = bide__sim_send,
    .cancel = bide__sim_cancel,
    .watch_open = sim_watch_open,
    .watch_set = bide__watch_change,
    .watch_close = bide__watch_remove,
    .signal_open = sim_signal_open,
    .signal_close = sim_signal_close,
    .job_submit = bide__sim_job_submit,
    .job_abandon = bide__sim_job_abandon,
    .lookup = bide__sim_lookup,
    .lookup_free = bide__sim_lookup_free,
    .file_try = bide__sim_file_try,
    .file_start = bide__sim_file_start,
    .file_abandon = bide__sim_file_abandon,
    .file_recall = bide__sim_file_recall,
    .file_let_go = bide__sim_file_let_go,
};

/* What the options or else the environment say. */
static int choose_seed(const struct bide_engine_opts *opts, uint64_t *ret_seed)
{
    const char *text = opts->seed == 0 ? getenv("BIDE_SEED") : NULL;
    *ret_seed = opts->seed != 0 ? opts->seed : SEED_DEFAULT;
    if (!text || !*text)
        return 0;
    char *end;
    errno = 0;
    *ret_seed = strtoull(text, &end, 0);
    return errno != 0 || *end != '\0' ? -EINVAL : 0;
}

int bide__sim_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    static const struct bide_engine_opts defaults;
    if (!opts)
        opts = &defaults;
    uint64_t seed;
    int rc = choose_seed(opts, &seed);
    if (rc < 0)
        return rc;
    struct bide__sim *sim = calloc(1, sizeof *sim);
    if (!sim)
        return -ENOMEM;
    const char *printed = getenv("BIDE_SIM_TRACE");
    sim->base.ops = &sim_ops;
    sim->seed = seed;
    sim->chance = seed;
    sim->entropy = bide__sim_random(&seed);
    sim->now_ns = START_NS;
    sim->shape = (struct bide__sim_shape){
        .turn_ns_max = 40 * 1000,
        .delay_ns_max = 50 * 1000,
        .job_ns_max = 200 * 1000,
        .latency_ns_max = 100 * 1000,
        .oversleep_ns_max = 100 * 1000,
    };
    sim->trace = TRACE_START;
    sim->trace_printed = printed && *printed && strcmp(printed, "0") != 0;
    bide__watch_set_init(&sim->watches, &sim->base, attach_watches);
    bide__list_init(&sim->signals);
    bide__list_init(&sim->socks);
    bide__list_init(&sim->bound);
    bide__list_init(&sim->conns);
    bide__list_init(&sim->datagrams);
    bide__sim_jobs_init(sim, opts);
    *ret_engine = &sim->base;
    return 0;
}
