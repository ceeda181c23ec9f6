/*
 * Scenario: servers and clients of the library talk to each other on the simulated engine, with
 * many seeds, slow links, resets and hosts that are names. Claim: streams keep their promises in
 * every order of events; a conversation of minutes takes no time; one seed is one run.
 */
#include <bide/server.h>
#include <bide/stream.h>

#include "sim_rig.h"
#include "task_rig.h"

enum { SEEDS = 50, CLIENTS = 5 };

static struct bide__sim *current_sim(void)
{
    return bide__sim_of(bide_loop_current()->engine);
}

static int echo(bide_stream *stream, void *data)
{
    (void)data;
    char chunk[1000];
    int n;
    while ((n = bide_read(stream, chunk, sizeof chunk)) > 0) {
        int rc = bide_write(stream, chunk, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static bide_server *serve(const char *host, bide_handler *handler, void *data)
{
    bide_server *server = NULL;
    CHECK_INT(bide_serve(host, 0, handler, data, NULL, &server), 0);
    return server;
}

static bide_stream *connect_to(const char *host, const bide_server *server)
{
    bide_stream *stream = NULL;
    CHECK_INT(bide_connect(host, bide_server_port(server), NULL, &stream), 0);
    return stream;
}

static void end_server(bide_server *server)
{
    (void)bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}

typedef int body_fn(void *argument);

static bide_async(runs, (body_fn *, body), (void *, argument))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    return body(argument);
}

static int run_seed(uint64_t seed, body_fn *body, void *argument)
{
    struct bide_loop_opts opts = {.engine = "sim", .seed = seed};
    return bide_run_with(&opts, runs, body, argument);
}

/* Runs body as the main task with each seed. */
static void with_seeds(body_fn *body)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        CHECK_INT(run_seed(seed, body, NULL), 0);
        rig_end();
    }
}

/* Echo */

static bide_async(talks, (bide_server *, server), (int, number))
{
    bide_stream *stream = connect_to(number % 2 ? "localhost" : "127.0.0.1", server);
    static char sent[CLIENTS][50000];
    static char got[CLIENTS][50000];
    for (size_t i = 0; i < sizeof sent[0]; i++)
        sent[number][i] = (char)(i * 7 + (size_t)number);
    size_t size = sizeof sent[0] >> number;
    CHECK_INT(bide_write(stream, sent[number], size), 0);
    CHECK_INT(bide_write_eof(stream), 0);
    CHECK_INT(bide_read_exactly(stream, got[number], size), size);
    CHECK(memcmp(sent[number], got[number], size) == 0);
    CHECK_INT(bide_read(stream, got[number], 1), 0);
    CHECK_INT(bide_close(stream), 0);
    return 0;
}

static int all_talk(void *ret_trace)
{
    bide_server *server = serve("localhost", echo, NULL);
    bide_task *tasks[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        tasks[i] = bide_spawn(talks, server, i);
    CHECK_INT(bide_gather(tasks, CLIENTS, NULL), 0);
    end_server(server);
    if (ret_trace)
        *(uint64_t *)ret_trace = bide__sim_trace(current_sim());
    return 0;
}

BIDE_TEST(clients_are_answered_in_every_order)
{
    with_seeds(all_talk);
}

BIDE_TEST(a_conversation_is_one_run_per_seed)
{
    uint64_t traces[SEEDS];
    for (unsigned i = 0; i < SEEDS; i++) {
        uint64_t again;
        CHECK_INT(run_seed(i + 1, all_talk, &traces[i]), 0);
        CHECK_INT(run_seed(i + 1, all_talk, &again), 0);
        CHECK(traces[i] == again);
        for (unsigned j = 0; j < i; j++)
            CHECK(traces[j] != traces[i]);
    }
}

/* Slow and broken connections */

enum { BIG = 1000000 };

static int sends_big(bide_stream *stream, void *data)
{
    (void)data;
    static char big[BIG];
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i % 251);
    return bide_write(stream, big, BIG);
}

static int reads_slowly(void *unused)
{
    (void)unused;
    CHECK_INT(bide__sim_host(current_sim(), "far.example.org", "10.0.0.1"), 0);
    CHECK_INT(bide__sim_link(current_sim(), "10.0.0.1", "10.0.0.1", 20000000, 80000000), 0);
    bide_server *server = serve("far.example.org", sends_big, NULL);
    bide_stream *stream = connect_to("far.example.org", server);
    double before = bide_time();
    static char got[BIG];
    for (size_t i = 0; i < BIG; i += BIG / 100) {
        CHECK_INT(bide_sleep(1), 0);
        CHECK_INT(bide_read_exactly(stream, got + i, BIG / 100), BIG / 100);
    }
    for (size_t i = 0; i < BIG; i++)
        CHECK((unsigned char)got[i] == i % 251);
    char byte;
    CHECK_INT(bide_read(stream, &byte, 1), 0);
    CHECK(bide_time() - before > 100 && bide_time() - before < 120);
    CHECK_INT(bide_close(stream), 0);
    end_server(server);
    return 0;
}

BIDE_TEST(a_slow_reader_of_a_far_server_gets_everything)
{
    CHECK_INT(run_seed(1, reads_slowly, NULL), 0);
    CHECK_INT(run_seed(2, reads_slowly, NULL), 0);
}

static bide_async(reads_until_broken, (bide_server *, server), (int *, n_broken))
{
    bide_stream *stream = connect_to("127.0.0.1", server);
    char chunk[100];
    int rc;
    while ((rc = bide_write(stream, chunk, sizeof chunk)) == 0 &&
           (rc = bide_read(stream, chunk, sizeof chunk)) > 0)
        continue;
    *n_broken += rc == -ECONNRESET || rc == -EPIPE;
    (void)bide_close(stream);
    return 0;
}

static int breaks_all(void *unused)
{
    (void)unused;
    int n_broken = 0;
    bide_server *server = serve("127.0.0.1", echo, NULL);
    bide_task *tasks[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        tasks[i] = bide_spawn(reads_until_broken, server, &n_broken);
    CHECK_INT(bide_sleep(0.01), 0);
    CHECK_INT(bide__sim_reset(current_sim(), "127.0.0.1"), CLIENTS);
    CHECK_INT(bide_gather(tasks, CLIENTS, NULL), 0);
    CHECK_INT(n_broken, CLIENTS);
    end_server(server);
    return 0;
}

BIDE_TEST(resets_end_every_conversation)
{
    with_seeds(breaks_all);
}

/* Waiting in vain */

static int never_answers(bide_stream *stream, void *data)
{
    (void)stream;
    (void)data;
    return bide_sleep(INFINITY);
}

static int gives_up(void *unused)
{
    (void)unused;
    bide_server *server = serve("127.0.0.1", never_answers, NULL);
    bide_stream *stream = connect_to("127.0.0.1", server);
    bide_stream *other;
    char byte;
    CHECK_INT(bide_within(3600, bide_read(stream, &byte, 1)), -ETIMEDOUT);
    CHECK_INT(bide_connect("nobody.example.org", 80, NULL, &other), -BIDE_ENONAME);
    CHECK_INT(bide_connect("10.0.0.1", 80, NULL, &other), -ECONNREFUSED);
    CHECK_INT(bide_close(stream), 0);
    bide_server_cancel(server);
    end_server(server);
    return 0;
}

BIDE_TEST(limits_of_an_hour_cost_nothing)
{
    with_seeds(gives_up);
}

static int waits_for_nobody(void *unused)
{
    (void)unused;
    bide_server *server = serve("127.0.0.1", echo, NULL);
    bide_stream *stream = connect_to("127.0.0.1", server);
    char byte;
    CHECK_INT(bide_read(stream, &byte, 1), -ECANCELED); /* both sides read */
    CHECK_INT(bide_close(stream), 0);
    bide_server_free(server);
    return -ECANCELED;
}

BIDE_TEST(two_sides_that_both_wait_are_a_deadlock)
{
    CHECK_INT(run_seed(1, waits_for_nobody, NULL), -EDEADLK);
    CHECK_CONTAINS(take_report(), "deadlock: task waits for: ");
    CHECK_CONTAINS(take_report(), "deadlock: task waits for: ");
    rig_end();
}

static bide_async(talks_for_ever, (bide_server *, server))
{
    bide_stream *stream;
    char chunk[3000] = "";
    int rc = bide_connect("127.0.0.1", bide_server_port(server), NULL, &stream);
    if (rc < 0)
        return rc;
    do {
        rc = bide_write(stream, chunk, sizeof chunk);
        if (rc == 0)
            rc = bide_read(stream, chunk, sizeof chunk);
    } while (rc > 0);
    (void)bide_close(stream);
    return rc;
}

static int is_cancelled(void *unused)
{
    (void)unused;
    bide_server *server = serve("127.0.0.1", echo, NULL);
    bide_task *tasks[CLIENTS];
    uint64_t random = bide__sim_seed(current_sim());
    for (int i = 0; i < CLIENTS; i++)
        tasks[i] = bide_spawn(talks_for_ever, server);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_INT(bide_sleep((double)(test_random(&random) % 1000) * 1e-6), 0);
        CHECK_INT(bide_cancel(tasks[i]), 1);
    }
    for (int i = 0; i < CLIENTS; i++)
        CHECK_INT(bide_await(tasks[i]), -ECANCELED);
    bide_server_cancel(server);
    end_server(server);
    return 0;
}

BIDE_TEST(conversations_are_cancelled_wherever_they_are)
{
    with_seeds(is_cancelled);
}
