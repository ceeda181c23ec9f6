/*
 * Scenario: every allocation that a call of the runtime makes fails in turn, each time in a loop
 * whose caches are empty. Claim: the call fails with -ENOMEM or NULL and has had no effect (words
 * about errors may be lost instead), nothing leaks, and the same call works right after.
 */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"
#include "task_rig.h"

/* One call: arms the n-th failure around it, checks what came of it, cleans up; whether it was hit.
 */
typedef bool step_function(unsigned long n);

static bide_async(takes, (step_function *, step), (unsigned long, n), (bool *, hit))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    *hit = step(n);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
    CHECK_INT(bide_await(bide_spawn(returns, 1)), 1);
    return 0;
}

/* Until none is hit any more; at least one was. */
static void check_step(step_function *step)
{
    bool hit = true;
    unsigned long n;
    for (n = 0; hit; n++) {
        CHECK_INT(bide_run_with(NULL, takes, step, n + 1, &hit), 0);
        rig_end();
    }
    CHECK(n > 1);
}

#define STEP(name) \
    static bool step_##name(unsigned long n); \
    BIDE_TEST(name, .seeds_max = 50) \
    { \
        check_step(step_##name); \
    } \
    static bool step_##name(unsigned long n)

static void arm(unsigned long n)
{
    fault_arm(FAULT_ALLOCATION, n, 0);
}

/* `rc` is -ENOMEM exactly if the call was hit. */
static bool disarm(int rc)
{
    bool hit = fault_disarm();
    if (hit)
        CHECK_INT(rc, -ENOMEM);
    else
        CHECK(rc >= 0);
    return hit;
}

static bool check_task(bide_task *task, int result)
{
    bool hit = fault_disarm();
    CHECK_INT(task == NULL, hit);
    CHECK_INT(bide_await(task), hit ? -ENOMEM : result);
    return hit;
}

STEP(spawn)
{
    arm(n);
    return check_task(bide_spawn(returns, 4), 4);
}

STEP(spawn_with_a_name_and_a_stack)
{
    struct bide_task_opts opts = {.name = "named", .stack_size = 128 * 1024};
    arm(n);
    return check_task(bide_spawn_with(&opts, returns, 4), 4);
}

STEP(coroutine)
{
    arm(n);
    return check_task(bide_coroutine(returns, 4), 4);
}

static int plain(void *argument)
{
    return *(int *)argument;
}

STEP(spawn_fn)
{
    int argument = 7;
    arm(n);
    return check_task(bide_spawn_fn(plain, &argument), 7);
}

/* So many that the caches of the pool and of the handles are used up several times. */
STEP(many_spawns)
{
    bide_task *tasks[300];
    int n_spawned = 0;
    arm(n);
    while (n_spawned < 300 && (tasks[n_spawned] = bide_spawn(returns, n_spawned)))
        n_spawned++;
    bool hit = fault_disarm();
    CHECK(hit || n_spawned == 300); /* some failures are made up for */
    for (int i = 0; i < n_spawned; i++)
        CHECK_INT(bide_await(tasks[i]), i);
    return hit;
}

STEP(group)
{
    bide_group *group;
    struct bide_task_opts opts = {.name = "child"};
    arm(n);
    int rc = bide_group_open(&group);
    if (rc < 0)
        return disarm(rc);
    rc = bide_group_spawn(group, returns, 1);
    if (rc == 0)
        rc = bide_group_spawn_with(group, &opts, returns_after, 1, 2);
    bool hit = disarm(rc);
    CHECK_INT(bide_group_close(group, hit ? -EIO : 5), hit ? -EIO : 5);
    return hit;
}

STEP(words_of_a_group)
{
    bide_group *group;
    struct bide_task_opts opts = {.name = "child"};
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn_with(group, &opts, returns, -EIO), 0);
    CHECK_INT(bide_group_spawn_with(group, &opts, insists, -EPIPE), 0);
    arm(n);
    int rc = bide_group_close(group, 0);
    bool hit = fault_disarm();
    CHECK_INT(rc, -EIO);
    if (!hit)
        CHECK_CONTAINS(bide_error_detail(), "child (returns)");
    return hit;
}

STEP(nested_limits)
{
    int evaluated = 0;
    arm(n);
    int rc = bide_within(
        10, bide_within(10, bide_within(10, bide_shielded(10, (evaluated++, bide_sleep(0))))));
    bool hit = disarm(rc);
    CHECK_INT(evaluated, !hit);
    return hit;
}

STEP(timeout_begin)
{
    bide_timeout *timeouts[4];
    int n_begun = 0;
    int rc = 0;
    arm(n);
    while (n_begun < 4 && rc == 0) {
        rc = bide_timeout_begin(10, &timeouts[n_begun]);
        n_begun += rc == 0;
    }
    bool hit = disarm(rc);
    while (n_begun-- > 0)
        CHECK_INT(bide_timeout_end(timeouts[n_begun], 3), 3);
    return hit;
}

enum combination { GATHER, GATHER_ALL, WAIT, NEXT_DONE, CANCEL_JOIN };

static int combine(enum combination combination, bide_task **tasks, size_t n)
{
    int results[2];
    switch (combination) {
    case GATHER:
        return bide_gather(tasks, n, NULL);
    case GATHER_ALL:
        return bide_gather_all(tasks, n, results);
    case WAIT:
        return bide_wait(tasks, n, BIDE_ALL_COMPLETED);
    case NEXT_DONE:
        return bide_next_done(tasks, n);
    default:
        return bide_cancel_join(tasks, n);
    }
}

static bool check_combination(enum combination combination, unsigned long n)
{
    bide_task *tasks[] = {bide_spawn(returns_after, 1, 1), bide_coroutine(returns_after, 1, 2)};
    bide_task *kept[] = {tasks[0], tasks[1]};
    arm(n);
    int rc = combine(combination, tasks, 2);
    bool hit = disarm(rc);
    if (hit) {
        for (int i = 0; i < 2; i++) {
            CHECK_PTR(tasks[i], kept[i]);
            CHECK_INT(bide_cancelling(tasks[i]), 0);
        }
        CHECK_INT(bide_task_state(tasks[1]), BIDE_TASK_CREATED);
    }
    CHECK_INT(bide_cancel_join(tasks, 2), 0);
    return hit;
}

STEP(gather)
{
    return check_combination(GATHER, n);
}

STEP(gather_all)
{
    return check_combination(GATHER_ALL, n);
}

STEP(wait)
{
    return check_combination(WAIT, n);
}

STEP(next_done)
{
    return check_combination(NEXT_DONE, n);
}

STEP(cancel_join)
{
    return check_combination(CANCEL_JOIN, n);
}

STEP(cancel_with)
{
    bide_task *task = bide_spawn(sleeps, INFINITY);
    arm(n);
    int rc = bide_cancel_with(task, "message");
    bool hit = disarm(rc);
    CHECK_INT(bide_cancelling(task), !hit);
    CHECK_INT(bide_cancel_join(&task, 1), 0);
    return hit;
}

STEP(names)
{
    bide_task *task = bide_spawn(returns, 1);
    arm(n);
    const char *name = bide_task_name(task);
    bool hit = fault_disarm();
    CHECK_STR(name, hit ? "Task" : "Task-2");
    CHECK_STR(bide_task_name(task), "Task-2");
    arm(n);
    int rc = bide_task_set_name(task, "other");
    hit = disarm(rc);
    CHECK_STR(bide_task_name(task), hit ? "Task-2" : "other");
    CHECK_INT(bide_await(task), 1);
    return hit;
}

static void on_done(bide_task *task, void *data)
{
    (void)task;
    ++*(int *)data;
}

static void on_drop(void *data)
{
    ++*(int *)data;
}

STEP(add_done_callback)
{
    int n_calls = 0;
    bide_task *task = bide_spawn(returns, 1);
    arm(n);
    bool hit = disarm(bide_task_add_done_callback(task, on_done, &n_calls, on_drop));
    CHECK_INT(bide_await(task), 1);
    turns(1);
    CHECK_INT(n_calls, hit ? 0 : 2);
    return hit;
}

STEP(future)
{
    bide_promise *promise = NULL;
    bide_future *future = NULL;
    arm(n);
    int rc = bide_future_new(NULL, &promise, &future);
    if (rc < 0) {
        CHECK_PTR(promise, NULL);
        CHECK_PTR(future, NULL);
        return disarm(rc);
    }
    rc = bide_promise_set(promise, -EIO, "words");
    bool hit = disarm(rc);
    CHECK_INT(bide_task_done(future), !hit);
    bide_promise_free(promise);
    CHECK_INT(bide_await(future), hit ? -ECANCELED : -EIO);
    return hit;
}

static bide_future *failed_future(void)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, -EIO, "words"), 0);
    bide_promise_free(promise);
    return future;
}

STEP(words_of_a_task_with_two_handles)
{
    bide_future *future = failed_future();
    arm(n);
    int rc = bide_await(bide_retain(future));
    bool hit = fault_disarm();
    CHECK_INT(rc, -EIO);
    CHECK_STR(bide_error_detail(), hit ? "" : "words");
    CHECK_STR(bide_task_detail(future), "words");
    bide_detach(future);
    return hit;
}

static int nothing(void *data)
{
    (void)data;
    return 0;
}

typedef int schedules(bide_loop *loop, int *n_drops, bide_handle **ret_handle);

static int calls_soon(bide_loop *loop, int *n_drops, bide_handle **ret_handle)
{
    return bide_loop_call_soon(loop, nothing, n_drops, on_drop, ret_handle);
}

static int calls_later(bide_loop *loop, int *n_drops, bide_handle **ret_handle)
{
    return bide_loop_call_later(loop, 0.001, nothing, n_drops, on_drop, ret_handle);
}

static int calls_at(bide_loop *loop, int *n_drops, bide_handle **ret_handle)
{
    return bide_loop_call_at(loop, 0, nothing, n_drops, on_drop, ret_handle);
}

static bool check_schedule(schedules *schedule, unsigned long n)
{
    int n_drops = 0;
    bide_handle *handle = NULL;
    arm(n);
    bool hit = disarm(schedule(bide_loop_current(), &n_drops, &handle));
    CHECK_INT(handle == NULL, hit);
    CHECK_INT(n_drops, 0);
    if (!hit)
        CHECK_INT(bide_handle_cancel(handle), 1);
    bide_handle_free(handle);
    CHECK_INT(n_drops, !hit);
    return hit;
}

STEP(call_soon)
{
    return check_schedule(calls_soon, n);
}

STEP(call_later)
{
    return check_schedule(calls_later, n);
}

STEP(call_at)
{
    return check_schedule(calls_at, n);
}

STEP(watchers)
{
    int n_drops = 0;
    int fds[2];
    bide_loop *loop = bide_loop_current();
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    arm(n);
    int rc = bide_loop_add_reader(loop, fds[0], nothing, &n_drops, on_drop);
    if (rc == 0)
        rc = bide_loop_add_writer(loop, fds[0], nothing, &n_drops, on_drop);
    if (rc == 0)
        rc = bide_loop_add_writer(loop, fds[1], nothing, &n_drops, on_drop);
    bool hit = disarm(rc);
    int n_added = bide_loop_remove_reader(loop, fds[0]) + bide_loop_remove_writer(loop, fds[0]) +
                  bide_loop_remove_writer(loop, fds[1]);
    CHECK_INT(n_drops, n_added);
    CHECK_INT(n_added == 3, !hit);
    close(fds[0]);
    close(fds[1]);
    return hit;
}

STEP(signal_handler)
{
    int n_drops = 0;
    bide_loop *loop = bide_loop_current();
    arm(n);
    int rc = bide_loop_add_signal_handler(loop, SIGUSR1, nothing, &n_drops, on_drop);
    bool hit = disarm(rc);
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGUSR1), !hit);
    CHECK_INT(n_drops, !hit);
    return hit;
}

STEP(remote_call)
{
    int n_drops = 0;
    arm(n);
    bide_remote *remote = bide_loop_remote(bide_loop_current());
    if (!remote)
        return fault_disarm();
    int rc = bide_call_soon_threadsafe(remote, nothing, &n_drops, on_drop);
    bool hit = disarm(rc);
    turns(2);
    CHECK_INT(n_drops, !hit);
    bide_remote_unref(remote);
    return hit;
}

STEP(remote_spawn)
{
    bide_remote *remote = bide_loop_remote(bide_loop_current());
    arm(n);
    bide_remote *task = bide_spawn_threadsafe(remote, returns, 6);
    turns(3); /* the task itself is made here */
    bool hit = fault_disarm();
    bide_remote_unref(task);
    bide_remote_unref(remote);
    CHECK(task || hit);
    return hit;
}

BIDE_TEST(remote_task_that_could_not_be_made)
{
    bool hit = true;
    int n_failed = 0;
    for (unsigned long n = 1; hit; n++) {
        bide_loop *loop = rig_loop();
        bide_remote *remote = bide_loop_remote(loop);
        bide_remote *task = bide_spawn_threadsafe(remote, returns, 6);
        arm(n);
        for (int i = 0; i < 2; i++) {
            bide_loop_stop(loop);
            CHECK_INT(bide_loop_run_forever(loop), 0);
        }
        hit = fault_disarm();
        int result = 0;
        CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), 0);
        n_failed += result == -ENOMEM;
        CHECK(result == 6 || (hit && result == -ENOMEM)); /* some failures are made up for */
        bide_remote_unref(task);
        bide_remote_unref(remote);
        rig_close(loop);
    }
    CHECK(n_failed > 1);
}

static bide_async(awaits_remote, (bide_remote *, task), (unsigned long, n), (bool *, hit))
{
    arm(n);
    int rc = bide_await_threadsafe(task);
    *hit = fault_disarm();
    return rc;
}

BIDE_TEST(remote_await)
{
    bide_loop *loop = rig_loop();
    bide_remote *remote = bide_loop_remote(loop);
    bide_remote *task = bide_spawn_threadsafe(remote, returns, 6);
    rig_close(loop);
    bool hit = true;
    for (unsigned long n = 1; hit; n++) {
        int rc = bide_run_with(NULL, awaits_remote, task, n, &hit);
        CHECK_INT(rc, hit ? -ENOMEM : -ECANCELED);
        CHECK(hit || n > 1);
    }
    bide_remote_unref(task);
    bide_remote_unref(remote);
}
