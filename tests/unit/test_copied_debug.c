/*
 * Scenario: in debug mode a task, a private one, a callback and the kernel touch the locals of a
 * parked task whose stack is copied. Claim: the process dies of it, not without having told whose
 * stack it was, where that task was spawned, and who did it; what the task itself does with its
 * locals is nobody's business; an overflow of the shared stack names the task that ran; and the
 * backtrace of a parked one shows its own frames.
 */
#include <signal.h>
#include <sys/wait.h>

#include <bide/loop.h>
#include <bide/socket.h>
#include <sys/socket.h>
#include <unistd.h>

#include "copied_rig.h"

static int *lent;

static bide_async(lends)
{
    int local = 5;
    lent = &local;
    int rc = bide_sleep(INFINITY);
    CHECK_INT(local, 5);
    return rc;
}

static bide_async(touches)
{
    ++*lent;
    return 0;
}

static int touches_by_callback(void *data)
{
    (void)data;
    return *lent;
}

enum how { BY_COPIED, BY_PRIVATE, BY_CALLBACK };

static bide_async(main_of_offence, (enum how, how))
{
    struct bide_task_opts owner = {.stack = BIDE_STACK_COPIED, .name = "owner"};
    struct bide_task_opts thief = {.name = "thief"};
    bide_task *task = bide_spawn_with(&owner, lends);
    bide_task *trampler = spawn_trampler();
    int rc = bide_sleep(0);
    if (rc == 0 && how == BY_CALLBACK) {
        bide_loop_call_soon(bide_loop_current(), touches_by_callback, NULL, NULL, NULL);
        rc = bide_sleep(0);
    } else if (rc == 0) {
        thief.stack = how == BY_COPIED ? BIDE_STACK_COPIED : BIDE_STACK_PRIVATE;
        rc = bide_await(bide_spawn_with(&thief, touches));
    }
    bide_cancel_join(&task, 1);
    bide_cancel_join(&trampler, 1);
    return rc;
}

static void offends(void *how)
{
    struct bide_loop_opts opts = {.debug = true};
    bide_run_with(&opts, main_of_offence, *(const enum how *)how);
}

static void check_report(enum how how, const char *by)
{
    char output[8192];
    if (!copies_here())
        SKIP("no copied stacks here");
    int status = test_child(offends, &how, output, sizeof output);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGSEGV);
    CHECK_CONTAINS(output, "bide: access to the stack of parked task owner, coroutine lends, "
                           "spawned at ");
    CHECK_CONTAINS(output, " in main_of_offence; by ");
    CHECK_CONTAINS(output, by);
}

BIDE_TEST(touched_by_a_copied_task)
{
    check_report(BY_COPIED, "; by task thief, coroutine touches, spawned at ");
}

BIDE_TEST(touched_by_a_task_with_a_stack_of_its_own)
{
    check_report(BY_PRIVATE, "; by task thief, coroutine touches, spawned at ");
}

BIDE_TEST(touched_by_a_callback)
{
    check_report(BY_CALLBACK, "; by the loop or a callback\n");
}

/* The kernel, on behalf of another task: only the call fails, but not without words. */
static bide_async(sends_lent, (bide_socket *, socket))
{
    return bide_socket_send_all(socket, lent, sizeof *lent, NULL);
}

static bide_async(main_of_kernel)
{
    struct bide_task_opts owner = {.stack = BIDE_STACK_COPIED, .name = "owner"};
    struct bide_task_opts thief = {.name = "thief"};
    int fds[2];
    bide_socket *socket;
    bide_task *task = bide_spawn_with(&owner, lends);
    if (bide_sleep(0) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
        bide_socket_adopt(fds[0], &socket) < 0)
        return 9;
    int rc = bide_await(bide_spawn_with(&thief, sends_lent, socket));
    bide_socket_close(socket);
    close(fds[1]);
    bide_cancel_join(&task, 1);
    return rc == -EFAULT ? 7 : 8;
}

static void kernel_offends(void *unused)
{
    struct bide_loop_opts opts = {.debug = true};
    (void)unused;
    _exit(bide_run_with(&opts, main_of_kernel));
}

BIDE_TEST(touched_by_the_kernel)
{
    char output[8192];
    const char *engine = getenv("BIDE_ENGINE");
    bool is_ours = !engine || strcmp(engine, "epoll") == 0 || strcmp(engine, "uring") == 0;
    if (!copies_here() || !is_ours)
        SKIP("no copied stacks here, or an engine that does not ask the kernel, or not by our "
             "calls");
    int status = test_child(kernel_offends, NULL, output, sizeof output);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 7);
    CHECK_CONTAINS(output, "bide: access to the stack of parked task owner, coroutine lends, "
                           "spawned at ");
    CHECK_CONTAINS(output, "; by task thief, coroutine sends_lent, ");
    CHECK_CONTAINS(output, "(by the kernel on its behalf)");
}

static bide_async(keeps_to_itself, (int, depth))
{
    int local[100];
    for (int i = 0; i < 100; i++)
        local[i] = i;
    int rc = depth > 0 ? keeps_to_itself(depth - 1) : bide_sleep(0);
    for (int i = 0; i < 100; i++)
        CHECK_INT(local[i], i);
    return rc;
}

static bide_async(main_without_offence)
{
    bide_task *tasks[50];
    for (int i = 0; i < 50; i++)
        tasks[i] = bide_spawn_with(&copied, keeps_to_itself, i);
    CHECK_INT(bide_gather(tasks, 50, NULL), 0);
    return 0;
}

BIDE_TEST(debug_mode_changes_nothing_else)
{
    struct bide_loop_opts opts = {.debug = true};
    CHECK_INT(bide_run_with(&opts, main_without_offence), 0);
}

static bide_async(recurses, (int, depth))
{
    volatile char frame[256];
    frame[0] = (char)depth;
    int below = depth < INT32_MAX ? recurses(depth + 1) : 0;
    return below + frame[0];
}

static bide_async(main_overflows)
{
    struct bide_task_opts opts = {.stack = BIDE_STACK_COPIED, .name = "deep"};
    bide_task *parked = bide_spawn_with(&copied, lends);
    int rc = bide_sleep(0);
    if (rc == 0)
        rc = bide_await(bide_spawn_with(&opts, recurses, 0));
    bide_cancel_join(&parked, 1);
    return rc;
}

static void overflows(void *unused)
{
    (void)unused;
    bide_run_with(NULL, main_overflows);
}

BIDE_TEST(overflow_names_the_task_that_ran)
{
    char output[8192];
    if (!copies_here())
        SKIP("no copied stacks here");
    int status = test_child(overflows, NULL, output, sizeof output);
    CHECK(WIFSIGNALED(status));
    CHECK_CONTAINS(output, "bide: stack overflow in task deep, coroutine recurses, spawned at ");
}

__attribute__((noinline)) static int frame_to_be_seen(void)
{
    int rc;
    do
        rc = bide_sleep(INFINITY);
    while (rc < 0);
    return rc;
}

static bide_async(is_stuck)
{
    return frame_to_be_seen();
}

static bide_async(main_of_stuck)
{
    bide_detach(bide_spawn_with(&copied, is_stuck));
    bide_detach(spawn_trampler());
    return bide_sleep(0);
}

static void ends_with_stuck(void *debug)
{
    struct bide_loop_opts opts = {.debug = *(const bool *)debug, .cleanup_seconds = 0.05};
    bide_run_with(&opts, main_of_stuck);
}

static void check_backtrace(bool debug)
{
    char output[8192];
    test_child(ends_with_stuck, &debug, output, sizeof output);
    const char *report = strstr(output, "task does not end although it was cancelled");
    CHECK(report);
    CHECK_CONTAINS(report, "is_stuck");
    int n_frames = 0;
    for (const char *at = report; (at = strstr(at, "[0x")); at++)
        n_frames++;
    CHECK_RANGE(n_frames, 4, 60);
}

BIDE_TEST(backtrace_of_a_parked_task)
{
    if (test_emulated())
        SKIP("an emulator has its own ways with backtraces");
    check_backtrace(false);
    check_backtrace(true);
}
