/*
 * What the two raw echo servers share: options, the listening socket, and the report at the end.
 * They are the yardstick for bide's own echo server, so that nothing here runs per request.
 */
#ifndef BENCH_RAW_ECHO_H
#define BENCH_RAW_ECHO_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct raw_echo {
    int port;            /* 0: an ephemeral one */
    int cpu;             /* -1: not pinned */
    size_t size_message; /* bytes per request, to count by */
    bool by_call;        /* uring only: every answer by send(2) */
    size_t size_buffer;  /* uring only; 0: as large as a message, or a page */
    int listener;
    int signals;
    uint64_t n_bytes;
};

static inline void raw_echo_require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

static inline void raw_echo_parse(struct raw_echo *echo, int argc, char **argv)
{
    *echo = (struct raw_echo){.cpu = -1, .size_message = 64};
    for (int option; (option = getopt(argc, argv, "p:k:s:b:c")) != -1;) {
        switch (option) {
        case 'p':
            echo->port = atoi(optarg);
            break;
        case 'k':
            echo->cpu = atoi(optarg);
            break;
        case 's':
            echo->size_message = strtoul(optarg, NULL, 10);
            break;
        case 'b':
            echo->size_buffer = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            echo->by_call = true;
            break;
        default:
            fprintf(stderr,
                    "usage: %s [-p port] [-k cpu] [-s message-bytes] [-b buffer-bytes] "
                    "[-c (send by system call)]\n",
                    argv[0]);
            exit(2);
        }
    }
    if (echo->size_message == 0) {
        fprintf(stderr, "%s: sizes start at 1\n", argv[0]);
        exit(2);
    }
    if (echo->size_buffer == 0)
        echo->size_buffer = echo->size_message < 4096 ? 4096 : echo->size_message;
}

/* Pins, listens, prints the port, and turns SIGTERM and SIGINT into a readable descriptor. */
static inline void raw_echo_open(struct raw_echo *echo, int argc, char **argv)
{
    raw_echo_parse(echo, argc, argv);
    if (echo->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)echo->cpu, &set);
        raw_echo_require(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
    }
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    echo->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    raw_echo_require(echo->signals >= 0, "signalfd");

    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)echo->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int one = 1;
    echo->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    raw_echo_require(echo->listener >= 0, "socket");
    setsockopt(echo->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    raw_echo_require(bind(echo->listener, (struct sockaddr *)&address, length) == 0, "bind");
    raw_echo_require(listen(echo->listener, 4096) == 0, "listen");
    raw_echo_require(getsockname(echo->listener, (struct sockaddr *)&address, &length) == 0,
                     "getsockname");
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static inline void raw_echo_no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static inline void raw_echo_report(const struct raw_echo *echo)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double user_s = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
    double system_s = (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    double n_requests = (double)echo->n_bytes / (double)echo->size_message;
    double cpu_s = user_s + system_s;
    printf("requests %.0f cpu_s %.3f user_s %.3f requests_per_cpu_s %.0f\n", n_requests, cpu_s,
           user_s, cpu_s > 0 ? n_requests / cpu_s : 0);
}

#endif
