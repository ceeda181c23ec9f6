/*
 * Scenario: both ends of a connection are TLS over an engine's sockets; they shake hands, send
 * little and much in both directions, cancel, end and break. Claim: what bide/engine.h promises of
 * sockets holds for them: operations end once and from poll(), a cancel loses nothing, the end of
 * the session is not taken for the end of the connection.
 */
#include "tls_sock_rig.h"

static const struct bide_engine_ops *ops_of(const struct bide_sock *sock)
{
    return sock->engine->ops;
}

BIDE_TEST(both_ends_talk)
{
    char buffer[16];
    struct bide_engine *engine = rig_open();
    struct ends ends = ends_new(engine);
    ends_connect(engine, &ends);
    CHECK_INT(sock_send(engine, ends.client, "question", 8), 0);
    sock_recv_exactly(engine, ends.server, buffer, 8);
    CHECK_MEM(buffer, "question", 8);
    CHECK_INT(sock_send(engine, ends.server, "answer", 6), 0);
    sock_recv_exactly(engine, ends.client, buffer, 6);
    CHECK_MEM(buffer, "answer", 6);
    ends_close(engine, &ends);
    rig_close(engine);
}

BIDE_TEST(nothing_works_before_the_handshake)
{
    char byte;
    struct bide_engine *engine = rig_open();
    struct ends ends = ends_new(engine);
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    CHECK_INT(ops_of(ends.client)->try_recv(ends.client, &byte, 1), -ENOTCONN);
    CHECK_INT(ops_of(ends.client)->try_send(ends.client, &iov, 1), -ENOTCONN);
    CHECK_INT(ops_of(ends.client)->sock_shutdown(ends.client, SHUT_WR), -ENOTCONN);
    ends_connect(engine, &ends);
    struct rig_op again;
    rig_op_init(&again);
    CHECK_INT(ops_of(ends.client)->connect(ends.client, &again.op, NULL, 0), -EISCONN);
    ends_close(engine, &ends);
    rig_close(engine);
}

/* One end's way out and in, of so many bytes. */
struct traffic {
    struct bide_sock *sock;
    struct rig_op send, recv;
    struct iovec iov;
    size_t n_received;
};

static char outgoing[4 * MIB];
static char incoming[256 * KIB];

static void traffic_begin(struct traffic *traffic, struct bide_sock *sock)
{
    *traffic = (struct traffic){.sock = sock, .iov = {outgoing, sizeof outgoing}};
    rig_op_init(&traffic->send);
    rig_op_init(&traffic->recv);
    int rc = ops_of(sock)->send(sock, &traffic->send.op, &traffic->iov, 1);
    CHECK_INT(rc, BIDE_PENDING);
}

static void traffic_receive(struct traffic *traffic)
{
    while (traffic->recv.op.state == BIDE_OP_IDLE && traffic->n_received < sizeof outgoing) {
        ssize_t n = ops_of(traffic->sock)->try_recv(traffic->sock, incoming, sizeof incoming);
        if (n == -EAGAIN) {
            ops_of(traffic->sock)->recv_wait(traffic->sock, &traffic->recv.op);
            continue;
        }
        CHECK_RANGE(n, 1, sizeof incoming);
        CHECK_MEM(incoming, outgoing + traffic->n_received, (size_t)n);
        traffic->n_received += (size_t)n;
    }
}

BIDE_TEST_SECONDS(much_goes_both_ways_at_once, 60)
{
    struct bide_engine *engine = rig_open();
    struct ends ends = ends_new(engine);
    struct traffic client, server;
    pattern_fill(outgoing, 0, sizeof outgoing);
    ends_connect(engine, &ends);
    traffic_begin(&client, ends.client);
    traffic_begin(&server, ends.server);
    while (client.n_received < sizeof outgoing || server.n_received < sizeof outgoing) {
        traffic_receive(&client);
        traffic_receive(&server);
        turn_once(engine);
    }
    rig_turn_until(engine, &client.send.n_ends, 1);
    rig_turn_until(engine, &server.send.n_ends, 1);
    CHECK_INT(client.send.op.n_done, sizeof outgoing);
    ends_close(engine, &ends);
    rig_close(engine);
}

BIDE_TEST(many_pieces_are_few_records)
{
    char buffer[1000];
    struct iovec iov[1000];
    struct bide_engine *engine = rig_open();
    struct ends ends = ends_new(engine);
    ends_connect(engine, &ends);
    for (size_t i = 0; i < 1000; i++) {
        outgoing[i] = pattern_at(i);
        iov[i] = (struct iovec){outgoing + i, i % 3 == 0 ? 0 : 1};
    }
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(rig_result(engine, &op, ops_of(ends.client)->send(ends.client, &op.op, iov, 1000)),
              0);
    CHECK_INT(op.op.n_done, 666);
    CHECK_INT(sock_recv(engine, ends.server, buffer, sizeof buffer), 666);
    for (size_t i = 0, n = 0; i < 1000; i++)
        if (i % 3 != 0)
            CHECK_INT(buffer[n++], outgoing[i]);
    ends_close(engine, &ends);
    rig_close(engine);
}

BIDE_TEST(the_end_is_said)
{
    char buffer[4];
    struct bide_engine *engine = rig_open();
    struct ends ends = ends_new(engine);
    ends_connect(engine, &ends);
    CHECK_INT(sock_send(engine, ends.client, "abcd", 4), 0);
    CHECK_INT(ops_of(ends.client)->sock_shutdown(ends.client, SHUT_WR), 0);
    CHECK_INT(sock_send(engine, ends.client, NULL, 0), 0);
    sock_recv_exactly(engine, ends.server, buffer, 4);
    CHECK_INT(sock_recv(engine, ends.server, buffer, 1), 0);
    CHECK_INT(sock_recv(engine, ends.server, buffer, 1), 0);
    CHECK_INT(sock_send(engine, ends.server, "efgh", 4), 0);
    sock_recv_exactly(engine, ends.client, buffer, 4);
    CHECK_MEM(buffer, "efgh", 4);
    ends_close(engine, &ends);
    rig_close(engine);
}

BIDE_TEST(an_end_that_is_not_said_is_a_truncation)
{
    char buffer[4];
    struct bide_engine *engine = rig_open();
    struct ends ends = ends_new(engine);
    ends_connect(engine, &ends);
    CHECK_INT(sock_send(engine, ends.client, "abcd", 4), 0);
    CHECK_INT(ops_of(ends.client)->sock_shutdown(ends.client, SHUT_RDWR), 0);
    sock_recv_exactly(engine, ends.server, buffer, 4);
    for (int i = 0; i < 2; i++)
        CHECK_INT(sock_recv(engine, ends.server, buffer, 1), -BIDE_ETRUNCATED);
    CHECK_STR(bide_error_detail(), "the connection ended without the end of the TLS session");
    ends_close(engine, &ends);
    rig_close(engine);
}

BIDE_TEST(who_tolerates_it_sees_an_end)
{
    char byte;
    struct bide_engine *engine = rig_open();
    struct bide_sock *lower[2];
    lower_pair(engine, lower);
    struct ends ends = ends_over(
        engine, lower, client_context(),
        server_context_with((struct bide_tls_server_opts){.allow_truncation = true}), "a.test");
    ends_connect(engine, &ends);
    CHECK_INT(ops_of(ends.client)->sock_shutdown(ends.client, SHUT_RDWR), 0);
    CHECK_INT(sock_recv(engine, ends.server, &byte, 1), 0);
    CHECK_INT(sock_recv(engine, ends.server, &byte, 1), 0);
    ends_close(engine, &ends);
    rig_close(engine);
}

BIDE_TEST(a_cancelled_wait_loses_nothing)
{
    char byte;
    struct rig_op wait;
    struct bide_engine *engine = rig_open();
    struct ends ends = ends_new(engine);
    ends_connect(engine, &ends);
    rig_op_init(&wait);
    CHECK_INT(ops_of(ends.server)->recv_wait(ends.server, &wait.op), BIDE_PENDING);
    ops_of(ends.server)->cancel(&wait.op);
    ops_of(ends.server)->cancel(&wait.op);
    CHECK_INT(wait.n_ends, 0);
    rig_turn_until(engine, &wait.n_ends, 1);
    CHECK_INT(wait.result, -ECANCELED);
    CHECK_INT(sock_send(engine, ends.client, "a", 1), 0);
    CHECK_INT(sock_recv(engine, ends.server, &byte, 1), 1);
    CHECK_INT(byte, 'a');
    ends_close(engine, &ends);
    rig_close(engine);
}

/* Sends until nobody takes more, and leaves the rest as an operation. */
static size_t stuff(struct bide_engine *engine, struct bide_sock *sock, struct rig_op *op,
                    struct iovec *iov)
{
    pattern_fill(outgoing, 0, sizeof outgoing);
    *iov = (struct iovec){outgoing, sizeof outgoing};
    rig_op_init(op);
    CHECK_INT(ops_of(sock)->send(sock, &op->op, iov, 1), BIDE_PENDING);
    for (size_t n_before = 0; n_before < op->op.n_done;) {
        n_before = op->op.n_done;
        for (int i = 0; i < 3; i++)
            rig_settle(engine);
    }
    CHECK_INT(op->n_ends, 0);
    return op->op.n_done;
}

BIDE_TEST_SECONDS(a_cancelled_send_has_sent_what_it_says, 60)
{
    struct rig_op op;
    struct iovec iov;
    struct bide_engine *engine = rig_open();
    struct ends ends = ends_new(engine);
    ends_connect(engine, &ends);
    stuff(engine, ends.client, &op, &iov);
    ops_of(ends.client)->cancel(&op.op);
    CHECK_INT(op.n_ends, 0);
    rig_turn_until(engine, &op.n_ends, 1);
    CHECK_INT(op.result, -ECANCELED);
    CHECK_RANGE(op.op.n_done, 1, sizeof outgoing - 1);
    struct iovec more = {outgoing, 1};
    CHECK_INT(ops_of(ends.client)->try_send(ends.client, &more, 1), -EAGAIN);
    for (size_t n = 0; n < op.op.n_done;) {
        ssize_t got = sock_recv(engine, ends.server, incoming, sizeof incoming);
        CHECK_RANGE(got, 1, op.op.n_done - n);
        pattern_check(incoming, n, (size_t)got);
        n += (size_t)got;
    }
    CHECK_INT(sock_send(engine, ends.client, "x", 1), 0);
    CHECK_INT(sock_recv(engine, ends.server, incoming, 2), 1);
    CHECK_INT(incoming[0], 'x');
    ends_close(engine, &ends);
    rig_close(engine);
}

BIDE_TEST(a_cancelled_handshake_is_torn)
{
    char byte;
    struct rig_op op;
    struct bide_engine *engine = rig_open();
    for (int n_turns = 0; n_turns < 3; n_turns++) {
        struct ends ends = ends_new(engine);
        rig_op_init(&op);
        CHECK_INT(ops_of(ends.client)->connect(ends.client, &op.op, NULL, 0), BIDE_PENDING);
        for (int i = 0; i < n_turns; i++)
            turn_once(engine);
        ops_of(ends.client)->cancel(&op.op);
        rig_turn_until(engine, &op.n_ends, 1);
        CHECK_INT(op.result, -ECANCELED);
        CHECK_INT(ops_of(ends.client)->try_recv(ends.client, &byte, 1), -BIDE_ETORN);
        ends_close(engine, &ends);
    }
    rig_close(engine);
}

BIDE_TEST_SECONDS(what_is_held_goes_when_it_is_closed, 60)
{
    struct rig_op op;
    struct iovec iov;
    struct bide_engine *engine = rig_open();
    int n_fds = rig_count_fds();
    struct ends ends = ends_new(engine);
    ends_connect(engine, &ends);
    stuff(engine, ends.client, &op, &iov);
    ops_of(ends.client)->cancel(&op.op);
    rig_turn_until(engine, &op.n_ends, 1);
    ends_close(engine, &ends);
    while (rig_count_fds() > n_fds)
        turn_once(engine);
    rig_close(engine);
}
