/*
 * WebSocket servers. Scenario: every case of websocket_cases.h from a client of bytes, whole and in
 * pieces; handshakes of every kind; clients and servers that close.
 * Claim: messages come back as they were sent, pings are answered, what breaks a rule ends the
 * connection with its code, and whoever closes is answered.
 */
#include "websocket_server_rig.h"

#include <bide/http_middleware.h>

#include "websocket_cases.h"

/* Handshakes */

/* Without zlib nobody is promised anything. */
#define PACKS(field) HAVE_ZLIB ? CHANGES(field) : CHANGES("")

STREAM_TEST(handshakes)
{
    static const struct {
        const char *request;
        const char *answer; /* its beginning, or all of it if it changes */
    } cases[] = {
        {ASK(""), CHANGES("")},
        {ASK("Origin: http://h:80\r\n"), CHANGES("")},
        {ASK("Origin: https://H:80\r\n"), CHANGES("")},
        {ASK("Origin: http://h\r\n"), "HTTP/1.1 403 "},
        {ASK("Origin: http://evil\r\n"), "HTTP/1.1 403 "},
        {ASK("Origin: null\r\n"), "HTTP/1.1 403 "},
        {ASK("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"),
         PACKS("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; "
               "client_max_window_bits=12\r\n")},
        {ASK("Sec-WebSocket-Extensions: x-other\r\n"
             "sec-websocket-extensions: permessage-deflate; server_max_window_bits=10\r\n"),
         PACKS("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n")},
        {ASK("Sec-WebSocket-Extensions: permessage-deflate; nonsense\r\n"), CHANGES("")},
        {ASK("Sec-WebSocket-Protocol: a, c, b\r\n"), CHANGES("Sec-WebSocket-Protocol: b\r\n")},
        {ASK("Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: c\r\n"),
         CHANGES("Sec-WebSocket-Protocol: c\r\n")},
        {ASK("Sec-WebSocket-Protocol: bc, B\r\n"), CHANGES("")},
        {"GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 426 "},
        {"POST /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Content-Length: 0\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: close\r\n"
         "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 "},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 "},
    };
    static const char *const subprotocols[] = {"b", "c", NULL};
    ws_begin(echo_messages, &(struct bide_websocket_opts){.subprotocols = subprotocols});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[2048];
        bide_stream *stream = http_connect();
        ws_case(cases[i].request);
        http_say(stream, cases[i].request);
        read_head(stream, head, sizeof head);
        cut_line(head, "Server: ");
        cut_line(head, "Date: ");
        if (strstr(cases[i].answer, " 101 "))
            CHECK_STR(head, cases[i].answer);
        else
            CHECK(strncmp(head, cases[i].answer, strlen(cases[i].answer)) == 0);
        if (strstr(head, " 426 "))
            CHECK_CONTAINS(head, "Upgrade: websocket\r\n");
        bide_abort(stream);
        bide_close(stream);
    }
    http_end();
}

STREAM_TEST(origins_that_may)
{
    static const char *const some[] = {"https://a.example", "http://b.example:8080", NULL};
    static const char *const any[] = {"*", NULL};
    for (int all = 0; all < 2; all++) {
        static const struct {
            const char *origin;
            bool is_welcome;
        } cases[] = {{"https://a.example", true},
                     {"HTTP://B.example:8080", true},
                     {"http://a.example", false},
                     {"http://b.example", false},
                     {"http://h:80", false}};
        ws_begin(echo_messages, &(struct bide_websocket_opts){.origins = all ? any : some});
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            char text[1024], head[1024];
            bide_stream *stream = http_connect();
            snprintf(text, sizeof text, ASK("Origin: %s\r\n"), cases[i].origin);
            http_say(stream, text);
            read_head(stream, head, sizeof head);
            CHECK_INT(strstr(head, " 101 ") != NULL, cases[i].is_welcome || all);
            bide_abort(stream);
            bide_close(stream);
        }
        http_end();
    }
}

/* Limits of the handler's time */

static int sleeps_then_accepts(bide_http_request *request, void *data)
{
    int rc = bide_sleep(TICKS(1000));
    return rc < 0 ? rc : ws_handler(request, data);
}

STREAM_TEST(a_handlers_time_ends_with_the_handshake)
{
    for (int middleware = 0; middleware < 2; middleware++) {
        struct bide_http_server_opts opts = {.handler_seconds = middleware ? 0 : TICKS(4)};
        struct client client;
        char head[1024];
        ws_opts = (struct bide_websocket_opts){0};
        ws_body = echo_messages;
        http_app();
        http_route(NULL, "/ws", ws_handler);
        http_route(NULL, "/late", sleeps_then_accepts);
        if (middleware)
            CHECK_INT(bide_http_use_time_limit(rig_app, TICKS(4)), 0);
        http_begin(&opts);
        client_open(&client);
        CHECK_INT(bide_sleep(TICKS(8)), 0);
        client_say(&client, "81:still");
        CHECK_STR(client_hear(&client, "T"), "T(still)");
        client_say(&client, "88:=03e8");
        CHECK_STR(client_hear(&client, "C"), "C1000()");
        client_close(&client);
        bide_stream *stream = http_connect();
        http_say(stream, "GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
        read_head(stream, head, sizeof head);
        CHECK_CONTAINS(head, " 503 ");
        bide_abort(stream);
        bide_close(stream);
        CHECK_STR(take_report(), "a request's handler failed|-110|GET /late: |||");
        http_end();
    }
}

/* JSON */

static int echo_json(bide_websocket *ws)
{
    const char *json;
    int rc;
    CHECK_INT(bide_websocket_receive_json(ws, NULL), -EINVAL);
    CHECK_INT(bide_websocket_receive_json(NULL, &json), -EINVAL);
    CHECK_INT(bide_websocket_send_json(ws, NULL), -EINVAL);
    while ((rc = bide_websocket_receive_json(ws, &json)) > 0) {
        rc = bide_websocket_send_json(ws, json);
        if (rc < 0)
            break;
    }
    return rc;
}

STREAM_TEST(json_is_text)
{
    static const struct {
        const char *frames, *heard;
        int result;
    } cases[] = {
        {"81:{\"a\":1} 81:[] 88:=03e8", "T({\"a\":1})T([])C1000()", 0},
        {"01:{\"b\": 00:2 80:} 88:=03e8", "T({\"b\":2})C1000()", 0},
        {"81:1 82:{}", "T(1)C1003(only JSON, as text, is taken here)", -EBADMSG},
        {"81:=7b007d", "C1007(a NUL in what should be JSON)", -EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client client;
        ws_begin(echo_json, NULL);
        client_open(&client);
        client_say(&client, cases[i].frames);
        CHECK_STR(client_hear(&client, "C"), cases[i].heard);
        client_say(&client, "88:");
        client_close(&client);
        http_end();
        CHECK_INT(ws_result, cases[i].result);
    }
}

static int answer_twice(bide_http_request *request, void *data)
{
    bide_websocket *ws;
    (void)data;
    CHECK_INT(bide_websocket_accept(request, NULL, NULL), -EINVAL);
    CHECK_INT(bide_websocket_accept(NULL, NULL, &ws), -EINVAL);
    struct bide_websocket_opts bad = {.ping_seconds = -1};
    CHECK_INT(bide_websocket_accept(request, &bad, &ws), -EINVAL);
    bad = (struct bide_websocket_opts){.deflate = {.window_bits = 8}};
    CHECK_INT(bide_websocket_accept(request, &bad, &ws), -EINVAL);
    CHECK_INT(bide_http_reply_text(request, 200, "no"), 0);
    CHECK_INT(bide_websocket_accept(request, NULL, &ws), -EALREADY);
    return 0;
}

STREAM_TEST(what_cannot_be_accepted)
{
    http_app();
    http_route("GET", "/ws", answer_twice);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    char head[1024];
    http_say(stream, ASK(""));
    read_head(stream, head, sizeof head);
    CHECK_CONTAINS(head, " 200 ");
    bide_close(stream);
    http_end();
}

/* Messages */

/* What an echo server's answers are, in the words of what it is sent. */
static void expect(const char *events, char *to)
{
    *to = '\0';
    for (const char *at = events; *at;) {
        size_t n = *at == '!' ? 5 : strcspn(at, ")]") + 1;
        char what[256];
        snprintf(what, sizeof what, "%.*s", (int)n, at);
        at += n;
        if (*what == 'P')
            *what = 'O';
        else if (*what == 'O') /* a pong that nobody asked for */
            continue;
        if (*what == '!') {
            sprintf(to + strlen(to), "C%s", what + 1);
            return;
        }
        if (*what == 'C') {
            sprintf(to + strlen(to), "%.5s()", what);
            return;
        }
        strcat(to, what);
    }
}

/* Pongs may be skipped for the last one; here each is heard, because the output has room. */
static void run_case(const struct websocket_case *one, size_t piece)
{
    static char data[WS_BYTES];
    struct client client;
    char expected[1024];
    size_t size = ws_frames(one->frames, true, data);
    expect(one->events, expected);
    client_open(&client);
    bool ends = strchr(expected, 'C');
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        int rc = bide_write(client.stream, data + at, n);
        if (rc < 0) /* it has ended already */
            break;
        if (piece < size)
            bide_test_turns(1);
    }
    if (!ends) {
        client_say(&client, "88:=03e8");
        strcat(expected, "C1000()");
    }
    const char *told = client_hear(&client, "|");
    char *reason = strchr(client.told, 'C');
    CHECK(reason);
    if (strchr(expected, 'C')[1] == '1' && ends && strchr(one->events, '!')) { /* with words */
        CHECK(strncmp(told, expected, strlen(expected)) == 0);
    } else {
        CHECK(strncmp(told, expected, strlen(expected)) == 0);
        CHECK_INT(strlen(told), strlen(expected) + 1);
    }
    client_close(&client);
}

static const struct bide_websocket_opts case_limits = {
    .frame_bytes = 80000, .message_bytes = 100000, .fragments_max = 8};

STREAM_TEST_SECONDS(every_case_whole, 120)
{
    ws_begin(echo_messages, &case_limits);
    for (size_t i = 0; i < N_WEBSOCKET_CASES; i++) {
        ws_case(websocket_cases[i].name);
        run_case(&websocket_cases[i], SIZE_MAX);
    }
    http_end();
}

STREAM_TEST_SECONDS(every_case_byte_by_byte, 300)
{
    ws_begin(echo_messages, &case_limits);
    for (size_t i = 0; i < N_WEBSOCKET_CASES; i++) {
        bool is_large = strstr(websocket_cases[i].frames, "*65") ||
                        strstr(websocket_cases[i].frames, "*6000");
        ws_case(websocket_cases[i].name);
        run_case(&websocket_cases[i], is_large ? 7001 : 1);
    }
    http_end();
}

/* An echo of parts ends a text that is none at the same byte, with parts of it sent before. */
STREAM_TEST_SECONDS(every_case_in_parts, 120)
{
    ws_begin(echo_parts, &case_limits);
    for (size_t i = 0; i < N_WEBSOCKET_CASES; i++) {
        const struct websocket_case *one = &websocket_cases[i];
        bool is_plain = !strchr(one->events, '!') && !strchr(one->events, 'P');
        if (is_plain && !strstr(one->frames, "88:=03e8 80:")) {
            ws_case(one->name);
            run_case(one, SIZE_MAX);
        }
    }
    http_end();
}

/* Frames that came with the request, and the request with its frames in pieces of every size. */
STREAM_TEST_SECONDS(frames_behind_the_request, 120)
{
    char data[4096];
    strcpy(data, ASK(""));
    size_t head = strlen(data);
    size_t size = head + ws_frames("81:Hello 89:p 82:*1500 88:=03e8", true, data + head);
    ws_begin(echo_messages, NULL);
    for (size_t piece = 1; piece <= size; piece += piece < 40 ? 1 : 97) {
        struct client client = {.stream = http_connect(), .message = malloc(WS_BYTES)};
        char answer[1024];
        bide__ws_reader_init(&client.reader, false, &no_limits);
        for (size_t at = 0; at < size; at += piece) {
            CHECK_INT(bide_write(client.stream, data + at, size - at < piece ? size - at : piece),
                      0);
            if (piece < 400)
                bide_test_turns(1);
        }
        read_head(client.stream, answer, sizeof answer);
        CHECK_STR(client_hear(&client, "|"), "T(Hello)O(p)B[1500]C1000()|");
        client_close(&client);
    }
    http_end();
}

STREAM_TEST(a_client_that_vanishes)
{
    struct client client;
    ws_begin(echo_messages, NULL);
    client_open(&client);
    client_say(&client, "01:half");
    bide_write_eof(client.stream);
    CHECK_STR(client_hear(&client, "|"), "|");
    CHECK_INT(ws_result, -BIDE_EINCOMPLETE);
    CHECK_INT(ws_code, BIDE_WEBSOCKET_NO_CLOSE);
    client_close(&client);
    http_end();
}

STREAM_TEST(a_clients_close_and_its_reason)
{
    struct client client;
    ws_begin(echo_messages, NULL);
    client_open(&client);
    client_say(&client, "88:=0fa0627965"); /* 4000, "bye" */
    CHECK_STR(client_hear(&client, "|"), "C4000()|");
    CHECK_INT(ws_result, 0);
    CHECK_INT(ws_code, 4000);
    CHECK_STR(ws_reason, "bye");
    client_close(&client);
    http_end();
}

static int says_close(bide_websocket *ws)
{
    CHECK_INT(bide_websocket_close(ws, 1005, NULL), -EINVAL);
    CHECK_INT(bide_websocket_close(ws, 1000, "\xff"), -EINVAL);
    CHECK_INT(bide_websocket_code(ws), 0);
    int rc = bide_websocket_close(ws, 3001, "enough");
    CHECK_INT(bide_websocket_send_text(ws, "late"), rc == 0 ? -EPIPE : rc);
    CHECK_INT(bide_websocket_offer(ws, BIDE_WEBSOCKET_TEXT, "late", 4), rc == 0 ? -EPIPE : rc);
    CHECK_INT(bide_websocket_ping(ws, NULL, 0), rc == 0 ? -EPIPE : rc);
    struct bide_websocket_message message;
    CHECK_INT(bide_websocket_receive(ws, &message), rc);
    CHECK_INT(bide_websocket_close(ws, 0, NULL), rc);
    return rc;
}

STREAM_TEST(a_close_of_ours)
{
    struct client client;
    ws_begin(says_close, NULL);
    client_open(&client);
    CHECK_STR(client_hear(&client, "C"), "C3001(enough)");
    client_say(&client, "81:dropped 01:x 89:p 88:=0bb9");
    CHECK_STR(client_hear(&client, "|"), "|");
    CHECK_INT(ws_result, 0);
    CHECK_INT(ws_code, 3001);
    client_close(&client);
    http_end();
}

STREAM_TEST(a_close_that_nobody_answers)
{
    struct client client;
    ws_begin(says_close, &(struct bide_websocket_opts){.close_seconds = 0.03});
    client_open(&client);
    CHECK_STR(client_hear(&client, "C"), "C3001(enough)");
    CHECK_STR(client_hear(&client, "|"), "!");
    CHECK_INT(ws_result, -ETIMEDOUT);
    CHECK_INT(ws_code, BIDE_WEBSOCKET_NO_CLOSE);
    client_close(&client);
    http_end();
}

/* The server closes gently */

STREAM_TEST(a_server_that_closes_says_so)
{
    struct client client;
    ws_begin(echo_messages, NULL);
    client_open(&client);
    client_say(&client, "81:a");
    CHECK_STR(client_hear(&client, "T"), "T(a)");
    CHECK_INT(bide_http_server_close(rig_server), 1);
    CHECK_STR(client_hear(&client, "C"), "C1001(the server closes)");
    client_say(&client, "88:=03e9");
    CHECK_STR(client_hear(&client, "|"), "|");
    CHECK_INT(ws_result, 0);
    client_close(&client);
    http_end();
}
