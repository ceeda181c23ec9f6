/*
 * The load on the servers that are measured: one thread on raw epoll, none of bide in it. Each
 * connection asks, waits for the whole answer, and asks again.
 *
 *     load echo|line|http|connect|idle -p port -P server's-pid [-c connections] [-s bytes]
 *          [-n requests-at-once] [-r requests-per-second] [-d seconds]
 *
 * echo, line: a message of -s bytes, which comes back; a line ends with a newline. http: GET /text.
 * connect: a new connection for each message. idle: -c connections that were used once.
 *
 * All connections are open and warm before anything counts; then requests, times of answers, and
 * the processor time of the server are taken over the same stretch of time. With -r, requests are
 * due at even intervals, and the time of an answer counts from when its request was due, whether or
 * not a connection was free then: a server that stalls cannot hide who had to wait.
 * Prints one JSON object.
 */
#include "load.h"
#include "latency.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, BATCH = 100, ANSWER_MAX = 256 * 1024 };

static const char http_request[] = "GET /text HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

struct connection {
    int fd;
    size_t n_sent;
    size_t n_back;
    bool full;      /* waits for room to send */
    int64_t due_ns; /* what its answer's time counts from; -1: it is free */
    struct connection *next_free;
};

static struct load_options options;
static int epoll_fd;
static char *request; /* all that is sent at once */
static size_t request_bytes;
static char *answer;
static size_t answer_bytes; /* of all that is asked at once; http: unknown until the first */
static struct connection *connections;
static int n_open;
static uint64_t n_answered; /* requests */
static struct latency latency;

static struct connection *free_ones; /* with -r, and in no particular order */
static int64_t next_due_ns;
static int64_t interval_ns; /* 0: as fast as it goes */
static bool paced;

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    require(epoll_ctl(epoll_fd, operation, connection->fd, &event) == 0, "epoll_ctl");
}

static void push(struct connection *connection)
{
    ssize_t n = send(connection->fd, request + connection->n_sent,
                     request_bytes - connection->n_sent, MSG_NOSIGNAL);
    require(n >= 0 || errno == EAGAIN, "send");
    connection->n_sent += n < 0 ? 0 : (size_t)n;
    bool full = connection->n_sent < request_bytes;
    if (full != connection->full)
        watch(connection, EPOLL_CTL_MOD, full ? EPOLLIN | EPOLLOUT : EPOLLIN);
    connection->full = full;
}

static void ask(struct connection *connection, int64_t due_ns)
{
    connection->due_ns = due_ns;
    connection->n_back = 0;
    connection->n_sent = 0;
    push(connection);
}

/* Gives free connections the requests that are due. */
static void ask_what_is_due(int64_t now)
{
    while (free_ones && next_due_ns <= now) {
        struct connection *connection = free_ones;
        free_ones = connection->next_free;
        ask(connection, next_due_ns);
        next_due_ns += interval_ns;
    }
}

static void answered(struct connection *connection)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    n_answered += options.n_at_once;
    latency_add(&latency, now - connection->due_ns);
    connection->due_ns = -1;
    if (!paced) {
        ask(connection, now);
        return;
    }
    connection->next_free = free_ones;
    free_ones = connection;
    ask_what_is_due(now);
}

/* Every answer starts where it should: otherwise their lengths differ, and counting is wrong. */
static void check_start(const struct connection *connection, size_t n)
{
    static const char start[] = "HTTP/1.1 200 ";
    if (options.mode == LOAD_HTTP && connection->n_back == 0 && n >= sizeof start - 1)
        fail_unless(memcmp(answer, start, sizeof start - 1) == 0, "an answer is not a 200");
}

static void pull(struct connection *connection)
{
    ssize_t n = recv(connection->fd, answer, answer_bytes - connection->n_back, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    require(n >= 0, "recv");
    fail_unless(n > 0, "the server closed a connection");
    fail_unless(connection->due_ns >= 0, "the server said more than it was asked");
    check_start(connection, (size_t)n);
    connection->n_back += (size_t)n;
    if (connection->n_back == answer_bytes)
        answered(connection);
}

static void turn(int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n_events = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms);
    require(n_events >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < n_events; i++) {
        struct connection *connection = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            push(connection);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            pull(connection);
    }
}

/* Length of one answer with its head, from the first that comes. */
static size_t http_answer_bytes(int fd)
{
    size_t size = 0;
    for (;;) {
        ssize_t n = recv(fd, answer + size, ANSWER_MAX - size - 1, 0);
        fail_unless(n > 0, "no answer to the first request");
        size += (size_t)n;
        answer[size] = '\0';
        char *end = strstr(answer, "\r\n\r\n");
        char *field = end ? strcasestr(answer, "\r\nContent-Length:") : NULL;
        fail_unless(!end || field, "an answer without Content-Length");
        if (!end)
            continue;
        size_t whole = (size_t)(end + 4 - answer) + strtoul(field + 17, NULL, 10);
        if (size == whole)
            return whole;
    }
}

static struct connection *open_one(void)
{
    struct connection *connection = &connections[n_open];
    *connection = (struct connection){.due_ns = -1};
    connection->fd = load_connect(&options, n_open, 0);
    n_open++;
    if (options.mode == LOAD_HTTP && n_open == 1) {
        size_t size = sizeof http_request - 1;
        require(send(connection->fd, http_request, size, 0) == (ssize_t)size, "send");
        answer_bytes = http_answer_bytes(connection->fd) * options.n_at_once;
        fail_unless(answer_bytes <= ANSWER_MAX, "the answers are too long");
    }
    require(fcntl(connection->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    return connection;
}

/* Opens so many in batches, each asked once: the server has taken them before more come. */
static void open_until(int n)
{
    while (n_open < n) {
        int batch_end = n_open + BATCH < n ? n_open + BATCH : n;
        n_answered = 0;
        uint64_t n_wanted = (uint64_t)(batch_end - n_open) * options.n_at_once;
        paced = true; /* nobody asks twice */
        interval_ns = INT64_MAX / 2;
        while (n_open < batch_end)
            ask(open_one(), clock_ns(CLOCK_MONOTONIC));
        next_due_ns = INT64_MAX;
        while (n_answered < n_wanted)
            turn(1000);
    }
}

static void run_for(double seconds)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    int64_t end = now + (int64_t)(seconds * 1e9);
    while ((now = clock_ns(CLOCK_MONOTONIC)) < end) {
        if (paced)
            ask_what_is_due(now);
        turn(paced ? 0 : 100);
    }
}

/* From nobody asking to all that are to ask. */
static void begin(void)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    paced = options.per_second > 0;
    interval_ns = paced ? (int64_t)(1e9 / options.per_second) : 0;
    next_due_ns = now;
    while (!paced && free_ones) {
        struct connection *connection = free_ones;
        free_ones = connection->next_free;
        ask(connection, now);
    }
}

static void load_requests(void)
{
    struct load_window window;
    open_until(options.n_connections);
    begin();
    run_for(options.seconds / 5);
    n_answered = 0;
    latency = (struct latency){0};
    window_open(&window, &options);
    run_for(options.seconds);
    window_close(&window, &options);
    window_print(&window, n_answered, &latency);
}

static void load_idle(void)
{
    int n_before = options.n_connections / 10;
    open_until(n_before);
    double before = resident_bytes(options.server);
    open_until(options.n_connections);
    double bytes = resident_bytes(options.server) - before;
    printf("{\"connections\": %d, \"bytes\": %.1f}\n", options.n_connections,
           bytes / (options.n_connections - n_before));
}

static void make_request(void)
{
    const char *one = http_request;
    size_t size = sizeof http_request - 1;
    char *message = NULL;
    if (options.mode != LOAD_HTTP) {
        one = message = malloc(options.size);
        require(message != NULL, "malloc");
        memset(message, 'x', options.size);
        if (options.mode == LOAD_LINE)
            message[options.size - 1] = '\n';
        size = options.size;
    }
    request_bytes = size * options.n_at_once;
    answer_bytes = request_bytes;
    request = malloc(request_bytes);
    answer = malloc(answer_bytes > ANSWER_MAX ? answer_bytes : ANSWER_MAX);
    connections = calloc((size_t)options.n_connections, sizeof *connections);
    require(request && answer && connections, "malloc");
    for (unsigned i = 0; i < options.n_at_once; i++)
        memcpy(request + i * size, one, size);
    free(message);
}

int main(int argc, char **argv)
{
    load_parse(&options, argc, argv);
    if (options.mode == LOAD_CONNECT) {
        load_connections(&options);
        return 0;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    require(epoll_fd >= 0, "epoll_create1");
    make_request();
    if (options.mode == LOAD_IDLE)
        load_idle();
    else
        load_requests();
    return 0;
}
