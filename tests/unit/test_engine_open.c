/*
 * Scenario: engines are chosen by name, by the environment and by default, on kernels that lack
 * or forbid what they need; and a process with a running engine forks. Claim: what was named is
 * opened or refused, the default is replaced by epoll, deadlines hold on old kernels, and a child
 * takes nothing from its parent.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine_rig.h"
#include "fault.h"
#include "sim_rig.h"

/* From now on the system call fails with the error, for this process. */
static void forbid(int number, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    CHECK_INT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    int rc = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    if (rc < 0 && errno == EINVAL)
        SKIP("no system call filters here (qemu-user has none)");
    CHECK_INT(rc, 0);
    errno = 0;
    CHECK_INT(syscall(number, -1, NULL, 0, NULL, 0), -1);
    CHECK(errno == error || errno == ENOSYS); /* valgrind knows neither call */
}

static void check_open(const char *name, const char *expected)
{
    struct bide_engine *engine = NULL;
    CHECK_INT(bide__engine_open(name, NULL, &engine), 0);
    CHECK_STR(engine->ops->name, expected);
    rig_close(engine);
}

static int refusal(const char *name)
{
    struct bide_engine *engine = NULL;
    int rc = bide__engine_open(name, NULL, &engine);
    CHECK(rc < 0);
    CHECK_PTR(engine, NULL);
    return rc;
}

static void check_refused(const char *name, int expected)
{
    CHECK_INT(refusal(name), expected);
}

BIDE_TEST(engines_are_opened_by_name)
{
    check_open("epoll", "epoll");
    check_refused("kqueue", -EINVAL);
    check_refused("", -EINVAL);
#if BIDE_HAVE_URING
    if (getenv("BIDE_ENGINE") && strcmp(getenv("BIDE_ENGINE"), "uring") == 0)
        check_open("uring", "uring");
#else
    check_refused("uring", -ENOSYS);
#endif
}

BIDE_TEST(the_environment_names_an_engine)
{
    setenv("BIDE_ENGINE", "epoll", 1);
    check_open(NULL, "epoll");
    setenv("BIDE_ENGINE", "kqueue", 1);
    check_refused(NULL, -EINVAL);
    check_open("epoll", "epoll"); /* the program's word comes first */
}

BIDE_TEST(there_is_always_a_default)
{
    unsetenv("BIDE_ENGINE");
    struct bide_engine *engine = rig_open();
    CHECK(rig_is(engine, "epoll") || rig_is(engine, "uring"));
    rig_close(engine);
    setenv("BIDE_ENGINE", "", 1);
    rig_close(rig_open());
}

static void open_where_uring_fails(int error)
{
    forbid(SYS_io_uring_setup, error);
    unsetenv("BIDE_ENGINE");
    int n_fds = rig_count_fds();
    check_open(NULL, "epoll");
#if BIDE_HAVE_URING
    int rc = refusal("uring");
    CHECK(rc == -error || rc == -ENOSYS);
    setenv("BIDE_ENGINE", "uring", 1);
    CHECK_INT(refusal(NULL), rc);
#endif
    CHECK_INT(rig_count_fds(), n_fds);
}

BIDE_TEST(where_uring_is_forbidden_epoll_takes_its_place)
{
    open_where_uring_fails(EPERM);
}

BIDE_TEST(where_uring_is_missing_epoll_takes_its_place)
{
    open_where_uring_fails(ENOSYS);
}

#if BIDE_HAVE_URING
enum {
    RING_SETUP = 1,
    RING_BUFFERS
}; /* what the engine's beginning asks of the kernel, in order */

static void need_uring(void)
{
    struct bide_engine *engine;
    unsetenv("BIDE_ENGINE");
    if (bide__engine_open("uring", NULL, &engine) < 0)
        SKIP("no io_uring here");
    rig_close(engine);
}

/* The default falls back, and whoever names the engine is told. */
static void open_where_a_call_fails(unsigned long n, const char *function, int error)
{
    int n_fds = rig_count_fds();
    fault_arm(FAULT_SYSTEM, n, error);
    check_open(NULL, "epoll");
    CHECK(fault_disarm());
    CHECK_STR(fault_function(), function);
    fault_arm(FAULT_SYSTEM, n, error);
    int rc = refusal("uring");
    CHECK(fault_disarm());
    CHECK(rc == -error || rc == -ENOSYS);
    CHECK_INT(rig_count_fds(), n_fds);
}

/* Below 6.1 the flags are unknown; io_uring_disabled, LSMs and limits have errors of their own. */
BIDE_TEST(a_kernel_that_refuses_the_ring_gets_epoll)
{
    static const int errors[] = {EINVAL, EPERM, EACCES, ENOSYS, EOPNOTSUPP, ENOMEM};
    need_uring();
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        open_where_a_call_fails(RING_SETUP, "io_uring_queue_init_params", errors[i]);
    open_where_a_call_fails(RING_BUFFERS, "io_uring_register_buf_ring", EINVAL);
    open_where_a_call_fails(RING_BUFFERS, "io_uring_register_buf_ring", ENOMEM);
    check_open(NULL, "uring");
}

BIDE_TEST(a_ring_that_lacks_a_feature_is_replaced_by_epoll)
{
    static const unsigned needed[] = {IORING_FEAT_NODROP, IORING_FEAT_SUBMIT_STABLE,
                                      IORING_FEAT_FAST_POLL, IORING_FEAT_EXT_ARG,
                                      IORING_FEAT_CQE_SKIP};
    unsigned others = ~0U;
    need_uring();
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        int n_fds = rig_count_fds();
        fault_hide_uring_features(needed[i]);
        check_open(NULL, "epoll");
        check_refused("uring", -ENOSYS);
        CHECK_INT(rig_count_fds(), n_fds);
        others &= ~needed[i];
    }
    fault_hide_uring_features(others); /* what is newer is not missed */
    check_open(NULL, "uring");
}
#endif

static void keep_deadlines(void)
{
    struct bide_engine *engine = rig_open();
    for (int64_t wait_ns = 1; wait_ns <= 10000000; wait_ns *= 10) {
        int64_t deadline_ns = engine->ops->now_ns(engine) + wait_ns;
        CHECK_INT(engine->ops->poll(engine, deadline_ns), 0);
        CHECK(engine->ops->now_ns(engine) >= deadline_ns);
    }
    engine->ops->wake(engine);
    CHECK_INT(engine->ops->poll(engine, INT64_MAX - 1), 0); /* beyond what milliseconds can say */
    rig_close(engine);
}

BIDE_TEST(deadlines_hold_on_a_kernel_without_epoll_pwait2)
{
    forbid(SYS_epoll_pwait2, ENOSYS);
    keep_deadlines();
}

BIDE_TEST(deadlines_hold_where_epoll_pwait2_is_forbidden)
{
    forbid(SYS_epoll_pwait2, EPERM);
    keep_deadlines();
}

static void count(void *data)
{
    ++*(int *)data;
}

static void count_ready(void *data, unsigned events)
{
    CHECK_INT(events, BIDE_WATCH_READ);
    ++*(int *)data;
}

static void run_nothing(struct bide_job *job)
{
    (void)job;
}

static int n_jobs_done;

static void job_done(struct bide_job *job)
{
    (void)job;
    n_jobs_done++;
}

/* The child drops everything; the parent's sockets, watches, signals, jobs and wakes go on. */
BIDE_TEST(a_forked_child_forgets_and_the_parent_goes_on)
{
    rig_needs_kernel();
    int n_fds = rig_count_fds();
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct rig_pair pair = rig_tcp_pair(engine);
    int fds[2];
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    int n_ready = 0;
    int n_signals = 0;
    struct bide_watch *watch;
    struct bide_signal *signal;
    struct bide_job job = {.run = run_nothing, .done = job_done, .drop = job_done};
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(ops->watch_open(engine, fds[0], BIDE_WATCH_READ, count_ready, &n_ready, &watch), 0);
    CHECK_INT(ops->signal_open(engine, SIGUSR1, count, &n_signals, &signal), 0);
    CHECK_INT(ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
    CHECK_INT(ops->job_submit(engine, &job, BIDE_LANE_USER), 0);
    rig_settle(engine);

    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        ops->forget(engine);
        CHECK_INT(rig_count_fds(), n_fds + 3); /* the test's own: the peer and the pipe */
        struct sigaction action;
        CHECK_INT(sigaction(SIGUSR1, NULL, &action), 0);
        CHECK(action.sa_handler == SIG_DFL);
        struct bide_engine *own = rig_open();
        rig_settle(own);
        rig_close(own);
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);

    CHECK_INT(wait.n_ends, 0);
    rig_write(pair.peer, "x", 1);
    rig_end(engine, &wait);
    CHECK_INT(wait.result, 0);
    CHECK_INT(write(fds[1], "x", 1), 1);
    rig_turn_until(engine, &n_ready, 1);
    ops->watch_close(watch);
    CHECK_INT(raise(SIGUSR1), 0);
    rig_turn_until(engine, &n_signals, 1);
    ops->signal_close(signal);
    while (n_jobs_done == 0)
        rig_turn(engine);
    CHECK_INT(ops->job_submit(engine, &job, BIDE_LANE_USER), 0);
    rig_turn_until(engine, &n_jobs_done, 2);
    ops->wake(engine);
    CHECK_INT(ops->poll(engine, BIDE_NO_DEADLINE), 0);
    rig_pair_close(&pair);
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
    CHECK_INT(rig_count_fds(), n_fds);
}

/* A connection that the engine accepted, and so knows to be its own. */
static struct rig_pair accept_pair(struct bide_sock *listener,
                                   const struct sockaddr_storage *address, socklen_t length)
{
    struct bide_engine *engine = listener->engine;
    struct rig_pair pair = {.peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK_INT(connect(pair.peer, (const struct sockaddr *)address, length), 0);
    struct rig_op wait;
    rig_op_init(&wait);
    int started = engine->ops->accept_wait(listener, &wait.op);
    CHECK_INT(rig_result(engine, &wait, started), 0);
    CHECK_INT(engine->ops->try_accept(listener, &pair.sock), 0);
    return pair;
}

/*
 * A child that neither forgets nor executes keeps the files of closed sockets alive, and with them
 * what was registered: their events find nobody.
 */
BIDE_TEST(a_child_that_holds_descriptors_brings_no_events_back)
{
    rig_needs_kernel();
    struct bide_engine *engine = rig_open();
    struct sockaddr_storage address;
    socklen_t length;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 64, &address, &length);
    int hold[2];
    CHECK_INT(pipe2(hold, O_CLOEXEC), 0);
    enum { N = 10 };
    struct rig_pair pairs[N];
    struct rig_op waits[N];
    for (int i = 0; i < N; i++) {
        pairs[i] = accept_pair(listener, &address, length);
        rig_op_init(&waits[i]);
        CHECK_INT(engine->ops->recv_wait(pairs[i].sock, &waits[i].op), BIDE_PENDING);
    }
    rig_settle(engine);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(hold[1]);
        char byte;
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    int peers[N];
    for (int i = 0; i < N; i++) {
        engine->ops->cancel(&waits[i].op);
        rig_end(engine, &waits[i]);
        engine->ops->sock_close(pairs[i].sock);
        peers[i] = pairs[i].peer;
    }
    for (int i = 0; i < N; i++) { /* memory, slots and perhaps numbers are used again */
        pairs[i] = accept_pair(listener, &address, length);
        rig_op_init(&waits[i]);
        CHECK_INT(engine->ops->recv_wait(pairs[i].sock, &waits[i].op), BIDE_PENDING);
    }
    for (int i = 0; i < N; i++)
        CHECK_INT(send(peers[i], "x", 1, MSG_NOSIGNAL), 1);
    rig_settle(engine);
    for (int i = 0; i < N; i++)
        CHECK_INT(waits[i].n_ends, 0);
    for (int i = 0; i < N; i++) {
        rig_write(pairs[i].peer, "y", 1);
        char byte;
        rig_end(engine, &waits[i]);
        rig_recv_exactly(pairs[i].sock, &byte, 1);
        CHECK_INT(byte, 'y');
        rig_pair_close(&pairs[i]);
        close(peers[i]);
    }
    engine->ops->sock_close(listener);
    close(hold[1]);
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    close(hold[0]);
    rig_close(engine);
}
