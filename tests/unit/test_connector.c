/*
 * Scenario: names with several addresses are connected to in a simulation, where hosts answer,
 * refuse, take long or are black holes; with cancels, limits and closing loops at every stage.
 * Claim: addresses begin in the order and at the moments that RFC 8305 says, the first connection
 * wins, and of all others nothing is left.
 */
#include <bide/server.h>
#include <bide/stream.h>

#include "engine/sim_world.h"
#include "fault.h"
#include "io/net/connector.h"
#include "sim_rig.h"
#include "task_rig.h"

enum { PORT = 80, SEEDS = 50, ADDRESSES_MAX = 64 };
#define MS_NS INT64_C(1000000)
#define NEVER_NS (INT64_C(1000000) * 1000 * MS_NS)

static struct bide__sim *sim(void)
{
    return bide__sim_of(bide_loop_current()->engine);
}

static size_t count_socks(void)
{
    size_t n = 0;
    bide__list_each(node, &sim()->socks) n++;
    return n;
}

/* How long bytes are on their way to a host. */
static void distance(const char *address, int64_t ns)
{
    CHECK_INT(bide__sim_link(sim(), address, address, ns, ns), 0);
}

/* "a b c": the name's addresses. */
static void name(const char *host, const char *addresses)
{
    char copy[512];
    char *save;
    snprintf(copy, sizeof copy, "%s", addresses);
    for (char *at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save))
        CHECK_INT(bide__sim_host(sim(), host, at), 0);
}

static void black_hole(const char *address)
{
    distance(address, NEVER_NS);
}

static int waits_for_end(bide_stream *stream, void *data)
{
    char byte;
    (void)data;
    return bide_read(stream, &byte, 1);
}

static bide_server *serve(const char *host)
{
    bide_server *server = NULL;
    CHECK_INT(bide_serve(host, PORT, waits_for_end, NULL, NULL, &server), 0);
    return server;
}

static void end_server(bide_server *server)
{
    bide_server_cancel(server);
    (void)bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}

/* Connects and says to whom and after how long, in milliseconds. */
static double reach(const char *host, const struct bide_connect_opts *opts, const char *expected)
{
    bide_stream *stream = NULL;
    struct bide_address peer;
    char text[BIDE_ADDRESS_TEXT_SIZE];
    double before = bide_time();
    CHECK_INT(bide_connect(host, PORT, opts, &stream), 0);
    double after = bide_time();
    CHECK_INT(bide_stream_peer(stream, &peer), 0);
    bide_address_print(&peer, text, sizeof text);
    CHECK_STR(text, expected);
    bide_abort(stream);
    CHECK_INT(bide_close(stream), 0);
    return (after - before) * 1000;
}

typedef void body_fn(void);

static bide_async(runs, (body_fn *, body))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    body();
    CHECK_INT(bide_sleep(1), 0);
    CHECK_INT(count_socks(), 0);
    return 0;
}

static void run_seed(uint64_t seed, body_fn *body)
{
    struct bide_loop_opts opts = {.engine = "sim", .seed = seed};
    CHECK_INT(bide_run_with(&opts, runs, body), 0);
    rig_end();
}

#define SIM_TEST(name) \
    static void name##_body(void); \
    BIDE_TEST(name) \
    { \
        for (uint64_t s = 1; s <= SEEDS / 10; s++) \
            run_seed(s, name##_body); \
    } \
    static void name##_body(void)

/* When attempts begin */

SIM_TEST(a_black_hole_costs_a_quarter_of_a_second)
{
    bide_server *server = serve("10.0.0.2");
    name("two", "10.0.0.1 10.0.0.2");
    black_hole("10.0.0.1");
    CHECK_RANGE(reach("two", NULL, "10.0.0.2:80"), 250, 255);
    CHECK_RANGE(reach("two", &(struct bide_connect_opts){.attempt_seconds = 2}, "10.0.0.2:80"),
                2000, 2005);
    end_server(server);
}

SIM_TEST(a_refusal_costs_nothing)
{
    bide_server *server = serve("10.0.0.4");
    name("four", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4");
    distance("10.0.0.2", 20 * MS_NS);
    CHECK_RANGE(reach("four", NULL, "10.0.0.4:80"), 20, 25);
    end_server(server);
}

SIM_TEST(after_a_refusal_the_next_one_has_its_whole_time)
{
    bide_server *server = serve("10.0.0.3");
    name("three", "10.0.0.1 10.0.0.2 10.0.0.3");
    distance("10.0.0.1", 100 * MS_NS); /* refuses then */
    black_hole("10.0.0.2");
    CHECK_RANGE(reach("three", NULL, "10.0.0.3:80"), 350, 355);
    end_server(server);
}

/* The second is begun at 250, the third because the first is refused at 300. */
SIM_TEST(a_late_refusal_makes_the_next_begin_early)
{
    bide_server *server = serve("10.0.0.3");
    name("three", "10.0.0.1 10.0.0.2 10.0.0.3");
    distance("10.0.0.1", 300 * MS_NS);
    black_hole("10.0.0.2");
    CHECK_RANGE(reach("three", NULL, "10.0.0.3:80"), 300, 305);
    end_server(server);
}

SIM_TEST(an_attempt_that_was_overtaken_may_still_win)
{
    bide_server *servers[] = {serve("10.0.0.1"), serve("10.0.0.2")};
    name("two", "10.0.0.1 10.0.0.2");
    distance("10.0.0.1", 300 * MS_NS);
    distance("10.0.0.2", 100 * MS_NS);
    CHECK_RANGE(reach("two", NULL, "10.0.0.1:80"), 300, 305);
    distance("10.0.0.1", 600 * MS_NS);
    CHECK_RANGE(reach("two", NULL, "10.0.0.2:80"), 350, 355);
    CHECK_INT(bide_sleep(1), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(bide_server_connections(servers[i]), 0);
        end_server(servers[i]);
    }
}

/* One works, all others are black holes: its turn tells when it was tried. */
static void check_turn(const char *host, const char *address, int turn)
{
    static const char *const all[] = {"fd00::1", "fd00::2", "fd00::3", "10.0.0.1", "10.0.0.2"};
    char expected[64];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        distance(all[i], strcmp(all[i], address) == 0 ? 0 : NEVER_NS);
    bide_server *server = serve(address);
    snprintf(expected, sizeof expected, strchr(address, ':') ? "[%s]:80" : "%s:80", address);
    CHECK_RANGE(reach(host, NULL, expected), 250 * turn, 250 * turn + 5);
    end_server(server);
}

SIM_TEST(families_take_turns_and_the_first_answers_begins)
{
    name("six-first", "fd00::1 fd00::2 fd00::3 10.0.0.1 10.0.0.2");
    name("four-first", "10.0.0.1 fd00::1 fd00::2 fd00::3 10.0.0.2");
    check_turn("six-first", "fd00::1", 0);
    check_turn("six-first", "10.0.0.1", 1);
    check_turn("six-first", "fd00::2", 2);
    check_turn("six-first", "10.0.0.2", 3);
    check_turn("six-first", "fd00::3", 4);
    check_turn("four-first", "10.0.0.1", 0);
    check_turn("four-first", "fd00::1", 1);
    check_turn("four-first", "10.0.0.2", 2);
    check_turn("four-first", "fd00::2", 3);
    check_turn("four-first", "fd00::3", 4);
}

SIM_TEST(a_family_with_many_addresses_does_not_crowd_out_the_other)
{
    bide_server *server = serve("10.0.0.1");
    for (int i = 0; i < ADDRESSES_MAX; i++) {
        char address[32];
        snprintf(address, sizeof address, "fd00::%x", i + 1);
        name("many", address);
    }
    name("many", "10.0.0.1");
    CHECK_RANGE(reach("many", NULL, "10.0.0.1:80"), 0, 5);
    end_server(server);
}

SIM_TEST(only_the_family_that_is_wanted_is_tried)
{
    bide_server *server = serve("10.0.0.1");
    name("both", "fd00::1 10.0.0.1");
    black_hole("fd00::1");
    CHECK_RANGE(reach("both", &(struct bide_connect_opts){.family = BIDE_IPV4}, "10.0.0.1:80"), 0,
                5);
    end_server(server);
}

/* Failure */

SIM_TEST(when_all_fail_each_has_its_reason)
{
    bide_stream *stream = NULL;
    name("two", "10.0.0.1 fd00::1");
    CHECK_INT(bide_connect("two", PORT, NULL, &stream), -ECONNREFUSED);
    CHECK_STR(bide_error_detail(),
              "10.0.0.1:80: Connection refused, [fd00::1]:80: Connection refused");
    name("one", "10.0.0.1");
    CHECK_INT(bide_connect("one", PORT, NULL, &stream), -ECONNREFUSED);
    CHECK_STR(bide_error_detail(), "10.0.0.1:80");
    CHECK_INT(bide_connect("nobody", PORT, NULL, &stream), -BIDE_ENONAME);
    CHECK_CONTAINS(bide_error_detail(), "nobody: ");
    CHECK_PTR(stream, NULL);
    CHECK_INT(count_socks(), 0);
}

static struct bide_address address_of(const char *host, unsigned port)
{
    struct bide_address address;
    CHECK_INT(bide_resolve(host, port, BIDE_ANY_FAMILY, &address, 1), 1);
    return address;
}

SIM_TEST(what_another_address_answers_counts_more_than_a_missing_network)
{
    bide_stream *stream = NULL;
    struct bide_address local = address_of("10.0.0.9", 0);
    struct bide_connect_opts opts = {.local = &local};
    name("two", "fd00::1 10.0.0.1");
    CHECK_INT(bide_connect("two", PORT, &opts, &stream), -ECONNREFUSED);
    CHECK_CONTAINS(bide_error_detail(), "[fd00::1]:80: Address family not supported");
    CHECK_CONTAINS(bide_error_detail(), "10.0.0.1:80: Connection refused");
    CHECK_INT(bide_connect("fd00::1", PORT, &opts, &stream), -EAFNOSUPPORT);
}

SIM_TEST(a_long_list_of_failures_is_told_whole)
{
    bide_stream *stream = NULL;
    for (int i = 0; i < 40; i++) {
        char address[64];
        snprintf(address, sizeof address, "fd00:1234:1234:1234:1234:1234:1234:%x", 0x1000 + i);
        name("many", address);
    }
    CHECK_INT(bide_connect("many", PORT, NULL, &stream), -ECONNREFUSED);
    CHECK_CONTAINS(bide_error_detail(),
                   "[fd00:1234:1234:1234:1234:1234:1234:100f]:80: Connection refused");
}

SIM_TEST(the_local_address_is_the_one_asked_for)
{
    bide_server *server = serve("10.0.0.1");
    struct bide_address local = address_of("10.0.0.9", 1234);
    struct bide_address mine;
    bide_stream *streams[2] = {NULL, NULL};
    char text[BIDE_ADDRESS_TEXT_SIZE];
    struct bide_connect_opts opts = {.local = &local};
    CHECK_INT(bide_connect("10.0.0.1", PORT, &opts, &streams[0]), 0);
    CHECK_INT(bide_stream_local(streams[0], &mine), 0);
    bide_address_print(&mine, text, sizeof text);
    CHECK_STR(text, "10.0.0.9:1234");
    CHECK_INT(bide_connect("10.0.0.1", PORT, &opts, &streams[1]), -EADDRINUSE);
    CHECK_PTR(streams[1], NULL);
    local = address_of("10.0.0.9", 0);
    CHECK_INT(bide_connect("10.0.0.1", PORT, &opts, &streams[1]), 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(bide_close(streams[i]), 0);
    end_server(server);
}

SIM_TEST(senseless_options_are_refused)
{
    struct bide_address wrong = {.length = 1};
    struct bide_address none = {.length = sizeof(sa_family_t)};
    struct bide_address long_one = address_of("10.0.0.1", 0);
    long_one.length = 129;
    const struct bide_connect_opts senseless[] = {
        {.resolve_seconds = -1},  {.resolve_seconds = NAN}, {.attempt_seconds = -1},
        {.attempt_seconds = NAN}, {.local = &wrong},        {.local = &none},
        {.local = &long_one},
    };
    bide_stream *stream = NULL;
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        CHECK_INT(bide_connect("10.0.0.1", PORT, &senseless[i], &stream), -EINVAL);
}

/* Limits and cancels */

SIM_TEST(the_lookup_has_a_limit_of_its_own)
{
    bide_stream *stream = NULL;
    bide_server *server = serve("10.0.0.2");
    struct bide_connect_opts opts = {.resolve_seconds = 0.2};
    name("two", "10.0.0.1 10.0.0.2");
    black_hole("10.0.0.1");
    CHECK_RANGE(reach("two", &opts, "10.0.0.2:80"), 250, 255); /* it is the lookup's alone */
    bide__sim_shape(sim())->job_ns_max = NEVER_NS;
    double before = bide_time();
    CHECK_INT(bide_connect("two", PORT, &opts, &stream), -ETIMEDOUT);
    CHECK_RANGE((bide_time() - before) * 1000, 200, 205);
    CHECK_STR(bide_error_detail(), "two: the name was not found within 0.2 s");
    end_server(server);
}

static bide_async(connects, (const char *, host), (bide_stream **, ret_stream))
{
    return bide_connect(host, PORT, NULL, ret_stream);
}

/* In its lookup, with one attempt under way, with two, and with all. */
SIM_TEST(a_cancel_at_any_stage_leaves_nothing)
{
    static const double moments[] = {0, 1e-6, 0.1, 0.3, 0.6, 5};
    bide_stream *stream = NULL;
    name("three", "10.0.0.1 fd00::1 10.0.0.2");
    black_hole("10.0.0.1");
    black_hole("10.0.0.2");
    black_hole("fd00::1");
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        bide_task *task = bide_spawn(connects, "three", &stream);
        CHECK_INT(bide_sleep(0), 0);
        CHECK_INT(bide_sleep(moments[i]), 0);
        CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), -ECANCELED);
        CHECK_INT(count_socks(), 0);
        CHECK_INT(bide_within(moments[i], connects("three", &stream)), -ETIMEDOUT);
        CHECK_INT(count_socks(), 0);
    }
    CHECK_PTR(stream, NULL);
}

/* Hosts at random distances, and a cancel at a random moment: it won or it was cancelled. */
static void race_once(uint64_t *random)
{
    bide_stream *stream = NULL;
    static const char *const all[] = {"10.0.0.1", "10.0.0.2", "fd00::1"};
    for (int i = 0; i < 3; i++)
        distance(all[i], (int64_t)(test_random(random) % 700) * MS_NS);
    double limit = (double)(test_random(random) % 900) / 1000;
    int rc = bide_within(limit, connects("three", &stream));
    CHECK(rc == 0 || rc == -ETIMEDOUT);
    CHECK_INT(rc == 0, stream != NULL);
    if (rc == 0)
        bide_abort(stream);
    CHECK_INT(bide_close(stream), 0);
}

static void race(void)
{
    uint64_t random = bide__sim_seed(sim());
    bide_server *server = serve("10.0.0.1");
    bide_server *other = serve("fd00::1");
    name("three", "10.0.0.1 fd00::1 10.0.0.2");
    for (int i = 0; i < 20; i++)
        race_once(&random);
    end_server(server);
    end_server(other);
}

BIDE_TEST(whoever_wins_the_others_are_gone)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed, race);
}

/* Loops that close */

static bide_async(is_stuck, (const char *, host))
{
    static bide_stream *stream;
    return bide_shielded(INFINITY, bide_connect(host, PORT, NULL, &stream));
}

static bide_async(leaves, (double, seconds), (bool, slow_lookup))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    name("two", "10.0.0.1 10.0.0.2");
    black_hole("10.0.0.1");
    black_hole("10.0.0.2");
    if (slow_lookup)
        bide__sim_shape(sim())->job_ns_max = NEVER_NS;
    bide_detach(bide_spawn(is_stuck, "two"));
    return bide_sleep(seconds);
}

BIDE_TEST(a_loop_that_closes_finds_what_its_tasks_left)
{
    static const double moments[] = {0, 0.1, 0.3, 1};
    for (size_t i = 0; i < 2 * sizeof moments / sizeof *moments; i++) {
        struct bide_loop_opts opts = {.engine = "sim", .seed = i + 1, .cleanup_seconds = 0.001};
        CHECK_INT(bide_run_with(&opts, leaves, moments[i / 2], i % 2), 0);
        CHECK(*take_report());
        rig_end();
    }
}

/* Without tasks */

static struct watch {
    struct bide__connector *connector;
    int n_done;
    int n_gone;
    int rc;
    bool frees;
} watch;

static void watch_done(struct bide__connector *connector, int rc)
{
    CHECK_PTR(connector, watch.connector);
    CHECK_PTR(bide__connector_data(connector), &watch);
    watch.n_done++;
    watch.rc = rc;
    if (watch.frees)
        bide__connector_free(connector);
}

static void watch_gone(struct bide__connector *connector)
{
    CHECK_PTR(connector, watch.connector);
    watch.n_gone++;
}

static void start(bide_loop *loop, const char *host, bool frees)
{
    const struct bide__connect_request request = {
        .host = host, .port = PORT, .done = watch_done, .gone = watch_gone, .data = &watch};
    watch = (struct watch){.frees = frees, .rc = 1};
    CHECK_INT(bide__connector_start(loop, &request, &watch.connector), 0);
    CHECK_INT(watch.n_done, 0);
}

static void until_done(void)
{
    for (int i = 0; i < 100 && watch.n_done == 0; i++)
        CHECK_INT(bide_sleep(0.1), 0);
    CHECK_INT(bide_sleep(1), 0);
    CHECK_INT(watch.n_done, 1);
    CHECK_INT(watch.n_gone, 0);
}

SIM_TEST(a_callback_is_told_once_and_never_inline)
{
    static const char *const hosts[] = {"10.0.0.1", "two"};
    bide_loop *loop = bide_loop_current();
    bide_server *server = serve("10.0.0.1");
    name("two", "10.0.0.2 10.0.0.1");
    for (int i = 0; i < 4; i++) {
        start(loop, hosts[i % 2], i >= 2);
        until_done();
        CHECK_INT(watch.rc, 0);
        if (!watch.frees) {
            CHECK(bide__connector_sock(watch.connector));
            bide__connector_cancel(watch.connector); /* too late */
            bide__connector_free(watch.connector);
        }
    }
    end_server(server);
}

SIM_TEST(a_callback_is_told_of_its_cancel_once)
{
    static const double moments[] = {0, 0.01, 0.3, 0.6};
    bide_loop *loop = bide_loop_current();
    name("two", "10.0.0.2 10.0.0.1");
    black_hole("10.0.0.1");
    black_hole("10.0.0.2");
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        start(loop, "two", true);
        CHECK_INT(bide_sleep(moments[i]), 0);
        bide__connector_cancel(watch.connector);
        bide__connector_cancel(watch.connector);
        CHECK_INT(watch.n_done, 0);
        until_done();
        CHECK_INT(watch.rc, -ECANCELED);
        start(loop, "two", false); /* likewise, but it is freed */
        CHECK_INT(bide_sleep(moments[i]), 0);
        if (i % 2)
            bide__connector_cancel(watch.connector);
        bide__connector_free(watch.connector);
        CHECK_INT(bide_sleep(1), 0);
        CHECK_INT(watch.n_done, 0);
        CHECK_INT(count_socks(), 0);
    }
    bide__connector_free(NULL);
}

static bide_async(starts_only, (const char *, host), (double, seconds))
{
    bide_server *server = serve("10.0.0.3");
    name("two", "10.0.0.2 10.0.0.1");
    black_hole("10.0.0.1");
    black_hole("10.0.0.2");
    start(bide_loop_current(), host, false);
    int rc = bide_sleep(seconds);
    bide_server_free(server);
    return rc;
}

BIDE_TEST(a_callback_is_told_that_the_loop_closes)
{
    static const double moments[] = {0, 0.01, 0.3, 1};
    for (size_t i = 0; i < 2 * sizeof moments / sizeof *moments; i++) {
        struct bide_loop_opts opts = {.engine = "sim", .seed = i + 1};
        CHECK_INT(bide_run_with(&opts, starts_only, i % 2 ? "10.0.0.3" : "two", moments[i / 2]), 0);
        CHECK_INT(watch.n_gone, 1);
        CHECK_RANGE(watch.n_done, 0, i % 2); /* the second connects, and nobody takes it */
        rig_end();
    }
}

/* Without memory */

static bide_async(connects_to_three, (bide_stream **, ret_stream))
{
    bide_server *server = NULL;
    int rc = bide__sim_host(sim(), "three", "fd00::1");
    if (rc == 0)
        rc = bide__sim_host(sim(), "three", "10.0.0.1");
    if (rc == 0)
        rc = bide__sim_link(sim(), "10.0.0.1", "10.0.0.1", NEVER_NS, NEVER_NS);
    if (rc == 0)
        rc = bide__sim_host(sim(), "three", "fd00::2");
    if (rc == 0)
        rc = bide_serve("fd00::2", PORT, waits_for_end, NULL, NULL, &server);
    if (rc == 0)
        rc = bide_connect("three", PORT, NULL, ret_stream);
    if (rc == 0)
        bide_abort(*ret_stream);
    if (rc == 0)
        rc = bide_close(*ret_stream);
    bide_server_cancel(server);
    bide_server_free(server);
    if (rc == -ECONNREFUSED) /* the last address's attempt had no memory */
        rc = -ENOMEM;
    return rc;
}

static bide_async(is_refused_everywhere, (bide_stream **, ret_stream))
{
    int rc = bide__sim_host(sim(), "two", "fd00::1");
    if (rc == 0)
        rc = bide__sim_host(sim(), "two", "10.0.0.1");
    if (rc == 0)
        rc = bide_connect("two", PORT, NULL, ret_stream);
    return rc == -ECONNREFUSED ? 0 : rc;
}

BIDE_TEST(every_allocation_fails_in_turn)
{
    struct bide_loop_opts opts = {.engine = "sim", .seed = 1};
    for (int scenario = 0; scenario < 2; scenario++) {
        bool was_hit = true;
        unsigned long n = 1;
        for (; was_hit; n++) {
            bide_stream *stream = NULL;
            fault_arm(FAULT_ALLOCATION, n, 0);
            int rc = scenario ? bide_run_with(&opts, is_refused_everywhere, &stream)
                              : bide_run_with(&opts, connects_to_three, &stream);
            was_hit = fault_disarm();
            if (!was_hit)
                CHECK_INT(rc, 0);
            CHECK(rc == 0 || rc == -ENOMEM);
        }
        CHECK_RANGE(n, 15, 500);
    }
}
