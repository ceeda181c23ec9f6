/*
 * Scenario: a program, or a language binding, that uses a loop's callbacks and nothing of tasks,
 * with hooks around the wait. Claim: callbacks run on the thread's own stack; no stack for tasks is
 * reserved; signals, SIGSEGV's handler and the alternate stack are untouched; the hooks surround
 * each wait and may end the run with an error.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/loop.h"
#include "sim_rig.h"
#include "task_rig.h"

static char *stack_low;
static char *stack_high;

static bool on_own_stack(void)
{
    char *frame = __builtin_frame_address(0); /* sanitizers move locals elsewhere */
    return frame >= stack_low && frame < stack_high;
}

static void find_own_stack(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    CHECK_INT(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_INT(pthread_attr_getstack(&attributes, &low, &size), 0);
    pthread_attr_destroy(&attributes);
    stack_low = low;
    stack_high = stack_low + size;
}

static int checks_stack(void *data)
{
    CHECK(on_own_stack());
    note(data);
    return 0;
}

static void drop_checks_stack(void *data)
{
    (void)data;
    CHECK(on_own_stack());
    note("d");
}

static void done_checks_stack(bide_task *task, void *data)
{
    CHECK(on_own_stack());
    CHECK(bide_task_done(task));
    note(data);
}

static int stop(void *loop)
{
    bide_loop_stop(loop);
    return 0;
}

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

BIDE_TEST(callbacks_run_on_the_thread_s_own_stack_without_any_task)
{
    struct sigaction before;
    struct sigaction after;
    stack_t alternate;
    bide_promise *promise;
    bide_future *future;
    int fds[2];
    find_own_stack();
    CHECK_INT(sigaltstack(NULL, &alternate), 0);
    int flags = alternate.ss_flags; /* sanitizers have one */
    CHECK_INT(sigaction(SIGSEGV, NULL, &before), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    bide_loop *loop = rig_loop();
    CHECK_INT(bide_loop_call_soon(loop, checks_stack, text("s"), drop_checks_stack, NULL), 0);
    CHECK_INT(bide_loop_call_later(loop, TICKS(1), checks_stack, text("l"), NULL, NULL), 0);
    CHECK_INT(bide_loop_call_later(loop, TICKS(2), stop, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_add_writer(loop, fds[0], checks_stack, text(""), NULL), 0);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGUSR1, checks_stack, text("u"), NULL), 0);
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    CHECK_INT(bide_task_add_done_callback(future, done_checks_stack, text("f"), NULL), 0);
    CHECK_INT(bide_promise_set(promise, 0, NULL), 0);
    rig_raise(loop, SIGUSR1);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_INT((long long)strlen(rig_notes), (long long)strlen("sdlfu"));
    for (const char *c = "sdlfu"; *c; c++)
        CHECK(strchr(rig_notes, *c));
    CHECK_INT((long long)bide__stack_pool_held(loop->stacks), 0);
    CHECK_INT((long long)bide__stack_pool_cached(loop->stacks), 0);
    CHECK_INT(sigaction(SIGSEGV, NULL, &after), 0);
    CHECK(before.sa_handler == after.sa_handler);
    CHECK_INT(sigaction(SIGCHLD, NULL, &after), 0);
    CHECK(after.sa_handler == SIG_DFL);
    CHECK_INT(sigaltstack(NULL, &alternate), 0);
    CHECK_INT(alternate.ss_flags, flags);
    bide_detach(future);
    bide_promise_free(promise);
    rig_close(loop);
    close(fds[0]);
    close(fds[1]);
}

static bide_async(cancels_and_adds, (bide_handle *, handle), (bide_loop *, loop))
{
    CHECK(!on_own_stack());
    CHECK_INT(bide_loop_call_soon(loop, checks_stack, text("c"), NULL, NULL), 0);
    CHECK_INT(bide_task_add_done_callback(bide_current_task(), done_checks_stack, text("f"), NULL),
              0);
    CHECK_INT(bide_handle_cancel(handle), 1);
    return bide_sleep(0);
}

BIDE_TEST(callbacks_that_tasks_add_run_on_the_thread_s_own_stack)
{
    find_own_stack();
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    bide_handle *handle;
    CHECK_INT(bide_loop_call_later(loop, 10, checks_stack, text("x"), NULL, &handle), 0);
    bide_task *task = bide_spawn_with(&opts, cancels_and_adds, handle, loop);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_NOTES("cf");
    bide_handle_free(handle);
    rig_close(loop);
}

struct hooked {
    bide_loop *loop;
    int n_before;
    int n_after;
    int stop_at; /* this many waits */
    bool stop_after_wait;
    int error;
};

static void hook_stop(struct hooked *hooked)
{
    if (hooked->error < 0)
        CHECK_INT(bide_loop_stop_with(hooked->loop, hooked->error), 0);
    else
        bide_loop_stop(hooked->loop);
}

static void before_wait(void *data)
{
    struct hooked *hooked = data;
    CHECK_INT(hooked->n_before, hooked->n_after);
    if (++hooked->n_before == hooked->stop_at && !hooked->stop_after_wait)
        hook_stop(hooked);
}

static void after_wait(void *data)
{
    struct hooked *hooked = data;
    CHECK_INT(hooked->n_before, ++hooked->n_after);
    if (hooked->n_after == hooked->stop_at && hooked->stop_after_wait)
        hook_stop(hooked);
}

static struct hooked hook(bide_loop *loop, int stop_at)
{
    return (struct hooked){.loop = loop, .stop_at = stop_at};
}

BIDE_TEST(hooks_surround_each_wait)
{
    bide_loop *loop = rig_loop();
    struct hooked hooked = hook(loop, 0);
    bide_loop_set_wait_hooks(
        loop,
        &(struct bide_wait_hooks){.before = before_wait, .after = after_wait, .data = &hooked});
    CHECK_INT(bide_loop_call_later(loop, TICKS(2), stop, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_RANGE(hooked.n_before, 1, 10);
    CHECK_INT(hooked.n_after, hooked.n_before);
    bide_loop_set_wait_hooks(loop, NULL);
    int n = hooked.n_before;
    CHECK_INT(bide_loop_call_later(loop, TICKS(1), stop, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_INT(hooked.n_before, n);
    rig_close(loop);
}

static void check_stopping_hook(bool after, int error)
{
    bide_loop *loop = rig_loop();
    struct hooked hooked = hook(loop, 1);
    hooked.stop_after_wait = after;
    hooked.error = error;
    bide_loop_set_wait_hooks(
        loop,
        &(struct bide_wait_hooks){.before = before_wait, .after = after_wait, .data = &hooked});
    if (after) /* something has to end the wait */
        CHECK_INT(bide_loop_call_later(loop, TICKS(1), checks_stack, text(""), NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), error);
    CHECK_INT(hooked.n_after, 1);
    CHECK_INT(bide_loop_call_soon(loop, stop, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    rig_close(loop);
}

BIDE_TEST(hooks_stop_the_loop)
{
    find_own_stack();
    check_stopping_hook(false, 0);
    check_stopping_hook(true, 0);
    check_stopping_hook(false, -EINTR);
    check_stopping_hook(true, -EINTR);
}
