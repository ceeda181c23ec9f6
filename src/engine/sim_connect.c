/*
 * How simulated connections come about. sim_sock.h states the invariants.
 *
 * A connection is there for both sides when the attempt reaches a listener with room in its queue.
 * One that finds the queue full tries again, as TCP does, after 1, 2, 4, … seconds.
 */
#include "engine/sim_sock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_MAX = 7 }; /* over some two minutes */

/* Links */

struct bide__sim_link {
    struct bide__sim_link *next;
    struct in6_addr hosts[2];
    int64_t latency_ns_min;
    int64_t latency_ns_max;
    bool has_mishaps;
    struct bide__sim_mishaps mishaps;
};

static bool parse_host(const char *text, struct in6_addr *ret_host)
{
    struct in_addr ipv4;
    if (inet_pton(AF_INET6, text, ret_host) == 1)
        return true;
    if (inet_pton(AF_INET, text, &ipv4) != 1)
        return false;
    *ret_host = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(ret_host->s6_addr + 12, &ipv4, sizeof ipv4);
    return true;
}

static bool same_hosts(const struct in6_addr *a, const struct in6_addr *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static struct bide__sim_link *find_link(const struct bide__sim *sim, const struct in6_addr *a,
                                        const struct in6_addr *b)
{
    struct bide__sim_link *link = sim->links;
    while (link && !(same_hosts(&link->hosts[0], a) && same_hosts(&link->hosts[1], b)) &&
           !(same_hosts(&link->hosts[0], b) && same_hosts(&link->hosts[1], a)))
        link = link->next;
    return link;
}

int bide__sim_link(struct bide__sim *sim, const char *host, const char *other,
                   int64_t latency_ns_min, int64_t latency_ns_max)
{
    struct in6_addr hosts[2];
    if (!parse_host(host, &hosts[0]) || !parse_host(other, &hosts[1]) || latency_ns_min < 0 ||
        latency_ns_max < latency_ns_min)
        return -EINVAL;
    struct bide__sim_link *link = find_link(sim, &hosts[0], &hosts[1]);
    if (!link) {
        link = malloc(sizeof *link);
        if (!link)
            return -ENOMEM;
        *link = (struct bide__sim_link){.next = sim->links, .hosts = {hosts[0], hosts[1]}};
        sim->links = link;
    }
    link->latency_ns_min = latency_ns_min;
    link->latency_ns_max = latency_ns_max;
    return 0;
}

const struct bide__sim_link *bide__sim_link_find(const struct bide__sim *sim,
                                                 const struct in6_addr *a, const struct in6_addr *b)
{
    return find_link(sim, a, b);
}

int bide__sim_link_mishaps_set(struct bide__sim *sim, const char *host, const char *other,
                               const struct bide__sim_mishaps *mishaps)
{
    struct in6_addr hosts[2];
    if (!parse_host(host, &hosts[0]) || !parse_host(other, &hosts[1]))
        return -EINVAL;
    struct bide__sim_link *link = find_link(sim, &hosts[0], &hosts[1]);
    if (!link || mishaps->lost > 1000 || mishaps->doubled > 1000 || mishaps->late > 1000)
        return -EINVAL;
    link->has_mishaps = true;
    link->mishaps = *mishaps;
    return 0;
}

const struct bide__sim_mishaps *bide__sim_link_mishaps(const struct bide__sim *sim,
                                                       const struct bide__sim_link *link)
{
    return link && link->has_mishaps ? &link->mishaps : &sim->shape.mishaps;
}

void bide__sim_links_free(struct bide__sim *sim)
{
    while (sim->links) {
        struct bide__sim_link *link = sim->links;
        sim->links = link->next;
        free(link);
    }
}

int64_t bide__sim_latency_ns(struct bide__sim *sim, const struct bide__sim_link *link)
{
    if (!link)
        return bide__sim_draw(sim, sim->shape.latency_ns_max);
    return link->latency_ns_min + bide__sim_draw(sim, link->latency_ns_max - link->latency_ns_min);
}

int bide__sim_reset(struct bide__sim *sim, const char *host)
{
    struct in6_addr wanted;
    int n = 0;
    if (host && !parse_host(host, &wanted))
        return -EINVAL;
    bide__list_each(node, &sim->conns)
    {
        struct bide__sim_conn *conn = bide__container(node, struct bide__sim_conn, node);
        bool meant = !host || same_hosts(&conn->names[0].host, &wanted) ||
                     same_hosts(&conn->names[1].host, &wanted);
        if (meant && !conn->local && (conn->socks[0] || conn->socks[1])) {
            bide__sim_conn_reset(conn);
            n++;
        }
    }
    return n;
}

/* Connecting */

int bide__sim_covering(const struct bide__sim_sock *sock, const struct bide__sim_name *target)
{
    if (!bide__sim_name_covers(sock, target))
        return 0;
    return bide__sim_is_wildcard(&sock->name) ? 1 : 2;
}

/* Who listens there; one of several that share the name is drawn. */
static struct bide__sim_sock *find_listener(struct bide__sim *sim,
                                            const struct bide__sim_name *target)
{
    struct bide__sim_sock *best = NULL;
    int n_best = 0;
    bide__list_each(node, &sim->bound)
    {
        struct bide__sim_sock *sock = bide__container(node, struct bide__sim_sock, bound);
        int covers = sock->state == BIDE__SIM_LISTENING ? bide__sim_covering(sock, target) : 0;
        if (covers == 0 || (best && covers < bide__sim_covering(best, target)))
            continue;
        n_best = best && covers == bide__sim_covering(best, target) ? n_best + 1 : 1;
        if (n_best == 1 || bide__sim_draw(sim, n_best - 1) == 0)
            best = sock;
    }
    return best;
}

static bool is_full(const struct bide__sim_sock *listener)
{
    return listener->n_queued > listener->backlog; /* one more than asked for, as on Linux */
}

/* The listener's side waits in its queue from now on. */
static void establish(struct bide__sim_sock *sock, struct bide__sim_sock *listener)
{
    struct bide__sim_conn *conn = sock->coming;
    struct bide__sim_sock *accepted = conn->socks[1];
    accepted->family = listener->family;
    bide__sim_options_inherit(accepted, listener);
    accepted->has_name = true;
    accepted->name = listener->family == AF_UNIX ? listener->name : sock->target;
    conn->names[1] = accepted->name;
    sock->coming = NULL;
    bide__sim_conn_join(conn, sock, 0);
    bide__sim_conn_join(conn, accepted, 1);
    bide__list_append(&listener->queue, &accepted->place);
    listener->n_queued++;
    bide__sim_decide(listener, BIDE__SIM_ACCEPT, 0);
}

void bide__sim_attempt_drop(struct bide__sim_sock *sock)
{
    struct bide__sim_conn *conn = sock->coming;
    if (!conn)
        return;
    bide__sim_event_remove(&bide__sim_of_sock(sock)->queue, &sock->attempt);
    sock->state = BIDE__SIM_FRESH;
    sock->coming = NULL;
    bide__sim_sock_free(conn->socks[1]);
    bide__sim_conn_free(conn);
}

static void attempt_over(struct bide__sim_sock *sock, int result)
{
    if (!sock->waits[BIDE__SIM_CONNECT].op)
        sock->error = result; /* who connected gave up waiting */
    bide__sim_decide(sock, BIDE__SIM_CONNECT, result);
    if (result < 0)
        bide__sim_decide(sock, BIDE__SIM_RECV, 0);
    bide__sim_send_again(sock);
}

void bide__sim_attempt_end(struct bide__sim_sock *sock, int error)
{
    bide__sim_attempt_drop(sock);
    attempt_over(sock, error);
}

static int attempt_happens(struct bide__sim_event *event)
{
    struct bide__sim_sock *sock = bide__container(event, struct bide__sim_sock, attempt);
    struct bide__sim *sim = bide__sim_of_sock(sock);
    struct bide__sim_sock *listener = find_listener(sim, &sock->target);
    bool full = listener && is_full(listener);
    bide__sim_note(sim, "attempt", sock->number, listener ? full : -1);
    if (!listener) {
        bide__sim_attempt_end(sock, -ECONNREFUSED);
    } else if (!full) {
        establish(sock, listener);
        attempt_over(sock, 0);
    } else if (++sock->n_attempts == ATTEMPTS_MAX) {
        bide__sim_attempt_end(sock, -ETIMEDOUT);
    } else {
        int64_t pause_ns = INT64_C(1000000000) << (sock->n_attempts - 1);
        bide__sim_event_add(&sim->queue, event, sim->now_ns + pause_ns);
    }
    return 0;
}

void bide__sim_connect_init(struct bide__sim_sock *sock)
{
    sock->attempt.happen = attempt_happens;
}

/* All that a connection needs, before anybody hears of it. */
static int prepare(struct bide__sim_sock *sock)
{
    struct bide__sim *sim = bide__sim_of_sock(sock);
    struct bide__sim_conn *conn = bide__sim_conn_new(sim, sock->family == AF_UNIX);
    if (!conn)
        return -ENOMEM;
    conn->socks[1] = bide__sim_sock_new(sim, sock->family, SOCK_STREAM);
    if (!conn->socks[1]) {
        bide__sim_conn_free(conn);
        return -ENOMEM;
    }
    conn->names[0] = sock->name;
    sock->coming = conn;
    sock->n_attempts = 0;
    sock->error = 0;
    return 0;
}

static bool is_bound(const struct bide__sim *sim, const struct bide__sim_name *name)
{
    bide__list_each(node, &sim->bound)
    {
        if (bide__sim_name_covers(bide__container(node, struct bide__sim_sock, bound), name))
            return true;
    }
    return false;
}

static int connect_unix(struct bide__sim_sock *sock)
{
    struct bide__sim *sim = bide__sim_of_sock(sock);
    struct bide__sim_sock *listener = find_listener(sim, &sock->target);
    if (!listener) {
        bool is_path = sock->target.path[0] != '\0';
        return is_path && !is_bound(sim, &sock->target) ? -ENOENT : -ECONNREFUSED;
    }
    if (is_full(listener))
        return -EAGAIN;
    int rc = prepare(sock);
    if (rc == 0)
        establish(sock, listener);
    return rc;
}

/* The side that connects has a name, too. */
static int choose_name(struct bide__sim_sock *sock)
{
    if (!sock->has_name) {
        uint16_t port = bide__sim_free_port(bide__sim_of_sock(sock));
        if (port == 0)
            return -EADDRNOTAVAIL;
        sock->name = (struct bide__sim_name){.host = sock->target.host, .port = port};
        sock->has_name = true;
    } else if (bide__sim_is_wildcard(&sock->name)) {
        sock->name.host = sock->target.host;
    }
    return 0;
}

void bide__sim_name_local(struct bide__sim_name *name)
{
    if (bide__sim_is_wildcard(name))
        parse_host(bide__sim_is_ipv4(name) ? "127.0.0.1" : "::1", &name->host);
}

int bide__sim_reaches(const struct bide__sim_sock *sock, const struct bide__sim_name *target)
{
    bool v6_only = bide__sim_option(sock, IPPROTO_IPV6, IPV6_V6ONLY);
    return bide__sim_is_ipv4(target) && v6_only ? -ENETUNREACH : 0;
}

static int connect_inet(struct bide__sim_sock *sock, struct bide_op *op)
{
    struct bide__sim *sim = bide__sim_of_sock(sock);
    int rc = bide__sim_reaches(sock, &sock->target);
    bide__sim_name_local(&sock->target);
    if (rc == 0)
        rc = choose_name(sock);
    if (rc == 0)
        rc = prepare(sock);
    if (rc < 0)
        return rc;
    sock->coming->link = find_link(sim, &sock->name.host, &sock->target.host);
    sock->state = BIDE__SIM_CONNECTING;
    bide__sim_event_add(&sim->queue, &sock->attempt,
                        sim->now_ns + bide__sim_latency_ns(sim, sock->coming->link));
    return bide__sim_wait(sock, BIDE__SIM_CONNECT, op);
}

int bide__sim_connect(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                      socklen_t length)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    if (sock->type == SOCK_DGRAM)
        return bide__sim_datagram_connect(sock, address, length);
    if (sock->state == BIDE__SIM_CONNECTING)
        return -EALREADY;
    if (sock->state != BIDE__SIM_FRESH)
        return sock->family == AF_UNIX && !sock->conn ? -EINVAL : -EISCONN;
    int rc = bide__sim_name_parse(sock, address, length, &sock->target);
    if (rc < 0)
        return rc;
    if (sock->family != AF_UNIX)
        return connect_inet(sock, op);
    return sock->target.path_bytes == 0 ? -EINVAL : connect_unix(sock);
}

/* Accepting */

int bide__sim_pipe(struct bide_engine *engine, struct bide_sock **ret_read,
                   struct bide_sock **ret_write)
{
    struct bide_sock *read;
    int rc = bide__sim_sock_open(engine, AF_UNIX, SOCK_STREAM, 0, &read);
    if (rc < 0)
        return rc;
    struct bide__sim_sock *reader = bide__sim_sock_of(read);
    rc = prepare(reader);
    if (rc < 0) {
        bide__sim_sock_free(reader);
        return rc;
    }
    struct bide__sim_conn *conn = reader->coming;
    struct bide__sim_sock *writer = conn->socks[1];
    reader->coming = NULL;
    conn->one_way = true;
    bide__sim_conn_join(conn, reader, 0);
    bide__sim_conn_join(conn, writer, 1);
    *ret_read = read;
    *ret_write = &writer->base;
    return 0;
}

int bide__sim_try_accept(struct bide_sock *base, struct bide_sock **ret_sock)
{
    struct bide__sim_sock *listener = bide__sim_sock_of(base);
    if (listener->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (listener->state != BIDE__SIM_LISTENING)
        return -EINVAL;
    struct bide__list *place = bide__list_pop(&listener->queue);
    if (!place)
        return -EAGAIN;
    listener->n_queued--;
    *ret_sock = &bide__container(place, struct bide__sim_sock, place)->base;
    return 0;
}

int bide__sim_accept_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__sim_sock *listener = bide__sim_sock_of(base);
    bool ready = listener->state != BIDE__SIM_LISTENING || !bide__list_empty(&listener->queue);
    return bide__sim_wait_ready(listener, BIDE__SIM_ACCEPT, op, ready);
}

void bide__sim_listen_end(struct bide__sim_sock *listener)
{
    struct bide__list *place;
    while ((place = bide__list_pop(&listener->queue))) {
        struct bide__sim_sock *sock = bide__container(place, struct bide__sim_sock, place);
        sock->linger = (struct linger){.l_onoff = 1}; /* the other side sees a reset */
        bide__sim_sock_close(&sock->base);
    }
    listener->n_queued = 0;
    listener->state = BIDE__SIM_FRESH;
    bide__sim_decide(listener, BIDE__SIM_ACCEPT, 0);
}
