/*
 * Scenario: a fetch with all that it may have (a redirect, cookies, a packed body in chunks, a
 * multipart form) in which every allocation and every system call fails in turn, on either side;
 * and loops that are closed while fetches are under way.
 * Claim: a failure is an error or is made up for; the session goes on; nothing is left, no
 * connection, descriptor or block.
 */
#include <dirent.h>

#include "http_client_rig.h"

#include "fault.h"

static const unsigned char packed[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
                                       0x00, 0x03, 0x4b, 0x4c, 0x4a, 0x06, 0x00, 0xc2,
                                       0x41, 0x24, 0x35, 0x03, 0x00, 0x00, 0x00}; /* "abc" */

static int say_richly(bide_stream *stream)
{
    if (!HAVE_ZLIB)
        return rig_say(stream, "HTTP/1.1 200 OK\r\nSet-Cookie: c=d\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    int rc = rig_say(stream, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nSet-Cookie: c=d\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n17\r\n");
    if (rc == 0)
        rc = bide_write(stream, packed, sizeof packed);
    return rc < 0 ? rc : rig_say(stream, "\r\n0\r\n\r\n");
}

static int rich(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    while ((rc = rig_hear(stream)) > 0) {
        rc = strstr(rig_heard, " /go ")
                 ? rig_say(stream, "HTTP/1.1 307 Go\r\nLocation: /there\r\nSet-Cookie: a=b\r\n"
                                   "Content-Length: 0\r\n\r\n")
                 : say_richly(stream);
        if (rc < 0)
            break;
    }
    return rc;
}

static int fetch_richly(bide_http_session *session)
{
    bide_http_form *form = NULL;
    bide_http_response *response = NULL;
    const char *data;
    int rc = bide_http_form_new(&form);
    if (rc == 0)
        rc = bide_http_form_add_data(form, "name", "file", NULL, "data", 4);
    struct bide_http_fetch_opts opts = {.form = form, .user = "a", .password = "b"};
    char url[128];
    snprintf(url, sizeof url, "%s/go", rig_base);
    if (rc == 0)
        rc = bide_http_fetch(session, "POST", url, &opts, &response);
    if (rc == 0)
        rc = bide_http_response_read_all(response, 0, &data, NULL);
    if (rc == 0)
        CHECK_STR(data, "abc");
    bide_http_response_close(response);
    bide_http_form_free(form);
    return rc;
}

static int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;
    CHECK(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* All of it, as far as it goes. */
static bide_async(run_rich)
{
    bide_http_session *session = NULL;
    bide_loop_set_exception_handler(bide_loop_current(), bide_test_catch_report, NULL);
    rig_run_script = rich;
    int rc = bide_serve("127.0.0.1", 0, rig_handle, NULL, NULL, &rig_server);
    if (rc < 0)
        return rc;
    snprintf(rig_base, sizeof rig_base, "http://127.0.0.1:%u", bide_server_port(rig_server));
    rc = bide_http_session_new(&(struct bide_http_session_opts){.read_seconds = 1}, &session);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = fetch_richly(session);
    if (session)
        bide_http_session_close(session);
    bide_http_session_free(session);
    bide_server_close(rig_server);
    bide_server_cancel(rig_server);
    bide_server_wait_closed(rig_server);
    bide_server_free(rig_server);
    return rc;
}

static void each_fault(enum fault_kind kind, int error)
{
    CHECK_INT(bide_run_with(NULL, run_rich), 0); /* what is made once is there */
    int n_fds = count_fds();
    unsigned long n = 0;
    for (bool was_hit = true; was_hit;) {
        fault_arm(kind, ++n, error);
        int rc = bide_run_with(NULL, run_rich);
        was_hit = fault_disarm();
        if (was_hit ? rc > 0 : rc != 0)
            FAIL("fault %lu in %s: %d", n, fault_function(), rc);
        while (*take_report()) /* what the server could not do is not what is tested */
            ;
        CHECK_INT(count_fds(), n_fds);
    }
    CHECK(n > 20);
}

BIDE_TEST_SECONDS(every_allocation, 120)
{
    each_fault(FAULT_ALLOCATION, ENOMEM);
}

BIDE_TEST_SECONDS(every_system_call, 120)
{
    const char *engine = getenv("BIDE_ENGINE");
    if (engine && strcmp(engine, "sim") == 0)
        SKIP("there are none");
    each_fault(FAULT_SYSTEM, EIO);
    each_fault(FAULT_SYSTEM, ECONNRESET);
}

/* Loops that are closed */

/* And does not heed the loop's end either. */
static int says_half(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    if (rc > 0)
        rc = rig_say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    return rc < 0 ? rc : bide_shielded(INFINITY, bide_sleep(INFINITY));
}

struct left {
    bide_http_session *session;
    bide_http_response *response;
    int n_waiting;
};

/* Does not heed its cancel, so that the loop gives it up. */
static bide_async(stays_inside, (struct left *, left))
{
    bide_http_response *response;
    left->n_waiting++;
    return bide_shielded(INFINITY, bide_http_get(left->session, rig_base, &response));
}

static bide_async(stays_reading, (struct left *, left))
{
    char piece[16];
    int rc = bide_http_get(left->session, rig_base, &left->response);
    while (rc >= 0)
        rc = bide_shielded(INFINITY, bide_http_response_read(left->response, piece, sizeof piece));
    return rc;
}

static bide_async(leaves_them, (struct left *, left))
{
    rig_serve(says_half);
    bide_detach(bide_spawn(stays_reading, left));
    bide_detach(bide_spawn(stays_inside, left)); /* for a connection: there is room for one */
    while (!left->response)
        turns(1);
    turns(20); /* until it reads */
    bide_server_free(rig_server);
    return 0;
}

BIDE_TEST(a_loop_that_is_closed)
{
    struct left left = {0};
    struct bide_http_session_opts opts = {.connections_max = 1};
    struct bide_loop_opts loop_opts = {.cleanup_seconds = TICKS(2)};
    bide_loop *loop = rig_loop_with(&loop_opts);
    CHECK_INT(bide_http_session_new(&opts, &left.session), 0);
    struct bide_task_opts task_opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&task_opts, leaves_them, &left);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    bide_detach(task);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_INT((long long)bide_http_session_connections(left.session, NULL), 1);
    bide_http_response_abort(left.response);
    bide_http_session_free(left.session);
    while (*take_report())
        ;
    rig_end();
}

/* A callback's fetch is cancelled by a loop that closes, and told so. */
static void told_of_the_end(int result, bide_http_response *response, void *data)
{
    (void)data;
    CHECK_INT(result, -ECANCELED);
    CHECK_PTR(response, NULL);
    note("told");
}

static int says_nothing(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    return rc > 0 ? rig_hear(stream) : rc;
}

static bide_async(leaves_a_callback, (struct left *, left))
{
    rig_serve(says_nothing);
    CHECK_INT(bide_http_fetch_callback(NULL, left->session, "GET", rig_base, NULL, told_of_the_end,
                                       NULL, NULL),
              0);
    while (rig_requests < 1)
        turns(1);
    bide_server_free(rig_server);
    bide_loop_stop(bide_loop_current());
    return 0;
}

BIDE_TEST(a_loop_that_is_closed_before_it_calls_back)
{
    struct left left = {0};
    bide_loop *loop = rig_loop();
    CHECK_INT(bide_http_session_new(NULL, &left.session), 0);
    struct bide_task_opts task_opts = {.loop = loop};
    bide_detach(bide_spawn_with(&task_opts, leaves_a_callback, &left));
    CHECK_INT(bide_loop_run_forever(loop), 0);
    bide_http_session_free(left.session);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_NOTES("told");
    rig_end();
}
