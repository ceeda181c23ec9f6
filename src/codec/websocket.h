/*
 * WebSocket (RFC 6455), from bytes to frames and back. Pure: no I/O, no memory of its own.
 *
 * Invariants
 *  - A byte that breaks the protocol is told when it comes, however the bytes were split: the first
 * byte of a head before the second, the wrong byte of a text before the rest of its frame.
 *  - Payloads are unmasked in place, each byte once.
 *  - After an error a reader says the same error again; nothing behind it can be trusted. After a
 * close frame it takes whatever comes, and says nothing.
 */
#ifndef BIDE_CODEC_WEBSOCKET_H
#define BIDE_CODEC_WEBSOCKET_H

#include "codec/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bide__ws_opcode {
    BIDE__WS_CONTINUATION = 0,
    BIDE__WS_TEXT = 1,
    BIDE__WS_BINARY = 2,
    BIDE__WS_CLOSE = 8,
    BIDE__WS_PING = 9,
    BIDE__WS_PONG = 10,
};

/* The flags of a frame's first byte. */
enum { BIDE__WS_FIN = 0x80, BIDE__WS_RSV1 = 0x40 };

enum { BIDE__WS_HEAD_MAX = 14, BIDE__WS_CONTROL_MAX = 125, BIDE__WS_REASON_MAX = 123 };

/* Why a connection ends: what close frames say, and what is said of those that never came. */
enum bide__ws_code {
    BIDE__WS_NORMAL = 1000,
    BIDE__WS_GOING_AWAY = 1001,
    BIDE__WS_PROTOCOL = 1002,
    BIDE__WS_NO_CODE = 1005,  /* a close frame without one; never sent */
    BIDE__WS_NO_CLOSE = 1006, /* no close frame; never sent */
    BIDE__WS_NOT_TEXT = 1007,
    BIDE__WS_TOO_BIG = 1009,
    BIDE__WS_FAILED = 1011,
};

/* Writing */

/* Writes a frame's head: `flags` of the first byte; mask: 4 bytes, or NULL for none. Returns its
 * size. */
size_t bide__ws_head_write(char to[BIDE__WS_HEAD_MAX], enum bide__ws_opcode opcode, unsigned flags,
                           uint64_t size, const uint8_t *mask);

/*
 * Masks, or unmasks, from one place to another or where it is. `offset`: of the first byte within
 * the payload. The plain form and the one for this processor answer alike.
 */
void bide__ws_mask_plain(char *to, const char *from, size_t size, const uint8_t mask[4],
                         size_t offset);
void bide__ws_mask(char *to, const char *from, size_t size, const uint8_t mask[4], size_t offset);

/* Whether a close frame may have that code. */
bool bide__ws_code_is_sendable(unsigned code);

/* Writes a close frame's payload; BIDE__WS_NO_CODE: an empty one. A reason that is longer than
 * BIDE__WS_REASON_MAX is cut between two characters. Returns its size. */
size_t bide__ws_close_write(char to[BIDE__WS_CONTROL_MAX], unsigned code, const char *reason);

/* Reading */

/* How much a peer may send; without zeroes. */
struct bide__ws_limits {
    uint64_t frame_bytes;   /* of one frame's payload */
    uint64_t message_bytes; /* of all of a message's, as they come over the wire */
    uint32_t n_fragments;   /* of one message, empty ones included */
};

enum bide__ws_event_kind {
    BIDE__WS_NOTHING, /* more must come */
    BIDE__WS_DATA,    /* a piece of a message */
    BIDE__WS_CONTROL, /* a ping, a pong or a close frame, whole */
};

struct bide__ws_event {
    enum bide__ws_event_kind kind;
    enum bide__ws_opcode opcode; /* of the message, or of the control frame */
    bool is_compressed;          /* the message */
    bool is_first;               /* the piece begins the message */
    bool is_last;                /* and ends it */
    const char *data; /* of a piece: within what was taken; of control: until the next take */
    size_t size;
    unsigned code; /* of a close frame; its reason is `data` */
};

/* Set by bide__ws_reader_init(). */
struct bide__ws_reader {
    bool wants_mask;     /* a server's: frames must be masked, a client's: they must not be */
    bool has_compressed; /* an extension gave the first reserved bit a meaning */
    struct bide__ws_limits limits;

    unsigned code;   /* of an error: what to tell the peer; 0 */
    const char *why; /* in words, static */

    uint8_t head[BIDE__WS_HEAD_MAX]; /* the reader's own, as all below */
    uint8_t n_head;
    bool is_in_payload;
    bool is_closed;
    bool is_in_message;
    bool is_compressed;
    bool is_message_fresh; /* nothing of it was told yet */
    enum bide__ws_opcode message;
    uint32_t n_fragments;
    uint64_t n_message;
    uint64_t size, done; /* of the payload that is coming */
    struct bide__utf8_check utf8;
    char control[BIDE__WS_CONTROL_MAX];
};

void bide__ws_reader_init(struct bide__ws_reader *reader, bool is_server,
                          const struct bide__ws_limits *limits);

/*
 * Takes what came, to be called again with the rest until that is empty and it tells nothing.
 * Returns how many bytes of `data` it used; or -EBADMSG with `code` and `why` set. Payloads are
 * unmasked where they are.
 */
int64_t bide__ws_reader_take(struct bide__ws_reader *reader, char *data, size_t size,
                             struct bide__ws_event *ret_event);

/* How much of the frame that has begun is still to come and will be told as it is: a piece of a
 * message, not compressed. */
static inline uint64_t bide__ws_reader_expects(const struct bide__ws_reader *reader)
{
    bool is_data = reader->is_in_payload && (reader->head[0] & 8) == 0 && !reader->is_compressed;
    return is_data ? reader->size - reader->done : 0;
}

/* The reader refuses what came, for the caller's reason: -EBADMSG. */
int bide__ws_reader_refuse(struct bide__ws_reader *reader, unsigned code, const char *why);

/* The handshake */

enum { BIDE__WS_KEY_BYTES = 16, BIDE__WS_KEY_SIZE = 25, BIDE__WS_ACCEPT_SIZE = 29 };

/* What a client's key looks like on the wire, from 16 random bytes. */
void bide__ws_key_write(const uint8_t bytes[BIDE__WS_KEY_BYTES], char ret_key[BIDE__WS_KEY_SIZE]);
/* Whether that is what a client's key looks like. */
bool bide__ws_key_is_valid(const char *key);
/* The server's answer to a key. */
void bide__ws_accept_write(const char *key, char ret_accept[BIDE__WS_ACCEPT_SIZE]);

#endif
