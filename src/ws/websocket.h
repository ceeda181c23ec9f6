/*
 * A WebSocket, as its parts share it.
 *
 * Invariants
 *  - Control frames go out between the frames of messages, never within one, and never wait: what
 * finds no room is due, and is tried again by every call and by the clock. Only the last ping is
 * answered, so that nobody makes us store more than one pong.
 *  - Nothing is sent behind our close frame.
 *  - `error` is the first thing that ended it otherwise than by the closing handshake; it stays.
 *  - `refs` counts the user's handle and every call that is inside; calls that a closing loop
 * abandoned do not count any more.
 */
#ifndef BIDE_WS_WEBSOCKET_H
#define BIDE_WS_WEBSOCKET_H

#include "base/list.h"
#include "codec/websocket.h"
#include "codec/websocket_deflate.h"
#include "codec/websocket_extension.h"
#include "http/upgrade.h"
#include "runtime/loop.h"

#include <bide/event.h>
#include <bide/lock.h>
#include <bide/websocket.h>

enum { BIDE__WS_IN_INLINE = 512, BIDE__WS_MASKS = 64 };

/* How far a message has come, and who takes it. */
enum bide__ws_taking {
    BIDE__WS_TAKES_NONE,
    BIDE__WS_TAKES_WHOLE,
    BIDE__WS_TAKES_PARTS,
};

struct bide_websocket {
    struct bide__resource resource;
    bide_loop *loop; /* NULL behind its end */
    unsigned refs;
    unsigned inside;
    bide_stream *stream;               /* NULL: closed, or the server has it back */
    struct bide__http_upgrade upgrade; /* a server's */
    struct bide_websocket_opts opts;   /* numbers without zeroes; no pointer of it counts */
    char *subprotocol;
    bool is_client;
    bool is_freed;

    /* coming in: what is being taken, and by whom */
    bool has_event;
    bool was_first_told;
    bool is_receiving;
    bool drops;    /* closing has dropped messages, or parts of them */
    bool was_full; /* `in`, the last time that something came */
    char end_byte;
    char *end_place; /* where a NUL stands in the place of `end_byte` */
    struct bide__ws_reader reader;
    struct bide__ws_event event; /* a piece of a message; its data is what is left of it */
    char *in;
    size_t in_begin, in_end, in_capacity; /* and room for one byte more */
    struct bide__ws_inflate inflate;
    uint64_t n_unpacked;
    char *message;
    size_t message_size, message_capacity;
    enum bide__ws_taking taking;
    struct bide__utf8_check utf8; /* of what was unpacked */

    /* going out */
    struct bide__utf8_check utf8_out;
    bool is_in_message;
    bool is_message_compressed;
    bide_lock turn;
    struct bide__ws_deflate deflate;
    char *out;
    size_t out_capacity;
    enum bide__ws_opcode message_opcode;
    unsigned n_masks;
    uint8_t masks[BIDE__WS_MASKS];

    /* the end, and the clock */
    bide_event ended; /* set by the peer's close frame, and by an error */
    double close_deadline;
    bide_handle *tick;
    double tick_due;
    double ping_due; /* or the pong, if `has_pinged` */
    int error;
    unsigned code;
    bool is_closing; /* our close frame is due, or sent */
    bool is_closed;  /* the peer's has come */
    bool has_heard;  /* since the last tick */
    bool has_pinged; /* and heard nothing since */
    bool has_pong;   /* due */
    bool has_close;  /* due */
    uint8_t pong_size;
    uint8_t close_size;

    char out_head[BIDE__WS_HEAD_MAX];
    char pong[BIDE__WS_CONTROL_MAX];
    char close[BIDE__WS_CONTROL_MAX];
    char reason[BIDE__WS_REASON_MAX + 1];
    char extension[BIDE__WS_TERMS_MAX]; /* "": nothing is compressed */
    char in_inline[BIDE__WS_IN_INLINE + 1];
};

/* Puts the defaults in the place of zeroes; `opts` may be NULL. 0 or -EINVAL. */
int bide__ws_opts(const struct bide_websocket_opts *opts, struct bide_websocket_opts *ret_opts);
/* What we want of compression; false: nothing. */
bool bide__ws_wanted(const struct bide_websocket_opts *opts, bool is_client,
                     struct bide__ws_terms *ret_terms);

/* Without a stream. Options are whole. */
int bide__ws_new(const struct bide_websocket_opts *opts, bool is_client, bide_websocket **ret_ws);
/* The handshake is done. `terms`: NULL without compression. */
int bide__ws_open(bide_websocket *ws, const struct bide__ws_terms *terms);
void bide__ws_unref(bide_websocket *ws);

/* Around every call that may suspend: 0, or why it can't begin. */
int bide__ws_enter(bide_websocket *ws);
int bide__ws_leave(bide_websocket *ws, int rc);

/* It is over, without a close frame of the peer's: the first reason stays. Returns it. */
int bide__ws_fail(bide_websocket *ws, int error, unsigned code, const char *why);
/* Our close frame is due from now on. */
void bide__ws_say_close(bide_websocket *ws, unsigned code, const char *reason);
/* The pong and the close frame that are due go out if there is room. */
void bide__ws_flush_due(bide_websocket *ws);
/* The peer's close frame. */
void bide__ws_closed(bide_websocket *ws, unsigned code, const char *reason, size_t size);
/* Has the clock look not later than then. */
void bide__ws_tick_at(bide_websocket *ws, double time);

/* receive.c: a piece of a message into `event`: 1; 0: the peer has closed; or an error. */
int bide__ws_next_event(bide_websocket *ws);
/* Takes what comes, and drops it, from now on: 0 when the peer has closed, or an error. */
int bide__ws_drop_messages(bide_websocket *ws);
/* What was read before it was one. 0 or -ENOMEM. */
int bide__ws_read_ahead(bide_websocket *ws, const char *data, size_t size);

/* send.c: offers a control frame: 0, -EAGAIN or why nothing goes out. */
int bide__ws_offer_control(bide_websocket *ws, enum bide__ws_opcode opcode, const char *data,
                           size_t size);

#endif
