/* Who is in the chat, and telling everybody. The invariants stand in chat_room.h. */
#include "chat_room.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void room_init(struct room *room, double idle_seconds)
{
    room->idle_seconds = idle_seconds;
    room->first = NULL;
    room->last_link = &room->first;
    room->n_users = 0;
}

static void offer(const struct user *user, const char *message, size_t size)
{
    if (bide_offer(user->stream, message, size) < 0)
        bide_abort(user->stream);
}

static void tell(const struct room *room, size_t size)
{
    for (const struct user *user = room->first; user; user = user->next)
        offer(user, room->message, size);
}

static void tell_about(struct room *room, const struct user *user, const char *what)
{
    int n = snprintf(room->message, sizeof room->message, "%s %s\n", user->name, what);
    tell(room, (size_t)n);
}

void room_say(struct room *room, const struct user *user, const char *line, size_t size)
{
    assert(size <= CHAT_LINE_BYTES_MAX);
    size_t n = (size_t)snprintf(room->message, sizeof room->message, "%s: ", user->name);
    memcpy(room->message + n, line, size); /* it may contain NULs */
    room->message[n + size] = '\n';
    tell(room, n + size + 1);
}

/* The server's own lines begin with it. */
static bool is_reserved(const char *name)
{
    return strcmp(name, "ERROR") == 0;
}

static bool is_taken(const struct room *room, const char *name)
{
    for (const struct user *user = room->first; user; user = user->next)
        if (strcmp(user->name, name) == 0)
            return true;
    return is_reserved(name);
}

int room_join(struct room *room, struct user *user)
{
    if (is_taken(room, user->name))
        return -EEXIST;
    user->next = NULL;
    user->link = room->last_link;
    *room->last_link = user;
    room->last_link = &user->next;
    room->n_users++;
    int n = snprintf(room->message, sizeof room->message, "Welcome! %zu user(s) are online!\n",
                     room->n_users);
    offer(user, room->message, (size_t)n);
    tell_about(room, user, "connected!");
    return 0;
}

void room_leave(struct room *room, struct user *user)
{
    *user->link = user->next;
    if (user->next)
        user->next->link = user->link;
    else
        room->last_link = user->link;
    room->n_users--;
}

void room_tell_left(struct room *room, const struct user *user)
{
    tell_about(room, user, "has left the chat");
}
