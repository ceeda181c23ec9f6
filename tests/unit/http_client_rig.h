/*
 * What the tests of HTTP clients share: a server within the test that says what the test tells it
 * to, byte for byte, and remembers what it heard.
 *
 * Invariant: at the end of a test nothing is connected, and no descriptor, task or report is left.
 */
#ifndef BIDE_TEST_HTTP_CLIENT_RIG_H
#define BIDE_TEST_HTTP_CLIENT_RIG_H

#include <bide/http_client.h>
#include <bide/server.h>

#include "task_rig.h"

/* One connection: what the server does with it. Returns as a handler of bide_serve(). */
typedef int rig_script(bide_stream *stream, int number);

static bide_server *rig_server;
static char rig_base[64]; /* "http://127.0.0.1:port" */
static rig_script *rig_run_script;
static int rig_connections;
static char rig_heard[128 * 1024]; /* of the last request: head and body */
static size_t rig_heard_size;
static int rig_requests;

static int rig_handle(bide_stream *stream, void *data)
{
    (void)data;
    return rig_run_script(stream, rig_connections++);
}

static RIG_UNUSED void rig_serve(rig_script *script)
{
    rig_run_script = script;
    rig_connections = 0;
    rig_requests = 0;
    CHECK_INT(bide_serve("127.0.0.1", 0, rig_handle, NULL, NULL, &rig_server), 0);
    snprintf(rig_base, sizeof rig_base, "http://127.0.0.1:%u", bide_server_port(rig_server));
}

static RIG_UNUSED void rig_stop(void)
{
    bide_server_close(rig_server);
    bide_server_cancel(rig_server);
    CHECK_INT(bide_server_wait_closed(rig_server), 0);
    bide_server_free(rig_server);
}

/* The server's side */

/* One request, its body included if it has a length: 1; 0 at the end of the connection. */
static RIG_UNUSED int rig_hear(bide_stream *stream)
{
    char *head;
    int n = bide_read_until(stream, "\r\n\r\n", 4, &head);
    if (n < 0)
        return n == -BIDE_EINCOMPLETE ? 0 : n;
    memcpy(rig_heard, head, (size_t)n);
    rig_heard_size = (size_t)n;
    rig_heard[n] = '\0';
    rig_requests++;
    const char *length = strstr(rig_heard, "\r\nContent-Length: ");
    size_t size = length ? strtoul(length + 18, NULL, 10) : 0;
    CHECK(rig_heard_size + size < sizeof rig_heard);
    if (size > 0 && !strstr(rig_heard, "\r\nExpect:")) {
        int rc = bide_read_exactly(stream, rig_heard + n, size);
        if (rc < 0)
            return rc;
        rig_heard_size += size;
        rig_heard[rig_heard_size] = '\0';
    }
    return 1;
}

static RIG_UNUSED int rig_say(bide_stream *stream, const char *text)
{
    return bide_write(stream, text, strlen(text));
}

/* Every request on a connection gets the same. */
static RIG_UNUSED int rig_answer_all(bide_stream *stream, const char *text)
{
    int rc;
    while ((rc = rig_hear(stream)) > 0)
        if ((rc = rig_say(stream, text)) < 0)
            break;
    return rc;
}

/* The client's side */

static RIG_UNUSED bide_http_session *rig_session_with(const struct bide_http_session_opts *opts)
{
    bide_http_session *session = NULL;
    CHECK_INT(bide_http_session_new(opts, &session), 0);
    return session;
}

static RIG_UNUSED bide_http_session *rig_session(void)
{
    return rig_session_with(NULL);
}

static RIG_UNUSED void rig_session_end(bide_http_session *session)
{
    CHECK_INT(bide_http_session_close(session), 0);
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    bide_http_session_free(session);
}

static RIG_UNUSED const char *rig_url(const char *path)
{
    static char url[4096];
    snprintf(url, sizeof url, "%s%s", rig_base, path);
    return url;
}

static RIG_UNUSED bide_http_response *rig_fetch(bide_http_session *session, const char *method,
                                                const char *path,
                                                const struct bide_http_fetch_opts *opts)
{
    bide_http_response *response = NULL;
    int rc = bide_http_fetch(session, method, rig_url(path), opts, &response);
    if (rc < 0)
        FAIL("%s %s: %s", method, path, bide_error_detail());
    return response;
}

static RIG_UNUSED bide_http_response *rig_get(bide_http_session *session, const char *path)
{
    return rig_fetch(session, "GET", path, NULL);
}

static RIG_UNUSED int rig_get_fails(bide_http_session *session, const char *path)
{
    bide_http_response *response = NULL;
    int rc = bide_http_get(session, rig_url(path), &response);
    CHECK(rc < 0);
    CHECK_PTR(response, NULL);
    return rc;
}

/* Its body is this text; closes it. */
static RIG_UNUSED void rig_body(bide_http_response *response, const char *expected)
{
    const char *data = NULL;
    size_t size = 0;
    int rc = bide_http_response_read_all(response, 0, &data, &size);
    if (rc < 0)
        FAIL("%s", bide_error_detail());
    CHECK_INT((long long)size, (long long)strlen(expected));
    CHECK_STR(data, expected);
    CHECK_INT(bide_http_response_close(response), 0);
}

/* A test whose body is a task beside a server that follows `script`. */
#define HTTP_TEST(name, script) \
    static void name##_beside(void); \
    TASK_TEST(name) \
    { \
        rig_serve(script); \
        name##_beside(); \
        rig_stop(); \
    } \
    static void name##_beside(void)

#endif
