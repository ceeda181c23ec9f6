/*
 * An echo of WebSocket messages, beside the loop that one would write by hand over epoll with the
 * same framing: processor time of the server per message. The clients are a process of their own,
 * each with one message on the way.
 *
 *     websocket [raw|bide [SIZE [CONNECTIONS [ROUNDS]]]]
 *
 * with arguments runs one server alone, for callgrind.
 */
#include <bide/http_server.h>
#include <bide/task.h>
#include <bide/websocket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, HEAD_MAX = 14, BUFFER = 65536, EVENTS = 64 };

static size_t message_size = 64;
static int n_connections = 64, n_rounds = 3000;
static int report_fd;

static const char request[] =
    "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

static size_t head_write(char *to, size_t size, unsigned masked)
{
    to[0] = (char)0x82;
    if (size < 126) {
        to[1] = (char)(size | masked);
        return 2;
    }
    to[1] = (char)(126 | masked);
    to[2] = (char)(size >> 8);
    to[3] = (char)size;
    return 4;
}

/* The clients */

static void send_all(int fd, const char *data, size_t size)
{
    for (ssize_t n; size > 0; data += n, size -= (size_t)n)
        require((n = send(fd, data, size, MSG_NOSIGNAL)) > 0, "send");
}

static void receive_all(int fd, size_t size)
{
    static char nowhere[BUFFER];
    require(recv(fd, nowhere, size, MSG_WAITALL) == (ssize_t)size, "recv");
}

static int client_connect(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char byte;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    require(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    send_all(fd, request, sizeof request - 1);
    for (int matched = 0; matched < 4;) {
        require(recv(fd, &byte, 1, 0) == 1, "recv");
        matched = byte == "\r\n\r\n"[matched] ? matched + 1 : byte == '\r';
    }
    return fd;
}

static int clients(uint16_t port)
{
    static int fds[CONNECTIONS_MAX];
    static char frame[HEAD_MAX + BUFFER];
    size_t n = head_write(frame, message_size, 0x80);
    size_t answer = n + message_size;
    memcpy(frame + n, "\x11\x22\x33\x44", 4);
    memset(frame + n + 4, 'm', message_size);
    for (int i = 0; i < n_connections; i++)
        fds[i] = client_connect(port);
    for (int round = 0; round < n_rounds; round++) {
        for (int i = 0; i < n_connections; i++)
            send_all(fds[i], frame, n + 4 + message_size);
        for (int i = 0; i < n_connections; i++)
            receive_all(fds[i], answer);
    }
    return 0;
}

/* Forks the clients off; 0 in the server. */
static pid_t clients_fork(uint16_t port)
{
    pid_t pid = fork();
    require(pid >= 0, "fork");
    if (pid == 0)
        _exit(clients(port));
    return pid;
}

static void report(const char *name)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                     (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    double n = (double)n_connections * n_rounds / seconds;
    printf("%-16s %6zu bytes %10.0f messages per second of the server's processor\n", name,
           message_size, n);
    fflush(stdout);
    require(write(report_fd, &n, sizeof n) == sizeof n, "write");
}

/* By hand */

struct raw {
    int fd;
    bool is_open;
    size_t size;
    char in[2 * BUFFER];
};

static void unmask(char *to, const char *from, size_t size, const char *mask)
{
    uint32_t half;
    uint64_t key, word;
    size_t i = 0;
    memcpy(&half, mask, 4);
    key = (uint64_t)half << 32 | half;
    for (; size - i >= 8; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= key;
        memcpy(to + i, &word, 8);
    }
    for (; i < size; i++)
        to[i] = (char)(from[i] ^ mask[i & 3]);
}

/* Whole frames of `raw->in`, answered with one send. */
static bool raw_answer(struct raw *raw)
{
    static char out[2 * BUFFER];
    size_t at = 0, n = 0;
    while (raw->size - at >= 2) {
        const unsigned char *head = (const unsigned char *)raw->in + at;
        size_t size = head[1] & 127, skip = 2;
        if (size == 126) {
            if (raw->size - at < 4)
                break;
            size = (size_t)head[2] << 8 | head[3];
            skip = 4;
        }
        if (raw->size - at < skip + 4 + size)
            break;
        n += head_write(out + n, size, 0);
        unmask(out + n, raw->in + at + skip + 4, size, raw->in + at + skip);
        n += size;
        at += skip + 4 + size;
    }
    memmove(raw->in, raw->in + at, raw->size - at);
    raw->size -= at;
    return n == 0 || send(raw->fd, out, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool raw_readable(struct raw *raw)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    ssize_t n = recv(raw->fd, raw->in + raw->size, sizeof raw->in - raw->size, 0);
    if (n <= 0)
        return false;
    raw->size += (size_t)n;
    if (raw->is_open)
        return raw_answer(raw);
    if (raw->size < sizeof request - 1)
        return true;
    raw->is_open = true;
    raw->size = 0;
    return send(raw->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) > 0;
}

static void raw_serve(int listener)
{
    int epoll = epoll_create1(0), n_ended = 0;
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    while (n_ended < n_connections) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct raw *raw = events[i].data.ptr;
            if (!raw) {
                raw = malloc(sizeof *raw);
                require(raw != NULL, "malloc");
                raw->is_open = false;
                raw->size = 0;
                raw->fd = accept(listener, NULL, NULL);
                event.data.ptr = raw;
                int yes = 1;
                setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                epoll_ctl(epoll, EPOLL_CTL_ADD, raw->fd, &event);
            } else if (!raw_readable(raw)) {
                close(raw->fd);
                free(raw);
                n_ended++;
            }
        }
    }
}

static int run_raw(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    require(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 256) == 0,
            "listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    pid_t pid = clients_fork(ntohs(address.sin_port));
    raw_serve(listener);
    waitpid(pid, NULL, 0);
    report("by hand");
    return 0;
}

/* By bide */

static int n_ended;

static int echo(bide_http_request *asked, void *data)
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    int rc = bide_websocket_accept(asked, NULL, &ws);
    if (rc < 0)
        return rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0) {
        rc = bide_websocket_send(ws, message.type, message.data, message.size);
        if (rc < 0)
            break;
    }
    bide_websocket_free(ws);
    if (++n_ended == n_connections)
        bide_http_server_close(*(bide_http_server **)data);
    return rc;
}

bide_async(serve)
{
    static bide_http_server *server;
    bide_http_app *app;
    int rc = bide_http_app_new(NULL, &app);
    if (rc < 0)
        return rc;
    bide_http_route(app, "GET", "/echo", echo, &server, NULL);
    rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
    if (rc < 0)
        return rc;
    pid_t pid = clients_fork((uint16_t)bide_http_server_port(server));
    bide_http_server_wait_closed(server);
    rc = bide_http_server_free(server);
    waitpid(pid, NULL, 0);
    bide_http_app_free(app);
    report("bide");
    return rc;
}

/* A server in a process of its own: its messages per second. */
static double measure(bool is_raw)
{
    int fds[2];
    double n = 0;
    require(pipe(fds) == 0, "pipe");
    report_fd = fds[1];
    fflush(stdout);
    pid_t pid = fork();
    require(pid >= 0, "fork");
    if (pid == 0)
        exit(is_raw ? run_raw() : bide_run(serve));
    require(read(fds[0], &n, sizeof n) == sizeof n, "read");
    waitpid(pid, NULL, 0);
    close(fds[0]);
    close(fds[1]);
    return n;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {64, 16384};
    if (argc > 1) {
        message_size = argc > 2 ? strtoul(argv[2], NULL, 10) : message_size;
        n_connections = argc > 3 ? atoi(argv[3]) : n_connections;
        n_rounds = argc > 4 ? atoi(argv[4]) : n_rounds;
        int fds[2];
        require(pipe(fds) == 0, "pipe");
        report_fd = fds[1];
        return strcmp(argv[1], "raw") == 0 ? run_raw() : bide_run(serve);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double best[2] = {0, 0};
        message_size = sizes[i];
        n_rounds = i == 0 ? 3000 : 1000;
        for (int round = 0; round < 3; round++)
            for (int raw = 0; raw < 2; raw++) {
                double n = measure(raw);
                best[raw] = n > best[raw] ? n : best[raw];
            }
        printf("%zu bytes: %.2f of the loop by hand\n", sizes[i], best[0] / best[1]);
    }
    return 0;
}
