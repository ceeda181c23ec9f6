/*
 * Scenario: two transports for datagrams talk, are refused, find no room, are closed and aborted
 * from inside and outside of callbacks, and with their loop. Claim: connection_made comes first and
 * connection_lost last, each once, with drop behind it; nothing is called from inside a call; one
 * pause per crossing of the high mark, one resume per crossing of the low one; what waited goes out
 * in order before a close.
 */
#include "task_rig.h"

#include <bide/datagram.h>

#include <sys/socket.h>
#include <unistd.h>

struct user {
    bide_loop *loop;
    bide_datagram_transport *transport;
    struct bide_address at;
    int n_made, n_lost, n_dropped, n_received, n_errors, n_paused, n_resumed;
    int last_error, lost;
    size_t bytes;
    char last[16];
    bool inside; /* a call of the user's is under way */
    bool echoes;
    int close_at; /* this many messages: closes; negative: aborts */
    int stop_at;  /* the loop stops */
};

static void enter(struct user *user)
{
    CHECK(!user->inside);
    CHECK_PTR(bide_current_task(), NULL);
    CHECK_INT(user->n_lost, 0);
}

static void made(void *data, bide_datagram_transport *transport)
{
    struct user *user = data;
    enter(user);
    CHECK_INT(user->n_made++, 0);
    user->transport = transport;
    CHECK_INT(bide_datagram_transport_local(transport, &user->at), 0);
}

static void say(struct user *user, const char *text, const struct bide_address *to)
{
    user->inside = true;
    CHECK_INT(bide_datagram_transport_send(user->transport, text, strlen(text), to), 0);
    user->inside = false;
}

static void received(void *data, const void *bytes, size_t size, const struct bide_address *from)
{
    struct user *user = data;
    enter(user);
    CHECK_INT(user->n_made, 1);
    user->n_received++;
    user->bytes += size;
    snprintf(user->last, sizeof user->last, "%.*s", (int)size, (const char *)bytes);
    if (user->echoes)
        say(user, user->last, from);
    user->inside = true;
    if (user->n_received == user->close_at)
        bide_datagram_transport_close(user->transport);
    if (user->n_received == -user->close_at)
        bide_datagram_transport_abort(user->transport);
    user->inside = false;
    if (user->n_received == user->stop_at)
        bide_loop_stop(user->loop);
}

static void failed(void *data, int error)
{
    struct user *user = data;
    enter(user);
    user->n_errors++;
    user->last_error = error;
    bide_loop_stop(user->loop);
}

static void paused(void *data)
{
    struct user *user = data;
    enter(user);
    user->n_paused++;
    CHECK_INT(user->n_paused, user->n_resumed + 1);
}

static void resumed(void *data)
{
    struct user *user = data;
    enter(user);
    user->n_resumed++;
    CHECK_INT(user->n_paused, user->n_resumed);
}

static void lost(void *data, int error)
{
    struct user *user = data;
    enter(user);
    CHECK_INT(user->n_made, 1);
    user->n_lost++;
    user->lost = error;
}

static void dropped(void *data)
{
    struct user *user = data;
    CHECK_INT(user->n_lost, user->n_made);
    CHECK_INT(user->n_dropped++, 0);
    user->transport = NULL;
    bide_loop_stop(user->loop);
}

static const struct bide_datagram_protocol protocol = {
    .connection_made = made,
    .datagram_received = received,
    .error_received = failed,
    .pause_writing = paused,
    .resume_writing = resumed,
    .connection_lost = lost,
};

static const struct bide_datagram_protocol silent;

/* A few turns: until what is queued by now has run. */
static int stops(void *data)
{
    bide_loop_stop(data);
    return 0;
}

static void run_on(bide_loop *loop)
{
    CHECK_INT(bide_loop_call_later(loop, 0.002, stops, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), 0);
}

static void open_user(bide_loop *loop, struct user *user, const struct bide_address *local,
                      const struct bide_datagram_opts *opts)
{
    user->loop = loop;
    user->inside = true;
    CHECK_INT(bide_loop_datagram(loop, local, opts, &protocol, user, dropped, NULL), 0);
    user->inside = false;
    run_on(loop);
    CHECK_INT(user->n_made, 1);
}

/* Loopback, or a Unix name of the kernel's choice. */
static struct bide_address address_for(int how)
{
    struct bide_address address;
    if (how == 0)
        address = (struct bide_address){.length = sizeof(sa_family_t)};
    else
        memcpy(&address, &(struct bide_address){.bytes = {[4] = 127, [7] = 1}, .length = 16},
               sizeof address);
    sa_family_t family = how == 0 ? AF_UNIX : AF_INET;
    memcpy(address.bytes, &family, sizeof family);
    return address;
}

BIDE_TEST(messages_are_called_back)
{
    for (int how = 0; how < 2; how++) {
        bide_loop *loop = rig_loop();
        struct bide_address local = address_for(how);
        struct user server = {.echoes = true}, client = {.stop_at = 3};
        open_user(loop, &server, &local, NULL);
        struct bide_datagram_opts opts = {.peer = &server.at};
        open_user(loop, &client, &local, &opts);
        say(&client, "one", NULL);
        say(&client, "", NULL);
        say(&client, "three", &server.at);
        CHECK_INT(client.n_received + server.n_received, 0);
        CHECK_INT(bide_loop_run_forever(loop), 0);
        CHECK_INT(server.n_received, 3);
        CHECK_INT(client.n_received, 3);
        CHECK_INT(client.bytes, 8);
        CHECK_STR(client.last, "three");
        bide_datagram_transport_close(client.transport);
        bide_datagram_transport_close(client.transport);
        CHECK_INT(client.n_lost, 0);
        CHECK_INT(bide_datagram_transport_send(client.transport, "x", 1, NULL), -EPIPE);
        CHECK_INT(bide_loop_run_forever(loop), 0);
        CHECK_INT(client.n_dropped, 1);
        CHECK_INT(client.lost, 0);
        rig_close(loop); /* the server is still open */
        CHECK_INT(server.n_lost, 1);
        CHECK_INT(server.lost, -ECONNABORTED);
        CHECK_INT(server.n_dropped, 1);
    }
}

BIDE_TEST(transports_end_from_inside_a_callback)
{
    for (int sign = -1; sign <= 1; sign += 2) {
        bide_loop *loop = rig_loop();
        struct bide_address local = address_for(0);
        struct user server = {.close_at = 2 * sign}, client = {0};
        open_user(loop, &server, &local, NULL);
        open_user(loop, &client, &local, NULL);
        for (int i = 0; i < 4; i++)
            say(&client, "x", &server.at);
        CHECK_INT(bide_loop_run_forever(loop), 0);
        CHECK_INT(server.n_received, 2); /* the others are lost with it */
        CHECK_INT(server.n_lost, 1);
        CHECK_INT(server.lost, sign > 0 ? 0 : -ECONNABORTED);
        CHECK_INT(server.n_dropped, 1);
        bide_datagram_transport_abort(client.transport);
        bide_datagram_transport_abort(client.transport);
        CHECK_INT(client.n_lost, 0);
        CHECK_INT(bide_loop_run_forever(loop), 0);
        CHECK_INT(client.lost, -ECONNABORTED);
        rig_close(loop);
    }
}

BIDE_TEST(a_refusal_goes_to_error_received)
{
    bide_loop *loop = rig_loop();
    struct bide_address local = address_for(1);
    struct user server = {0}, client = {0};
    open_user(loop, &server, &local, NULL);
    struct bide_address gone = server.at;
    struct bide_datagram_opts opts = {.peer = &gone};
    open_user(loop, &client, NULL, &opts);
    bide_datagram_transport_close(server.transport);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    say(&client, "x", NULL);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_INT(client.n_errors, 1);
    CHECK_INT(client.last_error, -ECONNREFUSED);
    struct user again = {.stop_at = 2};
    open_user(loop, &again, &gone, NULL);
    say(&client, "x", NULL);
    say(&client, "y", NULL);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_STR(again.last, "y");
    rig_close(loop);
}

BIDE_TEST(too_long_a_message_is_an_error)
{
    bide_loop *loop = rig_loop();
    struct bide_address local = address_for(0);
    struct bide_datagram_opts opts = {.message_bytes_max = 4};
    struct user server = {.stop_at = 1}, client = {0};
    open_user(loop, &server, &local, &opts);
    open_user(loop, &client, &local, NULL);
    static char large[4 * 1024 * 1024];
    CHECK_INT(bide_datagram_transport_send(client.transport, large, sizeof large, &server.at),
              -EMSGSIZE);
    say(&client, "12345", &server.at);
    say(&client, "1234", &server.at);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_INT(server.last_error, -EMSGSIZE);
    if (server.n_received == 0)
        CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_STR(server.last, "1234");
    rig_close(loop);
}

/* Nobody receives at the raw end, which is the receiver; it is full after a while. */
static void crowd(int connected, bool close_it)
{
    bide_loop *loop = rig_loop();
    struct bide_address local = address_for(0);
    struct bide_datagram_opts small = {.write_high_bytes = 100, .write_low_bytes = 20};
    struct user server = {0}, client = {0};
    open_user(loop, &server, &local, NULL);
    if (connected)
        small.peer = &server.at;
    open_user(loop, &client, &local, &small);
    const struct bide_address *to = connected ? NULL : &server.at;
    int n = 0;
    while (bide_datagram_transport_pending(client.transport) <= 100) { /* nobody turns the loop */
        say(&client, "0123456789", to);
        n++;
    }
    CHECK_INT(client.n_paused, 0);
    if (close_it)
        bide_datagram_transport_close(client.transport);
    while (server.n_received < n)
        run_on(loop);
    CHECK_INT(client.n_paused, 1);
    if (close_it) {
        CHECK_INT(client.n_lost, 1);
        CHECK_INT(client.lost, 0);
    } else {
        CHECK_INT(client.n_resumed, 1);
        CHECK_INT(bide_datagram_transport_pending(client.transport), 0);
    }
    rig_close(loop);
    CHECK_INT(client.n_dropped, 1);
}

BIDE_TEST(writers_are_paused_and_resumed)
{
    for (int connected = 0; connected < 2; connected++)
        crowd(connected, false);
}

BIDE_TEST(closing_sends_what_waits)
{
    for (int connected = 0; connected < 2; connected++)
        crowd(connected, true);
}

BIDE_TEST(an_abort_drops_what_waits)
{
    for (int how = 0; how < 2; how++) {
        bide_loop *loop = rig_loop();
        struct bide_address local = address_for(0);
        struct user server = {0}, client = {0};
        open_user(loop, &server, &local, NULL);
        open_user(loop, &client, &local, NULL);
        while (bide_datagram_transport_pending(client.transport) == 0)
            say(&client, "x", &server.at);
        if (how == 0) {
            bide_datagram_transport_abort(client.transport);
            CHECK_INT(bide_datagram_transport_pending(client.transport), 0);
            CHECK_INT(bide_loop_run_forever(loop), 0);
            CHECK_INT(client.n_dropped, 1);
        }
        rig_close(loop); /* or with the loop */
        CHECK_INT(client.lost, -ECONNABORTED);
        CHECK_INT(client.n_dropped, 1);
        CHECK_INT(server.n_dropped, 1);
    }
}

BIDE_TEST(callbacks_are_optional_and_arguments_are_not)
{
    bide_loop *loop = rig_loop();
    bide_datagram_transport *transport = NULL;
    struct bide_address address;
    CHECK_INT(bide_loop_datagram(loop, NULL, NULL, NULL, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_loop_datagram(NULL, NULL, NULL, &silent, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_loop_datagram(loop, NULL, NULL, &silent, NULL, NULL, &transport), 0);
    CHECK_INT(bide_datagram_transport_local(transport, &address), 0);
    CHECK_INT(bide_datagram_transport_peer(transport, &address), -ENOTCONN);
    CHECK_INT(bide_datagram_transport_send(transport, "x", 1, &address), 0); /* to itself */
    CHECK_INT(bide_datagram_transport_send(transport, "x", 1, NULL), -EDESTADDRREQ);
    CHECK_INT(bide_datagram_transport_send(transport, NULL, 1, &address), -EINVAL);
    CHECK_INT(bide_datagram_transport_send(NULL, "x", 1, &address), -EINVAL);
    CHECK_INT(bide_datagram_transport_pending(NULL), 0);
    CHECK_INT(bide_datagram_transport_fd(NULL), -1);
    bide_datagram_transport_close(NULL);
    bide_datagram_transport_abort(NULL);
    run_on(loop);
    bide_datagram_transport_close(transport);
    rig_close(loop);
    loop = rig_loop();
    struct user user = {.loop = loop};
    CHECK_INT(bide_loop_datagram(loop, NULL, NULL, &protocol, &user, dropped, NULL), 0);
    rig_close(loop); /* before it ran */
    CHECK_INT(user.n_dropped, 1);
    CHECK_INT(user.n_made, user.n_lost);
}
