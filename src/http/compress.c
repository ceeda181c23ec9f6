/*
 * Answers packed on their way out.
 *
 * Invariants
 *  - Whether an answer is packed is decided when its head goes out, from what it says of itself.
 *  - The packer's memory is taken with the first piece and given back at the end of the exchange.
 */
#include "http/conditional.h"
#include "http/exchange.h"

#include <bide/http_middleware.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if BIDE_HAVE_ZLIB
#include <zlib.h>

enum { WHOLE_BYTES_MAX = 256 * 1024, OUT_BYTES = 16384, GZIP_WINDOW = 16, TYPE_BYTES_MAX = 128 };

struct compression {
    unsigned level;
    size_t bytes_min;
};

struct packer {
    struct bide__http_filter filter;
    const struct compression *compression;
    bool is_gzip;
    bool is_begun;
    bool is_streaming; /* each piece goes out at once */
    int64_t length;    /* as the handler said */
    z_stream stream;
    char *out;
};

static bool has_ending(const char *type, size_t size, const char *ending)
{
    size_t n = strlen(ending);
    return size >= n && strncasecmp(type + size - n, ending, n) == 0;
}

static bool is_worth_it(const char *type)
{
    static const char *const types[] = {
        "application/javascript",
        "application/json",
        "application/rtf",
        "application/wasm",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/svg+xml",
        "image/vnd.microsoft.icon",
        "application/x-javascript",
    };
    size_t size = strcspn(type, " \t;");
    if (strncasecmp(type, "text/", 5) == 0 || has_ending(type, size, "+json") ||
        has_ending(type, size, "+xml"))
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i]) == size && strncasecmp(type, types[i], size) == 0)
            return true;
    return false;
}

static bool may_be_packed(const bide_http_request *request, const struct packer *packer)
{
    const bide_http_fields *fields = &request->fields;
    const char *type = request->type ? request->type : bide_http_fields_get(fields, "Content-Type");
    bool is_whole = request->status >= 200 && request->status != 204 && request->status != 206 &&
                    request->status != 304;
    if (!is_whole || !type || !is_worth_it(type) || bide_http_fields_get(fields, "Content-Range"))
        return false;
    if (bide_http_fields_get(fields, "Content-Encoding") ||
        bide_http_list_has(bide_http_fields_get(fields, "Cache-Control"), "no-transform"))
        return false;
    return request->reply_length < 0 ||
           (uint64_t)request->reply_length >= packer->compression->bytes_min;
}

/* NULL: none. */
static const char *coding_for(const bide_http_request *request)
{
    const char *accepted = bide_http_header(request, "Accept-Encoding");
    int gzip = bide__http_quality(accepted, "gzip"),
        deflate = bide__http_quality(accepted, "deflate");
    if (gzip <= 0 && deflate <= 0)
        return NULL;
    return gzip >= deflate ? "gzip" : "deflate";
}

/* The bytes are others than those that the tag was made for. */
static int weaken_etag(bide_http_request *request)
{
    const char *etag = bide_http_fields_get(&request->fields, "ETag");
    if (!etag || *etag != '"')
        return 0;
    char *weak = bide_http_alloc(request, strlen(etag) + 3);
    if (!weak)
        return -ENOMEM;
    stpcpy(stpcpy(weak, "W/"), etag);
    return bide_http_reply_header(request, "ETag", weak);
}

static int packer_write(struct bide__http_filter *filter, bide_http_request *request,
                        const void *data, size_t size, bool ends);

static int packer_head(struct bide__http_filter *filter, bide_http_request *request, size_t size,
                       bool ends)
{
    struct packer *packer = (struct packer *)filter;
    (void)size;
    (void)ends;
    filter->write = NULL;
    if (packer->is_begun) { /* for an answer that was given up */
        deflateEnd(&packer->stream);
        packer->is_begun = false;
    }
    if (!may_be_packed(request, packer))
        return 0;
    int rc = bide__http_vary(request, "Accept-Encoding");
    const char *coding = coding_for(request);
    if (rc < 0 || !coding)
        return rc;
    rc = bide_http_reply_header(request, "Content-Encoding", coding);
    if (rc == 0)
        rc = weaken_etag(request);
    if (rc == 0)
        rc = bide_http_fields_remove(&request->fields, "Accept-Ranges");
    if (rc < 0)
        return rc;
    packer->is_gzip = strcmp(coding, "gzip") == 0;
    packer->length = request->reply_length;
    packer->is_streaming = request->reply_length < 0;
    request->wire_length = -1;
    filter->write = packer_write;
    return 0;
}

/* What is short needs little memory. */
static int begin(struct packer *packer)
{
    int window = MAX_WBITS, memory = 8;
    if (packer->length >= 0 && packer->length < (1 << 14)) {
        window = 10;
        while (packer->length > 1 << window)
            window++;
        memory = 5;
    }
    packer->stream = (z_stream){0};
    int rc = deflateInit2(&packer->stream, (int)packer->compression->level, Z_DEFLATED,
                          packer->is_gzip ? window + GZIP_WINDOW : window, memory,
                          Z_DEFAULT_STRATEGY);
    packer->is_begun = rc == Z_OK;
    return packer->is_begun ? 0 : -ENOMEM;
}

/* Whole, so that its length can be told. */
static int write_whole(struct packer *packer, bide_http_request *request, const void *data,
                       size_t size)
{
    z_stream *stream = &packer->stream;
    size_t room = deflateBound(stream, size);
    char *out = bide_http_alloc(request, room);
    if (!out)
        return -ENOMEM;
    stream->next_in = (Bytef *)(uintptr_t)data;
    stream->avail_in = (uInt)size;
    stream->next_out = (Bytef *)out;
    stream->avail_out = (uInt)room;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END)
        return -EIO;
    return bide__http_pass(request, packer->filter.next, out, room - stream->avail_out, true);
}

static int write_piece(struct packer *packer, bide_http_request *request, int flush)
{
    z_stream *stream = &packer->stream;
    int rc = 0;
    bool is_done;
    do {
        stream->next_out = (Bytef *)packer->out;
        stream->avail_out = OUT_BYTES;
        int said = deflate(stream, flush);
        if (said == Z_STREAM_ERROR)
            return -EIO;
        size_t n = OUT_BYTES - stream->avail_out;
        bool is_end = said == Z_STREAM_END;
        is_done = is_end || (flush != Z_FINISH && stream->avail_out > 0);
        if (n > 0 || is_end)
            rc = bide__http_pass(request, packer->filter.next, packer->out, n, is_end);
    } while (rc == 0 && !is_done);
    return rc;
}

static int packer_write(struct bide__http_filter *filter, bide_http_request *request,
                        const void *data, size_t size, bool ends)
{
    enum { INPUT_BYTES_MAX = 1 << 20 };
    struct packer *packer = (struct packer *)filter;
    if (!bide__http_has_body(request))
        return bide__http_pass(request, filter->next, NULL, 0, ends);
    bool is_first = !packer->is_begun;
    int rc = is_first ? begin(packer) : 0;
    if (rc < 0)
        return rc;
    if (is_first && ends && size <= WHOLE_BYTES_MAX)
        return write_whole(packer, request, data, size);
    if (!packer->out)
        packer->out = bide_http_alloc(request, OUT_BYTES);
    if (!packer->out)
        return -ENOMEM;
    const char *at = data;
    do {
        size_t n = size < INPUT_BYTES_MAX ? size : INPUT_BYTES_MAX;
        size -= n;
        packer->stream.next_in = (Bytef *)(uintptr_t)at;
        packer->stream.avail_in = (uInt)n;
        at = n > 0 ? at + n : at;
        rc = write_piece(packer, request,
                         size > 0               ? Z_NO_FLUSH
                         : ends                 ? Z_FINISH
                         : packer->is_streaming ? Z_SYNC_FLUSH
                                                : Z_NO_FLUSH);
    } while (rc == 0 && size > 0);
    return rc;
}

static void packer_done(struct bide__http_filter *filter, bide_http_request *request)
{
    struct packer *packer = (struct packer *)filter;
    (void)request;
    if (packer->is_begun)
        deflateEnd(&packer->stream);
}

static int compression_middleware(bide_http_request *request, bide_http_next *next, void *data)
{
    struct packer *packer = bide_http_alloc(request, sizeof *packer);
    if (!packer)
        return -ENOMEM;
    *packer = (struct packer){.filter = {.head = packer_head, .done = packer_done},
                              .compression = data};
    bide__http_filter_add(request, &packer->filter);
    return bide_http_next_run(next);
}

int bide_http_use_compression(bide_http_app *app, const struct bide_http_compression_opts *opts)
{
    unsigned level = opts && opts->level > 0 ? opts->level : 6;
    if (!app || level > 9)
        return -EINVAL;
    struct compression *compression = malloc(sizeof *compression);
    if (!compression)
        return -ENOMEM;
    *compression = (struct compression){
        .level = level, .bytes_min = opts && opts->bytes_min > 0 ? opts->bytes_min : 512};
    int rc = bide_http_use(app, compression_middleware, compression, free);
    if (rc < 0)
        free(compression);
    return rc;
}

#else

int bide_http_use_compression(bide_http_app *app, const struct bide_http_compression_opts *opts)
{
    (void)opts;
    return app ? -ENOSYS : -EINVAL;
}

#endif
