/*
 * Reading from streams.
 *
 * Bytes are taken from the kernel by the call that wants them, into the caller's memory where
 * nothing is buffered, otherwise into the stream's buffer. A call consumes buffered bytes only when
 * it succeeds, so that a cancelled or failed one loses nothing.
 */
#include "io/stream/stream.h"

#include "base/grow.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { IN_BYTES_MIN = 4096, IN_BYTES_KEPT = 4096 };

static const struct bide__wait_kind recv_wait = {.name = "recv",
                                                 .interrupt = bide__operation_interrupt};

/* Why nothing may be read any more; 0 if it may. */
static int input_error(const bide_stream *stream)
{
    if (stream->channel.error < 0 || stream->no_input)
        return stream->channel.error < 0 ? stream->channel.error : -EBADF;
    if (!stream->channel.torn)
        return 0;
    return stream->channel.write_error < 0 ? stream->channel.write_error : -BIDE_ETORN;
}

int bide__stream_read_begin(bide_stream *stream, struct bide__coro **ret_coro)
{
    if (!stream)
        return -EINVAL;
    int rc = bide__suspend(ret_coro);
    if (rc < 0)
        return rc;
    rc = input_error(stream);
    if (rc < 0)
        return rc;
    if (stream->reading)
        return -EBUSY;
    stream->reading = true;
    bide__stream_enter(stream);
    return 0;
}

int bide__stream_read_end(bide_stream *stream, int rc)
{
    stream->reading = false;
    if (rc > 0) /* who goes on by bytes takes over from where the skipping stopped */
        stream->skipping = false;
    if (rc < 0 && input_error(stream) < 0)
        rc = input_error(stream);
    bide__stream_leave(stream);
    return rc;
}

int bide__stream_wait_readable(bide_stream *stream, struct bide__coro *coro)
{
    int rc = bide__cancel_check(coro);
    if (rc < 0)
        return rc;
    bool is_taken_over = bide__operation_pending(&stream->channel.recv); /* from a guard */
    bide__operation_prepare(&stream->channel.recv, coro);
    rc = is_taken_over ? BIDE_PENDING
                       : bide__channel_ops(&stream->channel)
                             ->recv_wait(stream->channel.sock, &stream->channel.recv.op);
    rc = bide__operation_wait(&stream->channel.recv, rc, &recv_wait);
    return input_error(stream) < 0 ? input_error(stream) : rc;
}

/* At least one byte from the kernel into `buffer`, 0 at the end of the stream. */
static int receive(bide_stream *stream, struct bide__coro *coro, void *buffer, size_t size)
{
    if (stream->channel.eof)
        return 0;
    if (size > INT_MAX)
        size = INT_MAX;
    for (;;) {
        ssize_t n = bide__channel_recv(&stream->channel, buffer, size);
        if (n != -EAGAIN)
            return (int)n;
        int rc = bide__stream_wait_readable(stream, coro);
        if (rc < 0)
            return rc;
    }
}

/* Takes `size` bytes off the front of the buffer; they stay where they are until the next call that
 * reads. */
static char *consume(bide_stream *stream, size_t size)
{
    char *data = stream->in + stream->in_begin;
    stream->in_begin += size;
    return data;
}

/* Room for `size` bytes in all, and one more for a terminator. What is buffered moves to the front.
 */
static int reserve(bide_stream *stream, size_t size)
{
    if (stream->in_begin > 0) {
        assert(stream->in);
        memmove(stream->in, stream->in + stream->in_begin, bide__stream_buffered(stream));
        stream->in_end -= stream->in_begin;
        stream->in_begin = 0;
    }
    return bide__grow(&stream->in, &stream->in_capacity, size + 1, IN_BYTES_MIN);
}

/* Adds at least one byte to the buffer, up to `size` in all: how many, or 0 at the end of the
 * stream. */
static int fill(bide_stream *stream, struct bide__coro *coro, size_t size)
{
    int rc = reserve(stream, size);
    if (rc < 0)
        return rc;
    rc = receive(stream, coro, stream->in + stream->in_end,
                 stream->in_capacity - 1 - stream->in_end);
    if (rc > 0)
        stream->in_end += (size_t)rc;
    return rc;
}

/* Before a call waits with nothing buffered: an idle stream holds little memory. */
static void release_idle(bide_stream *stream)
{
    if (bide__stream_buffered(stream) > 0)
        return;
    stream->in_begin = 0;
    stream->in_end = 0;
    if (stream->in_capacity <= IN_BYTES_KEPT)
        return;
    free(stream->in);
    stream->in = NULL;
    stream->in_capacity = 0;
}

size_t bide__stream_take_buffered(bide_stream *stream, void *buffer, size_t size)
{
    size_t n = bide__stream_buffered(stream);
    n = n < size ? n : size;
    n = n < INT_MAX ? n : INT_MAX;
    if (n > 0)
        memcpy(buffer, consume(stream, n), n);
    return n;
}

int bide__stream_look(bide_stream *stream, struct bide__coro *coro, size_t size)
{
    if (input_error(stream) < 0) /* it may have been closed between two looks */
        return input_error(stream);
    while (bide__stream_buffered(stream) == 0) {
        if (stream->channel.eof)
            return 0;
        int rc = reserve(stream, size);
        if (rc < 0)
            return rc;
        ssize_t n = bide__channel_recv(&stream->channel, stream->in, stream->in_capacity - 1);
        if (n > 0)
            stream->in_end = (size_t)n;
        if (n >= 0)
            continue;
        if (n != -EAGAIN)
            return (int)n;
        release_idle(stream);
        rc = bide__stream_wait_readable(stream, coro);
        if (rc < 0)
            return rc;
    }
    return (int)bide__stream_buffered(stream);
}

int bide_read(bide_stream *stream, void *buffer, size_t size)
{
    struct bide__coro *coro;
    if (!buffer || size == 0)
        return -EINVAL;
    int rc = bide__stream_read_begin(stream, &coro);
    if (rc < 0)
        return rc;
    size_t n = bide__stream_buffered(stream);
    if (n > 0) {
        n = n < size ? n : size;
        n = n < INT_MAX ? n : INT_MAX;
        memcpy(buffer, consume(stream, n), n);
        rc = (int)n;
    } else {
        release_idle(stream);
        rc = receive(stream, coro, buffer, size);
    }
    return bide__stream_read_end(stream, rc);
}

ssize_t bide__stream_read_now(bide_stream *stream, void *buffer, size_t size)
{
    struct bide__coro *coro;
    int rc = bide__stream_read_begin(stream, &coro);
    if (rc < 0)
        return rc;
    if (bide__stream_buffered(stream) > 0)
        rc = (int)bide__stream_take_buffered(stream, buffer, size);
    else if (!stream->channel.eof)
        rc = (int)bide__channel_recv(&stream->channel, buffer, size < INT_MAX ? size : INT_MAX);
    return bide__stream_read_end(stream, rc);
}

int bide__stream_wait_input(bide_stream *stream)
{
    struct bide__coro *coro;
    int rc = bide__stream_read_begin(stream, &coro);
    if (rc < 0)
        return rc;
    release_idle(stream);
    if (bide__stream_buffered(stream) == 0 && !stream->channel.eof)
        rc = bide__stream_wait_readable(stream, coro);
    return bide__stream_read_end(stream, rc);
}

int bide_read_exactly(bide_stream *stream, void *buffer, size_t size)
{
    struct bide__coro *coro;
    if (!buffer || size == 0 || size > INT_MAX)
        return -EINVAL;
    int rc = bide__stream_read_begin(stream, &coro);
    if (rc < 0)
        return rc;
    release_idle(stream);
    while (bide__stream_buffered(stream) < size) {
        rc = fill(stream, coro, size);
        if (rc == 0) {
            rc = -BIDE_EINCOMPLETE;
            bide__detail_set(rc, "%zu of %zu bytes", bide__stream_buffered(stream), size);
        }
        if (rc < 0)
            return bide__stream_read_end(stream, rc);
    }
    memcpy(buffer, consume(stream, size), size);
    return bide__stream_read_end(stream, (int)size);
}

/*
 * The end of the separator that ends first within the buffered bytes, 0 if none is there. `from`:
 * everything before was looked at already.
 */
static size_t find_end(const bide_stream *stream, size_t from, const struct iovec *separators,
                       size_t n)
{
    size_t first = 0;
    const char *data = stream->in + stream->in_begin;
    for (size_t i = 0; i < n; i++) {
        size_t length = separators[i].iov_len;
        size_t begin = from + 1 > length ? from + 1 - length : 0;
        size_t size = first > 0 ? first : bide__stream_buffered(stream);
        if (begin >= size)
            continue;
        const char *found = memmem(data + begin, size - begin, separators[i].iov_base, length);
        if (found)
            first = (size_t)(found - data) + length;
    }
    return first;
}

/* Fills the buffer through a separator: its end, 0 at the end of the stream, -BIDE_ELIMIT. */
static int fill_until(bide_stream *stream, struct bide__coro *coro, const struct iovec *separators,
                      size_t n)
{
    size_t limit = stream->channel.opts.read_limit_bytes;
    size_t seen = 0;
    release_idle(stream);
    for (;;) {
        size_t end = stream->in ? find_end(stream, seen, separators, n) : 0;
        if (end > limit || (end == 0 && bide__stream_buffered(stream) > limit))
            return -BIDE_ELIMIT;
        if (end > 0)
            return (int)end;
        seen = bide__stream_buffered(stream);
        size_t want = seen * 2 < limit ? seen * 2 : limit;
        int rc = fill(stream, coro, want > seen ? want : seen + 1);
        if (rc <= 0)
            return rc;
    }
}

int bide_read_until_any(bide_stream *stream, const struct iovec *separators, size_t n,
                        char **ret_data)
{
    struct bide__coro *coro;
    if (!separators || n == 0 || !ret_data)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (!separators[i].iov_base || separators[i].iov_len == 0)
            return -EINVAL;
    int rc = bide__stream_read_begin(stream, &coro);
    if (rc < 0)
        return rc;
    rc = fill_until(stream, coro, separators, n);
    if (rc == 0) {
        rc = -BIDE_EINCOMPLETE;
        bide__detail_set(rc, "%zu bytes without a separator", bide__stream_buffered(stream));
    }
    if (rc > 0)
        *ret_data = consume(stream, (size_t)rc);
    return bide__stream_read_end(stream, rc);
}

int bide_read_until(bide_stream *stream, const void *separator, size_t size, char **ret_data)
{
    struct iovec one = {.iov_base = (void *)(uintptr_t)separator, .iov_len = size};
    return bide_read_until_any(stream, &one, 1, ret_data);
}

/* Drops the rest of a line that was over the limit: 0 when that is done. */
static int skip_line(bide_stream *stream, struct bide__coro *coro)
{
    while (stream->skipping) {
        char *data = stream->in + stream->in_begin;
        char *end = bide__stream_buffered(stream) > 0
                        ? memchr(data, '\n', bide__stream_buffered(stream))
                        : NULL;
        consume(stream, end ? (size_t)(end - data) + 1 : bide__stream_buffered(stream));
        stream->skipping = !end;
        if (end)
            return 0;
        int rc = fill(stream, coro, IN_BYTES_MIN - 1);
        if (rc == 0)
            stream->skipping = false;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A line over the limit stays owed as an error while it is being skipped, also over cancelled
 * calls. */
static int read_line(bide_stream *stream, struct bide__coro *coro, char **ret_line)
{
    static char end[] = {'\n'};
    static const struct iovec newline = {.iov_base = end, .iov_len = sizeof end};
    int rc = stream->skipping ? -BIDE_ELIMIT : fill_until(stream, coro, &newline, 1);
    if (rc == -BIDE_ELIMIT) {
        stream->skipping = true;
        int skipped = skip_line(stream, coro);
        return skipped < 0 ? skipped : rc;
    }
    if (rc > 0) {
        *ret_line = consume(stream, (size_t)rc);
        (*ret_line)[rc - 1] = '\0';
    } else if (rc == 0 && bide__stream_buffered(stream) > 0) {
        rc = (int)bide__stream_buffered(stream);
        *ret_line = consume(stream, (size_t)rc);
        (*ret_line)[rc] = '\0';
    }
    return rc;
}

int bide_read_line(bide_stream *stream, char **ret_line)
{
    struct bide__coro *coro;
    if (!ret_line)
        return -EINVAL;
    int rc = bide__stream_read_begin(stream, &coro);
    return rc < 0 ? rc : bide__stream_read_end(stream, read_line(stream, coro, ret_line));
}

bool bide_at_eof(const bide_stream *stream)
{
    return stream && stream->channel.eof && bide__stream_buffered(stream) == 0;
}
