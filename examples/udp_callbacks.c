/* Datagrams at the callback level, as with asyncio's DatagramProtocol: no coroutine anywhere. */
#include <bide.h>

#include <stdio.h>

struct side {
    const char *name;
    bide_loop *loop;
    bide_datagram_transport *transport;
    int n_messages;
};

static void made(void *data, bide_datagram_transport *transport)
{
    struct side *side = data;
    side->transport = transport;
    bool simulated = bide_datagram_transport_fd(transport) < 0;
    printf("%s: connection_made%s\n", side->name, simulated ? ", in a simulation" : "");
}

static void answer(void *data, const void *bytes, size_t size, const struct bide_address *from)
{
    struct side *side = data;
    printf("%s: datagram_received %.*s\n", side->name, (int)size, (const char *)bytes);
    bide_datagram_transport_send(side->transport, bytes, size, from);
}

static void count(void *data, const void *bytes, size_t size, const struct bide_address *from)
{
    struct side *side = data;
    (void)from;
    printf("%s: datagram_received %.*s\n", side->name, (int)size, (const char *)bytes);
    if (++side->n_messages == 2 && bide_datagram_transport_pending(side->transport) == 0)
        bide_datagram_transport_close(side->transport);
}

static void failed(void *data, int error)
{
    struct side *side = data;
    printf("%s: error_received %s\n", side->name, bide_strerror(error));
    bide_datagram_transport_abort(side->transport);
}

static void lost(void *data, int error)
{
    struct side *side = data;
    printf("%s: connection_lost %d\n", side->name, error < 0);
    bide_loop_stop(side->loop);
}

static const struct bide_datagram_protocol server_protocol = {
    .connection_made = made, .datagram_received = answer, .connection_lost = lost};
static const struct bide_datagram_protocol client_protocol = {.connection_made = made,
                                                              .datagram_received = count,
                                                              .error_received = failed,
                                                              .connection_lost = lost};

int main(void)
{
    bide_loop *loop;
    if (bide_loop_new(NULL, &loop) < 0)
        return 1;
    struct side server = {.name = "server", .loop = loop};
    struct side client = {.name = "client", .loop = loop};
    struct bide_address address;
    bide_datagram_transport *transport;
    int rc = bide_loop_datagram(loop, NULL, NULL, &server_protocol, &server, NULL, &transport);
    if (rc == 0)
        rc = bide_datagram_transport_local(transport, &address);
    struct bide_datagram_opts opts = {.peer = &address};
    if (rc == 0)
        rc = bide_loop_datagram(loop, NULL, &opts, &client_protocol, &client, NULL, &transport);
    if (rc == 0)
        rc = bide_datagram_transport_send(transport, "one", 3, NULL);
    if (rc == 0)
        rc = bide_datagram_transport_send(transport, "two", 3, NULL);
    if (rc == 0)
        rc = bide_loop_run_forever(loop);
    bide_loop_close(loop); /* the server's transport ends with it */
    return rc < 0;
}
