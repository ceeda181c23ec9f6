/*
 * What the tests of streams share: connections of which bide has one end as a stream and the test
 * the other as a plain descriptor, coroutines around the calls under test, and ways to let
 * something happen at a moment of the test's choice.
 *
 * Invariant: a test that leaves a descriptor open, or a report untaken, fails. The engine is the
 * one that BIDE_ENGINE names; the same claims hold for each.
 */
#ifndef BIDE_TEST_STREAM_RIG_H
#define BIDE_TEST_STREAM_RIG_H

#include <bide/address.h>
#include <bide/server.h>
#include <bide/stream.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "task_rig.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* How many descriptors this process has open. */
static RIG_UNUSED int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder);
    int n = 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

#define STREAM_TEST TASK_TEST
#define STREAM_TEST_SECONDS TASK_TEST_SECONDS

/* The test's end of a connection. It never blocks the thread: the calls below give up turns. */

static RIG_UNUSED void peer_prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    CHECK_INT(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* not every socket knows it */
}

static RIG_UNUSED void peer_send(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            FAIL("send: %s", strerror(errno));
        if (n > 0)
            done += (size_t)n;
        else
            turns(1);
    }
}

static RIG_UNUSED void peer_say(int fd, const char *text)
{
    peer_send(fd, text, strlen(text));
}

/* At least one byte, 0 at the end, or a negative errno. */
static RIG_UNUSED ssize_t peer_recv(int fd, void *buffer, size_t size)
{
    for (;;) {
        ssize_t n = recv(fd, buffer, size, 0);
        if (n >= 0 || errno != EAGAIN)
            return n >= 0 ? n : -errno;
        turns(1);
    }
}

static RIG_UNUSED void peer_recv_exactly(int fd, void *buffer, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = peer_recv(fd, (char *)buffer + done, size - done);
        CHECK_RANGE(n, 1, size - done);
        done += (size_t)n;
    }
}

/* The next that comes is this text. */
static RIG_UNUSED void peer_hears(int fd, const char *text)
{
    char got[256] = "";
    CHECK(strlen(text) < sizeof got);
    peer_recv_exactly(fd, got, strlen(text));
    CHECK_STR(got, text);
}

static RIG_UNUSED void peer_hears_end(int fd)
{
    char byte;
    CHECK_INT(peer_recv(fd, &byte, 1), 0);
}

/* Closes so that the stream sees a reset. */
static RIG_UNUSED void peer_reset(int fd)
{
    struct linger now = {.l_onoff = 1};
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

/* A sequence in which no stretch of bytes is like another one nearby. */
static RIG_UNUSED char pattern_at(size_t i)
{
    return (char)((i * 2654435761u) >> 13);
}

static RIG_UNUSED void pattern_fill(char *buffer, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer[i] = pattern_at(from + i);
}

static RIG_UNUSED void pattern_check(const char *buffer, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (buffer[i] != pattern_at(from + i))
            FAIL("byte %zu is wrong", from + i);
}

/* Reads so many bytes of the pattern, from its byte `from` on. */
static RIG_UNUSED void peer_hears_pattern(int fd, size_t from, size_t size)
{
    static char buffer[64 * KIB];
    while (size > 0) {
        ssize_t n = peer_recv(fd, buffer, size < sizeof buffer ? size : sizeof buffer);
        CHECK_RANGE(n, 1, size);
        pattern_check(buffer, from, (size_t)n);
        from += (size_t)n;
        size -= (size_t)n;
    }
}

/* Connections */

struct pair {
    bide_stream *stream;
    int peer;
};

static RIG_UNUSED void set_buffer(int fd, int name, int bytes)
{
    if (bytes > 0)
        CHECK_INT(setsockopt(fd, SOL_SOCKET, name, &bytes, sizeof bytes), 0);
}

/* A TCP connection on loopback; kernel_bytes: what its buffers are asked to hold, 0 for the
 * default. */
static RIG_UNUSED void connection_open(int fds[2], int kernel_bytes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0);
    set_buffer(listener, SO_RCVBUF, kernel_bytes);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(listener, 1), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fds[0] >= 0);
    set_buffer(fds[0], SO_SNDBUF, kernel_bytes);
    CHECK_INT(connect(fds[0], (struct sockaddr *)&address, length), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fds[1] >= 0);
    close(listener);
    peer_prepare(fds[1]);
}

static RIG_UNUSED struct pair pair_of(const int fds[2], const struct bide_stream_opts *opts)
{
    struct pair pair = {.peer = fds[1]};
    CHECK_INT(bide_stream_adopt(fds[0], opts, &pair.stream), 0);
    return pair;
}

static RIG_UNUSED struct pair pair_open_with(const struct bide_stream_opts *opts)
{
    int fds[2];
    connection_open(fds, 0);
    return pair_of(fds, opts);
}

static RIG_UNUSED struct pair pair_open(void)
{
    return pair_open_with(NULL);
}

/* One whose kernel buffers hold a few KiB, so that a peer that does not read is felt soon. */
static RIG_UNUSED struct pair narrow_open_with(const struct bide_stream_opts *opts)
{
    int fds[2];
    connection_open(fds, 4096);
    return pair_of(fds, opts);
}

static RIG_UNUSED struct pair narrow_open(void)
{
    return narrow_open_with(NULL);
}

static RIG_UNUSED void pair_close(struct pair *pair)
{
    if (pair->peer >= 0)
        close(pair->peer);
    bide_abort(pair->stream);
    CHECK_INT(bide_close(pair->stream), 0);
}

/* The calls under test as coroutines. */

static RIG_UNUSED bide_async(reads, (bide_stream *, stream), (void *, buffer), (size_t, size))
{
    return bide_read(stream, buffer, size);
}

static RIG_UNUSED bide_async(reads_exactly, (bide_stream *, stream), (void *, buffer),
                             (size_t, size))
{
    return bide_read_exactly(stream, buffer, size);
}

static RIG_UNUSED bide_async(reads_line, (bide_stream *, stream), (char **, ret_line))
{
    return bide_read_line(stream, ret_line);
}

static RIG_UNUSED bide_async(reads_until, (bide_stream *, stream), (const char *, separator),
                             (char **, ret_data))
{
    return bide_read_until(stream, separator, strlen(separator), ret_data);
}

static RIG_UNUSED bide_async(writes, (bide_stream *, stream), (const void *, data), (size_t, size))
{
    return bide_write(stream, data, size);
}

static RIG_UNUSED bide_async(drains, (bide_stream *, stream))
{
    return bide_drain(stream);
}

static RIG_UNUSED bide_async(ends_writing, (bide_stream *, stream))
{
    return bide_write_eof(stream);
}

static RIG_UNUSED bide_async(closes, (bide_stream *, stream))
{
    return bide_close(stream);
}

/* Lets the task begin and run until it waits. */
static RIG_UNUSED void until_waiting(bide_task *task)
{
    while (bide_task_state(task) == BIDE_TASK_SCHEDULED)
        turns(1);
    CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
}

static RIG_UNUSED bide_task *waiting(bide_task *task)
{
    CHECK(task);
    until_waiting(task);
    return task;
}

/*
 * Everything that the kernel had to tell about what was done before has reached the loop: bytes
 * that were sent later, on a connection of the same kind, were waited for and came.
 */
static RIG_UNUSED void settle(void)
{
    struct pair pair = pair_open();
    for (int i = 0; i < 3; i++) {
        char byte;
        bide_task *reader = waiting(bide_spawn(reads, pair.stream, &byte, 1));
        peer_say(pair.peer, "x");
        CHECK_INT(bide_await(reader), 1);
    }
    pair_close(&pair);
}

/*
 * Waits until what the task waited for has happened. It has not gone on: the next to run is the
 * caller, because its own turn was queued before.
 */
static RIG_UNUSED void until_scheduled(bide_task *task)
{
    while (bide_task_state(task) == BIDE_TASK_WAITING)
        turns(1);
    CHECK_INT(bide_task_state(task), BIDE_TASK_SCHEDULED);
}

/* Writes bytes of the pattern until the kernel takes no more and no more may be buffered: how many.
 */
static RIG_UNUSED size_t stuff(bide_stream *stream)
{
    static char bytes[512];
    size_t n = 0;
    for (int n_refused = 0; n_refused < 3;) {
        pattern_fill(bytes, n, sizeof bytes);
        int rc = bide_offer(stream, bytes, sizeof bytes);
        if (rc == 0) {
            n += sizeof bytes;
            n_refused = 0;
            continue;
        }
        CHECK_INT(rc, -EAGAIN);
        n_refused++;
        settle();
    }
    return n;
}

#endif
