/*
 * Scenario: programs add engines of their own: whole ones, small ones, senseless ones, ones that
 * open one another, from several threads. Claim: what cannot work is refused in words; what an
 * engine leaves out is answered by -ENOSYS, up to the calls of users, or done by the library; the
 * names of the library's engines stay what they are.
 */
#include <bide.h>
#include <bide/engine_kind.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "test.h"

/* The smallest engine: it sleeps and is woken. */

struct small {
    struct bide_engine base;
    int wake[2];
};

static void small_close(struct bide_engine *engine, int64_t join_ns)
{
    struct small *small = (struct small *)engine;
    (void)join_ns;
    close(small->wake[0]);
    close(small->wake[1]);
    free(small);
}

static int small_poll(struct bide_engine *engine, int64_t deadline_ns)
{
    struct pollfd woken = {.fd = ((struct small *)engine)->wake[0], .events = POLLIN};
    int64_t span_ns = deadline_ns - engine->ops->now_ns(engine);
    struct timespec span = {span_ns / 1000000000, span_ns % 1000000000};
    if (deadline_ns <= 0 || span_ns < 0)
        span = (struct timespec){0, 0};
    char bytes[64];
    if (ppoll(&woken, 1, deadline_ns == BIDE_NO_DEADLINE ? NULL : &span, NULL) > 0)
        (void)!read(woken.fd, bytes, sizeof bytes);
    return 0;
}

static void small_wake(struct bide_engine *engine)
{
    (void)!write(((struct small *)engine)->wake[1], "w", 1);
}

static int small_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    CHECK(opts);
    struct small *small = calloc(1, sizeof *small);
    CHECK(small);
    CHECK_INT(pipe2(small->wake, O_CLOEXEC | O_NONBLOCK), 0);
    *ret_engine = &small->base;
    return 0;
}

static const struct bide_engine_ops small_ops = {
    .close = small_close, .poll = small_poll, .wake = small_wake};

static struct bide_engine_kind small_kind(const char *name)
{
    return (struct bide_engine_kind){.version = BIDE_ENGINE_VERSION,
                                     .ops_size = sizeof small_ops,
                                     .name = name,
                                     .ops = &small_ops,
                                     .open = small_open};
}

static void add(const struct bide_engine_kind *kind)
{
    const char *why = "";
    int rc = bide_engine_add(kind, &why);
    if (rc < 0)
        FAIL("%s: %s", kind->name, why);
}

static void check_refused(const struct bide_engine_kind *kind, int error, const char *words)
{
    const char *why = NULL;
    CHECK_INT(bide_engine_add(kind, &why), error);
    CHECK(why);
    CHECK_CONTAINS(why, words);
    CHECK_INT(bide_engine_add(kind, NULL), error);
}

BIDE_TEST(what_cannot_be_an_engine_is_refused_in_words)
{
    static const char *const names[] = {"", "a b", "a/b", "ä", "12345678901234567890123456789012"};
    struct bide_engine_kind kind = small_kind("small");
    check_refused(NULL, -EINVAL, "open()");
    kind.open = NULL;
    check_refused(&kind, -EINVAL, "open()");
    kind = small_kind("small");
    kind.ops = NULL;
    check_refused(&kind, -EINVAL, "ops");
    kind = small_kind(NULL);
    check_refused(&kind, -EINVAL, "name");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        kind = small_kind(names[i]);
        check_refused(&kind, -EINVAL, "name");
    }
    kind = small_kind("small");
    kind.version++;
    check_refused(&kind, -ENOTSUP, "version");
    kind = small_kind("small");
    kind.ops_size = 0;
    check_refused(&kind, -EINVAL, "ops_size");
    kind.ops_size = sizeof small_ops - 1;
    check_refused(&kind, -EINVAL, "ops_size");
    kind = small_kind("1234567890123456789012345678901");
    add(&kind);
}

BIDE_TEST(names_are_given_once)
{
    static const char *const taken[] = {"epoll", "uring", "sim", "poll", "small"};
    struct bide_engine_kind kind = small_kind("small");
    add(&kind);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        kind = small_kind(taken[i]);
        check_refused(&kind, -EEXIST, "name");
    }
}

BIDE_TEST(there_is_a_limit_of_engines)
{
    char name[16];
    for (int i = 1; i < BIDE_ENGINE_KINDS_MAX; i++) { /* one more is in every test program */
        snprintf(name, sizeof name, "small-%d", i);
        struct bide_engine_kind kind = small_kind(name);
        add(&kind);
    }
    struct bide_engine_kind kind = small_kind("one.too_many");
    check_refused(&kind, -ENOSPC, "too many");
    CHECK_INT(bide_loop_new(&(struct bide_loop_opts){.engine = "one.too_many"}, &(bide_loop *){0}),
              -EINVAL);
}

static int some_try_accept(struct bide_sock *sock, struct bide_sock **ret_sock)
{
    (void)sock;
    (void)ret_sock;
    return -EAGAIN;
}

static int some_job_submit(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane)
{
    (void)engine;
    (void)job;
    (void)lane;
    return -EAGAIN;
}

BIDE_TEST(calls_that_need_others_are_refused_alone)
{
    struct bide_engine_ops ops = small_ops;
    struct bide_engine_kind kind = small_kind("small");
    kind.ops = &ops;
    ops.close = NULL;
    check_refused(&kind, -EINVAL, "close()");
    ops = small_ops;
    ops.poll = NULL;
    check_refused(&kind, -EINVAL, "poll()");
    ops = small_ops;
    ops.wake = NULL;
    check_refused(&kind, -EINVAL, "wake()");
    ops = small_ops;
    ops.try_accept = some_try_accept;
    check_refused(&kind, -EINVAL, "sock_close()");
    ops = small_ops;
    ops.job_submit = some_job_submit;
    check_refused(&kind, -EINVAL, "job_abandon()");
    ops = small_ops;
    add(&kind);
}

static struct bide_engine *open_engine(const char *name)
{
    struct bide_engine *engine = NULL;
    CHECK_INT(bide_engine_open(name, NULL, &engine), 0);
    CHECK_STR(engine->ops->name, name);
    return engine;
}

/* So that a call that is new in the contract cannot be forgotten here. */
BIDE_TEST(a_table_has_no_gaps)
{
    void (*entries[sizeof small_ops / sizeof(void (*)(void))])(void);
    struct bide_engine_kind kind = small_kind("small");
    add(&kind);
    struct bide_engine *engine = open_engine("small");
    memcpy(entries, engine->ops, sizeof entries);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        CHECK(entries[i]);
    engine->ops->forget(engine);
    engine->ops->close(engine, 0);
}

/* What an older header did not have is missing, whatever lies behind the table; what a later one
 * has is not looked at. */
BIDE_TEST(tables_of_other_sizes_are_cut_to_size)
{
    struct {
        struct bide_engine_ops ops;
        void (*more[4])(void);
    } large = {.ops = small_ops};
    struct bide_engine_ops ops = small_ops;
    ops.job_submit = some_job_submit;
    struct bide_engine_kind kind = small_kind("older");
    kind.ops = &ops;
    kind.ops_size = offsetof(struct bide_engine_ops, job_submit);
    add(&kind);
    struct bide_engine *engine = open_engine("older");
    CHECK(engine->ops->job_submit != some_job_submit);
    CHECK_INT(engine->ops->job_submit(engine, NULL, BIDE_LANE_USER), -ENOSYS);
    engine->ops->close(engine, 0);
    memset(large.more, 0x55, sizeof large.more);
    kind = small_kind("later");
    kind.ops = &large.ops;
    kind.ops_size = sizeof large;
    add(&kind);
    engine = open_engine("later");
    engine->ops->close(engine, 0);
}

static int ready(void *data)
{
    (void)data;
    return 0;
}

static int connected(bide_stream *stream, void *data)
{
    (void)stream;
    (void)data;
    return 0;
}

/* What users' calls say where the engine has nothing. */
bide_async(asks_for_everything)
{
    bide_loop *loop = bide_loop_current();
    bide_stream *streams[2] = {NULL, NULL};
    bide_server *server = NULL;
    bide_process *process = NULL;
    int fds[2];
    CHECK_STR(bide_loop_engine(loop), "small");
    CHECK_INT(bide_sleep(0.001), 0);
    CHECK_INT(bide_connect("127.0.0.1", 9, NULL, &streams[0]), -ENOSYS);
    CHECK_INT(bide_connect("localhost", 9, NULL, &streams[0]), -ENOSYS);
    CHECK_INT(bide_serve("127.0.0.1", 0, connected, NULL, NULL, &server), -ENOSYS);
    CHECK_INT(bide_pipe(NULL, &streams[0], &streams[1]), -ENOSYS);
    CHECK_INT(bide_process_shell("true", NULL, &process), -ENOSYS);
    CHECK_INT(bide_loop_add_reader(loop, 0, ready, NULL, NULL), -ENOSYS);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGUSR1, ready, NULL, NULL), -ENOSYS);
    CHECK_INT(bide_loop_remove_reader(loop, 0), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(bide_stream_adopt(fds[0], NULL, &streams[0]), -ENOSYS);
    close(fds[0]);
    close(fds[1]);
    return 7;
}

static void run_on_small(void)
{
    bide_loop *loop;
    double seconds;
    CHECK_INT(bide_loop_new(NULL, &loop), 0);
    CHECK_INT(bide_loop_fd(loop, &seconds), -ENOSYS);
    bide_task *task = bide_spawn_with((&(struct bide_task_opts){.loop = loop}),
                                      asks_for_everything);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 7);
    CHECK_INT(bide_loop_close(loop), 0);
}

BIDE_TEST(three_functions_run_tasks_and_the_rest_says_enosys)
{
    struct bide_engine_kind kind = small_kind("small");
    setenv("BIDE_ENGINE", "small", 1);
    bide_loop *loop;
    CHECK_INT(bide_loop_new(NULL, &loop), -EINVAL); /* it is not known yet */
    add(&kind);
    run_on_small();
}

/* What an engine hands out as another one gave it, its own functions serve too. */

static struct bide_engine *behind;

static int behind_watch_open(struct bide_engine *engine, int fd, unsigned events,
                             bide_watch_ready *called, void *data, struct bide_watch **ret_watch)
{
    (void)engine;
    return behind->ops->watch_open(behind, fd, events, called, data, ret_watch);
}

static int behind_signal_open(struct bide_engine *engine, int signo, bide_signal_arrived *arrived,
                              void *data, struct bide_signal **ret_signal)
{
    (void)engine;
    return behind->ops->signal_open(behind, signo, arrived, data, ret_signal);
}

static int behind_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                            struct bide_sock **ret_sock)
{
    (void)engine;
    return behind->ops->sock_open(behind, family, type, protocol, ret_sock);
}

static int behind_process_start(struct bide_engine *engine, const struct bide_child_start *start,
                                bide_child_ended *ended, void *data,
                                struct bide_sock *ret_socks[BIDE_CHILD_STDIO_COUNT],
                                enum bide_child_step *ret_step, struct bide_child **ret_process)
{
    (void)engine;
    return behind->ops->process_start(behind, start, ended, data, ret_socks, ret_step, ret_process);
}

static void n_ready(void *data, unsigned events)
{
    (void)events;
    ++*(int *)data;
}

static void n_times(void *data)
{
    ++*(int *)data;
}

BIDE_TEST(what_is_handed_on_is_served)
{
    struct bide_engine_ops ops = small_ops;
    ops.watch_open = behind_watch_open;
    ops.signal_open = behind_signal_open;
    ops.sock_open = behind_sock_open;
    ops.process_start = behind_process_start;
    struct bide_engine_kind kind = small_kind("hands-on");
    kind.ops = &ops;
    add(&kind);
    behind = open_engine("epoll");
    struct bide_engine *engine = open_engine("hands-on");
    const struct bide_engine_ops *all = engine->ops;
    int fds[2];
    int n = 0;
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    CHECK_INT(write(fds[1], "x", 1), 1);
    struct bide_watch *watch;
    CHECK_INT(all->watch_open(engine, fds[0], 0, n_ready, &n, &watch), 0);
    CHECK_PTR(watch->engine, behind);
    CHECK_INT(all->watch_set(watch, BIDE_WATCH_READ), 0);
    CHECK_INT(behind->ops->poll(behind, 0), 1);
    CHECK_INT(n, 1);
    all->watch_close(watch);
    struct bide_signal *sign;
    CHECK_INT(all->signal_open(engine, SIGUSR1, n_times, &n, &sign), 0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(behind->ops->poll(behind, 0), 1);
    CHECK_INT(n, 2);
    all->signal_close(sign);
    struct bide_sock *sock;
    CHECK_INT(all->sock_open(engine, AF_INET, SOCK_STREAM, 0, &sock), 0);
    all->sock_close(sock);
    static const char *const arguments[] = {"sleep", "1000", NULL};
    struct bide_child_start start = {.arguments = arguments};
    struct bide_child *child;
    enum bide_child_step step;
    struct bide_sock *none[BIDE_CHILD_STDIO_COUNT];
    CHECK_INT(all->process_start(engine, &start, n_times, &n, none, &step, &child), 0);
    CHECK(!all->process_look(child));
    CHECK_INT(all->process_signal(child, SIGKILL), 0);
    while (n == 2)
        CHECK(behind->ops->poll(behind, BIDE_NO_DEADLINE) >= 0);
    CHECK(child->ended);
    all->process_close(child);
    close(fds[0]);
    close(fds[1]);
    all->close(engine, 0);
    behind->ops->close(behind, 0);
}

/* Engines that open others */

static int refuses_to_open(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    (void)opts;
    (void)ret_engine;
    return -EMFILE;
}

static int opens_nothing(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    (void)opts;
    (void)ret_engine;
    return 0;
}

static int opens_itself(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    return bide_engine_open("ouroboros", opts, ret_engine);
}

static int opens_the_best(const struct bide_engine_opts *opts, struct bide_engine **ret_engine)
{
    struct bide_engine *inner;
    int rc = bide_engine_open(NULL, opts, &inner);
    if (rc < 0)
        return rc;
    const char *name = inner->ops->name;
    CHECK(strcmp(name, "epoll") == 0 || strcmp(name, "uring") == 0);
    inner->ops->close(inner, 0);
    return small_open(opts, ret_engine);
}

BIDE_TEST(engines_that_open_others_come_to_an_end)
{
    struct bide_engine *engine = NULL;
    struct bide_engine_kind kind = small_kind("refuses");
    kind.open = refuses_to_open;
    add(&kind);
    kind = small_kind("nothing");
    kind.open = opens_nothing;
    add(&kind);
    kind = small_kind("ouroboros");
    kind.open = opens_itself;
    add(&kind);
    kind = small_kind("outer");
    kind.open = opens_the_best;
    add(&kind);
    CHECK_INT(bide_engine_open("epoll", NULL, NULL), -EINVAL);
    CHECK_INT(bide_engine_open("refuses", NULL, &engine), -EMFILE);
    CHECK_INT(bide_engine_open("nothing", NULL, &engine), -EINVAL);
    CHECK_INT(bide_engine_open("ouroboros", NULL, &engine), -ELOOP);
    CHECK_PTR(engine, NULL);
    setenv("BIDE_ENGINE", "outer", 1);
    CHECK_INT(bide_engine_open(NULL, NULL, &engine), 0);
    CHECK_STR(engine->ops->name, "outer");
    engine->ops->close(engine, 0);
    setenv("BIDE_ENGINE", "epoll", 1);
    engine = open_engine("outer");
    engine->ops->close(engine, 0);
}

/* Threads */

enum { THREADS = 4, ROUNDS = 3 };

static atomic_int n_added;

static void *add_and_open(void *data)
{
    char name[16];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof name, "small-%d", i);
        struct bide_engine_kind kind = small_kind(name);
        int rc = bide_engine_add(&kind, NULL);
        CHECK(rc == 0 || rc == -EEXIST);
        atomic_fetch_add(&n_added, rc == 0);
        struct bide_engine *engine = open_engine(name);
        engine->ops->wake(engine);
        CHECK_INT(engine->ops->poll(engine, BIDE_NO_DEADLINE), 0);
        engine->ops->close(engine, 0);
    }
    return data;
}

BIDE_TEST(threads_add_the_same_names_at_once)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, add_and_open, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(atomic_load(&n_added), ROUNDS);
}
