/* The conversation with one client of the chat server. */
#ifndef BIDE_CLI_CHAT_TALK_H
#define BIDE_CLI_CHAT_TALK_H

#include "chat_room.h"

/* How the streams of the server have to be. */
extern const struct bide_stream_opts chat_stream_opts;

/* A bide_handler; data: a struct room. When its task is cancelled, the client is told that the
 * server is shutting down. */
int chat_talk(bide_stream *stream, void *data);

#endif
