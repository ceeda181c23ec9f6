/*
 * bide's echo server for bench/echo.py: the same report as the raw loops. A task per connection,
 * which reads and writes.
 *
 *     echo_server [-k cpu] [-s message-bytes]      BIDE_ENGINE chooses the engine
 */
#include <bide.h>

#include <signal.h>
#include <stdlib.h>

#include "echo_report.h"

/* A full buffer says nothing, and costs a read more (docs/decisions/full-reads.md): as in the raw
 * loops there is room behind a message. */
enum { ROOM_BYTES = 4096 };

static size_t message_bytes;

static int echo_with(bide_stream *stream, char *buffer, size_t size)
{
    int n;
    while ((n = bide_read(stream, buffer, size)) > 0) {
        n_bytes += n;
        int rc = bide_write(stream, buffer, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static int echo(bide_stream *stream, void *data)
{
    size_t size = message_bytes + ROOM_BYTES;
    char *buffer = malloc(size);
    (void)data;
    int rc = buffer ? echo_with(stream, buffer, size) : -1;
    free(buffer);
    return rc;
}

static int stop(void *server)
{
    bide_server_close(server);
    return 0;
}

bide_async(serve)
{
    bide_server *server;
    int rc = bide_serve("127.0.0.1", 0, echo, NULL, NULL, &server);
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
    double size = echo_options(argc, argv);
    if (size == 0)
        return 2;
    message_bytes = (size_t)size;
    int status = bide_run(serve);
    report(size);
    return status;
}
