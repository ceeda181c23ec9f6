/*
 * Scenario: servers that say nothing, stop in the middle, or drip.
 * Claim: each of the limits ends a fetch by itself, and the words say which one and where; what
 * goes on within them is not disturbed; a limit of the caller's own is the caller's.
 */
#include "http_client_rig.h"

static int says_nothing(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    return rc > 0 ? rig_hear(stream) : rc;
}

HTTP_TEST(no_answer, says_nothing)
{
    struct bide_http_session_opts opts = {.read_seconds = TICKS(3)};
    bide_http_session *session = rig_session_with(&opts);
    CHECK_INT(rig_get_fails(session, "/"), -ETIMEDOUT);
    CHECK_CONTAINS(bide_error_detail(), "waiting for the answer: out of time");
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    rig_session_end(session);
}

HTTP_TEST(the_callers_limit, says_nothing)
{
    bide_http_session *session = rig_session();
    bide_http_response *response;
    CHECK_INT(bide_within(TICKS(2), bide_http_get(session, rig_url("/"), &response)), -ETIMEDOUT);
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    rig_session_end(session);
}

static int says_half(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    if (rc > 0)
        rc = rig_say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    return rc < 0 ? rc : rig_hear(stream);
}

HTTP_TEST(half_a_body, says_half)
{
    char piece[16];
    struct bide_http_session_opts opts = {.read_seconds = TICKS(3)};
    bide_http_session *session = rig_session_with(&opts);
    bide_http_response *response = rig_get(session, "/");
    CHECK_INT(bide_http_response_read(response, piece, sizeof piece), 4);
    CHECK_INT(bide_http_response_read(response, piece, sizeof piece), -ETIMEDOUT);
    CHECK_CONTAINS(bide_error_detail(), "reading the body: out of time");
    CHECK_INT(bide_http_response_read(response, piece, sizeof piece), -ETIMEDOUT);
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}

/* A byte at a time, for ever: no two are far from each other. */
static int drips(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    if (rc > 0)
        rc = rig_say(stream, "HTTP/1.1 200 OK\r\n\r\n");
    while (rc == 0) {
        rc = rig_say(stream, ".");
        if (rc == 0)
            rc = bide_sleep(TICKS(1));
    }
    return rc;
}

HTTP_TEST(dripping, drips)
{
    struct bide_http_session_opts opts = {.read_seconds = TICKS(200)};
    struct bide_http_fetch_opts fetch_opts = {.total_seconds = TICKS(8)};
    bide_http_session *session = rig_session_with(&opts);
    bide_http_response *response = rig_fetch(session, "GET", "/", &fetch_opts);
    CHECK_INT(bide_http_response_read_all(response, 0, NULL, NULL), -ETIMEDOUT);
    CHECK_CONTAINS(bide_error_detail(), "out of time for the whole of it");
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}

HTTP_TEST(slow_but_within, drips)
{
    char piece[4];
    struct bide_http_session_opts opts = {.read_seconds = TICKS(50)};
    bide_http_session *session = rig_session_with(&opts);
    bide_http_response *response = rig_get(session, "/");
    for (int i = 0; i < 20; i++)
        CHECK_RANGE(bide_http_response_read(response, piece, sizeof piece), 1, 4);
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}

/* Who waits for a connection waits within the whole. */
HTTP_TEST(waiting_for_a_connection, says_half)
{
    struct bide_http_session_opts opts = {.connections_max = 1};
    struct bide_http_fetch_opts fetch_opts = {.total_seconds = TICKS(3)};
    bide_http_session *session = rig_session_with(&opts);
    bide_http_response *first = rig_get(session, "/"), *second = NULL;
    CHECK_INT(bide_http_fetch(session, "GET", rig_url("/"), &fetch_opts, &second), -ETIMEDOUT);
    CHECK_CONTAINS(bide_error_detail(), "waiting for a connection");
    CHECK_INT(bide_http_response_close(first), 0);
    rig_session_end(session);
}

/* Takes no byte of a large body. */
static int reads_nothing(bide_stream *stream, int number)
{
    (void)stream;
    (void)number;
    return bide_sleep(INFINITY);
}

HTTP_TEST(nobody_reads, reads_nothing)
{
    static char much[8 << 20];
    struct bide_http_session_opts opts = {.read_seconds = TICKS(6)};
    struct bide_http_fetch_opts fetch_opts = {
        .body = much, .body_size = sizeof much, .no_expect = true};
    bide_http_session *session = rig_session_with(&opts);
    bide_http_response *response = NULL;
    CHECK_INT(bide_http_fetch(session, "PUT", rig_url("/"), &fetch_opts, &response), -ETIMEDOUT);
    CHECK_CONTAINS(bide_error_detail(), "sending the request: out of time");
    rig_session_end(session);
}
