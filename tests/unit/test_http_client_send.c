/*
 * Scenario: requests with bodies of every kind, to servers that take them, refuse them, or answer
 * before they end.
 * Claim: what the server hears is the body, byte for byte and with its length or in chunks; a
 * refusal is an answer; what makes no sense is refused before anything is sent.
 */
#include "http_client_rig.h"

#include <bide/path.h>

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static int says_ok(bide_stream *stream, int number)
{
    (void)number;
    return rig_answer_all(stream, ok);
}

static const char *heard_body(void)
{
    return strstr(rig_heard, "\r\n\r\n") + 4;
}

HTTP_TEST(memory_json_forms, says_ok)
{
    bide_http_session *session = rig_session();
    bide_http_response *response;
    CHECK_INT(bide_http_post(session, rig_url("/"), "text/plain", "hello", 5, &response), 0);
    rig_body(response, "ok");
    CHECK_CONTAINS(rig_heard, "POST / HTTP/1.1\r\n");
    CHECK_CONTAINS(rig_heard, "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    rig_body(rig_fetch(session, "PUT", "/", &(struct bide_http_fetch_opts){.json = "{\"a\":[1]}"}),
             "ok");
    CHECK_CONTAINS(rig_heard, "Content-Type: application/json\r\nContent-Length: 9\r\n");
    CHECK_STR(heard_body(), "{\"a\":[1]}");
    CHECK_INT(bide_http_post(session, rig_url("/"), NULL, NULL, 0, &response), 0);
    rig_body(response, "ok");
    CHECK_CONTAINS(rig_heard, "Content-Length: 0\r\n");

    bide_http_form *form;
    CHECK_INT(bide_http_form_new(&form), 0);
    CHECK_INT(bide_http_form_add(form, "na me", "va&l=ue+\xc3\xa9*"), 0);
    CHECK_INT(bide_http_form_add(form, "b", ""), 0);
    rig_body(rig_fetch(session, "POST", "/", &(struct bide_http_fetch_opts){.form = form}), "ok");
    CHECK_CONTAINS(rig_heard, "Content-Type: application/x-www-form-urlencoded\r\n");
    CHECK_STR(heard_body(), "na+me=va%26l%3Due%2B%C3%A9*&b=");
    bide_http_form_free(form);
    rig_session_end(session);
}

/* By way of the engine, whose files may be simulated. */
static void temporary(char **ret_path, const void *data, size_t size)
{
    bide_file *file;
    CHECK_INT(bide_file_temporary(NULL, ret_path, &file), 0);
    CHECK_INT(bide_file_write(file, data, size, NULL), 0);
    CHECK_INT(bide_file_close(file), 0);
}

static void temporary_end(char *path)
{
    CHECK_INT(bide_path_unlink(path), 0);
    free(path);
}

HTTP_TEST(multipart, says_ok)
{
    bide_http_form *form;
    char *path;
    bide_http_session *session = rig_session();
    temporary(&path, "from a file", 11);
    CHECK_INT(bide_http_form_new(&form), 0);
    CHECK_INT(bide_http_form_add(form, "text", "plain"), 0);
    CHECK_INT(bide_http_form_add_data(form, "a\"b\r\n", "x.json", NULL, "{}", 2), 0);
    CHECK_INT(bide_http_form_add_file(form, "file", path, "name.txt", "text/x-mine"), 0);
    CHECK_INT(bide_http_form_add_file(form, "file", path, "bad\nname", NULL), -EINVAL);
    for (int i = 0; i < 2; i++) {
        rig_body(rig_fetch(session, "POST", "/", &(struct bide_http_fetch_opts){.form = form}),
                 "ok");
        char *boundary = strstr(rig_heard, "boundary=") + 9;
        char line[64], expected[1024];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(boundary, "\r"), boundary);
        snprintf(expected, sizeof expected,
                 "--%s\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nplain\r\n"
                 "--%s\r\nContent-Disposition: form-data; name=\"a%%22b%%0D%%0A\"; "
                 "filename=\"x.json\"\r\nContent-Type: application/json\r\n\r\n{}\r\n"
                 "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"name.txt\"\r\n"
                 "Content-Type: text/x-mine\r\n\r\nfrom a file\r\n--%s--\r\n",
                 line, line, line, line);
        CHECK_STR(heard_body(), expected);
    }
    bide_http_form_free(form);
    temporary_end(path);
    rig_session_end(session);
}

HTTP_TEST(files, says_ok)
{
    static char much[100000];
    char *path;
    bide_http_session *session = rig_session();
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)('a' + i % 23);
    temporary(&path, much, sizeof much);
    rig_body(rig_fetch(session, "PUT", "/", &(struct bide_http_fetch_opts){.body_file = path}),
             "ok");
    CHECK_MEM(heard_body(), much, sizeof much);
    bide_http_response *response;
    struct bide_http_fetch_opts opts = {.body_file = "/nowhere/at/all"};
    CHECK_INT(bide_http_fetch(session, "PUT", rig_url("/"), &opts, &response), -ENOENT);
    *(strrchr(path, '/')) = '\0'; /* its folder */
    opts.body_file = path;
    CHECK_INT(bide_http_fetch(session, "PUT", rig_url("/"), &opts, &response), -EISDIR);
    path[strlen(path)] = '/';
    temporary_end(path);
    rig_session_end(session);
}

/* Chunks */

static char gathered[4096];

/* Takes a chunked body, saying "100 Continue" before if that is expected. */
static int takes_chunks(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    if (rc > 0 && strstr(rig_heard, "Expect: 100-continue"))
        rig_say(stream, "HTTP/1.1 100 Continue\r\n\r\n");
    gathered[0] = '\0';
    while (rc > 0) {
        char *line, piece[512];
        rc = bide_read_line(stream, &line);
        if (rc <= 0)
            return rc;
        size_t size = strtoul(line, NULL, 16);
        if (size > 0) {
            rc = bide_read_exactly(stream, piece, size);
            strncat(gathered, piece, size);
        }
        if (rc > 0)
            rc = bide_read_line(stream, &line);
        if (rc > 0 && size == 0)
            rc = rig_say(stream, ok);
    }
    return rc;
}

struct pieces {
    const char *const *next;
    int error;
};

static int gives(void *data, void *buffer, size_t size)
{
    struct pieces *pieces = data;
    int rc = bide_sleep(0);
    if (rc < 0 || !*pieces->next)
        return rc < 0 ? rc : pieces->error;
    size_t n = strlen(*pieces->next);
    CHECK(n <= size);
    memcpy(buffer, *pieces->next++, n);
    return (int)n;
}

static const char *const three[] = {"one ", "two ", "three", NULL};

HTTP_TEST(sources, takes_chunks)
{
    bide_http_session *session = rig_session();
    for (int i = 0; i < 2; i++) {
        struct pieces pieces = {.next = three};
        struct bide_http_fetch_opts opts = {.source = gives,
                                            .source_data = &pieces,
                                            .no_expect = i == 0,
                                            .content_type = "text/plain"};
        rig_body(rig_fetch(session, "POST", "/", &opts), "ok");
        CHECK_CONTAINS(rig_heard, "Transfer-Encoding: chunked\r\n");
        CHECK_INT(strstr(rig_heard, "Expect") != NULL, i);
        CHECK_STR(gathered, "one two three");
        bide_sleep(TICKS(1));
    }
    rig_session_end(session);
}

HTTP_TEST(sources_that_fail, takes_chunks)
{
    bide_http_response *response;
    bide_http_session *session = rig_session();
    struct pieces pieces = {.next = three, .error = -EDOM};
    struct bide_http_fetch_opts opts = {.source = gives, .source_data = &pieces};
    CHECK_INT(bide_http_fetch(session, "POST", rig_url("/"), &opts, &response), -EDOM);
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    uint64_t sizes[] = {12, 14};
    for (int i = 0; i < 2; i++) {
        pieces = (struct pieces){.next = three};
        opts.source_size = &sizes[i];
        CHECK_INT(bide_http_fetch(session, "POST", rig_url("/"), &opts, &response),
                  -BIDE_EINCOMPLETE);
        CHECK_CONTAINS(bide_error_detail(), "another size");
    }
    rig_session_end(session);
}

/* Expect: 100-continue */

static const char *first_words;
static int n_bodies;

static int expected(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    char body[16];
    while ((rc = rig_hear(stream)) > 0) {
        bool expects = strstr(rig_heard, "Expect: ");
        if (expects)
            rc = rig_say(stream, first_words);
        if (expects && strncmp(first_words, "HTTP/1.1 4", 10) == 0)
            return rc;
        if (expects) {
            rc = bide_read_exactly(stream, body, 4);
            if (rc < 0)
                return rc;
        }
        n_bodies++;
        if ((rc = rig_say(stream, ok)) < 0)
            break;
    }
    return rc;
}

static const struct {
    const char *words, *body;
    int status, n_bodies;
} expectations[] = {
    {"HTTP/1.1 100 Continue\r\n\r\n", "ok", 200, 1},
    {"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", "ok", 200, 1},
    {"", "ok", 200, 1}, /* the server does not know it, and time passes */
    {"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", "no", 413, 0},
    {"HTTP/1.1 417 What\r\nContent-Length: 2\r\n\r\nno", "ok", 200, 1}, /* again, without */
};

HTTP_TEST(expecting, expected)
{
    struct bide_http_session_opts session_opts = {.continue_seconds = TICKS(4)};
    struct bide_http_fetch_opts opts = {.body = "body", .body_size = 4, .expect_continue = true};
    for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
        bide_http_session *session = rig_session_with(&session_opts);
        first_words = expectations[i].words;
        n_bodies = 0;
        bide_http_response *response = rig_fetch(session, "POST", "/", &opts);
        CHECK_INT(bide_http_response_status(response), expectations[i].status);
        rig_body(response, expectations[i].body);
        CHECK_INT(n_bodies, expectations[i].n_bodies);
        rig_session_end(session);
    }
}

/* Answers a long body before its end, and closes or goes on listening. */
static int refuses_early(bide_stream *stream, int number)
{
    char *head, piece[100];
    int rc = bide_read_until(stream, "\r\n\r\n", 4, &head);
    if (rc > 0)
        rc = bide_read_exactly(stream, piece, sizeof piece);
    if (rc > 0)
        rc = rig_say(stream, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    if (rc == 0 && number == 0)
        rc = bide_sleep(INFINITY);
    return rc;
}

HTTP_TEST(refused_early, refuses_early)
{
    static char much[32 << 20]; /* more than any kernel buffers */
    struct bide_http_session_opts session_opts = {.read_seconds = TICKS(60)};
    struct bide_http_fetch_opts opts = {.body = much, .body_size = sizeof much, .no_expect = true};
    bide_http_session *session = rig_session_with(&session_opts);
    bide_http_response *response = rig_fetch(session, "POST", "/", &opts);
    CHECK_INT(bide_http_response_status(response), 413);
    rig_body(response, "no");
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    rig_session_end(session);
}

/* What is said beside the body */

HTTP_TEST(headers, says_ok)
{
    static const struct bide_http_field defaults[] = {{"X-Default", "1"}, {"Accept", "text/plain"}};
    static const struct bide_http_field own[] = {
        {"X-Own", "2"}, {"accept", "image/png"}, {"User-Agent", ""}, {"Host", "example.org"}};
    struct bide_http_session_opts session_opts = {.headers = defaults, .n_headers = 2};
    struct bide_http_fetch_opts opts = {.headers = own, .n_headers = 4, .as_packed = true};
    bide_http_session *session = rig_session_with(&session_opts);
    rig_body(rig_get(session, "/"), "ok");
    CHECK_CONTAINS(rig_heard, "X-Default: 1\r\nAccept: text/plain\r\n");
    rig_body(rig_fetch(session, "GET", "/", &opts), "ok");
    CHECK_STR(rig_heard, "GET / HTTP/1.1\r\nHost: example.org\r\nX-Own: 2\r\naccept: image/png\r\n"
                         "X-Default: 1\r\n\r\n");
    rig_session_end(session);
}

HTTP_TEST(asked_to_close, says_ok)
{
    static const struct bide_http_field close_it[] = {{"Connection", "close"}};
    struct bide_http_fetch_opts opts = {.headers = close_it, .n_headers = 1};
    bide_http_session *session = rig_session();
    rig_body(rig_fetch(session, "GET", "/", &opts), "ok");
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    rig_session_end(session);
}

HTTP_TEST(credentials, says_ok)
{
    bide_http_session *session = rig_session();
    rig_body(
        rig_fetch(session, "GET", "/",
                  &(struct bide_http_fetch_opts){.user = "Aladdin", .password = "open sesame"}),
        "ok");
    CHECK_CONTAINS(rig_heard, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
    rig_body(rig_fetch(session, "GET", "/", &(struct bide_http_fetch_opts){.bearer = "token"}),
             "ok");
    CHECK_CONTAINS(rig_heard, "Authorization: Bearer token\r\n");
    char url[128];
    bide_http_response *response;
    snprintf(url, sizeof url, "http://Aladdin:open%%20sesame@%s/", rig_base + 7);
    CHECK_INT(bide_http_get(session, url, &response), 0);
    CHECK_PTR(strstr(bide_http_response_url(response), "Aladdin"), NULL);
    rig_body(response, "ok");
    CHECK_CONTAINS(rig_heard, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
    rig_session_end(session);
}

static int sets_cookies(bide_stream *stream, int number)
{
    (void)number;
    return rig_answer_all(stream,
                          "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/x\r\n"
                          "Content-Length: 2\r\n\r\nok");
}

HTTP_TEST(cookies, sets_cookies)
{
    bide_http_session *session = rig_session();
    rig_body(rig_get(session, "/"), "ok");
    CHECK_PTR(strstr(rig_heard, "Cookie"), NULL);
    CHECK_INT((long long)bide_http_cookies_count(bide_http_session_cookies(session)), 2);
    rig_body(rig_get(session, "/x"), "ok");
    CHECK_CONTAINS(rig_heard, "Cookie: b=2; a=1\r\n");
    rig_session_end(session);
    session = rig_session_with(&(struct bide_http_session_opts){.no_cookies = true});
    rig_body(rig_get(session, "/"), "ok");
    rig_body(rig_get(session, "/"), "ok");
    CHECK_PTR(strstr(rig_heard, "Cookie"), NULL);
    CHECK_PTR(bide_http_session_cookies(session), NULL);
    rig_session_end(session);
}

static const struct bide_http_field bad_name = {"X Y", "1"}, bad_value = {"X", "a\r\nY: b"},
                                    own_length = {"Content-Length", "3"},
                                    own_coding = {"transfer-encoding", "chunked"};

static const struct {
    const char *method;
    struct bide_http_fetch_opts opts;
} senseless[] = {
    {"G T", {.json = NULL}},
    {"", {.json = NULL}},
    {"CONNECT", {.json = NULL}},
    {"AMETHODTHATISMUCHTOOLONGFORANYSERVER", {.json = NULL}},
    {"POST", {.json = "{}", .body = "x", .body_size = 1}},
    {"POST", {.body_size = 1}},
    {"TRACE", {.json = "{}"}},
    {"GET", {.headers = &bad_name, .n_headers = 1}},
    {"GET", {.headers = &bad_value, .n_headers = 1}},
    {"GET", {.headers = &own_length, .n_headers = 1}},
    {"GET", {.headers = &own_coding, .n_headers = 1}},
    {"GET", {.n_headers = 1}},
    {"GET", {.user = "a:b"}},
    {"GET", {.user = "a", .bearer = "b"}},
    {"GET", {.bearer = "a\nb"}},
    {"GET", {.total_seconds = -1}},
    {"POST", {.json = "{}", .content_type = "a\r\nb: c"}},
};

HTTP_TEST(senseless_requests, says_ok)
{
    bide_http_session *session = rig_session();
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        bide_http_response *response;
        int rc = bide_http_fetch(session, senseless[i].method, rig_url("/"), &senseless[i].opts,
                                 &response);
        if (rc != -EINVAL)
            FAIL("case %zu: %d", i, rc);
    }
    CHECK_INT(rig_connections, 0);
    rig_session_end(session);
}
