/*
 * Scenario: bare sockets and what only a kernel has: descriptors that come from outside, several
 * kinds of sockets, moments between an event and the task that it wakes.
 * Claim: any socket can be adopted in any state, and nothing else; what happened first counts.
 */
#include "socket_rig.h"

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

TASK_TEST(only_sockets_are_adopted)
{
    bide_socket *socket;
    int fds[2];
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    CHECK_INT(bide_socket_adopt(-1, &socket), -EBADF);
    CHECK_INT(bide_socket_adopt(fds[0], &socket), -ENOTSOCK);
    CHECK_INT(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0); /* it stays as it was */
    close(fds[0]);
    close(fds[1]);
}

TASK_TEST(a_connected_descriptor_is_adopted)
{
    bide_socket *socket;
    char bytes[8];
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_INT(bide_socket_adopt(fds[0], &socket), 0);
    CHECK_INT(bide_socket_fd(socket), fds[0]);
    CHECK_INT(fcntl(fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_INT(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    CHECK_INT(write(fds[1], "hello", 5), 5);
    hears_text(socket, "hello");
    says(socket, "back");
    CHECK_INT(read(fds[1], bytes, sizeof bytes), 4);
    close(fds[1]);
    hears_end(socket);
    bide_socket_close(socket);
    CHECK_INT(fcntl(fds[0], F_GETFD), -1);
}

TASK_TEST(a_descriptor_that_listens_is_adopted)
{
    struct bide_address address = loopback();
    bide_socket *listener;
    bide_socket *connection;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(bind(fd, (void *)address.bytes, address.length), 0);
    CHECK_INT(listen(fd, 4), 0);
    CHECK_INT(bide_socket_adopt(fd, &listener), 0);
    CHECK_INT(bide_socket_local(listener, &address), 0);
    bide_socket *client = socket_new(SOCK_STREAM);
    CHECK_INT(bide_socket_connect(client, &address), 0);
    CHECK_INT(bide_socket_accept(listener, &connection, NULL), 0);
    says(connection, "welcome");
    hears_text(client, "welcome");
    bide_socket_close(connection);
    bide_socket_close(client);
    bide_socket_close(listener);
}

TASK_TEST(a_peer_that_left_before_it_was_accepted_has_no_address)
{
    struct bide_address address;
    struct bide_address from = loopback();
    struct linger reset = {.l_onoff = 1};
    bide_socket *connection;
    bide_socket *listener = listener_new(4, &address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, (void *)address.bytes, address.length), 0);
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    CHECK_INT(bide_socket_accept(listener, &connection, &from), 0);
    CHECK_INT(from.length, 0);
    char byte;
    CHECK_INT(bide_socket_receive(connection, &byte, 1), -ECONNRESET);
    bide_socket_close(connection);
    bide_socket_close(listener);
}

TASK_TEST(a_network_that_is_not_there)
{
    /* 240.0.0.0/4 is reserved: the kernel refuses to go there or knows no way. */
    struct sockaddr_in bytes = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xffffffffu), .sin_port = htons(9)};
    struct bide_address broadcast = {.length = sizeof bytes};
    memcpy(broadcast.bytes, &bytes, sizeof bytes);
    bide_socket *client = socket_new(SOCK_STREAM);
    int rc = bide_socket_connect(client, &broadcast);
    CHECK(rc == -ENETUNREACH || rc == -EACCES);
    bide_socket_close(client);
}

TASK_TEST(bytes_that_came_before_the_cancel_are_lost_neither_way)
{
    struct ends ends = ends_open();
    char bytes[8] = "";
    bide_task *receiver = waiting(bide_spawn(receives, ends.here, bytes, sizeof bytes));
    says(ends.there, "one");
    until_scheduled(receiver);
    int rc = cancel_and_await(receiver);
    if (rc > 0)
        CHECK_STR(bytes, "one"); /* results stand */
    else
        hears_text(ends.here, "one");
    ends_close(&ends);
}

TASK_TEST(a_close_after_the_bytes_came_fails_the_receiver_all_the_same)
{
    struct ends ends = ends_open();
    char byte;
    bide_task *receiver = waiting(bide_spawn(receives, ends.here, &byte, 1));
    says(ends.there, "x");
    until_scheduled(receiver);
    bide_socket_close(ends.here);
    CHECK_INT(bide_await(receiver), -ECONNABORTED);
    bide_socket_close(ends.there);
}

static struct bide_address abstract(const char *name)
{
    struct sockaddr_un bytes = {.sun_family = AF_UNIX};
    struct bide_address address;
    int length = snprintf(bytes.sun_path + 1, sizeof bytes.sun_path - 1, "%s-%d", name, getpid());
    address.length = (unsigned)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    memcpy(address.bytes, &bytes, address.length);
    return address;
}

static bide_async(sends_to, (bide_socket *, socket), (const char *, text),
                  (const struct bide_address *, to))
{
    return bide_socket_send_to(socket, text, strlen(text), to);
}

TASK_TEST(a_datagram_waits_for_room_in_its_receivers_queue)
{
    struct bide_address address = abstract("bide-test");
    bide_socket *receiver;
    bide_socket *sender;
    char got[8];
    int n = 0;
    int rc;
    CHECK_INT(bide_socket_open(AF_UNIX, SOCK_DGRAM, 0, &receiver), 0);
    CHECK_INT(bide_socket_open(AF_UNIX, SOCK_DGRAM, 0, &sender), 0);
    CHECK_INT(bide_socket_bind(receiver, &address), 0);
    while ((rc = now(bide_spawn(sends_to, sender, "full", &address))) == 4)
        n++;
    CHECK_INT(rc, -ECANCELED);
    CHECK_RANGE(n, 1, 100000);
    bide_task *task = waiting(bide_spawn(sends_to, sender, "late", &address));
    CHECK_INT(bide_sleep(0.005), 0); /* it asks again and again, perhaps at this moment */
    CHECK(bide_task_state(task) != BIDE_TASK_DONE);
    for (int i = 0; i < n; i++)
        CHECK_INT(bide_socket_receive(receiver, got, sizeof got), 4);
    CHECK_INT(bide_await(task), 4);
    CHECK_INT(bide_socket_receive(receiver, got, sizeof got), 4);
    CHECK_MEM(got, "late", 4);
    while (now(bide_spawn(sends_to, sender, "full", &address)) == 4)
        ;
    task = waiting(bide_spawn(sends_to, sender, "never", &address));
    CHECK_INT(bide_sleep(0.005), 0);
    bide_socket_close(sender);
    CHECK_INT(bide_await(task), -ECONNABORTED);
    bide_socket_close(receiver);
}
