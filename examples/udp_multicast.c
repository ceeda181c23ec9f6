/* One message for all who listen: two members of a multicast group hear what a third one tells
 * nobody in particular. Options are set on the descriptor, as anywhere else. */
#include <bide.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

static int set(bide_datagram *endpoint, int name, const void *value, socklen_t size)
{
    return setsockopt(bide_datagram_fd(endpoint), IPPROTO_IP, name, value, size) < 0 ? -errno : 0;
}

static int join(bide_datagram *endpoint, const char *group)
{
    struct ip_mreq member = {.imr_interface.s_addr = htonl(INADDR_LOOPBACK)};
    inet_pton(AF_INET, group, &member.imr_multiaddr);
    return set(endpoint, IP_ADD_MEMBERSHIP, &member, sizeof member);
}

bide_async(listen_to, (bide_datagram *, endpoint))
{
    char message[64];
    int n = bide_datagram_receive(endpoint, message, sizeof message - 1, NULL);
    if (n < 0)
        return n;
    message[n] = '\0';
    printf("heard: %s\n", message);
    return 0;
}

static int announce(bide_datagram *speaker, const struct bide_address *group)
{
    struct in_addr interface = {.s_addr = htonl(INADDR_LOOPBACK)};
    int rc = set(speaker, IP_MULTICAST_IF, &interface, sizeof interface);
    return rc < 0 ? rc : bide_datagram_send(speaker, "lunch is ready", 14, group);
}

bide_async(amain)
{
    static const char group[] = "239.255.41.7";
    bide_datagram *ends[3] = {NULL};
    bide_task *tasks[2] = {NULL};
    struct bide_address address;
    unsigned port = 0;
    int rc = 0;
    for (int i = 0; i < 2 && rc >= 0; i++) {
        struct bide_datagram_opts opts = {.reuse_port = true};
        rc = bide_datagram_open(group, port, &opts, &ends[i]);
        if (rc == 0)
            rc = bide_datagram_local(ends[i], &address);
        port = bide_address_port(&address);
        if (rc == 0)
            rc = join(ends[i], group);
        if (rc == 0)
            tasks[i] = bide_spawn(listen_to, ends[i]);
    }
    if (rc >= 0)
        rc = bide_datagram_open("127.0.0.1", 0, NULL, &ends[2]);
    if (rc >= 0)
        rc = announce(ends[2], &address);
    if (rc >= 0)
        rc = bide_gather(tasks, 2, NULL);
    bide_cancel_join(tasks, 2);
    for (int i = 0; i < 3; i++)
        bide_datagram_close(ends[i]);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
