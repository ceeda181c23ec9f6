/*
 * The clients of a server: HTTP/1.1 requests, one after the other, in a task each.
 *
 * A peer is there from the beginning of a connection to its end, and small. What reading and
 * answering a request takes is in a bide__http_connection, which a peer has from a request's first
 * byte to its answer; the next peer goes on in the same memory while that is in the caches.
 *
 * Invariants
 *  - `in` holds, from `begin`, the head of the request that is being read or answered, and behind
 * it what came of its body and of later requests. It moves only while no request is being answered.
 *  - Answers go out in the order of the requests: a request begins when the answer before it was
 * ended.
 *  - While a handler runs, the connection is guarded: its end cancels the task. Bytes that come are
 * kept as far as there is room.
 */
#ifndef BIDE_HTTP_CONNECTION_H
#define BIDE_HTTP_CONNECTION_H

#include "codec/http1.h"
#include "http/exchange.h"
#include "http/server.h"
#include "http/upgrade.h"
#include "io/stream/stream_guard.h"

enum { BIDE__HTTP_FIELDS_INLINE = 32, BIDE__HTTP_IN_INLINE = 2048 };

struct bide__http_peer {
    struct bide__list node; /* in the server's peers */
    bide_http_server *server;
    bide_stream *stream;
    bide_task *task;
    bide_timeout *limit; /* of its waits for a request, or for the rest of a head */
    struct bide__http_connection *connection; /* NULL: nothing of a request has come */
    bool is_idle;                             /* between two requests: may be ended any time */
    bool is_woken;                            /* cancelled while idle, because the server closes */
};

struct bide__http_connection {
    struct bide__http_connection *next_spare;
    struct bide__http_peer *peer;
    bide_http_server *server; /* the peer's, as the two below */
    bide_stream *stream;
    bide_task *task;

    char *in;
    size_t begin, end, capacity;

    struct bide__http1_head head;
    struct bide__http1_field *fields;

    struct bide__http1_body body;
    size_t body_at;                     /* what comes next of the body, from `begin` on */
    struct bide__http_upgrade *upgrade; /* who has the stream; NULL: it is ours */
    struct bide__stream_guard guard;
    struct bide__http_time_limit handler_limit;

    double waits_since; /* for the rest of a head; 0: it was there at once */

    bool was_full; /* the memory, by what was received last: there may be more */
    bool is_continue_due;
    bool keeps_alive;
    bool is_chunked; /* the answer */
    bool is_upgraded;
    bool is_gone; /* the client */

    int refused_status; /* what the client sent is no request; 0: nothing was found yet */
    const char *refused_why;

    bide_http_request request;
    struct bide__http1_field fields_inline[BIDE__HTTP_FIELDS_INLINE];
    char in_inline[BIDE__HTTP_IN_INLINE];
};

/* Frees what the server's peers left for the next one. */
void bide__http_connections_free(bide_http_server *server);

/* Frees all of a peer whose task is gone. */
void bide__http_peer_drop(struct bide__http_peer *peer);

/* Serves the connection: the handler of the listening server. data: the HTTP server. */
int bide__http_connection_main(bide_stream *stream, void *data);

/* An answer to what is no request, or can't become one; nothing comes after it. Logs hear of it. */
int bide__http_connection_refuse(struct bide__http_connection *connection, int status,
                                 const char *why);

/* http1_reply.c: the answer's way out. */
int bide__http_connection_write(bide_http_request *request, const void *data, size_t size,
                                bool ends);
int64_t bide__http_connection_send_file(bide_http_request *request, bide_file *file, int64_t offset,
                                        int64_t size);
/* http1_body.c: the body's way in, and what is left of it when the answer is ended: 0, or an error
 * if the connection can't go on. */
int bide__http_connection_read(bide_http_request *request, void *buffer, size_t size);
int bide__http_connection_skip_body(struct bide__http_connection *connection);

/* A part of the head as text, in place. */
char *bide__http_connection_text(struct bide__http_connection *connection,
                                 struct bide__http1_span span);
/* What the connection is to its requests. */
extern const struct bide__exchange_ops bide__http_connection_ops;

static inline struct bide__http_connection *bide__http_connection_of(
    const bide_http_request *request)
{
    return (struct bide__http_connection *)((uintptr_t)request -
                                            offsetof(struct bide__http_connection, request));
}

#endif
