/*
 * Scenario: proxies, by options and by the environment, that forward, open tunnels, or refuse.
 * Claim: each request goes where the rules say, in the form that a proxy wants; what a proxy
 * refuses is an error in words; the environment counts only if it is asked for.
 */
#include "http_client_rig.h"

#include "http/proxy.h"

static const char *tunnel_answer;

static int forwards(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    while ((rc = rig_hear(stream)) > 0) {
        rc = rig_say(stream, strncmp(rig_heard, "CONNECT", 7) == 0
                                 ? tunnel_answer
                                 : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if (rc < 0)
            break;
    }
    return rc;
}

static bide_http_session *through_proxy(const char *user, const char *none)
{
    char proxy[128];
    snprintf(proxy, sizeof proxy, "http://%s%s", user, rig_base + 7);
    return rig_session_with(&(struct bide_http_session_opts){.proxy = proxy, .no_proxy = none});
}

HTTP_TEST(forwarding, forwards)
{
    bide_http_response *response;
    bide_http_session *session = through_proxy("me:p%40ss@", NULL);
    for (int i = 0; i < 2; i++) {
        char url[64];
        snprintf(url, sizeof url, "http://host%d.example/path?q#f", i);
        CHECK_INT(bide_http_get(session, url, &response), 0);
        rig_body(response, "ok");
        char expected[128];
        snprintf(expected, sizeof expected,
                 "GET http://host%d.example/path?q HTTP/1.1\r\nHost: host%d.example\r\n", i, i);
        CHECK_CONTAINS(rig_heard, expected);
        CHECK_CONTAINS(rig_heard, "Proxy-Authorization: Basic bWU6cEBzcw==\r\n");
    }
    CHECK_INT(rig_connections, 1);
    rig_session_end(session);
}

HTTP_TEST(tunnels_that_are_refused, forwards)
{
    bide_http_response *response;
    bide_http_session *session = through_proxy("", NULL);
    tunnel_answer = "HTTP/1.1 403 Not For You\r\nContent-Length: 0\r\n\r\n";
    int rc = bide_http_get(session, "https://example.org/", &response);
    if (rc == -ENOSYS) {
        rig_session_end(session);
        return;
    }
    CHECK_INT(rc, -EPROTO);
    CHECK_CONTAINS(bide_error_detail(), "the proxy refused: 403 Not For You");
    CHECK_CONTAINS(rig_heard, "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n");
    tunnel_answer = "SSH-2.0-x\r\n\r\n";
    CHECK_INT(bide_http_get(session, "https://[::1]:8443/", &response), -EBADMSG);
    CHECK_CONTAINS(rig_heard, "CONNECT [::1]:8443 HTTP/1.1\r\n");
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    rig_session_end(session);
}

HTTP_TEST(hosts_that_need_none, forwards)
{
    bide_http_session *session = through_proxy("", "127.0.0.0/8");
    rig_body(rig_get(session, "/"), "ok");
    CHECK_CONTAINS(rig_heard, "GET / HTTP/1.1\r\n");
    rig_session_end(session);
}

HTTP_TEST(environment, forwards)
{
    bide_http_response *response;
    setenv("http_proxy", rig_base, 1);
    setenv("no_proxy", "direct.example", 1);
    bide_http_session *session = rig_session_with(
        &(struct bide_http_session_opts){.proxy_from_environment = true});
    CHECK_INT(bide_http_get(session, "http://some.example/", &response), 0);
    rig_body(response, "ok");
    CHECK_CONTAINS(rig_heard, "GET http://some.example/ HTTP/1.1\r\n");
    rig_session_end(session);
    session = rig_session();
    rig_body(rig_get(session, "/x"), "ok");
    CHECK_CONTAINS(rig_heard, "GET /x HTTP/1.1\r\n");
    rig_session_end(session);
    unsetenv("http_proxy");
    setenv("HTTP_PROXY", "http://127.0.0.1:1", 1); /* what a CGI program may have from a request */
    session = rig_session_with(&(struct bide_http_session_opts){.proxy_from_environment = true});
    rig_body(rig_get(session, "/y"), "ok");
    rig_session_end(session);
}

static const struct {
    const char *list, *host;
    unsigned port;
    bool listed;
} lists[] = {
    {NULL, "a", 80, false},
    {"", "a", 80, false},
    {"*", "a", 80, true},
    {"a", "a", 80, true},
    {"a", "A", 80, true},
    {"a", "b.a", 80, true},
    {".a", "b.a", 80, true},
    {".a", "a", 80, true},
    {"a", "ba", 80, false},
    {"x, a ,y", "a", 80, true},
    {"x y\ta", "a", 80, true},
    {"a:80", "a", 80, true},
    {"a:81", "a", 80, false},
    {"127.0.0.1", "127.0.0.1", 80, true},
    {"127.0.0.1", "127.0.0.11", 80, false},
    {"10.0.0.0/8", "10.1.2.3", 80, true},
    {"10.0.0.0/8", "11.1.2.3", 80, false},
    {"10.0.0.0/33", "10.0.0.0", 80, false},
    {"10.0.0.0/x", "10.0.0.0", 80, false},
    {"192.168.4.0/22", "192.168.7.255", 80, true},
    {"192.168.4.0/22", "192.168.8.0", 80, false},
    {"fd00::/8", "fd12::1", 80, true},
    {"fd00::/8", "fe12::1", 80, false},
    {"::1", "::1", 80, true},
    {"[::1]", "::1", 80, true},
    {"[::1]:80", "::1", 80, true},
    {"[::1]:81", "::1", 80, false},
    {".", "a", 80, false},
};

BIDE_TEST_EACH(lists, no_proxy)
{
    CHECK_INT(bide__http_proxy_is_listed(each->list, each->host, each->port), each->listed);
}

BIDE_TEST(proxies_that_are_none)
{
    static const char *const wrong[] = {"https://h", "socks5://h", "http://", "http://[x", "::"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bide_http_session *session;
        CHECK_INT(
            bide_http_session_new(&(struct bide_http_session_opts){.proxy = wrong[i]}, &session),
            -EINVAL);
    }
    CHECK_INT(bide_http_session_new(&(struct bide_http_session_opts){.idle_seconds = NAN}, NULL),
              -EINVAL);
}
