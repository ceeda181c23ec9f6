/* WebSockets as iterators, and as functions of the user's. */
#include "ws/websocket.h"

#include <bide/timeout.h>

#include <errno.h>
#include <math.h>

static int messages_next(void *self, void *ret_item)
{
    return bide_websocket_receive(self, ret_item);
}

static const struct bide_iterator_kind messages_kind = {.name = "messages", .next = messages_next};

bide_iterator *bide_websocket_messages(bide_websocket *ws)
{
    return ws ? bide_iterator_new(&messages_kind, ws, sizeof(struct bide_websocket_message)) : NULL;
}

static int run(bide_websocket *ws, const struct bide_websocket_handlers *handlers, void *data)
{
    struct bide_websocket_message message;
    int rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0) {
        int handled = handlers->receive ? handlers->receive(ws, &message, data) : 0;
        if (handled >= 0)
            continue;
        bide__ws_say_close(ws, BIDE__WS_FAILED, NULL);
        return handled;
    }
    return rc;
}

static int disconnect(bide_websocket *ws, const struct bide_websocket_handlers *handlers,
                      void *data)
{
    unsigned code = bide_websocket_code(ws);
    handlers->disconnect(ws, code == 0 ? BIDE_WEBSOCKET_NO_CLOSE : code, data);
    return 0;
}

int bide_websocket_run(bide_websocket *ws, const struct bide_websocket_handlers *handlers,
                       void *data)
{
    if (!ws || !handlers)
        return -EINVAL;
    int rc = handlers->connect ? handlers->connect(ws, data) : 0;
    if (rc < 0) {
        bide__ws_say_close(ws, BIDE__WS_FAILED, NULL);
        return rc;
    }
    rc = run(ws, handlers, data);
    if (handlers->disconnect)
        (void)bide_shielded(INFINITY, disconnect(ws, handlers, data));
    return rc;
}
