/*
 * HTTP servers in trouble. Scenario: requests in whose life every allocation and every system call
 * fails in turn; clients that vanish after each byte of a request with a body, or of the answer;
 * clients that drip their requests; servers that are closed or cancelled at each turn of such a
 * life, and under load. Claim: an answer arrives whole or the connection ends; nothing is left, no
 * connection, task, descriptor or block; who drips is dropped when its time is over, and costs
 * little until then; a server that is closed gently answers what had begun.
 */
#include <malloc.h>
#include <sys/resource.h>

#include <bide/http_files.h>
#include <bide/http_middleware.h>

#include "fault.h"
#include "http_rig.h"
#include "sim_rig.h"

static int echo(bide_http_request *request, void *data)
{
    char *body;
    (void)data;
    int n = bide_http_read_all(request, 0, &body);
    if (n < 0)
        return n;
    int rc = bide_http_reply_begin(request, 200, "text/plain", BIDE_HTTP_LENGTH_UNKNOWN);
    if (rc == 0)
        rc = bide_http_write(request, body, (size_t)n / 2);
    if (rc == 0)
        rc = bide_http_write(request, body + n / 2, (size_t)(n - n / 2));
    return rc < 0 ? rc : bide_http_reply_end(request);
}

static int own_file(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_file(request, "/proc/self/exe", NULL);
}

static const char rich_request[] =
    "POST /echo?a=b HTTP/1.1\r\nHost: h\r\nOrigin: http://a\r\nAccept-Encoding: gzip\r\n"
    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\n\r\n";

static int make_app(bide_http_app **ret_app)
{
    int rc = bide_http_app_new(NULL, ret_app);
    if (rc < 0)
        return rc;
    rc = bide_http_use_request_id(*ret_app);
    if (rc == 0)
        rc = bide_http_use_cors(*ret_app, NULL);
    if (rc == 0 && HAVE_ZLIB)
        rc = bide_http_use_compression(*ret_app, NULL);
    if (rc == 0)
        rc = bide_http_route(*ret_app, "POST", "/echo", echo, NULL, NULL);
    if (rc == 0)
        rc = bide_http_route(*ret_app, "GET", "/file", own_file, NULL, NULL);
    if (rc == 0)
        rc = bide_http_files(*ret_app, "/s", "/tmp", NULL);
    if (rc < 0)
        bide_http_app_free(*ret_app);
    return rc;
}

/* Says the request and hears whatever comes: 0 if it was a whole good answer. */
static int ask_richly(unsigned port)
{
    char answer[4096];
    bide_stream *stream;
    int size = 0, rc = bide_connect("127.0.0.1", port, NULL, &stream);
    if (rc < 0)
        return rc;
    rc = bide_write(stream, rich_request, sizeof rich_request - 1);
    while (rc == 0 && !(size > 5 && memcmp(answer + size - 5, "0\r\n\r\n", 5) == 0)) {
        int n = bide_within(TICKS(30),
                            bide_read(stream, answer + size, sizeof answer - 1 - (size_t)size));
        rc = n > 0 ? 0 : n == 0 ? -EPIPE : n;
        size += n > 0 ? n : 0;
        answer[size] = '\0';
        if (strstr(answer, "Connection: close")) /* an error in words */
            rc = -EREMOTEIO;
    }
    bide_close(stream);
    return rc;
}

static bide_async(life)
{
    struct bide_http_server_opts opts = {.idle_seconds = 1};
    bide_http_app *app;
    bide_http_server *server;
    bide_loop_set_exception_handler(bide_loop_current(), bide_test_catch_report, NULL);
    int rc = make_app(&app);
    if (rc < 0)
        return rc;
    rc = bide_http_serve(app, "127.0.0.1", 0, &opts, &server);
    if (rc == 0) {
        for (int i = 0; i < 2 && rc == 0; i++)
            rc = ask_richly(bide_http_server_port(server));
        int freed = bide_http_server_free(server);
        rc = rc < 0 ? rc : freed;
    }
    bide_http_app_free(app);
    return rc;
}

static void each_fault(enum fault_kind kind, int error)
{
    CHECK_INT(bide_run_with(NULL, life), 0);
    int n_fds = count_fds();
    unsigned long n = 0;
    for (bool was_hit = true; was_hit;) {
        fault_arm(kind, ++n, error);
        int rc = bide_run_with(NULL, life);
        was_hit = fault_disarm();
        if (was_hit ? rc > 0 : rc != 0)
            FAIL("fault %lu in %s: %d", n, fault_function(), rc);
        while (*take_report())
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

/* Clients that vanish */

static void no_connection_is_left(void)
{
    for (int i = 0; i < 5000 && bide_http_server_connections(rig_server) > 0; i++)
        bide_sleep(TICKS(1) / 5);
    CHECK_INT(bide_http_server_connections(rig_server), 0);
}

STREAM_TEST_SECONDS(clients_that_vanish_at_every_byte, 120)
{
    struct bide_http_server_opts opts = {.idle_seconds = 1000};
    CHECK_INT(make_app(&rig_app), 0);
    http_begin(&opts);
    for (int reset = 0; reset < 2; reset++)
        for (size_t n = 0; n < sizeof rich_request; n++) {
            bide_stream *stream = http_connect();
            CHECK_INT(n > 0 ? bide_write(stream, rich_request, n) : 0, 0);
            if (n % 3 == 0)
                bide_sleep(0);
            if (reset)
                bide_abort(stream);
            bide_close(stream);
        }
    no_connection_is_left();
    /* And of the answer. */
    for (size_t n = 1; n < 200; n++) {
        char some[256];
        bide_stream *stream = http_connect();
        http_say(stream, rich_request);
        int rc = bide_read(stream, some, n);
        CHECK_RANGE(rc, 1, n);
        bide_abort(stream);
        bide_close(stream);
    }
    no_connection_is_left();
    CHECK_INT(ask_richly(bide_http_server_port(rig_server)), 0);
    CHECK_STR(take_report(), "");
    http_end();
}

STREAM_TEST_SECONDS(clients_that_vanish_while_a_file_is_sent, 60)
{
    rig_needs_kernel();
    CHECK_INT(make_app(&rig_app), 0);
    http_begin(NULL);
    for (size_t n = 1; n < 200000; n += 1 + n / 2) {
        char *some = malloc(n);
        bide_stream *stream = http_connect();
        http_say(stream, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
        CHECK(bide_read(stream, some, n) > 0);
        bide_abort(stream);
        bide_close(stream);
        free(some);
    }
    no_connection_is_left();
    CHECK_STR(take_report(), "");
    http_end();
}

/* Clients that drip */

enum { DRIPPING = 200, DRIPPING_LONG = 10000 };

static bool is_sim(void)
{
    const char *engine = getenv("BIDE_ENGINE");
    return engine && strcmp(engine, "sim") == 0;
}

STREAM_TEST_SECONDS(who_drips_is_dropped_in_time, 300)
{
    bool is_long = getenv("BIDE_TEST_LONG") && !is_sim();
    int n = is_long ? DRIPPING_LONG : DRIPPING;
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * (rlim_t)n + 100)
        n = (int)(limit.rlim_cur - 100) / 2;
    struct bide_http_server_opts opts = {.header_seconds = is_long ? 5 : TICKS(40),
                                         .server = {.connections_max = 20000, .backlog = 4096}};
    CHECK_INT(make_app(&rig_app), 0);
    http_begin(&opts);
    bide_stream **streams = calloc((size_t)n, sizeof(*streams));
    size_t before = mallinfo2().uordblks;
    static const char start[] = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    for (int i = 0; i < n; i++) {
        streams[i] = http_connect();
        http_say(streams[i], "G");
    }
    double begun = bide_time();
    size_t at = 1;
    size_t most = 0;
    while (bide_time() - begun < opts.header_seconds * 0.5) {
        for (int i = 0; i < n; i++)
            (void)bide_offer(streams[i], at < sizeof start - 1 ? start + at : "x", 1);
        at++;
        bide_sleep(opts.header_seconds / 20);
        size_t now = mallinfo2().uordblks;
        most = now > before && now - before > most ? now - before : most;
    }
    fprintf(stderr, "# %d clients that drip: %zu bytes of memory each, both ends\n", n,
            most / (size_t)n);
    /* Simulated sockets are memory, too; some allocators say nothing of themselves. */
    if (!is_sim() && most > 0)
        CHECK_RANGE(most / (size_t)n, 100, 16384);
    /* All others are served meanwhile. */
    CHECK_INT(ask_richly(bide_http_server_port(rig_server)), 0);
    while (bide_http_server_connections(rig_server) > 0)
        bide_sleep(TICKS(5));
    char answer[256];
    for (int i = 0; i < n; i++) {
        int size = bide_read(streams[i], answer, sizeof answer);
        if (size > 12)
            CHECK_MEM(answer, "HTTP/1.1 408", 12);
        bide_abort(streams[i]);
        bide_close(streams[i]);
    }
    free(streams);
    http_end();
}

/* Ends */

static bide_async(asks, (unsigned, port), (int *, n_good), (int *, n_bad))
{
    int rc;
    while ((rc = ask_richly(port)) == 0)
        ++*n_good;
    ++*n_bad;
    return 0;
}

STREAM_TEST_SECONDS(cancelled_at_each_turn, 120)
{
    for (int n = 0; n < 40; n++) {
        int n_good = 0, n_bad = 0;
        struct bide_http_server_opts opts = {.grace_seconds = 1e-9};
        CHECK_INT(make_app(&rig_app), 0);
        http_begin(&opts);
        bide_task *task = bide_spawn(asks, bide_http_server_port(rig_server), &n_good, &n_bad);
        turns(n);
        http_end();
        CHECK_INT(bide_await(task), 0);
        CHECK_INT(n_bad, 1);
        while (*take_report())
            ;
    }
}

/* How one client fared whose requests follow each other on one connection. */
struct load {
    unsigned port;
    int n_asked, n_answered, n_halves;
};

static bide_async(keeps_asking, (struct load *, load))
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    bide_stream *stream;
    char answer[4096];
    if (bide_connect("127.0.0.1", load->port, NULL, &stream) < 0)
        return 0;
    for (bool goes_on = true; goes_on;) {
        if (bide_write(stream, request, sizeof request - 1) < 0)
            break;
        load->n_asked++;
        size_t size = 0;
        int rc = 1;
        answer[0] = '\0';
        while (rc > 0 && !strstr(answer, "\r\n\r\nlate")) {
            rc = bide_read(stream, answer + size, sizeof answer - 1 - size);
            size += rc > 0 ? (size_t)rc : 0;
            answer[size] = '\0';
        }
        load->n_answered += rc > 0;
        load->n_halves += rc <= 0 && size > 0;
        goes_on = rc > 0 && !strstr(answer, "Connection: close");
    }
    bide_close(stream);
    return 0;
}

static int n_begun, n_ended;

static int late(bide_http_request *request, void *data)
{
    (void)data;
    n_begun++;
    int rc = bide_sleep(TICKS(1) / 4);
    if (rc == 0)
        rc = bide_http_reply_text(request, 200, "late");
    n_ended += rc == 0;
    return rc;
}

STREAM_TEST_SECONDS(a_gentle_end_under_load_loses_nothing_that_was_begun, 60)
{
    enum { CLIENTS = 32 };
    static struct load loads[CLIENTS];
    bide_task *tasks[CLIENTS];
    for (int round = 0; round < 10; round++) {
        n_begun = n_ended = 0;
        http_app();
        http_route("GET", "/", late);
        http_begin(NULL);
        for (int i = 0; i < CLIENTS; i++) {
            loads[i] = (struct load){.port = bide_http_server_port(rig_server)};
            tasks[i] = bide_spawn(keeps_asking, &loads[i]);
        }
        while (n_begun < 40 * (round + 1))
            bide_sleep(TICKS(1) / 10);
        http_end();
        for (int i = 0; i < CLIENTS; i++)
            CHECK_INT(bide_await(tasks[i]), 0);
        int n_answered = 0;
        for (int i = 0; i < CLIENTS; i++) {
            CHECK_INT(loads[i].n_halves, 0);
            CHECK_RANGE(loads[i].n_asked - loads[i].n_answered, 0, 1);
            n_answered += loads[i].n_answered;
        }
        CHECK_INT(n_ended, n_begun);
        CHECK_INT(n_answered, n_begun);
    }
}
