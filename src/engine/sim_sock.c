/*
 * Sockets of a simulation: their life, names and options. sim_sock.h states the invariants.
 *
 * Every address is this simulation's: any host may be bound, and every other one of the process is
 * reached through it.
 */
#include "engine/sim_sock.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EPHEMERAL_FIRST = 32768, EPHEMERAL_COUNT = 28232, BUFFER_BYTES = 64 * 1024 };
enum { SNDBUF_MIN = 4608, RCVBUF_MIN = 2304, BUFFER_BYTES_MAX = 425984 };

/* Names */

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct in6_addr map_ipv4(struct in_addr host)
{
    struct in6_addr ipv6 = {0};
    memcpy(ipv6.s6_addr, mapped, sizeof mapped);
    memcpy(ipv6.s6_addr + sizeof mapped, &host, sizeof host);
    return ipv6;
}

bool bide__sim_is_ipv4(const struct bide__sim_name *name)
{
    return memcmp(name->host.s6_addr, mapped, sizeof mapped) == 0;
}

bool bide__sim_is_wildcard(const struct bide__sim_name *name)
{
    static const struct in_addr any;
    struct in6_addr any_ipv4 = map_ipv4(any);
    return memcmp(&name->host, &any_ipv4, sizeof any_ipv4) == 0 ||
           memcmp(&name->host, &in6addr_any, sizeof in6addr_any) == 0;
}

static bool same_host(const struct bide__sim_name *a, const struct bide__sim_name *b)
{
    return memcmp(&a->host, &b->host, sizeof a->host) == 0;
}

/* A wildcard for IPv6 is one for IPv4, too, unless the socket is for IPv6 alone. */
static bool takes_family_of(const struct bide__sim_sock *sock, const struct bide__sim_name *name)
{
    if (bide__sim_is_ipv4(&sock->name))
        return bide__sim_is_ipv4(name);
    return !bide__sim_is_ipv4(name) || !bide__sim_option(sock, IPPROTO_IPV6, IPV6_V6ONLY);
}

bool bide__sim_name_covers(const struct bide__sim_sock *sock, const struct bide__sim_name *target)
{
    if (sock->family == AF_UNIX || target->path_bytes > 0)
        return sock->family == AF_UNIX && sock->name.path_bytes == target->path_bytes &&
               memcmp(sock->name.path, target->path, target->path_bytes) == 0;
    if (sock->name.port != target->port)
        return false;
    if (same_host(&sock->name, target))
        return true;
    return bide__sim_is_wildcard(&sock->name) && takes_family_of(sock, target);
}

static int parse_unix(const struct sockaddr *address, socklen_t length,
                      struct bide__sim_name *ret_name)
{
    const struct sockaddr_un *local = (const void *)address;
    socklen_t path_bytes = length - (socklen_t)offsetof(struct sockaddr_un, sun_path);
    if (length > sizeof *local)
        return -EINVAL;
    if (path_bytes > 0 && local->sun_path[0] != '\0') /* a path ends with its zero byte */
        path_bytes = (socklen_t)strnlen(local->sun_path, path_bytes);
    ret_name->path_bytes = path_bytes;
    memcpy(ret_name->path, local->sun_path, path_bytes);
    return 0;
}

int bide__sim_name_parse(const struct bide__sim_sock *sock, const struct sockaddr *address,
                         socklen_t length, struct bide__sim_name *ret_name)
{
    struct bide__sim_name name = {0};
    if (length < sizeof(sa_family_t))
        return -EINVAL;
    if (address->sa_family != sock->family)
        return sock->family == AF_UNIX ? -EINVAL : -EAFNOSUPPORT;
    if (sock->family == AF_UNIX) {
        int rc = parse_unix(address, length, &name);
        if (rc < 0)
            return rc;
    } else if (sock->family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const void *)address;
        if (length < sizeof *ipv4)
            return -EINVAL;
        name.host = map_ipv4(ipv4->sin_addr);
        name.port = ntohs(ipv4->sin_port);
    } else {
        const struct sockaddr_in6 *ipv6 = (const void *)address;
        if (length < offsetof(struct sockaddr_in6, sin6_scope_id))
            return -EINVAL;
        name.host = ipv6->sin6_addr;
        name.port = ntohs(ipv6->sin6_port);
    }
    *ret_name = name;
    return 0;
}

void bide__sim_name_print(const struct bide__sim_sock *sock, const struct bide__sim_name *name,
                          struct sockaddr *ret_address, socklen_t *length)
{
    union {
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un local;
    } address;
    socklen_t bytes;
    memset(&address, 0, sizeof address);
    if (sock->family == AF_UNIX) {
        address.local.sun_family = AF_UNIX;
        memcpy(address.local.sun_path, name->path, name->path_bytes);
        bytes = (socklen_t)offsetof(struct sockaddr_un, sun_path) + name->path_bytes;
        if (name->path_bytes > 0 && name->path[0] != '\0' && bytes < sizeof address.local)
            bytes++;
    } else if (sock->family == AF_INET) {
        address.ipv4.sin_family = AF_INET;
        address.ipv4.sin_port = htons(name->port);
        memcpy(&address.ipv4.sin_addr, name->host.s6_addr + sizeof mapped, 4);
        bytes = sizeof address.ipv4;
    } else {
        address.ipv6.sin6_family = AF_INET6;
        address.ipv6.sin6_port = htons(name->port);
        address.ipv6.sin6_addr = name->host;
        bytes = sizeof address.ipv6;
    }
    memcpy(ret_address, &address, *length < bytes ? *length : bytes);
    *length = bytes;
}

bool bide__sim_same_name(const struct bide__sim_sock *sock, const struct bide__sim_name *a,
                         const struct bide__sim_name *b)
{
    if (sock->family == AF_UNIX)
        return a->path_bytes == b->path_bytes && memcmp(a->path, b->path, a->path_bytes) == 0;
    return a->port == b->port && same_host(a, b);
}

static bool port_is_bound(const struct bide__sim *sim, uint16_t port)
{
    bide__list_each(node, &sim->bound)
    {
        const struct bide__sim_sock *sock = bide__container(node, struct bide__sim_sock, bound);
        if (sock->family != AF_UNIX && sock->name.port == port)
            return true;
    }
    return false;
}

/* 0: all are in use. */
uint16_t bide__sim_free_port(struct bide__sim *sim)
{
    for (int i = 0; i < EPHEMERAL_COUNT; i++) {
        uint16_t port = (uint16_t)(EPHEMERAL_FIRST + sim->n_ports++ % EPHEMERAL_COUNT);
        if (!port_is_bound(sim, port))
            return port;
    }
    return 0;
}

static bool both_have(const struct bide__sim_sock *a, const struct bide__sim_sock *b, int option)
{
    return bide__sim_option(a, SOL_SOCKET, option) && bide__sim_option(b, SOL_SOCKET, option);
}

/* Whether `sock` may not be bound to, or not listen on, the name that it has by now. */
static bool conflicts(const struct bide__sim_sock *sock, bool listens)
{
    bide__list_each(node, &bide__sim_of_sock(sock)->bound)
    {
        const struct bide__sim_sock *other = bide__container(node, struct bide__sim_sock, bound);
        if (sock->family != AF_UNIX && other->type != sock->type)
            continue; /* TCP and UDP have ports of their own */
        if (other == sock || !(bide__sim_name_covers(other, &sock->name) ||
                               bide__sim_name_covers(sock, &other->name)))
            continue;
        if (sock->family == AF_UNIX)
            return true;
        bool both_listen = listens && other->state == BIDE__SIM_LISTENING;
        bool shared = both_have(sock, other, SO_REUSEPORT) ||
                      (both_have(sock, other, SO_REUSEADDR) && !both_listen &&
                       other->state != BIDE__SIM_LISTENING);
        if (!shared)
            return true;
    }
    return false;
}

static int choose_name(struct bide__sim_sock *sock)
{
    struct bide__sim *sim = bide__sim_of_sock(sock);
    if (sock->family == AF_UNIX) {
        if (sock->name.path_bytes == 0) { /* an abstract one */
            snprintf(sock->name.path, sizeof sock->name.path, "%c%05x", '\0', sim->n_ports++);
            sock->name.path_bytes = 6;
        }
    } else if (sock->name.port == 0) {
        sock->name.port = bide__sim_free_port(sim);
        return sock->name.port == 0 ? -EADDRINUSE : 0;
    }
    return conflicts(sock, false) ? -EADDRINUSE : 0;
}

int bide__sim_bind(struct bide_sock *base, const struct sockaddr *address, socklen_t length)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    struct bide__sim_name name;
    int rc = bide__sim_name_parse(sock, address, length, &name);
    if (rc == 0 && (sock->has_name || sock->state != BIDE__SIM_FRESH))
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    sock->name = name;
    rc = choose_name(sock);
    if (rc < 0) {
        sock->name = (struct bide__sim_name){0};
        return rc;
    }
    sock->has_name = true;
    bide__list_append(&bide__sim_of_sock(sock)->bound, &sock->bound);
    return 0;
}

int bide__sim_bind_any(struct bide__sim_sock *sock)
{
    struct sockaddr_storage any;
    memset(&any, 0, sizeof any);
    any.ss_family = (sa_family_t)sock->family;
    return bide__sim_bind(&sock->base, (struct sockaddr *)&any, sizeof any);
}

/* A name is free when its socket is closed: no files are left. */
int bide__sim_local_bind(struct bide_sock *base, const struct sockaddr *address, socklen_t length,
                         unsigned mode, struct bide_local_file *ret_file)
{
    (void)mode;
    *ret_file = (struct bide_local_file){0};
    return bide__sim_bind(base, address, length);
}

void bide__sim_local_unbind(struct bide_sock *base, const struct sockaddr *address,
                            const struct bide_local_file *file)
{
    (void)base;
    (void)address;
    (void)file;
}

int bide__sim_listen(struct bide_sock *base, int backlog)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    if (sock->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (sock->state != BIDE__SIM_FRESH && sock->state != BIDE__SIM_LISTENING)
        return -EINVAL;
    if (!sock->has_name) {
        int rc = sock->family == AF_UNIX ? -EINVAL : bide__sim_bind_any(sock);
        if (rc < 0)
            return rc;
    }
    if (sock->state == BIDE__SIM_FRESH && conflicts(sock, true))
        return -EADDRINUSE;
    sock->backlog = backlog < 0 || backlog > SOMAXCONN ? SOMAXCONN : (unsigned)backlog;
    sock->state = BIDE__SIM_LISTENING;
    return 0;
}

int bide__sim_sock_name(struct bide_sock *base, bool peer, struct sockaddr *ret_address,
                        socklen_t *length)
{
    const struct bide__sim_sock *sock = bide__sim_sock_of(base);
    if (peer && !sock->has_peer && (!sock->conn || sock->broken))
        return -ENOTCONN;
    struct bide__sim_name name = sock->name;
    if (peer)
        name = sock->has_peer ? sock->target : sock->conn->names[!sock->side];
    bide__sim_name_print(sock, &name, ret_address, length);
    return 0;
}

/* Options */

enum option_kind { STORED, BUFFER, READ_ONLY };

static const struct option {
    int level;
    int name;
    int initial;
    enum option_kind kind;
} options[] = {
    {SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES, BUFFER}, {SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES, BUFFER},
    {SOL_SOCKET, SO_REUSEADDR, 0, STORED},         {SOL_SOCKET, SO_REUSEPORT, 0, STORED},
    {SOL_SOCKET, SO_KEEPALIVE, 0, STORED},         {SOL_SOCKET, SO_BROADCAST, 0, STORED},
    {SOL_SOCKET, SO_PRIORITY, 0, STORED},          {SOL_SOCKET, SO_ERROR, 0, READ_ONLY},
    {SOL_SOCKET, SO_TYPE, 0, READ_ONLY},           {SOL_SOCKET, SO_DOMAIN, 0, READ_ONLY},
    {SOL_SOCKET, SO_PROTOCOL, 0, READ_ONLY},       {SOL_SOCKET, SO_ACCEPTCONN, 0, READ_ONLY},
    {IPPROTO_TCP, TCP_NODELAY, 0, STORED},         {IPPROTO_TCP, TCP_CORK, 0, STORED},
    {IPPROTO_TCP, TCP_QUICKACK, 1, STORED},        {IPPROTO_TCP, TCP_KEEPIDLE, 7200, STORED},
    {IPPROTO_TCP, TCP_KEEPINTVL, 75, STORED},      {IPPROTO_TCP, TCP_KEEPCNT, 9, STORED},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, STORED},    {IPPROTO_TCP, TCP_FASTOPEN, 0, STORED},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, STORED},    {IPPROTO_IP, IP_TOS, 0, STORED},
    {IPPROTO_IPV6, IPV6_V6ONLY, 0, STORED},        {IPPROTO_IPV6, IPV6_TCLASS, 0, STORED},
};

enum { N_OPTIONS = sizeof options / sizeof *options };
_Static_assert((int)N_OPTIONS <= (int)BIDE__SIM_OPTIONS, "room for each option's value");

/* N_OPTIONS: the socket has no such option. */
static unsigned find_option(const struct bide__sim_sock *sock, int level, int name)
{
    if ((level == IPPROTO_TCP || level == IPPROTO_IP) && sock->family == AF_UNIX)
        return N_OPTIONS;
    if (level == IPPROTO_TCP && sock->type != SOCK_STREAM)
        return N_OPTIONS;
    if (level == IPPROTO_IPV6 && sock->family != AF_INET6)
        return N_OPTIONS;
    for (unsigned i = 0; i < N_OPTIONS; i++)
        if (options[i].level == level && options[i].name == name)
            return i;
    return N_OPTIONS;
}

bool bide__sim_option(const struct bide__sim_sock *sock, int level, int name)
{
    unsigned at = find_option(sock, level, name);
    return at < N_OPTIONS && sock->options[at] != 0;
}

int64_t bide__sim_buffer_bytes(const struct bide__sim_sock *sock, int name)
{
    return sock->options[find_option(sock, SOL_SOCKET, name)];
}

void bide__sim_options_inherit(struct bide__sim_sock *sock, const struct bide__sim_sock *from)
{
    memcpy(sock->options, from->options, sizeof sock->options);
    sock->linger = from->linger;
}

/* As Linux does: twice what was asked for, within limits. */
static int buffer_bytes(int name, int value)
{
    int least = name == SO_SNDBUF ? SNDBUF_MIN : RCVBUF_MIN;
    int64_t bytes = value < 0 ? BUFFER_BYTES_MAX : 2 * (int64_t)value;
    if (bytes > BUFFER_BYTES_MAX)
        bytes = BUFFER_BYTES_MAX;
    return bytes < least ? least : (int)bytes;
}

int bide__sim_setopt(struct bide_sock *base, int level, int name, const void *value,
                     socklen_t length)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    assert(base->fd < 0);
    if (level == SOL_SOCKET && name == SO_LINGER) {
        if (length < sizeof sock->linger)
            return -EINVAL;
        memcpy(&sock->linger, value, sizeof sock->linger);
        return 0;
    }
    unsigned at = find_option(sock, level, name);
    int number;
    if (at == N_OPTIONS || options[at].kind == READ_ONLY)
        return -ENOPROTOOPT;
    if (length < sizeof number)
        return -EINVAL;
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && sock->has_name)
        return -EINVAL;
    memcpy(&number, value, sizeof number);
    sock->options[at] = options[at].kind == BUFFER ? buffer_bytes(name, number) : number;
    return 0;
}

static int read_only_option(struct bide__sim_sock *sock, int name, int stored)
{
    int error = -sock->error;
    switch (name) {
    case SO_ERROR:
        sock->error = 0;
        return error;
    case SO_DOMAIN:
        return sock->family;
    case SO_TYPE:
        return sock->type;
    case SO_PROTOCOL:
        return sock->family == AF_UNIX ? 0 : sock->type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP;
    case SO_ACCEPTCONN:
        return sock->state == BIDE__SIM_LISTENING;
    default:
        return stored;
    }
}

/* Both ends are this process's. */
static int peer_credentials(const struct bide__sim_sock *sock, void *value, socklen_t *length)
{
    struct ucred credentials = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    if (sock->family != AF_UNIX)
        return -ENOPROTOOPT;
    if (!sock->conn)
        credentials = (struct ucred){.uid = (uid_t)-1, .gid = (gid_t)-1};
    if (*length > sizeof credentials)
        *length = sizeof credentials;
    memcpy(value, &credentials, *length);
    return 0;
}

int bide__sim_getopt(struct bide_sock *base, int level, int name, void *value, socklen_t *length)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    assert(base->fd < 0);
    if (level == SOL_SOCKET && name == SO_LINGER) {
        if (*length > sizeof sock->linger)
            *length = sizeof sock->linger;
        memcpy(value, &sock->linger, *length);
        return 0;
    }
    if (level == SOL_SOCKET && name == SO_PEERCRED)
        return peer_credentials(sock, value, length);
    unsigned at = find_option(sock, level, name);
    if (at == N_OPTIONS)
        return -ENOPROTOOPT;
    int number = sock->options[at];
    if (options[at].kind == READ_ONLY)
        number = read_only_option(sock, name, number);
    if (*length > sizeof number)
        *length = sizeof number;
    memcpy(value, &number, *length);
    return 0;
}

/* Life */

struct bide__sim_sock *bide__sim_sock_new(struct bide__sim *sim, int family, int type)
{
    struct bide__sim_sock *sock = calloc(1, sizeof *sock);
    if (!sock)
        return NULL;
    sock->base = (struct bide_sock){.engine = &sim->base, .fd = -1};
    sock->number = ++sim->n_objects;
    sock->family = family;
    sock->type = type;
    for (unsigned i = 0; i < N_OPTIONS; i++)
        sock->options[i] = options[i].initial;
    bide__list_init(&sock->bound);
    bide__list_init(&sock->queue);
    bide__list_init(&sock->place);
    bide__list_init(&sock->messages);
    bide__list_append(&sim->socks, &sock->node);
    bide__sim_stream_init(sock);
    bide__sim_connect_init(sock);
    return sock;
}

int bide__sim_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                        struct bide_sock **ret_sock)
{
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    int usual = type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP;
    if (protocol != 0 && (family == AF_UNIX || protocol != usual))
        return -EPROTONOSUPPORT;
    struct bide__sim_sock *sock = bide__sim_sock_new(bide__sim_of(engine), family, type);
    if (!sock)
        return -ENOMEM;
    *ret_sock = &sock->base;
    return 0;
}

void bide__sim_sock_free(struct bide__sim_sock *sock)
{
    struct bide__sim *sim = bide__sim_of_sock(sock);
    bide__sim_datagram_end(sock);
    for (int kind = 0; kind < BIDE__SIM_OPS; kind++)
        bide__sim_event_remove(&sim->queue, &sock->waits[kind].event);
    bide__sim_event_remove(&sim->queue, &sock->attempt);
    bide__list_remove(&sock->bound);
    bide__list_remove(&sock->place);
    bide__list_remove(&sock->node);
    free(sock);
}
