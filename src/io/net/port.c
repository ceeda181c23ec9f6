/* Shared ports; the invariants stand in port.h. */
#include "io/net/port.h"

#include "engine/hand.h"
#include "io/net/resolve.h"
#include "runtime/coro.h"
#include "runtime/mailbox.h"

#include <stdlib.h>
#include <string.h>

/* On duty: one that computes for a while must not keep the others from getting connections, and
 * each more is woken in vain more often. */
enum { BACKLOG_DEFAULT = 1024, BEGUN_PER_TURN = 64, ON_DUTY = 2 };

struct bide__port_member {
    bide_port *port;
    struct bide__mailbox *mailbox;
    size_t connections_max; /* 0: no limit */
    struct bide__ready post;
    atomic_size_t n_ended; /* of those assigned; its thread changes it */
    atomic_bool on_duty;   /* changed under the port's lock */

    /* Its thread's */
    struct bide__listeners *set; /* NULL: it has left */
    size_t n_begun;

    /* Under the port's lock */
    unsigned refs; /* the set, and the post while it is under way */
    bool posted;
    size_t n_assigned;
    int *inbox; /* a ring */
    size_t inbox_size;
    size_t inbox_first;
    size_t n_inbox;
};

struct bide_port {
    atomic_uint refs;
    enum bide_port_way way;
    int backlog;
    unsigned number;
    int n;
    struct bide_address addresses[BIDE__ADDRESSES_MAX];

    pthread_mutex_t lock;
    bool is_open;
    int fds[BIDE__ADDRESSES_MAX];
    struct bide__port_member **members;
    size_t members_size;
    size_t n_members;
    unsigned n_on_duty;
    size_t next; /* whose turn it is among equals */
};

static void fds_close(bide_port *port, int n)
{
    for (int i = 0; i < n; i++)
        bide__fd_close(port->fds[i]);
    port->is_open = false;
}

/* Keeps the set's sockets open for others as well. */
static int fds_double(bide_port *port, const struct bide__listeners *set)
{
    for (int i = 0; i < port->n; i++) {
        int fd = bide__sock_double(set->each[i].sock);
        if (fd < 0) {
            fds_close(port, i);
            return fd;
        }
        port->fds[i] = fd;
    }
    port->is_open = true;
    return 0;
}

bide_port *bide_port_ref(bide_port *port)
{
    if (port)
        atomic_fetch_add_explicit(&port->refs, 1, memory_order_relaxed);
    return port;
}

void bide_port_unref(bide_port *port)
{
    if (!port || atomic_fetch_sub_explicit(&port->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (port->is_open)
        fds_close(port, port->n);
    pthread_mutex_destroy(&port->lock);
    free(port->members);
    free(port);
}

unsigned bide_port_number(const bide_port *port)
{
    return port ? port->number : 0;
}

int bide__port_addresses(const bide_port *port, struct bide_address *ret_addresses)
{
    memcpy(ret_addresses, port->addresses, (size_t)port->n * sizeof *ret_addresses);
    return port->n;
}

/* Opening */

/* With sockets of this loop's, which are given back: their doubles stay. */
static int port_listen(bide_port *port, struct bide_address *addresses, int n)
{
    struct bide__listeners *set = calloc(1, sizeof *set);
    if (!set)
        return -ENOMEM;
    set->loop = bide__loop_running;
    set->backlog = port->backlog;
    set->reuse_port = set->binds_only = port->way == BIDE_PORT_REUSED;
    int rc = bide__listeners_open(set, addresses, n, port->number);
    if (rc == 0) {
        port->n = (int)set->n;
        for (size_t i = 0; i < set->n; i++)
            port->addresses[i] = set->each[i].address;
        port->number = bide_address_port(&port->addresses[0]);
        rc = fds_double(port, set);
        bide__listeners_undo(set);
    }
    free(set);
    return rc;
}

static int port_new(const struct bide_port_opts *opts, struct bide_address *addresses, int n,
                    unsigned number, bide_port **ret_port)
{
    bide_port *port = calloc(1, sizeof *port);
    if (!port)
        return -ENOMEM;
    atomic_init(&port->refs, 1);
    pthread_mutex_init(&port->lock, NULL);
    port->way = opts->way;
    port->backlog = opts->backlog > 0 ? opts->backlog : BACKLOG_DEFAULT;
    port->number = number;
    int rc = port_listen(port, addresses, n);
    if (rc < 0)
        bide_port_unref(port);
    else
        *ret_port = port;
    return rc;
}

struct opening {
    const char *host;
    unsigned port;
    const struct bide_port_opts *opts;
    bide_port **ret_port;
};

static int open_here(const struct opening *opening)
{
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
    struct bide__coro *coro;
    int rc = bide__coro_current() ? bide__suspend(&coro) : 0;
    if (rc < 0)
        return rc;
    int n = bide__resolve(opening->host, opening->port, opening->opts->family, addresses,
                          BIDE__ADDRESSES_MAX);
    return n < 0 ? n : port_new(opening->opts, addresses, n, opening->port, opening->ret_port);
}

static bide_async(open_alone, (const struct opening *, opening))
{
    return open_here(opening);
}

int bide_port_open(const char *host, unsigned port, const struct bide_port_opts *opts,
                   bide_port **ret_port)
{
    static const struct bide_port_opts defaults;
    static const struct bide_loop_opts plain = {.engine = "epoll"};
    if (!opts)
        opts = &defaults;
    if (!ret_port || opts->backlog < 0 || opts->way > BIDE_PORT_REUSED ||
        !bide__resolve_sensible(host, port, opts->family))
        return -EINVAL;
    struct opening opening = {host, port, opts, ret_port};
    return bide__loop_running ? open_here(&opening) : bide_run_with(&plain, open_alone, &opening);
}

/* Members */

static void member_unref(struct bide__port_member *member)
{
    bide_port *port = member->port;
    pthread_mutex_lock(&port->lock);
    bool is_last = --member->refs == 0;
    pthread_mutex_unlock(&port->lock);
    if (!is_last)
        return;
    bide__mailbox_unref(member->mailbox);
    bide_port_unref(port);
    free(member->inbox);
    free(member);
}

static size_t load_of(const struct bide__port_member *member)
{
    return member->n_assigned - atomic_load_explicit(&member->n_ended, memory_order_relaxed);
}

static bool is_full(const struct bide__port_member *member)
{
    return member->connections_max > 0 && load_of(member) >= member->connections_max;
}

/* The one with the least to do, those that are full only if `any`; NULL if there is none. */
static struct bide__port_member *least(bide_port *port, bool any)
{
    struct bide__port_member *best = NULL;
    size_t best_at = 0;
    for (size_t i = 0; i < port->n_members; i++) {
        size_t at = (port->next + i) % port->n_members;
        struct bide__port_member *member = port->members[at];
        if ((any || !is_full(member)) && (!best || load_of(member) < load_of(best))) {
            best = member;
            best_at = at;
        }
    }
    if (best)
        port->next = best_at + 1;
    return best;
}

static int inbox_put(struct bide__port_member *member, int fd)
{
    if (member->n_inbox == member->inbox_size) {
        size_t size = member->inbox_size > 0 ? 2 * member->inbox_size : 16;
        int *inbox = malloc(size * sizeof *inbox);
        if (!inbox)
            return -ENOMEM;
        for (size_t i = 0; i < member->n_inbox; i++)
            inbox[i] = member->inbox[(member->inbox_first + i) % member->inbox_size];
        free(member->inbox);
        member->inbox = inbox;
        member->inbox_size = size;
        member->inbox_first = 0;
    }
    member->inbox[(member->inbox_first + member->n_inbox++) % member->inbox_size] = fd;
    return 0;
}

static int inbox_take(struct bide__port_member *member)
{
    if (member->n_inbox == 0)
        return -EAGAIN;
    int fd = member->inbox[member->inbox_first];
    member->inbox_first = (member->inbox_first + 1) % member->inbox_size;
    member->n_inbox--;
    return fd;
}

/* A member's loop takes posts: it leaves before that ends. */
static void member_post(struct bide__port_member *member)
{
    if (member->posted)
        return;
    member->posted = true;
    member->refs++;
    bide__mailbox_post(member->mailbox, &member->post);
}

/* Takes the descriptor, unless it fails. */
static int assign(struct bide__port_member *member, int fd)
{
    int rc = inbox_put(member, fd);
    if (rc < 0)
        return rc;
    member->n_assigned++;
    member_post(member);
    return 0;
}

static int begin(struct bide__port_member *member, struct bide_sock *sock)
{
    int rc = member->set->kind->accepted(member->set, sock);
    member->n_begun++;
    if (member->set)
        bide__port_changed(member);
    return rc;
}

static int assign_double(struct bide__port_member *member, const struct bide_sock *sock)
{
    int fd = bide__sock_double(sock);
    int rc = fd < 0 ? fd : assign(member, fd);
    if (rc < 0 && fd >= 0)
        bide__fd_close(fd);
    return rc;
}

int bide__port_hand(struct bide__port_member *member, struct bide_sock *sock)
{
    bide_port *port = member->port;
    pthread_mutex_lock(&port->lock);
    struct bide__port_member *to = least(port, false);
    bool is_mine = !to || to == member || assign_double(to, sock) < 0;
    member->n_assigned += is_mine;
    member->refs += is_mine; /* whoever it is begun with may close the set */
    pthread_mutex_unlock(&port->lock);
    if (is_mine) {
        int rc = begin(member, sock);
        member_unref(member);
        return rc;
    }
    sock->engine->ops->sock_close(sock);
    return 0;
}

static int begin_fd(struct bide__port_member *member, int fd)
{
    struct bide_engine *engine = member->set->loop->engine;
    struct bide_sock *sock;
    int rc = engine->ops->sock_adopt(engine, fd, BIDE_ADOPT_SOCKET, &sock);
    if (rc == 0)
        return begin(member, sock);
    bide__fd_close(fd);
    member->n_begun++;
    bide__port_changed(member);
    return rc;
}

static bool has_room(const struct bide__port_member *member)
{
    size_t max = member->connections_max;
    return max == 0 || member->set->n_connections < max;
}

/* The next of the inbox that there is room for. */
static int next_fd(struct bide__port_member *member)
{
    if (!has_room(member))
        return -EAGAIN;
    pthread_mutex_lock(&member->port->lock);
    int fd = inbox_take(member);
    pthread_mutex_unlock(&member->port->lock);
    return fd;
}

static void member_run(struct bide__ready *ready)
{
    struct bide__port_member *member = bide__container(ready, struct bide__port_member, post);
    int fd = 0;
    pthread_mutex_lock(&member->port->lock);
    member->posted = false;
    pthread_mutex_unlock(&member->port->lock);
    for (int i = 0; i < BEGUN_PER_TURN && member->set && fd >= 0; i++) {
        fd = next_fd(member);
        int rc = fd < 0 ? 0 : begin_fd(member, fd);
        if (rc < 0 && member->set)
            bide__listeners_starved(member->set, rc);
    }
    if (member->set) /* it has had its share of the turn, or there is room where something failed */
        bide__listeners_go_on(member->set);
    member_unref(member);
}

void bide__port_changed(struct bide__port_member *member)
{
    atomic_store_explicit(&member->n_ended, member->n_begun - member->set->n_connections,
                          memory_order_relaxed);
}

/* Duty, under the lock */

static bool is_on_duty(const struct bide__port_member *member)
{
    return atomic_load_explicit(&member->on_duty, memory_order_relaxed);
}

static void set_duty(struct bide__port_member *member, bool on)
{
    bide_port *port = member->port;
    atomic_store_explicit(&member->on_duty, on, memory_order_relaxed);
    port->n_on_duty += on ? 1 : -1u;
    if (on)
        member_post(member); /* and it begins to listen */
}

/* One that is as wanted; NULL if there is none. */
static struct bide__port_member *find(const bide_port *port, bool on_duty, bool full)
{
    for (size_t i = 0; i < port->n_members; i++) {
        struct bide__port_member *member = port->members[i];
        if (is_on_duty(member) == on_duty && is_full(member) == full)
            return member;
    }
    return NULL;
}

void bide__port_rest(struct bide__port_member *member)
{
    bide_port *port = member->port;
    pthread_mutex_lock(&port->lock);
    if (is_on_duty(member) && is_full(member)) {
        struct bide__port_member *other = find(port, false, false);
        if (other) {
            set_duty(member, false);
            set_duty(other, true);
        }
    }
    pthread_mutex_unlock(&port->lock);
}

void bide__port_go_on(struct bide__port_member *member)
{
    bide_port *port = member->port;
    pthread_mutex_lock(&port->lock);
    if (!is_on_duty(member) && !is_full(member)) {
        struct bide__port_member *other = find(port, true, true);
        if (other) {
            set_duty(other, false);
            set_duty(member, true);
        }
    }
    if (member->n_inbox > 0 && has_room(member))
        member_post(member);
    pthread_mutex_unlock(&port->lock);
}

bool bide__port_full(struct bide__port_member *member)
{
    if (!is_on_duty(member))
        return true;
    if (member->connections_max == 0)
        return false;
    pthread_mutex_lock(&member->port->lock);
    bool full = is_full(member);
    pthread_mutex_unlock(&member->port->lock);
    return full;
}

/* Joining and leaving, under the lock */

static int members_reserve(bide_port *port)
{
    if (port->n_members < port->members_size)
        return 0;
    size_t size = port->members_size > 0 ? 2 * port->members_size : 8;
    struct bide__port_member **members = realloc(port->members, size * sizeof *members);
    if (!members)
        return -ENOMEM;
    port->members = members;
    port->members_size = size;
    return 0;
}

static int adopt_one(struct bide__listeners *set, int fd, const struct bide_address *address)
{
    struct bide_engine *engine = set->loop->engine;
    struct bide_sock *sock;
    int twin = bide__fd_double(fd);
    if (twin < 0)
        return twin;
    int rc = engine->ops->sock_adopt(engine, twin, BIDE_ADOPT_SOCKET, &sock);
    if (rc < 0)
        bide__fd_close(twin);
    else
        bide__listeners_put(set, sock, address);
    return rc;
}

static int adopt_all(bide_port *port, struct bide__listeners *set)
{
    int rc = 0;
    for (int i = 0; i < port->n && rc == 0; i++)
        rc = adopt_one(set, port->fds[i], &port->addresses[i]);
    if (rc < 0)
        bide__listeners_undo(set);
    return rc;
}

/* All had left. The number may be somebody else's now. */
static int open_again(bide_port *port, struct bide__listeners *set)
{
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
    int rc = bide__listeners_open(set, addresses, bide__port_addresses(port, addresses),
                                  port->number);
    if (rc < 0)
        return rc;
    rc = (int)set->n == port->n ? fds_double(port, set) : -EADDRNOTAVAIL;
    if (rc < 0)
        bide__listeners_undo(set);
    return rc;
}

static int join(bide_port *port, struct bide__listeners *set, struct bide__port_member *member)
{
    int rc = members_reserve(port);
    if (rc == 0)
        rc = port->is_open ? adopt_all(port, set) : open_again(port, set);
    if (rc < 0)
        return rc;
    port->members[port->n_members++] = member;
    if (port->n_on_duty < ON_DUTY) {
        port->n_on_duty++;
        atomic_store_explicit(&member->on_duty, true, memory_order_relaxed);
    }
    return 0;
}

int bide__port_join(bide_port *port, struct bide__listeners *set)
{
    struct bide_address addresses[BIDE__ADDRESSES_MAX];
    set->backlog = port->backlog;
    if (port->way == BIDE_PORT_REUSED) {
        set->reuse_port = true;
        return bide__listeners_open(set, addresses, bide__port_addresses(port, addresses),
                                    port->number);
    }
    struct bide__port_member *member = calloc(1, sizeof *member);
    if (!member)
        return -ENOMEM;
    member->port = port;
    member->set = set;
    member->connections_max = set->connections_max;
    member->mailbox = set->loop->mailbox;
    member->post.run = member_run;
    member->refs = 1;
    pthread_mutex_lock(&port->lock);
    int rc = join(port, set, member);
    pthread_mutex_unlock(&port->lock);
    if (rc < 0) {
        free(member);
        return rc;
    }
    bide_port_ref(port);
    bide__mailbox_ref(member->mailbox);
    set->member = member;
    return 0;
}

static void remove_from(bide_port *port, const struct bide__port_member *member)
{
    size_t at = 0;
    while (port->members[at] != member)
        at++;
    port->n_members--;
    memmove(&port->members[at], &port->members[at + 1],
            (port->n_members - at) * sizeof *port->members);
    port->next -= port->next > at;
}

static void leave_duty(bide_port *port, struct bide__port_member *member)
{
    if (!is_on_duty(member))
        return;
    set_duty(member, false);
    struct bide__port_member *other = find(port, false, false);
    other = other ? other : find(port, false, true);
    if (other)
        set_duty(other, true);
}

void bide__port_leave(struct bide__listeners *set)
{
    struct bide__port_member *member = set->member;
    bide_port *port = member->port;
    int fd;
    set->member = NULL;
    member->set = NULL;
    pthread_mutex_lock(&port->lock);
    remove_from(port, member);
    leave_duty(port, member);
    while ((fd = inbox_take(member)) >= 0) {
        struct bide__port_member *to = least(port, false);
        to = to ? to : least(port, true);
        if (!to || assign(to, fd) < 0)
            bide__fd_close(fd);
    }
    if (port->n_members == 0)
        fds_close(port, port->n);
    pthread_mutex_unlock(&port->lock);
    member_unref(member);
}
