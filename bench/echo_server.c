/* bide's echo server for bench/run.py: a task per connection, which reads and writes bytes, or
 * lines. BIDE_ENGINE chooses the engine. */
#include <bide.h>

#include <errno.h>
#include <signal.h>

#include "echo_options.h"

static struct echo_options options;

/* For all connections: bide_read() leaves it alone while it waits. */
static char *shared;

/* The peer takes no more for now: what was read is to stay while others read. */
static int write_copy(bide_stream *stream, size_t size)
{
    char *copy = malloc(size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, shared, size);
    int rc = bide_write(stream, copy, size);
    free(copy);
    return rc;
}

static int echo(bide_stream *stream, void *data)
{
    int n;
    (void)data;
    while ((n = bide_read(stream, shared, options.buffer_bytes)) > 0) {
        int rc = bide_offer(stream, shared, (size_t)n);
        if (rc == -EAGAIN)
            rc = write_copy(stream, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

/* The byte behind a line is the NUL in the place of its newline, which goes out again. */
static int echo_lines(bide_stream *stream, void *data)
{
    char *line;
    int n;
    (void)data;
    while ((n = bide_read_line(stream, &line)) > 0) {
        line[n - 1] = '\n';
        int rc = bide_write(stream, line, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static int stop(void *server)
{
    bide_server_close(server);
    return 0;
}

bide_async(serve)
{
    bide_server *server;
    const struct bide_server_opts opts = {.backlog = 4096};
    int rc = bide_serve("127.0.0.1", 0, options.by_line ? echo_lines : echo, NULL, &opts, &server);
    if (rc < 0)
        return rc;
    bide_loop_add_signal_handler(bide_loop_current(), SIGTERM, stop, server, NULL);
    say_port(bide_server_port(server));
    rc = bide_server_forever(server);
    bide_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    options = echo_options(argc, argv);
    shared = malloc(options.buffer_bytes);
    if (!shared)
        return 1;
    int status = bide_run(serve);
    free(shared);
    return status;
}
