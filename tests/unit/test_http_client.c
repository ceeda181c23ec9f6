/*
 * Scenario: a client and a server that says what the test wants, byte for byte.
 * Claim: whatever is an answer by RFC 9112 is read as that, however it is split; whatever is not is
 * an error in words; a connection is used again exactly if both sides left it whole.
 */
#include "http_client_rig.h"

static const char *answer;

static int says_answer(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    while ((rc = rig_hear(stream)) > 0)
        if ((rc = rig_say(stream, answer)) < 0)
            break;
    return rc;
}

HTTP_TEST(get, says_answer)
{
    bide_http_session *session = rig_session();
    answer = "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-One: 1\r\nx-one: 2\r\n\r\nhello";
    bide_http_response *response = rig_get(session, "/a?b=c#d");
    CHECK_INT(bide_http_response_status(response), 200);
    CHECK_STR(bide_http_response_reason(response), "Fine");
    CHECK_STR(bide_http_response_header(response, "X-ONE"), "1");
    CHECK_PTR(bide_http_response_header(response, "X-Two"), NULL);
    size_t n = 0;
    const struct bide_http_field *fields = bide_http_response_headers(response, &n);
    CHECK_INT((long long)n, 3);
    CHECK_STR(fields[2].name, "x-one");
    CHECK_STR(fields[2].value, "2");
    CHECK_INT(bide_http_response_content_length(response), 5);
    CHECK_STR(bide_http_response_url(response), rig_url("/a?b=c#d"));
    CHECK_INT(bide_http_response_redirects(response), 0);
    rig_body(response, "hello");
    char expected[512];
    snprintf(expected, sizeof expected,
             "GET /a?b=c HTTP/1.1\r\nHost: %s\r\nUser-Agent: bide\r\nAccept: */*\r\n"
             "%s\r\n",
             rig_base + 7, HAVE_ZLIB ? "Accept-Encoding: gzip, deflate\r\n" : "");
    CHECK_STR(rig_heard, expected);
    rig_session_end(session);
}

HTTP_TEST(the_connection_is_used_again, says_answer)
{
    bide_http_session *session = rig_session();
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (int i = 0; i < 5; i++) {
        rig_body(rig_get(session, "/"), "ok");
        size_t idle = 0;
        CHECK_INT((long long)bide_http_session_connections(session, &idle), 1);
        CHECK_INT((long long)idle, 1);
    }
    CHECK_INT(rig_connections, 1);
    CHECK_INT(rig_requests, 5);
    rig_session_end(session);
}

/* Answers, what their body is, and whether the connection is as good as new then. */
static const struct {
    const char *method, *answer, *body;
    bool stays;
} kinds[] = {
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true},
    {"GET", "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", "x", true},
    {"GET", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", "x", true},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "abc", false},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
     "abcde", true},
    {"GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
     "abc", true},
    {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", false},
    {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", "abc",
     true},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "", true},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "", true},
    {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", true},
    {"GET",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     "ok", true},
    {"GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", "nope", true},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more", "ok", false},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\nbut", "", false},
    {"GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
     "ok", false},
};

HTTP_TEST(kinds_of_answers, says_answer)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        bide_http_session *session = rig_session();
        answer = kinds[i].answer;
        rig_body(rig_fetch(session, kinds[i].method, "/", NULL), kinds[i].body);
        if ((bide_http_session_connections(session, NULL) == 1) != kinds[i].stays)
            FAIL("case %zu", i);
        rig_session_end(session);
    }
}

/* The same with a pause behind every byte. */
static int says_slowly(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    while ((rc = rig_hear(stream)) > 0) {
        for (const char *at = answer; *at; at++) {
            rc = bide_write(stream, at, 1);
            if (rc == 0)
                rc = bide_sleep(0);
            if (rc < 0)
                return rc;
        }
    }
    return rc;
}

HTTP_TEST(split_at_every_byte, says_slowly)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        bide_http_session *session = rig_session();
        answer = kinds[i].answer;
        bide_http_response *response = rig_fetch(session, kinds[i].method, "/", NULL);
        rig_body(response, kinds[i].body);
        rig_session_end(session);
    }
}

/* Says it once and closes. */
static int says_and_closes(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    return rc > 0 ? rig_say(stream, answer) : rc;
}

HTTP_TEST(until_the_end, says_and_closes)
{
    bide_http_session *session = rig_session();
    answer = "HTTP/1.1 200 OK\r\n\r\nas long as it takes";
    bide_http_response *response = rig_get(session, "/");
    CHECK_INT(bide_http_response_content_length(response), -1);
    rig_body(response, "as long as it takes");
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    rig_session_end(session);
}

/* What is no answer, the error, and a word of its words. */
static const struct {
    const char *answer;
    int error;
    const char *words;
} wrong[] = {
    {"", -BIDE_EINCOMPLETE, "without an answer"},
    {"HTTP/1.1 200 OK\r\nContent-Le", -BIDE_EINCOMPLETE, "within the answer's head"},
    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", -EBADMSG, "CR LF"},
    {"HTTP/1.1 20 OK\r\n\r\n", -EBADMSG, "status"},
    {"HTTP/2.0 200 OK\r\n\r\n", -EBADMSG, "version"},
    {"SSH-2.0-OpenSSH_9.2\r\n\r\n", -EBADMSG, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", -EBADMSG, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", -EBADMSG, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -EBADMSG, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx", -EBADMSG, "space"},
    {"HTTP/1.1 200 OK\r\n Folded: 1\r\n\r\nx", -EBADMSG, "folded"},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", -EBADMSG,
     "unasked"},
};

HTTP_TEST(what_is_no_answer, says_and_closes)
{
    bide_http_session *session = rig_session();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        answer = wrong[i].answer;
        int rc = rig_get_fails(session, "/");
        if (rc != wrong[i].error)
            FAIL("case %zu: %d", i, rc);
        CHECK_CONTAINS(bide_error_detail(), wrong[i].words);
        CHECK_CONTAINS(bide_error_detail(), rig_base);
        CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    }
    rig_session_end(session);
}

static const struct {
    const char *answer;
    int error;
} broken_bodies[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", -BIDE_EINCOMPLETE},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", -BIDE_EINCOMPLETE},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", -BIDE_EINCOMPLETE},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", -EBADMSG},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", -EBADMSG},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", -EBADMSG},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n", -EBADMSG},
};

HTTP_TEST(bodies_that_break, says_and_closes)
{
    bide_http_session *session = rig_session();
    for (size_t i = 0; i < sizeof broken_bodies / sizeof *broken_bodies; i++) {
        char byte;
        answer = broken_bodies[i].answer;
        bide_http_response *response = rig_get(session, "/");
        CHECK_INT(bide_http_response_read_all(response, 0, NULL, NULL), broken_bodies[i].error);
        CHECK_CONTAINS(bide_error_detail(), "reading the body");
        CHECK_INT(bide_http_response_read(response, &byte, 1), broken_bodies[i].error);
        CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
        CHECK_INT(bide_http_response_close(response), 0);
    }
    rig_session_end(session);
}

HTTP_TEST(limits_of_the_head, says_and_closes)
{
    static char huge[70 * 1024];
    struct bide_http_session_opts opts = {
        .head_bytes_max = 8192, .fields_max = 4, .interim_max = 2};
    bide_http_session *session = rig_session_with(&opts);
    int n = sprintf(huge, "HTTP/1.1 200 OK\r\nX: ");
    memset(huge + n, 'a', 9000);
    strcpy(huge + n + 9000, "\r\n\r\n");
    answer = huge;
    CHECK_INT(rig_get_fails(session, "/"), -BIDE_ELIMIT);
    answer = "HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\n\r\n";
    CHECK_INT(rig_get_fails(session, "/"), -BIDE_ELIMIT);
    answer = "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 x\r\n\r\n"
             "HTTP/1.1 200 OK\r\n\r\n";
    CHECK_INT(rig_get_fails(session, "/"), -BIDE_ELIMIT);
    rig_session_end(session);
}

HTTP_TEST(limit_of_read_all, says_answer)
{
    bide_http_session *session = rig_session();
    const char *data;
    size_t size;
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
    bide_http_response *response = rig_get(session, "/");
    CHECK_INT(bide_http_response_read_all(response, 9, &data, &size), -BIDE_ELIMIT);
    CHECK_CONTAINS(bide_error_detail(), "longer than 9 bytes");
    CHECK_INT(bide_http_response_read_all(response, 10, &data, &size), 0);
    CHECK_STR(data, "0123456789");
    CHECK_INT(bide_http_response_read_all(response, 9, &data, &size), -BIDE_ELIMIT);
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}

HTTP_TEST(a_body_in_pieces, says_answer)
{
    char piece[3];
    bide_http_session *session = rig_session();
    answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n";
    bide_http_response *response = rig_get(session, "/");
    char all[16] = "";
    int n, size = 0;
    while ((n = bide_http_response_read(response, piece, sizeof piece)) > 0) {
        memcpy(all + size, piece, (size_t)n);
        size += n;
    }
    CHECK_INT(n, 0);
    CHECK_STR(all, "abcde");
    CHECK_INT(bide_http_response_read(response, piece, sizeof piece), 0);
    CHECK_INT(bide_http_response_close(response), 0);
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 1);
    rig_session_end(session);
}

HTTP_TEST(an_unread_rest, says_answer)
{
    static char much[200 * 1024];
    bide_http_session *session = rig_session();
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    CHECK_INT(bide_http_response_close(rig_get(session, "/")), 0);
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 1);
    int n = sprintf(much, "HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n");
    memset(much + n, 'x', 150000);
    answer = much;
    CHECK_INT(bide_http_response_close(rig_get(session, "/")), 0);
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    bide_http_response_abort(rig_get(session, "/"));
    rig_session_end(session);
}

HTTP_TEST(json, says_answer)
{
    const char *text;
    bide_http_session *session = rig_session();
    answer = "HTTP/1.1 200 OK\r\nContent-Type: application/JSON; charset=utf-8\r\n"
             "Content-Length: 7\r\n\r\n{\"a\":1}";
    bide_http_response *response = rig_get(session, "/");
    CHECK_INT(bide_http_response_json(response, &text), 0);
    CHECK_STR(text, "{\"a\":1}");
    CHECK_INT(bide_http_response_close(response), 0);
    answer = "HTTP/1.1 200 OK\r\nContent-Type: application/problem+json\r\n"
             "Content-Length: 2\r\n\r\n{}";
    response = rig_get(session, "/");
    CHECK_INT(bide_http_response_json(response, &text), 0);
    CHECK_INT(bide_http_response_close(response), 0);
    answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}";
    response = rig_get(session, "/");
    CHECK_INT(bide_http_response_json(response, &text), -EBADMSG);
    CHECK_CONTAINS(bide_error_detail(), "text/html");
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}

static const struct {
    const char *url;
    int error;
    const char *words;
} urls[] = {
    {"ftp://127.0.0.1/", -EPROTONOSUPPORT, "\"ftp\" is not HTTP"},
    {"mailto:a@b", -EPROTONOSUPPORT, "not HTTP"},
    {"/path", -EINVAL, "no scheme"},
    {"127.0.0.1", -EINVAL, "no scheme"},
    {"http://", -EINVAL, "no host"},
    {"http:///path", -EINVAL, "no host"},
    {"http:path", -EINVAL, "no host"},
    {"http://a:b:c/", -EINVAL, "no URL"},
    {"http://[::1/", -EINVAL, "no URL"},
    {"", -EINVAL, "no scheme"},
};

TASK_TEST(urls_that_are_refused)
{
    bide_http_session *session = rig_session();
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        bide_http_response *response = NULL;
        int rc = bide_http_get(session, urls[i].url, &response);
        if (rc != urls[i].error)
            FAIL("case %zu: %d %s", i, rc, bide_error_detail());
        CHECK_CONTAINS(bide_error_detail(), urls[i].words);
    }
    rig_session_end(session);
}

TASK_TEST(a_closed_session)
{
    bide_http_session *session = rig_session();
    bide_http_response *response;
    CHECK_INT(bide_http_session_close(session), 0);
    CHECK_INT(bide_http_session_close(session), 0);
    CHECK_INT(bide_http_get(session, "http://127.0.0.1:1/", &response), -ESHUTDOWN);
    CHECK_CONTAINS(bide_error_detail(), "the session is closed");
    bide_http_session_free(session);
}

TASK_TEST(nobody_listens)
{
    bide_http_session *session = rig_session();
    bide_http_response *response;
    CHECK_INT(bide_http_get(session, "http://127.0.0.1:1/", &response), -ECONNREFUSED);
    CHECK_CONTAINS(bide_error_detail(), "127.0.0.1");
    rig_session_end(session);
}

HTTP_TEST(what_people_type, says_answer)
{
    bide_http_session *session = rig_session();
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    rig_body(rig_get(session, "/a b/\xc3\xa9?q=\"x\""), "");
    CHECK_CONTAINS(rig_heard, "GET /a%20b/%C3%A9?q=%22x%22 HTTP/1.1\r\n");
    rig_body(rig_get(session, "/a/../b/./c"), "");
    CHECK_CONTAINS(rig_heard, "GET /b/c HTTP/1.1\r\n");
    rig_session_end(session);
}
