/*
 * The least that a server can do: epoll by hand, and the same answer to whatever ends with an empty
 * line. What bench/run.py compares with. Prints its port and serves until it is killed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, FDS_MAX = 65536, IN_BYTES = 16384 };

#define ANSWER \
    "HTTP/1.1 200 OK\r\nServer: raw\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" \
    "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n\r\nHello, World!"

/* How much of the empty line has come, per descriptor. */
static unsigned char matched[FDS_MAX];

static size_t count_requests(int fd, const char *data, size_t size)
{
    size_t n = 0;
    unsigned char state = matched[fd];
    if (state == 0 && size >= 4 && memcmp(data + size - 4, "\r\n\r\n", 4) == 0) {
        for (const char *at = data; (at = memmem(at, (size_t)(data + size - at), "\r\n\r\n", 4));
             at += 4)
            n++;
        return n;
    }
    for (size_t i = 0; i < size; i++) {
        char wanted = state % 2 ? '\n' : '\r';
        state = data[i] == wanted ? (unsigned char)(state + 1) : data[i] == '\r';
        if (state == 4) {
            n++;
            state = 0;
        }
    }
    matched[fd] = state;
    return n;
}

static bool serve(int fd)
{
    static char in[IN_BYTES];
    static char out[IN_BYTES / 16 * (sizeof ANSWER - 1)];
    ssize_t size = recv(fd, in, sizeof in, 0);
    if (size <= 0)
        return false;
    size_t n = count_requests(fd, in, (size_t)size), out_size = 0;
    for (size_t i = 0; i < n && out_size + sizeof ANSWER <= sizeof out; i++) {
        memcpy(out + out_size, ANSWER, sizeof ANSWER - 1);
        out_size += sizeof ANSWER - 1;
    }
    return send(fd, out, out_size, MSG_NOSIGNAL) == (ssize_t)out_size;
}

static void accept_all(int epoll, int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        int yes = 1;
        if (fd >= FDS_MAX) {
            close(fd);
            continue;
        }
        matched[fd] = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1024) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else if (!serve(events[i].data.fd))
                close(events[i].data.fd);
        }
    }
}
