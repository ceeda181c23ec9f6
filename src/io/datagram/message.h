/*
 * What those who send and receive messages share: descriptors as control data, sockets made for
 * datagrams, and the wait for room.
 *
 * Invariant: a room is waited for at most once at a time, and after bide__room_begin() answered
 * BIDE_PENDING, `done` is called exactly once.
 */
#ifndef BIDE_IO_MESSAGE_H
#define BIDE_IO_MESSAGE_H

#include "runtime/loop.h"

#include <bide/datagram.h>
#include <bide/descriptors.h>

/* One message, with all that it consists of. Refers to itself: not to be copied. */
struct bide__message {
    struct msghdr base;
    struct iovec iov;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(BIDE_FDS_MAX * sizeof(int))];
};

/* To be sent. */
void bide__message_out(struct bide__message *message, const void *data, size_t size,
                       const struct bide_address *to);
/* With these; n <= BIDE_FDS_MAX. */
void bide__message_put_fds(struct bide__message *message, const int *fds, size_t n);
/* To be received; before each try. `fds` may be NULL. */
void bide__message_in(struct bide__message *message, void *buffer, size_t size,
                      struct bide_address *from, const struct bide_fds *fds);
/* Takes the descriptors of one that was received. */
void bide__message_get_fds(const struct bide__message *message, struct bide_fds *fds);

/* Puts the defaults in the place of zeroes; `opts` may be NULL. 0 or -EINVAL. */
int bide__datagram_opts(const struct bide_datagram_opts *opts, struct bide_datagram_opts *ret_opts);
/* A socket that is bound (`local`; NULL: not) and connected as the options say. */
int bide__datagram_sock(bide_loop *loop, const struct bide_address *local, int family,
                        const struct bide_datagram_opts *opts, struct bide_sock **ret_sock);
/* AF_… */
int bide__address_family(const struct bide_address *address);
/* Of a Unix socket that the kernel is to give any abstract name. 0. */
int bide__address_unix_any(struct bide_address *ret_address);
/* 0 or -ENOTCONN, -EINVAL. */
int bide__sock_address(const struct bide_sock *sock, bool peer, struct bide_address *ret_address);

/*
 * A wait for room to send. A Unix socket's room is its receiver's; the kernel has those wait for it
 * who are connected, so one that is not waits through another socket that is.
 */
struct bide__room {
    bide_loop *loop;
    void (*done)(struct bide__room *room, int result);
    struct bide_op op;
    struct bide_sock *through;
    struct bide__timer retry; /* there is no such socket */
};

void bide__room_init(struct bide__room *room, bide_loop *loop,
                     void (*done)(struct bide__room *room, int result));
/* `to`: where the message goes that found none. 0: try again; BIDE_PENDING; or an error. */
int bide__room_begin(struct bide__room *room, struct bide_sock *sock,
                     const struct bide_address *to);
bool bide__room_pending(const struct bide__room *room);
/* `done` comes soon, perhaps from inside. */
void bide__room_cancel(struct bide__room *room);

#endif
