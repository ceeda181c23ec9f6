/*
 * Scenario: the same main in several threads, each with a loop, that end well, fail, are cancelled
 * by a failure, a signal or each other, ignore that, or can't be made. Claim: all run or none; a
 * failure or a first signal ends all with their cleanup, each in its own loop; the failure that
 * came first is the result; the process's signals are as before.
 */
#include <bide/context.h>
#include <bide/thread_queue.h>
#include <bide/workers.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/watched.h"
#include "engine/processors.h"
#include "fault.h"
#include "task_rig.h"

enum { N = 4 };

/* What the workers of a test share. */
struct shared {
    atomic_int n_begun;
    atomic_int n_ended;
    atomic_int seen[N];
    bide_thread_queue *queue;
};

static bide_async(counts, (struct shared *, shared), (int, result))
{
    unsigned index = bide_worker_index();
    CHECK_INT(bide_worker_count(), N);
    CHECK_PTR(bide_worker_remote(N), NULL);
    CHECK(bide_worker_remote(index));
    atomic_fetch_add(&shared->seen[index], 1);
    int rc = bide_sleep(0);
    atomic_fetch_add(&shared->n_ended, 1);
    return rc < 0 ? rc : result + (int)index;
}

BIDE_TEST(each_has_its_number_and_the_result_is_the_first_ones)
{
    struct shared shared = {0};
    CHECK_INT(bide_run_workers_with(NULL, N, counts, &shared, 300), 300);
    CHECK_INT(bide_run_workers(N, counts, &shared, 300), 255);
    CHECK_INT(shared.n_ended, 2 * N);
    for (int i = 0; i < N; i++)
        CHECK_INT(shared.seen[i], 2);
    rig_end();
}

static bide_async(alone, (int, result))
{
    CHECK_INT(bide_worker_index(), 0);
    CHECK_INT(bide_worker_count(), 1);
    return result;
}

BIDE_TEST(outside_there_is_one)
{
    CHECK_INT(bide_worker_index(), 0);
    CHECK_INT(bide_worker_count(), 1);
    CHECK_PTR(bide_worker_remote(0), NULL);
    CHECK_INT(bide_workers_stop(), -EINVAL);
    CHECK_INT(bide_run_with(NULL, alone, 7), 7);
    CHECK_INT(bide_run_workers_with(NULL, 1, alone, 8), 8);
}

static bide_async(counts_all, (atomic_int *, n))
{
    CHECK_INT(bide_worker_count(), bide_processors());
    atomic_fetch_add(n, 1);
    return 0;
}

BIDE_TEST(none_is_one_for_each_processor)
{
    atomic_int n = 0;
    CHECK_INT(bide_run_workers(0, counts_all, &n), 0);
    CHECK_INT(n, bide_processors());
}

static bide_async(nests)
{
    int rc = bide_run_workers_with(NULL, 2, returns, 1);
    int same = bide_run_with(NULL, returns, 1);
    CHECK_INT(same, rc);
    return -rc;
}

BIDE_TEST(senseless_arguments_and_nesting)
{
    struct bide_workers_opts opts = {.loop.engine = "none"};
    CHECK_INT(bide_run_workers_with(NULL, BIDE_WORKERS_MAX + 1, returns, 1), -EINVAL);
    CHECK_INT(bide_run_workers_with(&opts, 2, returns, 1), -EINVAL);
    opts = (struct bide_workers_opts){.loop.cleanup_seconds = -1};
    CHECK_INT(bide_run_workers_with(&opts, 2, returns, 1), -EINVAL);
    CHECK_INT(bide_run_with(NULL, nests), EBUSY);
    CHECK_INT(bide_run_workers_with(NULL, 2, nests), EBUSY);
}

/* Failures */

/* Waits until all have begun; then the one of that number ends with `result`, and the others wait
 * for their cancel, which they clean up after. */
static bide_async(one_ends, (struct shared *, shared), (unsigned, which), (int, result))
{
    atomic_fetch_add(&shared->n_begun, 1);
    if (bide_worker_index() == which) {
        while (atomic_load(&shared->n_begun) < (int)bide_worker_count())
            CHECK_INT(bide_sleep(0), 0);
        return bide_fail(result, "words of %u", which);
    }
    int rc = bide_sleep(INFINITY);
    CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
    atomic_fetch_add(&shared->n_ended, 1);
    return rc;
}

BIDE_TEST(a_failure_ends_all_with_their_cleanup)
{
    for (unsigned which = 0; which < N; which++) {
        struct shared shared = {0};
        CHECK_INT(bide_run_workers_with(NULL, N, one_ends, &shared, which, -EPIPE), -EPIPE);
        char words[32];
        snprintf(words, sizeof words, "words of %u", which);
        CHECK_STR(bide_error_detail(), words);
        CHECK_INT(shared.n_ended, N - 1);
    }
}

/* Its own -ECANCELED, that nobody asked for, is an error like others. */
BIDE_TEST(a_cancel_of_ones_own_is_a_failure)
{
    struct shared shared = {0};
    CHECK_INT(bide_run_workers_with(NULL, N, one_ends, &shared, 1, -ECANCELED), -ECANCELED);
    CHECK_INT(shared.n_ended, N - 1);
}

static void tells(void *data)
{
    struct shared shared = {0};
    (void)data;
    _exit(bide_run_workers(2, one_ends, &shared, 1, -EPIPE));
}

BIDE_TEST(the_error_is_told)
{
    char output[200];
    CHECK_INT(test_child(tells, NULL, output, sizeof output), EXIT_FAILURE << 8);
    CHECK_STR(output, "bide: Broken pipe: words of 1\n");
}

/* A main that ends well ends no other. */
static bide_async(waits_for_items, (struct shared *, shared))
{
    if (bide_worker_index() == 0) {
        for (int i = 0; i < 100; i++)
            CHECK_INT(bide_thread_queue_put(shared->queue, &i), 0);
        return bide_thread_queue_shutdown(shared->queue, BIDE_DRAIN);
    }
    int item, n = 0;
    while (bide_thread_queue_get(shared->queue, &item) == 0)
        n++;
    atomic_fetch_add(&shared->n_ended, n);
    return 0;
}

BIDE_TEST(a_good_end_ends_no_other)
{
    struct shared shared = {0};
    CHECK_INT(bide_thread_queue_new(sizeof(int), NULL, &shared.queue), 0);
    CHECK_INT(bide_run_workers_with(NULL, N, waits_for_items, &shared), 0);
    CHECK_INT(shared.n_ended, 100);
    bide_thread_queue_unref(shared.queue);
}

/* Two fail: the second while the first one's cancel is on its way or after it. */
static bide_async(fails_twice, (struct shared *, shared))
{
    atomic_fetch_add(&shared->n_begun, 1);
    if (bide_worker_index() == 1) {
        while (atomic_load(&shared->n_begun) < N)
            CHECK_INT(bide_sleep(0), 0);
        return -EPIPE;
    }
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    return -EIO;
}

BIDE_TEST(the_first_failure_wins)
{
    struct shared shared = {0};
    CHECK_INT(bide_run_workers_with(NULL, N, fails_twice, &shared), -EPIPE);
}

/* Signals */

static void leaves_mark(int signo)
{
    (void)signo;
}

static bool action_is(int signo, void (*handler)(int))
{
    struct sigaction action;
    CHECK_INT(sigaction(signo, NULL, &action), 0);
    return action.sa_handler == handler;
}

static bide_async(waits_for_signal, (struct shared *, shared), (int, signo), (int, result))
{
    if (atomic_fetch_add(&shared->n_begun, 1) == N - 1)
        CHECK_INT(signo > 0 ? kill(getpid(), signo) : bide_workers_stop(), 0);
    int rc = bide_sleep(INFINITY);
    CHECK_INT(rc, -ECANCELED);
    atomic_fetch_add(&shared->n_ended, 1);
    return result < 0 ? result : rc;
}

static const int enders[] = {SIGINT, SIGTERM, 0};

BIDE_TEST_EACH(enders, signals_cancel_all)
{
    struct shared shared = {0};
    signal(SIGTERM, leaves_mark);
    CHECK_INT(bide_run_workers_with(NULL, N, waits_for_signal, &shared, *each, 0), 0);
    CHECK_INT(shared.n_ended, N);
    CHECK(action_is(SIGTERM, leaves_mark));
    CHECK(action_is(SIGINT, SIG_DFL));
    struct shared again = {0};
    CHECK_INT(bide_run_workers_with(NULL, N, waits_for_signal, &again, *each, -EIO), -EIO);
    CHECK_INT(again.n_ended, N);
}

static atomic_int n_second;

static void count_second(int signo)
{
    (void)signo;
    atomic_fetch_add(&n_second, 1);
}

static bide_async(second_signal, (struct shared *, shared))
{
    if (atomic_fetch_add(&shared->n_begun, 1) == 1)
        CHECK_INT(kill(getpid(), SIGTERM), 0);
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    while (!action_is(SIGTERM, count_second)) /* the calling thread is about it */
        CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
    CHECK_INT(kill(getpid(), SIGTERM), 0);
    while (atomic_load(&n_second) == 0)
        CHECK_INT(bide_shielded(INFINITY, bide_sleep(0)), 0);
    return 0;
}

BIDE_TEST(a_second_signal_finds_the_former_action)
{
    struct shared shared = {0};
    signal(SIGTERM, count_second);
    CHECK_INT(bide_run_workers_with(NULL, 2, second_signal, &shared), 0);
    CHECK_RANGE(n_second, 1, 2); /* two at once may arrive as one */
}

static int signalled(void *data)
{
    (void)data;
    return bide_workers_stop();
}

static bide_async(handles_its_own, (struct shared *, shared))
{
    if (bide_worker_index() == 0) {
        CHECK_INT(bide_loop_add_signal_handler(bide_loop_current(), SIGTERM, signalled, NULL, NULL),
                  0);
        CHECK_INT(kill(getpid(), SIGTERM), 0);
    }
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    return atomic_fetch_add(&shared->n_ended, 1);
}

static bide_async(can_handle_no_signals)
{
    return bide_loop_add_signal_handler(bide_loop_current(), SIGTERM, signalled, NULL, NULL);
}

BIDE_TEST(signals_that_are_kept)
{
    struct shared shared = {0};
    const struct bide_workers_opts opts = {.keep_signals = true};
    CHECK_RANGE(bide_run_workers_with(&opts, 2, handles_its_own, &shared), 0, 1);
    CHECK_INT(shared.n_ended, 2);
    CHECK_INT(bide_run_workers_with(NULL, 2, can_handle_no_signals), -EBUSY);
    bide_loop *loop = rig_loop();
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGTERM, signalled, NULL, NULL), 0);
    CHECK_INT(bide_run_workers_with(NULL, 2, returns, 1), -EBUSY);
    CHECK_INT(bide_run_workers_with(&opts, 2, returns, 1), 1);
    rig_close(loop);
}

/* Mains that don't care */

static void catch_silently(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    atomic_fetch_add((atomic_int *)data, 1);
}

static bide_async(one_ignores, (struct shared *, shared), (int, result))
{
    if (bide_worker_index() != 1) {
        while (atomic_load(&shared->n_begun) == 0)
            CHECK_INT(bide_sleep(0), 0);
        return result < 0 ? result : bide_workers_stop();
    }
    bide_loop_set_exception_handler(bide_loop_current(), catch_silently, &shared->n_ended);
    atomic_fetch_add(&shared->n_begun, 1);
    for (;;)
        (void)bide_sleep(INFINITY);
}

BIDE_TEST(a_main_that_ignores_its_cancel_is_given_up)
{
    const struct bide_workers_opts opts = {.loop.cleanup_seconds = TICKS(4)};
    struct shared shared = {0};
    CHECK_INT(bide_run_workers_with(&opts, 2, one_ignores, &shared, 0), -ETIMEDOUT);
    CHECK(shared.n_ended > 0); /* it was reported */
    struct shared again = {0};
    CHECK_INT(bide_run_workers_with(&opts, 2, one_ignores, &again, -EPIPE), -EPIPE);
}

/* Work for each other */

static bide_async(adds, (struct shared *, shared), (int, n))
{
    atomic_fetch_add(&shared->seen[bide_worker_index()], n);
    return n;
}

static bide_async(works_for_the_next, (struct shared *, shared))
{
    unsigned next = (bide_worker_index() + 1) % bide_worker_count();
    bide_remote *remote = bide_spawn_threadsafe(bide_worker_remote(next), adds, shared, 5);
    CHECK(remote);
    int rc = bide_await_threadsafe(remote);
    bide_remote_unref(remote);
    CHECK_INT(rc, 5);
    /* A worker's loop is open for the others as long as its main has not ended. */
    atomic_fetch_add(&shared->n_ended, 1);
    while (atomic_load(&shared->n_ended) < N)
        CHECK_INT(bide_sleep(0), 0);
    return 0;
}

BIDE_TEST(workers_send_each_other_tasks)
{
    struct shared shared = {0};
    CHECK_INT(bide_run_workers_with(NULL, N, works_for_the_next, &shared), 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(shared.seen[i], 5);
}

static bide_async(posts_to_the_ended, (struct shared *, shared))
{
    if (bide_worker_index() == 1)
        return 0;
    bide_remote *task;
    while ((task = bide_spawn_threadsafe(bide_worker_remote(1), adds, shared, 0))) {
        bide_remote_unref(task);
        CHECK_INT(bide_sleep(0.001), 0);
    }
    return 0;
}

BIDE_TEST(one_that_has_ended_takes_nothing)
{
    struct shared shared = {0};
    CHECK_INT(bide_run_workers_with(NULL, 2, posts_to_the_ended, &shared), 0);
}

/* What is around them */

static bide_async(reads_context, (bide_context_var *, variable))
{
    CHECK_STR(bide_context_get(variable), "outer");
    CHECK_INT(bide_context_set(variable, "own", NULL, NULL), 0);
    CHECK_INT(bide_sleep(0), 0);
    CHECK_STR(bide_context_get(variable), "own");
    return 0;
}

static bide_context_var variable = {.name = "variable"};

BIDE_TEST(workers_begin_with_the_callers_context)
{
    CHECK_INT(bide_context_set(&variable, "outer", NULL, NULL), 0);
    CHECK_INT(bide_run_workers_with(NULL, N, reads_context, &variable), 0);
    CHECK_STR(bide_context_get(&variable), "outer");
}

static bide_async(has_name, (const char *, prefix), (bool, pinned))
{
    char name[32], expected[32];
    cpu_set_t set;
    CHECK_INT(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    snprintf(expected, sizeof expected, "%s-%u", prefix, bide_worker_index());
    CHECK_STR(name, expected);
    CHECK_INT(sched_getaffinity(0, sizeof set, &set), 0);
    if (pinned)
        CHECK_INT(CPU_COUNT(&set), 1);
    return sched_getcpu() >= 0 ? 0 : -EIO;
}

BIDE_TEST(names_and_processors)
{
    cpu_set_t before, after;
    CHECK_INT(sched_getaffinity(0, sizeof before, &before), 0);
    CHECK_INT(bide_run_workers_with(NULL, 2, has_name, "worker", false), 0);
    const struct bide_workers_opts opts = {.name = "a long name of ours", .pin = true};
    CHECK_INT(bide_run_workers_with(&opts, 3, has_name, "a long nam", true), 0);
    CHECK_INT(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
}

/* The quota */

static void put(const char *root, const char *path, const char *text)
{
    char name[200];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *slash = name; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        (void)mkdir(name, 0700);
        *slash = '/';
    }
    FILE *file = fopen(name, "w");
    CHECK(file);
    CHECK(fputs(text, file) >= 0);
    CHECK_INT(fclose(file), 0);
}

BIDE_TEST(control_groups_lower_the_number)
{
    char root[] = "/tmp/bide-workers-XXXXXX", list[64], command[80];
    CHECK(mkdtemp(root));
    snprintf(list, sizeof list, "%s/list", root);
    CHECK_INT(bide__processors_quota(8, list, root), 8);
    put(root, "list", "0::/a/b\n");
    CHECK_INT(bide__processors_quota(8, list, root), 8);
    put(root, "a/b/cpu.max", "max 100000\n");
    CHECK_INT(bide__processors_quota(8, list, root), 8);
    put(root, "a/cpu.max", "350000 100000\n");
    CHECK_INT(bide__processors_quota(8, list, root), 4);
    CHECK_INT(bide__processors_quota(3, list, root), 3);
    put(root, "a/b/cpu.max", "50000 100000\n");
    CHECK_INT(bide__processors_quota(8, list, root), 1);
    put(root, "cpu.max", "senseless\n");
    CHECK_INT(bide__processors_quota(8, list, root), 1);
    put(root, "list", "12:cpuset:/x\n4:cpu,cpuacct:/y/z\n3\n2:name=systemd:/\n");
    put(root, "cpu/y/cpu.cfs_quota_us", "200000\n");
    CHECK_INT(bide__processors_quota(8, list, root), 8);
    put(root, "cpu/y/cpu.cfs_period_us", "100000\n");
    CHECK_INT(bide__processors_quota(8, list, root), 2);
    put(root, "cpu/y/z/cpu.cfs_quota_us", "-1\n");
    put(root, "cpu/y/z/cpu.cfs_period_us", "100000\n");
    CHECK_INT(bide__processors_quota(8, list, root), 2);
    CHECK_INT(bide__processors_quota(0, list, root), 1);
    snprintf(command, sizeof command, "rm -r %s", root);
    CHECK_INT(system(command), 0);
}

/* Forks */

static bide_async(forks, (struct shared *, shared))
{
    if (bide_worker_index() == 0)
        return 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bide_after_fork();
        bool is_none = bide_worker_index() == 0 && bide_worker_count() == 1 &&
                       !bide_worker_remote(0) && action_is(SIGTERM, SIG_DFL);
        _exit(is_none ? bide_run_with(NULL, returns, 5) : 99);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 5);
    atomic_fetch_add(&shared->n_ended, 1);
    return 0;
}

BIDE_TEST(a_forked_child_is_no_worker)
{
    struct shared shared = {0};
    CHECK_INT(bide_run_workers_with(NULL, 2, forks, &shared), 0);
    CHECK_INT(shared.n_ended, 1);
}

/* What is lacking */

static int run_some(struct shared *shared)
{
    const struct bide_workers_opts opts = {.pin = true};
    return bide_run_workers_with(&opts, 2, adds, shared, 1);
}

BIDE_TEST_SECONDS(without_memory_none_runs, 120)
{
    for (unsigned long n = 1;; n++) {
        struct shared shared = {0};
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = run_some(&shared);
        if (!fault_disarm() || rc == 1) {
            CHECK_INT(rc, 1);
            if (n > 20)
                break;
            continue;
        }
        CHECK_INT(rc, -ENOMEM);
        CHECK_INT(shared.seen[0] + shared.seen[1], 0);
    }
    rig_end();
}

/* Engines make the best of some failures; then all run. */
BIDE_TEST_SECONDS(without_the_kernel_none_runs, 120)
{
    int n_refused = 0, n_threads = 0;
    for (unsigned long n = 1;; n++) {
        struct shared shared = {0};
        fault_arm(FAULT_SYSTEM, n, EAGAIN);
        int rc = run_some(&shared);
        const char *function = fault_function();
        bool hit = fault_disarm();
        if (!hit)
            break;
        if (rc == 1)
            continue;
        n_threads += strcmp(function, "pthread_create") == 0;
        n_refused++;
        CHECK(rc == -EAGAIN || rc == -ENOMEM); /* what a stack lacks is memory */
        CHECK(shared.seen[0] + shared.seen[1] == 0 || strncmp(function, "epoll", 5) == 0);
    }
    CHECK(n_refused > 4);
    CHECK_INT(n_threads, 2);
    rig_end();
}
