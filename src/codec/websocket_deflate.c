/* Compressed messages; see websocket_deflate.h. */
#include "codec/websocket_deflate.h"

#include "codec/websocket_extension.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool bide__ws_has_deflate(void)
{
    return BIDE_HAVE_ZLIB;
}

#if BIDE_HAVE_ZLIB
#include <zlib.h>

/* What a flush ends with, and a message goes without. */
static const unsigned char tail[] = {0x00, 0x00, 0xff, 0xff};

static void *allocate(void *opaque, unsigned n, unsigned size)
{
    (void)opaque;
    return calloc(n, size);
}

static void release(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

static z_stream *stream_new(void)
{
    z_stream *z = calloc(1, sizeof *z);
    if (z) {
        z->zalloc = allocate;
        z->zfree = release;
    }
    return z;
}

static unsigned at_most_int(size_t size)
{
    return size < INT_MAX ? (unsigned)size : INT_MAX;
}

void bide__ws_deflate_fini(struct bide__ws_deflate *self)
{
    if (self->z)
        deflateEnd(self->z);
    free(self->z);
    self->z = NULL;
}

void bide__ws_deflate_forget(struct bide__ws_deflate *self)
{
    if (self->z)
        deflateReset(self->z);
}

int bide__ws_deflate_prepare(struct bide__ws_deflate *self)
{
    if (self->z)
        return 0;
    z_stream *z = stream_new();
    if (!z)
        return -ENOMEM;
    if (deflateInit2(z, self->level, Z_DEFLATED, -self->bits, self->memory, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        free(z);
        return -ENOMEM;
    }
    self->z = z;
    return 0;
}

size_t bide__ws_deflate_bound(struct bide__ws_deflate *self, size_t size)
{
    enum { FLUSH_EXTRA = 16 };
    return deflateBound(self->z, size) + FLUSH_EXTRA;
}

size_t bide__ws_deflate_piece(struct bide__ws_deflate *self, const char *data, size_t size,
                              bool is_last, char *to, size_t room)
{
    z_stream *z = self->z;
    size_t n = 0;
    do {
        unsigned part = at_most_int(size);
        z->next_in = (Bytef *)(uintptr_t)data;
        z->avail_in = part;
        size -= part;
        data += part;
        z->next_out = (Bytef *)to + n;
        z->avail_out = at_most_int(room - n);
        unsigned had = z->avail_out;
        deflate(z, size > 0 ? Z_NO_FLUSH : Z_SYNC_FLUSH);
        assert(z->avail_in == 0 && z->avail_out > 0);
        n += had - z->avail_out;
    } while (size > 0);
    if (!is_last)
        return n;
    if (self->forgets)
        deflateReset(z);
    if (n > sizeof tail && memcmp(to + n - sizeof tail, tail, sizeof tail) == 0)
        return n - sizeof tail;
    to[0] = 0; /* nothing was left to flush: an empty block, less its end */
    return 1;
}

/* Inflating */

void bide__ws_inflate_fini(struct bide__ws_inflate *self)
{
    if (self->z)
        inflateEnd(self->z);
    free(self->z);
    self->z = NULL;
}

static int prepare(struct bide__ws_inflate *self)
{
    if (self->z)
        return 0;
    z_stream *z = stream_new();
    if (!z)
        return -ENOMEM;
    if (inflateInit2(z, -self->bits) != Z_OK) {
        free(z);
        return -ENOMEM;
    }
    self->z = z;
    return 0;
}

/* One step with either what came or the tail as input. */
static int step(z_stream *z, const char **in, size_t *in_size, struct bide__ws_flow *flow)
{
    unsigned had_in = at_most_int(*in_size), had_out = at_most_int(flow->room);
    z->next_in = (Bytef *)(uintptr_t)*in;
    z->avail_in = had_in;
    z->next_out = (Bytef *)flow->out;
    z->avail_out = had_out;
    int rc = inflate(z, Z_SYNC_FLUSH);
    *in += had_in - z->avail_in;
    *in_size -= had_in - z->avail_in;
    flow->out += had_out - z->avail_out;
    flow->room -= had_out - z->avail_out;
    /* A block that says it is the last one: others follow it all the same, and may refer back. */
    if (rc == Z_STREAM_END)
        rc = inflateResetKeep(z);
    return rc == Z_OK || rc == Z_BUF_ERROR ? 0 : rc == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

/* Whether the last step ended where a block ends. */
static bool is_between_blocks(const z_stream *z)
{
    enum { BETWEEN = 128, UNUSED_BITS = 63 };
    return z->data_type & BETWEEN && !(z->data_type & UNUSED_BITS);
}

/* The end that the message lacks. */
static int take_tail(struct bide__ws_inflate *self, struct bide__ws_flow *flow)
{
    int rc = 0;
    while (rc == 0 && self->n_tail < sizeof tail && flow->room > 0) {
        const char *in = (const char *)tail + self->n_tail;
        size_t left = sizeof tail - self->n_tail;
        rc = step(self->z, &in, &left, flow);
        self->n_tail = sizeof tail - left;
    }
    return rc;
}

int bide__ws_inflate_take(struct bide__ws_inflate *self, struct bide__ws_flow *flow)
{
    int rc = flow->room > 0 ? prepare(self) : 1;
    if (rc == 0 && self->was_full) {
        size_t none = 0;
        rc = step(self->z, &flow->in, &none, flow);
    }
    while (rc == 0 && flow->in_size > 0 && flow->room > 0)
        rc = step(self->z, &flow->in, &flow->in_size, flow);
    if (rc == 0 && flow->is_last)
        rc = take_tail(self, flow);
    self->was_full = flow->room == 0;
    if (rc != 0 || self->was_full)
        return rc < 0 ? rc : 1;
    if (!flow->is_last)
        return 0;
    if (!is_between_blocks(self->z))
        return -EBADMSG;
    self->n_tail = 0;
    if (self->forgets)
        inflateReset(self->z);
    return 0;
}

#else

void bide__ws_deflate_fini(struct bide__ws_deflate *self)
{
    (void)self;
}

void bide__ws_deflate_forget(struct bide__ws_deflate *self)
{
    (void)self;
}

int bide__ws_deflate_prepare(struct bide__ws_deflate *self)
{
    (void)self;
    return -ENOSYS;
}

size_t bide__ws_deflate_bound(struct bide__ws_deflate *self, size_t size)
{
    (void)self;
    return size;
}

size_t bide__ws_deflate_piece(struct bide__ws_deflate *self, const char *data, size_t size,
                              bool is_last, char *to, size_t room)
{
    (void)self, (void)is_last, (void)room;
    memcpy(to, data, size);
    return size;
}

void bide__ws_inflate_fini(struct bide__ws_inflate *self)
{
    (void)self;
}

int bide__ws_inflate_take(struct bide__ws_inflate *self, struct bide__ws_flow *flow)
{
    (void)self, (void)flow;
    return -EBADMSG;
}

#endif
