/*
 * Middleware. Scenario: requests with and without what each one looks at, whole answers, answers in
 * pieces, files, errors, a log whose disk is full or whose writer is slow. Claim: each answer has
 * what it should and no other; what was packed is unpacked to what the handler wrote; a log never
 * holds up a request, and counts what it lost.
 */
#include <bide/file.h>
#include <bide/http_files.h>
#include <bide/http_middleware.h>
#include <bide/path.h>
#include <bide/pipe.h>

#include "http_rig.h"
#include "sim_rig.h"

#include <zlib.h>

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

static const char *ask(const char *method, const char *path, const char *fields)
{
    char text[2048];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: h\r\n%sConnection: close\r\n\r\n", method,
             path, fields);
    return http_ask(text);
}

static int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
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
    const char *answer = ask("GET", "/", "X-Request-Id: a-1_b.c~\r\n");
    CHECK(strstr(answer, "X-Request-Id: a-1_b.c~\r\n") && strstr(answer, "\r\n\r\na-1_b.c~"));
    char id[64];
    answer = strstr(ask("GET", "/", "X-Request-Id: a b\r\n"), "X-Request-Id: ");
    CHECK(answer && sscanf(answer, "X-Request-Id: %63s", id) == 1);
    CHECK_INT(strlen(id), 32);
    CHECK_INT(strspn(id, "0123456789abcdef"), 32);
    CHECK(!strstr(ask("GET", "/", ""), id));
    answer = ask("GET", "/fails", "X-Request-Id: x\r\n");
    CHECK(strstr(answer, "500 Internal") && strstr(answer, "X-Request-Id: x\r\n"));
    CHECK(!strstr(answer, "X-Lost"));
    CHECK_STR(take_report(), "a request's handler failed|-5|GET /fails: |||");
    CHECK(strstr(ask("GET", "/none", "X-Request-Id: y\r\n"), "X-Request-Id: y\r\n"));
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
    const char *answer = ask("GET", "/", "Origin: https://b.example:8443\r\n");
    CHECK(strstr(answer, allowed) && strstr(answer, "Vary: Origin\r\n"));
    answer = ask("GET", "/fails", "Origin: https://b.example:8443\r\n");
    CHECK(strstr(answer, "500 ") && strstr(answer, allowed));
    take_report();
    static const char *const others[] = {"", "Origin: https://b.example\r\n", "Origin: null\r\n",
                                         "Origin: https://a.example.org\r\n"};
    for (size_t i = 0; i < 4; i++) {
        answer = ask("GET", "/", others[i]);
        CHECK(!strstr(answer, "Access-Control") && strstr(answer, "Vary: Origin\r\n"));
    }
    answer = ask("OPTIONS", "/any",
                 "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n"
                 "Access-Control-Request-Headers: x-a, x-b\r\n");
    CHECK_INT(status_of(answer), 204);
    CHECK(strstr(answer, "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"));
    CHECK(strstr(answer, "Access-Control-Allow-Headers: x-a, x-b\r\n"));
    CHECK(strstr(answer, "Access-Control-Max-Age: 60\r\n"));
    CHECK(strstr(answer, "Access-Control-Allow-Origin: https://a.example\r\n"));
    CHECK_INT(status_of(ask("OPTIONS", "/",
                            "Origin: https://c.example\r\n"
                            "Access-Control-Request-Method: PUT\r\n")),
              403);
    CHECK(strstr(ask("OPTIONS", "/", "Origin: https://a.example\r\n"), "Allow: GET"));
    http_end();
}

STREAM_TEST(all_origins)
{
    http_app();
    http_route("GET", "/", hello);
    CHECK_INT(bide_http_use_cors(rig_app, NULL), 0);
    http_begin(NULL);
    const char *answer = ask("GET", "/", "Origin: https://b.example\r\n");
    CHECK(strstr(answer, "Access-Control-Allow-Origin: *\r\n") && !strstr(answer, "Vary"));
    http_end();
}

/* Compression */

enum { PACKED_BYTES = 300 * KIB };

static char content[PACKED_BYTES];

static void content_begin(void)
{
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)('a' + (i * i >> 7) % 17);
}

/* As many bytes as the path says: whole, or in pieces of 10,000, with their length told or not. */
static int sized(bide_http_request *request, void *data)
{
    size_t size = (size_t)atoi(bide_http_param(request, "size"));
    const char *how = bide_http_query(request);
    (void)data;
    bide_http_reply_header(request, "ETag", "\"e\"");
    if (!how)
        return bide_http_reply(request, 200, "text/plain", content, size);
    if (strcmp(how, "image") == 0)
        return bide_http_reply(request, 200, "image/png", content, size);
    if (strcmp(how, "range") == 0)
        return bide_http_reply(request, 206, "text/plain", content, size);
    if (strcmp(how, "coded") == 0) {
        bide_http_reply_header(request, "Content-Encoding", "br");
        return bide_http_reply(request, 200, "text/plain", content, size);
    }
    if (strcmp(how, "as-is") == 0) {
        bide_http_reply_header(request, "Cache-Control", "private, no-transform");
        return bide_http_reply(request, 200, "text/plain", content, size);
    }
    int rc = bide_http_reply_begin(request, 200, "application/json",
                                   strcmp(how, "known") == 0 ? (int64_t)size : -1);
    for (size_t i = 0; i < size && rc == 0; i += 10000)
        rc = bide_http_write(request, content + i, size - i < 10000 ? size - i : 10000);
    return rc < 0 ? rc : bide_http_reply_end(request);
}

static bool has_field(const char *head, const char *line)
{
    return strstr(head, line) != NULL;
}

/* The body of an answer, chunks put together. */
static size_t hear_body(bide_stream *stream, char *head, size_t head_size, char *body)
{
    char *text;
    size_t size = 0;
    int rc = bide_read_until(stream, "\r\n\r\n", 4, &text);
    CHECK_RANGE(rc, 1, head_size - 1);
    memcpy(head, text, (size_t)rc);
    head[rc] = '\0';
    if (!has_field(head, "Transfer-Encoding: chunked")) {
        while ((rc = bide_read(stream, body + size, 2 * PACKED_BYTES - size)) > 0)
            size += (size_t)rc;
        return size;
    }
    for (;;) {
        char *line;
        CHECK(bide_read_line(stream, &line) > 0);
        size_t n = strtoul(line, NULL, 16);
        if (n == 0)
            return size;
        CHECK_INT(bide_read_exactly(stream, body + size, n), n);
        size += n;
        CHECK(bide_read_line(stream, &line) > 0);
    }
}

static size_t unpack(bool is_gzip, char *packed, size_t packed_size, char *to)
{
    z_stream stream = {0};
    CHECK_INT(inflateInit2(&stream, is_gzip ? 31 : 15), Z_OK);
    stream.next_in = (Bytef *)packed;
    stream.avail_in = (uInt)packed_size;
    stream.next_out = (Bytef *)to;
    stream.avail_out = 2 * PACKED_BYTES;
    CHECK_INT(inflate(&stream, Z_FINISH), Z_STREAM_END);
    CHECK_INT(stream.avail_in, 0);
    size_t size = stream.total_out;
    inflateEnd(&stream);
    return size;
}

static size_t ask_body(const char *version, const char *path, const char *accept, char *head,
                       char *body)
{
    char text[256];
    bide_stream *stream = http_connect();
    snprintf(text, sizeof text,
             "GET %s HTTP/%s\r\nHost: h\r\nAccept-Encoding: %s\r\nConnection: close\r\n\r\n", path,
             version, accept);
    http_say(stream, text);
    size_t size = hear_body(stream, head, 1024, body);
    bide_close(stream);
    return size;
}

STREAM_TEST(answers_are_packed_and_unpacked)
{
    static const size_t sizes[] = {512, 1000, 9999, 20000, 65536, 262144, 262145, PACKED_BYTES};
    static const char *const hows[] = {"", "?known", "?unknown"};
    char head[1024], path[64], *body = malloc(2 * PACKED_BYTES), *plain = malloc(2 * PACKED_BYTES);
    content_begin();
    http_app();
    http_route("GET", "/{size}", sized);
    CHECK_INT(bide_http_use_compression(rig_app, NULL), 0);
    http_begin(NULL);
    for (size_t i = 0; i < 8; i++)
        for (int how = 0; how < 3; how++)
            for (int is_gzip = 0; is_gzip < 2; is_gzip++) {
                snprintf(path, sizeof path, "/%zu%s", sizes[i], hows[how]);
                size_t n = ask_body(how == 1 ? "1.0" : "1.1", path,
                                    is_gzip ? "deflate;q=0.5, gzip" : "gzip;q=0.1, deflate", head,
                                    body);
                CHECK(n < sizes[i]);
                CHECK_INT(unpack(is_gzip, body, n, plain), sizes[i]);
                CHECK_MEM(plain, content, sizes[i]);
                CHECK(has_field(head, is_gzip ? "Content-Encoding: gzip\r\n"
                                              : "Content-Encoding: deflate\r\n"));
                CHECK(has_field(head, "Vary: Accept-Encoding\r\n"));
                CHECK(has_field(head, "ETag: W/\"e\"\r\n"));
                bool has_length = has_field(head, "Content-Length");
                if (how == 0 && sizes[i] <= 262144)
                    CHECK(has_length);
            }
    free(body);
    free(plain);
    http_end();
}

STREAM_TEST(what_does_not_pay_is_left_alone)
{
    static const struct {
        const char *path, *accept;
        bool varies;
    } cases[] = {
        {"/1000", "", true},
        {"/1000", "br", true},
        {"/1000", "gzip;q=0", true},
        {"/511", "gzip", false},
        {"/1000?image", "gzip", false},
        {"/1000?range", "gzip", false},
        {"/1000?coded", "gzip", false},
        {"/1000?as-is", "gzip", false},
    };
    char head[1024], *body = malloc(2 * PACKED_BYTES);
    content_begin();
    http_app();
    http_route("GET", "/{size}", sized);
    CHECK_INT(bide_http_use_compression(rig_app, NULL), 0);
    http_begin(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = ask_body("1.1", cases[i].path, cases[i].accept, head, body);
        CHECK_INT(n, atoi(cases[i].path + 1));
        CHECK_MEM(body, content, n);
        CHECK_INT(has_field(head, "Vary: Accept-Encoding\r\n"), cases[i].varies);
        CHECK(!has_field(head, "gzip") && has_field(head, "ETag: \"e\"\r\n"));
    }
    const char *answer = ask("HEAD", "/1000", "Accept-Encoding: gzip\r\n");
    CHECK(strstr(answer, "Content-Encoding: gzip\r\n") && !strstr(answer, "Content-Length"));
    free(body);
    http_end();
}

static int in_two(bide_http_request *request, void *data)
{
    (void)data;
    CHECK_INT(bide_http_reply_begin(request, 200, "text/event-stream", -1), 0);
    CHECK_INT(bide_http_write(request, "first", 5), 0);
    note("wrote ");
    bide_sleep(TICKS(20));
    CHECK_INT(bide_http_write(request, "second", 6), 0);
    return bide_http_reply_end(request);
}

STREAM_TEST(a_piece_of_a_stream_goes_out_at_once)
{
    char buffer[256], plain[64] = "", *head, *line;
    http_app();
    http_route("GET", "/", in_two);
    CHECK_INT(bide_http_use_compression(rig_app, NULL), 0);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n");
    CHECK(bide_read_until(stream, "\r\n\r\n", 4, &head) > 0);
    CHECK(bide_read_line(stream, &line) > 0);
    size_t n = strtoul(line, NULL, 16);
    CHECK_INT(bide_read_exactly(stream, buffer, n), n);
    CHECK_NOTES("wrote ");
    z_stream unpacker = {.next_in = (Bytef *)buffer,
                         .avail_in = (uInt)n,
                         .next_out = (Bytef *)plain,
                         .avail_out = sizeof plain};
    CHECK_INT(inflateInit2(&unpacker, 31), Z_OK);
    inflate(&unpacker, Z_SYNC_FLUSH);
    inflateEnd(&unpacker);
    CHECK_STR(plain, "first");
    bide_close(stream);
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
    CHECK_INT(status_of(ask("POST", "/", "Content-Length: 5\r\n")), 413);
    CHECK_INT(
        status_of(http_ask("POST / HTTP/1.1\r\nHost: h\r\n" CLOSING
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
    CHECK_INT(status_of(ask("GET", "/", "")), 503);
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
    const char *answer = ask("GET", "/", "");
    CHECK(strstr(answer, "401 Unauthorized\r\n"));
    CHECK(strstr(answer, "WWW-Authenticate: Basic realm=\"the cave\", charset=\"UTF-8\"\r\n"));
    CHECK(strstr(ask("GET", "/", "Authorization: basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
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
        if (status_of(ask("GET", "/", field)) != 401)
            FAIL("%s is let in", others[i]);
    }
    CHECK(bide_http_same_secret("", "") && !bide_http_same_secret("a", ""));
    CHECK(!bide_http_same_secret("", "a") && !bide_http_same_secret("ab", "abab"));
    CHECK(!bide_http_same_secret("abab", "ab") && bide_http_same_secret("ab", "ab"));
    http_end();
}

/* Logs */

static char log_path[64];

static void log_begin(const struct bide_http_log_opts *more)
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
    http_begin(NULL);
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
    ask("GET", "/a?b", "User-Agent: x\"y\\\r\n");
    ask("HEAD", "/%0a", "Referer: http://r/\r\n");
    ask("GET", "/fails", "");
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
    ask("GET", "/a", "User-Agent: x\"y\\\r\nX-Request-Id: i\r\n");
    char *text = log_end();
    cut_between(text, "\"time\":\"", '"');
    cut_between(text, "\"peer\":\"", '"');
    cut_between(text, "\"seconds\":", ',');
    CHECK_STR(text, "{\"time\":\"\",\"peer\":\"\",\"method\":\"GET\",\"target\":\"/a\","
                    "\"status\":200,\"bytes\":5,\"seconds\":,\"id\":\"i\","
                    "\"agent\":\"x\\\"y\\\\\"}\n");
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
    CHECK_INT(status_of(http_hear(stream)), 200);
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
        CHECK_INT(status_of(ask("GET", "/", "")), 200);
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
