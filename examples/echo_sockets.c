/*
 * The echo server on bare sockets: every call of the sockets interface, awaited. What a client
 * sends comes back, until it says `boom`, which fails its own task and no other. SIGINT and SIGTERM
 * give the clients two seconds to finish.
 *
 *     echo_sockets [port]      then: nc 127.0.0.1 PORT, or telnet
 */
#include <bide.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct server {
    bide_socket *listener;
    bide_task **clients;
    size_t n_clients;
    size_t room;
};

static bool is_boom(const char *data, int size)
{
    return (size == 5 && memcmp(data, "boom\n", 5) == 0) ||
           (size == 6 && memcmp(data, "boom\r\n", 6) == 0);
}

bide_async(echo, (bide_socket *, client))
{
    char data[1024];
    int n;
    int rc = 0;
    while (rc == 0 && (n = bide_socket_receive(client, data, sizeof data)) > 0)
        rc = is_boom(data, n) ? -EPROTO : bide_socket_send_all(client, data, (size_t)n, NULL);
    bide_socket_close(client);
    rc = rc < 0 ? rc : n;
    return rc == -ECONNRESET || rc == -EPIPE ? 0 : rc; /* clients may leave as they like */
}

/* Lets go of those that have ended: the loop reports what they failed with. */
static void forget_ended(struct server *server)
{
    for (size_t i = server->n_clients; i-- > 0;) {
        if (bide_task_state(server->clients[i]) == BIDE_TASK_DONE) {
            bide_detach(server->clients[i]);
            server->clients[i] = server->clients[--server->n_clients];
        }
    }
}

static int add_client(struct server *server, bide_socket *client)
{
    forget_ended(server);
    if (server->n_clients == server->room) {
        size_t room = server->room ? 2 * server->room : 16;
        bide_task **clients = realloc(server->clients, room * sizeof *clients);
        if (!clients)
            return -ENOMEM;
        server->clients = clients;
        server->room = room;
    }
    bide_task *task = bide_spawn_with(&(struct bide_task_opts){.always_start = true}, echo, client);
    if (!task)
        return -ENOMEM;
    server->clients[server->n_clients++] = task;
    return 0;
}

/* Until somebody cancels it. */
bide_async(listen_for_connections, (struct server *, server))
{
    for (;;) {
        bide_socket *client;
        int rc = bide_socket_accept(server->listener, &client, NULL);
        if (rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM)
            continue; /* the next call waits until there may be a descriptor again */
        if (rc < 0)
            return rc;
        if (add_client(server, client) < 0)
            bide_socket_close(client);
    }
}

static int listen_at(unsigned port, bide_socket **ret_listener)
{
    struct bide_address address;
    const int on = 1;
    int rc = bide_resolve("127.0.0.1", port, BIDE_IPV4, &address, 1);
    if (rc < 0)
        return rc;
    rc = bide_socket_open(AF_INET, SOCK_STREAM, 0, ret_listener);
    if (rc < 0)
        return rc;
    rc = bide_socket_setopt(*ret_listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (rc == 0)
        rc = bide_socket_bind(*ret_listener, &address);
    if (rc == 0)
        rc = bide_socket_listen(*ret_listener, 128);
    if (rc < 0)
        bide_socket_close(*ret_listener);
    return rc;
}

static void tell_address(bide_socket *listener)
{
    struct bide_address address;
    char text[BIDE_ADDRESS_TEXT_SIZE];
    if (bide_socket_local(listener, &address) == 0) {
        bide_address_print(&address, text, sizeof text);
        printf("listening on %s\n", text);
        fflush(stdout);
    }
}

static int stop(void *task)
{
    bide_cancel(task);
    return 0;
}

bide_async(serve, (unsigned, port))
{
    struct server server = {0};
    bide_loop *loop = bide_loop_current();
    int rc = listen_at(port, &server.listener);
    if (rc < 0)
        return rc;
    bide_task *listening = bide_spawn(listen_for_connections, &server);
    bide_loop_add_signal_handler(loop, SIGINT, stop, listening, NULL);
    bide_loop_add_signal_handler(loop, SIGTERM, stop, listening, NULL);
    tell_address(server.listener);
    rc = bide_await(listening);
    bide_loop_remove_signal_handler(loop, SIGINT);
    bide_loop_remove_signal_handler(loop, SIGTERM);
    bide_socket_close(server.listener);
    forget_ended(&server);
    if (server.n_clients > 0)
        (void)bide_within(2, bide_wait(server.clients, server.n_clients, BIDE_ALL_COMPLETED));
    forget_ended(&server);
    bide_cancel_join(server.clients, server.n_clients);
    free(server.clients);
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    return bide_run(serve, port);
}
