/*
 * HTTP servers and WebSocket over TLS. Scenario: requests of every kind, by clients of bytes and by
 * our own; clients without the certificate that is asked for, or with no protocol in common; that
 * never end the handshake, say nothing behind it, or half a head; that vanish with and without a
 * word while a handler runs; servers that are closed with connections in every state.
 * Claim: it is as in clear; who is not welcome gets no answer; what takes too long is dropped, and
 * nothing is left of it; a server that closes waits for answers, and for nobody else.
 */
#include "https_rig.h"

#include <bide/event.h>
#include <bide/file.h>
#include <bide/http_files.h>
#include <bide/http_middleware.h>
#include <bide/websocket.h>

static int hello(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, bide_http_is_secure(request) ? "secure" : "clear");
}

static int echo(bide_http_request *request, void *data)
{
    char *body;
    (void)data;
    int n = bide_http_read_all(request, 0, &body);
    return n < 0 ? n : bide_http_reply(request, 200, "text/plain", body, (size_t)n);
}

static int pieces(bide_http_request *request, void *data)
{
    (void)data;
    int rc = bide_http_reply_begin(request, 200, "text/plain", BIDE_HTTP_LENGTH_UNKNOWN);
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = bide_http_write(request, "abc" + i, 1);
    return rc < 0 ? rc : bide_http_reply_end(request);
}

/* More than a TLS record, a stream's buffer and the kernel's together. */
enum { MUCH = 3 * MIB };

static int much(bide_http_request *request, void *data)
{
    char *bytes = malloc(MUCH);
    (void)data;
    pattern_fill(bytes, 0, MUCH);
    int rc = bide_http_reply(request, 200, "application/octet-stream", bytes, MUCH);
    free(bytes);
    return rc;
}

static bide_event is_waiting, may_go_on;
static int waited;

static int waits(bide_http_request *request, void *data)
{
    (void)data;
    bide_event_set(&is_waiting);
    waited = bide_event_wait(&may_go_on);
    return waited < 0 ? waited : bide_http_reply_text(request, 200, "done");
}

static void app(void)
{
    http_app();
    http_route("GET", "/", hello);
    http_route("POST", "/echo", echo);
    http_route("GET", "/pieces", pieces);
    http_route("GET", "/much", much);
    http_route("GET", "/waits", waits);
    bide_event_clear(&is_waiting);
    bide_event_clear(&may_go_on);
    waited = 1;
}

/* Requests */

TASK_TEST(clients_of_bytes)
{
    app();
    https_begin(NULL);
    CHECK_STR(https_get("/"), TEXT("200 OK", "6", CLOSING, "secure"));
    CHECK_STR(https_ask("GET / HTTP/1.0\r\n\r\n"), TEXT("200 OK", "6", CLOSING, "secure"));
    CHECK_STR(https_ask("GET /pieces HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
              "Connection: close\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
    CHECK_STR(https_ask("GET /pieces HTTP/1.0\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nabc");
    CHECK_STR(https_ask("GET / HTTP/1.1\r\nHost: h\r\n\r\nHEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
                        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
                        "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              TEXT("200 OK", "6", "", "secure")
                  TEXT("200 OK", "6", "",
                       "") "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
                           "2\r\n\r\nhi" TEXT("404 Not Found", "10", CLOSING, "Not Found\n"));
    bide_stream *stream = https_connect();
    http_say(stream, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                     "Connection: close\r\nContent-Length: 2\r\n\r\n");
    char head[26] = "";
    CHECK_INT(bide_read_exactly(stream, head, 25), 25);
    CHECK_STR(head, "HTTP/1.1 100 Continue\r\n\r\n");
    http_say(stream, "ok");
    CHECK_INT(http_status_of(http_hear(stream)), 200);
    bide_close(stream);
    CHECK_INT(http_status_of(https_ask("NO REQUEST\r\n\r\n")), 400);
    https_end();
}

static void fetch(bide_http_session *session, const char *method, const char *path,
                  const struct bide_http_fetch_opts *opts, const char *body, size_t size)
{
    char url[128];
    const char *got;
    size_t got_size;
    bide_http_response *response;
    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", bide_http_server_port(rig_server), path);
    CHECK_INT(bide_http_fetch(session, method, url, opts, &response), 0);
    CHECK_INT(bide_http_response_status(response) / 100, 2);
    CHECK_INT(bide_http_response_read_all(response, 0, &got, &got_size), 0);
    CHECK_INT(got_size, size);
    CHECK(memcmp(got, body, size) == 0);
    CHECK_INT(bide_http_response_close(response), 0);
}

static bide_http_session *session_open(void)
{
    bide_http_session *session;
    struct bide_http_session_opts opts = {.tls = https_clients};
    CHECK_INT(bide_http_session_new(&opts, &session), 0);
    return session;
}

static void session_end(bide_http_session *session)
{
    CHECK_INT(bide_http_session_close(session), 0);
    bide_http_session_free(session);
}

TASK_TEST(our_own_client)
{
    char folder_template[] = "/tmp/bide-test-XXXXXX", path[64];
    char *bytes = malloc(MUCH);
    pattern_fill(bytes, 0, MUCH);
    CHECK(mkdtemp(folder_template));
    snprintf(path, sizeof path, "%s/large", folder_template);
    CHECK_INT(bide_file_store(path, bytes, MUCH, NULL), 0);
    app();
    CHECK_INT(bide_http_files(rig_app, "/files", folder_template, NULL), 0);
    int rc = bide_http_use_compression(rig_app, NULL);
    CHECK(rc == 0 || rc == -ENOSYS);
    https_begin(&(struct bide_http_server_opts){.body_bytes = MUCH});
    bide_http_session *session = session_open();
    struct bide_http_field range = {"Range", "bytes=1000-299999"};
    struct bide_http_fetch_opts post = {.body = bytes, .body_size = MUCH};
    struct bide_http_fetch_opts part = {.headers = &range, .n_headers = 1};
    for (int i = 0; i < 2; i++) {
        fetch(session, "GET", "/", NULL, "secure", 6);
        fetch(session, "GET", "/pieces", NULL, "abc", 3);
        fetch(session, "GET", "/much", NULL, bytes, MUCH);
        fetch(session, "POST", "/echo", &post, bytes, MUCH);
        fetch(session, "GET", "/files/large", NULL, bytes, MUCH);
        fetch(session, "GET", "/files/large", &part, bytes + 1000, 299000);
        fetch(session, "HEAD", "/files/large", NULL, "", 0);
    }
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 1);
    session_end(session);
    https_end();
    unlink(path);
    rmdir(folder_template);
    free(bytes);
}

/* Who may connect */

static int tries(const struct bide_tls_client_opts *opts)
{
    bide_stream *stream;
    char answer[64];
    bide_tls_context *context = client_context_with(*opts);
    int rc = bide_tls_connect("127.0.0.1", bide_http_server_port(rig_server), context, NULL,
                              &stream);
    bide_tls_unref(context);
    if (rc < 0)
        return rc;
    http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    rc = bide_read(stream, answer, sizeof answer); /* with TLS 1.3 the refusal comes only here */
    bide_abort(stream);
    bide_close(stream);
    return rc;
}

TASK_TEST(client_certificates)
{
    const struct tls_certs *certs = tls_certs();
    struct tls_cert *stranger = tls_cert_new(&(struct tls_cert_opts){.name = "stranger"});
    struct bide_tls_client_opts none = {0};
    struct bide_tls_client_opts good = {
        .identity = {.cert_pem = certs->client_chain, .key_pem = tls_cert_key_pem(certs->client)}};
    struct bide_tls_client_opts bad = {
        .identity = {.cert_pem = tls_cert_pem(stranger), .key_pem = tls_cert_key_pem(stranger)}};
    for (int required = 0; required < 2; required++) {
        struct bide_tls_server_opts asks = {.client_auth = required ? BIDE_TLS_CLIENT_AUTH_REQUIRED
                                                                    : BIDE_TLS_CLIENT_AUTH_OPTIONAL,
                                            .trust.ca_pem = tls_cert_pem(certs->root)};
        app();
        https_begin_with(NULL, &asks);
        CHECK(tries(&good) > 0);
        CHECK_INT(tries(&none) > 0, !required);
        CHECK_INT(tries(&bad), -BIDE_ETLS);
        if (required)
            CHECK_INT(tries(&none), -BIDE_ETLS);
        https_until_connections(0);
        https_end();
    }
    tls_cert_free(stranger);
}

TASK_TEST(protocols)
{
    static const char *const other[] = {"h2", NULL}, *const both[] = {"h2", "http/1.1", NULL};
    struct bide_tls_info info;
    app();
    https_begin(NULL);
    bide_stream *stream = https_connect();
    CHECK_INT(bide_tls_info_get(stream, &info), 0);
    CHECK_STR(info.alpn, "http/1.1");
    bide_close(stream);
    CHECK(tries(&(struct bide_tls_client_opts){.alpn = both}) > 0);
    CHECK(tries(&(struct bide_tls_client_opts){0}) > 0);
    CHECK_INT(tries(&(struct bide_tls_client_opts){.alpn = other}), -BIDE_ETLS);
    /* in clear: an alert, or just the end */
    CHECK(!strstr(http_ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1"));
    https_until_connections(0);
    https_end();
}

TASK_TEST(contexts_of_the_wrong_kind)
{
    bide_tls_context *context = client_context();
    struct bide_http_server_opts opts = {.tls = context};
    http_app();
    CHECK_INT(bide_http_serve(rig_app, "127.0.0.1", 0, &opts, &rig_server), -EINVAL);
    opts = (struct bide_http_server_opts){.handshake_seconds = -1};
    CHECK_INT(bide_http_serve(rig_app, "127.0.0.1", 0, &opts, &rig_server), -EINVAL);
    bide_http_app_free(rig_app);
    bide_tls_unref(context);
}

/* Limits */

/* A TLS record's head, that promises a ClientHello. */
static const char *const beginnings[] = {"", "\x16", "\x16\x03\x01\x02",
                                         "\x16\x03\x01\x01\x40\x01"};

TASK_TEST(a_handshake_has_its_time)
{
    app();
    https_begin(&(struct bide_http_server_opts){.handshake_seconds = TICKS(100)});
    bide_stream *streams[4];
    int n_fds = count_fds();
    for (int i = 0; i < 4; i++) {
        streams[i] = http_connect();
        http_say(streams[i], beginnings[i]);
    }
    https_until_connections(4);
    CHECK_STR(https_get("/"), TEXT("200 OK", "6", CLOSING, "secure")); /* they hold nobody up */
    https_until_connections(0);
    for (int i = 0; i < 4; i++) {
        char byte;
        CHECK(bide_read(streams[i], &byte, 1) <= 0);
        bide_close(streams[i]);
    }
    CHECK_INT(count_fds(), n_fds);
    https_end();
}

TASK_TEST(idle_and_half_a_head)
{
    struct bide_http_server_opts opts = {.idle_seconds = TICKS(60), .header_seconds = TICKS(4)};
    app();
    https_begin(&opts);
    bide_stream *idle = https_connect(), *half = https_connect();
    http_say(half, "GET / HTTP/1.1\r\nHost:");
    CHECK_STR(http_hear(idle), "");
    CHECK_INT(http_status_of(http_hear(half)), 408);
    bide_close(idle);
    bide_close(half);
    https_until_connections(0);
    https_end();
}

/* Clients that go */

TASK_TEST(who_goes_has_his_handler_cancelled)
{
    app();
    https_begin(NULL);
    for (int how = 0; how < 4; how++) {
        bide_event_clear(&is_waiting);
        bide_stream *stream = https_connect();
        http_say(stream, "GET /waits HTTP/1.1\r\nHost: h\r\n\r\n");
        CHECK_INT(bide_event_wait(&is_waiting), 0);
        if (how == 0)
            CHECK_INT(bide_close(stream), 0);
        else if (how == 1)
            bide_abort(stream);
        else if (how == 2)
            https_cut(stream);
        else
            CHECK_INT(bide_write_eof(stream), 0);
        https_until_connections(0);
        CHECK_INT(waited, -ECANCELED);
        if (how > 0)
            bide_close(stream);
    }
    https_end();
}

/* A body of which the rest never comes. */
TASK_TEST(cut_off_in_a_body)
{
    app();
    https_begin(NULL);
    for (int chunked = 0; chunked < 2; chunked++) {
        bide_stream *stream = https_connect();
        http_say(stream, chunked ? "POST /echo HTTP/1.1\r\nHost: h\r\n"
                                   "Transfer-Encoding: chunked\r\n\r\n5\r\nab"
                                 : "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
        https_cut(stream);
        bide_close(stream);
        https_until_connections(0);
    }
    https_end();
}

/* Without a length, only the end of the session says that a body is whole. */
TASK_TEST(the_end_of_a_body_is_said)
{
    app();
    https_begin(NULL);
    bide_stream *stream = https_connect();
    char answer[256];
    int size = 0, n;
    http_say(stream, "GET /pieces HTTP/1.0\r\n\r\n");
    while ((n = bide_read(stream, answer + size, sizeof answer - (size_t)size)) > 0)
        size += n;
    CHECK_INT(n, 0); /* and not -BIDE_ETRUNCATED */
    bide_close(stream);
    https_end();
}

/* The end of the server */

static bide_async(ends, (double *, seconds))
{
    double begun = bide_time();
    int rc = bide_http_server_free(rig_server);
    *seconds = bide_time() - begun;
    return rc;
}

TASK_TEST(closed_with_connections_in_every_state)
{
    double seconds = 0;
    app();
    https_begin(NULL);
    bide_stream *shaking = http_connect(), *silent = http_connect();
    bide_stream *idle = https_connect(), *kept = https_connect(), *busy = https_connect();
    char answer[256];
    http_say(shaking, beginnings[2]);
    http_say(kept, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(bide_read(kept, answer, sizeof answer) > 0);
    http_say(busy, "GET /waits HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_INT(bide_event_wait(&is_waiting), 0);
    https_until_connections(5);
    bide_task *task = bide_spawn(ends, &seconds);
    https_until_connections(1);
    CHECK_STR(http_hear(idle), "");
    CHECK_STR(http_hear(kept), "");
    bide_event_set(&may_go_on);
    CHECK_STR(http_hear(busy), TEXT("200 OK", "4", CLOSING, "done"));
    CHECK_INT(bide_await(task), 0);
    CHECK(seconds < 8); /* the time of a handshake, and that of grace */
    bide_stream *all[] = {shaking, silent, idle, kept, busy};
    for (size_t i = 0; i < 5; i++)
        bide_close(all[i]);
    bide_http_app_free(rig_app);
    bide_tls_unref(https_servers);
    bide_tls_unref(https_clients);
}

TASK_TEST(closed_and_the_answer_does_not_come)
{
    app();
    https_begin(&(struct bide_http_server_opts){.grace_seconds = TICKS(4)});
    bide_stream *busy = https_connect();
    http_say(busy, "GET /waits HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_INT(bide_event_wait(&is_waiting), 0);
    https_end();
    CHECK_INT(waited, -ECANCELED);
    bide_close(busy);
}

/* WebSocket */

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

static bide_websocket *ws_connect(const struct bide_websocket_opts *more)
{
    char url[64];
    bide_websocket *ws;
    struct bide_websocket_opts opts = *more;
    opts.tls = https_clients;
    opts.message_bytes = 2 * MUCH;
    snprintf(url, sizeof url, "wss://127.0.0.1:%u/ws", bide_http_server_port(rig_server));
    CHECK_INT(bide_websocket_connect(url, &opts, &ws), 0);
    return ws;
}

static void passes_ws(bide_websocket *ws, enum bide_websocket_type type, const char *data,
                      size_t size)
{
    struct bide_websocket_message message;
    CHECK_INT(bide_websocket_send(ws, type, data, size), 0);
    CHECK_INT(bide_websocket_receive(ws, &message), 1);
    CHECK_INT(message.type, type);
    CHECK_INT(message.size, size);
    CHECK(memcmp(message.data, data, size) == 0);
}

TASK_TEST(messages)
{
    char *bytes = malloc(MIB);
    pattern_fill(bytes, 0, MIB);
    http_app();
    http_route("GET", "/ws", talks);
    https_begin(NULL);
    for (int off = 0; off < 2; off++) {
        bide_websocket *ws = ws_connect(&(struct bide_websocket_opts){.deflate.off = off});
        CHECK(off || !bide_websocket_extension(ws)[0] ||
              strstr(bide_websocket_extension(ws), "permessage-deflate"));
        for (size_t size = 0; size <= MIB; size = size * 5 + 1)
            passes_ws(ws, BIDE_WEBSOCKET_BINARY, bytes, size);
        passes_ws(ws, BIDE_WEBSOCKET_TEXT, "words", 5);
        CHECK_INT(bide_websocket_ping(ws, "ping", 4), 0);
        passes_ws(ws, BIDE_WEBSOCKET_TEXT, "behind the pong", 15);
        CHECK_INT(bide_websocket_close(ws, 4000, "enough"), 0);
        CHECK_INT(bide_websocket_code(ws), 4000);
        bide_websocket_free(ws);
    }
    https_until_connections(0);
    https_end();
    free(bytes);
}

TASK_TEST(a_server_that_closes_tells_its_websockets)
{
    struct bide_websocket_message message;
    http_app();
    http_route("GET", "/ws", talks);
    https_begin(NULL);
    bide_websocket *ws = ws_connect(&(struct bide_websocket_opts){0});
    passes_ws(ws, BIDE_WEBSOCKET_TEXT, "words", 5);
    CHECK_INT(bide_http_server_close(rig_server), 1);
    CHECK_INT(bide_websocket_receive(ws, &message), 0);
    CHECK_INT(bide_websocket_code(ws), BIDE_WEBSOCKET_GOING_AWAY);
    bide_websocket_free(ws);
    https_end();
}

/* Cut off without a close frame and without the end of the session. */
TASK_TEST(a_websocket_that_is_cut_off)
{
    static const char hands[] = "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char *head;
    http_app();
    http_route("GET", "/ws", talks);
    https_begin(NULL);
    for (int resets = 0; resets < 2; resets++) {
        bide_stream *stream = https_connect();
        http_say(stream, hands);
        CHECK(bide_read_until(stream, "\r\n\r\n", 4, &head) > 0);
        CHECK_CONTAINS(head, " 101 ");
        if (resets)
            bide_abort(stream);
        else
            https_cut(stream);
        https_until_connections(0);
        bide_close(stream);
    }
    https_end();
}
