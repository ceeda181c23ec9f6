/*
 * Child processes: started, waited for, signalled, ended. The invariants stand in process.h.
 */
#include "io/process/process.h"

#include "base/time.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { GRACE_SECONDS_DEFAULT = 5 };

static void unref(bide_process *process)
{
    if (--process->refs > 0)
        return;
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++)
        free(process->collected[i].data);
    free(process->fed);
    bide__loop_unref(process->loop);
    free(process);
}

void bide__process_leave(bide_process *process)
{
    process->inside--;
    unref(process);
}

static const struct bide_engine_ops *ops_of(const bide_process *process)
{
    return process->process->engine->ops;
}

/* The engine's part is over; its reference goes. */
static void give_back(bide_process *process)
{
    process->process = NULL;
    bide__list_remove(&process->resource.node);
    unref(process);
}

static void close_streams(bide_process *process)
{
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++) {
        bide_abort(process->streams[i]);
        bide_close(process->streams[i]);
        process->streams[i] = NULL;
    }
}

static void linger_end(bide_process *process)
{
    if (!process->lingering)
        return;
    process->lingering = false;
    process->loop->n_lingering--;
    close_streams(process);
}

/* The child has ended, and its owner has given it up. */
static void finish(bide_process *process)
{
    bide__timer_cancel(process->loop->timers, &process->grace);
    linger_end(process);
    ops_of(process)->process_close(process->process);
    give_back(process);
}

static void process_ended(void *data)
{
    bide_process *process = data;
    process->ended = true;
    process->end = process->process->end;
    bide__line_give_all(&process->waiters, 0);
    if (process->lingering)
        finish(process);
}

/* The tasks that were inside are gone. */
static void abandon(bide_process *process)
{
    process->refs -= process->inside;
    process->inside = 0;
}

static void end_with_loop(bide_process *process)
{
    abandon(process);
    if (!process->ended)
        process->error = -ECONNABORTED;
    if (process->lingering)
        process->loop->n_lingering--;
    process->lingering = false;
}

/* The loop closes. */
static void process_drop(struct bide__resource *resource)
{
    bide_process *process = bide__container(resource, bide_process, resource);
    end_with_loop(process);
    bide__timer_cancel(process->loop->timers, &process->grace);
    ops_of(process)->process_close(process->process);
    give_back(process);
}

/* The child is the parent's. */
static void process_forget(struct bide__resource *resource)
{
    bide_process *process = bide__container(resource, bide_process, resource);
    end_with_loop(process);
    ops_of(process)->process_forget(process->process);
    give_back(process);
}

static void grace_over(struct bide__timer *timer)
{
    bide_process_kill(bide__container(timer, bide_process, grace));
}

/* Starting */

static bool stdio_valid(const struct bide_process_opts *opts)
{
    const struct bide_stdio *all[] = {&opts->input, &opts->output, &opts->errors};
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++) {
        int last = i == 2 ? BIDE_STDIO_OUTPUT : BIDE_STDIO_FD;
        if ((int)all[i]->kind < 0 || (int)all[i]->kind > last)
            return false;
    }
    return true;
}

static enum bide_child_stdio kind_of(enum bide_stdio_kind kind)
{
    switch (kind) {
    case BIDE_STDIO_PIPE:
        return BIDE_CHILD_PIPE;
    case BIDE_STDIO_NULL:
        return BIDE_CHILD_NULL;
    case BIDE_STDIO_FD:
        return BIDE_CHILD_FD;
    case BIDE_STDIO_OUTPUT:
        return BIDE_CHILD_OUTPUT;
    case BIDE_STDIO_INHERIT:
        break;
    }
    return BIDE_CHILD_INHERIT;
}

static int process_new(bide_loop *loop, const struct bide_process_opts *opts,
                       bide_process **ret_process)
{
    bide_process *process = calloc(1, sizeof *process);
    if (!process)
        return -ENOMEM;
    process->loop = bide__loop_ref(loop);
    process->refs = 1;
    process->resource.drop = process_drop;
    process->resource.forget = process_forget;
    process->grace_seconds = opts->grace_seconds > 0 ? opts->grace_seconds : GRACE_SECONDS_DEFAULT;
    bide__list_init(&process->resource.node);
    bide__line_init(&process->waiters);
    bide__timer_init(&process->grace, grace_over);
    const struct bide_stdio *stdio[] = {&opts->input, &opts->output, &opts->errors};
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++) {
        enum bide_direction direction = i == 0 ? BIDE_OUTPUT : BIDE_INPUT;
        int rc = stdio[i]->kind == BIDE_STDIO_PIPE
                     ? bide__stream_new_plain(loop, &opts->stream, direction, &process->streams[i])
                     : 0;
        if (rc < 0) {
            while (i-- > 0)
                if (process->streams[i])
                    bide__stream_unref(process->streams[i]);
            unref(process);
            return rc;
        }
    }
    *ret_process = process;
    return 0;
}

static void words(int rc, enum bide_child_step step, const struct bide_child_start *start)
{
    if (step == BIDE_CHILD_STEP_PROGRAM)
        bide__detail_set(rc, "program %s", start->arguments[0]);
    else if (step == BIDE_CHILD_STEP_DIRECTORY)
        bide__detail_set(rc, "directory %s", start->directory);
    else if (step == BIDE_CHILD_STEP_STDIO)
        bide__detail_set(rc, "preparing the child for %s", start->arguments[0]);
}

/* With everything that needs memory already there. */
static int process_start(bide_process *process, const struct bide_child_start *start)
{
    struct bide_sock *socks[BIDE_CHILD_STDIO_COUNT];
    enum bide_child_step step;
    struct bide_engine *engine = process->loop->engine;
    int rc = engine->ops->process_start(engine, start, process_ended, process, socks, &step,
                                        &process->process);
    if (rc < 0) {
        words(rc, step, start);
        return rc;
    }
    for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++)
        if (process->streams[i])
            bide__stream_take_sock(process->streams[i], socks[i]);
    process->pid = process->process->pid;
    process->refs++;
    bide__list_append(&process->loop->resources, &process->resource.node);
    return 0;
}

int bide_process_exec(const char *const *arguments, const struct bide_process_opts *opts,
                      bide_process **ret_process)
{
    static const struct bide_process_opts defaults;
    bide_process *process = NULL;
    bide_loop *loop = bide__loop_running;
    opts = opts ? opts : &defaults;
    if (!arguments || !arguments[0] || !ret_process || !stdio_valid(opts) ||
        !(opts->grace_seconds >= 0))
        return -EINVAL;
    int rc = bide__loop_open(loop);
    if (rc == 0)
        rc = process_new(loop, opts, &process);
    if (rc < 0)
        return rc;
    assert(process);
    struct bide_child_start start = {
        .arguments = arguments,
        .environment = opts->environment,
        .directory = opts->directory,
        .stdio = {{kind_of(opts->input.kind), opts->input.fd},
                  {kind_of(opts->output.kind), opts->output.fd},
                  {kind_of(opts->errors.kind), opts->errors.fd}},
        .new_group = opts->new_group,
        .new_session = opts->new_session,
    };
    rc = process_start(process, &start);
    if (rc < 0) {
        for (int i = 0; i < BIDE_CHILD_STDIO_COUNT; i++)
            if (process->streams[i])
                bide__stream_unref(process->streams[i]);
        unref(process);
        return rc;
    }
    *ret_process = process;
    return 0;
}

int bide_process_shell(const char *command, const struct bide_process_opts *opts,
                       bide_process **ret_process)
{
    const char *const arguments[] = {"/bin/sh", "-c", command, NULL};
    return command ? bide_process_exec(arguments, opts, ret_process) : -EINVAL;
}

/* What there is to know */

bide_stream *bide_process_input(const bide_process *process)
{
    return process ? process->streams[0] : NULL;
}

bide_stream *bide_process_output(const bide_process *process)
{
    return process ? process->streams[1] : NULL;
}

bide_stream *bide_process_errors(const bide_process *process)
{
    return process ? process->streams[2] : NULL;
}

int bide_process_pid(const bide_process *process)
{
    return process ? process->pid : -EINVAL;
}

/* Of one that has ended. */
static int tell(const bide_process *process, struct bide_exit *ret_exit)
{
    if (process->end.error < 0)
        return process->end.error;
    if (ret_exit)
        *ret_exit = (struct bide_exit){process->end.status, process->end.signal,
                                       process->end.dumped_core};
    return 0;
}

static const struct bide__wait_kind exit_wait = {.name = "process",
                                                 .interrupt = bide__line_interrupt};

int bide_process_wait(bide_process *process, struct bide_exit *ret_exit)
{
    struct bide__coro *coro;
    int rc = process ? bide__suspend(&coro) : -EINVAL;
    if (rc == 0 && !process->ended)
        rc = process->error;
    if (rc < 0)
        return rc;
    bide__process_enter(process);
    if (!process->ended)
        rc = bide__line_wait(&process->waiters, coro, &exit_wait, process);
    if (rc == 0)
        rc = tell(process, ret_exit);
    bide__process_leave(process);
    return rc;
}

int bide_process_poll(bide_process *process, struct bide_exit *ret_exit)
{
    if (!process)
        return -EINVAL;
    if (!process->ended && process->error < 0)
        return process->error;
    if (!process->ended && !ops_of(process)->process_look(process->process))
        return 0;
    if (!process->ended)
        process->end = process->process->end;
    int rc = tell(process, ret_exit);
    return rc < 0 ? rc : 1;
}

/* Signals */

int bide_process_signal(bide_process *process, int signo)
{
    if (!process || signo < 0)
        return -EINVAL;
    if (process->ended || !process->process)
        return -ESRCH;
    return ops_of(process)->process_signal(process->process, signo);
}

int bide_process_terminate(bide_process *process)
{
    return bide_process_signal(process, SIGTERM);
}

int bide_process_kill(bide_process *process)
{
    return bide_process_signal(process, SIGKILL);
}

/* The end */

static void close_interrupt(struct bide__coro *coro)
{
    bide__scope_mark_delivered(coro);
    bide_process_kill(coro->wait_data);
}

static const struct bide__wait_kind close_wait = {.name = "process's end",
                                                  .interrupt = close_interrupt};

/* Asks it to end, and sees to it that it does. */
static void end_begin(bide_process *process)
{
    bide_loop *loop = process->loop;
    bide_process_terminate(process);
    bide_abort(process->streams[0]);
    int64_t kill_ns = bide__deadline_ns(bide__loop_now_ns(loop), process->grace_seconds);
    if (kill_ns != BIDE__NEVER)
        bide__timer_set(loop->timers, &process->grace, kill_ns);
}

int bide_process_close(bide_process *process)
{
    if (!process)
        return 0;
    struct bide__coro *coro = bide__coro_current();
    int rc = process->error;
    process->inside++; /* the owner's handle is this call's now */
    if (process->process && !process->ended) {
        end_begin(process);
        if (coro) {
            bide__line_wait(&process->waiters, coro, &close_wait, process);
        } else {
            process->lingering = true;
            process->loop->n_lingering++;
        }
    }
    if (!process->lingering) {
        rc = process->ended ? tell(process, NULL) : process->error;
        close_streams(process);
        if (process->process)
            finish(process);
    }
    bide__process_leave(process);
    return rc;
}
