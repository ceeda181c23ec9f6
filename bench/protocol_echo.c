/*
 * bide's echo server of transports and protocols for bench/run.py: the same as echo_server.c, and
 * no task. BIDE_ENGINE chooses the engine. BUFFERED in the environment: the protocols receive into
 * buffers of their own.
 */
#include <bide.h>

#include <signal.h>

#include "echo_options.h"

struct echo {
    bide_transport *transport;
    size_t n_held; /* of a line that has begun */
    char buffer[];
};

static struct echo_options options;

static void made(void *data, bide_transport *transport)
{
    struct echo *echo = data;
    echo->transport = transport;
}

static void received(void *data, const void *bytes, size_t size)
{
    struct echo *echo = data;
    bide_transport_write(echo->transport, bytes, size);
}

static void hold(struct echo *echo, const char *bytes, size_t size)
{
    if (size > options.buffer_bytes - echo->n_held) {
        bide_transport_abort(echo->transport);
        return;
    }
    memcpy(echo->buffer + echo->n_held, bytes, size);
    echo->n_held += size;
}

/* Each line is a write of its own, as an answer to it would be. */
static void received_lines(void *data, const void *bytes, size_t size)
{
    struct echo *echo = data;
    const char *at = bytes, *last = at + size, *end;
    while ((end = memchr(at, '\n', (size_t)(last - at)))) {
        size_t n = (size_t)(end + 1 - at);
        if (echo->n_held > 0) {
            hold(echo, at, n);
            bide_transport_write(echo->transport, echo->buffer, echo->n_held);
            echo->n_held = 0;
        } else {
            bide_transport_write(echo->transport, at, n);
        }
        at += n;
    }
    hold(echo, at, (size_t)(last - at));
}

static void *get_buffer(void *data, size_t hint, size_t *ret_size)
{
    struct echo *echo = data;
    (void)hint;
    *ret_size = options.buffer_bytes;
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

static const struct bide_protocol plain = {.connection_made = made,
                                           .data_received = received,
                                           .pause_writing = pause_writing,
                                           .resume_writing = resume_writing};
static const struct bide_protocol lines = {.connection_made = made,
                                           .data_received = received_lines,
                                           .pause_writing = pause_writing,
                                           .resume_writing = resume_writing};
static const struct bide_protocol buffered = {.connection_made = made,
                                              .get_buffer = get_buffer,
                                              .buffer_updated = buffer_updated,
                                              .pause_writing = pause_writing,
                                              .resume_writing = resume_writing};

static int make_echo(void *data, struct bide_party *ret_party)
{
    const struct bide_protocol *protocol = data;
    size_t room = protocol == &plain ? 0 : options.buffer_bytes;
    struct echo *echo = malloc(sizeof *echo + room);
    if (!echo)
        return -1;
    echo->n_held = 0;
    ret_party->data = echo;
    ret_party->protocol = protocol;
    ret_party->drop = free;
    return 0;
}

static int stop(void *loop)
{
    bide_loop_stop(loop);
    return 0;
}

static int serve(bide_loop *loop)
{
    bide_server *server;
    const struct bide_server_opts opts = {.backlog = 4096};
    const struct bide_protocol *protocol = options.by_line      ? &lines
                                           : getenv("BUFFERED") ? &buffered
                                                                : &plain;
    int rc = bide_loop_listen(loop, "127.0.0.1", 0, &opts, make_echo, (void *)protocol, NULL,
                              &server);
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
    options = echo_options(argc, argv);
    if (bide_loop_new(NULL, &loop) < 0)
        return 2;
    int rc = serve(loop);
    bide_loop_close(loop);
    return rc < 0;
}
