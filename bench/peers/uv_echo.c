/*
 * The echo server on libuv: one buffer for all reads, which libuv fills and hands out at once;
 * answers are tried first and copied only if the socket is full, and nothing is read until they are
 * gone.
 *
 *     uv_echo echo|line BUFFER_BYTES
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct peer {
    uv_tcp_t tcp;
    uv_write_t write;
    char *rest; /* what the socket had no room for */
    char *line; /* that has begun; NULL: none */
    size_t line_size;
};

static bool by_line;
static size_t buffer_bytes;
static char *buffer;

static void peer_free(uv_handle_t *handle)
{
    struct peer *peer = handle->data;
    free(peer->rest);
    free(peer->line);
    free(peer);
}

static void start_reading(struct peer *peer);

static void written(uv_write_t *write, int status)
{
    struct peer *peer = write->data;
    free(peer->rest);
    peer->rest = NULL;
    if (status == 0)
        start_reading(peer);
    else if (!uv_is_closing((uv_handle_t *)&peer->tcp))
        uv_close((uv_handle_t *)&peer->tcp, peer_free);
}

static void answer(struct peer *peer, const char *bytes, size_t size)
{
    uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)size);
    int n = uv_try_write((uv_stream_t *)&peer->tcp, &buf, 1);
    if (n == (int)size)
        return;
    if (n < 0 && n != UV_EAGAIN) {
        uv_close((uv_handle_t *)&peer->tcp, peer_free);
        return;
    }
    size_t sent = n < 0 ? 0 : (size_t)n;
    peer->rest = malloc(size - sent);
    memcpy(peer->rest, bytes + sent, size - sent);
    buf = uv_buf_init(peer->rest, (unsigned)(size - sent));
    peer->write.data = peer;
    uv_read_stop((uv_stream_t *)&peer->tcp);
    uv_write(&peer->write, (uv_stream_t *)&peer->tcp, &buf, 1, written);
}

/* All whole lines go out at once, found one by one; what has begun is kept and comes first. */
static void answer_lines(struct peer *peer, size_t n)
{
    size_t size = peer->line_size + n, whole = 0;
    for (char *end; (end = memchr(buffer + whole, '\n', size - whole));)
        whole = (size_t)(end + 1 - buffer);
    peer->line_size = size - whole;
    if (peer->line_size > 0 && !peer->line)
        peer->line = malloc(buffer_bytes);
    if (peer->line_size > 0)
        memcpy(peer->line, buffer + whole, peer->line_size);
    if (whole > 0)
        answer(peer, buffer, whole);
}

static void give_buffer(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct peer *peer = handle->data;
    (void)hint;
    if (peer->line_size > 0)
        memcpy(buffer, peer->line, peer->line_size);
    *buf = uv_buf_init(buffer + peer->line_size, (unsigned)(buffer_bytes - peer->line_size));
}

static void came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *peer = stream->data;
    (void)buf;
    if (n < 0)
        uv_close((uv_handle_t *)stream, peer_free);
    else if (n > 0 && by_line)
        answer_lines(peer, (size_t)n);
    else if (n > 0)
        answer(peer, buffer, (size_t)n);
}

static void start_reading(struct peer *peer)
{
    uv_read_start((uv_stream_t *)&peer->tcp, give_buffer, came);
}

static void connected(uv_stream_t *listener, int status)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (status < 0 || !peer)
        abort();
    uv_tcp_init(listener->loop, &peer->tcp);
    peer->tcp.data = peer;
    if (uv_accept(listener, (uv_stream_t *)&peer->tcp) < 0) {
        uv_close((uv_handle_t *)&peer->tcp, peer_free);
        return;
    }
    uv_tcp_nodelay(&peer->tcp, 1);
    start_reading(peer);
}

static void stop(uv_signal_t *signal, int number)
{
    (void)number;
    uv_stop(signal->loop);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    uv_signal_t end;
    struct sockaddr_in address;
    int size = sizeof address;
    if (argc != 3)
        return 2;
    by_line = strcmp(argv[1], "line") == 0;
    buffer_bytes = strtoul(argv[2], NULL, 10);
    buffer = malloc(buffer_bytes);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &listener);
    if (!buffer || uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) < 0 ||
        uv_listen((uv_stream_t *)&listener, 4096, connected) < 0)
        return 1;
    uv_signal_init(loop, &end);
    uv_signal_start(&end, stop, SIGTERM);
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT) < 0;
}
