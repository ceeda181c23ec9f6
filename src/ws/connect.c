/* The client's half of the handshake (RFC 6455, 4.1). */
#include "ws/websocket.h"

#include "codec/http1.h"
#include "http/text.h"

#include <bide/error.h>
#include <bide/timeout.h>
#include <bide/url.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if BIDE_HAVE_TLS
#include <bide/tls.h>
#endif

enum { HEAD_BYTES = 16384, FIELDS_MAX = 100 };

/* On the heap, for the time of the handshake. */
struct handshake {
    struct bide_url url;
    char *host; /* without brackets */
    bool is_secure;
    char key[BIDE__WS_KEY_SIZE];
    bool has_offered;
    struct bide__ws_terms wanted;
    struct bide__http_text request;
    struct bide__http1_head head;
    struct bide__http1_field fields[FIELDS_MAX];
    char data[HEAD_BYTES];
    size_t size;
};

static int parse_url(struct handshake *shake, const char *url)
{
    int rc = bide_url_parse(url, strlen(url), &shake->url, NULL);
    if (rc < 0)
        return bide_fail(rc, "%s: not a URL", url);
    struct bide_url_part scheme = shake->url.scheme;
    shake->is_secure = bide__http1_is(scheme.data, scheme.size, "wss");
    if (!shake->is_secure && !bide__http1_is(scheme.data, scheme.size, "ws"))
        return bide_fail(-EINVAL, "%s: not of WebSocket", url);
    if (shake->url.host.size == 0 || shake->url.fragment.data || shake->url.user.data)
        return bide_fail(-EINVAL, "%s: a host, and neither user nor fragment, is needed", url);
    shake->host = strndup(shake->url.host.data, shake->url.host.size);
    return shake->host ? 0 : -ENOMEM;
}

static void add_part(struct bide__http_text *text, struct bide_url_part part)
{
    bide__http_text_add(text, part.data, part.size);
}

static void add_target(struct handshake *shake)
{
    struct bide__http_text *text = &shake->request;
    bide__http_text_say(text, "GET ");
    if (shake->url.path.size == 0)
        bide__http_text_say(text, "/");
    add_part(text, shake->url.path);
    if (shake->url.query.data) {
        bide__http_text_say(text, "?");
        add_part(text, shake->url.query);
    }
    bide__http_text_say(text, " HTTP/1.1\r\nHost: ");
    bide__http_text_print(text, shake->url.is_ipv6 ? "[%s]" : "%s", shake->host);
    if (shake->url.port_number > 0)
        bide__http_text_print(text, ":%u", shake->url.port_number);
    bide__http_text_print(text,
                          "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
                          shake->key);
}

static int write_request(struct handshake *shake, const struct bide_websocket_opts *opts)
{
    struct bide__http_text *text = &shake->request;
    char offer[BIDE__WS_TERMS_MAX];
    add_target(shake);
    for (const char *const *name = opts->subprotocols; name && *name; name++)
        bide__http_text_print(
            text, "%s%s", name == opts->subprotocols ? "Sec-WebSocket-Protocol: " : ", ", *name);
    if (opts->subprotocols && *opts->subprotocols)
        bide__http_text_say(text, "\r\n");
    shake->has_offered = bide__ws_wanted(opts, true, &shake->wanted);
    if (shake->has_offered) {
        bide__ws_offer_write(&shake->wanted, offer);
        bide__http_text_print(text, "Sec-WebSocket-Extensions: %s\r\n", offer);
    }
    for (size_t i = 0; i < opts->n_headers; i++) {
        const struct bide_http_field *field = &opts->headers[i];
        if (!field->name || !field->value || !bide__http_is_name(field->name) ||
            !bide__http_is_value(field->value))
            return bide_fail(-EINVAL, "a malformed field");
        bide__http_text_print(text, "%s: %s\r\n", field->name, field->value);
    }
    bide__http_text_say(text, "\r\n");
    return text->has_failed ? -ENOMEM : 0;
}

/* The answer's head: its size, or an error. */
static int read_head(struct handshake *shake, bide_stream *stream)
{
    static const struct bide__http1_limits limits = {
        .line_bytes = 8192, .head_bytes = HEAD_BYTES, .n_fields = FIELDS_MAX};
    int rc = 0;
    bide__http1_head_init(&shake->head, BIDE__HTTP1_RESPONSE, &limits, shake->fields);
    while (rc == 0) {
        if (shake->size == sizeof shake->data)
            return bide_fail(-EBADMSG, "the answer's head is too large");
        rc = bide_read(stream, shake->data + shake->size, sizeof shake->data - shake->size);
        if (rc == 0)
            return bide_fail(-BIDE_EINCOMPLETE, "the connection ended before the answer");
        if (rc < 0)
            return rc;
        shake->size += (size_t)rc;
        rc = bide__http1_head_parse(&shake->head, shake->data, shake->size);
    }
    return rc < 0 ? bide_fail(rc, "not HTTP: %s", shake->head.why) : rc;
}

/* A field's value; NULL if there is none. What stands behind it is of no more use. */
static const char *find(struct handshake *shake, const char *name)
{
    struct bide__http1_span span = bide__http1_find(&shake->head, shake->data, name);
    if (span.at == 0)
        return NULL;
    shake->data[span.at + span.size] = '\0';
    return shake->data + span.at;
}

static int take_subprotocol(struct handshake *shake, bide_websocket *ws,
                            const char *const *subprotocols)
{
    const char *chosen = find(shake, "sec-websocket-protocol");
    if (!chosen)
        return 0;
    for (; subprotocols && *subprotocols; subprotocols++) {
        if (strcmp(*subprotocols, chosen) != 0)
            continue;
        ws->subprotocol = strdup(chosen);
        return ws->subprotocol ? 0 : -ENOMEM;
    }
    return bide_fail(-EPROTO, "the server chose \"%s\", which was not offered", chosen);
}

/* 1: messages may be compressed; 0: they may not. */
static int take_extension(struct handshake *shake, bide_websocket *ws,
                          struct bide__ws_terms *ret_terms)
{
    const char *answer = find(shake, "sec-websocket-extensions");
    if (!answer)
        return 0;
    if (!shake->has_offered || strlen(answer) >= sizeof ws->extension ||
        bide__ws_answer_check(answer, &shake->wanted, ret_terms) < 0)
        return bide_fail(-EPROTO, "the server answers \"%s\", which was not offered", answer);
    stpcpy(ws->extension, answer);
    return 1;
}

static int check_answer(struct handshake *shake)
{
    char expected[BIDE__WS_ACCEPT_SIZE];
    struct bide__http1_span reason = shake->head.reason;
    if (shake->head.status != 101)
        return bide_fail(-EPROTO, "the server answered %d %.*s", shake->head.status,
                         (int)reason.size, shake->data + reason.at);
    const char *answer = find(shake, "sec-websocket-accept");
    const char *upgrade = find(shake, "upgrade");
    bide__ws_accept_write(shake->key, expected);
    if (!(shake->head.flags & BIDE__HTTP1_UPGRADE) || !upgrade ||
        strcasecmp(upgrade, "websocket") != 0)
        return bide_fail(-EPROTO, "the server did not change to WebSocket");
    if (!answer || strcmp(answer, expected) != 0)
        return bide_fail(-EPROTO, "the server's answer is not to our key");
    return 0;
}

static int connect_stream(struct handshake *shake, const struct bide_websocket_opts *opts,
                          bide_stream **ret_stream)
{
    unsigned port = shake->url.port_number > 0 ? shake->url.port_number
                    : shake->is_secure         ? 443
                                               : 80;
    if (!shake->is_secure)
        return bide_connect(shake->host, port, &opts->connect, ret_stream);
#if BIDE_HAVE_TLS
    struct bide_tls_opts tls = {.connect = opts->connect};
    return bide_tls_connect(shake->host, port, opts->tls, &tls, ret_stream);
#else
    return bide_fail(-ENOSYS, "this library was built without TLS");
#endif
}

static int shake_hands(struct handshake *shake, bide_websocket *ws,
                       const struct bide_websocket_opts *opts)
{
    struct bide__ws_terms terms;
    int rc = connect_stream(shake, opts, &ws->stream);
    if (rc == 0)
        rc = bide_write(ws->stream, shake->request.data, shake->request.size);
    if (rc == 0)
        rc = read_head(shake, ws->stream);
    size_t head_size = rc > 0 ? (size_t)rc : 0;
    if (rc > 0)
        rc = check_answer(shake);
    if (rc == 0)
        rc = take_subprotocol(shake, ws, opts->subprotocols);
    if (rc < 0)
        return rc;
    int compresses = take_extension(shake, ws, &terms);
    if (compresses < 0)
        return compresses;
    rc = bide__ws_read_ahead(ws, shake->data + head_size, shake->size - head_size);
    return rc < 0 ? rc : bide__ws_open(ws, compresses > 0 ? &terms : NULL);
}

static int prepare(struct handshake *shake, const char *url, const struct bide_websocket_opts *opts)
{
    uint8_t random[BIDE__WS_KEY_BYTES];
    struct bide_engine *engine = bide_loop_current()->engine;
    int rc = parse_url(shake, url);
    if (rc == 0)
        rc = engine->ops->entropy(engine, random, sizeof random);
    if (rc < 0)
        return rc;
    bide__ws_key_write(random, shake->key);
    return write_request(shake, opts);
}

/* What is left of a connection on which nothing can be said any more. */
static void give_up(bide_websocket *ws)
{
    bide_abort(ws->stream);
    if (ws->error == 0)
        ws->error = -ECONNABORTED;
    bide_websocket_free(ws);
}

int bide_websocket_connect(const char *url, const struct bide_websocket_opts *opts,
                           bide_websocket **ret_ws)
{
    struct bide_websocket_opts all;
    bide_websocket *ws = NULL;
    if (!url || !ret_ws)
        return -EINVAL;
    int rc = bide__ws_opts(opts, &all);
    if (rc < 0)
        return rc;
    if (!bide_loop_current())
        return -BIDE_ENOTASK;
    struct handshake *shake = calloc(1, sizeof *shake);
    if (!shake)
        return -ENOMEM;
    rc = prepare(shake, url, &all);
    if (rc == 0)
        rc = bide__ws_new(&all, true, &ws);
    if (rc == 0) {
        rc = bide_within(all.connect_seconds, shake_hands(shake, ws, &all));
        if (rc < 0)
            give_up(ws);
    }
    bide__http_text_fini(&shake->request);
    free(shake->host);
    free(shake);
    if (rc == 0)
        *ret_ws = ws;
    return rc;
}
