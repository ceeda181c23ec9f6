/*
 * An echo server: what a client sends comes back, until it says `boom`, which fails its own
 * connection and no other.
 *
 *     echo_server [port]      then: nc 127.0.0.1 PORT
 */
#include <bide.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int echo(bide_stream *stream, void *data)
{
    char buffer[16 * 1024];
    int n;
    (void)data;
    while ((n = bide_read(stream, buffer, sizeof buffer)) > 0) {
        if (n == 5 && memcmp(buffer, "boom\n", 5) == 0)
            return -EPROTO;
        int rc = bide_write(stream, buffer, (size_t)n);
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

bide_async(serve, (unsigned, port))
{
    bide_server *server;
    int rc = bide_serve("127.0.0.1", port, echo, NULL, NULL, &server);
    if (rc < 0)
        return rc;
    bide_loop *loop = bide_loop_current();
    bide_loop_add_signal_handler(loop, SIGINT, stop, server, NULL);
    bide_loop_add_signal_handler(loop, SIGTERM, stop, server, NULL);
    printf("listening on 127.0.0.1:%u\n", bide_server_port(server));
    fflush(stdout);
    rc = bide_server_forever(server);
    if (rc == 0 && bide_within(2, bide_server_wait_closed(server)) == -ETIMEDOUT)
        bide_server_cancel(server);
    bide_loop_remove_signal_handler(loop, SIGINT);
    bide_loop_remove_signal_handler(loop, SIGTERM);
    bide_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    return bide_run(serve, port);
}
