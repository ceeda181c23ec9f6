/*
 * Sockets in memory, as the files of the simulation share them: sim_sock.c has names and options,
 * sim_connect.c how connections come about, sim_stream.c how they carry bytes and end,
 * sim_datagram.c messages without a connection, sim_rights.c descriptors that travel with either.
 *
 * Invariants
 *  - A connection is one object with two pipes, made when one side begins to connect, so that
 * nothing can fail for want of memory later. It lives until both sides are closed and nothing is on
 * its way any more.
 *  - What is sent is on its way until its mark's time has come; marks of a pipe are in order.
 *  - An operation that waits has no event; one that is decided, or a send that has room again, has.
 *  - TCP hears of the other side only by what arrives. AF_UNIX has no way between: what one side
 * does the other one sees at once.
 */
#ifndef BIDE_ENGINE_SIM_SOCK_H
#define BIDE_ENGINE_SIM_SOCK_H

#include "engine/sim_world.h"

#include <netinet/in.h>
#include <sys/un.h>

enum { BIDE__SIM_PIPE_BYTES = 128 * 1024, BIDE__SIM_MARKS = 16, BIDE__SIM_OPTIONS = 24 };

/* Hosts as IPv6 has them, IPv4 mapped; AF_UNIX names as bytes. */
struct bide__sim_name {
    struct in6_addr host;
    uint16_t port;
    socklen_t path_bytes; /* 0: no name */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

enum bide__sim_state {
    BIDE__SIM_FRESH, /* bound or not */
    BIDE__SIM_LISTENING,
    BIDE__SIM_CONNECTING,
    BIDE__SIM_CONNECTED, /* until closed, whatever happens to the connection */
};

enum bide__sim_op {
    BIDE__SIM_RECV,
    BIDE__SIM_ACCEPT,
    BIDE__SIM_SEND,
    BIDE__SIM_SEND_WAIT,
    BIDE__SIM_CONNECT,
};
enum { BIDE__SIM_OPS = BIDE__SIM_CONNECT + 1 };

struct bide__sim_wait {
    struct bide__sim_event event;
    struct bide__sim_sock *sock;
    struct bide_op *op;
    bool decided;
    int result;
};

struct bide__sim_sock {
    struct bide_sock base;
    struct bide__list node;  /* in the engine's sockets */
    struct bide__list bound; /* in the engine's bound ones, if it is */
    unsigned number;
    int family;
    int type;
    enum bide__sim_state state;
    bool has_name;
    struct bide__sim_name name;
    int options[BIDE__SIM_OPTIONS];
    struct linger linger;
    struct bide__sim_wait waits[BIDE__SIM_OPS];

    unsigned backlog;
    unsigned n_queued;
    struct bide__list queue; /* connections that nobody accepted yet */
    struct bide__list place; /* in a listener's queue */

    struct bide__sim_conn *coming; /* while it is connecting */
    struct bide__sim_name target;
    struct bide__sim_event attempt;
    unsigned n_attempts;

    struct bide__list messages; /* datagrams that came */
    unsigned n_messages;
    int64_t message_bytes;   /* theirs */
    int64_t flying_bytes;    /* of datagrams sent that did not arrive yet */
    int64_t last_arrival_ns; /* of those */
    bool has_peer;           /* a datagram socket that is connected to `target` */
    unsigned peer_number;    /* AF_UNIX: to this one */

    struct bide__sim_conn *conn;
    unsigned side;
    bool shut_read;
    bool shut_write;
    bool end_came; /* of the other side's bytes */
    bool broken;
    int error; /* not told yet; negative */
    int lost;  /* why the connection went down, if a call was told */
};

/* Descriptors on their way: duplicates of the sender's, the kernel's own. */
struct bide__sim_rights {
    struct bide__list node; /* in a pipe's */
    uint64_t begin;         /* the bytes of the stream that they came with */
    uint64_t end;
    int n;
    int fds[];
};

enum bide__sim_mark_kind { BIDE__SIM_DATA, BIDE__SIM_END, BIDE__SIM_RESET };

struct bide__sim_mark {
    int64_t at_ns;
    uint64_t end; /* how much of the stream is there then */
    enum bide__sim_mark_kind kind;
};

struct bide__sim_pipe {
    struct bide__sim_event arrival; /* of the first mark */
    struct bide__sim_conn *conn;
    unsigned to; /* the side that reads */
    uint64_t n_sent;
    uint64_t n_arrived;
    uint64_t n_read;
    struct bide__list rights; /* in order */
    unsigned n_marks;
    struct bide__sim_mark marks[BIDE__SIM_MARKS];
    char bytes[BIDE__SIM_PIPE_BYTES];
};

struct bide__sim_conn {
    struct bide__sim *sim;
    struct bide__list node; /* in the engine's connections */
    bool local;             /* AF_UNIX */
    bool one_way;           /* a pipe, which knows no resets */
    const struct bide__sim_link *link;
    struct bide__sim_name names[2];
    struct bide__sim_sock *socks[2]; /* NULL: closed */
    struct bide__sim_pipe *pipes[2]; /* from the side of this number */
};

static inline struct bide__sim_sock *bide__sim_sock_of(struct bide_sock *sock)
{
    return (struct bide__sim_sock *)sock;
}

static inline struct bide__sim *bide__sim_of_sock(const struct bide__sim_sock *sock)
{
    return (struct bide__sim *)sock->base.engine;
}

/* sim_sock.c */

struct bide__sim_sock *bide__sim_sock_new(struct bide__sim *sim, int family, int type);
/* Of one that has no connection and no queue any more. */
void bide__sim_sock_free(struct bide__sim_sock *sock);
int bide__sim_name_parse(const struct bide__sim_sock *sock, const struct sockaddr *address,
                         socklen_t length, struct bide__sim_name *ret_name);
/* In the socket's family; as much as there is room for. */
void bide__sim_name_print(const struct bide__sim_sock *sock, const struct bide__sim_name *name,
                          struct sockaddr *ret_address, socklen_t *length);
bool bide__sim_same_name(const struct bide__sim_sock *sock, const struct bide__sim_name *a,
                         const struct bide__sim_name *b);
bool bide__sim_is_ipv4(const struct bide__sim_name *name);
bool bide__sim_is_wildcard(const struct bide__sim_name *name);
/* Whether a socket that is bound to `name` is meant by `target`. */
bool bide__sim_name_covers(const struct bide__sim_sock *sock, const struct bide__sim_name *target);
uint16_t bide__sim_free_port(struct bide__sim *sim);
int bide__sim_bind(struct bide_sock *base, const struct sockaddr *address, socklen_t length);
int bide__sim_local_bind(struct bide_sock *base, const struct sockaddr *address, socklen_t length,
                         unsigned mode, struct bide_local_file *ret_file);
void bide__sim_local_unbind(struct bide_sock *base, const struct sockaddr *address,
                            const struct bide_local_file *file);
/* Gives an Internet socket that has no name any port of every interface. */
int bide__sim_bind_any(struct bide__sim_sock *sock);
int bide__sim_listen(struct bide_sock *base, int backlog);
int bide__sim_sock_name(struct bide_sock *base, bool peer, struct sockaddr *ret_address,
                        socklen_t *length);
int bide__sim_setopt(struct bide_sock *base, int level, int name, const void *value,
                     socklen_t length);
int bide__sim_getopt(struct bide_sock *base, int level, int name, void *value, socklen_t *length);
int bide__sim_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                        struct bide_sock **ret_sock);
bool bide__sim_option(const struct bide__sim_sock *sock, int level, int name);
void bide__sim_options_inherit(struct bide__sim_sock *sock, const struct bide__sim_sock *from);
int64_t bide__sim_buffer_bytes(const struct bide__sim_sock *sock, int name);

/* sim_connect.c */

void bide__sim_connect_init(struct bide__sim_sock *sock);
int bide__sim_connect(struct bide_sock *base, struct bide_op *op, const struct sockaddr *address,
                      socklen_t length);
/* A connection of which each side is used in one direction. */
int bide__sim_pipe(struct bide_engine *engine, struct bide_sock **ret_read,
                   struct bide_sock **ret_write);
int bide__sim_try_accept(struct bide_sock *base, struct bide_sock **ret_sock);
int bide__sim_accept_wait(struct bide_sock *base, struct bide_op *op);
/* Listens no more; whoever waits in the queue sees a reset. */
void bide__sim_listen_end(struct bide__sim_sock *listener);
/* Ends the attempt to connect that is under way, with an error for who waits; or silently, if there
 * is one. */
void bide__sim_attempt_end(struct bide__sim_sock *sock, int error);
void bide__sim_attempt_drop(struct bide__sim_sock *sock);
/* How long something is on its way. */
int64_t bide__sim_latency_ns(struct bide__sim *sim, const struct bide__sim_link *link);
/* NULL: none is set. */
const struct bide__sim_link *bide__sim_link_find(const struct bide__sim *sim,
                                                 const struct in6_addr *a,
                                                 const struct in6_addr *b);
/* What happens to datagrams there, or where no link is set. */
const struct bide__sim_mishaps *bide__sim_link_mishaps(const struct bide__sim *sim,
                                                       const struct bide__sim_link *link);
/* Whether a socket is bound to that very name or to a wildcard that means it, too: 2, 1, or 0. */
int bide__sim_covering(const struct bide__sim_sock *sock, const struct bide__sim_name *target);
/* Means this host. */
void bide__sim_name_local(struct bide__sim_name *name);
/* An error if this socket can have nothing to do with that address. */
int bide__sim_reaches(const struct bide__sim_sock *sock, const struct bide__sim_name *target);
void bide__sim_links_free(struct bide__sim *sim);

/* sim_stream.c */

void bide__sim_stream_init(struct bide__sim_sock *sock);
/* NULL without memory. */
struct bide__sim_conn *bide__sim_conn_new(struct bide__sim *sim, bool local);
void bide__sim_conn_free(struct bide__sim_conn *conn);
/* From now on the socket is a side of it. */
void bide__sim_conn_join(struct bide__sim_conn *conn, struct bide__sim_sock *sock, unsigned side);
/* Both sides see a reset, now. */
void bide__sim_conn_reset(struct bide__sim_conn *conn);

/* Operations: begins to wait; ends a wait, after a delay, unless it ends already. */
int bide__sim_wait(struct bide__sim_sock *sock, enum bide__sim_op kind, struct bide_op *op);
void bide__sim_decide(struct bide__sim_sock *sock, enum bide__sim_op kind, int result);
/* A wait that is over if `ready`: 0, or it ends later. */
int bide__sim_wait_ready(struct bide__sim_sock *sock, enum bide__sim_op kind, struct bide_op *op,
                         bool ready);
/* A send that waits, or a wait for room, may have room again, or an error. */
void bide__sim_send_again(struct bide__sim_sock *sock);
void bide__sim_cancel(struct bide_op *op);

ssize_t bide__sim_try_recv(struct bide_sock *base, void *buffer, size_t size);
ssize_t bide__sim_try_send(struct bide_sock *base, const struct iovec *iov, int n_iov);
ssize_t bide__sim_try_recv_message(struct bide_sock *base, struct msghdr *message);
ssize_t bide__sim_try_send_message(struct bide_sock *base, const struct msghdr *message);
int bide__sim_send_wait(struct bide_sock *base, struct bide_op *op);
int bide__sim_recv_wait(struct bide_sock *base, struct bide_op *op);
int bide__sim_send(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov);
int bide__sim_shutdown(struct bide_sock *base, int how);
void bide__sim_sock_close(struct bide_sock *base);
/* Tells, once, why the connection is gone, or what became of a datagram. */
int bide__sim_take_error(struct bide__sim_sock *sock);

/* sim_datagram.c: the calls of these names, for datagram sockets. */

int bide__sim_datagram_connect(struct bide__sim_sock *sock, const struct sockaddr *address,
                               socklen_t length);
ssize_t bide__sim_datagram_recv(struct bide__sim_sock *sock, struct msghdr *message);
ssize_t bide__sim_datagram_send(struct bide__sim_sock *sock, const struct msghdr *message);
bool bide__sim_datagram_readable(const struct bide__sim_sock *sock);
bool bide__sim_datagram_writable(const struct bide__sim_sock *sock);
int bide__sim_datagram_shutdown(struct bide__sim_sock *sock, int how);
/* Nothing comes to it any more, and what it sent has no sender. */
void bide__sim_datagram_end(struct bide__sim_sock *sock);
void bide__sim_datagrams_free(struct bide__sim *sim);

/* sim_rights.c */

/* Duplicates of what the message carries; NULL in `ret_rights` if that is nothing. */
int bide__sim_rights_new(const struct msghdr *message, struct bide__sim_rights **ret_rights);
/* Closes them. NULL is fine. */
void bide__sim_rights_free(struct bide__sim_rights *rights);
/* Frees them, and gives the receiver as many as it has room for; NULL: there are none. */
void bide__sim_rights_give(struct bide__sim_rights *rights, struct msghdr *message);

#endif
