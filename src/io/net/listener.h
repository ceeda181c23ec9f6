/*
 * The listening sockets of a server: they take connections and hand them on.
 *
 * Invariants
 *  - A listener waits for connections exactly while the set is open and below its limit.
 * Connections are taken from the ready queue, not from the engine's callback, because that may
 * report.
 *  - Each listener counts as an owner of the set, from its opening until its socket is closed and
 * it is queued no more; then released() is called.
 *  - A local socket's file is there exactly while the set is open, unless somebody else removed it.
 */
#ifndef BIDE_IO_LISTENER_H
#define BIDE_IO_LISTENER_H

#include "io/net/resolve.h"
#include "runtime/loop.h"

struct bide__listeners;
struct bide__port_member;

struct bide__listener {
    struct bide_op op;
    struct bide__ready ready;
    struct bide__timer retry; /* the engine could not wait */
    struct bide__listeners *set;
    struct bide_sock *sock;
    struct bide_address address;
    struct bide_local_file file; /* of a local socket, to be removed */
    bool queued;
    bool serving; /* inside of accepted(), perhaps */
    bool starved; /* lacks descriptors or memory, and that was reported */
};

/* What a server adds. */
struct bide__listeners_kind {
    /* Takes the socket, whatever it returns. Negative: something is lacking for now. May run user
     * code, which may close the set. */
    int (*accepted)(struct bide__listeners *set, struct bide_sock *sock);
    /* A socket is closed. */
    void (*closed)(struct bide__listeners *set);
    /* A listener lets go of the set. */
    void (*released)(struct bide__listeners *set);
};

struct bide__listeners {
    const struct bide__listeners_kind *kind;
    bide_loop *loop;
    size_t n_connections;   /* the server's to count */
    size_t connections_max; /* 0: no limit */
    int backlog;
    unsigned file_mode; /* of local sockets */
    bool reuse_port;
    bool binds_only; /* and does not listen */
    bool is_closed;
    struct bide__port_member *member; /* of a port that others serve, too; NULL: not so */
    size_t n_open;                    /* sockets */
    size_t n;
    struct bide__listener each[BIDE__ADDRESSES_MAX];
};

/* Listens on all addresses, which are changed; with port 0, on the one that the first of them was
 * given. On failure bide_error_detail() names the address, and nobody is an owner. */
int bide__listeners_open(struct bide__listeners *set, struct bide_address *addresses, int n,
                         unsigned port);
/* Adds a socket that listens on this address. Takes it. */
void bide__listeners_put(struct bide__listeners *set, struct bide_sock *sock,
                         const struct bide_address *address);
/* Closes those that were opened or put and have not begun: nobody is told. */
void bide__listeners_undo(struct bide__listeners *set);
/* Begins to take connections. Also when there is room again. */
void bide__listeners_go_on(struct bide__listeners *set);
/* Ends that; the set may be gone after it. */
void bide__listeners_close(struct bide__listeners *set);

/* Something was lacking for a connection: reported once for as long as that lasts. */
void bide__listeners_starved(struct bide__listeners *set, int error);

/* Whether it takes no connection now: there is no room, or others of its port do. */
bool bide__listeners_full(const struct bide__listeners *set);

#endif
