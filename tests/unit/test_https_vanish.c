/*
 * Scenario: clients that vanish behind every byte that they send: of a TLS handshake and of the
 * records of a request with a body, of a WebSocket's handshake and frames, of those within TLS;
 * orderly and by a reset; more than a thousand of them.
 * Claim: nothing is left of any of them, no connection, task, descriptor or report, and who comes
 * next is served.
 */
#include "https_rig.h"

#include <bide/websocket.h>

static int echo(bide_http_request *request, void *data)
{
    char *body;
    (void)data;
    int n = bide_http_read_all(request, 0, &body);
    return n < 0 ? n : bide_http_reply(request, 200, "text/plain", body, (size_t)n);
}

static int talks(bide_http_request *request, void *data)
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    (void)data;
    int rc = bide_websocket_accept(request, NULL, &ws);
    if (rc < 0)
        return rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0)
        if ((rc = bide_websocket_send(ws, message.type, message.data, message.size)) < 0)
            break;
    bide_websocket_free(ws);
    return rc;
}

static void app(void)
{
    http_app();
    http_route("POST", "/echo", echo);
    http_route("GET", "/ws", talks);
}

/* A way to the server that passes on so many bytes of the client's and then ends. */
static struct way {
    size_t left;
    size_t passed;
    bool resets;
    unsigned port;
} way;

bide_async(passes_back, (bide_stream *, from), (bide_stream *, to))
{
    char bytes[4096];
    int rc;
    while ((rc = bide_read(from, bytes, sizeof bytes)) > 0 &&
           bide_write(to, bytes, (size_t)rc) == 0)
        ;
    return 0;
}

static int pass_on(bide_stream *client, void *data)
{
    char bytes[4096];
    bide_stream *server;
    int rc = bide_connect("127.0.0.1", way.port, NULL, &server);
    (void)data;
    CHECK_INT(rc, 0);
    bide_task *back = bide_spawn(passes_back, server, client);
    while (way.left > 0) {
        rc = bide_read(client, bytes, way.left < sizeof bytes ? way.left : sizeof bytes);
        if (rc <= 0)
            break;
        way.left -= (size_t)rc;
        way.passed += (size_t)rc;
        if (bide_write(server, bytes, (size_t)rc) < 0)
            break;
    }
    if (way.resets && bide_drain(server) == 0)
        bide_abort(server);
    bide_close(server);
    bide_cancel_join(&back, 1);
    bide_abort(client);
    return 0;
}

static const char request[] =
    "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"
    "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    "\x01\x83\1\2\3\4``g" /* "abd" in parts: */
    "\x89\x81\1\2\3\4q"   /* a ping between, */
    "\x80\x81\0\0\0\0e"   /* the rest, */
    "\x82\xfe\0\x7e\1\1\1\1"
    "................................" /* a long head, */
    "...............................................................................";

/* All of it in three writes, and what is answered until the end. */
static void talk(unsigned port)
{
    bide_stream *stream;
    char bytes[4096];
    int rc = bide_tls_connect("127.0.0.1", port, https_clients, NULL, &stream);
    if (rc < 0)
        return;
    for (size_t i = 0, size = sizeof request - 1; i < 3 && rc == 0; i++)
        rc = bide_write(stream, request + i * size / 3, (i + 1) * size / 3 - i * size / 3);
    if (rc == 0)
        rc = bide_write_eof(stream);
    while (rc >= 0 && (rc = bide_read(stream, bytes, sizeof bytes)) > 0)
        ;
    bide_abort(stream);
    bide_close(stream);
}

static void is_served(void)
{
    CHECK_CONTAINS(https_ask("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                             "Content-Length: 2\r\n\r\nhi"),
                   "\r\n\r\nhi");
}

static void until_nobody_is_left(const bide_server *ways)
{
    https_until_connections(0);
    while (bide_server_connections(ways) > 0)
        turns(1);
    turns(2);
}

TASK_TEST_SECONDS(at_every_byte_of_tls, 300)
{
    bide_server *ways;
    app();
    https_begin(NULL);
    way.port = bide_http_server_port(rig_server);
    CHECK_INT(bide_serve("127.0.0.1", 0, pass_on, NULL, NULL, &ways), 0);
    way.left = SIZE_MAX;
    talk(bide_server_port(ways));
    until_nobody_is_left(ways);
    int n_fds = count_fds();
    size_t size = way.passed;
    CHECK_RANGE(size, 600, 4000); /* tickets make a handshake larger or smaller */
    for (size_t n = 0; n < size; n++) {
        way.left = n;
        way.resets = n % 2 == 0;
        talk(bide_server_port(ways));
    }
    until_nobody_is_left(ways);
    CHECK_INT(count_fds(), n_fds);
    is_served();
    bide_server_close(ways);
    CHECK_INT(bide_server_wait_closed(ways), 0);
    bide_server_free(ways);
    https_end();
}

TASK_TEST_SECONDS(at_every_byte_in_clear, 120)
{
    app();
    http_begin(NULL);
    int n_fds = count_fds();
    for (int resets = 0; resets < 2; resets++)
        for (size_t n = 0; n < sizeof request; n++) {
            bide_stream *stream = http_connect();
            CHECK_INT(n > 0 ? bide_write(stream, request, n) : 0, 0);
            if (n % 3 > 0)
                turns((int)(n % 3));
            if (resets && bide_drain(stream) == 0)
                bide_abort(stream);
            bide_close(stream);
        }
    https_until_connections(0);
    turns(2);
    CHECK_INT(count_fds(), n_fds);
    CHECK_INT(http_status_of(http_ask("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                      "Content-Length: 2\r\n\r\nhi")),
              200);
    http_end();
}
