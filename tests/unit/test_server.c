/*
 * Scenario: servers with clients that come in all numbers, on IPv4 and IPv6, while connections are
 * limited, handlers fail, and the server is closed, freed or cancelled.
 * Claim: what server.h says: every connection gets its task and its stream is closed behind it; a
 * server that is closed lets its connections go on, and whoever waits for them is told.
 */
#include "stream_rig.h"

enum { CLIENTS_MAX = 64 };

static int client_socket(bool is_ipv6)
{
    int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    return fd;
}

/* Connects a socket on loopback: 0 or a negative errno. */
static int try_join(int fd, unsigned port, bool is_ipv6)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6,
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                                .sin6_port = htons((uint16_t)port)};
    int rc = is_ipv6 ? connect(fd, (struct sockaddr *)&ipv6, sizeof ipv6)
                     : connect(fd, (struct sockaddr *)&ipv4, sizeof ipv4);
    return rc < 0 ? -errno : 0;
}

static int join(unsigned port)
{
    int fd = client_socket(false);
    CHECK_INT(try_join(fd, port, false), 0);
    peer_prepare(fd);
    return fd;
}

static void check_refused(unsigned port, bool is_ipv6)
{
    int fd = client_socket(is_ipv6);
    CHECK_INT(try_join(fd, port, is_ipv6), -ECONNREFUSED);
    close(fd);
}

static void until_connections(const bide_server *server, size_t n)
{
    while (bide_server_connections(server) != n)
        turns(1);
}

/* Answers every line with itself. */
static int echo(bide_stream *stream, void *data)
{
    char *line;
    int n;
    (void)data;
    while ((n = bide_read_line(stream, &line)) > 0) {
        line[n - 1] = '\n';
        int rc = bide_write(stream, line, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static bide_server *serve_with(const char *host, bide_handler *handler, void *data,
                               const struct bide_server_opts *opts)
{
    bide_server *server = NULL;
    CHECK_INT(bide_serve(host, 0, handler, data, opts, &server), 0);
    CHECK_RANGE(bide_server_port(server), 1, 65535);
    return server;
}

static bide_server *serve(bide_handler *handler, void *data)
{
    return serve_with("127.0.0.1", handler, data, NULL);
}

/* Closes the server and waits for its connections. */
static void end(bide_server *server)
{
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    CHECK_INT(bide_server_connections(server), 0);
    bide_server_free(server);
}

static int notes_data(bide_stream *stream, void *data)
{
    char byte;
    *(int *)data += 1;
    return bide_read(stream, &byte, 1);
}

STREAM_TEST(each_connection_has_a_task_of_its_own)
{
    int fds[CLIENTS_MAX];
    char text[32];
    int n_fds = count_fds();
    bide_server *server = serve(echo, NULL);
    for (int i = 0; i < CLIENTS_MAX; i++)
        fds[i] = join(bide_server_port(server));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CLIENTS_MAX; i++) {
            snprintf(text, sizeof text, "%d says %d\n", i, round);
            peer_say(fds[i], text);
        }
        for (int i = CLIENTS_MAX - 1; i >= 0; i--) {
            snprintf(text, sizeof text, "%d says %d\n", i, round);
            peer_hears(fds[i], text);
        }
        CHECK_INT(bide_server_connections(server), CLIENTS_MAX);
    }
    for (int i = 0; i < CLIENTS_MAX; i++)
        close(fds[i]);
    until_connections(server, 0);
    CHECK_INT(count_fds(), n_fds + 1);
    end(server);
}

STREAM_TEST(the_handler_gets_its_data_and_the_stream_is_closed_behind_it)
{
    int n_calls = 0;
    bide_server *server = serve(notes_data, &n_calls);
    for (int i = 1; i <= 5; i++) {
        int fd = join(bide_server_port(server));
        until_connections(server, 1);
        peer_say(fd, "x");
        peer_hears_end(fd);
        until_connections(server, 0);
        close(fd);
        CHECK_INT(n_calls, i);
    }
    end(server);
}

static void limit_connections(const char *host)
{
    static const struct bide_server_opts opts = {.connections_max = 2};
    int fds[5];
    bide_server *server = serve_with(host, echo, NULL, &opts);
    for (int i = 0; i < 5; i++) {
        fds[i] = client_socket(!host && i % 2);
        CHECK_INT(try_join(fds[i], bide_server_port(server), !host && i % 2), 0);
        peer_prepare(fds[i]);
        peer_say(fds[i], "me\n");
        settle();
    }
    size_t n_served = 0;
    while (n_served < 5) {
        settle();
        CHECK_INT(bide_server_connections(server), n_served < 4 ? 2 : 1);
        size_t n_heard = 0;
        for (int i = 0; i < 5; i++) {
            char text[8];
            if (fds[i] < 0 || recv(fds[i], text, sizeof text, MSG_PEEK) != 3)
                continue;
            n_heard++;
            if (n_heard == 1) { /* leaves, and makes room for one */
                close(fds[i]);
                fds[i] = -1;
            }
        }
        CHECK_INT(n_heard, n_served < 4 ? 2 : 1);
        n_served++;
        until_connections(server, n_served < 4 ? 2 : 5 - n_served);
    }
    end(server);
}

STREAM_TEST(connections_beyond_the_limit_wait_in_the_kernel)
{
    limit_connections("127.0.0.1");
}

STREAM_TEST(the_limit_counts_all_of_a_servers_addresses)
{
    limit_connections(NULL);
}

static bide_async(serves_forever, (bide_server *, server))
{
    return bide_server_forever(server);
}

static bide_async(waits_closed, (bide_server *, server))
{
    return bide_server_wait_closed(server);
}

/* SEMANTICS 39 */
STREAM_TEST(a_closed_server_lets_its_connections_go_on)
{
    struct bide_address address;
    bide_server *server = serve(echo, NULL);
    unsigned port = bide_server_port(server);
    int fd = join(port);
    until_connections(server, 1);
    bide_task *forever = waiting(bide_spawn(serves_forever, server));
    bide_task *closed[] = {waiting(bide_spawn(waits_closed, server)),
                           waiting(bide_spawn(waits_closed, server))};
    CHECK_INT(bide_server_close(server), 1);
    CHECK_INT(bide_server_close(server), 0);
    CHECK_INT(bide_server_port(server), 0);
    CHECK_INT(bide_server_addresses(server, &address, 1), 0);
    CHECK_INT(bide_await(forever), 0);
    settle();
    check_refused(port, false);
    CHECK_INT(bide_task_state(closed[0]), BIDE_TASK_WAITING);
    peer_say(fd, "still here\n");
    peer_hears(fd, "still here\n");
    close(fd);
    CHECK_INT(bide_await(closed[0]), 0);
    CHECK_INT(bide_await(closed[1]), 0);
    CHECK_INT(bide_server_forever(server), 0);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}

STREAM_TEST(cancelling_forever_closes_the_server)
{
    bide_server *server = serve(echo, NULL);
    unsigned port = bide_server_port(server);
    int fd = join(port);
    until_connections(server, 1);
    bide_task *forever = waiting(bide_spawn(serves_forever, server));
    CHECK_INT(bide_cancel(forever), 1);
    CHECK_INT(bide_await(forever), -ECANCELED);
    CHECK_INT(bide_server_port(server), 0);
    settle();
    check_refused(port, false);
    peer_say(fd, "still here\n");
    peer_hears(fd, "still here\n");
    close(fd);
    end(server);
    server = serve(echo, NULL);
    CHECK_INT(bide_within(0, bide_server_forever(server)), -ETIMEDOUT);
    CHECK_INT(bide_server_port(server), 0);
    end(server);
}

STREAM_TEST(cancelling_a_wait_for_the_end_ends_the_wait_alone)
{
    bide_server *server = serve(echo, NULL);
    int fd = join(bide_server_port(server));
    bide_task *closed = waiting(bide_spawn(waits_closed, server));
    CHECK_INT(bide_cancel(closed), 1);
    CHECK_INT(bide_await(closed), -ECANCELED);
    CHECK_INT(bide_within(0, bide_server_wait_closed(server)), -ETIMEDOUT);
    peer_say(fd, "open\n");
    peer_hears(fd, "open\n");
    close(fd);
    end(server);
}

/* What the handler's calls came to when it was cancelled. */
static int said_goodbye(bide_stream *stream, void *data)
{
    char byte;
    int rc = bide_read(stream, &byte, 1);
    *(int *)data = rc;
    if (rc == -ECANCELED)
        CHECK_INT(bide_shielded(5, bide_write(stream, "bye", 3)), 0);
    return rc;
}

STREAM_TEST(connections_are_cancelled_wherever_they_are)
{
    int rc = 1;
    bide_server *server = serve(said_goodbye, &rc);
    int fd = join(bide_server_port(server));
    until_connections(server, 1);
    settle();
    bide_server_cancel(server);
    peer_hears(fd, "bye");
    peer_hears_end(fd);
    CHECK_INT(rc, -ECANCELED);
    until_connections(server, 0);
    bide_server_cancel(server);
    close(fd);
    end(server);
}

static int cancels_at_once(void *server)
{
    bide_server_cancel(server);
    return 0;
}

/* The handler runs all the same, and its first call fails. */
STREAM_TEST(connections_are_cancelled_before_they_begin)
{
    int rc = 1;
    bide_server *server = serve(said_goodbye, &rc);
    bide_loop *loop = bide_loop_current();
    int fd = join(bide_server_port(server));
    while (bide_server_connections(server) == 0) {
        /* runs behind the accepting, and before the new task */
        CHECK_INT(bide_loop_call_soon(loop, cancels_at_once, server, NULL, NULL), 0);
        turns(1);
    }
    bide_server_cancel(server);
    peer_hears(fd, "bye");
    peer_hears_end(fd);
    CHECK_INT(rc, -ECANCELED);
    close(fd);
    end(server);
}

static int fails(bide_stream *stream, void *data)
{
    (void)stream;
    return *(int *)data;
}

STREAM_TEST(a_failed_handler_is_reported_a_broken_connection_is_not)
{
    static const int results[] = {-EPROTO,       -BIDE_EINCOMPLETE, -ECONNRESET, -EPIPE,
                                  -ECONNABORTED, -ECANCELED,        0,           7};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        int rc = results[i];
        char expected[64];
        bide_server *server = serve(fails, &rc);
        int fd = join(bide_server_port(server));
        peer_hears_end(fd);
        until_connections(server, 0);
        settle();
        snprintf(expected, sizeof expected, "task failed and nobody read its result|%d|", rc);
        if (i < 2)
            CHECK_CONTAINS(take_report(), expected);
        CHECK_STR(take_report(), "");
        close(fd);
        end(server);
    }
}

STREAM_TEST(every_interface_means_both_families)
{
    struct bide_address addresses[4];
    char text[BIDE_ADDRESS_TEXT_SIZE];
    char expected[64];
    bide_server *server = serve_with(NULL, echo, NULL, NULL);
    unsigned port = bide_server_port(server);
    CHECK_INT(bide_server_addresses(server, NULL, 0), 2);
    CHECK_INT(bide_server_addresses(server, addresses, 4), 2);
    for (int i = 0; i < 2; i++) {
        snprintf(expected, sizeof expected, i == 0 ? "0.0.0.0:%u" : "[::]:%u", port);
        bide_address_print(&addresses[i], text, sizeof text);
        CHECK_STR(text, expected);
    }
    for (int i = 0; i < 2; i++) {
        int fd = client_socket(i == 1);
        CHECK_INT(try_join(fd, port, i == 1), 0);
        peer_prepare(fd);
        peer_say(fd, "hello\n");
        peer_hears(fd, "hello\n");
        close(fd);
    }
    end(server);
}

STREAM_TEST(one_family_is_enough)
{
    struct bide_server_opts opts = {.family = BIDE_IPV4};
    bide_server *server = serve_with("", echo, NULL, &opts);
    CHECK_INT(bide_server_addresses(server, NULL, 0), 1);
    check_refused(bide_server_port(server), true);
    end(server);
    opts.family = BIDE_IPV6;
    server = serve_with(NULL, echo, NULL, &opts);
    CHECK_INT(bide_server_addresses(server, NULL, 0), 1);
    check_refused(bide_server_port(server), false);
    end(server);
    server = serve_with("::1", echo, NULL, NULL);
    check_refused(bide_server_port(server), false);
    int fd = client_socket(true);
    CHECK_INT(try_join(fd, bide_server_port(server), true), 0);
    close(fd);
    end(server);
}

STREAM_TEST(a_host_may_be_a_name)
{
    bide_server *server = serve_with("localhost", echo, NULL, NULL);
    int fd = join(bide_server_port(server));
    peer_say(fd, "hello\n");
    peer_hears(fd, "hello\n");
    close(fd);
    end(server);
}

STREAM_TEST(an_address_that_is_taken)
{
    char expected[64];
    bide_server *second;
    bide_server *server = serve(echo, NULL);
    unsigned port = bide_server_port(server);
    int n_fds = count_fds();
    CHECK_INT(bide_serve("127.0.0.1", port, echo, NULL, NULL, &second), -EADDRINUSE);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", port);
    CHECK_STR(bide_error_detail(), expected);
    CHECK_INT(bide_serve(NULL, port, echo, NULL, NULL, &second), -EADDRINUSE);
    CHECK_INT(bide_serve("192.0.2.1", 0, echo, NULL, NULL, &second), -EADDRNOTAVAIL);
    CHECK_STR(bide_error_detail(), "192.0.2.1:0");
    CHECK_INT(count_fds(), n_fds);
    end(server);
    CHECK_INT(bide_serve("127.0.0.1", port, echo, NULL, NULL, &second), 0); /* right away */
    CHECK_INT(bide_server_port(second), port);
    end(second);
}

STREAM_TEST(a_port_may_be_shared_on_purpose)
{
    static const struct bide_server_opts opts = {.reuse_port = true};
    bide_server *second;
    bide_server *server = serve_with("127.0.0.1", echo, NULL, &opts);
    unsigned port = bide_server_port(server);
    CHECK_INT(bide_serve("127.0.0.1", port, echo, NULL, NULL, &second), -EADDRINUSE);
    CHECK_INT(bide_serve("127.0.0.1", port, echo, NULL, &opts, &second), 0);
    end(server);
    int fd = join(port);
    peer_say(fd, "second\n");
    peer_hears(fd, "second\n");
    close(fd);
    end(second);
}

STREAM_TEST(a_freed_server_goes_with_its_last_connection)
{
    bide_server *server = serve(echo, NULL);
    unsigned port = bide_server_port(server);
    int fds[] = {join(port), join(port)};
    until_connections(server, 2);
    bide_server_free(server);
    settle();
    check_refused(port, false);
    for (int i = 0; i < 2; i++) {
        peer_say(fds[i], "hello\n");
        peer_hears(fds[i], "hello\n");
        CHECK_INT(shutdown(fds[i], SHUT_WR), 0);
        peer_hears_end(fds[i]);
        close(fds[i]);
    }
    settle();
}

static int frees_its_server(bide_stream *stream, void *data)
{
    bide_server **server = data;
    bide_server_free(*server);
    return bide_write(stream, "gone", 4);
}

STREAM_TEST(a_handler_may_free_its_server)
{
    bide_server *server = NULL;
    server = serve(frees_its_server, &server);
    int fd = join(bide_server_port(server));
    peer_hears(fd, "gone");
    peer_hears_end(fd);
    close(fd);
    settle();
}

STREAM_TEST(somebody_waits_for_a_server_that_is_freed)
{
    bide_server *server = serve(echo, NULL);
    int fd = join(bide_server_port(server));
    until_connections(server, 1);
    bide_task *forever = waiting(bide_spawn(serves_forever, server));
    bide_task *closed = waiting(bide_spawn(waits_closed, server));
    bide_server_free(server);
    CHECK_INT(bide_await(forever), 0);
    close(fd);
    CHECK_INT(bide_await(closed), 0);
}

static int answers_at_length(bide_stream *stream, void *data)
{
    char *line;
    int rc = bide_read_line(stream, &line);
    return rc < 0 ? rc : bide_write(stream, data, 200 * KIB);
}

/* The client has said more than the handler wanted to know. */
STREAM_TEST(a_short_conversation_loses_nothing)
{
    static char bytes[200 * KIB];
    bide_server *server = serve(answers_at_length, bytes);
    pattern_fill(bytes, 0, sizeof bytes);
    int fd = join(bide_server_port(server));
    peer_say(fd, "one\ntwo\nthree\n");
    settle();
    peer_hears_pattern(fd, 0, sizeof bytes);
    peer_hears_end(fd);
    close(fd);
    end(server);
}

STREAM_TEST(connections_are_served_in_the_order_of_their_arrival)
{
    static const struct bide_server_opts opts = {.connections_max = 1};
    enum { CLIENTS = 10 };
    int fds[CLIENTS];
    bide_server *server = serve_with("127.0.0.1", echo, NULL, &opts);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = join(bide_server_port(server));
        peer_say(fds[i], "hello\n");
    }
    for (int i = 0; i < CLIENTS; i++) {
        peer_hears(fds[i], "hello\n");
        close(fds[i]);
    }
    end(server);
}

STREAM_TEST(senseless_arguments_are_refused)
{
    static const struct bide_server_opts senseless[] = {
        {.family = (enum bide_family)9},
        {.backlog = -1},
        {.stack_size = 1000},
        {.stack_size = SIZE_MAX},
        {.stream.linger_seconds = -1},
        {.stream.write_low_bytes = SIZE_MAX},
    };
    bide_server *server;
    CHECK_INT(bide_serve(NULL, 0, NULL, NULL, NULL, &server), -EINVAL);
    CHECK_INT(bide_serve(NULL, 0, echo, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_serve(NULL, 65536, echo, NULL, NULL, &server), -EINVAL);
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        CHECK_INT(bide_serve(NULL, 0, echo, NULL, &senseless[i], &server), -EINVAL);
    CHECK_INT(bide_server_close(NULL), -EINVAL);
    CHECK_INT(bide_server_forever(NULL), -EINVAL);
    CHECK_INT(bide_server_wait_closed(NULL), -EINVAL);
    CHECK_INT(bide_server_port(NULL), 0);
    CHECK_INT(bide_server_connections(NULL), 0);
    CHECK_INT(bide_server_addresses(NULL, NULL, 0), 0);
    bide_server_cancel(NULL);
    bide_server_free(NULL);
}

STREAM_TEST(connections_can_have_stacks_of_their_own_size)
{
    static const struct bide_server_opts opts = {.stack_size = 512 * KIB};
    bide_server *server = serve_with("127.0.0.1", echo, NULL, &opts);
    int fd = join(bide_server_port(server));
    peer_say(fd, "roomy\n");
    peer_hears(fd, "roomy\n");
    close(fd);
    end(server);
}

/* A loop that ends while clients are being served */

static bide_async(leaves_connections, (int *, fds), (int, n), (int *, rc))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_server *server = serve(said_goodbye, rc);
    for (int i = 0; i < n; i++)
        fds[i] = join(bide_server_port(server));
    until_connections(server, (size_t)n);
    bide_server_free(server);
    return 0;
}

BIDE_TEST(a_loop_that_ends_lets_its_connections_say_goodbye)
{
    int fds[3];
    int rc = 0;
    CHECK_INT(bide_run_with(NULL, leaves_connections, fds, 3, &rc), 0);
    CHECK_INT(rc, -ECANCELED);
    for (int i = 0; i < 3; i++) {
        char got[8] = "";
        CHECK_INT(recv(fds[i], got, sizeof got, MSG_WAITALL), 3);
        CHECK_STR(got, "bye");
        close(fds[i]);
    }
    rig_end();
}
