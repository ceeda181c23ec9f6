/*
 * The echo server that one would write by hand over epoll: level-triggered, recv and send at once,
 * and only what the kernel does not take is kept until the socket is writable. The yardstick for
 * the epoll engine.
 */
#include "raw_echo.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>

enum { EVENTS_MAX = 256 };

struct connection {
    int fd;
    char *rest; /* what the peer's window had no room for; NULL: nothing */
    size_t rest_size;
    char *line; /* that has begun; NULL: none */
    size_t line_size;
};

static struct raw_echo echo;
static int epoll_fd;
static char *buffer;

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    raw_echo_require(epoll_ctl(epoll_fd, operation, connection->fd, &event) == 0, "epoll_ctl");
}

static void connection_close(struct connection *connection)
{
    close(connection->fd);
    free(connection->rest);
    free(connection->line);
    free(connection);
}

static void accept_all(void)
{
    for (;;) {
        int fd = accept4(echo.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct connection *connection = calloc(1, sizeof(*connection));
        raw_echo_require(connection != NULL, "calloc");
        raw_echo_no_delay(fd);
        connection->fd = fd;
        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* Sends what it can and keeps the rest; false: the connection is gone. */
static bool answer(struct connection *connection, const char *data, size_t size)
{
    ssize_t n = send(connection->fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        return false;
    size_t n_sent = n < 0 ? 0 : (size_t)n;
    if (n_sent == size)
        return true;
    connection->rest_size = size - n_sent;
    connection->rest = malloc(connection->rest_size);
    raw_echo_require(connection->rest != NULL, "malloc");
    memcpy(connection->rest, data + n_sent, connection->rest_size);
    watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
    return true;
}

/* All whole lines go out at once, found one by one; what has begun is kept and comes first. */
static bool readable_lines(struct connection *connection)
{
    size_t held = connection->line_size;
    if (held > 0)
        memcpy(buffer, connection->line, held);
    ssize_t n = recv(connection->fd, buffer + held, echo.options.buffer_bytes - held, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    size_t size = held + (size_t)n, whole = 0;
    for (char *end; (end = memchr(buffer + whole, '\n', size - whole));)
        whole = (size_t)(end + 1 - buffer);
    connection->line_size = size - whole;
    if (connection->line_size > 0 && !connection->line)
        connection->line = malloc(echo.options.buffer_bytes);
    if (connection->line_size > 0)
        memcpy(connection->line, buffer + whole, connection->line_size);
    return whole == 0 || answer(connection, buffer, whole);
}

static bool readable(struct connection *connection)
{
    if (echo.options.by_line)
        return readable_lines(connection);
    ssize_t n = recv(connection->fd, buffer, echo.options.buffer_bytes, 0);
    if (n < 0)
        return errno == EAGAIN;
    return n > 0 && answer(connection, buffer, (size_t)n);
}

static bool writable(struct connection *connection)
{
    char *rest = connection->rest;
    connection->rest = NULL;
    bool alive = answer(connection, rest, connection->rest_size);
    free(rest);
    if (alive && !connection->rest)
        watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    return alive;
}

int main(int argc, char **argv)
{
    raw_echo_open(&echo, argc, argv);
    buffer = malloc(echo.options.buffer_bytes);
    raw_echo_require(buffer != NULL, "malloc");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    raw_echo_require(epoll_fd >= 0, "epoll_create1");
    struct connection listener = {.fd = echo.listener};
    struct connection signals = {.fd = echo.signals};
    watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
    watch(&signals, EPOLL_CTL_ADD, EPOLLIN);

    struct epoll_event events[EVENTS_MAX];
    for (bool stopping = false; !stopping;) {
        int n_events = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        raw_echo_require(n_events >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < n_events; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == &signals)
                stopping = true;
            else if (connection == &listener)
                accept_all();
            else if (!(connection->rest ? writable(connection) : readable(connection)))
                connection_close(connection);
        }
    }
    return 0;
}
