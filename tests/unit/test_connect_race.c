/*
 * Scenario: names with several addresses of loopback, of which some do not answer and some refuse,
 * are connected to on the kernel's engines; the C library's resolver is replaced by one that reads
 * the addresses out of the name. Claim: as in the simulation, and no descriptor is left.
 */
#include "stream_rig.h"

#include <netdb.h>

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    char copy[256];
    char *save;
    struct addrinfo **end = ret_list;
    snprintf(copy, sizeof copy, "%s", host);
    for (char *at = strtok_r(copy, ",", &save); at; at = strtok_r(NULL, ",", &save)) {
        struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in6));
        struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6,
                                    .sin6_port = htons((uint16_t)atoi(service))};
        struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = ipv6.sin6_port};
        bool is_ipv4 = inet_pton(AF_INET, at, &ipv4.sin_addr) == 1;
        CHECK(is_ipv4 || inet_pton(AF_INET6, at, &ipv6.sin6_addr) == 1);
        *info = (struct addrinfo){.ai_family = is_ipv4 ? AF_INET : AF_INET6,
                                  .ai_socktype = hints->ai_socktype,
                                  .ai_addrlen = is_ipv4 ? sizeof ipv4 : sizeof ipv6,
                                  .ai_addr = (struct sockaddr *)(info + 1)};
        memcpy(info + 1, is_ipv4 ? (void *)&ipv4 : (void *)&ipv6, info->ai_addrlen);
        *end = info;
        end = &info->ai_next;
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

/* Addresses of one port: the first answers nobody, the second is served. */
static struct {
    int listener;
    int fillers[4];
    bide_server *server;
    unsigned port;
    int n_fds;
} net;

static int waits_for_end(bide_stream *stream, void *data)
{
    char byte;
    (void)data;
    return bide_read(stream, &byte, 1);
}

static void net_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, "127.0.0.2", &address.sin_addr);
    CHECK_INT(bide_serve("127.0.0.3", 0, waits_for_end, NULL, NULL, &net.server), 0);
    net.port = bide_server_port(net.server);
    address.sin_port = htons((uint16_t)net.port);
    net.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(net.listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(net.listener, 0), 0);
    for (int i = 0; i < 4; i++) {
        net.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        CHECK(connect(net.fillers[i], (struct sockaddr *)&address, sizeof address) == 0 ||
              errno == EINPROGRESS);
    }
    settle();
    net.n_fds = count_fds();
}

static void net_close(void)
{
    CHECK_INT(count_fds(), net.n_fds);
    for (int i = 0; i < 4; i++)
        close(net.fillers[i]);
    close(net.listener);
    bide_server_close(net.server);
    CHECK_INT(bide_server_wait_closed(net.server), 0);
    bide_server_free(net.server);
}

static double reach(const char *host, const struct bide_connect_opts *opts)
{
    bide_stream *stream = NULL;
    struct bide_address peer;
    char text[BIDE_ADDRESS_TEXT_SIZE];
    char expected[64];
    double before = bide_time();
    CHECK_INT(bide_connect(host, net.port, opts, &stream), 0);
    double took = bide_time() - before;
    CHECK_INT(bide_stream_peer(stream, &peer), 0);
    snprintf(expected, sizeof expected, "127.0.0.3:%u", net.port);
    bide_address_print(&peer, text, sizeof text);
    CHECK_STR(text, expected);
    CHECK_INT(bide_close(stream), 0);
    while (bide_server_connections(net.server) > 0)
        turns(1);
    settle();
    return took;
}

STREAM_TEST(an_address_that_does_not_answer_is_overtaken)
{
    const struct bide_connect_opts hasty = {.attempt_seconds = TICKS(2)};
    net_open();
    CHECK(reach("127.0.0.2,127.0.0.3", &hasty) >= TICKS(2));
    CHECK(reach("127.0.0.2,127.0.0.3", NULL) >= 0.25);
    CHECK(reach("127.0.0.2,127.0.0.2,127.0.0.3", &hasty) >= 2 * TICKS(2));
    net_close();
}

STREAM_TEST(an_address_that_refuses_holds_nobody_up)
{
    static const struct bide_connect_opts patient = {.attempt_seconds = 3600};
    net_open();
    reach("127.0.0.4,::1,127.0.0.3", &patient);
    reach("127.0.0.3,127.0.0.2", &patient);
    net_close();
}

STREAM_TEST(all_refuse)
{
    bide_stream *stream = NULL;
    char expected[200];
    net_open();
    CHECK_INT(bide_connect("127.0.0.4,::1", net.port, NULL, &stream), -ECONNREFUSED);
    snprintf(expected, sizeof expected,
             "127.0.0.4:%u: Connection refused, [::1]:%u: Connection refused", net.port, net.port);
    CHECK_STR(bide_error_detail(), expected);
    CHECK_PTR(stream, NULL);
    net_close();
}

static bide_async(connects, (const char *, host), (bide_stream **, ret_stream))
{
    const struct bide_connect_opts hasty = {.attempt_seconds = TICKS(1)};
    return bide_connect(host, net.port, &hasty, ret_stream);
}

STREAM_TEST(attempts_that_are_cancelled_leave_nothing)
{
    bide_stream *stream = NULL;
    net_open();
    for (int n = 1; n <= 3; n++) {
        bide_task *task = waiting(bide_spawn(connects, "127.0.0.2,127.0.0.2,127.0.0.2", &stream));
        while (count_fds() < net.n_fds + n)
            turns(1);
        CHECK_INT(bide_cancel(task), 1);
        CHECK_INT(bide_await(task), -ECANCELED);
        CHECK_INT(count_fds(), net.n_fds);
        CHECK_PTR(stream, NULL);
    }
    net_close();
}

STREAM_TEST(the_local_address_is_the_one_asked_for)
{
    struct bide_address local;
    struct bide_address mine;
    struct bide_connect_opts opts = {.local = &local};
    bide_stream *stream = NULL;
    char text[BIDE_ADDRESS_TEXT_SIZE];
    net_open();
    CHECK_INT(bide_resolve("127.0.0.9", 0, BIDE_ANY_FAMILY, &local, 1), 1);
    CHECK_INT(bide_connect("127.0.0.3", net.port, &opts, &stream), 0);
    CHECK_INT(bide_stream_local(stream, &mine), 0);
    bide_address_print(&mine, text, sizeof text);
    CHECK_CONTAINS(text, "127.0.0.9:");
    CHECK_INT(bide_close(stream), 0);
    CHECK_INT(bide_connect("::1,127.0.0.3", net.port, &opts, &stream), 0);
    CHECK_INT(bide_close(stream), 0);
    CHECK_INT(bide_resolve("192.0.2.1", 0, BIDE_ANY_FAMILY, &local, 1), 1);
    stream = NULL;
    CHECK_INT(bide_connect("127.0.0.3", net.port, &opts, &stream), -EADDRNOTAVAIL);
    CHECK_PTR(stream, NULL);
    settle();
    net_close();
}

static bide_async(is_stuck)
{
    static bide_stream *stream;
    return bide_shielded(INFINITY, connects("127.0.0.2,127.0.0.2", &stream));
}

static bide_async(leaves_attempts, (int, n))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    net_open();
    bide_detach(waiting(bide_spawn(is_stuck)));
    while (count_fds() < net.n_fds + n)
        turns(1);
    bide_server_free(net.server);
    for (int i = 0; i < 4; i++)
        close(net.fillers[i]);
    close(net.listener);
    return 0;
}

BIDE_TEST(a_loop_that_ends_closes_what_is_under_way)
{
    static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};
    int n_fds = count_fds();
    for (int n = 1; n <= 2; n++) {
        CHECK_INT(bide_run_with(&impatient, leaves_attempts, n), 0);
        CHECK(*take_report());
        CHECK_INT(count_fds(), n_fds);
    }
    rig_end();
}
