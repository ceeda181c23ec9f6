/*
 * What the tests of bare sockets share: connections of which bide has both ends, so that they run
 * in simulation as well, and coroutines around the calls under test.
 */
#ifndef BIDE_TEST_SOCKET_RIG_H
#define BIDE_TEST_SOCKET_RIG_H

#include <bide/socket.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "task_rig.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* On loopback, any port. */
static RIG_UNUSED struct bide_address loopback(void)
{
    struct sockaddr_in bytes = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct bide_address address = {.length = sizeof bytes};
    memcpy(address.bytes, &bytes, sizeof bytes);
    return address;
}

static RIG_UNUSED bide_socket *socket_new(int type)
{
    bide_socket *socket = NULL;
    CHECK_INT(bide_socket_open(AF_INET, type, 0, &socket), 0);
    return socket;
}

/* One that listens, and where. */
static RIG_UNUSED bide_socket *listener_new(int backlog, struct bide_address *ret_address)
{
    struct bide_address any = loopback();
    bide_socket *listener = socket_new(SOCK_STREAM);
    CHECK_INT(bide_socket_bind(listener, &any), 0);
    CHECK_INT(bide_socket_listen(listener, backlog), 0);
    CHECK_INT(bide_socket_local(listener, ret_address), 0);
    return listener;
}

struct ends {
    bide_socket *here;
    bide_socket *there;
};

static RIG_UNUSED struct ends ends_open(void)
{
    struct ends ends;
    struct bide_address address;
    bide_socket *listener = listener_new(1, &address);
    ends.here = socket_new(SOCK_STREAM);
    CHECK_INT(bide_socket_connect(ends.here, &address), 0);
    CHECK_INT(bide_socket_accept(listener, &ends.there, NULL), 0);
    bide_socket_close(listener);
    return ends;
}

/* Whose buffers in the kernel are small, so that one who does not read is felt soon. */
static RIG_UNUSED struct ends ends_open_narrow(void)
{
    struct ends ends = ends_open();
    int bytes = 8 * KIB;
    CHECK_INT(bide_socket_setopt(ends.here, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    CHECK_INT(bide_socket_setopt(ends.there, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    return ends;
}

static RIG_UNUSED void ends_close(struct ends *ends)
{
    bide_socket_close(ends->here);
    bide_socket_close(ends->there);
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

/* The next that comes are so many bytes of the pattern, from its byte `from` on. */
static RIG_UNUSED void hears_pattern(bide_socket *socket, size_t from, size_t size)
{
    static char buffer[64 * KIB];
    while (size > 0) {
        int n = bide_socket_receive(socket, buffer, size < sizeof buffer ? size : sizeof buffer);
        CHECK_RANGE(n, 1, size);
        pattern_check(buffer, from, (size_t)n);
        from += (size_t)n;
        size -= (size_t)n;
    }
}

static RIG_UNUSED void says(bide_socket *socket, const char *text)
{
    CHECK_INT(bide_socket_send_all(socket, text, strlen(text), NULL), 0);
}

static RIG_UNUSED void hears_text(bide_socket *socket, const char *text)
{
    char got[256] = "";
    for (size_t n = 0; n < strlen(text);) {
        int rc = bide_socket_receive(socket, got + n, strlen(text) - n);
        CHECK_RANGE(rc, 1, sizeof got);
        n += (size_t)rc;
    }
    CHECK_STR(got, text);
}

static RIG_UNUSED void hears_end(bide_socket *socket)
{
    char byte;
    CHECK_INT(bide_socket_receive(socket, &byte, 1), 0);
}

/* The calls under test as coroutines. */

static RIG_UNUSED bide_async(receives, (bide_socket *, socket), (void *, buffer), (size_t, size))
{
    return bide_socket_receive(socket, buffer, size);
}

static RIG_UNUSED bide_async(accepts, (bide_socket *, socket), (bide_socket **, ret_connection))
{
    return bide_socket_accept(socket, ret_connection, NULL);
}

static RIG_UNUSED bide_async(connects, (bide_socket *, socket), (const struct bide_address *, to))
{
    return bide_socket_connect(socket, to);
}

static RIG_UNUSED bide_async(sends_all, (bide_socket *, socket), (const void *, data),
                             (size_t, size), (size_t *, ret_sent))
{
    return bide_socket_send_all(socket, data, size, ret_sent);
}

static RIG_UNUSED bide_async(sends, (bide_socket *, socket), (const void *, data), (size_t, size))
{
    return bide_socket_send(socket, data, size);
}

static RIG_UNUSED bide_async(receives_from, (bide_socket *, socket), (void *, buffer),
                             (size_t, size))
{
    return bide_socket_receive_from(socket, buffer, size, NULL);
}

/* Lets the task begin and run until it waits. */
static RIG_UNUSED bide_task *waiting(bide_task *task)
{
    CHECK(task);
    while (bide_task_state(task) == BIDE_TASK_SCHEDULED)
        turns(1);
    CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
    return task;
}

/* Waits until what the task waited for has happened. It has not gone on: the next to run is the
 * caller, because its own turn was queued before. */
static RIG_UNUSED void until_scheduled(bide_task *task)
{
    while (bide_task_state(task) == BIDE_TASK_WAITING)
        turns(1);
    CHECK_INT(bide_task_state(task), BIDE_TASK_SCHEDULED);
}

static RIG_UNUSED int cancel_and_await(bide_task *task)
{
    bide_cancel(task);
    return bide_await(task);
}

/* What a call answers that is not to wait: -ECANCELED if it would. */
static RIG_UNUSED int now(bide_task *task)
{
    CHECK(task);
    for (int i = 0; i < 3 && bide_task_state(task) != BIDE_TASK_DONE; i++)
        turns(1);
    return bide_task_state(task) == BIDE_TASK_DONE ? bide_await(task) : cancel_and_await(task);
}

#endif
