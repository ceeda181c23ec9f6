/*
 * Scenario: servers and clients of protocols in one loop, without any task: names, refusals,
 * attempts that are given up, servers that are full, closed, freed and cancelled, also from inside
 * their factories; some of it simulated as well.
 * Claim: each connection has the protocol that the factory made; a connection that could not be
 * made is told once; what the factory was given is dropped once, when the server is closed and its
 * last connection is lost.
 */
#include <arpa/inet.h>

#include "sim_rig.h"
#include "transport_rig.h"

enum { TALKERS_MAX = 16 };

struct hall {
    bide_loop *loop;
    bide_server *server;
    struct talker talkers[TALKERS_MAX];
    int n;
    int refuses; /* with this error */
    bool closes_server;
    bool frees_server;
    bool dropped;
};

static int receive_guest(void *data, struct bide_party *ret_party)
{
    struct hall *hall = data;
    check_stack();
    CHECK(hall->n < TALKERS_MAX && !hall->dropped);
    if (hall->closes_server)
        CHECK_INT(bide_server_close(hall->server), 1);
    if (hall->frees_server)
        bide_server_free(hall->server);
    hall->closes_server = false;
    if (hall->refuses < 0)
        return hall->refuses;
    struct talker *talker = &hall->talkers[hall->n++];
    talker->loop = hall->loop;
    talker->stops_loop = true;
    *ret_party = (struct bide_party){protocol_of(talker), talker, talker_drop};
    return 0;
}

static void hall_drop(void *data)
{
    struct hall *hall = data;
    check_stack();
    CHECK(!hall->dropped);
    for (int i = 0; i < hall->n; i++)
        CHECK(hall->talkers[i].dropped);
    hall->dropped = true;
    bide_loop_stop(hall->loop);
}

static void hall_open(struct hall *hall, const struct bide_server_opts *opts)
{
    find_stack();
    hall->loop = rig_loop();
    CHECK_INT(bide_loop_listen(hall->loop, "127.0.0.1", 0, opts, receive_guest, hall, hall_drop,
                               &hall->server),
              0);
    CHECK(bide_server_port(hall->server) > 0);
}

static void hall_close(struct hall *hall)
{
    bide_server_free(hall->server);
    UNTIL(hall->loop, hall->dropped);
    rig_close(hall->loop);
}

static void call_host(struct hall *hall, struct talker *guest, const char *host)
{
    guest->loop = hall->loop;
    guest->stops_loop = true;
    INSIDE(CHECK_INT(bide_loop_connect(hall->loop, host, bide_server_port(hall->server), NULL,
                                       protocol_of(guest), guest, talker_drop, &guest->transport),
                     0));
    CHECK_INT(guest->n_calls, 0);
}

static void call(struct hall *hall, struct talker *guest)
{
    call_host(hall, guest, "127.0.0.1");
}

BIDE_TEST(guests_and_hosts_talk)
{
    struct hall hall = {0};
    struct talker guests[3] = {{.is_buffered = true}, {.keeps_open = true}, {0}};
    hall_open(&hall, NULL);
    call(&hall, &guests[0]);
    call_host(&hall, &guests[1], "localhost");
    call(&hall, &guests[2]);
    UNTIL(hall.loop, hall.n == 3 && guests[0].made && guests[1].made && guests[2].made);
    UNTIL(hall.loop, hall.talkers[0].made && hall.talkers[1].made && hall.talkers[2].made);
    CHECK_INT(bide_server_connections(hall.server), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(talker_write(&guests[i], 0, 100 * KIB), 0);
        CHECK_INT(talker_write(&hall.talkers[i], 0, 50 * KIB), 0);
    }
    for (int i = 0; i < 3; i++)
        UNTIL(hall.loop,
              guests[i].n_received == 50 * KIB && hall.talkers[i].n_received == 100 * KIB);
    for (int i = 0; i < 3; i++)
        talker_close(&guests[i]);
    for (int i = 0; i < 3; i++)
        UNTIL(hall.loop, guests[i].lost && hall.talkers[i].lost);
    hall_close(&hall);
}

BIDE_TEST(who_is_not_answered_is_told)
{
    struct hall hall = {0};
    struct talker guest = {0};
    hall_open(&hall, NULL);
    call(&hall, &guest);
    bide_server_close(hall.server);
    unsigned port = bide_server_port(hall.server);
    CHECK_INT(port, 0);
    UNTIL(hall.loop, guest.failed || guest.lost || guest.made);
    if (guest.made) /* the kernel had answered in our place */
        UNTIL(hall.loop, guest.lost);
    CHECK(guest.error == -ECONNREFUSED || guest.error == -ECONNRESET || guest.error == 0);
    hall_close(&hall);
    CHECK(guest.dropped);
}

static void has_words(void *data, int error)
{
    CHECK(*bide_error_detail());
    talker_failed(data, error);
}

BIDE_TEST(a_refusal_has_words)
{
    struct hall hall = {0};
    struct talker guest = {.stops_loop = true};
    struct bide_protocol protocol = talker_protocol;
    protocol.connection_failed = has_words;
    hall_open(&hall, NULL);
    unsigned port = bide_server_port(hall.server);
    bide_server_close(hall.server);
    guest.loop = hall.loop;
    CHECK_INT(bide_loop_connect(hall.loop, "127.0.0.1", port, NULL, &protocol, &guest, talker_drop,
                                &guest.transport),
              0);
    CHECK_INT(bide_transport_write(guest.transport, "x", 1), -ENOTCONN);
    CHECK_INT(bide_transport_fd(guest.transport), -1);
    UNTIL(hall.loop, guest.failed);
    CHECK_INT(guest.error, -ECONNREFUSED);
    hall_close(&hall);
    CHECK(guest.dropped);
}

BIDE_TEST(an_attempt_is_given_up)
{
    for (int by_close = 0; by_close < 2; by_close++) {
        struct hall hall = {0};
        struct talker guest = {0};
        hall_open(&hall, NULL);
        call(&hall, &guest);
        if (by_close)
            INSIDE(bide_transport_close(guest.transport));
        else
            INSIDE(bide_transport_abort(guest.transport));
        CHECK(bide_transport_is_closing(guest.transport));
        UNTIL(hall.loop, guest.failed);
        CHECK_INT(guest.error, -ECANCELED);
        bide_server_cancel(hall.server);
        hall_close(&hall);
        CHECK(guest.dropped);
    }
}

BIDE_TEST(a_loop_that_closes_gives_attempts_up)
{
    struct hall hall = {0};
    struct talker guests[2] = {{0}, {0}};
    hall_open(&hall, NULL);
    call(&hall, &guests[0]);
    call_host(&hall, &guests[1], "localhost");
    rig_close(hall.loop);
    CHECK(hall.dropped && guests[0].dropped && guests[1].dropped);
    CHECK(!guests[0].lost && !guests[1].lost);
    bide_server_free(hall.server);
}

BIDE_TEST(a_loop_that_closes_drops_connections_and_then_the_server_s_data)
{
    struct hall hall = {0};
    struct talker guests[2] = {{0}, {0}};
    hall_open(&hall, NULL);
    for (int i = 0; i < 2; i++) {
        call(&hall, &guests[i]);
        UNTIL(hall.loop, guests[i].made && hall.n == i + 1);
    }
    rig_close(hall.loop);
    CHECK(hall.dropped && guests[0].dropped && guests[1].dropped);
    bide_server_free(hall.server);
}

BIDE_TEST(a_factory_may_refuse)
{
    struct hall hall = {.refuses = -EACCES};
    struct talker guest = {0};
    hall_open(&hall, NULL);
    call(&hall, &guest);
    UNTIL(hall.loop, guest.lost);
    CHECK(guest.eof || guest.error == -ECONNRESET);
    CHECK_STR(take_report(), "callback failed|-13||||");
    hall_close(&hall);
}

BIDE_TEST(a_factory_may_close_or_free_its_server)
{
    for (int frees = 0; frees < 2; frees++) {
        struct hall hall = {.closes_server = !frees, .frees_server = frees};
        struct talker guests[3] = {{0}, {0}, {0}};
        hall_open(&hall, NULL);
        for (int i = 0; i < 3; i++)
            call(&hall, &guests[i]);
        UNTIL(hall.loop, hall.n == 1 && hall.talkers[0].made);
        hall.frees_server = false;
        CHECK_INT(talker_write(&hall.talkers[0], 0, 1000), 0);
        for (int i = 0; i < 3; i++)
            UNTIL(hall.loop, guests[i].lost || guests[i].n_received == 1000);
        CHECK_INT(hall.n, 1);
        CHECK(!hall.dropped);
        talker_close(&hall.talkers[0]);
        if (frees)
            hall.server = NULL;
        hall_close(&hall);
    }
}

BIDE_TEST(a_full_server_lets_further_ones_wait)
{
    struct hall hall = {0};
    struct talker guests[3] = {{0}, {0}, {0}};
    hall_open(&hall, &(struct bide_server_opts){.connections_max = 2});
    for (int i = 0; i < 3; i++) {
        call(&hall, &guests[i]);
        UNTIL(hall.loop, guests[i].made && (i == 2 || hall.n == i + 1));
    }
    CHECK_INT(hall.n, 2);
    talker_close(&guests[0]);
    UNTIL(hall.loop, hall.n == 3);
    bide_server_cancel(hall.server);
    for (int i = 0; i < 3; i++)
        UNTIL(hall.loop, guests[i].lost && hall.talkers[i].lost);
    hall_close(&hall);
}

static bide_async(waits_closed, (bide_server *, server))
{
    return bide_server_wait_closed(server);
}

BIDE_TEST(a_task_can_wait_for_the_connections)
{
    struct hall hall = {0};
    struct talker guest = {0};
    hall_open(&hall, NULL);
    struct bide_task_opts opts = {.loop = hall.loop};
    call(&hall, &guest);
    UNTIL(hall.loop, guest.made && hall.n == 1);
    bide_task *waiter = bide_spawn_with(&opts, waits_closed, hall.server);
    bide_server_close(hall.server);
    some_turns(hall.loop);
    CHECK(!bide_task_done(waiter));
    talker_close(&guest);
    while (!bide_task_done(waiter))
        one_turn(hall.loop);
    CHECK(hall.talkers[0].lost);
    bide_detach(waiter);
    hall_close(&hall);
}

BIDE_TEST(what_can_not_be_listened_on_is_said)
{
    struct hall hall = {0};
    struct talker guest = {0};
    bide_server *server = NULL;
    hall_open(&hall, NULL);
    unsigned port = bide_server_port(hall.server);
    CHECK_INT(bide_loop_listen(hall.loop, "127.0.0.1", port, NULL, receive_guest, &hall, hall_drop,
                               &server),
              -EADDRINUSE);
    CHECK(strstr(bide_error_detail(), "127.0.0.1"));
    CHECK_INT(
        bide_loop_listen(hall.loop, "localhost", 0, NULL, receive_guest, &hall, NULL, &server),
        -EINVAL);
    CHECK_INT(bide_loop_listen(hall.loop, NULL, 0, NULL, NULL, &hall, NULL, &server), -EINVAL);
    CHECK_INT(bide_loop_listen(NULL, NULL, 0, NULL, receive_guest, &hall, NULL, &server), -EINVAL);
    CHECK_INT(bide_loop_connect(hall.loop, "", 1, NULL, &talker_protocol, &guest, NULL, NULL),
              -EINVAL);
    CHECK_INT(
        bide_loop_connect(hall.loop, "localhost", 0, NULL, &talker_protocol, &guest, NULL, NULL),
        -EINVAL);
    CHECK_PTR(server, NULL);
    hall_close(&hall);
}
