/*
 * The demonstration's chat over WebSocket.
 *
 * A user is here exactly as long as the handler runs. Entries go out in a task of their own, which
 * reads the feed at the pace of its client; what comes in is a name, a line's end, and a text.
 */
#include "serve_demo.h"

#include <bide/websocket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

bide_async(send_entries, (bide_websocket *, ws), (struct feed *, feed), (uint64_t, after))
{
    char json[FEED_ENTRY_SIZE];
    int rc = 0;
    while (rc == 0) {
        const struct feed_entry *entry = feed_next(feed, after);
        if (!entry) {
            rc = feed_wait(feed, after);
            continue;
        }
        after = entry->id;
        snprintf(json, sizeof json, "%s", entry->json);
        rc = bide_websocket_send_text(ws, json);
    }
    return rc == -ESHUTDOWN || rc == -EPIPE ? 0 : rc;
}

static int tell_trouble(bide_websocket *ws)
{
    char json[256];
    snprintf(json, sizeof json, "{\"type\": \"trouble\", \"text\": \"%s\"}", bide_error_detail());
    return bide_websocket_send_text(ws, json);
}

static int take(struct feed *feed, const struct bide_websocket_message *message)
{
    char name[FEED_NAME_BYTES + 2]; /* one that is too long stays too long */
    const char *end = memchr(message->data, '\n', message->size);
    if (message->type != BIDE_WEBSOCKET_TEXT || !end)
        return bide_fail(-EINVAL, "a message is a name, a line's end, and a text");
    snprintf(name, sizeof name, "%.*s", (int)(end - message->data), message->data);
    return feed_post(feed, name, end + 1, (size_t)(message->data + message->size - end - 1));
}

static int take_messages(bide_websocket *ws, struct feed *feed)
{
    struct bide_websocket_message message;
    int rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0) {
        if (take(feed, &message) == -EINVAL && (rc = tell_trouble(ws)) < 0)
            break;
    }
    return rc;
}

/* What a client does wrong, or that it is gone, was told to it and is no failure of ours. */
static bool is_clients(int rc)
{
    return rc == -EBADMSG || rc == -BIDE_ELIMIT || rc == -BIDE_EINCOMPLETE || rc == -ETIMEDOUT ||
           rc == -ECONNRESET || rc == -EPIPE;
}

int serve_demo_socket(bide_http_request *request, void *data)
{
    const struct bide_websocket_opts opts = {.message_bytes = FEED_NAME_BYTES + FEED_TEXT_BYTES +
                                                              1};
    uint64_t after = 0;
    bide_websocket *ws;
    if (serve_demo_after(request, &after) < 0)
        return bide_http_reply_text(request, 400, "The entry's number is none.\n");
    int rc = bide_websocket_accept(request, &opts, &ws);
    if (rc < 0)
        return rc == -EBADMSG ? 0 : rc;
    feed_enter(data);
    bide_task *sender = bide_spawn(send_entries, ws, (struct feed *)data, after);
    rc = sender ? take_messages(ws, data) : -ENOMEM;
    bide_cancel_join(&sender, 1);
    bide_websocket_free(ws);
    feed_leave(data);
    return is_clients(rc) ? 0 : rc;
}
