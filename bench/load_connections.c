/*
 * `load connect`: so many connections at a time, each of which is opened, asks once, has its answer
 * and is closed by this side; then the next takes its place.
 */
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };

struct visitor {
    int fd;
    size_t n_back;
    bool asked;
    int64_t begun_ns;
};

static const struct load_options *options;
static int epoll_fd;
static char *message;
static char *answer;
static int n_begun;
static uint64_t n_done;
static struct latency latency;

static void visit(struct visitor *visitor)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = visitor};
    *visitor = (struct visitor){.begun_ns = clock_ns(CLOCK_MONOTONIC)};
    visitor->fd = load_connect(options, n_begun, n_begun == 0 ? 0 : SOCK_NONBLOCK);
    n_begun++;
    require(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, visitor->fd, &event) == 0, "epoll_ctl");
}

static void ask(struct visitor *visitor)
{
    ssize_t n = send(visitor->fd, message, options->size, MSG_NOSIGNAL);
    require(n >= 0, "send");
    fail_unless((size_t)n == options->size, "a message that does not fit into an empty socket");
    visitor->asked = true;
}

static void receive(struct visitor *visitor)
{
    ssize_t n = recv(visitor->fd, answer, options->size - visitor->n_back, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    require(n >= 0, "recv");
    fail_unless(n > 0, "the server closed a connection");
    visitor->n_back += (size_t)n;
    if (visitor->n_back < options->size)
        return;
    close(visitor->fd);
    latency_add(&latency, clock_ns(CLOCK_MONOTONIC) - visitor->begun_ns);
    n_done++;
    visit(visitor);
}

static void run_for(double seconds)
{
    int64_t end = clock_ns(CLOCK_MONOTONIC) + (int64_t)(seconds * 1e9);
    while (clock_ns(CLOCK_MONOTONIC) < end) {
        struct epoll_event events[EVENTS_MAX];
        int n_events = epoll_wait(epoll_fd, events, EVENTS_MAX, 100);
        require(n_events >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < n_events; i++) {
            struct visitor *visitor = events[i].data.ptr;
            if (!visitor->asked && (events[i].events & EPOLLOUT))
                ask(visitor);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(visitor);
        }
    }
}

void load_connections(const struct load_options *wanted)
{
    struct load_window window;
    options = wanted;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    message = malloc(options->size);
    answer = malloc(options->size);
    struct visitor *visitors = calloc((size_t)options->n_connections, sizeof *visitors);
    require(epoll_fd >= 0 && message && answer && visitors, "load_connections");
    memset(message, 'x', options->size);
    message[options->size - 1] = '\n';
    for (int i = 0; i < options->n_connections; i++)
        visit(&visitors[i]);
    run_for(options->seconds / 5);
    n_done = 0;
    latency = (struct latency){0};
    window_open(&window, options);
    run_for(options->seconds);
    window_close(&window, options);
    window_print(&window, n_done, &latency);
    free(visitors);
    free(message);
    free(answer);
}
