/* The event loop without tasks: callbacks soon and later, a watched pipe, a signal, and a loop that
 * is run by hand. */
#include <bide.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int say(void *text)
{
    printf("%s\n", (const char *)text);
    return 0;
}

static int read_pipe(void *data)
{
    char text[32];
    int *ends = data;
    ssize_t n = read(ends[0], text, sizeof text);
    printf("the pipe says: %.*s\n", (int)n, text);
    bide_loop_remove_reader(bide_loop_current(), ends[0]);
    raise(SIGUSR1);
    return 0;
}

static int on_signal(void *data)
{
    (void)data;
    printf("the signal ends the run with an error\n");
    return bide_loop_stop_with(bide_loop_current(), -EINTR);
}

static int write_pipe(void *data)
{
    int *ends = data;
    return write(ends[1], "hello", 5) == 5 ? 0 : -EIO;
}

int main(void)
{
    bide_loop *loop;
    bide_handle *never;
    int ends[2];
    if (pipe(ends) < 0 || bide_loop_new(NULL, &loop) < 0)
        return 1;
    double now = bide_loop_time(loop);
    bide_loop_call_at(loop, now + 0.02, write_pipe, ends, NULL, NULL);
    bide_loop_call_later(loop, 0.01, say, "later", NULL, NULL);
    bide_loop_call_soon(loop, say, "soon", NULL, NULL);
    bide_loop_call_soon(loop, say, "never", NULL, &never);
    bide_handle_cancel(never);
    bide_handle_free(never);
    bide_loop_add_reader(loop, ends[0], read_pipe, ends, NULL);
    bide_loop_add_signal_handler(loop, SIGUSR1, on_signal, NULL, NULL);

    printf("run_forever: %s\n", bide_strerror(bide_loop_run_forever(loop)));

    bide_loop_call_soon(loop, say, "the loop is usable again", NULL, NULL);
    bide_loop_stop(loop); /* before the run: exactly one turn */
    printf("run_forever: %s\n", bide_strerror(bide_loop_run_forever(loop)));
    close(ends[0]);
    close(ends[1]);
    return bide_loop_close(loop) < 0;
}
