/*
 * Scenario: redirects of every kind, to every place.
 * Claim: methods, bodies, credentials and fragments become what the fetch standard says; limits
 * and what cannot be followed are errors in words.
 */
#include "http_client_rig.h"

static int status;
static char location[256];

/* "/go" leads to `location`; everything else is an answer. */
static int leads(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    while ((rc = rig_hear(stream)) > 0) {
        char text[512] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        char *path = strchr(rig_heard, ' ');
        if (strncmp(path, " /go", 4) == 0)
            snprintf(text, sizeof text,
                     "HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: 4\r\n\r\ngone",
                     status, location);
        if (strncmp(rig_heard, "HEAD", 4) == 0)
            *(strstr(text, "\r\n\r\n") + 4) = '\0';
        if ((rc = rig_say(stream, text)) < 0)
            break;
    }
    return rc;
}

static const struct {
    int status;
    const char *method, *becomes;
    bool keeps_body;
} methods[] = {
    {301, "GET", "GET", true},     {301, "POST", "GET", false}, {301, "PUT", "PUT", true},
    {301, "HEAD", "HEAD", true},   {302, "POST", "GET", false}, {302, "DELETE", "DELETE", true},
    {303, "POST", "GET", false},   {303, "PUT", "GET", false},  {303, "HEAD", "HEAD", true},
    {303, "DELETE", "GET", false}, {307, "POST", "POST", true}, {308, "POST", "POST", true},
    {308, "PATCH", "PATCH", true}, {307, "GET", "GET", true},
};

HTTP_TEST(methods_and_bodies, leads)
{
    bide_http_session *session = rig_session();
    strcpy(location, "/there");
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        bool has_body = strcmp(methods[i].method, "GET") != 0 &&
                        strcmp(methods[i].method, "HEAD") != 0;
        struct bide_http_fetch_opts opts = {.body = has_body ? "body" : NULL,
                                            .body_size = has_body ? 4 : 0,
                                            .content_type = "text/plain"};
        status = methods[i].status;
        bide_http_response *response = rig_fetch(session, methods[i].method, "/go", &opts);
        CHECK_INT(bide_http_response_status(response), 200);
        CHECK_INT(bide_http_response_redirects(response), 1);
        CHECK_STR(bide_http_response_url(response), rig_url("/there"));
        size_t size = strlen(methods[i].becomes);
        CHECK_MEM(rig_heard, methods[i].becomes, size);
        CHECK_MEM(rig_heard + size, " /there HTTP/1.1\r\n", 18);
        bool has_sent = strstr(rig_heard, "\r\n\r\nbody") != NULL;
        if (has_sent != (has_body && methods[i].keeps_body) ||
            (strstr(rig_heard, "text/plain") != NULL) != has_sent)
            FAIL("case %zu: %s", i, rig_heard);
        rig_body(response, strcmp(methods[i].becomes, "HEAD") == 0 ? "" : "ok");
    }
    CHECK_INT(rig_connections, 1);
    rig_session_end(session);
}

static const struct {
    const char *location, *path;
} places[] = {
    {"there", "/go/there"}, {"../there", "/there"},   {"?q=1", "/go/?q=1"}, {"/a/./b/../c", "/a/c"},
    {"#new", NULL},         {"/sp ace", "/sp%20ace"}, {"/x#new", "/x#new"}, {"/x", "/x#old"},
};

HTTP_TEST(references, leads)
{
    bide_http_session *session = rig_session();
    status = 302;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        strcpy(location, places[i].location);
        bool is_circle = !places[i].path || strncmp(places[i].path, "/go", 3) == 0;
        bide_http_response *response = NULL;
        int rc = bide_http_get(session, rig_url("/go/#old"), &response);
        if (is_circle) {
            CHECK_INT(rc, -ELOOP);
            CHECK_CONTAINS(bide_error_detail(), "more than 10 redirects");
            continue;
        }
        CHECK_INT(rc, 0);
        char expected[128];
        snprintf(expected, sizeof expected, "%s%s", rig_base, places[i].path);
        if (!strchr(expected, '#'))
            strcat(expected, "#old");
        CHECK_STR(bide_http_response_url(response), expected);
        rig_body(response, "ok");
    }
    rig_session_end(session);
}

/* The same server is another origin under another name. */
HTTP_TEST(credentials_stay_behind, leads)
{
    static const struct bide_http_field headers[] = {
        {"Authorization", "secret"}, {"Cookie", "secret=1"}, {"X-Harmless", "yes"}};
    struct bide_http_fetch_opts opts = {.headers = headers, .n_headers = 3};
    struct bide_http_fetch_opts user = {.user = "me", .password = "secret"};
    bide_http_session *session = rig_session();
    status = 307;
    strcpy(location, "/there");
    rig_body(rig_fetch(session, "GET", "/go", &opts), "ok");
    CHECK_CONTAINS(rig_heard, "Authorization: secret");
    bide_server *other;
    CHECK_INT(bide_serve("127.0.0.1", 0, rig_handle, NULL, NULL, &other), 0);
    snprintf(location, sizeof location, "http://thief:x@127.0.0.1:%u/there",
             bide_server_port(other));
    rig_body(rig_fetch(session, "GET", "/go", &opts), "ok");
    CHECK_CONTAINS(rig_heard, "X-Harmless: yes");
    CHECK_PTR(strstr(rig_heard, "secret"), NULL);
    rig_body(rig_fetch(session, "GET", "/go", &user), "ok");
    CHECK_PTR(strstr(rig_heard, "Authorization"), NULL);
    CHECK_PTR(strstr(location, "zzz"), NULL);
    rig_session_end(session);
    bide_server_close(other);
    CHECK_INT(bide_server_wait_closed(other), 0);
    bide_server_free(other);
}

HTTP_TEST(not_followed, leads)
{
    struct bide_http_fetch_opts opts = {.no_redirects = true};
    bide_http_session *session = rig_session();
    status = 302;
    strcpy(location, "/there");
    bide_http_response *response = rig_fetch(session, "GET", "/go", &opts);
    CHECK_INT(bide_http_response_status(response), 302);
    CHECK_STR(bide_http_response_header(response, "location"), "/there");
    rig_body(response, "gone");
    strcpy(location, "ftp://127.0.0.1/");
    CHECK_INT(rig_get_fails(session, "/go"), -EPROTONOSUPPORT);
    strcpy(location, "http://[::1");
    CHECK_INT(rig_get_fails(session, "/go"), -EINVAL);
    CHECK_CONTAINS(bide_error_detail(), "a redirect to");
    status = 300;
    response = rig_get(session, "/go");
    CHECK_INT(bide_http_response_status(response), 300);
    rig_body(response, "gone");
    rig_session_end(session);
}

static int gives_once(void *data, void *buffer, size_t size)
{
    int *left = data;
    CHECK(size > 0);
    if (*left == 0)
        return 0;
    --*left;
    *(char *)buffer = 'x';
    return 1;
}

HTTP_TEST(a_source_cannot_be_sent_twice, leads)
{
    int left = 3;
    struct bide_http_fetch_opts opts = {.source = gives_once,
                                        .source_data = &left,
                                        .source_size = &(uint64_t){3},
                                        .no_expect = true};
    bide_http_session *session = rig_session();
    bide_http_response *response;
    strcpy(location, "/there");
    status = 307;
    CHECK_INT(bide_http_fetch(session, "POST", rig_url("/go"), &opts, &response), -EOPNOTSUPP);
    left = 3;
    status = 303;
    rig_body(rig_fetch(session, "POST", "/go", &opts), "ok");
    rig_session_end(session);
}
