/*
 * Load for echo servers: each connection sends one message, waits for all of it to come back, and
 * sends the next. One thread, epoll; prints the requests per second that came back within the time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };

struct connection {
    int fd;
    size_t n_sent;
    size_t n_back;
    bool full;
};

static struct {
    const char *host;
    int port;
    int cpu;
    int n_connections;
    size_t size_message;
    double seconds;
} options = {.host = "127.0.0.1", .cpu = -1, .n_connections = 1, .size_message = 64, .seconds = 2};

static int epoll_fd;
static char *message;
static char *answer;
static uint64_t n_requests;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void parse(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "h:p:k:c:s:d:")) != -1;) {
        switch (option) {
        case 'h':
            options.host = optarg;
            break;
        case 'p':
            options.port = atoi(optarg);
            break;
        case 'k':
            options.cpu = atoi(optarg);
            break;
        case 'c':
            options.n_connections = atoi(optarg);
            break;
        case 's':
            options.size_message = strtoul(optarg, NULL, 10);
            break;
        case 'd':
            options.seconds = atof(optarg);
            break;
        default:
            options.port = 0;
            optind = argc;
        }
    }
    if (options.port > 0 && options.n_connections > 0 && options.size_message > 0)
        return;
    fprintf(stderr,
            "usage: %s -p port [-h address] [-k cpu] [-c connections] [-s bytes] [-d seconds]\n",
            argv[0]);
    exit(2);
}

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    require(epoll_ctl(epoll_fd, operation, connection->fd, &event) == 0, "epoll_ctl");
}

/* Sends what is left of the message, and asks for writability only while the socket is full. */
static void push(struct connection *connection)
{
    ssize_t n = send(connection->fd, message + connection->n_sent,
                     options.size_message - connection->n_sent, MSG_NOSIGNAL);
    require(n >= 0 || errno == EAGAIN, "send");
    connection->n_sent += n < 0 ? 0 : (size_t)n;
    bool full = connection->n_sent < options.size_message;
    if (full != connection->full)
        watch(connection, EPOLL_CTL_MOD, full ? EPOLLIN | EPOLLOUT : EPOLLIN);
    connection->full = full;
}

static void pull(struct connection *connection)
{
    ssize_t n = recv(connection->fd, answer, options.size_message - connection->n_back, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    require(n >= 0, "recv");
    if (n == 0) {
        fprintf(stderr, "echo_client: the server closed a connection\n");
        exit(1);
    }
    connection->n_back += (size_t)n;
    if (connection->n_back < options.size_message)
        return;
    n_requests++;
    connection->n_back = 0;
    connection->n_sent = 0;
    push(connection);
}

static void connection_open(struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    require(inet_pton(AF_INET, options.host, &address.sin_addr) == 1, "address");
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(connection->fd >= 0, "socket");
    require(connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
    int one = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    require(fcntl(connection->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    if (options.cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)options.cpu, &set);
        require(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    require(epoll_fd >= 0, "epoll_create1");
    message = malloc(options.size_message);
    answer = malloc(options.size_message);
    struct connection *connections = calloc((size_t)options.n_connections, sizeof(*connections));
    require(message && answer && connections, "malloc");
    memset(message, 'x', options.size_message);
    for (int i = 0; i < options.n_connections; i++)
        connection_open(&connections[i]);
    for (int i = 0; i < options.n_connections; i++)
        push(&connections[i]);

    struct epoll_event events[EVENTS_MAX];
    double start_s = now_s();
    double elapsed_s;
    while ((elapsed_s = now_s() - start_s) < options.seconds) {
        int n_events = epoll_wait(epoll_fd, events, EVENTS_MAX, 100);
        require(n_events >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < n_events; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                push(connection);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                pull(connection);
        }
    }
    printf("requests_per_s %.0f requests %llu seconds %.3f\n", (double)n_requests / elapsed_s,
           (unsigned long long)n_requests, elapsed_s);
    return 0;
}
