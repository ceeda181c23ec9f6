/*
 * Scenario: more fetches than connections; servers that close what is idle, or lie about keeping
 * it; tasks that are cancelled at every point; sessions that are closed while all of this goes on.
 * Claim: limits hold, who waits is served first come first served, a dead connection is noticed or
 * made up for once, nothing that was broken off is used again, and nothing is left.
 */
#include "http_client_rig.h"

#include <bide/event.h>

static const char small[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static bide_event go_on;
static int n_at_once, n_most;

static int says_ok(bide_stream *stream, int number)
{
    (void)number;
    return rig_answer_all(stream, small);
}

/* Answers when the test lets it. */
static int waits(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    while ((rc = rig_hear(stream)) > 0) {
        n_at_once++;
        n_most = n_at_once > n_most ? n_at_once : n_most;
        rc = bide_event_wait(&go_on);
        n_at_once--;
        if (rc == 0)
            rc = rig_say(stream, small);
        if (rc < 0)
            break;
    }
    return rc;
}

static bide_async(fetches, (bide_http_session *, session), (const char *, path))
{
    bide_http_response *response;
    char url[128];
    snprintf(url, sizeof url, "%s%s", rig_base, path);
    int rc = bide_http_get(session, url, &response);
    if (rc < 0)
        return rc;
    rc = bide_http_response_read_all(response, 0, NULL, NULL);
    note(path);
    bide_http_response_close(response);
    return rc;
}

/* Until the server has heard so many requests, and for a while nothing more. */
static void until_heard(int n)
{
    while (rig_requests < n)
        turns(1);
    turns(30);
    CHECK_INT(rig_requests, n);
}

static void fetch_six(unsigned at_once)
{
    static const char *const paths[] = {"/a", "/b", "/c", "/d", "/e", "/f"};
    struct bide_http_session_opts opts = {.connections_max = at_once};
    bide_http_session *session = rig_session_with(&opts);
    bide_task *tasks[6];
    n_at_once = n_most = rig_requests = rig_connections = 0;
    bide_event_clear(&go_on);
    for (int i = 0; i < 6; i++)
        tasks[i] = bide_spawn(fetches, session, paths[i]);
    until_heard((int)at_once);
    bide_event_set(&go_on);
    for (int i = 0; i < 6; i++)
        CHECK_INT(bide_await(tasks[i]), 0);
    CHECK_INT(n_most, (int)at_once);
    CHECK_INT(rig_connections, (int)at_once);
    rig_session_end(session);
}

HTTP_TEST(limit_and_order, waits)
{
    fetch_six(1);
    CHECK_NOTES("/a/b/c/d/e/f");
    fetch_six(2);
    CHECK_INT((long long)strlen(rig_notes), 12);
    rig_notes[0] = '\0';
}

HTTP_TEST(cancelled_while_waiting, waits)
{
    struct bide_http_session_opts opts = {.connections_max = 1};
    bide_http_session *session = rig_session_with(&opts);
    bide_event_clear(&go_on);
    bide_task *first = bide_spawn(fetches, session, "/a");
    bide_task *second = bide_spawn(fetches, session, "/b");
    bide_task *third = bide_spawn(fetches, session, "/c");
    until_heard(1);
    bide_cancel(second);
    CHECK_INT(bide_await(second), -ECANCELED);
    bide_event_set(&go_on);
    CHECK_INT(bide_await(first), 0);
    CHECK_INT(bide_await(third), 0);
    CHECK_NOTES("/a/c");
    rig_session_end(session);
}

/* The slot is given in the same turn in which its owner is cancelled. */
HTTP_TEST(cancelled_when_given, waits)
{
    struct bide_http_session_opts opts = {.connections_max = 1};
    bide_http_session *session = rig_session_with(&opts);
    bide_event_clear(&go_on);
    bide_task *first = bide_spawn(fetches, session, "/a");
    bide_task *second = bide_spawn(fetches, session, "/b");
    bide_task *third = bide_spawn(fetches, session, "/c");
    until_heard(1);
    bide_event_set(&go_on);
    while (!bide_task_done(first))
        turns(1);
    bide_cancel(second);
    int rc = bide_await(second);
    CHECK(rc == -ECANCELED || rc == 0);
    CHECK_INT(bide_await(first), 0);
    CHECK_INT(bide_await(third), 0);
    rig_notes[0] = '\0';
    rig_session_end(session);
}

HTTP_TEST(per_host, waits)
{
    struct bide_http_session_opts opts = {.connections_max = 3, .connections_per_host_max = 1};
    bide_http_session *session = rig_session_with(&opts);
    bide_task *tasks[3];
    bide_event_clear(&go_on);
    n_at_once = n_most = 0;
    for (int i = 0; i < 3; i++)
        tasks[i] = bide_spawn(fetches, session, "/");
    until_heard(1);
    CHECK_INT(n_most, 1);
    bide_event_set(&go_on);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_await(tasks[i]), 0);
    CHECK_INT(n_most, 1);
    rig_notes[0] = '\0';
    rig_session_end(session);
}

/* Another host needs the place of one that is idle. */
HTTP_TEST(an_idle_one_makes_room, says_ok)
{
    bide_server *other;
    struct bide_http_session_opts opts = {.connections_max = 1};
    bide_http_session *session = rig_session_with(&opts);
    CHECK_INT(bide_serve("127.0.0.1", 0, rig_handle, NULL, NULL, &other), 0);
    for (int i = 0; i < 4; i++) {
        bide_http_response *response;
        char url[64];
        rig_body(rig_get(session, "/"), "ok");
        snprintf(url, sizeof url, "http://127.0.0.1:%u/", bide_server_port(other));
        CHECK_INT(bide_http_get(session, url, &response), 0);
        rig_body(response, "ok");
        CHECK_INT((long long)bide_http_session_connections(session, NULL), 1);
    }
    CHECK_INT(rig_connections, 8);
    rig_session_end(session);
    bide_server_close(other);
    CHECK_INT(bide_server_wait_closed(other), 0);
    bide_server_free(other);
}

/* Answers once, and closes a little later without a word. */
static int closes_idle(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    return rc > 0 ? rig_say(stream, small) : rc;
}

HTTP_TEST(closed_while_idle, closes_idle)
{
    bide_http_session *session = rig_session();
    for (int i = 0; i < 3; i++) {
        rig_body(rig_fetch(session, "POST", "/", NULL), "ok");
        while (bide_server_connections(rig_server) > 0)
            turns(1);
        bide_sleep(TICKS(1));
    }
    CHECK_INT(rig_connections, 3);
    CHECK_INT(rig_requests, 3);
    rig_session_end(session);
}

/* Hears a second request, and closes instead of answering it. */
static int lies(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    if (rc > 0)
        rc = rig_say(stream, small);
    return rc == 0 ? rig_hear(stream) : rc;
}

HTTP_TEST(keep_alive_that_lies, lies)
{
    bide_http_session *session = rig_session();
    rig_body(rig_get(session, "/"), "ok");
    rig_body(rig_get(session, "/"), "ok"); /* on a second connection */
    CHECK_INT(rig_connections, 2);
    CHECK_INT(rig_requests, 3);
    bide_http_response *response = NULL;
    CHECK_INT(bide_http_post(session, rig_url("/"), "text/plain", "x", 1, &response),
              -BIDE_EINCOMPLETE);
    CHECK_INT(rig_connections, 2);
    rig_session_end(session);
}

/* The same with a reset: the first byte of an answer makes it an answer, though. */
static int half_lies(bide_stream *stream, int number)
{
    int rc = rig_hear(stream);
    if (rc > 0)
        rc = rig_say(stream, small);
    if (rc == 0)
        rc = rig_hear(stream);
    return rc > 0 ? rig_say(stream, number == 0 ? "H" : small) : rc;
}

HTTP_TEST(no_second_try_behind_an_answer, half_lies)
{
    bide_http_session *session = rig_session();
    rig_body(rig_get(session, "/"), "ok");
    CHECK_INT(rig_get_fails(session, "/"), -BIDE_EINCOMPLETE);
    CHECK_INT(rig_connections, 1);
    rig_session_end(session);
}

static int n_babbled;

/* Speaks when nobody asked. */
static int babbles(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    while ((rc = rig_hear(stream)) > 0) {
        rc = rig_say(stream, small);
        if (rc == 0)
            rc = bide_sleep(TICKS(1));
        if (rc == 0)
            rc = rig_say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        n_babbled++;
        if (rc < 0)
            break;
    }
    return rc;
}

HTTP_TEST(unasked_answers_are_nobodys, babbles)
{
    bide_http_session *session = rig_session();
    for (int i = 0; i < 3; i++) {
        rig_body(rig_get(session, "/"), "ok");
        while (n_babbled <= i)
            turns(1);
        bide_sleep(TICKS(1));
    }
    CHECK_INT(rig_connections, 3);
    rig_session_end(session);
}

HTTP_TEST(idle_time_limit, says_ok)
{
    struct bide_http_session_opts opts = {.idle_seconds = TICKS(4)};
    bide_http_session *session = rig_session_with(&opts);
    rig_body(rig_get(session, "/"), "ok");
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 1);
    bide_sleep(TICKS(20));
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    rig_body(rig_get(session, "/"), "ok");
    CHECK_INT(rig_connections, 2);
    rig_session_end(session);
}

static int cancelled_after(int n_turns, bool is_kept_alive)
{
    bide_http_session *session = rig_session();
    if (is_kept_alive)
        rig_body(rig_get(session, "/"), "ok");
    bide_task *task = bide_spawn(fetches, session, "/");
    turns(n_turns);
    bide_cancel(task);
    int rc = bide_await(task);
    CHECK(rc == 0 || rc == -ECANCELED);
    size_t idle = 0, all = bide_http_session_connections(session, &idle);
    CHECK_INT((long long)all, (long long)idle);
    rig_body(rig_get(session, "/"), "ok");
    rig_session_end(session);
    return rc;
}

/* From the first turn of a fetch to its end; simulated ones take thousands. */
HTTP_TEST(cancelled_at_every_point, says_ok)
{
    for (int is_kept_alive = 0; is_kept_alive < 2; is_kept_alive++)
        for (int n = 0; cancelled_after(n, is_kept_alive) < 0; n += 1 + n / 20)
            ;
    rig_notes[0] = '\0';
}

HTTP_TEST(closing_ends_everything, waits)
{
    struct bide_http_session_opts opts = {.connections_max = 1};
    bide_http_session *session = rig_session_with(&opts);
    bide_event_clear(&go_on);
    bide_task *inside = bide_spawn(fetches, session, "/a");
    bide_task *waiting = bide_spawn(fetches, session, "/b");
    until_heard(1);
    CHECK_INT(bide_http_session_close(session), 0);
    CHECK(bide_task_done(inside));
    CHECK_INT(bide_await(inside), -ESHUTDOWN);
    CHECK_CONTAINS(bide_error_detail(), "session was closed");
    CHECK_INT(bide_await(waiting), -ESHUTDOWN);
    bide_http_session_free(session);
}

static int says_half(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    if (rc > 0)
        rc = rig_say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    return rc < 0 ? rc : rig_hear(stream);
}

static bide_async(reads_all, (bide_http_response *, response))
{
    return bide_http_response_read_all(response, 0, NULL, NULL);
}

HTTP_TEST(closing_ends_answers, says_half)
{
    char byte;
    bide_http_session *session = rig_session();
    bide_http_response *idle = rig_get(session, "/"), *read = rig_get(session, "/");
    bide_task *reader = bide_spawn(reads_all, read);
    turns(5);
    CHECK_INT(bide_http_response_read(read, &byte, 1), -EBUSY);
    CHECK_INT(bide_http_response_close(read), -EBUSY);
    CHECK_INT(bide_http_session_close(session), 0);
    CHECK_INT(bide_await(reader), -ESHUTDOWN);
    CHECK_INT(bide_http_response_read(idle, &byte, 1), -ESHUTDOWN);
    CHECK_INT(bide_http_response_read(read, &byte, 1), -ESHUTDOWN);
    bide_http_session_free(session);
    CHECK_INT(bide_http_response_status(idle), 200);
    CHECK_INT(bide_http_response_close(idle), 0);
    CHECK_INT(bide_http_response_close(read), 0);
}

HTTP_TEST(freed_without_closing, says_half)
{
    bide_http_session *session = rig_session();
    bide_http_response *response = rig_get(session, "/");
    bide_http_session_free(session);
    bide_http_response_abort(response);
}

HTTP_TEST(a_cancelled_read_loses_nothing, says_half)
{
    const char *data = "";
    size_t size;
    bide_http_session *session = rig_session();
    bide_http_response *response = rig_get(session, "/");
    bide_task *reader = bide_spawn(reads_all, response);
    turns(10);
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), -ECANCELED);
    CHECK_INT(bide_within(TICKS(1), bide_http_response_read_all(response, 0, &data, &size)),
              -ETIMEDOUT);
    char piece[8];
    CHECK_INT(bide_within(TICKS(1), bide_http_response_read(response, piece, 8)), -ETIMEDOUT);
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}

/* Callbacks */

static char mine[] = "mine";
static int told_result = 1;
static bide_http_response *told_response;

static void told(int result, bide_http_response *response, void *data)
{
    CHECK_PTR(bide_current_task(), NULL);
    CHECK_STR(data, "mine");
    told_result = result;
    told_response = response;
    snprintf(rig_notes, sizeof rig_notes, "%s", result < 0 ? bide_error_detail() : "");
}

HTTP_TEST(callbacks, says_ok)
{
    const char *data;
    bide_http_session *session = rig_session();
    CHECK_INT(bide_http_fetch_callback(NULL, session, "GET", rig_url("/"), NULL, told, mine, NULL),
              0);
    while (told_result == 1)
        turns(1);
    CHECK_INT(told_result, 0);
    CHECK_INT(bide_http_response_read_all(told_response, 0, &data, NULL), 0);
    CHECK_STR(data, "ok");
    bide_http_response_abort(told_response);

    told_result = 1;
    CHECK_INT(bide_http_fetch_callback(NULL, session, "GET", "ftp://x/", NULL, told, mine, NULL),
              0);
    while (told_result == 1)
        turns(1);
    CHECK_INT(told_result, -EPROTONOSUPPORT);
    CHECK_PTR(told_response, NULL);
    CHECK_CONTAINS(rig_notes, "not HTTP");

    bide_task *task;
    told_result = 1;
    CHECK_INT(bide_http_fetch_callback(NULL, session, "GET", rig_url("/"), NULL, told, mine, &task),
              0);
    bide_cancel(task);
    CHECK_INT(bide_await(task), -ECANCELED);
    while (told_result == 1)
        turns(1);
    CHECK_INT(told_result, -ECANCELED);
    rig_notes[0] = '\0';
    rig_session_end(session);
}
