/*
 * Scenario: a task accepts connections on a bare socket, and the process has no descriptor for
 * them. Claim: this is told once, costs no connection and no spinning, and passes when a descriptor
 * is closed, by the loop or by others.
 */
#include "socket_rig.h"

#include <sys/resource.h>
#include <unistd.h>

static void set_fd_limit(rlim_t n)
{
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void lack_descriptors(bide_socket *listener, int spare, bide_socket *client)
{
    bide_socket *connection = NULL;
    CHECK_INT(bide_socket_accept(listener, &connection, NULL), -EMFILE);
    CHECK_PTR(connection, NULL);
    /* Going on at once does not spin: the call waits, and the loop has time for others. */
    bide_task *acceptor = waiting(bide_spawn(accepts, listener, &connection));
    close(spare); /* by others, of whom the engine hears nothing */
    CHECK_INT(bide_await(acceptor), 0);
    says(client, "late");
    hears_text(connection, "late");
    bide_socket_close(connection);
}

TASK_TEST(accepting_without_descriptors_fails_once_and_recovers)
{
    struct bide_address address;
    bide_socket *connection;
    bide_socket *listener = listener_new(4, &address);
    bide_socket *clients[2];
    /* The first connection brings along what the engine needs for the like. */
    for (int i = 0; i < 2; i++) {
        clients[i] = socket_new(SOCK_STREAM);
        CHECK_INT(bide_socket_connect(clients[i], &address), 0);
    }
    CHECK_INT(bide_socket_accept(listener, &connection, NULL), 0);
    int spare = dup(0);
    CHECK(spare >= 0);
    set_fd_limit((rlim_t)spare + 1);
    lack_descriptors(listener, spare, clients[1]);
    set_fd_limit(1024);
    bide_socket_close(connection);
    bide_socket_close(clients[0]);
    bide_socket_close(clients[1]);
    bide_socket_close(listener);
}

TASK_TEST(a_descriptor_that_the_loop_closes_ends_the_rest_at_once)
{
    struct bide_address address;
    bide_socket *connections[2];
    bide_socket *listener = listener_new(4, &address);
    bide_socket *clients[2];
    for (int i = 0; i < 2; i++) {
        clients[i] = socket_new(SOCK_STREAM);
        CHECK_INT(bide_socket_connect(clients[i], &address), 0);
    }
    CHECK_INT(bide_socket_accept(listener, &connections[0], NULL), 0);
    int next = dup(0);
    close(next);
    set_fd_limit((rlim_t)next);
    CHECK_INT(bide_socket_accept(listener, &connections[1], NULL), -EMFILE);
    bide_task *acceptor = waiting(bide_spawn(accepts, listener, &connections[1]));
    bide_socket_close(connections[0]);
    CHECK_INT(bide_await(acceptor), 0);
    set_fd_limit(1024);
    says(clients[1], "late");
    hears_text(connections[1], "late");
    bide_socket_close(connections[1]);
    bide_socket_close(clients[0]);
    bide_socket_close(clients[1]);
    bide_socket_close(listener);
}
