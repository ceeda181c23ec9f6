/*
 * Scenario: the calls of socket.h on descriptors in each state. Claim: they tell the states apart
 * without waiting, and lists of buffers are stepped over exactly.
 */
#include "engine/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

static int listen_anywhere(int backlog, struct sockaddr_in *ret_address)
{
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(*ret_address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)ret_address, length), 0);
    CHECK_INT(listen(fd, backlog), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)ret_address, &length), 0);
    return fd;
}

static int start_connect(const struct sockaddr_in *address)
{
    unsigned traits;
    int fd = bide__fd_socket(AF_INET, SOCK_STREAM, 0, &traits);
    CHECK(fd >= 0);
    CHECK_INT(traits, BIDE__FD_SOCKET | BIDE__FD_TCP);
    CHECK_INT(bide__fd_connect(fd, (const struct sockaddr *)address, sizeof(*address)),
              -EINPROGRESS);
    return fd;
}

BIDE_TEST(a_connect_is_undecided_or_done_or_failed)
{
    struct sockaddr_in address;
    int listener = listen_anywhere(0, &address);
    int connected = start_connect(&address);
    CHECK_INT(bide__fd_connect_result(connected), 0);
    int undecided = start_connect(&address); /* the listener's queue is full */
    CHECK_INT(bide__fd_connect_result(undecided), -EINPROGRESS);
    CHECK(!bide__fd_ready(undecided, POLLOUT));
    struct bide_sock sock = {.fd = undecided};
    CHECK_INT(bide__socket_shutdown(&sock, SHUT_RDWR), 0);
    CHECK_INT(bide__fd_connect_result(undecided), -ECONNRESET);
    CHECK_INT(bide__fd_connect_result(undecided), -ECONNABORTED); /* no reason is left */
    close(listener);
    int refused = start_connect(&address);
    CHECK_INT(bide__fd_connect_result(refused), -ECONNREFUSED);
    close(connected);
    close(undecided);
    close(refused);
}

BIDE_TEST(a_queue_of_connections_is_accepted_one_by_one)
{
    struct sockaddr_in address;
    int listener = listen_anywhere(8, &address);
    CHECK_INT(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    CHECK_INT(bide__fd_accept(listener), -EAGAIN);
    CHECK(!bide__fd_ready(listener, POLLIN));
    int client = start_connect(&address);
    CHECK(bide__fd_ready(listener, POLLIN));
    int server = bide__fd_accept(listener);
    CHECK(server >= 0);
    CHECK_INT(bide__fd_accept(listener), -EAGAIN);
    CHECK_INT(bide__fd_accept(client), -EINVAL);
    close(server);
    close(client);
    close(listener);
}

BIDE_TEST(adopting_tells_what_a_descriptor_is)
{
    unsigned traits = 99;
    int fds[2];
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    CHECK_INT(bide__fd_adopt(fds[0], BIDE_ADOPT_ANY, &traits), 0);
    CHECK_INT(traits, 0);
    close(fds[0]);
    close(fds[1]);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(bide__fd_adopt(fds[0], BIDE_ADOPT_ANY, &traits), 0);
    CHECK_INT(traits, BIDE__FD_SOCKET);
    close(fds[0]);
    close(fds[1]);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(bide__fd_adopt(fd, BIDE_ADOPT_ANY, &traits), 0);
    CHECK_INT(traits, BIDE__FD_SOCKET | BIDE__FD_TCP);
    close(fd);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_INT(bide__fd_adopt(fd, BIDE_ADOPT_ANY, &traits), 0);
    CHECK_INT(traits, BIDE__FD_SOCKET | BIDE__FD_DATAGRAM | BIDE__FD_INET_DATAGRAM);
    close(fd);
    fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_INT(bide__fd_adopt(fd, BIDE_ADOPT_ANY, &traits), -EPERM);
    close(fd);
}

static void check_advance(size_t size, int n_left, size_t first)
{
    static char bytes[10];
    struct iovec iovs[5] = {{bytes, 0}, {bytes, 3}, {bytes + 3, 0}, {bytes + 3, 7}, {bytes, 0}};
    struct iovec *iov = iovs;
    int n_iov = 5;
    bide__iov_advance(&iov, &n_iov, size);
    CHECK_INT(n_iov, n_left);
    if (n_left > 0) {
        CHECK_INT(iov->iov_len, first);
        CHECK_PTR(iov->iov_base, bytes + size);
    }
}

BIDE_TEST(buffers_are_stepped_over_exactly)
{
    check_advance(0, 4, 3);
    check_advance(1, 4, 2);
    check_advance(3, 2, 7);
    check_advance(4, 2, 6);
    check_advance(9, 2, 1);
    check_advance(10, 0, 0);
}

BIDE_TEST(what_says_that_a_connection_is_lost)
{
    CHECK(bide__connection_lost(-ECONNRESET));
    CHECK(bide__connection_lost(-ETIMEDOUT));
    CHECK(!bide__connection_lost(-EPIPE));
    CHECK(!bide__connection_lost(-EAGAIN));
    CHECK(!bide__connection_lost(0));
    CHECK(bide__accept_starves(-EMFILE));
    CHECK(!bide__accept_starves(-ECONNABORTED));
}
