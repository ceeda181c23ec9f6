/*
 * The demonstration: a page with a chat and a user counter over WebSocket, and beside it the same
 * feed by server-sent events, long polling and polling.
 */
#ifndef BIDE_CLI_SERVE_DEMO_H
#define BIDE_CLI_SERVE_DEMO_H

#include "serve_feed.h"

#include <bide/http_app.h>

/* Adds its routes. The feed is borrowed as long as the application lives. Returns 0 or an error. */
int serve_demo(bide_http_app *app, struct feed *feed);

/* The handler of the chat over WebSocket; data: the feed. */
bide_http_handler serve_demo_socket;

/* The number of the entry that the client has read last: 0: none; -EINVAL: it is no number. */
int serve_demo_after(bide_http_request *request, uint64_t *ret_after);

#endif
