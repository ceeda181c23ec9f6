/*
 * An echo of 64-byte UDP messages: a task with bide_datagram_receive() and _offer(), transports'
 * callbacks, and beside them a bare epoll loop with recvfrom() and sendto(). Server and client are
 * processes on different processors; the client keeps WINDOW messages on their way. Rounds take
 * turns; the medians are compared, of messages per second and of the server's processor time per
 * message, which others on the machine disturb less.
 */
#include <bide.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64, WINDOW = 32, ROUNDS = 7, KINDS = 3 };
#define ROUND_SECONDS 0.3

static const char *const names[KINDS] = {"bare epoll", "task", "callbacks"};

static void pin(unsigned processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void tell_port(int out, unsigned port)
{
    if (write(out, &port, sizeof port) != sizeof port)
        exit(1);
}

static void serve_bare(int out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (bind(fd, (struct sockaddr *)&address, length) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
        epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
        exit(1);
    tell_port(out, ntohs(address.sin_port));
    for (;;) {
        char message[2048];
        epoll_wait(set, &event, 1, -1);
        for (;;) {
            length = sizeof address;
            ssize_t n = recvfrom(fd, message, sizeof message, 0, (struct sockaddr *)&address,
                                 &length);
            if (n < 0)
                break;
            sendto(fd, message, (size_t)n, 0, (struct sockaddr *)&address, length);
        }
    }
}

bide_async(serve_task, (int, out))
{
    bide_datagram *endpoint;
    struct bide_address address;
    int rc = bide_datagram_open("127.0.0.1", 0, NULL, &endpoint);
    if (rc < 0)
        return rc;
    bide_datagram_local(endpoint, &address);
    tell_port(out, bide_address_port(&address));
    for (;;) {
        char message[2048];
        int n = bide_datagram_receive(endpoint, message, sizeof message, &address);
        if (n < 0)
            return n;
        bide_datagram_offer(endpoint, message, (size_t)n, &address);
    }
}

static bide_datagram_transport *transport;

static void answer(void *data, const void *bytes, size_t size, const struct bide_address *from)
{
    (void)data;
    bide_datagram_transport_send(transport, bytes, size, from);
}

static void serve_callbacks(int out)
{
    static const struct bide_datagram_protocol protocol = {.datagram_received = answer};
    bide_loop *loop;
    struct bide_address address;
    if (bide_loop_new(NULL, &loop) < 0 ||
        bide_loop_datagram(loop, NULL, NULL, &protocol, NULL, NULL, &transport) < 0 ||
        bide_datagram_transport_local(transport, &address) < 0)
        exit(1);
    tell_port(out, bide_address_port(&address));
    bide_loop_run_forever(loop);
}

static void serve(int kind, int out)
{
    pin(0);
    if (kind == 0)
        serve_bare(out);
    else if (kind == 1)
        bide_run(serve_task, out);
    else
        serve_callbacks(out);
    exit(1);
}

/* How many answers came, and in which time. */
static long measure(unsigned port, double *ret_seconds)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char message[SIZE] = "";
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct timeval limit = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        exit(1);
    for (int i = 0; i < WINDOW; i++)
        send(fd, message, sizeof message, 0);
    long n = 0;
    double begin = now();
    while (n % 1000 != 0 || n == 0 || now() - begin < ROUND_SECONDS) {
        if (recv(fd, message, sizeof message, 0) != SIZE)
            exit(1);
        send(fd, message, sizeof message, 0);
        n++;
    }
    *ret_seconds = now() - begin;
    close(fd);
    return n;
}

static void run_round(int kind, double *ret_rate, double *ret_cost_us)
{
    int ends[2];
    unsigned port;
    if (pipe(ends) < 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0)
        serve(kind, ends[1]);
    if (read(ends[0], &port, sizeof port) != sizeof port)
        exit(1);
    double seconds;
    struct rusage usage;
    long n = measure(port, &seconds);
    kill(pid, SIGKILL);
    wait4(pid, NULL, 0, &usage);
    *ret_rate = (double)n / seconds;
    *ret_cost_us = (1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)) /
                   (double)n;
    close(ends[0]);
    close(ends[1]);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(void)
{
    double rates[KINDS][ROUNDS], costs[KINDS][ROUNDS];
    pin(1);
    for (int round = 0; round < ROUNDS; round++)
        for (int kind = 0; kind < KINDS; kind++)
            run_round(kind, &rates[kind][round], &costs[kind][round]);
    for (int kind = 0; kind < KINDS; kind++) {
        qsort(rates[kind], ROUNDS, sizeof rates[kind][0], compare);
        qsort(costs[kind], ROUNDS, sizeof costs[kind][0], compare);
        double rate = rates[kind][ROUNDS / 2], cost = costs[kind][ROUNDS / 2];
        printf("%-10s %8.0f messages/s, %.2f of the bare loop; %5.2f us each, %.2f of the bare\n",
               names[kind], rate, rate / rates[0][ROUNDS / 2], cost, costs[0][ROUNDS / 2] / cost);
    }
    return 0;
}
