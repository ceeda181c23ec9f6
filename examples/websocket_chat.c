/*
 * A chat room over WebSocket: three functions per guest. Who is too slow to take what the others
 * say misses it, and holds nobody up. With a port it serves until it is interrupted; without, two
 * guests talk.
 */
#include <bide.h>
#include <bide/http_server.h>
#include <bide/websocket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUESTS_MAX = 100 };

struct room {
    bide_websocket *guests[GUESTS_MAX];
    size_t n_guests;
};

static void tell_all(struct room *room, const char *text)
{
    for (size_t i = 0; i < room->n_guests; i++)
        bide_websocket_offer(room->guests[i], BIDE_WEBSOCKET_TEXT, text, strlen(text));
}

static void tell_count(struct room *room)
{
    char text[32];
    snprintf(text, sizeof text, "guests: %zu", room->n_guests);
    tell_all(room, text);
}

static int come(bide_websocket *ws, void *data)
{
    struct room *room = data;
    if (room->n_guests == GUESTS_MAX)
        return -EBUSY;
    room->guests[room->n_guests++] = ws;
    tell_count(room);
    return 0;
}

static int say(bide_websocket *ws, const struct bide_websocket_message *message, void *data)
{
    (void)ws;
    tell_all(data, message->data);
    return 0;
}

static void leave(bide_websocket *ws, unsigned code, void *data)
{
    struct room *room = data;
    (void)code;
    for (size_t i = 0; i < room->n_guests; i++) {
        if (room->guests[i] != ws)
            continue;
        room->guests[i] = room->guests[--room->n_guests];
        break;
    }
    tell_count(room);
}

static int chat(bide_http_request *request, void *data)
{
    static const struct bide_websocket_handlers handlers = {come, say, leave};
    bide_websocket *ws;
    int rc = bide_websocket_accept(request, NULL, &ws);
    if (rc < 0)
        return rc;
    rc = bide_websocket_run(ws, &handlers, data);
    bide_websocket_free(ws);
    return rc;
}

/* A guest who says something when a certain message comes, and hears so many. */
bide_async(guest, (const char *, url), (const char *, cue), (const char *, text), (int, n_messages))
{
    bide_websocket *ws;
    int rc = bide_websocket_connect(url, NULL, &ws);
    if (rc < 0)
        return rc;
    bide_for (struct bide_websocket_message, message, rc, bide_websocket_messages(ws)) {
        if (strncmp(text, "Ann", 3) == 0)
            printf("Ann hears: %s\n", message.data);
        if (strcmp(message.data, cue) == 0)
            rc = bide_websocket_send_text(ws, text);
        if (--n_messages == 0 || rc < 0)
            break;
    }
    if (rc >= 0)
        rc = bide_websocket_close(ws, 0, NULL);
    bide_websocket_free(ws);
    return rc;
}

static int two_guests(bide_http_server *server)
{
    char url[64];
    int results[2];
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/chat", bide_http_server_port(server));
    bide_task *tasks[] = {bide_spawn(guest, url, "guests: 2", "Ann: hello, Bob", 5), NULL};
    while (bide_http_server_connections(server) == 0)
        bide_sleep(0.01);
    bide_sleep(0.05); /* so that Ann is the first */
    tasks[1] = bide_spawn(guest, url, "Ann: hello, Bob", "Bob: hello, Ann", 3);
    return bide_gather(tasks, 2, results);
}

bide_async(amain, (unsigned, port))
{
    static struct room room;
    bide_http_app *app;
    int rc = bide_http_app_new(NULL, &app);
    if (rc < 0)
        return rc;
    bide_http_route(app, "GET", "/chat", chat, &room, NULL);
    if (port > 0) {
        rc = bide_http_serve_until_signal(app, "127.0.0.1", port, NULL);
    } else {
        bide_http_server *server;
        rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
        if (rc == 0) {
            rc = two_guests(server);
            int freed = bide_http_server_free(server);
            rc = rc < 0 ? rc : freed;
        }
    }
    bide_http_app_free(app);
    return rc;
}

int main(int argc, char **argv)
{
    return bide_run(amain, argc > 1 ? (unsigned)atoi(argv[1]) : 0);
}
