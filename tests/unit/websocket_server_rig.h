/*
 * What the tests of WebSocket servers share: a server whose handler is a function of the test's,
 * and a client of bytes that puts what it hears in words.
 */
#ifndef BIDE_TEST_WEBSOCKET_SERVER_RIG_H
#define BIDE_TEST_WEBSOCKET_SERVER_RIG_H

#include "http_rig.h"

#include <bide/event.h>
#include <bide/websocket.h>

#include "websocket_rig.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define ASK(extra) \
    "GET /ws HTTP/1.1\r\nHost: h:80\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n" extra "\r\n"
#define CHANGES(extra) \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n" extra "\r\n"

static struct bide_websocket_opts ws_opts;
static int ws_result, ws_ended;
static unsigned ws_code;
static char ws_reason[128];

static RIG_UNUSED int echo_messages(bide_websocket *ws)
{
    struct bide_websocket_message message;
    int rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0) {
        CHECK_INT(message.data[message.size], 0);
        rc = bide_websocket_send(ws, message.type, message.data, message.size);
        if (rc < 0)
            break;
    }
    return rc;
}

/* The same in parts. */
static RIG_UNUSED int echo_parts(bide_websocket *ws)
{
    char buffer[1000];
    struct bide_websocket_part part;
    int rc;
    while ((rc = bide_websocket_receive_part(ws, buffer, sizeof buffer, &part)) > 0) {
        rc = bide_websocket_send_part(ws, part.type, buffer, part.size, part.is_last);
        if (rc < 0)
            break;
    }
    return rc;
}

static int (*ws_body)(bide_websocket *ws);

static RIG_UNUSED int ws_handler(bide_http_request *request, void *data)
{
    bide_websocket *ws;
    (void)data;
    int rc = bide_websocket_accept(request, &ws_opts, &ws);
    if (rc < 0)
        return rc;
    rc = ws_body(ws);
    ws_result = rc;
    ws_code = bide_websocket_code(ws);
    strcpy(ws_reason, bide_websocket_reason(ws));
    bide_websocket_free(ws);
    ws_ended++;
    return rc;
}

static RIG_UNUSED void ws_begin(int (*body)(bide_websocket *ws),
                                const struct bide_websocket_opts *opts)
{
    ws_opts = opts ? *opts : (struct bide_websocket_opts){0};
    ws_body = body;
    ws_ended = 0;
    http_app();
    http_route(NULL, "/ws", ws_handler);
    http_begin(NULL);
}

/* A client of bytes, and what it hears. */
struct client {
    bide_stream *stream;
    struct bide__ws_reader reader;
    char in[8192];
    size_t begin, end;
    char told[16384];
    char *message;
    size_t message_size;
};

static const struct bide__ws_limits no_limits = {
    .frame_bytes = INT64_MAX, .message_bytes = INT64_MAX, .n_fragments = INT32_MAX};

static RIG_UNUSED void read_head(bide_stream *stream, char *head, size_t size)
{
    size_t n = 0;
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
        CHECK(n < size - 1);
        CHECK_INT(bide_read(stream, head + n, 1), 1);
        n++;
    }
    head[n] = '\0';
}

static RIG_UNUSED void client_open(struct client *client)
{
    char head[1024];
    *client = (struct client){.stream = http_connect(), .message = malloc(WS_BYTES)};
    bide__ws_reader_init(&client->reader, false, &no_limits);
    http_say(client->stream, ASK(""));
    read_head(client->stream, head, sizeof head);
    CHECK_CONTAINS(head, " 101 ");
}

static RIG_UNUSED void client_say(struct client *client, const char *frames)
{
    static char data[WS_BYTES];
    size_t n = ws_frames(frames, true, data);
    CHECK_INT(bide_write(client->stream, data, n), 0);
}

static RIG_UNUSED void client_tell(struct client *client, const struct bide__ws_event *event)
{
    char what[16] = "";
    if (event->kind == BIDE__WS_CONTROL) {
        sprintf(what,
                event->opcode == BIDE__WS_PING   ? "P"
                : event->opcode == BIDE__WS_PONG ? "O"
                                                 : "C%u",
                event->code);
        ws_tell(client->told, what, event->data, event->size);
        return;
    }
    memcpy(client->message + client->message_size, event->data, event->size);
    client->message_size += event->size;
    if (!event->is_last)
        return;
    ws_tell(client->told, event->opcode == BIDE__WS_TEXT ? "T" : "B", client->message,
            client->message_size);
    client->message_size = 0;
}

/* Takes what comes until something was told that begins with `until`, or the end, "|". */
static const char *client_hear(struct client *client, const char *until)
{
    client->told[0] = '\0';
    for (;;) {
        struct bide__ws_event event;
        int64_t n = bide__ws_reader_take(&client->reader, client->in + client->begin,
                                         client->end - client->begin, &event);
        CHECK(n >= 0);
        client->begin += (size_t)n;
        if (event.kind != BIDE__WS_NOTHING) {
            size_t before = strlen(client->told);
            client_tell(client, &event);
            if (client->told[before] && strstr(client->told + before, until))
                return client->told;
            continue;
        }
        client->begin = 0;
        int rc = bide_read(client->stream, client->in, sizeof client->in);
        client->end = rc > 0 ? (size_t)rc : 0;
        if (rc <= 0) {
            strcat(client->told, rc == 0 ? "|" : "!");
            return client->told;
        }
    }
}

static RIG_UNUSED void client_close(struct client *client)
{
    bide_close(client->stream);
    free(client->message);
}

#endif
