/*
 * Scenario: a program forks while it has connections, datagram sockets, bare sockets and files, as
 * objects of tasks and of callbacks. Claim: in the child, after bide_after_fork(), each of them
 * refuses every call, and ending it is harmless; the parent's go on.
 */
#include "socket_rig.h"

#include <bide/datagram.h>
#include <bide/file.h>
#include <bide/path.h>
#include <bide/transport.h>

#include <sys/wait.h>

static char large[64 * 1024];

static void is_made(void *data, bide_transport *transport)
{
    (void)data;
    (void)transport;
}

static void nothing_received(void *data, const void *message, size_t size,
                             const struct bide_address *from)
{
    (void)data;
    (void)message;
    (void)size;
    (void)from;
}

static pid_t parent;
static int n_drops;

static void dropped(void *data)
{
    (void)data;
    CHECK_INT(getpid(), parent); /* what is the parent's is not dropped in the child */
    n_drops++;
}

struct inherited {
    bide_transport *transport;
    bide_datagram *endpoint;
    bide_datagram_transport *datagrams;
    bide_socket *socket;
    bide_file *file;
};

static void use_transport(bide_transport *transport)
{
    struct bide_address address;
    CHECK_INT(bide_transport_write(transport, "x", 1), -ECONNABORTED);
    CHECK_INT(bide_transport_write(transport, large, sizeof large), -ECONNABORTED);
    CHECK_INT(bide_transport_write_eof(transport), -ECONNABORTED);
    CHECK_INT(bide_transport_peer(transport, &address), -ENOTCONN);
    CHECK_INT(bide_transport_fd(transport), -1);
    bide_transport_pause_reading(transport);
    bide_transport_resume_reading(transport);
    bide_transport_close(transport);
    bide_transport_abort(transport);
}

static void use_datagrams(struct inherited *inherited, const struct bide_address *to)
{
    struct bide_address address;
    CHECK_INT(bide_datagram_offer(inherited->endpoint, "x", 1, to), -ECONNABORTED);
    CHECK_INT(bide_datagram_local(inherited->endpoint, &address), -ENOTCONN);
    CHECK_INT(bide_datagram_fd(inherited->endpoint), -1);
    bide_datagram_abort(inherited->endpoint);
    bide_datagram_close(inherited->endpoint);
    bide_datagram_transport *datagrams = inherited->datagrams;
    CHECK_INT(bide_datagram_transport_send(datagrams, "x", 1, to), -EPIPE);
    CHECK_INT(bide_datagram_transport_local(datagrams, &address), -ENOTCONN);
    CHECK_INT(bide_datagram_transport_fd(datagrams), -1);
    bide_datagram_transport_abort(datagrams);
    bide_datagram_transport_close(datagrams);
}

static bide_async(child_main)
{
    return bide_sleep(0) < 0 ? 1 : 7;
}

static void child_uses_all(struct inherited *inherited, const struct bide_address *to)
{
    bide_after_fork();
    use_transport(inherited->transport);
    use_datagrams(inherited, to);
    CHECK_INT(bide_socket_listen(inherited->socket, 1), -ECONNABORTED);
    CHECK_INT(bide_socket_fd(inherited->socket), -1);
    bide_socket_close(inherited->socket);
    CHECK_INT(bide_file_close(inherited->file), -ESHUTDOWN);
    CHECK_INT(bide_run_with(NULL, child_main), 7);
    _exit(7); /* the parent's memory is not this process's to give back */
}

TASK_TEST(a_child_uses_what_it_inherited)
{
    static const struct bide_protocol protocol = {.connection_made = is_made};
    static const struct bide_datagram_protocol messages = {.datagram_received = nothing_received};
    struct inherited inherited;
    struct bide_address address;
    char buffer[4], *path;
    int fds[2], status;
    bide_loop *loop = bide_loop_current();
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(
        bide_transport_adopt(loop, fds[0], NULL, &protocol, NULL, dropped, &inherited.transport),
        0);
    CHECK_INT(bide_datagram_open("127.0.0.1", 0, NULL, &inherited.endpoint), 0);
    CHECK_INT(bide_loop_datagram(loop, NULL, NULL, &messages, NULL, dropped, &inherited.datagrams),
              0);
    CHECK_INT(bide_datagram_local(inherited.endpoint, &address), 0);
    CHECK_INT(bide_socket_open(AF_INET, SOCK_STREAM, 0, &inherited.socket), 0);
    CHECK_INT(bide_file_temporary(NULL, &path, &inherited.file), 0);
    parent = getpid();
    turns(3);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child_uses_all(&inherited, &address);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 7);
    CHECK_INT(bide_transport_write(inherited.transport, "abc", 3), 0);
    turns(2);
    CHECK_INT(read(fds[1], buffer, sizeof buffer), 3);
    CHECK_INT(bide_datagram_send(inherited.endpoint, "x", 1, &address), 0);
    CHECK_INT(bide_datagram_receive(inherited.endpoint, buffer, sizeof buffer, NULL), 1);
    CHECK_INT(bide_path_unlink(path), 0);
    free(path);
    CHECK_INT(bide_file_close(inherited.file), 0);
    bide_socket_close(inherited.socket);
    bide_datagram_close(inherited.endpoint);
    bide_transport_close(inherited.transport);
    bide_datagram_transport_close(inherited.datagrams);
    while (n_drops < 2)
        turns(1);
    close(fds[1]);
}
