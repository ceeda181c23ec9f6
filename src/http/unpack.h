/*
 * Unpacking of bodies as they come: gzip and deflate.
 *
 * Invariant: no more is unpacked than the limits say; what is packed beyond all measure is refused
 * before it fills memory.
 */
#ifndef BIDE_HTTP_UNPACK_H
#define BIDE_HTTP_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bide__http_unpack;

/* What can be unpacked, as Accept-Encoding has it; "" in a build without zlib. */
extern const char bide__http_unpack_codings[];

struct bide__http_unpack_limits {
    uint64_t bytes_max;
    unsigned factor_max; /* how many times its own size, beyond the first MiB */
};

/* coding: the Content-Encoding, not "identity". 0, -EPROTONOSUPPORT, -ENOMEM. */
int bide__http_unpack_new(const char *coding, const struct bide__http_unpack_limits *limits,
                          struct bide__http_unpack **ret_unpack);
void bide__http_unpack_free(struct bide__http_unpack *unpack);
/* Where the next packed bytes may be put: all were taken before. */
char *bide__http_unpack_room(struct bide__http_unpack *unpack, size_t *ret_size);
/* So many were put there; they are not moved. */
void bide__http_unpack_feed(struct bide__http_unpack *unpack, const char *data, size_t size);
/* Unpacks: how many bytes, 0 if more has to be fed first; -EBADMSG, -BIDE_ELIMIT, -ENOMEM. */
int bide__http_unpack_take(struct bide__http_unpack *unpack, char *buffer, size_t size);
/* The packed bytes have ended: 0, or -BIDE_EINCOMPLETE. */
int bide__http_unpack_end(const struct bide__http_unpack *unpack);
/* Why it was refused, in words, static. */
const char *bide__http_unpack_why(const struct bide__http_unpack *unpack);

#endif
