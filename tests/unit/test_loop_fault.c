/*
 * Scenario: loops that are made, and whole programs that run, while every allocation and every
 * system call fails in turn, with several errors. Claim: making a loop fails with that error and
 * has no effect; a program ends in time, with its result or an error, closes its loop, and leaves
 * nothing behind: tasks unwind even if the engine fails under them.
 */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"
#include "sim_rig.h"
#include "task_rig.h"

static void check_loop_new(enum fault_kind kind, int error)
{
    bool hit = true;
    unsigned long n;
    for (n = 1; hit; n++) {
        bide_loop *loop = NULL;
        fault_arm(kind, n, error);
        int rc = bide_loop_new(NULL, &loop);
        hit = fault_disarm();
        if (rc < 0) {
            CHECK(hit);
            CHECK_PTR(loop, NULL);
            if (kind == FAULT_ALLOCATION)
                CHECK_INT(rc, -ENOMEM);
            continue;
        }
        /* Some failures are made up for. */
        rig_close(loop);
    }
    CHECK(n > 2);
}

BIDE_TEST(making_a_loop_without_memory)
{
    check_loop_new(FAULT_ALLOCATION, 0);
}

BIDE_TEST(making_a_loop_without_the_kernel)
{
    rig_needs_kernel();
    check_loop_new(FAULT_SYSTEM, EMFILE);
    check_loop_new(FAULT_SYSTEM, ENOMEM);
    check_loop_new(FAULT_SYSTEM, EPERM);
}

/* A program that uses most of the runtime, and gives everything back whatever fails. */

static int n_dropped;
static int n_registered;

static int nothing(void *data)
{
    (void)data;
    return 0;
}

static void count_drop(void *data)
{
    (void)data;
    n_dropped++;
}

static int registered(int rc)
{
    n_registered += rc == 0;
    return rc;
}

static int uses_callbacks(bide_loop *loop, int fd)
{
    bide_handle *handle = NULL;
    int rc = registered(bide_loop_call_soon(loop, nothing, NULL, count_drop, NULL));
    if (rc == 0)
        rc = registered(bide_loop_call_later(loop, 100, nothing, NULL, count_drop, &handle));
    if (rc == 0)
        rc = registered(bide_loop_add_writer(loop, fd, nothing, NULL, count_drop));
    if (rc == 0)
        rc = registered(bide_loop_add_signal_handler(loop, SIGUSR1, nothing, NULL, count_drop));
    if (rc == 0)
        rc = bide_sleep(0.0005);
    bide_loop_remove_writer(loop, fd);
    bide_loop_remove_signal_handler(loop, SIGUSR1);
    bide_handle_free(handle);
    return rc;
}

static int uses_tasks(void)
{
    bide_task *tasks[] = {bide_spawn(returns_after, 1, 1), bide_spawn(sleeps, 0.0005),
                          bide_coroutine(returns, 3)};
    int results[3];
    int rc = bide_gather(tasks, 3, results);
    int joined = bide_cancel_join(tasks, 3);
    for (int i = 0; joined < 0 && i < 3; i++) {
        if (tasks[i])
            bide_cancel(tasks[i]);
        bide_detach(tasks[i]);
    }
    return rc;
}

static int uses_group(void)
{
    bide_group *group;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 3 && rc >= 0; i++)
        rc = bide_group_spawn(group, returns_after, i, i);
    if (rc >= 0)
        rc = bide_within(10, bide_within(10, bide_within(10, bide_sleep(0))));
    return bide_group_close(group, rc);
}

static int uses_future(void)
{
    bide_promise *promise;
    bide_future *future;
    int rc = bide_future_new(NULL, &promise, &future);
    if (rc < 0)
        return rc;
    rc = bide_promise_set(promise, 3, NULL);
    if (rc == 0)
        rc = bide_await(bide_retain(future));
    bide_promise_free(promise);
    bide_detach(future);
    return rc;
}

static bide_async(cleans_up, (int, n_turns), (int *, n_open))
{
    int rc = bide_sleep(INFINITY);
    (void)!bide_shielded(INFINITY, returns_after(n_turns, 0));
    --*n_open;
    return rc;
}

static bide_async(program, (int, fd), (int *, n_open))
{
    bide_loop *loop = bide_loop_current();
    bide_loop_set_exception_handler(loop, rig_report, NULL);
    struct bide_task_opts opts = {.always_start = true};
    bide_task *left = bide_spawn_with(&opts, cleans_up, 5, n_open);
    if (!left)
        return -ENOMEM;
    ++*n_open;
    bide_detach(left);
    int rc = uses_callbacks(loop, fd);
    if (rc >= 0)
        rc = uses_tasks();
    if (rc >= 0)
        rc = uses_group();
    if (rc >= 0)
        rc = uses_future();
    return rc < 0 ? rc : 7;
}

static bool check_program(enum fault_kind kind, unsigned long n, int error)
{
    static const struct bide_loop_opts brief = {.cleanup_seconds = 0.5};
    int fds[2];
    int n_open = 0;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    n_dropped = n_registered = 0;
    fault_arm(kind, n, error);
    int rc = bide_run_with(&brief, program, fds[0], &n_open);
    bool hit = fault_disarm();
    printf("call %lu, %s: %d\n", n, hit ? fault_function() : "none", rc);
    CHECK(rc == 7 || (hit && rc < 0));
    if (hit && kind == FAULT_ALLOCATION && rc < 0)
        CHECK_INT(rc, -ENOMEM);
    CHECK_INT(n_dropped, n_registered);
    CHECK_INT(n_open, 0);
    rig_end();
    close(fds[0]);
    close(fds[1]);
    return hit;
}

BIDE_TEST(program_without_memory)
{
    unsigned long n = 1;
    while (check_program(FAULT_ALLOCATION, n, 0))
        n++;
    CHECK(n > 20);
}

static void check_system(int error)
{
    unsigned long n = 1;
    while (check_program(FAULT_SYSTEM, n, error))
        n++;
    CHECK(n > 10);
}

BIDE_TEST(program_whose_system_calls_fail, .seconds = 60, .seeds_max = 20)
{
    check_system(EMFILE);
    check_system(EIO);
}

BIDE_TEST(program_whose_system_calls_find_no_memory, .seconds = 60, .seeds_max = 20)
{
    check_system(ENOMEM);
    check_system(EINTR);
}

static void break_wait(void *n_broken)
{
    (void)n_broken;
    fault_arm(FAULT_SYSTEM, 1, EIO);
}

static void count_broken(void *n_broken)
{
    *(int *)n_broken += fault_disarm();
}

static bide_async(breaks_the_engine, (int, fd), (int *, n_open), (int *, n_broken))
{
    bide_loop *loop = bide_loop_current();
    bide_loop_set_exception_handler(loop, rig_report, NULL);
    for (*n_open = 0; *n_open < 3; ++*n_open)
        bide_detach(bide_spawn(cleans_up, 2000, n_open)); /* long enough for many waits */
    turns(1);
    CHECK_INT(bide_loop_add_writer(loop, fd, nothing, NULL, NULL), 0); /* something to ask for */
    struct bide_wait_hooks hooks = {break_wait, count_broken, n_broken};
    bide_loop_set_wait_hooks(loop, &hooks);
    int rc = bide_sleep(1);
    CHECK_INT(rc, -ECANCELED);
    return rc;
}

BIDE_TEST(tasks_unwind_although_every_wait_fails)
{
    rig_needs_kernel();
    int n_open;
    int n_broken = 0;
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(bide_run_with(NULL, breaks_the_engine, fds[0], &n_open, &n_broken), -EIO);
    CHECK(n_broken > 2);
    CHECK_INT(n_open, 0);
    rig_end();
    close(fds[0]);
    close(fds[1]);
}
