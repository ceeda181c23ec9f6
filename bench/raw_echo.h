/*
 * What the two raw echo servers share: the listening socket, and the end by a signal. They are the
 * yardstick for bide's own echo server, so that nothing here runs per request.
 */
#ifndef BENCH_RAW_ECHO_H
#define BENCH_RAW_ECHO_H

#include "echo_options.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct raw_echo {
    struct echo_options options;
    int listener;
    int signals;
};

static inline void raw_echo_require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

/* Listens, prints the port, and turns SIGTERM and SIGINT into a readable descriptor. */
static inline void raw_echo_open(struct raw_echo *echo, int argc, char **argv)
{
    echo->options = echo_options(argc, argv);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    echo->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    raw_echo_require(echo->signals >= 0, "signalfd");

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    echo->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    raw_echo_require(echo->listener >= 0, "socket");
    raw_echo_require(bind(echo->listener, (struct sockaddr *)&address, length) == 0, "bind");
    raw_echo_require(listen(echo->listener, 4096) == 0, "listen");
    raw_echo_require(getsockname(echo->listener, (struct sockaddr *)&address, &length) == 0,
                     "getsockname");
    say_port(ntohs(address.sin_port));
}

static inline void raw_echo_no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

#endif
