/* Opening and closing a terminal, its mode and its size; the invariants stand in terminal.h. */
#include "io/terminal/terminal.h"

#include <bide/pipe.h>

#include <stdlib.h>
#include <unistd.h>

enum { HISTORY_DEFAULT = 500, LINE_BYTES_DEFAULT = 4096, LINE_BYTES_MAX = 1024 * 1024 };
enum { OUTPUT_BYTES_MIN = 64 * 1024 };
#define ESCAPE_SECONDS_DEFAULT 0.05

static int valid_opts(const struct bide_terminal_opts *opts, struct bide_terminal_opts *ret_opts)
{
    struct bide_terminal_opts all = opts ? *opts : (struct bide_terminal_opts){0};
    if ((int)all.mode < BIDE_TERMINAL_LINE || all.mode > BIDE_TERMINAL_RAW || all.input_fd < 0 ||
        all.output_fd < 0 || all.line_bytes_max > LINE_BYTES_MAX || !(all.escape_seconds >= 0))
        return -EINVAL;
    if (all.output_fd == 0)
        all.output_fd = STDOUT_FILENO;
    if (all.history_max == 0)
        all.history_max = HISTORY_DEFAULT;
    if (all.no_history)
        all.history_max = 0;
    if (all.line_bytes_max == 0)
        all.line_bytes_max = LINE_BYTES_DEFAULT;
    if (all.escape_seconds == 0)
        all.escape_seconds = ESCAPE_SECONDS_DEFAULT;
    *ret_opts = all;
    return 0;
}

static void unref(bide_terminal *terminal)
{
    if (--terminal->refs > 0)
        return;
    bide__line_edit_fini(&terminal->edit);
    bide__text_fini(&terminal->prompt);
    bide__text_fini(&terminal->screen);
    bide__loop_unref(terminal->loop);
    free(terminal);
}

void bide__terminal_leave(bide_terminal *terminal)
{
    terminal->inside--;
    unref(terminal);
}

void bide__terminal_leave_with(bide_terminal *terminal, unsigned flag, bool on)
{
    terminal->leave = on ? terminal->leave | flag : terminal->leave & ~flag;
    if (terminal->tty)
        bide__tty_leave_with(terminal->tty, terminal->leave);
}

/* Gives the device back; its reference is the caller's then. */
static void release(bide_terminal *terminal)
{
    terminal->loop->engine->ops->watch_close(terminal->watch);
    bide__tty_close(terminal->tty);
    terminal->tty = NULL;
    terminal->watch = NULL;
    bide__list_remove(&terminal->resource.node);
}

/* The tasks that were inside are gone. */
static void abandon(bide_terminal *terminal)
{
    terminal->refs -= terminal->inside;
    terminal->inside = 0;
    terminal->error = -ECONNABORTED;
    bide__line_init(&terminal->sizes);
}

/* The loop closes. */
static void terminal_drop(struct bide__resource *resource)
{
    bide_terminal *terminal = bide__container(resource, bide_terminal, resource);
    abandon(terminal);
    release(terminal);
    unref(terminal);
}

static void terminal_forget(struct bide__resource *resource)
{
    bide_terminal *terminal = bide__container(resource, bide_terminal, resource);
    abandon(terminal);
    bide__tty_forget(terminal->tty);
    terminal->tty = NULL;
    terminal->watch = NULL;
    bide__list_remove(&resource->node);
    unref(terminal);
}

/* The device has something to tell. */
static void device_event(void *data, unsigned events)
{
    bide_terminal *terminal = data;
    (void)events;
    unsigned what = bide__tty_take_events(terminal->tty);
    if (what & BIDE__TTY_CONTINUED)
        terminal->view.drawn = false;
    if (what != 0)
        bide__terminal_show(terminal);
    if (what & BIDE__TTY_RESIZED)
        bide__line_give_all(&terminal->sizes, 0);
}

static int open_streams(bide_terminal *terminal, int in, int out)
{
    struct bide_stream_opts opts = {.write_high_bytes = OUTPUT_BYTES_MIN +
                                                        4 * terminal->opts.line_bytes_max};
    int rc = bide_input(in, NULL, &terminal->in);
    if (rc < 0)
        return rc;
    rc = bide_output(out, &opts, &terminal->out);
    if (rc < 0) {
        bide_close(terminal->in);
        terminal->in = NULL;
    }
    return rc;
}

static void close_streams(bide_terminal *terminal)
{
    bide_abort(terminal->in);
    bide_close(terminal->in);
    bide_abort(terminal->out);
    bide_close(terminal->out);
}

static int open_device(bide_terminal *terminal, int in, int out)
{
    struct bide_engine *engine = terminal->loop->engine;
    int rc = bide__tty_open(in, out, &terminal->tty);
    if (rc < 0)
        return rc;
    rc = engine->ops->watch_open(engine, bide__tty_event_fd(terminal->tty), BIDE_WATCH_READ,
                                 device_event, terminal, &terminal->watch);
    if (rc == 0) {
        rc = bide__tty_set(terminal->tty, (enum bide__tty_mode)terminal->opts.mode);
        if (rc < 0)
            engine->ops->watch_close(terminal->watch);
    }
    if (rc < 0)
        bide__tty_close(terminal->tty);
    return rc;
}

static int open_with(bide_terminal *terminal, int in, int out)
{
    int rc = open_streams(terminal, in, out);
    if (rc < 0)
        return rc;
    rc = open_device(terminal, in, out);
    if (rc < 0) {
        close_streams(terminal);
        return rc;
    }
    terminal->refs++;
    bide__list_append(&terminal->loop->resources, &terminal->resource.node);
    return 0;
}

static int open_terminal(bide_terminal *terminal)
{
    int in = terminal->opts.input_fd, out = terminal->opts.output_fd;
    bool have_in = bide__tty_is(in), have_out = bide__tty_is(out);
    if (have_in && have_out)
        return open_with(terminal, in, out);
    if (!terminal->opts.controlling)
        return -ENOTTY;
    int controlling = bide__tty_controlling();
    if (controlling < 0)
        return controlling;
    int rc = open_with(terminal, have_in ? in : controlling, have_out ? out : controlling);
    bide__tty_release(controlling);
    return rc;
}

int bide_terminal_open(const struct bide_terminal_opts *opts, bide_terminal **ret_terminal)
{
    struct bide_terminal_opts all = {0};
    bide_loop *loop = bide__loop_running;
    int rc = ret_terminal ? bide__loop_open(loop) : -EINVAL;
    if (rc == 0)
        rc = valid_opts(opts, &all);
    if (rc < 0)
        return rc;
    bide_terminal *terminal = calloc(1, sizeof *terminal);
    if (!terminal)
        return -ENOMEM;
    terminal->loop = bide__loop_ref(loop);
    terminal->refs = 1;
    terminal->opts = all;
    terminal->resource.drop = terminal_drop;
    terminal->resource.forget = terminal_forget;
    bide__line_init(&terminal->sizes);
    bide__line_edit_init(&terminal->edit, all.line_bytes_max, all.history_max);
    rc = open_terminal(terminal);
    if (rc < 0) {
        unref(terminal);
        return rc;
    }
    *ret_terminal = terminal;
    return 0;
}

int bide_terminal_close(bide_terminal *terminal)
{
    if (!terminal)
        return 0;
    terminal->inside++; /* the owner's handle is this call's now */
    terminal->error = -ECONNABORTED;
    bide__terminal_hide(terminal);
    bide__line_give_all(&terminal->sizes, -ECONNABORTED);
    bide_stream *in = terminal->in;
    bide_stream *out = terminal->out;
    terminal->in = NULL;
    terminal->out = NULL;
    bide_close(in);
    int rc = bide_close(out);
    if (terminal->tty) {
        release(terminal);
        terminal->refs--; /* not the last one: that is the handle's */
    }
    bide__terminal_leave(terminal);
    return rc;
}

int bide_terminal_set_mode(bide_terminal *terminal, enum bide_terminal_mode mode)
{
    if (!terminal || (int)mode < BIDE_TERMINAL_LINE || mode > BIDE_TERMINAL_RAW)
        return -EINVAL;
    if (terminal->error < 0)
        return terminal->error;
    if (terminal->reading)
        return -EBUSY;
    int rc = bide__tty_set(terminal->tty, (enum bide__tty_mode)mode);
    if (rc == 0)
        terminal->opts.mode = mode;
    return rc;
}

bide_stream *bide_terminal_input(const bide_terminal *terminal)
{
    return terminal && terminal->error == 0 ? terminal->in : NULL;
}

bide_stream *bide_terminal_output(const bide_terminal *terminal)
{
    return terminal && terminal->error == 0 ? terminal->out : NULL;
}

/* The size */

int bide_terminal_size(const bide_terminal *terminal, unsigned *ret_columns, unsigned *ret_rows)
{
    unsigned columns, rows;
    if (!terminal)
        return -EINVAL;
    if (terminal->error < 0)
        return terminal->error;
    bide__tty_size(terminal->tty, &columns, &rows);
    if (ret_columns)
        *ret_columns = columns;
    if (ret_rows)
        *ret_rows = rows;
    return 0;
}

static const struct bide__wait_kind size_wait = {.name = "terminal size",
                                                 .interrupt = bide__line_interrupt};

/* Waits for another size: 0, or why there will be none. */
static int wait_size(bide_terminal *terminal, struct bide__coro *coro, unsigned *columns,
                     unsigned *rows)
{
    for (;;) {
        unsigned now_columns, now_rows;
        bide__tty_size(terminal->tty, &now_columns, &now_rows);
        if (now_columns != *columns || now_rows != *rows) {
            *columns = now_columns;
            *rows = now_rows;
            return 0;
        }
        int rc = bide__cancel_check(coro);
        if (rc == 0)
            rc = bide__line_wait(&terminal->sizes, coro, &size_wait, terminal);
        if (rc < 0)
            return rc;
        if (terminal->error < 0)
            return terminal->error;
    }
}

int bide_terminal_wait_size(bide_terminal *terminal, unsigned *columns, unsigned *rows)
{
    struct bide__coro *coro;
    int rc = terminal && columns && rows ? bide__suspend(&coro) : -EINVAL;
    if (rc == 0)
        rc = terminal->error;
    if (rc < 0)
        return rc;
    bide__terminal_enter(terminal);
    rc = wait_size(terminal, coro, columns, rows);
    bide__terminal_leave(terminal);
    return rc;
}
