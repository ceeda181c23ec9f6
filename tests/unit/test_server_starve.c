/*
 * Scenario: more clients come to a server than there are descriptors for.
 * Claim: this is reported once, the others wait in the kernel, and each that leaves lets the next
 * one in.
 */
#include "stream_rig.h"

#include <sys/resource.h>

enum { CLIENTS = 8, SPARE = 3 };

static int echo(bide_stream *stream, void *data)
{
    char bytes[64];
    int n;
    (void)data;
    while ((n = bide_read(stream, bytes, sizeof bytes)) > 0) {
        int rc = bide_write(stream, bytes, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static void join(int fd, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    peer_prepare(fd);
    peer_say(fd, "hello\n");
}

static void set_fd_limit(int n)
{
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)n;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void starve(bide_server *server)
{
    int fds[CLIENTS];
    char expected[128];
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int next = dup(0);
    close(next);
    set_fd_limit(next + SPARE);
    for (int i = 0; i < CLIENTS; i++)
        join(fds[i], bide_server_port(server));
    while (bide_server_connections(server) < SPARE)
        turns(1);
    for (int i = 0; i < SPARE; i++)
        peer_hears(fds[i], "hello\n");
    snprintf(expected, sizeof expected, "server can't accept connections for now|%d|127.0.0.1:%u|",
             -EMFILE, bide_server_port(server));
    CHECK_CONTAINS(take_report(), expected);
    for (int i = SPARE; i < CLIENTS; i++) {
        CHECK_INT(bide_server_connections(server), SPARE);
        shutdown(fds[i - SPARE], SHUT_WR);
        peer_hears_end(fds[i - SPARE]);
        peer_hears(fds[i], "hello\n");
    }
    CHECK_STR(take_report(), "");
    set_fd_limit(1024);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    while (bide_server_connections(server) > 0)
        turns(1);
    settle();
}

STREAM_TEST(a_server_without_descriptors_says_so_once_and_recovers)
{
    bide_server *server;
    CHECK_INT(bide_serve("127.0.0.1", 0, echo, NULL, NULL, &server), 0);
    settle();
    starve(server);
    starve(server); /* and says so again when it happens again */
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}
