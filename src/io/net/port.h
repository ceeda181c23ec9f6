/*
 * Ports that the listeners of several loops share.
 *
 * Invariants
 *  - A connection that a listener took is handed to exactly one member: it is in that one's inbox,
 * or being begun by it, or served by it. A member that leaves hands its inbox on.
 *  - `fds` are there exactly while the port is open: from its opening, or a member's joining, until
 * its last member has left. Ports of BIDE_PORT_REUSED have none but those that keep the number.
 *  - Of the members a few are on duty and listen, so that a connection wakes no others. As long as
 * any has room, one of those on duty has, or is about to find out that it has not and to hand its
 * duty on.
 *  - What is common to the members is under the port's lock; the mailboxes' locks are taken inside
 * of it, and nothing else.
 */
#ifndef BIDE_IO_PORT_H
#define BIDE_IO_PORT_H

#include "io/net/listener.h"

#include <bide/port.h>

/* A listening server of one loop. */
struct bide__port_member;

/* Copies where it listens, to BIDE__ADDRESSES_MAX addresses; returns how many. */
int bide__port_addresses(const bide_port *port, struct bide_address *ret_addresses);

/* Fills the set with listeners of the port's and makes it a member. On failure it has none. */
int bide__port_join(bide_port *port, struct bide__listeners *set);
/* The set's listeners are about to close. Afterwards its member is NULL. */
void bide__port_leave(struct bide__listeners *set);

/* Takes a connection of one of the set's listeners, and hands it to some member. Returns as the
 * kind's accepted(), if it is this set that gets it. */
int bide__port_hand(struct bide__port_member *member, struct bide_sock *sock);
/* The number of connections that the set serves has changed. */
void bide__port_changed(struct bide__port_member *member);
/* There is room for another one, or something else to begin with. */
void bide__port_go_on(struct bide__port_member *member);
/* Whether it is off duty, or has as many connections as it may have, those on their way counted. */
bool bide__port_full(struct bide__port_member *member);
/* It does not listen because it is full: another one may. */
void bide__port_rest(struct bide__port_member *member);

#endif
