/*
 * What the demonstration shows: a feed of messages, and how many users there are.
 *
 * A feed keeps the latest messages and nothing per reader: a reader says up to which entry it has
 * read, and one that is too slow misses entries instead of making others wait. Entries are JSON and
 * numbered upwards, from a number that servers before this one have not come to, so that a reader
 * of theirs misses nothing. The latest count of users is an entry, and replaces the former.
 */
#ifndef BIDE_CLI_SERVE_FEED_H
#define BIDE_CLI_SERVE_FEED_H

#include <bide.h>

#include <stddef.h>
#include <stdint.h>

enum { FEED_ENTRIES = 100, FEED_NAME_BYTES = 64, FEED_TEXT_BYTES = 1000 };
/* Each byte of a text becomes two at the most, and the rest of the entry is short. */
enum { FEED_ENTRY_SIZE = 2 * (FEED_NAME_BYTES + FEED_TEXT_BYTES) + 128 };

struct feed_entry {
    uint64_t id; /* 0: none */
    char json[FEED_ENTRY_SIZE];
};

struct feed {
    struct feed_entry *messages; /* FEED_ENTRIES, as a ring */
    uint64_t n_messages;         /* so many there were */
    struct feed_entry users;
    uint64_t last; /* the number of the latest entry */
    unsigned n_users;
    bool is_closed;
    bide_event changed; /* never stays set */
};

/* Returns 0 or -ENOMEM. */
int feed_init(struct feed *feed);
void feed_fini(struct feed *feed);

/* Adds a message; name and text are UTF-8 without control characters, and not empty. Returns 0, or
 * -EINVAL with the reason in bide_error_detail(). */
int feed_post(struct feed *feed, const char *name, const char *text, size_t size);

/* A user comes, and goes. */
void feed_enter(struct feed *feed);
void feed_leave(struct feed *feed);

/* No reader waits any more: the server ends. */
void feed_close(struct feed *feed);

/* Waits until there are entries behind this one: 0; -ESHUTDOWN: the feed is closed; -ECANCELED. */
int feed_wait(struct feed *feed, uint64_t after);

/* The next entry behind this one, borrowed until the caller suspends; NULL if there is none. A
 * number that was not given yet is as good as 0. */
const struct feed_entry *feed_next(const struct feed *feed, uint64_t after);

#endif
