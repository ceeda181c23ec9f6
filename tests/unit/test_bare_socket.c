/*
 * Scenario: bare sockets whose both ends are in one loop: they accept, connect, receive and send,
 * are cancelled and closed at every point where they wait, and the loop ends around them.
 * Claim: a call that failed or was cancelled has taken nothing, or says how much it sent; whoever
 * waits on a socket that is closed is told; nothing leaks.
 */
#include "socket_rig.h"

#include <math.h>

enum { SOME = 200 * KIB, BIG = 4 * MIB };

static char big[BIG];

TASK_TEST(a_conversation)
{
    struct bide_address address;
    struct bide_address peer;
    struct bide_address client_address;
    bide_socket *connection;
    bide_socket *listener = listener_new(8, &address);
    bide_socket *client = socket_new(SOCK_STREAM);
    bide_task *acceptor = waiting(bide_spawn(accepts, listener, &connection));
    CHECK_INT(bide_socket_peer(client, &peer), -ENOTCONN);
    CHECK_INT(bide_socket_connect(client, &address), 0);
    CHECK_INT(bide_await(acceptor), 0);
    CHECK_INT(bide_socket_peer(client, &peer), 0);
    CHECK_MEM(peer.bytes, address.bytes, address.length);
    CHECK_INT(bide_socket_local(client, &client_address), 0);
    CHECK_INT(bide_socket_peer(connection, &peer), 0);
    CHECK_MEM(peer.bytes, client_address.bytes, client_address.length);
    says(client, "hello");
    hears_text(connection, "hello");
    says(connection, "good day");
    hears_text(client, "good day");
    CHECK_INT(bide_socket_shutdown(client, SHUT_WR), 0);
    hears_end(connection);
    says(connection, "still here"); /* one direction has ended, the other one has not */
    hears_text(client, "still here");
    bide_socket_close(connection);
    hears_end(client);
    bide_socket_close(client);
    bide_socket_close(listener);
}

TASK_TEST(accepting_tells_who_came)
{
    struct bide_address address;
    struct bide_address from;
    struct bide_address client_address;
    bide_socket *connection;
    bide_socket *listener = listener_new(8, &address);
    bide_socket *client = socket_new(SOCK_STREAM);
    CHECK_INT(bide_socket_connect(client, &address), 0);
    CHECK_INT(bide_socket_local(client, &client_address), 0);
    CHECK_INT(bide_socket_accept(listener, &connection, &from), 0);
    CHECK_INT(from.length, client_address.length);
    CHECK_MEM(from.bytes, client_address.bytes, from.length);
    bide_socket_close(connection);
    bide_socket_close(client);
    bide_socket_close(listener);
}

TASK_TEST(options_are_the_sockets)
{
    bide_socket *socket = socket_new(SOCK_STREAM);
    int value = 1;
    unsigned length = sizeof value;
    CHECK_INT(bide_socket_setopt(socket, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value), 0);
    value = -1;
    CHECK_INT(bide_socket_getopt(socket, SOL_SOCKET, SO_KEEPALIVE, &value, &length), 0);
    CHECK_INT(value, 1);
    CHECK_INT(length, sizeof value);
    CHECK_INT(bide_socket_setopt(socket, SOL_SOCKET, -1, &value, sizeof value), -ENOPROTOOPT);
    bide_socket_close(socket);
}

TASK_TEST(senseless_arguments)
{
    struct bide_address address = loopback();
    struct bide_address none = {.length = 1};
    struct bide_address long_one = {.length = sizeof long_one.bytes + 1};
    bide_socket *socket = socket_new(SOCK_STREAM);
    bide_socket *other;
    bide_stream *stream;
    char byte;
    int value;
    unsigned length = sizeof value;
    CHECK_INT(bide_socket_open(AF_INET, SOCK_STREAM, 0, NULL), -EINVAL);
    CHECK(bide_socket_open(-1, SOCK_STREAM, 0, &other) < 0);
    CHECK_INT(bide_socket_adopt(0, NULL), -EINVAL);
    CHECK_INT(bide_socket_setopt(NULL, 0, 0, &value, length), -EINVAL);
    CHECK_INT(bide_socket_setopt(socket, 0, 0, NULL, length), -EINVAL);
    CHECK_INT(bide_socket_getopt(NULL, 0, 0, &value, &length), -EINVAL);
    CHECK_INT(bide_socket_getopt(socket, 0, 0, NULL, &length), -EINVAL);
    CHECK_INT(bide_socket_getopt(socket, 0, 0, &value, NULL), -EINVAL);
    CHECK_INT(bide_socket_bind(NULL, &address), -EINVAL);
    CHECK_INT(bide_socket_bind(socket, NULL), -EINVAL);
    CHECK_INT(bide_socket_bind(socket, &none), -EINVAL);
    CHECK_INT(bide_socket_bind(socket, &long_one), -EINVAL);
    CHECK_INT(bide_socket_listen(NULL, 1), -EINVAL);
    CHECK_INT(bide_socket_listen(socket, -1), -EINVAL);
    CHECK_INT(bide_socket_local(NULL, &address), -EINVAL);
    CHECK_INT(bide_socket_peer(socket, NULL), -EINVAL);
    CHECK_INT(bide_socket_fd(NULL), -1);
    CHECK_INT(bide_socket_shutdown(NULL, SHUT_WR), -EINVAL);
    CHECK_INT(bide_socket_shutdown(socket, 77), -EINVAL);
    CHECK_INT(bide_socket_to_stream(NULL, NULL, &stream), -EINVAL);
    CHECK_INT(bide_socket_to_stream(socket, NULL, NULL), -EINVAL);
    CHECK_INT(bide_socket_accept(NULL, &other, NULL), -EINVAL);
    CHECK_INT(bide_socket_accept(socket, NULL, NULL), -EINVAL);
    CHECK_INT(bide_socket_accept(socket, &other, NULL), -EINVAL); /* it does not listen */
    CHECK_INT(bide_socket_connect(NULL, &address), -EINVAL);
    CHECK_INT(bide_socket_connect(socket, NULL), -EINVAL);
    CHECK_INT(bide_socket_connect(socket, &none), -EINVAL);
    CHECK_INT(bide_socket_receive(NULL, &byte, 1), -EINVAL);
    CHECK_INT(bide_socket_receive(socket, NULL, 1), -EINVAL);
    CHECK_INT(bide_socket_receive(socket, &byte, 1), -ENOTCONN);
    CHECK_INT(bide_socket_receive(socket, NULL, 0), 0);
    CHECK_INT(bide_socket_send_all(NULL, "x", 1, NULL), -EINVAL);
    CHECK_INT(bide_socket_send_all(socket, NULL, 1, NULL), -EINVAL);
    CHECK_INT(bide_socket_send_all(socket, NULL, 0, NULL), 0);
    bide_socket_close(NULL);
    bide_socket_close(socket);
}

static int n_no_task;

static int calls_without_task(void *data)
{
    struct bide_address address = loopback();
    bide_socket *socket = data;
    bide_socket *other;
    char byte;
    size_t sent = 7;
    CHECK_INT(bide_socket_accept(socket, &other, NULL), -BIDE_ENOTASK);
    CHECK_INT(bide_socket_connect(socket, &address), -BIDE_ENOTASK);
    CHECK_INT(bide_socket_receive(socket, &byte, 1), -BIDE_ENOTASK);
    CHECK_INT(bide_socket_send_all(socket, "x", 1, &sent), -BIDE_ENOTASK);
    CHECK_INT(sent, 0);
    n_no_task++;
    return 0;
}

TASK_TEST(calls_that_suspend_need_a_task)
{
    bide_socket *socket = socket_new(SOCK_STREAM);
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), calls_without_task, socket, NULL, NULL), 0);
    turns(2);
    CHECK_INT(n_no_task, 1);
    bide_socket_close(socket);
}

BIDE_TEST(sockets_need_a_loop)
{
    bide_socket *socket;
    CHECK_INT(bide_socket_open(AF_INET, SOCK_STREAM, 0, &socket), -EINVAL);
    CHECK_INT(bide_socket_adopt(0, &socket), -EINVAL);
}

TASK_TEST(each_direction_is_one_tasks)
{
    struct bide_address address;
    struct ends ends = ends_open_narrow();
    bide_socket *connection;
    char bytes[8];
    bide_task *receiver = waiting(bide_spawn(receives, ends.there, bytes, sizeof bytes));
    CHECK_INT(bide_socket_receive(ends.there, bytes, 1), -EBUSY);
    says(ends.there, "the other way"); /* is free */
    hears_text(ends.here, "the other way");
    bide_task *sender = waiting(bide_spawn(sends_all, ends.here, big, sizeof big, NULL));
    size_t sent = 7;
    CHECK_INT(bide_socket_send_all(ends.here, "x", 1, &sent), -EBUSY);
    CHECK_INT(sent, 0);
    CHECK_INT(bide_await(receiver), sizeof bytes);
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    ends_close(&ends);

    bide_socket *listener = listener_new(1, &address);
    bide_task *acceptor = waiting(bide_spawn(accepts, listener, &connection));
    CHECK_INT(bide_socket_accept(listener, &connection, NULL), -EBUSY);
    CHECK_INT(cancel_and_await(acceptor), -ECANCELED);
    bide_socket_close(listener);
}

/* Cancels */

TASK_TEST(a_cancelled_receive_took_nothing)
{
    struct ends ends = ends_open();
    char bytes[8];
    bide_task *receiver = waiting(bide_spawn(receives, ends.here, bytes, sizeof bytes));
    CHECK_INT(cancel_and_await(receiver), -ECANCELED);
    says(ends.there, "one");
    hears_text(ends.here, "one");
    CHECK_INT(now(bide_spawn(receives, ends.here, bytes, 1)), -ECANCELED);
    says(ends.there, "two");
    hears_text(ends.here, "two");
    ends_close(&ends);
}

TASK_TEST(a_cancelled_accept_took_no_connection)
{
    struct bide_address address;
    bide_socket *connection;
    bide_socket *listener = listener_new(8, &address);
    bide_socket *client = socket_new(SOCK_STREAM);
    bide_task *acceptor = waiting(bide_spawn(accepts, listener, &connection));
    CHECK_INT(cancel_and_await(acceptor), -ECANCELED);
    acceptor = waiting(bide_spawn(accepts, listener, &connection));
    bide_cancel(acceptor);
    CHECK_INT(bide_socket_connect(client, &address), 0);
    CHECK_INT(bide_await(acceptor), -ECANCELED);
    CHECK_INT(bide_socket_accept(listener, &connection, NULL), 0);
    says(client, "hello");
    hears_text(connection, "hello");
    bide_socket_close(connection);
    bide_socket_close(client);
    bide_socket_close(listener);
}

TASK_TEST(a_cancelled_send_says_how_much_went_and_may_go_on)
{
    struct ends ends = ends_open_narrow();
    size_t sent = SOME;
    pattern_fill(big, 0, SOME);
    bide_task *sender = waiting(bide_spawn(sends_all, ends.here, big, SOME, &sent));
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    CHECK_RANGE(sent, 1, SOME - 1);
    size_t before = sent;
    sender = bide_spawn(sends_all, ends.here, big + before, SOME - before, &sent);
    hears_pattern(ends.there, 0, SOME);
    CHECK_INT(bide_await(sender), 0);
    CHECK_INT(sent, SOME - before);
    CHECK_INT(bide_socket_shutdown(ends.here, SHUT_WR), 0);
    hears_end(ends.there);
    ends_close(&ends);
}

TASK_TEST(a_send_of_which_nobody_knows_the_rest_tears_the_socket)
{
    struct ends ends = ends_open_narrow();
    bide_stream *stream;
    char byte;
    size_t sent = 7;
    bide_task *receiver = waiting(bide_spawn(receives, ends.here, &byte, 1));
    bide_task *sender = waiting(bide_spawn(sends_all, ends.here, big, BIG, NULL));
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    CHECK_INT(bide_await(receiver), -BIDE_ETORN);
    CHECK_INT(bide_socket_receive(ends.here, &byte, 1), -BIDE_ETORN);
    CHECK_INT(bide_socket_send_all(ends.here, "x", 1, &sent), -BIDE_ETORN);
    CHECK_INT(sent, 0);
    CHECK_INT(bide_socket_to_stream(ends.here, NULL, &stream), -BIDE_ETORN);
    ends_close(&ends);
}

TASK_TEST(a_cancel_before_the_call_has_no_effect)
{
    struct ends ends = ends_open();
    size_t sent = 7;
    bide_task *sender = bide_spawn_with(&(struct bide_task_opts){.always_start = true}, sends_all,
                                        ends.here, "x", 1, &sent);
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    CHECK_INT(sent, 0);
    says(ends.here, "y");
    hears_text(ends.there, "y");
    ends_close(&ends);
}

/* Connecting */

TASK_TEST(nobody_listens)
{
    struct bide_address address;
    bide_socket *listener = listener_new(1, &address);
    bide_socket_close(listener);
    bide_socket *client = socket_new(SOCK_STREAM);
    CHECK_INT(bide_socket_connect(client, &address), -ECONNREFUSED);
    bide_socket_close(client);
}

enum { FILLERS = 4 };

struct full {
    bide_socket *listener;
    struct bide_address address;
    bide_socket *fillers[FILLERS];
    bide_task *tasks[FILLERS];
};

/* A listener whose queue is full, so that connecting takes as long as one likes. */
static struct full full_open(void)
{
    static struct bide_address address;
    struct full full;
    full.listener = listener_new(0, &address);
    full.address = address;
    for (int i = 0; i < FILLERS; i++) {
        full.fillers[i] = socket_new(SOCK_STREAM);
        full.tasks[i] = bide_spawn(connects, full.fillers[i], &address);
    }
    CHECK_INT(bide_wait(full.tasks, FILLERS, BIDE_FIRST_COMPLETED) > 0, 1);
    turns(20);
    return full;
}

static void full_close(struct full *full)
{
    bide_cancel_join(full->tasks, FILLERS);
    for (int i = 0; i < FILLERS; i++)
        bide_socket_close(full->fillers[i]);
    bide_socket_close(full->listener);
}

TASK_TEST(a_connect_that_was_given_up_tears_the_socket)
{
    struct full full = full_open();
    bide_socket *client = socket_new(SOCK_STREAM);
    char byte;
    CHECK_INT(bide_within(0.01, bide_socket_connect(client, &full.address)), -ETIMEDOUT);
    CHECK_INT(bide_socket_connect(client, &full.address), -BIDE_ETORN);
    CHECK_INT(bide_socket_receive(client, &byte, 1), -BIDE_ETORN);
    bide_socket_close(client);
    client = socket_new(SOCK_STREAM);
    bide_task *connector = waiting(bide_spawn(connects, client, &full.address));
    CHECK_INT(bide_socket_connect(client, &full.address), -EBUSY);
    bide_socket_close(client);
    CHECK_INT(bide_await(connector), -ECONNABORTED);
    full_close(&full);
}

/* Closing under those who wait */

TASK_TEST(who_waits_on_a_socket_that_is_closed_is_told)
{
    struct bide_address address;
    bide_socket *connection;
    char byte;
    size_t sent = BIG;
    bide_socket *listener = listener_new(1, &address);
    bide_task *acceptor = waiting(bide_spawn(accepts, listener, &connection));
    bide_socket_close(listener);
    CHECK_INT(bide_await(acceptor), -ECONNABORTED);

    struct ends ends = ends_open_narrow();
    bide_task *receiver = waiting(bide_spawn(receives, ends.here, &byte, 1));
    bide_task *sender = waiting(bide_spawn(sends_all, ends.here, big, BIG, &sent));
    bide_socket_close(ends.here);
    CHECK_INT(bide_await(receiver), -ECONNABORTED);
    CHECK_INT(bide_await(sender), -ECONNABORTED);
    CHECK_RANGE(sent, 1, BIG - 1);
    bide_socket_close(ends.there);
}

TASK_TEST(a_peer_that_vanishes_ends_both_directions)
{
    struct ends ends = ends_open_narrow();
    struct linger reset = {.l_onoff = 1};
    char byte;
    bide_task *receiver = waiting(bide_spawn(receives, ends.here, &byte, 1));
    bide_task *sender = waiting(bide_spawn(sends_all, ends.here, big, BIG, NULL));
    CHECK_INT(bide_socket_setopt(ends.there, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    bide_socket_close(ends.there);
    int sent = bide_await(sender);
    CHECK(sent == -ECONNRESET || sent == -EPIPE);
    int received = bide_await(receiver);
    CHECK(received == -ECONNRESET || (received == 0 && sent == -ECONNRESET));
    CHECK_INT(bide_socket_send_all(ends.here, "x", 1, NULL), -EPIPE);
    bide_socket_close(ends.here);
}

/* Streams made of them */

static bide_async(reads_line, (bide_stream *, stream), (char **, ret_line))
{
    return bide_read_line(stream, ret_line);
}

TASK_TEST(a_socket_becomes_a_stream_with_what_it_received)
{
    struct ends ends = ends_open();
    bide_stream *stream;
    char *line;
    char byte;
    says(ends.there, "xfirst\nsecond\n");
    hears_text(ends.here, "x"); /* the engine may hold the rest */
    bide_task *receiver = waiting(bide_spawn(receives, ends.there, &byte, 1));
    CHECK_INT(bide_socket_to_stream(ends.there, NULL, &stream), -EBUSY);
    CHECK_INT(cancel_and_await(receiver), -ECANCELED);
    CHECK_INT(
        bide_socket_to_stream(ends.here, &(struct bide_stream_opts){.linger_seconds = -1}, &stream),
        -EINVAL);
    CHECK_INT(bide_socket_to_stream(ends.here, NULL, &stream), 0);
    CHECK_INT(bide_read_line(stream, &line), 6);
    CHECK_STR(line, "first");
    CHECK_INT(bide_read_line(stream, &line), 7);
    CHECK_STR(line, "second");
    bide_task *reader = waiting(bide_spawn(reads_line, stream, &line));
    says(ends.there, "third\n");
    CHECK_INT(bide_await(reader), 6);
    CHECK_INT(bide_write(stream, "back\n", 5), 0);
    hears_text(ends.there, "back\n");
    CHECK_INT(bide_close(stream), 0);
    hears_end(ends.there);
    bide_socket *fresh = socket_new(SOCK_STREAM);
    CHECK_INT(bide_socket_to_stream(fresh, NULL, &stream), -ENOTCONN);
    bide_socket_close(fresh);
    bide_socket_close(ends.there);
}

/* Loops that end */

static bide_async(returns_ends, (struct ends *, ret_ends))
{
    *ret_ends = ends_open();
    return 0;
}

static bide_async(calls_dead_socket, (bide_socket *, socket))
{
    struct bide_address address = loopback();
    bide_socket *connection;
    char byte;
    CHECK_INT(bide_socket_receive(socket, &byte, 1), -ECONNABORTED);
    CHECK_INT(bide_socket_send_all(socket, "x", 1, NULL), -ECONNABORTED);
    CHECK_INT(bide_socket_accept(socket, &connection, NULL), -ECONNABORTED);
    CHECK_INT(bide_socket_connect(socket, &address), -ECONNABORTED);
    return 0;
}

BIDE_TEST(a_socket_outlives_its_loop_harmlessly)
{
    struct ends ends;
    struct bide_address address = loopback();
    bide_stream *stream;
    int value = 0;
    unsigned length = sizeof value;
    CHECK_INT(bide_run_with(NULL, returns_ends, &ends), 0);
    CHECK_INT(bide_socket_fd(ends.here), -1);
    CHECK_INT(bide_socket_local(ends.here, &address), -ECONNABORTED);
    CHECK_INT(bide_socket_bind(ends.here, &address), -ECONNABORTED);
    CHECK_INT(bide_socket_listen(ends.here, 1), -ECONNABORTED);
    CHECK_INT(bide_socket_shutdown(ends.here, SHUT_WR), -ECONNABORTED);
    CHECK_INT(bide_socket_setopt(ends.here, SOL_SOCKET, SO_KEEPALIVE, &value, length),
              -ECONNABORTED);
    CHECK_INT(bide_socket_getopt(ends.here, SOL_SOCKET, SO_KEEPALIVE, &value, &length),
              -ECONNABORTED);
    CHECK_INT(bide_socket_to_stream(ends.here, NULL, &stream), -ECONNABORTED);
    CHECK_INT(bide_run_with(NULL, calls_dead_socket, ends.here), 0);
    ends_close(&ends);
}

/* What a task does that nothing ends: the loop gives it up. */
enum stuck { IN_RECV, IN_SEND, IN_ACCEPT, IN_CONNECT, STUCK };

static int stuck_call(bide_socket *socket, enum stuck stuck)
{
    struct bide_address address;
    bide_socket *connection;
    char byte;
    switch (stuck) {
    case IN_RECV:
        return bide_socket_receive(socket, &byte, 1);
    case IN_SEND:
        return bide_socket_send_all(socket, big, BIG, NULL);
    case IN_ACCEPT:
        return bide_socket_accept(socket, &connection, &address);
    default:
        return -1;
    }
}

static bide_async(gets_stuck, (bide_socket *, socket), (enum stuck, stuck))
{
    return bide_shielded(INFINITY, stuck_call(socket, stuck));
}

static bide_async(gets_stuck_connecting, (bide_socket *, socket),
                  (const struct bide_address *, address))
{
    return bide_shielded(INFINITY, bide_socket_connect(socket, address));
}

static bide_async(leaves_a_stuck_task, (bide_socket **, socks), (enum stuck, stuck))
{
    static struct full full;
    struct bide_address address;
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    if (stuck == IN_CONNECT) {
        full = full_open();
        socks[0] = socket_new(SOCK_STREAM);
        bide_detach(waiting(bide_spawn(gets_stuck_connecting, socks[0], &full.address)));
        socks[1] = socket_new(SOCK_STREAM);
        full_close(&full);
        return 0;
    }
    struct ends ends = ends_open_narrow();
    socks[0] = ends.here;
    socks[1] = ends.there;
    if (stuck == IN_ACCEPT) {
        bide_socket_close(ends.here);
        socks[0] = listener_new(1, &address);
    }
    bide_detach(waiting(bide_spawn(gets_stuck, socks[0], stuck)));
    turns(3);
    return 0;
}

static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};

BIDE_TEST(a_loop_gives_up_tasks_inside_sockets)
{
    for (enum stuck stuck = 0; stuck < STUCK; stuck++) {
        bide_socket *socks[2];
        CHECK_INT(bide_run_with(&impatient, leaves_a_stuck_task, socks, stuck), 0);
        CHECK_CONTAINS(take_report(), "gets_stuck");
        bide_socket_close(socks[0]);
        bide_socket_close(socks[1]);
    }
    rig_end();
}

/* Sending what there is room for */

TASK_TEST(sending_some_fills_the_room_and_waits_for_more)
{
    struct ends ends = ends_open_narrow();
    size_t n = 0;
    pattern_fill(big, 0, BIG);
    CHECK_INT(bide_socket_send(ends.here, NULL, 0), 0);
    for (;;) {
        int rc = now(bide_spawn(sends, ends.here, big + n, BIG - n));
        if (rc == -ECANCELED)
            break;
        CHECK_RANGE(rc, 1, BIG);
        n += (size_t)rc;
    }
    bide_task *sender = waiting(bide_spawn(sends, ends.here, big + n, BIG - n));
    hears_pattern(ends.there, 0, n);
    int rc = bide_await(sender);
    CHECK_RANGE(rc, 1, BIG - n);
    hears_pattern(ends.there, n, (size_t)rc);
    ends_close(&ends);
}

TASK_TEST(a_cancelled_or_closed_wait_for_room_sent_nothing)
{
    struct ends ends = ends_open_narrow();
    size_t n = 0;
    int rc;
    pattern_fill(big, 0, BIG);
    while ((rc = now(bide_spawn(sends, ends.here, big + n, BIG - n))) > 0)
        n += (size_t)rc;
    CHECK_INT(rc, -ECANCELED);
    bide_task *sender = waiting(bide_spawn(sends, ends.here, big, BIG));
    CHECK_INT(bide_socket_send(ends.here, "x", 1), -EBUSY);
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    hears_pattern(ends.there, 0, n);
    CHECK_INT(now(bide_spawn(receives, ends.there, big, 1)), -ECANCELED);
    while (now(bide_spawn(sends, ends.here, big, BIG)) > 0)
        ;
    sender = waiting(bide_spawn(sends, ends.here, big, BIG));
    bide_socket_close(ends.here);
    CHECK_INT(bide_await(sender), -ECONNABORTED);
    bide_socket_close(ends.there);
}

/* Datagrams */

static bide_socket *datagram_socket(struct bide_address *ret_address)
{
    struct bide_address any = loopback();
    bide_socket *socket = socket_new(SOCK_DGRAM);
    CHECK_INT(bide_socket_bind(socket, &any), 0);
    CHECK_INT(bide_socket_local(socket, ret_address), 0);
    return socket;
}

TASK_TEST(datagrams_come_whole_with_their_sender)
{
    struct bide_address addresses[2];
    struct bide_address from;
    bide_stream *stream;
    char got[16] = "";
    bide_socket *one = datagram_socket(&addresses[0]);
    bide_socket *two = datagram_socket(&addresses[1]);
    CHECK_INT(bide_socket_send_to(one, "first", 5, &addresses[1]), 5);
    CHECK_INT(bide_socket_send_to(one, "", 0, &addresses[1]), 0);
    CHECK_INT(bide_socket_send_to(one, "third", 5, &addresses[1]), 5);
    CHECK_INT(bide_socket_receive_from(two, got, sizeof got, &from), 5);
    CHECK_STR(got, "first");
    CHECK_INT(from.length, addresses[0].length);
    CHECK_MEM(from.bytes, addresses[0].bytes, from.length);
    CHECK_INT(bide_socket_receive_from(two, got, sizeof got, NULL), 0);
    from.length = 0;
    CHECK_INT(bide_socket_receive_from(two, got, 3, &from), -EMSGSIZE); /* it was longer */
    CHECK_MEM(got, "thi", 3);
    CHECK_INT(from.length, addresses[0].length);
    CHECK_INT(bide_socket_connect(two, &addresses[0]), 0);
    CHECK_INT(bide_socket_send(two, "back", 4), 4);
    CHECK_INT(bide_socket_send(two, NULL, 0), 0);
    CHECK_INT(bide_socket_send_all(two, "again", 5, NULL), 0);
    CHECK_INT(bide_socket_receive(one, got, sizeof got), 4);
    CHECK_INT(bide_socket_receive(one, got, sizeof got), 0);
    CHECK_INT(bide_socket_receive(one, got, sizeof got), 5);
    CHECK_INT(bide_socket_send_to(one, big, 100000, &addresses[1]), -EMSGSIZE);
    CHECK_INT(bide_socket_to_stream(one, NULL, &stream), -EINVAL);
    bide_socket_close(one);
    bide_socket_close(two);
}

TASK_TEST(a_wait_for_a_datagram_is_cancelled_or_closed_without_loss)
{
    struct bide_address addresses[2];
    char got[16] = "";
    bide_socket *one = datagram_socket(&addresses[0]);
    bide_socket *two = datagram_socket(&addresses[1]);
    bide_task *receiver = waiting(bide_spawn(receives_from, two, got, sizeof got));
    CHECK_INT(bide_socket_receive_from(two, got, 1, NULL), -EBUSY);
    CHECK_INT(cancel_and_await(receiver), -ECANCELED);
    CHECK_INT(bide_socket_send_to(one, "kept", 4, &addresses[1]), 4);
    CHECK_INT(bide_socket_receive_from(two, got, sizeof got, NULL), 4);
    CHECK_STR(got, "kept");
    receiver = waiting(bide_spawn(receives_from, two, got, sizeof got));
    bide_socket_close(two);
    CHECK_INT(bide_await(receiver), -ECONNABORTED);
    CHECK_INT(bide_socket_send_to(one, "x", 1, &(struct bide_address){.length = 0}), -EINVAL);
    CHECK_INT(bide_socket_send_to(NULL, "x", 1, &addresses[1]), -EINVAL);
    CHECK_INT(bide_socket_send_to(one, NULL, 1, &addresses[1]), -EINVAL);
    CHECK_INT(bide_socket_send(NULL, "x", 1), -EINVAL);
    CHECK_INT(bide_socket_receive_from(NULL, got, 1, NULL), -EINVAL);
    CHECK_INT(bide_socket_receive_from(one, NULL, 1, NULL), -EINVAL);
    bide_socket_close(one);
}

TASK_TEST(a_stream_socket_has_messages_too)
{
    struct ends ends = ends_open();
    char got[16] = "";
    says(ends.there, "hello");
    CHECK_INT(bide_socket_receive_from(ends.here, got, 0, NULL), 0);
    CHECK_INT(bide_socket_receive_from(ends.here, got, 4, NULL), 4);
    CHECK_STR(got, "hell");
    CHECK_INT(bide_socket_receive(ends.here, got, 4), 1);
    ends_close(&ends);
}
