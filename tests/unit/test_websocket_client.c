/*
 * WebSocket clients. Scenario: a client and a server of ours with messages of every size,
 * compressed in every way; servers of bytes that refuse, answer wrongly, or not at all; URLs of
 * every kind; calls that are cancelled at each turn; memory that fails; a loop that
 * closes in the middle. Claim: messages come back as they were sent; an answer that is none to our
 * request is refused and says why; whatever fails leaves nothing behind.
 */
#include "http_rig.h"

#include <bide/websocket.h>

#include "fault.h"
#include "websocket_rig.h"

static struct bide_websocket_opts server_opts;

static int echo(bide_http_request *request, void *data)
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    (void)data;
    int rc = bide_websocket_accept(request, &server_opts, &ws);
    if (rc < 0)
        return rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0) {
        rc = bide_websocket_send(ws, message.type, message.data, message.size);
        if (rc < 0)
            break;
    }
    bide_websocket_free(ws);
    return rc;
}

static void begin(const struct bide_websocket_opts *opts)
{
    server_opts = opts ? *opts : (struct bide_websocket_opts){0};
    http_app();
    http_route(NULL, "/echo", echo);
    http_begin(NULL);
}

static const char *url_of(const char *rest)
{
    static char url[256];
    snprintf(url, sizeof url, "ws://127.0.0.1:%u%s", bide_http_server_port(rig_server), rest);
    return url;
}

static bide_async(sends, (bide_websocket *, ws), (int, type), (const char *, data), (size_t, size))
{
    return bide_websocket_send(
        ws, type == BIDE_WEBSOCKET_TEXT ? BIDE_WEBSOCKET_TEXT : BIDE_WEBSOCKET_BINARY, data, size);
}

static void there_and_back(bide_websocket *ws, enum bide_websocket_type type, const char *data,
                           size_t size)
{
    struct bide_websocket_message message;
    bide_task *task = bide_spawn(sends, ws, (int)type, data, size);
    int rc = bide_websocket_receive(ws, &message);
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(rc, 1);
    CHECK_INT(message.type, type);
    CHECK_INT(message.size, size);
    CHECK(memcmp(message.data, data, size) == 0);
    CHECK_INT(message.data[size], 0);
}

static const struct bide_websocket_deflate deflates[] = {
    {.off = true},
    {.size_min = 1},
    {.size_min = 1, .window_bits = 9, .peer_bits = 15, .memory = 1, .level = 1},
    {.size_min = 1, .window_bits = 15, .memory = 9, .level = 9},
    {.size_min = 1, .forget = true},
    {.size_min = 1, .peer_forgets = true, .forget = true},
};

BIDE_TEST_TASK_EACH(deflates, messages_of_every_size, .seconds = 120)
{
    static const size_t sizes[] = {0,     1,     125,   126,   127,    128,    500,
                                   512,   513,   4096,  16384, 32767,  32768,  32769,
                                   65535, 65536, 65537, 70000, 131072, 300000, 1048576};
    static char data[1048576];
    bide_websocket *ws;
    begin(&(struct bide_websocket_opts){.deflate = *each});
    CHECK_INT(bide_websocket_connect(url_of("/echo"), &server_opts, &ws), 0);
    CHECK_INT(*bide_websocket_extension(ws) != '\0', HAVE_ZLIB && !each->off);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            data[j] = i % 2 == 0 ? pattern_at(j) : (char)('a' + (j / 7 * j) % 26);
        there_and_back(ws, i % 2 == 0 ? BIDE_WEBSOCKET_BINARY : BIDE_WEBSOCKET_TEXT, data,
                       sizes[i]);
        there_and_back(ws, BIDE_WEBSOCKET_BINARY, data, sizes[i] / 2);
    }
    CHECK_INT(bide_websocket_close(ws, 4001, "done"), 0);
    CHECK_INT(bide_websocket_code(ws), 4001);
    bide_websocket_free(ws);
    http_end();
}

/* What unpacks to more than it may be. */
STREAM_TEST(a_message_that_is_too_large_when_unpacked)
{
    static char much[100000];
    bide_websocket *ws;
    struct bide_websocket_message message;
    begin(&(struct bide_websocket_opts){.message_bytes = 99999});
    CHECK_INT(bide_websocket_connect(url_of("/echo"), NULL, &ws), 0);
    CHECK_INT(bide_websocket_send_binary(ws, much, sizeof much), 0);
    CHECK_INT(bide_websocket_receive(ws, &message), 0);
    CHECK_INT(bide_websocket_code(ws), BIDE_WEBSOCKET_TOO_BIG);
    bide_websocket_free(ws);
    CHECK_INT(bide_websocket_connect(url_of("/echo"), NULL, &ws), 0);
    there_and_back(ws, BIDE_WEBSOCKET_BINARY, much, 99999);
    CHECK_INT(bide_websocket_close(ws, 0, NULL), 0);
    bide_websocket_free(ws);
    http_end();
}

/* Servers of bytes */

static const char *script; /* "%s" is the key's answer */
static char asked[2048];

static int answer_by_script(bide_stream *stream, void *data)
{
    char answer[1024], accept[BIDE__WS_ACCEPT_SIZE];
    size_t n = 0;
    (void)data;
    while (n < 4 || memcmp(asked + n - 4, "\r\n\r\n", 4) != 0) {
        int rc = bide_read(stream, asked + n, 1);
        if (rc <= 0)
            return rc;
        n++;
    }
    asked[n] = '\0';
    char *key = strstr(asked, "Sec-WebSocket-Key: ") + 19;
    char copy[BIDE__WS_KEY_SIZE];
    snprintf(copy, sizeof copy, "%s", key);
    CHECK(bide__ws_key_is_valid(copy));
    bide__ws_accept_write(copy, accept);
    if (!script)
        return bide_sleep(INFINITY);
    const char *place = strstr(script, "%s");
    strcpy(answer, script);
    if (place)
        strcpy(stpcpy(answer + (place - script), accept), place + 2);
    int rc = bide_write(stream, answer, strlen(answer));
    return rc < 0 ? rc : bide_write_eof(stream) == 0 ? bide_sleep(0.005) : 0;
}

static bide_server *scripted;

static int connect_to_script(const struct bide_websocket_opts *opts, bide_websocket **ret_ws)
{
    char url[128];
    CHECK_INT(bide_serve("127.0.0.1", 0, answer_by_script, NULL, NULL, &scripted), 0);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/a/b?c=d", bide_server_port(scripted));
    return bide_websocket_connect(url, opts, ret_ws);
}

static void script_end(void)
{
    bide_server_cancel(scripted);
    bide_server_close(scripted);
    CHECK_INT(bide_server_wait_closed(scripted), 0);
    bide_server_free(scripted);
}

#define GOOD \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n" \
    "Sec-WebSocket-Accept: %s\r\n"

STREAM_TEST(answers_of_every_kind)
{
    static const struct {
        const char *script;
        int rc;
        const char *why;
    } cases[] = {
        {GOOD "\r\n", 0, ""},
        {GOOD "Sec-WebSocket-Protocol: b\r\n\r\n", 0, ""},
        {GOOD "Sec-WebSocket-Protocol: B\r\n\r\n", -EPROTO, "chose \"B\", which was not offered"},
        {GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", -EPROTO,
         "which was not offered"}, /* more bits than we said */
        {GOOD "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n\r\n",
         HAVE_ZLIB ? 0 : -EPROTO, "which was not offered"},
        {GOOD "Sec-WebSocket-Extensions: x-other\r\n\r\n", -EPROTO, "which was not offered"},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", -EPROTO,
         "the server answered 404 Not Found"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", -EPROTO, "answered 200"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         -EPROTO, "not to our key"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", -EPROTO,
         "not to our key"},
        {"HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
         "%s\r\n\r\n",
         -EPROTO, "did not change"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", -EPROTO,
         "did not change"},
        {"SSH-2.0-x\r\n\r\n", -EBADMSG, "not HTTP"},
        {"HTTP/1.1 101 x\r\nUpgrade", -BIDE_EINCOMPLETE, "ended before the answer"},
        {"", -BIDE_EINCOMPLETE, "ended before the answer"},
    };
    static const char *const subprotocols[] = {"a", "b", NULL};
    static const struct bide_http_field headers[] = {{"Origin", "http://o"}, {"X", "y"}};
    struct bide_websocket_opts opts = {
        .subprotocols = subprotocols, .headers = headers, .n_headers = 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bide_websocket *ws = NULL;
        ws_case(cases[i].script);
        script = cases[i].script;
        CHECK_INT(connect_to_script(&opts, &ws), cases[i].rc);
        if (cases[i].rc < 0)
            CHECK_CONTAINS(bide_error_detail(), cases[i].why);
        CHECK_CONTAINS(asked, "GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:");
        CHECK_CONTAINS(asked, "\r\nSec-WebSocket-Protocol: a, b\r\n");
        CHECK_CONTAINS(asked, "\r\nOrigin: http://o\r\nX: y\r\n\r\n");
        CHECK_INT(ws != NULL, cases[i].rc == 0);
        bide_websocket_free(ws);
        script_end();
    }
}

/* What comes with the answer is the first message. */
STREAM_TEST(a_message_with_the_answer)
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    script = GOOD "\r\n\x81\x05Hello\x88";
    CHECK_INT(connect_to_script(NULL, &ws), 0);
    CHECK_INT(bide_websocket_receive(ws, &message), 1);
    CHECK_STR(message.data, "Hello");
    CHECK_INT(bide_websocket_receive(ws, &message), -BIDE_EINCOMPLETE);
    CHECK_INT(bide_websocket_receive(ws, &message), -BIDE_EINCOMPLETE);
    CHECK_INT(bide_websocket_send_text(ws, "no"), -BIDE_EINCOMPLETE);
    CHECK_INT(bide_websocket_close(ws, 0, NULL), -BIDE_EINCOMPLETE);
    CHECK_CONTAINS(bide_error_detail(), "without a close frame");
    bide_websocket_free(ws);
    script_end();
}

STREAM_TEST(a_server_that_masks)
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    script = GOOD "\r\n\x81\x81mmmmx";
    CHECK_INT(connect_to_script(NULL, &ws), 0);
    CHECK_INT(bide_websocket_receive(ws, &message), -EBADMSG);
    CHECK_INT(bide_websocket_code(ws), BIDE_WEBSOCKET_PROTOCOL_ERROR);
    CHECK_STR(bide_websocket_reason(ws), "a masked frame from the server");
    bide_websocket_free(ws);
    script_end();
}

STREAM_TEST(a_server_that_does_not_answer)
{
    bide_websocket *ws;
    script = NULL;
    CHECK_INT(connect_to_script(&(struct bide_websocket_opts){.connect_seconds = 0.02}, &ws),
              -ETIMEDOUT);
    script_end();
}

STREAM_TEST(urls)
{
    static const struct {
        const char *url;
        int rc;
    } cases[] = {{"", -EINVAL},
                 {"http://127.0.0.1/", -EINVAL},
                 {"ws:///path", -EINVAL},
                 {"ws://127.0.0.1/#fragment", -EINVAL},
                 {"ws://user@127.0.0.1/", -EINVAL},
                 {"ws://127.0.0.1:99999/", -EINVAL},
                 {"127.0.0.1", -EINVAL},
                 {"ws://127.0.0.1:1/", -ECONNREFUSED},
                 {"ws://[::1]:1/", -ECONNREFUSED}};
    static const struct bide_http_field bad = {"a b", "c"}, worse = {"a", "b\r\nc: d"};
    bide_websocket *ws;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_case(cases[i].url);
        int rc = bide_websocket_connect(cases[i].url, NULL, &ws);
        if (!strstr(cases[i].url, "::1") || rc != -EADDRNOTAVAIL)
            CHECK_INT(rc, cases[i].rc);
    }
    CHECK_INT(bide_websocket_connect("ws://127.0.0.1:1/", NULL, NULL), -EINVAL);
    struct bide_websocket_opts opts = {.headers = &bad, .n_headers = 1};
    CHECK_INT(bide_websocket_connect("ws://127.0.0.1:1/", &opts, &ws), -EINVAL);
    opts.headers = &worse;
    CHECK_INT(bide_websocket_connect("ws://127.0.0.1:1/", &opts, &ws), -EINVAL);
}

/* Cancelled at each turn */

static bide_async(connects, (bide_websocket **, ret_ws))
{
    return bide_websocket_connect(url_of("/echo"), NULL, ret_ws);
}

static bide_async(talks)
{
    static char much[200000];
    bide_websocket *ws;
    struct bide_websocket_message message;
    int rc = bide_websocket_connect(url_of("/echo"), NULL, &ws);
    if (rc < 0)
        return rc;
    rc = bide_websocket_send_text(ws, "a text that is longer than what goes uncompressed, if words "
                                      "such as these are what it takes to be longer than that one");
    if (rc == 0)
        rc = bide_websocket_receive(ws, &message);
    if (rc == 1)
        rc = bide_websocket_send_binary(ws, much, sizeof much);
    if (rc == 0)
        rc = bide_websocket_receive(ws, &message);
    if (rc == 1)
        rc = message.size == sizeof much ? bide_websocket_close(ws, 0, NULL) : -EIO;
    bide_websocket_free(ws);
    return rc;
}

STREAM_TEST_SECONDS(cancelled_at_each_turn, 120)
{
    begin(NULL);
    for (int n = 0;; n += 1 + n / 50) {
        bide_task *task = bide_spawn(talks);
        bide_test_turns(n);
        bide_cancel(task);
        int rc = bide_await(task);
        if (rc == 0)
            break;
        CHECK_INT(rc, -ECANCELED);
    }
    http_end();
}

STREAM_TEST(a_cancelled_connect_leaves_nothing)
{
    bide_websocket *ws = NULL;
    begin(NULL);
    for (int n = 0;; n += 1 + n / 50) {
        bide_task *task = bide_spawn(connects, &ws);
        bide_test_turns(n);
        bide_cancel(task);
        if (bide_await(task) == 0)
            break;
        CHECK_PTR(ws, NULL);
    }
    bide_websocket_free(ws);
    http_end();
}

/* Failures, each in turn: whoever meets one says so, and nothing is left. */

STREAM_TEST_SECONDS(every_failing_allocation_in_turn, 300)
{
    begin(NULL);
    CHECK_INT(bide_await(bide_spawn(talks)), 0);
    for (unsigned long n = 1;; n++) {
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = bide_within(2, talks());
        while (bide_http_server_connections(rig_server) > 0)
            bide_test_turns(1);
        bool failed = fault_disarm();
        while (*take_report())
            ;
        if (!failed) {
            CHECK_INT(rc, 0);
            break;
        }
        CHECK(rc <= 0);
    }
    http_end();
}

/* The loop closes while both sides are in the middle; what is left of them is given up. */

static bide_async(stays, (int, n_turns))
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    CHECK_INT(bide_http_serve(rig_app, "127.0.0.1", 0, NULL, &rig_server), 0);
    CHECK_INT(bide_websocket_connect(url_of("/echo"), NULL, &ws), 0);
    (void)bide_websocket_send_text(ws, "a");
    if (n_turns > 0)
        (void)bide_websocket_receive(ws, &message);
    bide_loop_stop(bide_loop_current());
    int rc = bide_websocket_receive(ws, &message);
    bide_websocket_free(ws);
    bide_http_server_free(rig_server);
    return rc;
}

BIDE_TEST(a_loop_that_closes_in_the_middle)
{
    for (int n = 0; n < 2; n++) {
        bide_loop *loop = rig_loop();
        server_opts = (struct bide_websocket_opts){0};
        http_app();
        http_route(NULL, "/echo", echo);
        bide_task *task = bide_spawn_with(&(struct bide_task_opts){.loop = loop}, stays, n);
        CHECK_INT(bide_loop_run_forever(loop), 0);
        bide_detach(task);
        CHECK_INT(bide_loop_close(loop), 0);
        bide_http_app_free(rig_app);
        rig_end();
    }
}
