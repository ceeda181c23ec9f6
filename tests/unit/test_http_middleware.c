/*
 * Middleware. Scenario: requests with and without what each one looks at, errors, a log whose disk
 * is full or whose writer is slow. Claim: each answer has what it should and no other; a log never
 * holds up a request, and counts what it lost.
 */
#include <bide/file.h>
#include <bide/http_files.h>
#include <bide/http_middleware.h>
#include <bide/path.h>
#include <bide/pipe.h>

#include "http_rig.h"
#include "sim_rig.h"

static int hello(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, "hello");
}

static int fails(bide_http_request *request, void *data)
{
    (void)data;
    bide_http_reply_header(request, "X-Lost", "1");
    return -EIO;
}

static int tells_id(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, bide_http_request_id(request));
}

STREAM_TEST(each_request_has_an_id)
{
    http_app();
    http_route("GET", "/", tells_id);
    http_route("GET", "/fails", fails);
    CHECK_INT(bide_http_use_request_id(rig_app), 0);
    CHECK_INT(bide_http_use_request_id(NULL), -EINVAL);
    http_begin(NULL);
    const char *answer = http_ask_for("GET", "/", "X-Request-Id: a-1_b.c~\r\n");
    CHECK(strstr(answer, "X-Request-Id: a-1_b.c~\r\n") && strstr(answer, "\r\n\r\na-1_b.c~"));
    char id[64];
    answer = strstr(http_ask_for("GET", "/", "X-Request-Id: a b\r\n"), "X-Request-Id: ");
    CHECK(answer && sscanf(answer, "X-Request-Id: %63s", id) == 1);
    CHECK_INT(strlen(id), 32);
    CHECK_INT(strspn(id, "0123456789abcdef"), 32);
    CHECK(!strstr(http_ask_for("GET", "/", ""), id));
    answer = http_ask_for("GET", "/fails", "X-Request-Id: x\r\n");
    CHECK(strstr(answer, "500 Internal") && strstr(answer, "X-Request-Id: x\r\n"));
    CHECK(!strstr(answer, "X-Lost"));
    CHECK_STR(take_report(), "a request's handler failed|-5|GET /fails: |||");
    CHECK(strstr(http_ask_for("GET", "/none", "X-Request-Id: y\r\n"), "X-Request-Id: y\r\n"));
    http_end();
}

/* Cross-origin requests */

STREAM_TEST(other_origins)
{
    struct bide_http_cors_opts opts = {.origins = "https://a.example https://b.example:8443",
                                       .exposed = "X-Total",
                                       .credentials = true,
                                       .max_age_seconds = 60};
    struct bide_http_cors_opts bad = {.credentials = true}, worse = {.methods = "a\r\nb"};
    http_app();
    http_route("GET", "/", hello);
    http_route("GET", "/fails", fails);
    CHECK_INT(bide_http_use_cors(rig_app, &bad), -EINVAL);
    CHECK_INT(bide_http_use_cors(rig_app, &worse), -EINVAL);
    CHECK_INT(bide_http_use_cors(rig_app, &opts), 0);
    http_begin(NULL);
    const char *allowed = "Access-Control-Allow-Origin: https://b.example:8443\r\n"
                          "Access-Control-Allow-Credentials: true\r\n"
                          "Access-Control-Expose-Headers: X-Total\r\n";
    const char *answer = http_ask_for("GET", "/", "Origin: https://b.example:8443\r\n");
    CHECK(strstr(answer, allowed) && strstr(answer, "Vary: Origin\r\n"));
    answer = http_ask_for("GET", "/fails", "Origin: https://b.example:8443\r\n");
    CHECK(strstr(answer, "500 ") && strstr(answer, allowed));
    take_report();
    static const char *const others[] = {"", "Origin: https://b.example\r\n", "Origin: null\r\n",
                                         "Origin: https://a.example.org\r\n"};
    for (size_t i = 0; i < 4; i++) {
        answer = http_ask_for("GET", "/", others[i]);
        CHECK(!strstr(answer, "Access-Control") && strstr(answer, "Vary: Origin\r\n"));
    }
    answer = http_ask_for("OPTIONS", "/any",
                          "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n"
                          "Access-Control-Request-Headers: x-a, x-b\r\n");
    CHECK_INT(http_status_of(answer), 204);
    CHECK(strstr(answer, "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"));
    CHECK(strstr(answer, "Access-Control-Allow-Headers: x-a, x-b\r\n"));
    CHECK(strstr(answer, "Access-Control-Max-Age: 60\r\n"));
    CHECK(strstr(answer, "Access-Control-Allow-Origin: https://a.example\r\n"));
    CHECK_INT(http_status_of(http_ask_for("OPTIONS", "/",
                                          "Origin: https://c.example\r\n"
                                          "Access-Control-Request-Method: PUT\r\n")),
              403);
    CHECK(strstr(http_ask_for("OPTIONS", "/", "Origin: https://a.example\r\n"), "Allow: GET"));
    http_end();
}

STREAM_TEST(all_origins)
{
    http_app();
    http_route("GET", "/", hello);
    CHECK_INT(bide_http_use_cors(rig_app, NULL), 0);
    http_begin(NULL);
    const char *answer = http_ask_for("GET", "/", "Origin: https://b.example\r\n");
    CHECK(strstr(answer, "Access-Control-Allow-Origin: *\r\n") && !strstr(answer, "Vary"));
    http_end();
}

/* Limits and who it is */

static int counts(bide_http_request *request, void *data)
{
    char buffer[64], text[16];
    int rc, n = 0;
    (void)data;
    while ((rc = bide_http_read(request, buffer, sizeof buffer)) > 0)
        n += rc;
    snprintf(text, sizeof text, "%d", n);
    return rc < 0 ? rc : bide_http_reply_text(request, 200, text);
}

STREAM_TEST(bodies_have_a_limit)
{
    http_app();
    http_route("POST", "/", counts);
    CHECK_INT(bide_http_use_body_limit(rig_app, 4), 0);
    http_begin(NULL);
    CHECK_INT(http_status_of(http_ask_for("POST", "/", "Content-Length: 5\r\n")), 413);
    CHECK_INT(http_status_of(
                  http_ask("POST / HTTP/1.1\r\nHost: h\r\n" CLOSING
                           "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")),
              413);
    CHECK(strstr(http_ask("POST / HTTP/1.1\r\nHost: h\r\n" CLOSING
                          "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"),
                 "\r\n\r\n4"));
    http_end();
}

static int sleeps_long(bide_http_request *request, void *data)
{
    (void)request;
    (void)data;
    return bide_sleep(3600);
}

STREAM_TEST(handlers_have_a_limit)
{
    http_app();
    http_route("GET", "/", sleeps_long);
    CHECK_INT(bide_http_use_time_limit(rig_app, 0), -EINVAL);
    CHECK_INT(bide_http_use_time_limit(rig_app, TICKS(2)), 0);
    http_begin(NULL);
    CHECK_INT(http_status_of(http_ask_for("GET", "/", "")), 503);
    CHECK_STR(take_report(), "a request's handler failed|-110|GET /: |||");
    http_end();
}

static int guarded(bide_http_request *request, void *data)
{
    const char *user, *password;
    char text[64];
    (void)data;
    if (bide_http_basic_credentials(request, &user, &password) < 0 ||
        !bide_http_same_secret(password, "open sesame"))
        return bide_http_ask_credentials(request, "the cave");
    snprintf(text, sizeof text, "hello %s", user);
    return bide_http_reply_text(request, 200, text);
}

STREAM_TEST(who_a_client_says_it_is)
{
    http_app();
    http_route("GET", "/", guarded);
    http_begin(NULL);
    const char *answer = http_ask_for("GET", "/", "");
    CHECK(strstr(answer, "401 Unauthorized\r\n"));
    CHECK(strstr(answer, "WWW-Authenticate: Basic realm=\"the cave\", charset=\"UTF-8\"\r\n"));
    CHECK(strstr(http_ask_for("GET", "/", "Authorization: basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
                 "hello Aladdin"));
    static const char *const others[] = {
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZg==", /* another password */
        "Basic QWxhZGRpbg==",                 /* no colon */
        "Basic !!",
        "Basic ",
        "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic QQ==x",
        "Basic QQA6b3BlbiBzZXNhbWU="}; /* a NUL */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char field[128];
        snprintf(field, sizeof field, "Authorization: %s\r\n", others[i]);
        if (http_status_of(http_ask_for("GET", "/", field)) != 401)
            FAIL("%s is let in", others[i]);
    }
    CHECK(bide_http_same_secret("", "") && !bide_http_same_secret("a", ""));
    CHECK(!bide_http_same_secret("", "a") && !bide_http_same_secret("ab", "abab"));
    CHECK(!bide_http_same_secret("abab", "ab") && bide_http_same_secret("ab", "ab"));
    http_end();
}

/* Logs */

static char log_path[64];

static void log_begin_with(const struct bide_http_log_opts *more,
                           const struct bide_http_server_opts *server)
{
    struct bide_http_log_opts opts = *more;
    char *folder;
    CHECK_INT(bide_directory_temporary(NULL, &folder), 0);
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    free(folder);
    opts.path = log_path;
    http_app();
    http_route("GET", "/{any...}", hello);
    http_route("GET", "/fails", fails);
    CHECK_INT(bide_http_use_log(rig_app, &opts), 0);
    CHECK_INT(bide_http_use_request_id(rig_app), 0);
    http_begin(server);
}

static void log_begin(const struct bide_http_log_opts *more)
{
    log_begin_with(more, NULL);
}

static char *log_end(void)
{
    char *text;
    http_end();
    CHECK_INT(bide_file_load(log_path, 0, &text, NULL), 0);
    CHECK_INT(bide_path_unlink(log_path), 0);
    *strrchr(log_path, '/') = '\0';
    CHECK_INT(bide_directory_remove(log_path), 0);
    return text;
}

static void cut_between(char *text, const char *before, char after)
{
    for (char *at = text; (at = strstr(at, before));) {
        at += strlen(before);
        char *end = strchr(at, after);
        CHECK(end);
        memmove(at, end, strlen(end) + 1);
    }
}

STREAM_TEST(lines_of_a_log)
{
    struct bide_http_log_opts combined = {.format = BIDE_HTTP_LOG_COMBINED};
    log_begin(&combined);
    http_ask_for("GET", "/a?b", "User-Agent: x\"y\\\r\n");
    http_ask_for("HEAD", "/%0a", "Referer: http://r/\r\n");
    http_ask_for("GET", "/fails", "");
    take_report();
    http_ask("GET /old HTTP/1.0\r\n\r\n");
    char *text = log_end();
    cut_between(text, "- - [", ']');
    CHECK(strstr(text, " - - [] "));
    CHECK(strstr(text, "\"GET /a?b HTTP/1.1\" 200 5 \"-\" \"x\\\"y\\\\\"\n"));
    CHECK(strstr(text, "\"HEAD /%0a HTTP/1.1\" 200 - \"http://r/\" \"-\"\n"));
    CHECK(strstr(text, "\"GET /fails HTTP/1.1\" 500 22 \"-\" \"-\"\n"));
    CHECK(strstr(text, "\"GET /old HTTP/1.0\" 200 5 \"-\" \"-\"\n"));
    free(text);
}

STREAM_TEST(lines_of_a_log_in_json)
{
    struct bide_http_log_opts json = {.format = BIDE_HTTP_LOG_JSON};
    log_begin(&json);
    http_ask_for("GET", "/a", "User-Agent: x\"y\\\r\nX-Request-Id: i\r\n");
    char *text = log_end();
    cut_between(text, "\"time\":\"", '"');
    cut_between(text, "\"peer\":\"", '"');
    cut_between(text, "\"seconds\":", ',');
    CHECK_STR(text, "{\"time\":\"\",\"peer\":\"\",\"method\":\"GET\",\"target\":\"/a\","
                    "\"status\":200,\"bytes\":5,\"seconds\":,\"id\":\"i\","
                    "\"agent\":\"x\\\"y\\\\\"}\n");
    free(text);
}

static const char *const refused[] = {
    "GET /head HTTP/1.1\r\nHost: h\r\nReferer: r\r\nUser-Agent: u\r\nbad name: x\r\n\r\n",
    "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /2 HTTP/2.0\r\n\r\n",
    "\r\nGET  / HTTP/1.1\r\n\r\n",
    "\x16\x03\x01\"\x80\n",
    "GET /none HTTP/1.1\r\n\r\n",
    "PROPFINDPROPFINDPROPFINDPROPFINDPROPFIND / HTTP/1.1\r\n\r\n",
    "GET /coded HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "\r\n\r\n",
    "GET /slow HTTP/1.1\r\nHost:", /* …and no more */
};

static char *log_of_refused(enum bide_http_log_format format)
{
    struct bide_http_log_opts opts = {.format = format};
    struct bide_http_server_opts server = {.header_seconds = TICKS(4)};
    log_begin_with(&opts, &server);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK_RANGE(http_status_of(http_ask(refused[i])), 400, 505);
    char large[10 * KIB] = "GET /large HTTP/1.1\r\nHost: h\r\nX: ";
    memset(large + strlen(large), 'x', 9 * KIB);
    CHECK_INT(http_status_of(http_ask_bytes(large, sizeof large)), 431);
    CHECK_INT(http_status_of(http_get("/after")), 200);
    return log_end();
}

STREAM_TEST(what_was_refused_is_logged)
{
    static const char *const lines[] = {
        "\"GET /head HTTP/1.1\" 400 28 \"r\" \"u\"\n",
        "\"GET /%00 HTTP/1.1\" 400 17 \"-\" \"-\"\n",
        "\"GET /2 HTTP/2.0\" 505 28 \"-\" \"-\"\n",
        "\"GET  / HTTP/1.1\" 400 10 \"-\" \"-\"\n",
        "\"\\x16\\x03\\x01\\\"\\x80\" 400 31 \"-\" \"-\"\n",
        "\"GET /none HTTP/1.1\" 400 8 \"-\" \"-\"\n",
        "\"PROPFINDPROPFINDPROPFINDPROPFINDPROPFIND / HTTP/1.1\" 501 25 \"-\" \"-\"\n",
        "\"GET /coded HTTP/1.1\" 501 39 \"-\" \"-\"\n",
        "\"-\" 400 14 \"-\" \"-\"\n",
        "\"GET /slow HTTP/1.1\" 408 26 \"-\" \"-\"\n",
        "\"GET /large HTTP/1.1\" 431 19 \"-\" \"-\"\n",
        "\"GET /after HTTP/1.1\" 200 5 \"-\" \"-\"\n",
    };
    char *text = log_of_refused(BIDE_HTTP_LOG_COMBINED), *at = text;
    cut_between(text, "- - [", ']');
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *end = strchr(at, '\n');
        CHECK(end);
        char after = end[1];
        end[1] = '\0';
        CHECK_STR(strstr(at, "[] ") + 3, lines[i]);
        end[1] = after;
        at = end + 1;
    }
    CHECK_STR(at, "");
    free(text);
}

STREAM_TEST(what_was_refused_is_logged_in_json)
{
    char *text = log_of_refused(BIDE_HTTP_LOG_JSON);
    cut_between(text, "\"time\":\"", '"');
    cut_between(text, "\"peer\":\"", '"');
    char *slow = strstr(text, "\"status\":408,");
    CHECK(slow);
    CHECK(atof(strstr(slow, "\"seconds\":") + 10) >= TICKS(4) / 2);
    CHECK(strstr(text, "{\"time\":\"\",\"peer\":\"\",\"method\":\"GET\",\"target\":\"/head\","
                       "\"status\":400,\"bytes\":28,"));
    CHECK(strstr(text, "\"referer\":\"r\",\"agent\":\"u\"}\n"));
    CHECK(strstr(text, "\"method\":\"GET\",\"target\":\"/2\",\"status\":505,"));
    CHECK(strstr(text, "\"line\":\"\\u0016\\u0003\\u0001\\\"\\u0080\",\"status\":400,"));
    CHECK(strstr(text, "{\"time\":\"\",\"peer\":\"\",\"status\":400,\"bytes\":14,"));
    free(text);
}

STREAM_TEST(long_texts_are_cut_and_lines_stay_lines)
{
    struct bide_http_log_opts json = {.format = BIDE_HTTP_LOG_JSON};
    char *fields = malloc(16 * KIB), *at = fields, path[1500] = "/";
    memset(path + 1, '"', sizeof path - 2);
    path[sizeof path - 1] = '\0';
    at += sprintf(at, "Referer: ");
    memset(at, '"', 4000);
    at += 4000;
    at += sprintf(at, "\r\nUser-Agent: ");
    memset(at, '"', 4000);
    strcpy(at + 4000, "\r\n");
    log_begin(&json);
    bide_stream *stream = http_connect();
    char *text = malloc(16 * KIB);
    memset(path + 1, 'p', sizeof path - 2);
    snprintf(text, 16 * KIB, "GET %s HTTP/1.1\r\nHost: h\r\n%s" CLOSING "\r\n", path, fields);
    http_say(stream, text);
    CHECK_INT(http_status_of(http_hear(stream)), 200);
    bide_close(stream);
    free(text);
    free(fields);
    text = log_end();
    CHECK_RANGE(strlen(text), 1000, 3072);
    CHECK_STR(text + strlen(text) - 2, "}\n");
    CHECK(!memchr(text, '\n', strlen(text) - 1));
    free(text);
}

STREAM_TEST(a_full_disk_is_said_once_and_nobody_waits)
{
    rig_needs_kernel();
    uint64_t dropped = 0;
    struct bide_http_log_opts opts = {.path = "/dev/full", .dropped = &dropped};
    http_app();
    http_route("GET", "/", hello);
    CHECK_INT(bide_http_use_log(rig_app, &opts), 0);
    http_begin(NULL);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(http_status_of(http_ask_for("GET", "/", "")), 200);
        bide_sleep(TICKS(2));
    }
    CHECK(strstr(take_report(), "the access log can't be written"));
    CHECK(!take_report() || !*take_report());
    http_end();
    CHECK_INT(dropped, 5);
}

STREAM_TEST(who_reads_no_log_loses_lines_and_holds_up_nobody)
{
    uint64_t dropped = 0;
    bide_stream *from, *to;
    CHECK_INT(bide_pipe(NULL, &from, &to), 0);
    struct bide_http_log_opts opts = {.stream = to, .dropped = &dropped, .queue_bytes = 8192};
    struct bide_http_log_opts none = {0}, both = {.stream = to, .path = "x"};
    http_app();
    http_route("GET", "/", hello);
    CHECK_INT(bide_http_use_log(rig_app, &none), -EINVAL);
    CHECK_INT(bide_http_use_log(rig_app, &both), -EINVAL);
    CHECK_INT(bide_http_use_log(rig_app, &opts), 0);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    char *answers = malloc(64 * KIB), many[100 * 32 + 1] = "";
    for (int i = 0; i < 100; i++)
        strcat(many, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    while (dropped == 0) {
        http_say(stream, many);
        CHECK(bide_read(stream, answers, 64 * KIB) > 0);
    }
    bide_close(stream);
    bide_abort(from);
    bide_close(from);
    free(answers);
    while (*take_report())
        ;
    http_end();
    while (*take_report())
        ;
    CHECK(dropped > 0);
    bide_close(to);
}
