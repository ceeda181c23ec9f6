/*
 * Descriptors that travel through Unix sockets, from process to process.
 *
 * They come with the first byte that they were sent with. On a stream, a read ends behind those
 * bytes, and may begin with ones that were sent before. Whoever reads them any other way
 * (bide_read() and its like) gets the bytes, and the descriptors are closed. So is what finds no
 * room, and what nobody takes; nothing leaks.
 */
#ifndef BIDE_DESCRIPTORS_H
#define BIDE_DESCRIPTORS_H

#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* The most that one message carries. */
enum {
    BIDE_FDS_MAX = 253, /* Linux's limit */
};

/* Room for descriptors, and what came. */
struct bide_fds {
    int *fds; /* room for `size`, the caller's */
    size_t size;
    size_t n;  /* that came: close-on-exec, and the caller's to close */
    bool lost; /* others came for which there was no room; they are closed */
};

/*
 * Sends bytes and descriptors over a Unix stream, behind all that was written before.
 *
 * data: size >= 1 bytes, borrowed until return; the descriptors go with the first one. fds: n of
 * them, which stay the caller's. Returns 0, -EBADF (one is none), -EINVAL (more than BIDE_FDS_MAX,
 * or nothing to send), -ETOOMANYREFS (too many are on their way), -ENOTSOCK, otherwise as
 * bide_write(). Suspends: yes. Cancel: nothing was sent. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stream_send_fds(bide_stream *stream, const void *data, size_t size,
                                     const int *fds, size_t n);

/*
 * Reads what is there, as bide_read(), and takes the descriptors that came with it. What the stream
 * has read ahead comes first and without any: where descriptors may come, read with this call or
 * bide_read() alone, which take no more than they are asked for.
 *
 * fds: `n` and `lost` are set whenever this returns 0 or more.
 * Returns as bide_read(); -ENOTSOCK. Suspends: yes. Cancel: nothing was read. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_stream_receive_fds(bide_stream *stream, void *buffer, size_t size,
                                        struct bide_fds *fds);

BIDE_END_DECLARATIONS

#endif
