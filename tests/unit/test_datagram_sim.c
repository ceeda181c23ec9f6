/*
 * Scenario: with 50 seeds, a link that loses, doubles and delays datagrams, and one who sends
 * numbers and waits for each to be answered, sending it again while no answer comes.
 * Claim: all arrive in the end, each at least once; without mishaps each exactly once and in order;
 * messages are really lost, doubled and overtaken.
 */
#include "task_rig.h"

#include <bide/datagram.h>
#include <bide/timeout.h>

#include "engine/sim.h"
#include "runtime/loop.h"

enum { NUMBERS = 40, SEEDS = 50 };

struct exchange {
    int n_heard; /* messages that came to the server */
    int n_new;   /* numbers among them that came first */
    int n_again; /* that the client sent again */
    int n_late;  /* answers that it did not wait for any more */
};

static bide_async(answers, (bide_datagram *, endpoint), (struct exchange *, exchange))
{
    int expected = 0;
    for (;;) {
        int number;
        struct bide_address from;
        int rc = bide_datagram_receive(endpoint, &number, sizeof number, &from);
        if (rc < 0)
            return rc;
        CHECK_INT(rc, sizeof number);
        CHECK(number <= expected);
        exchange->n_heard++;
        if (number == expected) {
            expected++;
            exchange->n_new++;
        }
        rc = bide_datagram_send(endpoint, &number, sizeof number, &from);
        if (rc < 0)
            return rc;
    }
}

/* The answer to this very number. */
static bide_async(hears, (bide_datagram *, endpoint), (int, number), (struct exchange *, exchange))
{
    for (;;) {
        int answer;
        int rc = bide_datagram_receive(endpoint, &answer, sizeof answer, NULL);
        if (rc < 0 || answer == number)
            return rc;
        exchange->n_late++;
    }
}

static bide_async(exchanges, (const struct bide__sim_mishaps *, mishaps),
                  (struct exchange *, exchange))
{
    bide_datagram *server, *client;
    struct bide_address address;
    struct bide__sim *sim = bide__sim_of(bide_loop_current()->engine);
    CHECK_INT(bide__sim_link(sim, "10.0.0.1", "10.0.0.2", 1000000, 3000000), 0);
    CHECK_INT(bide__sim_link_mishaps_set(sim, "10.0.0.1", "10.0.0.2", mishaps), 0);
    CHECK_INT(bide_datagram_open("10.0.0.1", 0, NULL, &server), 0);
    CHECK_INT(bide_datagram_local(server, &address), 0);
    struct bide_datagram_opts opts = {.peer = &address};
    CHECK_INT(bide_datagram_open("10.0.0.2", 0, &opts, &client), 0);
    bide_task *task = bide_spawn(answers, server, exchange);
    for (int number = 0; number < NUMBERS; number++) {
        int rc;
        do {
            CHECK_INT(bide_datagram_send(client, &number, sizeof number, NULL), 0);
            rc = bide_within(0.02, hears(client, number, exchange));
            exchange->n_again += rc < 0;
        } while (rc == -ETIMEDOUT);
        CHECK_INT(rc, sizeof number);
    }
    bide_cancel(task);
    CHECK_INT(bide_await(task), -ECANCELED);
    bide_datagram_close(server);
    bide_datagram_close(client);
    return 0;
}

static struct exchange run(uint64_t seed, const struct bide__sim_mishaps *mishaps)
{
    struct exchange exchange = {0};
    struct bide_loop_opts opts = {.engine = "sim", .seed = seed};
    bide_loop *loop = rig_loop_with(&opts);
    struct bide_task_opts task_opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&task_opts, exchanges, mishaps, &exchange);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    rig_close(loop);
    CHECK_INT(exchange.n_new, NUMBERS);
    return exchange;
}

BIDE_TEST(retries_reach_the_end_over_a_bad_link)
{
    static const struct bide__sim_mishaps bad = {.lost = 200, .doubled = 100, .late = 200};
    struct exchange all = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct exchange exchange = run(seed, &bad);
        all.n_heard += exchange.n_heard;
        all.n_again += exchange.n_again;
        all.n_late += exchange.n_late;
    }
    CHECK(all.n_again > SEEDS * NUMBERS / 5);
    CHECK(all.n_late > SEEDS);
    CHECK(all.n_heard > SEEDS * NUMBERS);
}

BIDE_TEST(a_good_link_needs_no_retries)
{
    static const struct bide__sim_mishaps none;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct exchange exchange = run(seed, &none);
        CHECK_INT(exchange.n_heard, NUMBERS);
        CHECK_INT(exchange.n_again + exchange.n_late, 0);
    }
}

/* Many at once: without delays in order, with some out of order. */
static bide_async(sends_many, (unsigned, late), (int *, ret_overtaken))
{
    bide_datagram *server, *client;
    struct bide_address address;
    bide__sim_shape(bide__sim_of(bide_loop_current()->engine))->mishaps.late = late;
    CHECK_INT(bide_datagram_open("10.0.0.1", 0, NULL, &server), 0);
    CHECK_INT(bide_datagram_local(server, &address), 0);
    CHECK_INT(bide_datagram_open(NULL, 0, NULL, &client), 0);
    for (int i = 0; i < 100; i++)
        CHECK_INT(bide_datagram_send(client, &i, sizeof i, &address), 0);
    int highest = -1;
    for (int i = 0; i < 100; i++) {
        int number;
        CHECK_INT(bide_datagram_receive(server, &number, sizeof number, NULL), sizeof number);
        *ret_overtaken += number < highest;
        highest = number > highest ? number : highest;
    }
    bide_datagram_close(server);
    bide_datagram_close(client);
    return 0;
}

BIDE_TEST(only_late_messages_are_overtaken)
{
    int overtaken[2] = {0};
    for (unsigned i = 0; i < 2; i++) {
        struct bide_loop_opts opts = {.engine = "sim", .seed = 7};
        bide_loop *loop = rig_loop_with(&opts);
        struct bide_task_opts task_opts = {.loop = loop};
        bide_task *task = bide_spawn_with(&task_opts, sends_many, 300 * i, &overtaken[i]);
        CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
        rig_close(loop);
    }
    CHECK_INT(overtaken[0], 0);
    CHECK(overtaken[1] > 5);
}

BIDE_TEST(senseless_mishaps_are_refused)
{
    struct bide_engine *engine;
    struct bide_engine_opts opts = {.seed = 1};
    CHECK_INT(bide__engine_open("sim", &opts, &engine), 0);
    struct bide__sim *sim = bide__sim_of(engine);
    struct bide__sim_mishaps mishaps = {.lost = 1001};
    CHECK_INT(
        bide__sim_link_mishaps_set(sim, "10.0.0.1", "10.0.0.2", &(struct bide__sim_mishaps){0}),
        -EINVAL); /* no such link */
    CHECK_INT(bide__sim_link(sim, "10.0.0.1", "10.0.0.2", 0, 0), 0);
    CHECK_INT(bide__sim_link_mishaps_set(sim, "10.0.0.1", "10.0.0.2", &mishaps), -EINVAL);
    CHECK_INT(bide__sim_link_mishaps_set(sim, "host", "10.0.0.2", &mishaps), -EINVAL);
    engine->ops->close(engine, 0);
}
