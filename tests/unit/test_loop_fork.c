/*
 * Scenario: a program forks inside a task or a callback while its loop has watchers, timers, signal
 * handlers, tasks and posts from other threads under way. Claim: after bide_after_fork() the child
 * runs a loop of its own, and the parent's loop does not notice.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/watched.h"
#include "runtime/loop.h"
#include "runtime/mailbox.h"
#include "sim_rig.h"
#include "task_rig.h"

static void never(void *data)
{
    (void)data;
    FAIL("a drop of the parent's was called in the child");
}

static int noted(void *data)
{
    note(data);
    return 0;
}

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static bide_async(fork_child_main)
{
    bide_task *tasks[] = {bide_spawn(sleeps, 0.001), bide_spawn(returns_after, 3, 5)};
    int results[2];
    CHECK_INT(bide_gather(tasks, 2, results), 0);
    bide_loop *loop = bide_loop_current();
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGUSR1, noted, text("u"), NULL), 0);
    /* Thread sanitizer hands no signals of the kernel's on in the child of a process with fibers.
     */
    bool arrives = !BIDE__TSAN || strcmp(bide_loop_engine(loop), "sim") == 0;
    for (rig_raise(loop, SIGUSR1); arrives && !*rig_notes;)
        CHECK_INT(bide_sleep(0.001), 0);
    CHECK_NOTES(arrives ? "u" : "");
    return results[1];
}

/* What each child does; `remote` is the parent's loop. */
static void child_goes_on(bide_remote *remote)
{
    bide_after_fork();
    CHECK_PTR(bide_loop_current(), NULL);
    CHECK_PTR(bide_current_task(), NULL);
    CHECK_INT(bide_sleep(0), -BIDE_ENOTASK);
    CHECK_PTR(bide_spawn(returns, 1), NULL);
    bide_after_fork();
    if (remote) {
        CHECK_INT(bide_call_soon_threadsafe(remote, noted, NULL, never), -ESHUTDOWN);
        CHECK_PTR(bide_spawn_threadsafe(remote, returns, 1), NULL);
        bide_remote_unref(remote);
    }
    rig_notes[0] = '\0';
    CHECK_INT(bide_run_with(NULL, fork_child_main), 5);
    CHECK_INT(bide_run_with(NULL, fork_child_main), 5);
    fflush(NULL);
    _exit(0);
}

static void wait_for_child(pid_t pid)
{
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
}

static pid_t fork_child(bide_remote *remote)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child_goes_on(remote);
    return pid;
}

static bool reader_called;

static int reads(void *data)
{
    char byte;
    CHECK_INT(read(*(int *)data, &byte, 1), 1);
    reader_called = true;
    return 0;
}

static void wait_until(const bool *flag)
{
    while (!*flag)
        CHECK_INT(bide_sleep(0), 0);
}

TASK_TEST(parent_s_loop_goes_on)
{
    bide_loop *loop = bide_loop_current();
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(bide_loop_add_reader(loop, fds[0], reads, &fds[0], NULL), 0);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGUSR1, noted, text("s"), NULL), 0);
    bide_handle *handle;
    CHECK_INT(bide_loop_call_later(loop, 100, noted, text("x"), NULL, &handle), 0);
    bide_task *sleeper = bide_spawn(sleeps, 0.003);
    bide_task *waits = bide_spawn(insists, 3);
    turns(2);
    bide_remote *remote = bide_loop_remote(loop);
    wait_for_child(fork_child(remote));
    CHECK_NOTES("");
    for (int i = 0; i < 3; i++) {
        reader_called = false;
        CHECK_INT(write(fds[1], "x", 1), 1);
        wait_until(&reader_called);
    }
    rig_raise(loop, SIGUSR1);
    while (!*rig_notes)
        CHECK_INT(bide_sleep(0.001), 0);
    CHECK_NOTES("s");
    CHECK_INT(bide_await(sleeper), 0);
    CHECK_INT(bide_cancel(waits), 1);
    CHECK_INT(bide_await(waits), 3);
    CHECK_INT(bide_handle_cancel(handle), 1);
    bide_handle_free(handle);
    CHECK_INT(bide_loop_remove_reader(loop, fds[0]), 1);
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGUSR1), 1);
    bide_remote_unref(remote);
    close(fds[0]);
    close(fds[1]);
}

TASK_TEST(child_drops_nothing_and_gives_handles_back)
{
    bide_loop *loop = bide_loop_current();
    bide_handle *handle;
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_loop_call_later(loop, 100, noted, NULL, NULL, &handle), 0);
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    bide_task *parked = bide_spawn(sleeps, INFINITY);
    bide_task *done = bide_spawn(returns, 4);
    turns(2);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        bide_after_fork();
        bide_handle_free(handle);
        bide_detach(parked);
        bide_detach(future);
        int result;
        CHECK_INT(bide_task_result(done, &result), 0);
        CHECK_INT(result, 4);
        bide_detach(done);
        CHECK_INT(bide_loop_call_soon(loop, noted, NULL, never, NULL), -ESHUTDOWN);
        _exit(0);
    }
    wait_for_child(pid);
    CHECK_INT(bide_cancel_join((bide_task *[]){parked, done}, 2), 0);
    CHECK_INT(bide_handle_cancel(handle), 1);
    bide_handle_free(handle);
    bide_promise_free(promise);
    bide_detach(future);
}

static pid_t forked_in_callback;

static int forks(void *data)
{
    (void)data;
    forked_in_callback = fork_child(NULL);
    return 0;
}

TASK_TEST(fork_in_a_callback)
{
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), forks, NULL, NULL, NULL), 0);
    turns(2);
    wait_for_child(forked_in_callback);
    CHECK_INT(bide_sleep(0.001), 0);
}

struct holder {
    struct bide__mailbox *mailbox;
    pthread_barrier_t step;
};

static void *holds_the_lock(void *data)
{
    struct holder *holder = data;
    CHECK_INT(pthread_mutex_lock(&holder->mailbox->lock), 0);
    pthread_barrier_wait(&holder->step);
    pthread_barrier_wait(&holder->step);
    CHECK_INT(pthread_mutex_unlock(&holder->mailbox->lock), 0);
    return NULL;
}

/* Posts without allocating, whose locks a sanitizer does not free in a child. */
static void check_refusal(bide_remote *task)
{
    bide_after_fork();
    _exit(bide_cancel_threadsafe(task) == -ESHUTDOWN ? 0 : 1);
}

TASK_TEST(fork_while_another_thread_is_posting)
{
    bide_remote *remote = bide_loop_remote(bide_loop_current());
    bide_remote *task = bide_spawn_threadsafe(remote, sleeps, INFINITY);
    struct holder holder = {.mailbox = bide_loop_current()->mailbox};
    pthread_t thread;
    turns(1);
    CHECK_INT(pthread_barrier_init(&holder.step, NULL, 2), 0);
    CHECK_INT(pthread_create(&thread, NULL, holds_the_lock, &holder), 0);
    pthread_barrier_wait(&holder.step);
    pid_t pid = fork();
    if (pid == 0)
        check_refusal(task);
    pthread_barrier_wait(&holder.step);
    CHECK_INT(pthread_join(thread, NULL), 0);
    wait_for_child(pid);
    pthread_barrier_destroy(&holder.step);
    bide_remote_unref(task);
    bide_remote_unref(remote);
}

BIDE_TEST(without_a_loop_nothing_happens)
{
    bide_after_fork();
    CHECK_PTR(bide_loop_current(), NULL);
    CHECK_INT(bide_run_with(NULL, returns, 3), 3);
}
