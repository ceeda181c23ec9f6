/*
 * Scenario: connecting to names and addresses that answer, refuse, take long or do not exist, with
 * cancels and limits on the way.
 * Claim: a call that succeeds hands over a stream, and one that fails leaves nothing behind and
 * says why.
 */
#include "stream_rig.h"

#include <sys/resource.h>

static int greet(bide_stream *stream, void *data)
{
    char byte;
    (void)data;
    int rc = bide_write(stream, "hello", 5);
    return rc < 0 ? rc : bide_read(stream, &byte, 1);
}

static bide_server *serve(const char *host)
{
    bide_server *server = NULL;
    CHECK_INT(bide_serve(host, 0, greet, NULL, NULL, &server), 0);
    return server;
}

static void end(bide_server *server)
{
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}

static void connect_and_be_greeted(const char *host, unsigned port,
                                   const struct bide_connect_opts *opts)
{
    bide_stream *stream;
    char got[8];
    CHECK_INT(bide_connect(host, port, opts, &stream), 0);
    CHECK_INT(bide_read_exactly(stream, got, 5), 5);
    CHECK_MEM(got, "hello", 5);
    CHECK_INT(bide_close(stream), 0);
}

STREAM_TEST(addresses_and_names_are_connected_to)
{
    static const struct bide_connect_opts ipv4 = {.family = BIDE_IPV4};
    bide_server *server = serve(NULL);
    unsigned port = bide_server_port(server);
    connect_and_be_greeted("127.0.0.1", port, NULL);
    connect_and_be_greeted("::1", port, NULL);
    connect_and_be_greeted("localhost", port, NULL);
    connect_and_be_greeted("localhost", port, &ipv4);
    end(server);
}

STREAM_TEST(the_peer_is_who_was_asked_for)
{
    struct bide_address address;
    bide_stream *stream;
    bide_server *server = serve("::1");
    char text[BIDE_ADDRESS_TEXT_SIZE];
    char expected[64];
    CHECK_INT(bide_connect("::1", bide_server_port(server), NULL, &stream), 0);
    CHECK_INT(bide_stream_peer(stream, &address), 0);
    snprintf(expected, sizeof expected, "[::1]:%u", bide_server_port(server));
    CHECK_INT(bide_address_print(&address, text, sizeof text), strlen(expected));
    CHECK_STR(text, expected);
    CHECK_INT(bide_close(stream), 0);
    end(server);
}

STREAM_TEST(options_reach_the_stream)
{
    static const struct bide_connect_opts opts = {.stream = {.read_limit_bytes = 3}};
    bide_stream *stream;
    char *data;
    bide_server *server = serve("127.0.0.1");
    CHECK_INT(bide_connect("127.0.0.1", bide_server_port(server), &opts, &stream), 0);
    CHECK_INT(bide_read_until(stream, "o", 1, &data), -BIDE_ELIMIT);
    CHECK_INT(bide_close(stream), 0);
    end(server);
}

/* A port of loopback where nobody listens. */
static unsigned free_port(void)
{
    bide_server *server = serve(NULL);
    unsigned port = bide_server_port(server);
    end(server);
    settle();
    return port;
}

STREAM_TEST(a_refusal_is_told_with_the_address)
{
    bide_stream *stream = NULL;
    char expected[64];
    unsigned port = free_port();
    int n_fds = count_fds();
    CHECK_INT(bide_connect("127.0.0.1", port, NULL, &stream), -ECONNREFUSED);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", port);
    CHECK_STR(bide_error_detail(), expected);
    CHECK_INT(bide_connect("::1", port, NULL, &stream), -ECONNREFUSED);
    snprintf(expected, sizeof expected, "[::1]:%u", port);
    CHECK_STR(bide_error_detail(), expected);
    CHECK_INT(bide_connect("localhost", port, NULL, &stream), -ECONNREFUSED);
    CHECK_PTR(stream, NULL);
    CHECK_INT(count_fds(), n_fds);
}

STREAM_TEST(a_name_that_does_not_exist)
{
    bide_stream *stream = NULL;
    int n_fds = count_fds();
    int rc = bide_connect("something.invalid", 80, NULL, &stream);
    /* What there is to say depends on whether there is a name server. */
    CHECK(rc == -BIDE_ENONAME || rc == -BIDE_ENAMEAGAIN || rc == -BIDE_ENAMEFAIL);
    CHECK_CONTAINS(bide_error_detail(), "something.invalid: ");
    CHECK_PTR(stream, NULL);
    CHECK_INT(count_fds(), n_fds);
}

STREAM_TEST(an_address_of_the_wrong_family_is_no_name)
{
    static const struct bide_connect_opts ipv6 = {.family = BIDE_IPV6};
    static const struct bide_connect_opts ipv4 = {.family = BIDE_IPV4};
    bide_stream *stream;
    CHECK_INT(bide_connect("127.0.0.1", 80, &ipv6, &stream), -BIDE_ENONAME);
    CHECK_INT(bide_connect("::1", 80, &ipv4, &stream), -BIDE_ENONAME);
}

/* A listener that takes no connection before it is asked to. */
struct busy {
    int listener;
    unsigned port;
    int fillers[4];
};

static struct busy busy_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct busy busy = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK_INT(bind(busy.listener, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(busy.listener, 0), 0);
    CHECK_INT(getsockname(busy.listener, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < 4; i++) {
        busy.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        CHECK(connect(busy.fillers[i], (struct sockaddr *)&address, length) == 0 ||
              errno == EINPROGRESS);
    }
    busy.port = ntohs(address.sin_port);
    return busy;
}

/* Everybody who asks from now on, too, if it is called again. */
static void busy_let_in(struct busy *busy)
{
    for (int i = 0; i < 4; i++) {
        if (busy->fillers[i] >= 0)
            close(busy->fillers[i]);
        busy->fillers[i] = -1;
    }
    CHECK_INT(fcntl(busy->listener, F_SETFL, O_NONBLOCK), 0);
    int fd;
    while ((fd = accept4(busy->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(fd);
}

static bide_async(connects, (unsigned, port), (bide_stream **, ret_stream))
{
    return bide_connect("127.0.0.1", port, NULL, ret_stream);
}

STREAM_TEST(a_cancelled_connect_leaves_nothing)
{
    struct busy busy = busy_open();
    bide_stream *stream = NULL;
    int n_fds = count_fds();
    for (int i = 0; i < 3; i++) {
        bide_task *task = waiting(bide_spawn(connects, busy.port, &stream));
        settle();
        CHECK_INT(count_fds(), n_fds + 1);
        CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), -ECANCELED);
        CHECK_INT(count_fds(), n_fds);
        CHECK_PTR(stream, NULL);
    }
    CHECK_INT(bide_within(0.01, connects(busy.port, &stream)), -ETIMEDOUT);
    CHECK_INT(count_fds(), n_fds);
    busy_let_in(&busy);
    close(busy.listener);
}

STREAM_TEST(a_cancelled_task_does_not_begin_to_connect)
{
    bide_stream *stream = NULL;
    bide_server *server = serve("127.0.0.1");
    CHECK_INT(bide_within(0, connects(bide_server_port(server), &stream)), -ETIMEDOUT);
    CHECK_PTR(stream, NULL);
    CHECK_INT(bide_server_connections(server), 0);
    end(server);
}

/* The kernel tries again after a second. */
STREAM_TEST(a_connection_that_was_made_wins_over_a_cancel)
{
    struct busy busy = busy_open();
    bide_stream *stream = NULL;
    bide_task *task = waiting(bide_spawn(connects, busy.port, &stream));
    settle();
    while (bide_task_state(task) == BIDE_TASK_WAITING) {
        busy_let_in(&busy);
        turns(1);
    }
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 0);
    CHECK(stream);
    bide_abort(stream);
    CHECK_INT(bide_close(stream), 0);
    close(busy.listener);
}

STREAM_TEST(no_descriptor_is_left_to_connect_with)
{
    bide_stream *stream = NULL;
    struct rlimit limit;
    struct rlimit none;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    bide_server *server = serve("127.0.0.1");
    none.rlim_cur = (rlim_t)dup(0);
    close((int)none.rlim_cur);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_INT(connects(bide_server_port(server), &stream), -EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    connect_and_be_greeted("127.0.0.1", bide_server_port(server), NULL);
    end(server);
}

STREAM_TEST(senseless_arguments_are_refused)
{
    static const struct bide_connect_opts senseless[] = {
        {.family = (enum bide_family)9},
        {.stream = {.linger_seconds = -1}},
        {.stream = {.write_high_bytes = 1, .write_low_bytes = 2}},
    };
    bide_stream *stream = NULL;
    bide_server *server = serve("127.0.0.1");
    unsigned port = bide_server_port(server);
    CHECK_INT(bide_connect(NULL, port, NULL, &stream), -EINVAL);
    CHECK_INT(bide_connect("", port, NULL, &stream), -EINVAL);
    CHECK_INT(bide_connect("127.0.0.1", 0, NULL, &stream), -EINVAL);
    CHECK_INT(bide_connect("127.0.0.1", 65536, NULL, &stream), -EINVAL);
    CHECK_INT(bide_connect("127.0.0.1", port, NULL, NULL), -EINVAL);
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        CHECK_INT(bide_connect("127.0.0.1", port, &senseless[i], &stream), -EINVAL);
    CHECK_PTR(stream, NULL);
    settle();
    CHECK_INT(bide_server_connections(server), 0);
    end(server);
}
