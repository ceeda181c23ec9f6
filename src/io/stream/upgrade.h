/*
 * A handshake on a live stream: another socket is put over the stream's own, and connected. What is
 * on top of streams needs no more of their inside than this.
 */
#ifndef BIDE_IO_UPGRADE_H
#define BIDE_IO_UPGRADE_H

#include "io/stream/stream.h"

struct bide__upgrade_kind {
    /* Makes the socket over `lower`, which it takes on success. */
    int (*wrap)(void *data, bide_loop *loop, struct bide_sock *lower, struct bide_sock **ret_sock);
    /* The handshake has ended with `rc`; the socket is still there. */
    void (*ended)(void *data, struct bide_sock *sock, int rc);
};

/*
 * Waits until what was written is gone, and then for the handshake. `data` is used by the calling
 * task only. 0; why the stream can't be used, or what wrap() returned, with nothing changed; or the
 * handshake's error: the stream is torn then.
 */
BIDE_EXPORT int bide__stream_upgrade(bide_stream *stream, const struct bide__upgrade_kind *kind,
                                     void *data);

/* The stream's socket; NULL if it has none at present. */
BIDE_EXPORT struct bide_sock *bide__stream_sock(const bide_stream *stream);

#endif
