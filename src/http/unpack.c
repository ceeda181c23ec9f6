/* Unpacking with zlib; see unpack.h. */
#include "http/unpack.h"

#include <bide/error.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if BIDE_HAVE_ZLIB
#include <zlib.h>

enum { IN_BYTES = 8192, GZIP_WINDOW = 15 + 16, ZLIB_WINDOW = 15, RAW_WINDOW = -15 };
enum { FREE_BYTES = 1 << 20 };

const char bide__http_unpack_codings[] = "gzip, deflate";

enum state {
    SNIFFING, /* two bytes tell whether deflate has a header */
    UNPACKING,
    BETWEEN, /* behind a member of gzip: another one may follow */
    DONE,
};

struct bide__http_unpack {
    struct bide__http_unpack_limits limits;
    z_stream stream;
    bool is_gzip;
    enum state state;
    uint64_t packed, unpacked;
    const char *why;
    unsigned char kept; /* the first byte, while the second is to come */
    bool has_kept;
    unsigned char in[IN_BYTES];
};

int bide__http_unpack_new(const char *coding, const struct bide__http_unpack_limits *limits,
                          struct bide__http_unpack **ret_unpack)
{
    bool is_gzip = strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0;
    if (!is_gzip && strcasecmp(coding, "deflate") != 0)
        return -EPROTONOSUPPORT;
    struct bide__http_unpack *unpack = calloc(1, sizeof *unpack);
    if (!unpack)
        return -ENOMEM;
    unpack->limits = *limits;
    unpack->is_gzip = is_gzip;
    unpack->why = "";
    unpack->state = is_gzip ? UNPACKING : SNIFFING;
    if (inflateInit2(&unpack->stream, is_gzip ? GZIP_WINDOW : ZLIB_WINDOW) != Z_OK) {
        free(unpack);
        return -ENOMEM;
    }
    *ret_unpack = unpack;
    return 0;
}

void bide__http_unpack_free(struct bide__http_unpack *unpack)
{
    if (!unpack)
        return;
    inflateEnd(&unpack->stream);
    free(unpack);
}

char *bide__http_unpack_room(struct bide__http_unpack *unpack, size_t *ret_size)
{
    /* One byte that was kept for sniffing goes in front. */
    *ret_size = sizeof unpack->in - 1;
    return (char *)unpack->in + 1;
}

void bide__http_unpack_feed(struct bide__http_unpack *unpack, const char *data, size_t size)
{
    unpack->packed += size;
    unpack->stream.next_in = (unsigned char *)(uintptr_t)data;
    unpack->stream.avail_in = (unsigned)size;
    if (!unpack->has_kept)
        return;
    unpack->has_kept = false;
    unpack->in[0] = unpack->kept;
    unpack->stream.next_in = unpack->in;
    unpack->stream.avail_in++;
}

/* "deflate" is zlib's format; some servers send what is inside of it alone. */
static bool sniff(struct bide__http_unpack *unpack)
{
    z_stream *stream = &unpack->stream;
    if (stream->avail_in < 2) {
        unpack->kept = stream->next_in[0];
        unpack->has_kept = true;
        stream->avail_in = 0;
        return false;
    }
    unsigned first = stream->next_in[0], second = stream->next_in[1];
    bool is_zlib = (first & 15) == 8 && (first * 256 + second) % 31 == 0;
    if (!is_zlib)
        inflateReset2(stream, RAW_WINDOW);
    unpack->state = UNPACKING;
    return true;
}

static int refuse(struct bide__http_unpack *unpack, int error, const char *why)
{
    unpack->why = why;
    return error;
}

static int check_limits(struct bide__http_unpack *unpack)
{
    if (unpack->unpacked > unpack->limits.bytes_max)
        return refuse(unpack, -BIDE_ELIMIT, "the body unpacks to more than the limit");
    if (unpack->unpacked > FREE_BYTES &&
        (unpack->unpacked - FREE_BYTES) / unpack->limits.factor_max > unpack->packed)
        return refuse(unpack, -BIDE_ELIMIT, "the body is packed beyond all measure");
    return 0;
}

/* 0, or an error. */
static int inflate_some(struct bide__http_unpack *unpack)
{
    z_stream *stream = &unpack->stream;
    if (unpack->state == DONE)
        return refuse(unpack, -EBADMSG, "something follows the packed body");
    if (unpack->state == BETWEEN) {
        if (inflateReset(stream) != Z_OK)
            return refuse(unpack, -EBADMSG, "unpacking fails");
        unpack->state = UNPACKING;
    }
    int rc = inflate(stream, Z_NO_FLUSH);
    if (rc == Z_STREAM_END)
        unpack->state = unpack->is_gzip ? BETWEEN : DONE;
    else if (rc == Z_MEM_ERROR)
        return refuse(unpack, -ENOMEM, "no memory to unpack");
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
        return refuse(unpack, -EBADMSG, "the packed body makes no sense");
    return 0;
}

int bide__http_unpack_take(struct bide__http_unpack *unpack, char *buffer, size_t size)
{
    z_stream *stream = &unpack->stream;
    size = size < INT_MAX ? size : INT_MAX;
    stream->next_out = (unsigned char *)buffer;
    stream->avail_out = (unsigned)size;
    while (stream->avail_out == size) {
        if (stream->avail_in > 0 && unpack->state == SNIFFING && !sniff(unpack))
            return 0;
        if (stream->avail_in == 0 && unpack->state != UNPACKING)
            return 0;
        unsigned before = stream->avail_in;
        int rc = inflate_some(unpack);
        if (rc < 0)
            return rc;
        if (stream->avail_in == 0 && stream->avail_out == size)
            return 0;
        if (stream->avail_in == before && stream->avail_out == size && unpack->state == UNPACKING)
            return refuse(unpack, -EBADMSG, "the packed body makes no sense");
    }
    int n = (int)(size - stream->avail_out);
    unpack->unpacked += (uint64_t)n;
    int rc = check_limits(unpack);
    return rc < 0 ? rc : n;
}

int bide__http_unpack_end(const struct bide__http_unpack *unpack)
{
    bool is_whole = unpack->state == BETWEEN || unpack->state == DONE || unpack->packed == 0;
    return is_whole ? 0 : -BIDE_EINCOMPLETE;
}

const char *bide__http_unpack_why(const struct bide__http_unpack *unpack)
{
    return unpack->why;
}
#else
const char bide__http_unpack_codings[] = "";

int bide__http_unpack_new(const char *coding, const struct bide__http_unpack_limits *limits,
                          struct bide__http_unpack **ret_unpack)
{
    (void)coding;
    (void)limits;
    (void)ret_unpack;
    return -EPROTONOSUPPORT;
}

void bide__http_unpack_free(struct bide__http_unpack *unpack)
{
    (void)unpack;
}

char *bide__http_unpack_room(struct bide__http_unpack *unpack, size_t *ret_size)
{
    (void)ret_size;
    return (char *)unpack;
}

void bide__http_unpack_feed(struct bide__http_unpack *unpack, const char *data, size_t size)
{
    (void)unpack;
    (void)data;
    (void)size;
}

int bide__http_unpack_take(struct bide__http_unpack *unpack, char *buffer, size_t size)
{
    (void)unpack;
    (void)buffer;
    (void)size;
    return -EPROTONOSUPPORT;
}

int bide__http_unpack_end(const struct bide__http_unpack *unpack)
{
    (void)unpack;
    return 0;
}

const char *bide__http_unpack_why(const struct bide__http_unpack *unpack)
{
    (void)unpack;
    return "";
}
#endif
