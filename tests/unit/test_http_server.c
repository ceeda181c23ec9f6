/*
 * HTTP servers. Scenario: clients that ask well, badly, slowly, several things at once, or go away.
 * Claim: answers come in the order of the requests, each whole; what is no request is refused with
 * its status, as the parser alone refuses it; a client that is gone cancels its handler and no
 * other; every limit ends with the answer that it should; closing finishes what is being answered.
 */
#include "http_rig.h"

#include "http1_cases.h"
#include "sim_rig.h"

static int hello(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, "hello");
}

static int tell(bide_http_request *request, void *data)
{
    char text[512];
    const char *id = bide_http_param(request, "id"), *rest = bide_http_param(request, "rest");
    const char *query = bide_http_query(request), *a = bide_http_query_get(request, "a b");
    (void)data;
    snprintf(text, sizeof text, "%s %s|%s|%s|%s|%s|%s|%s", bide_http_method(request),
             bide_http_path(request), query ? query : "-", a ? a : "-", id ? id : "-",
             rest ? rest : "-", bide_http_host(request), (char *)bide_http_state(request));
    return bide_http_reply_text(request, 200, text);
}

static int echo(bide_http_request *request, void *data)
{
    char *body;
    (void)data;
    int n = bide_http_read_all(request, 0, &body);
    return n < 0 ? n : bide_http_reply(request, 200, "text/plain; charset=utf-8", body, (size_t)n);
}

static void app_begin(const struct bide_http_server_opts *opts)
{
    http_app();
    http_route("GET", "/", hello);
    http_route(NULL, "/tell", tell);
    http_route(NULL, "/tell/{id}", tell);
    http_route("POST", "/echo", echo);
    http_begin(opts);
}

STREAM_TEST(one_request_one_answer)
{
    app_begin(NULL);
    CHECK_STR(http_get("/"), TEXT("200 OK", "5", CLOSING, "hello"));
    CHECK_STR(http_ask("GET / HTTP/1.0\r\n\r\n"), TEXT("200 OK", "5", CLOSING, "hello"));
    CHECK_STR(http_ask("HEAD / HTTP/1.0\r\n\r\n"), TEXT("200 OK", "5", CLOSING, ""));
    CHECK_STR(http_get("/tell/a%2Fb%20c?x=1&a+b=%3d"),
              TEXT("200 OK", "45", CLOSING, "GET /tell/a/b c|x=1&a+b=%3d|=|a/b c|-|h|state"));
    http_end();
}

STREAM_TEST(paths_never_lead_upwards)
{
    app_begin(NULL);
    CHECK(strstr(http_get("/../tell"), "GET /tell|"));
    CHECK(strstr(http_get("/a/%2e%2e/tell"), "GET /tell|"));
    CHECK(strstr(http_get("/./tell?"), "GET /tell||"));
    CHECK(strstr(http_get("/tell/a%2Fb"), "GET /tell/a/b|"));
    CHECK(strstr(http_get("/tell/..%2F..%2Fx"), "400 Bad Request"));
    CHECK(strstr(http_get("/a%2fb/../tell"), "400 Bad Request"));
    CHECK(strstr(http_get("/tell/..."), "GET /tell/...|"));
    CHECK(strstr(http_get("/tell/.x"), "GET /tell/.x|"));
    CHECK(strstr(http_get("/tell/%00"), "400 Bad Request"));
    CHECK(strstr(http_get("/tell/%zz"), "400 Bad Request"));
    http_end();
}

STREAM_TEST(pipelined_requests_are_answered_in_order)
{
    app_begin(NULL);
    CHECK_STR(
        http_ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                 "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "2\r\nde\r\n1;x\r\nf\r\n0\r\nT: t\r\n\r\n"
                 "\r\nHEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nskip"
                 "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                 "GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        TEXT("200 OK", "5", "", "hello") TEXT("200 OK", "3", "", "abc")
            TEXT("200 OK", "3", "", "def") TEXT(
                "200 OK", "5", "",
                "") "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Allow: GET, HEAD, OPTIONS\r\nContent-Length: 19\r\n\r\nMethod Not "
                    "Allowed\n" TEXT("404 Not Found", "10", CLOSING, "Not Found\n"));
    http_end();
}

/* Through a status line to the next empty line. */
static int first_status(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

static int reads_all(bide_http_request *request, void *data)
{
    char buffer[512];
    int rc;
    (void)data;
    while ((rc = bide_http_read(request, buffer, sizeof buffer)) > 0)
        ;
    return rc < 0 ? rc : bide_http_reply_text(request, 200, "read");
}

static int everything(bide_http_request *request, bide_http_next *next, void *data)
{
    (void)next;
    return reads_all(request, data);
}

STREAM_TEST_SECONDS(each_malformed_request_is_refused_over_the_network_as_well, 120)
{
    struct bide_http_server_opts opts = {.idle_seconds = TICKS(4)};
    http_app();
    CHECK_INT(bide_http_use(rig_app, everything, NULL, NULL), 0);
    http_begin(&opts);
    for (size_t i = 0; i < sizeof http1_cases / sizeof *http1_cases; i++) {
        int expected = http1_cases[i].status ? http1_cases[i].status : 200;
        const char *answer = http_ask_bytes(http1_cases[i].text, http1_cases[i].size);
        if (first_status(answer) != expected)
            FAIL("case %zu: %s\nis answered %s", i, http1_cases[i].text, answer);
    }
    http_end();
}

STREAM_TEST(clients_that_wait_are_told_to_go_on)
{
    app_begin(NULL);
    bide_stream *stream = http_connect();
    char *line;
    http_say(stream, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                     "Content-Length: 2\r\nConnection: close\r\n\r\n");
    CHECK(bide_read_line(stream, &line) > 0);
    CHECK_STR(line, "HTTP/1.1 100 Continue\r");
    CHECK(bide_read_line(stream, &line) > 0);
    http_say(stream, "ok");
    CHECK_STR(http_hear(stream), TEXT("200 OK", "2", CLOSING, "ok"));
    bide_close(stream);
    /* Who is refused first is not told, and the connection ends: nobody knows whether it comes. */
    CHECK_STR(http_ask("POST /none HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                       "Content-Length: 2\r\n\r\n"),
              TEXT("404 Not Found", "10", CLOSING, "Not Found\n"));
    http_end();
}

/* Clients that go away */

static bool was_cancelled, cleanup_done;

static int waits(bide_http_request *request, void *data)
{
    (void)request;
    (void)data;
    note("waits ");
    int rc = bide_sleep(3600);
    was_cancelled = rc == -ECANCELED;
    cleanup_done = bide_shielded(INFINITY, bide_sleep(TICKS(1))) == 0;
    note("ends ");
    return rc;
}

static void until(const bool *condition)
{
    for (int i = 0; i < 5000 && !*condition; i++)
        bide_sleep(TICKS(1) / 5);
    CHECK(*condition);
}

STREAM_TEST(a_client_that_is_gone_cancels_its_handler)
{
    struct bide_http_server_opts opts = {.idle_seconds = 1000};
    http_app();
    http_route("GET", "/", hello);
    http_route("GET", "/wait", waits);
    http_begin(&opts);
    for (int reset = 0; reset < 2; reset++) {
        bide_stream *other = http_connect(), *stream = http_connect();
        http_say(stream, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n");
        was_cancelled = cleanup_done = false;
        while (!strstr(rig_notes, "waits"))
            bide_sleep(0);
        if (reset)
            bide_abort(stream);
        bide_close(stream);
        until(&cleanup_done);
        CHECK(was_cancelled);
        http_say(other, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        CHECK_STR(http_hear(other), TEXT("200 OK", "5", CLOSING, "hello"));
        bide_close(other);
        CHECK_NOTES("waits ends ");
    }
    http_end();
}

static int takes_a_while(bide_http_request *request, void *data)
{
    (void)data;
    int rc = bide_sleep(TICKS(4));
    return rc < 0 ? rc : bide_http_reply_text(request, 200, "late");
}

STREAM_TEST(a_client_that_only_ended_its_side_gets_its_answer_if_so_wanted)
{
    struct bide_http_server_opts opts = {.half_close = true};
    http_app();
    http_route("GET", "/", takes_a_while);
    http_begin(&opts);
    bide_stream *stream = http_connect();
    http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_INT(bide_write_eof(stream), 0);
    CHECK_STR(http_hear(stream), TEXT("200 OK", "4", "", "late"));
    bide_close(stream);
    http_end();
}

STREAM_TEST(what_is_sent_ahead_while_a_handler_waits_is_kept)
{
    http_app();
    http_route("GET", "/", takes_a_while);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        bide_sleep(TICKS(1));
        http_say(stream, i < 2 ? "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                               : "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    }
    CHECK_STR(http_hear(stream),
              TEXT("200 OK", "4", "", "late") TEXT("200 OK", "4", "", "late")
                  TEXT("200 OK", "4", "", "late") TEXT("200 OK", "4", CLOSING, "late"));
    bide_close(stream);
    http_end();
}

/* Limits */

STREAM_TEST(who_is_slow_is_told_so)
{
    struct bide_http_server_opts opts = {.idle_seconds = TICKS(10),
                                         .header_seconds = TICKS(4),
                                         .body_seconds = TICKS(4),
                                         .handler_seconds = TICKS(40)};
    app_begin(&opts);
    CHECK_STR(http_ask(""), "");
    CHECK_INT(first_status(http_ask("GET / HTTP/1.1\r\nHost:")), 408);
    CHECK_INT(
        first_status(http_ask("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na")),
        408);
    CHECK_STR(http_ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), TEXT("200 OK", "5", "", "hello"));
    http_end();
}

STREAM_TEST(a_handler_has_its_time)
{
    struct bide_http_server_opts opts = {.handler_seconds = TICKS(4)};
    http_app();
    http_route("GET", "/", waits);
    http_begin(&opts);
    CHECK_INT(first_status(http_get("/")), 503);
    CHECK_STR(take_report(), "a request's handler failed|-110|GET /: |||");
    CHECK_NOTES("waits ends ");
    http_end();
}

STREAM_TEST(a_body_over_the_limit_is_413)
{
    struct bide_http_server_opts opts = {.body_bytes = 4};
    app_begin(&opts);
    CHECK_INT(first_status(http_ask("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                    "Content-Length: 5\r\n\r\nabcde")),
              413);
    CHECK_INT(first_status(http_ask("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                    "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")),
              413);
    CHECK_INT(first_status(http_ask("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                    "Content-Length: 4\r\n\r\nabcd")),
              200);
    http_end();
}

STREAM_TEST(a_head_with_many_fields_is_read_once_more)
{
    char text[8 * KIB] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
    app_begin(NULL);
    for (int i = 0; i < 98; i++)
        strcat(text, "A-Field: with a value\r\n");
    strcat(text, "\r\n");
    CHECK_STR(http_ask(text), TEXT("200 OK", "5", CLOSING, "hello"));
    strcpy(text + strlen(text) - 2, "A: b\r\n\r\n");
    CHECK_INT(first_status(http_ask(text)), 431);
    /* Several such requests at once use the same memory. */
    char *several = calloc(3, sizeof text);
    for (int i = 0; i < 3; i++) {
        strcat(several, "GET / HTTP/1.1\r\nHost: h\r\n");
        for (int j = 0; j < 60; j++)
            strcat(several, "A-Field: with a value\r\n");
        strcat(several, i < 2 ? "\r\n" : CLOSING "\r\n");
    }
    CHECK_STR(http_ask(several), TEXT("200 OK", "5", "", "hello") TEXT("200 OK", "5", "", "hello")
                                     TEXT("200 OK", "5", CLOSING, "hello"));
    free(several);
    http_end();
}

/* Answers in pieces */

static int pieces(bide_http_request *request, void *data)
{
    (void)data;
    CHECK_INT(bide_http_write(request, "x", 1), -EINVAL);
    CHECK_INT(bide_http_reply_end(request), -EINVAL);
    CHECK_INT(bide_http_reply_header(request, "Content-Length", "7"), -EINVAL);
    CHECK_INT(bide_http_reply_header(request, "A", "b\r\nC: d"), -EINVAL);
    CHECK_INT(bide_http_reply_header(request, "A", "b"), 0);
    CHECK_INT(bide_http_reply_header_add(request, "A", "c"), 0);
    CHECK_INT(bide_http_reply_begin(request, 99, NULL, 0), -EINVAL);
    CHECK_INT(bide_http_reply_begin(request, 200, NULL, BIDE_HTTP_LENGTH_UNKNOWN), 0);
    CHECK_INT(bide_http_reply_text(request, 200, "again"), -EALREADY);
    CHECK_INT(bide_http_write(request, "ab", 2), 0);
    CHECK_INT(bide_http_reply_header(request, "A", "b"), -EALREADY);
    CHECK_INT(bide_http_write(request, "", 0), 0);
    CHECK_INT(bide_http_write(request, "c", 1), 0);
    CHECK_INT(bide_http_reply_bytes(request), 3);
    return bide_http_reply_end(request);
}

static int with_length(bide_http_request *request, void *data)
{
    size_t length = (size_t)(uintptr_t)data;
    CHECK_INT(bide_http_reply_begin(request, 200, NULL, 3), 0);
    if (length == 4)
        CHECK_INT(bide_http_write(request, "abcd", 4), -EFBIG);
    CHECK_INT(bide_http_write(request, "abc", length < 3 ? length : 3), 0);
    return bide_http_reply_end(request);
}

static int fails_midway(bide_http_request *request, void *data)
{
    (void)data;
    CHECK_INT(bide_http_reply_begin(request, 200, NULL, BIDE_HTTP_LENGTH_UNKNOWN), 0);
    CHECK_INT(bide_http_write(request, "abc", 3), 0);
    return -EIO;
}

STREAM_TEST(answers_in_pieces)
{
    http_app();
    http_route("GET", "/", pieces);
    for (uintptr_t n = 2; n <= 4; n++) {
        char path[] = {'/', (char)('0' + n), '\0'};
        CHECK_INT(bide_http_route(rig_app, "GET", path, with_length, (void *)n, NULL), 0);
    }
    http_route("GET", "/fails", fails_midway);
    http_begin(NULL);
    CHECK_STR(http_get("/"),
              "HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\nTransfer-Encoding: chunked\r\n" CLOSING
              "\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    CHECK_STR(http_ask("GET / HTTP/1.0\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n" CLOSING "\r\nabc");
    CHECK_STR(http_ask("HEAD / HTTP/1.0\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n" CLOSING "\r\n");
    CHECK_STR(http_get("/3"), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" CLOSING "\r\nabc");
    CHECK_STR(http_get("/4"), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" CLOSING "\r\nabc");
    CHECK_STR(http_get("/2"), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" CLOSING "\r\nab");
    CHECK_STR(http_get("/fails"),
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" CLOSING "\r\n3\r\nabc\r\n");
    CHECK_STR(take_report(), "a request's handler failed|-5|GET /fails: |||");
    CHECK_STR(http_ask("GET /fails HTTP/1.0\r\n\r\n"), "!");
    CHECK_STR(take_report(), "a request's handler failed|-5|GET /fails: |||");
    http_end();
}

static int of_unknown_length(bide_http_request *request, void *data)
{
    (void)data;
    int rc = bide_http_reply_begin(request, 200, NULL, BIDE_HTTP_LENGTH_UNKNOWN);
    if (rc == 0 && strcmp(bide_http_method(request), "HEAD") != 0)
        rc = bide_http_write(request, "abc", 3);
    return rc < 0 ? rc : bide_http_reply_end(request);
}

STREAM_TEST(a_length_that_nobody_knows_is_not_told)
{
    http_app();
    http_route("GET", "/", of_unknown_length);
    http_begin(NULL);
    CHECK_STR(http_ask("HEAD / HTTP/1.1\r\nHost: h\r\n" CLOSING "\r\n"),
              "HTTP/1.1 200 OK\r\n" CLOSING "\r\n");
    http_end();
}

/* As small pieces as it takes to give up many turns. */
static int checks_pattern(bide_http_request *request, void *data)
{
    char piece[200];
    size_t n = 0;
    int rc;
    (void)data;
    while ((rc = bide_http_read(request, piece, sizeof piece)) > 0) {
        pattern_check(piece, n, (size_t)rc);
        n += (size_t)rc;
    }
    char text[32];
    snprintf(text, sizeof text, "%zu", n);
    return rc < 0 ? rc : bide_http_reply_text(request, 200, text);
}

static bide_async(writes_all, (bide_stream *, stream), (const char *, text), (size_t, size))
{
    return bide_write(stream, text, size);
}

/* A reader that never has to wait gives up a turn at times, and others look after the client then.
 */
STREAM_TEST(bodies_keep_their_order_whoever_takes_them)
{
    enum { BODY = 200 * 1000, TEXT = 3 * BODY };
    char *text = malloc(TEXT), *pattern = malloc(BODY);
    pattern_fill(pattern, 0, BODY);
    http_app();
    http_route("POST", "/", checks_pattern);
    http_begin(NULL);
    for (size_t chunk = 0; chunk <= 1000; chunk = 10 * chunk + 1) {
        size_t size = (size_t)snprintf(text, TEXT, "POST / HTTP/1.1\r\nHost: h\r\n" CLOSING);
        size += (size_t)sprintf(
            text + size,
            chunk > 0 ? "Transfer-Encoding: chunked\r\n\r\n" : "Content-Length: %d\r\n\r\n", BODY);
        size_t step = chunk > 0 ? chunk : BODY, total = chunk == 1 ? BODY / 4 : BODY;
        for (size_t n = 0, part; n < total; n += part) {
            part = total - n < step ? total - n : step;
            size += chunk > 0 ? (size_t)sprintf(text + size, "%zx\r\n", part) : 0;
            memcpy(text + size, pattern + n, part);
            size += part;
            size += chunk > 0 ? (size_t)sprintf(text + size, "\r\n") : 0;
        }
        size += chunk > 0 ? (size_t)sprintf(text + size, "0\r\n\r\n") : 0;
        CHECK(size < TEXT);
        bide_stream *stream = http_connect();
        bide_task *writer = bide_spawn(writes_all, stream, text, size);
        char length[16];
        snprintf(length, sizeof length, "\r\n\r\n%zu", total);
        CHECK_CONTAINS(http_hear(stream), length);
        CHECK_INT(bide_await(writer), 0);
        bide_close(stream);
    }
    free(text);
    free(pattern);
    http_end();
}

static int large(bide_http_request *request, void *data)
{
    char *body = malloc(MIB);
    (void)data;
    pattern_fill(body, 0, MIB);
    int rc = bide_http_reply(request, 200, NULL, body, MIB);
    free(body);
    return rc;
}

STREAM_TEST(a_large_answer_arrives_whole)
{
    http_app();
    http_route("GET", "/", large);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    char *head, *body = malloc(MIB);
    http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    CHECK(bide_read_until(stream, "\r\n\r\n", 4, &head) > 0);
    CHECK_INT(bide_read_exactly(stream, body, MIB), MIB);
    pattern_check(body, 0, MIB);
    CHECK_INT(bide_read(stream, body, 1), 0);
    bide_close(stream);
    free(body);
    http_end();
}

STREAM_TEST(who_takes_nothing_of_a_large_answer_is_dropped)
{
    struct bide_http_server_opts opts = {.write_seconds = TICKS(4)};
    http_app();
    http_route("GET", "/", large);
    http_begin(&opts);
    bide_stream *stream = http_connect();
    for (int i = 0; i < 20; i++)
        http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    while (bide_http_server_connections(rig_server) == 0)
        turns(1);
    while (bide_http_server_connections(rig_server) > 0)
        CHECK_INT(bide_sleep(TICKS(1)), 0);
    CHECK_STR(take_report(), "a request's handler failed|-110|GET /: |||");
    bide_abort(stream);
    bide_close(stream);
    http_end();
}

/* The end */

static bide_async(frees, (int *, ret_rc))
{
    *ret_rc = bide_http_server_free(rig_server);
    note("closed ");
    return 0;
}

STREAM_TEST(closing_finishes_what_is_being_answered)
{
    http_app();
    http_route("GET", "/", takes_a_while);
    http_begin(NULL);
    bide_stream *idle = http_connect(), *busy = http_connect();
    http_say(busy, "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    http_say(idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    char answer[512], *whole;
    CHECK(bide_read_until(idle, "late", 4, &whole) > 0);
    int rc = 1;
    bide_task *task = bide_spawn(frees, &rc);
    CHECK_INT(bide_read(idle, answer, sizeof answer), 0);
    CHECK(strstr(http_hear(busy), "late"));
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(rc, 0);
    CHECK_NOTES("closed ");
    bide_close(idle);
    bide_close(busy);
    bide_http_app_free(rig_app);
}

STREAM_TEST(what_has_come_when_a_server_closes_is_answered)
{
    rig_needs_kernel(); /* in simulation bytes take their time */
    struct bide_http_server_opts opts = {.grace_seconds = 1000};
    http_app();
    http_route("GET", "/", takes_a_while);
    http_begin(&opts);
    bide_stream *stream = http_connect();
    char answer[512];
    http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(bide_read(stream, answer, sizeof answer) > 0);
    /* Both within one turn of the loop, or the request a moment before. */
    http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_INT(bide_drain(stream), 0);
    CHECK_INT(bide_http_server_close(rig_server), 1);
    CHECK(strstr(http_hear(stream), CLOSING "\r\nlate"));
    bide_close(stream);
    http_end();
}

STREAM_TEST(what_takes_too_long_is_cancelled_when_a_server_closes)
{
    struct bide_http_server_opts opts = {.grace_seconds = TICKS(2)};
    http_app();
    http_route("GET", "/", waits);
    http_begin(&opts);
    bide_stream *busy = http_connect();
    http_say(busy, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    while (!strstr(rig_notes, "waits"))
        bide_sleep(0);
    http_end();
    CHECK_NOTES("waits ends ");
    CHECK_INT(bide_read(busy, &(char){0}, 1), 0);
    bide_close(busy);
}
