/*
 * Simulated datagrams, as Linux's. sim_sock.h states the invariants.
 *
 *  - UDP: what is sent is on its way for as long as the link takes, may be lost, doubled or late,
 *    and is dropped where nobody has room. One that finds nobody is refused, and a connected sender
 *    hears of that with a later call.
 *  - AF_UNIX: what is sent is there at once, in order, or the sender hears that there is no room.
 *  - A datagram in flight knows its sender until that one is closed, and counts as the sender's
 * until it arrives.
 */
#include "engine/sim_sock.h"

#include "engine/socket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of AF_UNIX receivers: as net.unix.max_dgram_qlen says by default. */
enum { QUEUED_MAX = 10, OVERHEAD_BYTES = 256, UDP_IPV4_MAX = 65507, UDP_IPV6_MAX = 65527 };

struct datagram {
    struct bide__sim_event arrival;
    struct bide__list node; /* in the engine's, or its receiver's */
    struct bide__sim *sim;
    struct bide__sim_sock *sender; /* NULL: closed, or it has arrived */
    const struct bide__sim_link *link;
    struct bide__sim_name from;
    struct bide__sim_name to;
    struct bide__sim_rights *rights;
    bool is_refusal; /* comes back to its sender */
    size_t size;
    char bytes[];
};

static void datagram_free(struct datagram *datagram)
{
    bide__sim_event_remove(&datagram->sim->queue, &datagram->arrival);
    bide__list_remove(&datagram->node);
    bide__sim_rights_free(datagram->rights);
    free(datagram);
}

static int64_t cost(const struct datagram *datagram)
{
    return (int64_t)datagram->size + OVERHEAD_BYTES;
}

static bool is_from_peer(const struct bide__sim_sock *sock, const struct bide__sim_name *from)
{
    return !sock->has_peer || bide__sim_same_name(sock, &sock->target, from);
}

/* Who receives what comes from there. Of several that share the name always the same one. */
static struct bide__sim_sock *find_receiver(struct bide__sim *sim, int family,
                                            const struct bide__sim_name *to,
                                            const struct bide__sim_name *from)
{
    struct bide__sim_sock *best = NULL;
    int best_covers = 0;
    unsigned n_best = 0;
    bide__list_each(node, &sim->bound)
    {
        struct bide__sim_sock *sock = bide__container(node, struct bide__sim_sock, bound);
        bool is_unix = sock->family == AF_UNIX;
        if (is_unix != (family == AF_UNIX) || (!is_unix && sock->type != SOCK_DGRAM))
            continue;
        int covers = bide__sim_covering(sock, to);
        if (covers == 0 || (!is_unix && !is_from_peer(sock, from)))
            continue;
        covers += sock->has_peer ? 2 : 0;
        if (covers < best_covers)
            continue;
        n_best = covers == best_covers ? n_best + 1 : 1;
        best_covers = covers;
        if (n_best == 1 || from->port % n_best == 0)
            best = sock;
    }
    return best;
}

/* UDP */

static void fly(struct datagram *datagram, int64_t at_ns)
{
    bide__list_append(&datagram->sim->datagrams, &datagram->node);
    bide__sim_event_add(&datagram->sim->queue, &datagram->arrival, at_ns);
}

static void land(struct datagram *datagram)
{
    struct bide__sim_sock *sender = datagram->sender;
    bide__list_remove(&datagram->node);
    if (!sender || datagram->is_refusal)
        return;
    sender->flying_bytes -= cost(datagram);
    bide__sim_send_again(sender);
}

static void refused(struct datagram *datagram)
{
    struct bide__sim_sock *sender = datagram->sender;
    if (sender && sender->has_peer && bide__sim_same_name(sender, &sender->target, &datagram->to)) {
        sender->error = -ECONNREFUSED;
        bide__sim_decide(sender, BIDE__SIM_RECV, 0);
        bide__sim_send_again(sender);
    }
    datagram_free(datagram);
}

static void receive(struct bide__sim_sock *receiver, struct datagram *datagram)
{
    int64_t limit = bide__sim_buffer_bytes(receiver, SO_RCVBUF);
    bool is_inet = receiver->family != AF_UNIX;
    if (receiver->shut_read || (is_inet && receiver->message_bytes + cost(datagram) > limit)) {
        datagram_free(datagram);
        return;
    }
    datagram->sender = NULL;
    bide__list_append(&receiver->messages, &datagram->node);
    receiver->n_messages++;
    receiver->message_bytes += cost(datagram);
    bide__sim_decide(receiver, BIDE__SIM_RECV, 0);
}

static int datagram_arrives(struct bide__sim_event *event)
{
    struct datagram *datagram = bide__container(event, struct datagram, arrival);
    struct bide__sim *sim = datagram->sim;
    land(datagram);
    struct bide__sim_sock *receiver = datagram->is_refusal
                                          ? datagram->sender
                                          : find_receiver(sim, AF_INET, &datagram->to,
                                                          &datagram->from);
    bide__sim_note(sim, datagram->is_refusal ? "refusal" : "datagram",
                   receiver ? receiver->number : 0, (long long)datagram->size);
    if (datagram->is_refusal) {
        refused(datagram);
    } else if (receiver) {
        receive(receiver, datagram);
    } else if (datagram->sender) {
        datagram->is_refusal = true;
        fly(datagram, sim->now_ns + bide__sim_latency_ns(sim, datagram->link));
    } else {
        datagram_free(datagram);
    }
    return 0;
}

static bool happens(struct bide__sim *sim, unsigned of_thousand)
{
    return of_thousand > 0 && bide__sim_draw(sim, 999) < (int64_t)of_thousand;
}

static void depart(struct datagram *datagram)
{
    struct bide__sim *sim = datagram->sim;
    struct bide__sim_sock *sender = datagram->sender;
    const struct bide__sim_mishaps *mishaps = bide__sim_link_mishaps(sim, datagram->link);
    int64_t at_ns = sim->now_ns + bide__sim_latency_ns(sim, datagram->link);
    if (happens(sim, mishaps->late)) {
        at_ns += 1 + 2 * bide__sim_latency_ns(sim, datagram->link);
    } else {
        if (at_ns < sender->last_arrival_ns)
            at_ns = sender->last_arrival_ns;
        sender->last_arrival_ns = at_ns;
    }
    sender->flying_bytes += cost(datagram);
    fly(datagram, at_ns);
}

static struct datagram *copy_of(const struct datagram *datagram)
{
    struct datagram *copy = malloc(sizeof *copy + datagram->size);
    if (!copy)
        return NULL;
    memcpy(copy, datagram, sizeof *copy + datagram->size);
    bide__list_init(&copy->node);
    return copy;
}

static int send_inet(struct bide__sim_sock *sock, struct datagram *datagram)
{
    struct bide__sim *sim = datagram->sim;
    if (sock->flying_bytes > 0 &&
        sock->flying_bytes + cost(datagram) > bide__sim_buffer_bytes(sock, SO_SNDBUF))
        return -EAGAIN;
    datagram->from = sock->name;
    if (bide__sim_is_wildcard(&sock->name))
        datagram->from.host = datagram->to.host;
    datagram->link = bide__sim_link_find(sim, &datagram->from.host, &datagram->to.host);
    datagram->sender = sock;
    const struct bide__sim_mishaps *mishaps = bide__sim_link_mishaps(sim, datagram->link);
    struct datagram *copy = happens(sim, mishaps->doubled) ? copy_of(datagram) : NULL;
    if (copy)
        depart(copy);
    if (happens(sim, mishaps->lost)) {
        bide__sim_note(sim, "datagram lost", sock->number, (long long)datagram->size);
        datagram_free(datagram);
    } else {
        depart(datagram);
    }
    return 0;
}

/* AF_UNIX */

/* An error if nothing can be sent there. */
static int find_unix(struct bide__sim_sock *sock, const struct bide__sim_name *to,
                     struct bide__sim_sock **ret_receiver)
{
    struct bide__sim_sock *receiver = find_receiver(bide__sim_of_sock(sock), AF_UNIX, to,
                                                    &sock->name);
    if (to->path_bytes == 0)
        return -EINVAL;
    if (!receiver)
        return to->path[0] != '\0' ? -ENOENT : -ECONNREFUSED;
    if (receiver->type != SOCK_DGRAM)
        return -EPROTOTYPE;
    if (receiver->has_peer && receiver->peer_number != sock->number)
        return -EPERM;
    *ret_receiver = receiver;
    return 0;
}

static int find_peer(struct bide__sim_sock *sock, struct bide__sim_sock **ret_receiver)
{
    int rc = find_unix(sock, &sock->target, ret_receiver);
    if (rc == -ENOENT || (rc == 0 && (*ret_receiver)->number != sock->peer_number))
        return -ECONNREFUSED;
    return rc;
}

static bool is_full(const struct bide__sim_sock *receiver)
{
    return receiver->n_messages > QUEUED_MAX;
}

static int send_unix(struct bide__sim_sock *sock, struct datagram *datagram, bool to_peer)
{
    struct bide__sim_sock *receiver;
    int rc = to_peer ? find_peer(sock, &receiver) : find_unix(sock, &datagram->to, &receiver);
    if (to_peer && rc == -ECONNREFUSED)
        sock->has_peer = false;
    if (rc < 0)
        return rc;
    if (receiver->shut_read)
        return -EPIPE;
    if (is_full(receiver))
        return -EAGAIN;
    datagram->from = sock->name;
    bide__sim_note(datagram->sim, "datagram", receiver->number, (long long)datagram->size);
    receive(receiver, datagram);
    return 0;
}

/* Whoever is connected to it and waits may have room now, or an error. */
static void wake_senders(struct bide__sim_sock *receiver)
{
    bide__list_each(node, &bide__sim_of_sock(receiver)->socks)
    {
        struct bide__sim_sock *sock = bide__container(node, struct bide__sim_sock, node);
        if (sock->has_peer && sock->peer_number == receiver->number)
            bide__sim_send_again(sock);
    }
}

/* Calls */

static int choose_target(struct bide__sim_sock *sock, const struct msghdr *message,
                         struct bide__sim_name *ret_to)
{
    int rc = 0;
    if (message->msg_name && message->msg_namelen > 0)
        rc = bide__sim_name_parse(sock, message->msg_name, message->msg_namelen, ret_to);
    else if (sock->has_peer)
        *ret_to = sock->target;
    else
        return sock->family == AF_UNIX ? -ENOTCONN : -EDESTADDRREQ;
    if (rc < 0 || sock->family == AF_UNIX)
        return rc;
    if (ret_to->port == 0)
        return -EINVAL;
    bide__sim_name_local(ret_to);
    rc = bide__sim_reaches(sock, ret_to);
    return rc == 0 && !sock->has_name ? bide__sim_bind_any(sock) : rc;
}

static bool is_too_large(const struct bide__sim_sock *sock, size_t size)
{
    if (sock->family == AF_UNIX)
        return (int64_t)size > bide__sim_buffer_bytes(sock, SO_SNDBUF) - 32;
    return size > (sock->family == AF_INET ? UDP_IPV4_MAX : UDP_IPV6_MAX);
}

static struct datagram *datagram_new(struct bide__sim *sim, const struct msghdr *message,
                                     size_t size)
{
    struct datagram *datagram = malloc(sizeof *datagram + size);
    if (!datagram)
        return NULL;
    *datagram = (struct datagram){.arrival.happen = datagram_arrives, .sim = sim, .size = size};
    bide__list_init(&datagram->node);
    size_t at = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *iov = &message->msg_iov[i];
        if (iov->iov_len > 0)
            memcpy(datagram->bytes + at, iov->iov_base, iov->iov_len);
        at += iov->iov_len;
    }
    return datagram;
}

ssize_t bide__sim_datagram_send(struct bide__sim_sock *sock, const struct msghdr *message)
{
    struct bide__sim_name to;
    if (sock->error != 0)
        return bide__sim_take_error(sock);
    if (sock->shut_write)
        return -EPIPE;
    int rc = choose_target(sock, message, &to);
    if (rc < 0)
        return rc;
    size_t size = bide__iov_size(message->msg_iov, (int)message->msg_iovlen);
    if (is_too_large(sock, size))
        return -EMSGSIZE;
    struct datagram *datagram = datagram_new(bide__sim_of_sock(sock), message, size);
    if (!datagram)
        return -ENOMEM;
    datagram->to = to;
    bool to_peer = !message->msg_name || message->msg_namelen == 0;
    if (sock->family == AF_UNIX)
        rc = bide__sim_rights_new(message, &datagram->rights);
    if (rc == 0)
        rc = sock->family == AF_UNIX ? send_unix(sock, datagram, to_peer)
                                     : send_inet(sock, datagram);
    if (rc < 0)
        datagram_free(datagram);
    return rc < 0 ? rc : (ssize_t)size;
}

/* Takes as much as there is room for. */
static size_t copy_out(const struct datagram *datagram, struct msghdr *message)
{
    size_t n = 0;
    for (size_t i = 0; i < message->msg_iovlen && n < datagram->size; i++) {
        const struct iovec *iov = &message->msg_iov[i];
        size_t left = datagram->size - n;
        size_t part = iov->iov_len < left ? iov->iov_len : left;
        if (part > 0)
            memcpy(iov->iov_base, datagram->bytes + n, part);
        n += part;
    }
    return n;
}

static void tell_sender(const struct bide__sim_sock *sock, const struct datagram *datagram,
                        struct msghdr *message)
{
    bool is_unnamed = sock->family == AF_UNIX && datagram->from.path_bytes == 0;
    if (is_unnamed || !message->msg_name)
        message->msg_namelen = 0;
    else
        bide__sim_name_print(sock, &datagram->from, message->msg_name, &message->msg_namelen);
}

ssize_t bide__sim_datagram_recv(struct bide__sim_sock *sock, struct msghdr *message)
{
    if (sock->error != 0)
        return bide__sim_take_error(sock);
    struct bide__list *node = bide__list_pop(&sock->messages);
    if (!node)
        return -EAGAIN;
    message->msg_flags = 0;
    struct datagram *datagram = bide__container(node, struct datagram, node);
    size_t n = copy_out(datagram, message);
    if (n < datagram->size)
        message->msg_flags |= MSG_TRUNC;
    tell_sender(sock, datagram, message);
    bide__sim_rights_give(datagram->rights, message);
    datagram->rights = NULL;
    sock->n_messages--;
    sock->message_bytes -= cost(datagram);
    datagram_free(datagram);
    if (sock->family == AF_UNIX)
        wake_senders(sock);
    return (ssize_t)n;
}

int bide__sim_datagram_connect(struct bide__sim_sock *sock, const struct sockaddr *address,
                               socklen_t length)
{
    struct bide__sim_name target;
    struct bide__sim_sock *receiver = NULL;
    if (length >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC) {
        sock->has_peer = false;
        return 0;
    }
    int rc = bide__sim_name_parse(sock, address, length, &target);
    if (rc == 0 && sock->family == AF_UNIX) {
        rc = find_unix(sock, &target, &receiver);
    } else if (rc == 0) {
        bide__sim_name_local(&target);
        rc = bide__sim_reaches(sock, &target);
        if (rc == 0 && !sock->has_name)
            rc = bide__sim_bind_any(sock);
        if (rc == 0 && bide__sim_is_wildcard(&sock->name))
            sock->name.host = target.host;
    }
    if (rc < 0)
        return rc;
    sock->has_peer = true;
    sock->target = target;
    sock->peer_number = receiver ? receiver->number : 0;
    return 0;
}

bool bide__sim_datagram_readable(const struct bide__sim_sock *sock)
{
    return sock->n_messages > 0 || sock->error != 0 || sock->shut_read;
}

bool bide__sim_datagram_writable(const struct bide__sim_sock *sock)
{
    struct bide__sim_sock *receiver;
    if (sock->error != 0 || sock->shut_write)
        return true;
    if (sock->family != AF_UNIX)
        return sock->flying_bytes < bide__sim_buffer_bytes(sock, SO_SNDBUF) / 2;
    return !sock->has_peer || find_peer((struct bide__sim_sock *)(uintptr_t)sock, &receiver) < 0 ||
           receiver->shut_read || !is_full(receiver);
}

int bide__sim_datagram_shutdown(struct bide__sim_sock *sock, int how)
{
    if (sock->family != AF_UNIX && !sock->has_peer)
        return -ENOTCONN;
    if (how != SHUT_WR) {
        sock->shut_read = true;
        bide__sim_decide(sock, BIDE__SIM_RECV, 0);
        wake_senders(sock);
    }
    if (how != SHUT_RD) {
        sock->shut_write = true;
        bide__sim_send_again(sock);
    }
    return 0;
}

void bide__sim_datagram_end(struct bide__sim_sock *sock)
{
    struct bide__list *node;
    while ((node = bide__list_first(&sock->messages)))
        datagram_free(bide__container(node, struct datagram, node));
    if (sock->type != SOCK_DGRAM)
        return;
    bide__list_each(flying, &bide__sim_of_sock(sock)->datagrams)
    {
        struct datagram *datagram = bide__container(flying, struct datagram, node);
        if (datagram->sender == sock)
            datagram->sender = NULL;
    }
    bide__list_remove(&sock->bound);
    wake_senders(sock);
}

void bide__sim_datagrams_free(struct bide__sim *sim)
{
    struct bide__list *node;
    while ((node = bide__list_first(&sim->datagrams)))
        datagram_free(bide__container(node, struct datagram, node));
}
