/* Transports and protocols: an echo server and its client as tables of callbacks, without a task.
 * The server's protocol receives into memory of its own, and stops reading while the client is slow
 * to take what is sent back. */
#include <bide.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The server: one of these for each connection. */
struct echo {
    bide_transport *transport;
    size_t n_bytes;
    char buffer[4096];
};

static void echo_made(void *data, bide_transport *transport)
{
    struct echo *echo = data;
    echo->transport = transport;
}

static void *echo_buffer(void *data, size_t hint, size_t *ret_size)
{
    struct echo *echo = data;
    (void)hint;
    *ret_size = sizeof echo->buffer;
    return echo->buffer;
}

static void echo_updated(void *data, size_t n)
{
    struct echo *echo = data;
    echo->n_bytes += n;
    bide_transport_write(echo->transport, echo->buffer, n); /* connection_lost tells what fails */
}

static void echo_pause(void *data)
{
    struct echo *echo = data;
    bide_transport_pause_reading(echo->transport);
}

static void echo_resume(void *data)
{
    struct echo *echo = data;
    bide_transport_resume_reading(echo->transport);
}

static void echo_lost(void *data, int error)
{
    struct echo *echo = data;
    printf("server: %zu bytes, then %s\n", echo->n_bytes, error < 0 ? bide_strerror(error) : "end");
}

static const struct bide_protocol echo_protocol = {
    .connection_made = echo_made,
    .get_buffer = echo_buffer,
    .buffer_updated = echo_updated,
    .connection_lost = echo_lost,
    .pause_writing = echo_pause,
    .resume_writing = echo_resume,
};

static int make_echo(void *data, struct bide_party *ret_party)
{
    (void)data;
    struct echo *echo = calloc(1, sizeof *echo);
    if (!echo)
        return -1;
    ret_party->protocol = &echo_protocol;
    ret_party->data = echo;
    ret_party->drop = free;
    return 0;
}

/* The client says three things, ends its side, and hears them again. */
struct client {
    bide_server *server;
    char heard[64];
    size_t n_heard;
};

static void client_made(void *data, bide_transport *transport)
{
    (void)data;
    printf("client: connected\n");
    bide_transport_write(transport, "ebb, ", 5);
    bide_transport_write(transport, "slack, ", 7);
    bide_transport_write(transport, "flood", 5);
    bide_transport_write_eof(transport);
}

static void client_failed(void *data, int error)
{
    struct client *client = data;
    printf("client: %s\n", bide_strerror(error));
    bide_server_close(client->server);
}

static void client_received(void *data, const void *bytes, size_t size)
{
    struct client *client = data;
    if (size > sizeof client->heard - client->n_heard)
        size = sizeof client->heard - client->n_heard;
    memcpy(client->heard + client->n_heard, bytes, size);
    client->n_heard += size;
}

static void client_lost(void *data, int error)
{
    struct client *client = data;
    printf("client: heard \"%.*s\"\n", (int)client->n_heard, client->heard);
    if (error < 0)
        printf("client: %s\n", bide_strerror(error));
    bide_server_close(client->server);
}

static const struct bide_protocol client_protocol = {
    .connection_made = client_made,
    .connection_failed = client_failed,
    .data_received = client_received,
    .connection_lost = client_lost,
};

/* The server is closed and has no connection any more. */
static void server_done(void *loop)
{
    printf("server: done\n");
    bide_loop_stop(loop);
}

int main(void)
{
    bide_loop *loop;
    struct client client = {0};
    if (bide_loop_new(NULL, &loop) < 0)
        return 1;
    int rc = bide_loop_listen(loop, "127.0.0.1", 0, NULL, make_echo, loop, server_done,
                              &client.server);
    if (rc == 0) {
        rc = bide_loop_connect(loop, "127.0.0.1", bide_server_port(client.server), NULL,
                               &client_protocol, &client, NULL, NULL);
        if (rc == 0)
            rc = bide_loop_run_forever(loop);
        bide_server_free(client.server);
    }
    bide_loop_close(loop);
    return rc < 0;
}
