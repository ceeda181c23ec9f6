/*
 * A WebSocket that says everything again, and a client of it. With a port it serves until it is
 * interrupted, and with --client URL it says again what a server says; without, both talk to each
 * other.
 */
#include <bide.h>
#include <bide/http_server.h>
#include <bide/websocket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say_again(bide_websocket *ws)
{
    struct bide_websocket_message message;
    int rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0) {
        rc = bide_websocket_send(ws, message.type, message.data, message.size);
        if (rc < 0)
            break;
    }
    return rc;
}

static int echo(bide_http_request *request, void *data)
{
    static const char *const subprotocols[] = {"echo", NULL};
    struct bide_websocket_opts opts = {.subprotocols = subprotocols, .message_bytes = 16777216};
    bide_websocket *ws;
    (void)data;
    int rc = bide_websocket_accept(request, &opts, &ws);
    if (rc < 0)
        return rc;
    rc = say_again(ws);
    bide_websocket_free(ws);
    return rc;
}

/* The same without taking a message whole. */
static int echo_parts(bide_http_request *request, void *data)
{
    bide_websocket *ws;
    struct bide_websocket_part part;
    char buffer[4096];
    (void)data;
    int rc = bide_websocket_accept(request, NULL, &ws);
    if (rc < 0)
        return rc;
    while ((rc = bide_websocket_receive_part(ws, buffer, sizeof buffer, &part)) > 0) {
        rc = bide_websocket_send_part(ws, part.type, buffer, part.size, part.is_last);
        if (rc < 0)
            break;
    }
    bide_websocket_free(ws);
    return rc;
}

/* Three messages there and back. */
static int talk(bide_websocket *ws)
{
    struct bide_websocket_message message;
    int rc = bide_websocket_send_text(ws, "hello");
    if (rc == 0)
        rc = bide_websocket_send_binary(ws, "\1\2\3", 3);
    if (rc == 0)
        rc = bide_websocket_send_part(ws, BIDE_WEBSOCKET_TEXT, "in two ", 7, false);
    if (rc == 0)
        rc = bide_websocket_ping(ws, "between them", 12);
    if (rc == 0)
        rc = bide_websocket_send_part(ws, BIDE_WEBSOCKET_TEXT, "parts", 5, true);
    for (int i = 0; i < 3 && rc >= 0; i++) {
        rc = bide_websocket_receive(ws, &message);
        if (rc > 0 && message.type == BIDE_WEBSOCKET_TEXT)
            printf("text: %s\n", message.data);
        else if (rc > 0)
            printf("binary: %zu bytes\n", message.size);
    }
    return rc < 0 ? rc : bide_websocket_close(ws, BIDE_WEBSOCKET_NORMAL, "that was all");
}

static int client(const char *url, bool says_again)
{
    static const char *const subprotocols[] = {"echo", NULL};
    struct bide_websocket_opts opts = {.subprotocols = subprotocols, .message_bytes = 16777216};
    bide_websocket *ws;
    int rc = bide_websocket_connect(url, &opts, &ws);
    if (rc < 0) {
        fprintf(stderr, "%s: %s (%s)\n", url, bide_strerror(rc), bide_error_detail());
        return rc;
    }
    if (says_again) {
        rc = say_again(ws);
    } else {
        printf("subprotocol: %s\n", bide_websocket_subprotocol(ws));
        printf("compressed: %s\n", *bide_websocket_extension(ws) ? "yes" : "no");
        rc = talk(ws);
        printf("closed: %u %s\n", bide_websocket_code(ws), bide_websocket_reason(ws));
    }
    bide_websocket_free(ws);
    return rc;
}

static int both(bide_http_app *app)
{
    bide_http_server *server;
    char url[64];
    int rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
    if (rc < 0)
        return rc;
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/echo", bide_http_server_port(server));
    rc = client(url, false);
    int freed = bide_http_server_free(server);
    return rc < 0 ? rc : freed;
}

bide_async(amain, (int, argc), (char **, argv))
{
    bide_http_app *app;
    if (argc > 2 && strcmp(argv[1], "--client") == 0)
        return client(argv[2], true);
    int rc = bide_http_app_new(NULL, &app);
    if (rc < 0)
        return rc;
    bide_http_route(app, NULL, "/echo", echo, NULL, NULL);
    bide_http_route(app, NULL, "/parts", echo_parts, NULL, NULL);
    if (argc > 1)
        rc = bide_http_serve_until_signal(app, "127.0.0.1", (unsigned)atoi(argv[1]), NULL);
    else
        rc = both(app);
    bide_http_app_free(app);
    return rc;
}

int main(int argc, char **argv)
{
    return bide_run(amain, argc, argv);
}
