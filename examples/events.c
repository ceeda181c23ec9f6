/*
 * One feed, told in four ways: by polling, by long polling, by server-sent events, and over
 * WebSocket. With a port it serves until it is interrupted, and counts; without, one follower of
 * each kind shows what it got.
 */
#include <bide.h>
#include <bide/feed.h>
#include <bide/http_client.h>
#include <bide/http_events.h>
#include <bide/http_server.h>
#include <bide/websocket.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int poll_it(bide_http_request *request, void *feed)
{
    return bide_http_poll_feed(request, feed, &(struct bide_http_feed_opts){.poll_seconds = -1});
}

static int poll_long(bide_http_request *request, void *feed)
{
    return bide_http_poll_feed(request, feed, NULL);
}

static int events(bide_http_request *request, void *feed)
{
    return bide_http_events_feed(request, feed, NULL);
}

static int over_websocket(bide_http_request *request, void *feed)
{
    bide_websocket *ws;
    const struct bide_feed_item *item;
    uint64_t known = 0;
    int rc = bide_websocket_accept(request, NULL, &ws);
    if (rc < 0)
        return rc;
    while (rc == 0 && (rc = bide_feed_wait_after(feed, known, INFINITY, &item)) > 0) {
        known = item->sequence;
        rc = bide_websocket_send(ws, BIDE_WEBSOCKET_TEXT, item->data, item->size);
        bide_feed_item_release(item);
    }
    if (rc == -ESHUTDOWN)
        rc = bide_websocket_close(ws, 0, NULL);
    bide_websocket_free(ws);
    return rc;
}

static int publish(bide_feed *feed, const char *text)
{
    return bide_feed_publish(feed, text, strlen(text), NULL);
}

static void show_poll(bide_http_session *session, const char *name, const char *url)
{
    bide_http_response *response;
    const char *text = "";
    if (bide_http_get(session, url, &response) < 0)
        return;
    bide_http_response_read_all(response, 0, &text, NULL);
    printf("%s: %.*s, next after %s\n", name, (int)strcspn(text, "\n"), text,
           bide_http_response_header(response, "feed-last"));
    bide_http_response_close(response);
}

static void show_events(bide_http_session *session, const char *url)
{
    bide_http_response *response;
    bide_events *reader;
    struct bide_event_message event;
    if (bide_http_get(session, url, &response) < 0)
        return;
    if (bide_events_new(response, 0, &reader) == 0) {
        for (int i = 0; i < 2 && bide_events_next(reader, &event) > 0; i++)
            printf("event %s: %s\n", event.id, event.data);
        bide_events_free(reader);
    }
    bide_http_response_close(response);
}

static void show_websocket(const char *url)
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    if (bide_websocket_connect(url, NULL, &ws) < 0)
        return;
    for (int i = 0; i < 2 && bide_websocket_receive(ws, &message) > 0; i++)
        printf("message: %s\n", message.data);
    bide_websocket_free(ws);
}

static int show(bide_http_app *app, bide_feed *feed)
{
    bide_http_server *server;
    bide_http_session *session;
    char url[64];
    int rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
    if (rc < 0)
        return rc;
    unsigned port = bide_http_server_port(server);
    rc = bide_http_session_new(NULL, &session);
    if (rc == 0) {
        publish(feed, "{\"news\": 1}");
        publish(feed, "{\"news\": 2}");
        snprintf(url, sizeof url, "http://127.0.0.1:%u/poll", port);
        show_poll(session, "poll", url);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/long?after=1", port);
        show_poll(session, "long poll", url);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/events", port);
        show_events(session, url);
        snprintf(url, sizeof url, "ws://127.0.0.1:%u/ws", port);
        show_websocket(url);
        bide_http_session_close(session);
        bide_http_session_free(session);
    }
    bide_feed_close(feed); /* its followers end, and the server need not cancel them */
    return bide_http_server_free(server);
}

bide_async(counts, (bide_feed *, feed))
{
    char text[32];
    int rc = 0;
    for (int n = 1; rc == 0; n++) {
        snprintf(text, sizeof text, "{\"news\": %d}", n);
        rc = publish(feed, text);
        if (rc == 0)
            rc = bide_sleep(1);
    }
    return rc;
}

static int serve(bide_http_app *app, bide_feed *feed, unsigned port)
{
    bide_task *task = bide_spawn(counts, feed);
    int rc = bide_http_serve_until_signal(app, "127.0.0.1", port, NULL);
    bide_cancel_join(&task, 1);
    return rc;
}

bide_async(amain, (unsigned, port))
{
    bide_feed *feed;
    bide_http_app *app;
    int rc = bide_feed_new(NULL, &feed);
    if (rc < 0)
        return rc;
    rc = bide_http_app_new(NULL, &app);
    if (rc == 0) {
        bide_http_route(app, "GET", "/poll", poll_it, feed, NULL);
        bide_http_route(app, "GET", "/long", poll_long, feed, NULL);
        bide_http_route(app, "GET", "/events", events, feed, NULL);
        bide_http_route(app, "GET", "/ws", over_websocket, feed, NULL);
        rc = port > 0 ? serve(app, feed, port) : show(app, feed);
        bide_http_app_free(app);
    }
    bide_feed_free(feed);
    return rc;
}

int main(int argc, char **argv)
{
    return bide_run(amain, argc > 1 ? (unsigned)atoi(argv[1]) : 0);
}
