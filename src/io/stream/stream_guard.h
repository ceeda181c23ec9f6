/*
 * A stream that is watched while its task does something else: whoever serves a client has to hear
 * when that is gone.
 *
 * Invariants
 *  - Nothing is asked of the engine before the end of the loop's turn, so that what is done within
 * one turn pays nothing.
 *  - A task that reads comes first: it takes over the wait that is under way, and the guard sleeps
 * until it is told to watch again.
 *  - No user code runs from `came`, which may be called at the end of a turn or from poll().
 */
#ifndef BIDE_IO_STREAM_GUARD_H
#define BIDE_IO_STREAM_GUARD_H

#include "io/stream/stream.h"

/* Lies in whoever guards; on the heap, because a closing loop looks at it. */
struct bide__stream_guard {
    struct bide__flush flush;
    bide_stream *stream;
    /* There is something to be taken, or the stream's end. The guard sleeps then. */
    void (*came)(struct bide__stream_guard *guard);
};

/* From the end of this turn on; one guard at a time. `came` is set. */
BIDE_EXPORT void bide__stream_guard_begin(struct bide__stream_guard *guard, bide_stream *stream);
/* It slept, and watches again from the end of this turn on. */
BIDE_EXPORT void bide__stream_guard_again(struct bide__stream_guard *guard);
BIDE_EXPORT void bide__stream_guard_end(struct bide__stream_guard *guard);
/* From `came`: bytes that came (at least 1), 0 at the end of the stream, -EAGAIN, or an error. */
BIDE_EXPORT ssize_t bide__stream_guard_take(struct bide__stream_guard *guard, void *buffer,
                                            size_t size);

/* Without a guard, from a task that must not wait: as bide__stream_guard_take(). */
BIDE_EXPORT ssize_t bide__stream_take_now(bide_stream *stream, void *buffer, size_t size);

#endif
