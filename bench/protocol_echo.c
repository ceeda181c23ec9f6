/*
 * bide's echo server of transports and protocols for bench/echo.py: the same report as the raw
 * loops and echo_server.c, and no task.
 *
 *     protocol_echo [-b] [-k cpu] [-s message-bytes]      BIDE_ENGINE chooses the engine
 *
 * -b: the protocols receive into buffers of their own.
 */
#include <bide.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "echo_report.h"

enum { BUFFER_BYTES = 80 * 1024 };

struct echo {
    bide_transport *transport;
    char buffer[];
};

static bool is_buffered;

static void made(void *data, bide_transport *transport)
{
    struct echo *echo = data;
    echo->transport = transport;
}

static void received(void *data, const void *bytes, size_t size)
{
    struct echo *echo = data;
    n_bytes += (double)size;
    bide_transport_write(echo->transport, bytes, size);
}

static void *get_buffer(void *data, size_t hint, size_t *ret_size)
{
    struct echo *echo = data;
    (void)hint;
    *ret_size = BUFFER_BYTES;
    return echo->buffer;
}

static void buffer_updated(void *data, size_t n)
{
    struct echo *echo = data;
    received(data, echo->buffer, n);
}

static void pause_writing(void *data)
{
    struct echo *echo = data;
    bide_transport_pause_reading(echo->transport);
}

static void resume_writing(void *data)
{
    struct echo *echo = data;
    bide_transport_resume_reading(echo->transport);
}

static const struct bide_protocol protocols[2] = {
    {.connection_made = made,
     .data_received = received,
     .pause_writing = pause_writing,
     .resume_writing = resume_writing},
    {.connection_made = made,
     .get_buffer = get_buffer,
     .buffer_updated = buffer_updated,
     .pause_writing = pause_writing,
     .resume_writing = resume_writing},
};

static int make_echo(void *data, struct bide_party *ret_party)
{
    (void)data;
    ret_party->data = malloc(sizeof(struct echo) + (is_buffered ? BUFFER_BYTES : 0));
    ret_party->protocol = &protocols[is_buffered];
    ret_party->drop = free;
    return ret_party->data ? 0 : -1;
}

static int stop(void *loop)
{
    bide_loop_stop(loop);
    return 0;
}

static int serve(bide_loop *loop)
{
    bide_server *server;
    int rc = bide_loop_listen(loop, "127.0.0.1", 0, NULL, make_echo, NULL, NULL, &server);
    if (rc < 0)
        return rc;
    bide_loop_add_signal_handler(loop, SIGTERM, stop, loop, NULL);
    say_port(bide_server_port(server));
    rc = bide_loop_run_forever(loop);
    bide_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    bide_loop *loop;
    is_buffered = argc > 1 && argv[1][0] == '-' && argv[1][1] == 'b';
    if (is_buffered) {
        argc--;
        argv++;
    }
    double message_bytes = echo_options(argc, argv);
    if (message_bytes == 0 || bide_loop_new(NULL, &loop) < 0)
        return 2;
    int rc = serve(loop);
    bide_loop_close(loop);
    report(message_bytes);
    return rc < 0;
}
