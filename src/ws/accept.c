/* The server's half of the handshake (RFC 6455, 4.2). */
#include "ws/websocket.h"

#include <bide/error.h>
#include <bide/http.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Answers, and says why. */
static int refuse(bide_http_request *request, int status, const char *why)
{
    char text[128];
    snprintf(text, sizeof text, "%s\n", why);
    if (status == 426) {
        (void)bide_http_reply_header(request, "Sec-WebSocket-Version", "13");
        (void)bide_http_fields_set(&request->fields, "Upgrade", "websocket");
    }
    int rc = bide_http_reply_text(request, status, text);
    return bide_fail(rc < 0 ? rc : -EBADMSG, "%s", why);
}

/* Whether the page's origin, such as "https://host:port", is where the request goes. */
static bool is_same_host(const bide_http_request *request, const char *origin)
{
    const char *host = strstr(origin, "://");
    return host && strcasecmp(host + 3, request->host) == 0;
}

/* Without an origin it is no page: what runs in no browser could say any. */
static bool is_welcome(const bide_http_request *request, const char *const *origins)
{
    const char *origin = bide_http_header(request, "origin");
    if (!origin)
        return true;
    if (!origins)
        return is_same_host(request, origin);
    for (; *origins; origins++)
        if (strcmp(*origins, "*") == 0 || strcasecmp(*origins, origin) == 0)
            return true;
    return false;
}

/* 0, or what refusing returned. */
static int check(bide_http_request *request, const struct bide_websocket_opts *opts)
{
    const char *key = bide_http_header(request, "sec-websocket-key");
    const char *version = bide_http_header(request, "sec-websocket-version");
    bool upgrades = bide_http_list_has(bide_http_header(request, "connection"), "upgrade") &&
                    bide_http_list_has(bide_http_header(request, "upgrade"), "websocket");
    if (strcmp(request->method, "GET") != 0 || !upgrades)
        return refuse(request, 426, "this is for WebSocket");
    if (!version || strcmp(version, "13") != 0)
        return refuse(request, 426, "only version 13 of WebSocket is spoken here");
    if (!key || !bide__ws_key_is_valid(key))
        return refuse(request, 400, "a malformed Sec-WebSocket-Key");
    if (!is_welcome(request, opts->origins))
        return refuse(request, 403, "not from a page of that origin");
    return 0;
}

/* The values of all fields of a name, as one list; NULL without memory. */
static const char *joined(bide_http_request *request, const char *name)
{
    size_t n, size = 1;
    const struct bide_http_field *fields = bide_http_headers(request, &n);
    for (size_t i = 0; fields && i < n; i++)
        if (strcasecmp(fields[i].name, name) == 0)
            size += strlen(fields[i].value) + 2;
    char *list = fields ? bide_http_alloc(request, size) : NULL;
    char *to = list;
    if (!list)
        return NULL;
    *to = '\0';
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(fields[i].name, name) == 0)
            to = stpcpy(stpcpy(to, fields[i].value), ", ");
    return list;
}

/* Whether the list has this token, and in this very case. */
static bool list_has(const char *list, const char *token)
{
    size_t size = strlen(token);
    for (const char *at = list; *at; at += strcspn(at, ",")) {
        at += strspn(at, ", \t");
        size_t n = strcspn(at, ", \t");
        if (n == size && n > 0 && memcmp(at, token, n) == 0)
            return true;
    }
    return false;
}

static int choose_subprotocol(bide_websocket *ws, bide_http_request *request,
                              const char *const *ours)
{
    const char *offers = ours ? joined(request, "sec-websocket-protocol") : "";
    if (!offers)
        return -ENOMEM;
    for (; ours && *ours; ours++) {
        if (!list_has(offers, *ours))
            continue;
        ws->subprotocol = strdup(*ours);
        return ws->subprotocol ? bide_http_reply_header(request, "Sec-WebSocket-Protocol", *ours)
                               : -ENOMEM;
    }
    return 0;
}

/* 1: messages may be compressed; 0: they may not. */
static int choose_extension(bide_websocket *ws, bide_http_request *request,
                            struct bide__ws_terms *ret_terms)
{
    struct bide__ws_terms wanted;
    if (!bide__ws_wanted(&ws->opts, false, &wanted))
        return 0;
    const char *offers = joined(request, "sec-websocket-extensions");
    if (!offers)
        return -ENOMEM;
    if (!bide__ws_offer_accept(offers, &wanted, ws->extension, ret_terms))
        return 0;
    int rc = bide_http_reply_header(request, "Sec-WebSocket-Extensions", ws->extension);
    return rc < 0 ? rc : 1;
}

static void server_closes(struct bide__http_upgrade *upgrade)
{
    bide_websocket *ws = bide__container(upgrade, bide_websocket, upgrade);
    if (ws->error == 0)
        bide__ws_say_close(ws, BIDE__WS_GOING_AWAY, "the server closes");
}

static void handler_returned(struct bide__http_upgrade *upgrade)
{
    bide_websocket *ws = bide__container(upgrade, bide_websocket, upgrade);
    ws->stream = NULL;
    bide__http_upgrade_leave(upgrade);
}

static int upgrade(bide_websocket *ws, bide_http_request *request, const char *const *subprotocols)
{
    char answer[BIDE__WS_ACCEPT_SIZE];
    struct bide__http_segment ahead;
    struct bide__ws_terms terms;
    bide__ws_accept_write(bide_http_header(request, "sec-websocket-key"), answer);
    int rc = bide_http_reply_header(request, "Sec-WebSocket-Accept", answer);
    if (rc == 0)
        rc = choose_subprotocol(ws, request, subprotocols);
    if (rc < 0)
        return rc;
    int compresses = choose_extension(ws, request, &terms);
    if (compresses < 0)
        return compresses;
    ws->upgrade.closing = server_closes;
    ws->upgrade.ended = handler_returned;
    rc = bide__http_upgrade(request, "websocket", &ws->upgrade, &ws->stream, &ahead);
    if (rc == 0)
        rc = bide__ws_read_ahead(ws, ahead.text, ahead.size);
    return rc < 0 ? rc : bide__ws_open(ws, compresses > 0 ? &terms : NULL);
}

int bide_websocket_accept(bide_http_request *request, const struct bide_websocket_opts *opts,
                          bide_websocket **ret_ws)
{
    struct bide_websocket_opts all;
    bide_websocket *ws = NULL;
    if (!request || !ret_ws)
        return -EINVAL;
    int rc = bide__ws_opts(opts, &all);
    if (rc == 0 && request->reply_state != BIDE__REPLY_NONE)
        rc = -EALREADY;
    if (rc == 0)
        rc = check(request, &all);
    if (rc == 0)
        rc = bide__ws_new(&all, false, &ws);
    if (rc != 0)
        return rc;
    rc = upgrade(ws, request, all.subprotocols);
    if (rc < 0) {
        bide_websocket_free(ws);
        return rc;
    }
    *ret_ws = ws;
    return 0;
}
