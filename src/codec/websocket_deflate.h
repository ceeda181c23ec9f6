/*
 * Compressed messages (RFC 7692), by zlib.
 *
 * Invariants
 *  - zlib's memory is taken with the first message that needs it.
 *  - Of what a peer compressed no more is written than there is room for: how much that may be in
 * all is the caller's to say.
 */
#ifndef BIDE_CODEC_WEBSOCKET_DEFLATE_H
#define BIDE_CODEC_WEBSOCKET_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether there is zlib in the build; without it, nobody is to ask for what stands below. */
bool bide__ws_has_deflate(void);

struct z_stream_s;

/* Messages one after the other, compressed. Zeroed but for the first four: none yet. */
struct bide__ws_deflate {
    uint8_t bits; /* below 9 zlib can't, and nothing is compressed */
    uint8_t level;
    uint8_t memory;
    bool forgets; /* each message stands for itself */
    struct z_stream_s *z;
};

void bide__ws_deflate_fini(struct bide__ws_deflate *self);
/* What was compressed last will not reach the peer: later messages don't refer to it. */
void bide__ws_deflate_forget(struct bide__ws_deflate *self);
/* 0, -ENOMEM, -ENOSYS without zlib; before the others. */
int bide__ws_deflate_prepare(struct bide__ws_deflate *self);
/* How much room a piece of that size needs at most. */
size_t bide__ws_deflate_bound(struct bide__ws_deflate *self, size_t size);
/* Compresses a piece of a message. Returns its size; at least 1 if it ends the message. */
size_t bide__ws_deflate_piece(struct bide__ws_deflate *self, const char *data, size_t size,
                              bool is_last, char *to, size_t room);

struct bide__ws_inflate {
    uint8_t bits;
    bool forgets;
    struct z_stream_s *z;
    size_t n_tail; /* of the end that every message lacks: taken */
    bool was_full; /* the last step left no room: zlib may hold more */
};

/* What comes in, and room for what comes out. Both move on. */
struct bide__ws_flow {
    const char *in;
    size_t in_size;
    bool is_last; /* the message ends behind that */
    char *out;
    size_t room;
};

void bide__ws_inflate_fini(struct bide__ws_inflate *self);
/* 0: all that came in is through; 1: the room is full, there may be more; -EBADMSG: that is not
 * what compressed messages look like; -ENOMEM. */
int bide__ws_inflate_take(struct bide__ws_inflate *self, struct bide__ws_flow *flow);

#endif
