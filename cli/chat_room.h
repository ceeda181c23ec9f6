/*
 * Who is in the chat, and telling everybody.
 *
 * Invariants
 *  - A user's record belongs to the task that serves its connection, and is in the room exactly
 * between room_join() and room_leave(), both called by that task. So a name is taken exactly as
 * long as somebody reads what its user says.
 *  - Telling never suspends and takes nobody out. A user whose output is full has stopped reading:
 * its connection is aborted, upon which its own task leaves. So the list never changes while it is
 * walked.
 *  - A message is formatted once, and costs each user one copy into its stream's bounded output.
 */
#ifndef BIDE_CLI_CHAT_ROOM_H
#define BIDE_CLI_CHAT_ROOM_H

#include <bide.h>

enum { CHAT_NAME_BYTES_MAX = 64, CHAT_LINE_BYTES_MAX = 4096 };

struct user {
    bide_stream *stream;
    struct user *next;
    struct user **link; /* what points here */
    char name[CHAT_NAME_BYTES_MAX + 1];
};

struct room {
    double idle_seconds; /* who says nothing for so long has to leave */
    struct user *first;
    struct user **last_link;
    size_t n_users;
    /* The message that is being told: "name: line\n" at most. */
    char message[CHAT_NAME_BYTES_MAX + sizeof(": ") - 1 + CHAT_LINE_BYTES_MAX + sizeof("\n") - 1];
};

void room_init(struct room *room, double idle_seconds);

/* Takes the user in, welcomes it and tells everybody: 0, or -EEXIST if its name is taken. */
int room_join(struct room *room, struct user *user);
void room_leave(struct room *room, struct user *user);

/* Tells everybody "name: line", the speaker too. */
void room_say(struct room *room, const struct user *user, const char *line, size_t size);
/* Tells everybody that the user, who is no longer in the room, has left. */
void room_tell_left(struct room *room, const struct user *user);

#endif
