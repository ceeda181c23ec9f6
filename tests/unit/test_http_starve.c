/*
 * Scenario: more clients come to an HTTP server than there are descriptors for, again and again,
 * and a handler that needs one of its own finds none.
 * Claim: this is reported once each time; those who came in are answered, the handler's failure
 * included; the others are as soon as somebody leaves; and then everything is as before.
 */
#include <bide/http_files.h>

#include "http_rig.h"

#include <sys/resource.h>

enum { CLIENTS = 8, SPARE = 3 };

static int hello(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, "hello");
}

static int file(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_file(request, "/proc/self/exe", NULL);
}

static void set_fd_limit(int n)
{
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)n;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void asks(int fd, const char *path)
{
    char text[128];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
    peer_say(fd, text);
}

static int status(int fd)
{
    char answer[1024];
    ssize_t n = peer_recv(fd, answer, sizeof answer - 1);
    CHECK_RANGE(n, 12, sizeof answer);
    answer[n] = '\0';
    return http_status_of(answer);
}

static void starve(void)
{
    int fds[CLIENTS];
    char expected[128];
    unsigned port = bide_http_server_port(rig_server);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int next = dup(0);
    close(next);
    set_fd_limit(next + SPARE);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_INT(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
        peer_prepare(fds[i]);
        asks(fds[i], "/");
    }
    for (int i = 0; i < SPARE; i++)
        CHECK_INT(status(fds[i]), 200);
    snprintf(expected, sizeof expected, "server can't accept connections for now|%d|127.0.0.1:%u|",
             -EMFILE, port);
    const char *report;
    while (!*(report = take_report()))
        turns(1);
    CHECK_CONTAINS(report, expected);
    CHECK_STR(take_report(), "");
    asks(fds[0], "/file");
    CHECK_INT(status(fds[0]), 500);
    CHECK_CONTAINS(take_report(), "a request's handler failed|-24|GET /file: ");
    asks(fds[0], "/");
    CHECK_INT(status(fds[0]), 200);
    for (int i = SPARE; i < CLIENTS; i++) {
        shutdown(fds[i - SPARE], SHUT_WR);
        peer_hears_end(fds[i - SPARE]);
        CHECK_INT(status(fds[i]), 200);
    }
    CHECK_STR(take_report(), "");
    set_fd_limit(1024);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    while (bide_http_server_connections(rig_server) > 0)
        turns(1);
    settle();
}

STREAM_TEST(without_descriptors_it_says_so_once_and_recovers)
{
    http_app();
    http_route("GET", "/", hello);
    http_route("GET", "/file", file);
    http_begin(NULL);
    settle();
    for (int i = 0; i < 3; i++)
        starve();
    CHECK_INT(http_status_of(http_get("/file")), 200);
    http_end();
}
